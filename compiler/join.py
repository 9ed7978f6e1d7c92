"""Join loops that run alike over the same values into one that gives what each gives.

before, where `step` is the same but for what it writes::

    graph(x: f32[n,3], h: f32[3]) {
      %0: f32[3], %1: f32[n,3] = scan(h, x, step=…, carried=1, slices=1, length=n, reverse=False)
      %2: f32[3], %3: f32[n,3] = scan(h, x, step=…, carried=1, slices=1, length=n, reverse=False)
      return %1, %3
    }

after::

    graph(x: f32[n,3], h: f32[3]) {
      %0: f32[3], %1: f32[n,3], %2: f32[n,3] = scan(h, x, step=…, carried=1, …)
      return %1, %2
    }

Differentiation needs this: the gradient of a loop asks for a loop that also writes down what its
steps computed.
"""

from __future__ import annotations

from typing import Any

from graphwright.compiler.log import Log
from graphwright.graph.graph import Graph, copy_node
from graphwright.graph.node import Node, derived
from graphwright.graph.tensor import Tensor


def join(graph: Graph, log: Log) -> Graph:
    """The graph with one node for all that can be joined; itself when there is nothing to join."""
    if not any(node.op.higher_order for node in graph.operations):
        return graph
    groups = _groups(graph)
    first = {nodes[0]: nodes for nodes in groups}
    rest = {node for nodes in groups for node in nodes[1:]}
    new: dict[Tensor, Tensor] = {}
    for node in graph.nodes:
        if node in first and not _joined(first[node], new, log):
            rest.difference_update(first[node])
            copy_node(node, new)
        elif node not in first and node not in rest:
            copy_node(node, new)
    return graph.replaced(new)


def _groups(graph: Graph) -> list[list[Node]]:
    """The nodes that can be joined, two or more together, in order."""
    number: dict[Tensor, Any] = {tensor: tensor for tensor in graph.inputs}
    known: dict[Any, Node] = {}
    groups: dict[Any, list[Node]] = {}
    for node in graph.nodes:
        # What computes the same of the same is the same, though it may not be merged yet.
        inputs = tuple(number[tensor] for tensor in node.inputs)
        twin = node if node.op.leaf else known.setdefault((node.op, inputs), node)
        number.update(zip(node.outputs, twin.outputs, strict=True))
        key = node.op.join_key if node.op.higher_order else None
        if key is not None:
            groups.setdefault((key, inputs), []).append(node)
    return [nodes for nodes in groups.values() if len(nodes) > 1]


def _joined(nodes: list[Node], new: dict[Tensor, Tensor], log: Log) -> bool:
    """Put one node in place of several, unless the log denies it."""
    head, *others = nodes
    op, places = head.op.joined([node.op for node in others])
    what = f"{len(nodes)} times {head.op.name} over the same values is one"
    if not log.applied("join", what, nodes):
        return False
    origin = head.origin
    for node in others:
        origin |= node.origin
    with derived(origin):
        outputs = op.apply(*(new.get(tensor, tensor) for tensor in head.inputs))
    for node, mine in zip(nodes, places, strict=True):
        new.update(zip(node.outputs, (outputs[i] for i in mine), strict=True))
    return True
