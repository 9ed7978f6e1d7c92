"""Passes within passes: what a pass does to a graph, it does to the graphs that operators hold."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

from graphwright.compiler.log import Log
from graphwright.graph.graph import Graph, copy_node
from graphwright.graph.tensor import Tensor


def everywhere(run: Callable[[Graph, Log], Any], graph: Graph, log: Log) -> Any:
    """`run` on `graph`, and, if that gives a graph, on the branches and loop bodies left in it.

    The outer graph comes first, since a pass may bring in operators that hold graphs, or drop them.
    """
    result = run(graph, log)
    if not isinstance(result, Graph) or not any(n.op.higher_order for n in result.operations):
        return result
    new: dict[Tensor, Tensor] = {}
    for node in result.nodes:
        op = node.op
        changes = {name: everywhere(run, inner, log) for name, inner in op.graphs.items()}
        if any(inner is not op.graphs[name] for name, inner in changes.items()):
            op = replace(cast(Any, op), **changes)
        copy_node(node, new, op)
    return result.replaced(new)
