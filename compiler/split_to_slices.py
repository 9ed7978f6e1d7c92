"""Take the pieces of a split as slices, which are views: nothing is copied.

before::

    graph(x: f32[n,6]) {
      %0: f32[n,2], %1: f32[n,4] = split(x, axis=1, sizes=(2, 4))
      return %0, %1
    }

after::

    graph(x: f32[n,6]) {
      %0: f32[n,2] = slice(x, starts=(0, 0), sizes=(n, 2), steps=(1, 1))
      %1: f32[n,4] = slice(x, starts=(0, 2), sizes=(n, 4), steps=(1, 1))
      return %0, %1
    }

It comes late: rules that put pieces together again know them by their split.
"""

from __future__ import annotations

from itertools import accumulate

from graphwright.compiler.log import Log
from graphwright.graph.graph import Graph, copy_node
from graphwright.graph.node import Node, derived
from graphwright.graph.tensor import Tensor
from graphwright.ops.joining import Split
from graphwright.ops.slicing import Slice


def split_to_slices(graph: Graph, log: Log) -> Graph:
    """The graph with slices in place of splits; itself when there are none."""
    new: dict[Tensor, Tensor] = {}
    for node in graph.operations:
        if isinstance(node.op, Split) and log.applied(
            "split_to_slices", f"{len(node.outputs)} views", [node]
        ):
            _slice(node, node.op, new)
        else:
            copy_node(node, new)
    return graph.replaced(new)


def _slice(node: Node, op: Split, new: dict[Tensor, Tensor]) -> None:
    """Enter a slice for each piece."""
    (source,) = node.inputs
    x = new.get(source, source)
    before, after = (0,) * op.axis, (0,) * (x.ndim - op.axis - 1)
    with derived(node.origin):
        for piece, start in zip(node.outputs, accumulate((0, *op.sizes)), strict=False):
            starts = (*before, start, *after)
            new[piece] = Slice(starts, piece.shape, (1,) * x.ndim)(x)
