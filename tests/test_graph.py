"""Graphs: what they refuse, their order, equality, binding, and how they are rebuilt."""

from __future__ import annotations

import itertools
import subprocess
import sys
import time
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from support.random_graphs import graphs
from support.running import value

import graphwright as gw
from graphwright.graph.array import FrozenArray
from graphwright.graph.errors import GraphError, ShapeError
from graphwright.graph.graph import Graph, ancestors, copy_node
from graphwright.graph.leaf import Constant
from graphwright.graph.tensor import Tensor
from graphwright.ops.reduction import Sum


def vector(name: str = "x") -> Tensor:
    return gw.input(name, ("n",))


# Refusals.


def test_an_input_that_is_not_listed_is_named() -> None:
    x, y = vector("x"), vector("y")
    with pytest.raises(
        GraphError, match="the result depends on input 'y', which is not listed"
    ) as e:
        Graph([x], [x + y])
    assert "add it to the inputs" in str(e.value)
    assert "made at test_graph.py" in str(e.value)
    with pytest.raises(GraphError, match="depends on input 'y'"):
        Graph([x], [x], {gw.parameter("w", 0.0): y.sum()})


def test_names_are_used_once() -> None:
    x = vector("x")
    with pytest.raises(GraphError, match="two inputs or parameters are named 'x'") as caught:
        Graph([x, vector("x")], [x])
    assert "give one of them another name" in str(caught.value)
    w = gw.parameter("x", np.float32(1))
    with pytest.raises(GraphError, match="are named 'x'"):
        Graph([x], [x * w])
    with pytest.raises(GraphError, match="are named 'x'"):
        Graph([x, x], [x])
    with pytest.raises(GraphError, match="are named 'w'"):
        Graph([x], [x * gw.parameter("w", 1.0)], {gw.parameter("w", 2.0): x.sum()})


def test_only_inputs_are_inputs() -> None:
    x = vector("x")
    w = gw.parameter("w", 1.0)
    for wrong in (x + 1, w, gw.constant(3.0)):
        with pytest.raises(GraphError, match="can't be an input of a graph") as caught:
            Graph([wrong], [x])
        assert "inputs are made by gw.input" in str(caught.value)


def test_only_parameters_are_updated_and_by_their_own_type() -> None:
    x = vector("x")
    w = gw.parameter("w", np.zeros(2, np.float32))
    with pytest.raises(GraphError, match="only parameters can be updated, got <x: f32"):
        Graph([x], [x], {x: x})  # type: ignore[dict-item]
    with pytest.raises(
        GraphError, match=r"the update of parameter 'w' has another type: f32\[n\], not f32\[2\]"
    ):
        Graph([x], [x], {w: x})
    with pytest.raises(GraphError, match=r"another type: f64\[2\], not f32\[2\]"):
        Graph([x], [x], {w: w.astype("float64")})


@pytest.mark.parametrize(
    ("inputs", "outputs", "updates", "message"),
    [
        (vector(), [], None, "the inputs of a graph are a sequence of tensors, got <x: f32"),
        (None, [], None, "the inputs of a graph are a sequence of tensors, got None"),
        ([], vector(), None, "the outputs of a graph are a sequence of tensors, got <x: f32"),
        ([3], [], None, "the inputs of a graph must be tensors, got 3"),
        ([], [np.zeros(2)], None, "the outputs of a graph must be tensors, got array"),
        ([], [], {gw.parameter("w", 0.0): 3.0}, "the values of the updates .* must be tensors"),
        ([], [], gw.parameter("w", 0.0), "updates map parameters to tensors, got <w: f32"),
    ],
)
def test_what_are_no_tensors_make_no_graph(
    inputs: Any, outputs: Any, updates: Any, message: str
) -> None:
    with pytest.raises(GraphError, match=message):
        Graph(inputs, outputs, updates)


# Structure.


def test_nodes_come_after_what_they_need_in_an_order_of_structure() -> None:
    x = vector()
    w = gw.parameter("w", np.float32(2))
    a = x * w
    b = gw.ops.exp(a)
    graph = Graph([x], [b + a, a])
    assert [node.op.name for node in graph.nodes] == ["parameter", "multiply", "exp", "add"]
    assert [node.op.name for node in graph.operations] == ["multiply", "exp", "add"]
    assert graph.parameters == (w,)
    assert graph.results == graph.outputs


@settings(max_examples=50, deadline=None)
@given(graphs())
def test_every_node_of_any_graph_stands_once_and_after_what_it_needs(graph: Graph) -> None:
    assert len(set(graph.nodes)) == len(graph.nodes)
    done = {tensor.node for tensor in graph.inputs}
    for node in graph.nodes:
        assert {tensor.node for tensor in node.inputs} <= done
        done.add(node)
    assert {tensor.node for tensor in graph.results} <= done
    needed = set(graph.results)
    for node in reversed(graph.nodes):
        assert needed & set(node.outputs), "a node that nobody needs"
        needed.update(node.inputs)


@settings(max_examples=50, deadline=None)
@given(graphs())
def test_consumers_are_the_readers_once_per_read(graph: Graph) -> None:
    counted: dict[Tensor, list[Any]] = {}
    for node in graph.nodes:
        for tensor in node.inputs:
            counted.setdefault(tensor, []).append(node)
    assert {tensor: list(nodes) for tensor, nodes in graph.consumers.items()} == counted


def test_parameters_that_are_only_written_count() -> None:
    w, v = gw.parameter("w", 1.0), gw.parameter("v", 1.0)
    graph = Graph([], [], {v: w + 1})
    assert graph.parameters == (w, v)
    assert graph.outputs == ()


def test_an_input_that_nobody_reads_is_kept() -> None:
    x, y = vector("x"), vector("y")
    assert Graph([x, y], [x]).inputs == (x, y)


# Equality.


def build(scale: float = 2.0, name: str = "x", reverse: bool = False, value: float = 0.0) -> Graph:
    with gw.scope("other" if reverse else "one"):
        x = gw.input(name, ("n", 3))
        w = gw.parameter("w", np.full(3, value, np.float32))
        a, b = (x * scale, x + w)
        if reverse:
            b, a = (x + w, x * scale)
    return Graph([x], [a - b], {w: w + a.sum()})


def test_graphs_of_the_same_structure_are_equal() -> None:
    assert build() == build()
    assert hash(build()) == hash(build())
    assert build() == build(reverse=True, value=5.0), "scopes, lines and values don't count"
    assert build() is not build()


@pytest.mark.parametrize("other", [build(scale=3.0), build(name="z")])
def test_graphs_of_different_structure_differ(other: Graph) -> None:
    assert build() != other


def test_what_makes_graphs_differ() -> None:
    x, y = vector("x"), vector("y")
    w, v = gw.parameter("w", np.float32(1)), gw.parameter("v", np.float32(1))
    different = [
        Graph([x], [x]),
        Graph([x, y], [x]),
        Graph([y, x], [x]),
        Graph([x], []),
        Graph([x], [x, x]),
        Graph([x], [x + x]),
        Graph([x], [x + (x + x)]),
        Graph([x], [x - x]),
        Graph([x, y], [x - y]),
        Graph([x, y], [y - x]),
        Graph([x], [x.sum()]),
        Graph([x], [x.sum(keepdims=True)]),
        Graph([x], [x.astype("float64")]),
        Graph([x], [x * w]),
        Graph([x], [x], {w: w}),
        Graph([x], [x], {w: -w}),
        Graph([x], [x], {w: w, v: -w}),
        Graph([x], [x], {w: -w, v: w}),
        Graph([gw.input("x", ("m",))], []),
        Graph([gw.input("x", ("n",), "float64")], []),
        Graph([gw.input("x", (3,))], []),
        Graph([], [gw.constant(1.0)]),
        Graph([], [gw.constant(2.0)]),
        Graph([], [gw.constant(1)]),
        Graph([], list(gw.ops.split(gw.constant([1.0, 2.0]), 2))),
        Graph([], list(gw.ops.split(gw.constant([1.0, 2.0]), 2))[::-1]),
    ]
    for left, right in itertools.combinations(different, 2):
        assert left != right, (str(left), str(right))
    assert len(set(different)) == len(different)
    assert different[0] != "graph"


def test_shared_and_repeated_operations_differ() -> None:
    x = vector()
    once = x + 1
    assert Graph([x], [once * once]) != Graph([x], [(x + 1) * (x + 1)])


def constant_graph(*values: float) -> Graph:
    return Graph([], [Constant(FrozenArray(np.array(values)))()])


def test_nan_and_signed_zero_compare_by_their_bits() -> None:
    assert constant_graph(np.nan, 1) == constant_graph(np.nan, 1)
    assert hash(constant_graph(np.nan)) == hash(constant_graph(np.nan))
    assert constant_graph(0.0) != constant_graph(-0.0)
    x = vector()

    def padded(fill: float) -> Graph:
        return Graph([x], [gw.ops.pad(x, 1, value=fill)])

    assert padded(float("nan")) == padded(float("nan"))
    assert padded(float("nan")) == padded(-float("nan"))
    assert hash(padded(float("nan"))) == hash(padded(-float("nan")))
    assert padded(0.0) != padded(-0.0)
    assert padded(1.0) != padded(1.5)


def test_true_and_one_are_different_attributes() -> None:
    x = gw.input("x", (2,))
    one, true = Sum((0,), keepdims=True), Sum((0,), keepdims=1)  # type: ignore[arg-type]
    assert one != true
    assert Graph([x], [one(x)]) != Graph([x], [true(x)])


def test_equality_and_hashes_are_the_same_in_another_process() -> None:
    # Structure is compared, not identity, so nothing depends on addresses; hashes of names do
    # depend on the process, so only equality of two graphs within one is asked for.
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from test_graph import build\n"
        "assert build() == build() and hash(build()) == hash(build())\n"
        "print(str(build()))"
    )
    from pathlib import Path

    folder = str(Path(__file__).parent)
    texts = {
        subprocess.run(
            [sys.executable, "-c", code, folder],
            check=True,
            capture_output=True,
            text=True,
            env={"PYTHONHASHSEED": seed, "PATH": ""},
        ).stdout
        for seed in ("1", "2")
    }
    assert texts == {str(build()) + "\n"}


# Depth.


def test_a_chain_of_fifty_thousand_nodes_needs_no_recursion() -> None:
    x = gw.input("x", ())
    y = x
    for _ in range(25_000):
        y = gw.ops.negative(gw.ops.abs(y))
    start = time.perf_counter()
    graph = Graph([x], [y])
    assert len(graph.nodes) == 50_000
    again = Graph([x], [y])
    assert graph == again
    assert hash(graph) == hash(again)
    assert gw.text(graph).count("\n") == 50_000 + 2
    assert float(value(y, {x: 3.0})) == -3.0
    assert time.perf_counter() - start < 60


def test_a_wide_and_deep_lattice_is_walked_once_per_node() -> None:
    x = gw.input("x", ())
    y = x
    for _ in range(200):
        y = y + y  # 2²⁰⁰ paths
    assert len(Graph([x], [y]).nodes) == 200


# Binding.


def test_binding_puts_numbers_for_names_everywhere() -> None:
    x = gw.input("x", ("n", "m"))
    y = gw.ops.broadcast_to(x.reshape(gw.dim("n") * gw.dim("m")), (2, gw.dim("n") * gw.dim("m")))
    graph = Graph([x], [y, gw.ops.size(x, 0)])
    assert graph.symbolic
    bound = graph.bind({"n": 3, "m": 4})
    assert not bound.symbolic
    assert [str(t.type) for t in (*bound.inputs, *bound.outputs)] == [
        "f32[3,4]",
        "f32[2,12]",
        "i64[]",
    ]
    assert bound.bind({}) is bound
    assert bound.inputs[0].name == "x"


def test_binding_keeps_parameters_updates_and_origins() -> None:
    with gw.scope("block"):
        x = gw.input("x", ("n",))
        w = gw.parameter("w", np.float32(2))
        y = (x * w).reshape(gw.dim("n"), 1)
    graph = Graph([x], [y], {w: w + x.sum()})
    bound = graph.bind({"n": 5})
    assert bound.parameters == (w,)
    assert list(bound.updates) == [w]
    for old, new in zip(graph.operations, bound.operations, strict=True):
        assert new.origin == old.origin
    assert bound.inputs[0].node.origin == x.node.origin


def test_binding_reaches_into_graphs_within_graphs() -> None:
    x = gw.input("x", ("n", 3))
    fused = gw.compile(x, gw.ops.exp(x) * 2 + 1)
    graph = gw.parse(fused.text("fused"))
    assert any(node.op.body is not None for node in graph.nodes)
    bound = graph.bind({"n": 2})
    inner = next(node.op.body for node in bound.nodes if node.op.body is not None)
    assert not inner.symbolic
    assert str(inner.inputs[0].type) == "f32[2,3]"


def test_binding_needs_every_name_and_sizes_that_exist() -> None:
    x = gw.input("x", ("n",))
    with pytest.raises(ShapeError, match="the size of dimension n is not known"):
        Graph([x], [x]).bind({"m": 3})
    y = gw.input("y", (gw.dim("n") - 5,))
    with pytest.raises(ShapeError, match=r"y: f32\[n - 5\]|the size n - 5 is -2 where n = 3"):
        Graph([y], [y]).bind({"n": 3})


@settings(max_examples=30, deadline=None)
@given(graphs())
def test_a_bound_graph_has_the_same_operators(graph: Graph) -> None:
    bound = graph.bind({"n": 3, "m": 5})
    assert not bound.symbolic
    assert [node.op.name for node in bound.nodes] == [node.op.name for node in graph.nodes]
    for old, new in zip(graph.nodes, bound.nodes, strict=True):
        expected = [tensor.type.bind({"n": 3, "m": 5}) for tensor in old.outputs]
        assert [tensor.type for tensor in new.outputs] == expected


# Rebuilding.


def test_replacing_nothing_gives_the_same_graph() -> None:
    graph = build()
    assert graph.replaced({}) is graph
    assert graph.replaced({vector(): vector()}) is graph


def test_replacing_a_result_gives_a_new_graph() -> None:
    x = vector()
    a, b = x + 1, x + 2
    w = gw.parameter("w", np.float32(0))
    graph = Graph([x], [a, a], {w: a.sum()})
    changed = graph.replaced({a: b})
    assert changed.outputs == (b, b)
    assert changed.updates == graph.updates
    assert changed.inputs == graph.inputs


def test_copying_a_node_whose_inputs_are_unchanged_gives_it_back() -> None:
    x = vector()
    node = (x + 1).node
    new: dict[Tensor, Tensor] = {}
    assert copy_node(node, new) is node
    assert new == {}
    assert copy_node(gw.parameter("w", 0.0).node, new).op.name == "parameter"


def test_copying_a_node_onto_other_inputs_keeps_its_origin() -> None:
    x, y = vector("x"), vector("y")
    with gw.scope("block"):
        node = (x + 1).node
    new = {x: y}
    copied = copy_node(node, new)
    assert copied.inputs[0] is y
    assert copied.origin == node.origin
    assert new[node.outputs[0]] is copied.outputs[0]


def test_ancestors_stop_where_told() -> None:
    x = vector()
    a = x + 1
    b = gw.ops.exp(a)
    assert [node.op.name for node in ancestors([b], stop={a})] == ["exp"]
    assert list(ancestors([b], stop={b})) == []
    assert [node.op.name for node in ancestors([b, a])][-1] == "exp"


# networkx.


def test_networkx_gets_every_node_and_every_edge() -> None:
    x = gw.input("x", (4,))
    with gw.scope("block"):
        halves = gw.ops.split(x, 2)
        y = halves[1] - halves[0]
    found = Graph([x], [y * y]).to_networkx()
    assert [found.nodes[i]["op"] for i in found] == ["input", "split", "subtract", "multiply"]
    assert [found.nodes[i]["tensors"] for i in found] == [["x"], ["%0", "%1"], ["%2"], ["%3"]]
    assert found.nodes[1]["types"] == ["f32[2]", "f32[2]"]
    assert found.nodes[1]["scope"] == "block"
    assert found.nodes[0]["source"].startswith("test_graph.py:")
    assert found.nodes[0]["phase"] == "forward"
    edges = [(a, b, d["output"], d["input"], d["type"]) for a, b, d in found.edges(data=True)]
    assert sorted(edges) == [
        (0, 1, 0, 0, "f32[4]"),
        (1, 2, 0, 1, "f32[2]"),
        (1, 2, 1, 0, "f32[2]"),
        (2, 3, 0, 0, "f32[2]"),
        (2, 3, 0, 1, "f32[2]"),
    ]


def test_a_graph_shows_its_size() -> None:
    assert repr(build()) == "<Graph: 1 inputs, 7 nodes>"
