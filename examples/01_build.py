"""1. Code that looks like NumPy builds a graph, which can be read, asked and run."""

import numpy as np

import graphwright as gw

# Inputs are the arrays that each call will bring. A size is a number, or a name for any number.
x = gw.input("x", ("batch", 3))

# Parameters are state with a NumPy value.
w = gw.parameter("w", np.array([[1, 2], [3, 4], [5, 6]], np.float32))

# Operators make nodes. Nothing is computed yet, but shapes and types are known at once.
with gw.scope("hidden"):
    y = gw.ops.relu(x @ w - 5)
assert str(y.type) == "f32[batch,2]"

# A graph is what lies between inputs and outputs. It prints in a language that reads back.
graph = gw.Graph([x], [y])
print(graph)
assert gw.parse(gw.text(graph)) == graph

# Every node knows the block and the line it comes from.
for node in graph.operations:
    print(f"  {node.op.name:10} {node.scope:8} {node.source}")
    assert node.scope == "hidden"
    assert "01_build.py" in str(node.source)

# The interpreter runs a graph as it stands, node by node: it is what all else is checked against.
(value,), _ = gw.interpret(graph, [[1, 0, 0], [0, 1, 0.5]])
print(value)
assert value.tolist() == [[0, 0], [0.5, 2]]

# A compiled function gives the same, by a plan made once.
function = gw.compile(x, y)
assert np.array_equal(function([[1, 0, 0], [0, 1, 0.5]]), value)
