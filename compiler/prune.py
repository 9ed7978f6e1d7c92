"""Drop the outputs of branches and loops that nobody uses, and what only they need.

before::

    graph(p: bool[], x: f32[n], y: f32[n]) {
      %0: f32[n], %1: f32[n] = cond(p, x, y, then=graph(x0: f32[n], x1: f32[n]) {
        %0: f32[n] = exp(x1)
        return x0, %0
      }, otherwise=graph(x0: f32[n], x1: f32[n]) {
        %0: f32[n] = negative(x0)
        return %0, x1
      })
      return %0
    }

after::

    graph(p: bool[], x: f32[n], y: f32[n]) {
      %0: f32[n] = cond(p, x, then=graph(x0: f32[n]) {
        return x0
      }, otherwise=graph(x0: f32[n]) {
        %0: f32[n] = negative(x0)
        return %0
      })
      return %0
    }
"""

from __future__ import annotations

from collections.abc import Sequence

from graphwright.compiler.log import Log
from graphwright.graph.graph import Graph, copy_node
from graphwright.graph.node import Node, derived
from graphwright.graph.operator import Pruned
from graphwright.graph.tensor import Tensor


def prune(graph: Graph, log: Log) -> Graph:
    """The graph with lean operators; itself when they are as lean as can be."""
    if not any(node.op.higher_order for node in graph.operations):
        return graph
    lean = _lean(graph, log)
    new: dict[Tensor, Tensor] = {}
    for node in graph.nodes:
        if node not in lean:
            copy_node(node, new)
            continue
        op, inputs, outputs = lean[node]
        with derived(node.origin):
            made = op.apply(*(new.get(node.inputs[i], node.inputs[i]) for i in inputs))
        new.update({node.outputs[i]: tensor for i, tensor in zip(outputs, made, strict=True)})
    return graph.replaced(new)


def _lean(graph: Graph, log: Log) -> dict[Node, Pruned]:
    """What is left of each operator; from the results back, so that what one drops, another may
    drop in turn."""
    used = set(graph.results)
    found: dict[Node, Pruned] = {}
    for node in reversed(graph.nodes):
        needed = [tensor in used for tensor in node.outputs]
        if not any(needed):
            continue
        inputs: Sequence[int] = range(len(node.inputs))
        left = node.op.pruned(needed) if node.op.higher_order else None
        if left is not None and log.applied("prune", _what(node, left), [node]):
            found[node] = left
            inputs = left.inputs
        used.update(node.inputs[i] for i in inputs)
    return found


def _what(node: Node, left: Pruned) -> str:
    outputs = f"{len(left.outputs)} of {len(node.outputs)} outputs"
    inputs = f"{len(left.inputs)} of {len(node.inputs)} inputs"
    return f"{node.op.name} keeps {outputs} and {inputs}: nobody uses the others"
