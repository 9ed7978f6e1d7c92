"""Operators that stand for what can't be fused, graphs fused, and what is asked of them."""

from __future__ import annotations

from textwrap import dedent

import numpy as np

import graphwright as gw
from graphwright.compiler.fuse import fuse
from graphwright.compiler.fused import Fused
from graphwright.compiler.log import Log
from graphwright.graph.evaluate import evaluate_graph
from graphwright.graph.graph import Graph
from graphwright.graph.node import Node
from graphwright.graph.operator import Operator, register
from graphwright.graph.tensor import Tensor
from graphwright.graph.text import text
from graphwright.graph.types import TensorType


@register
class Mixing(Operator):
    """The elements in reverse: stands for what no loop can share, as a contraction."""

    name = "mixing"

    def infer(self, x: TensorType) -> TensorType:
        return x

    def kernel(self, x):
        return np.flip(x)


@register
class Parting(Operator):
    """The elements twice: stands for what gives several values."""

    name = "parting"
    elementwise = True

    def infer(self, x: TensorType) -> tuple[TensorType, TensorType]:
        return x, x

    def kernel(self, x):
        return x, x


mixing = Mixing()


def fused(graph: Graph, limit: int | None = None) -> Graph:
    """The graph after fusion, of `limit` groups at most."""
    return fuse(graph, Log(limit))


def groups(graph: Graph) -> list[Node]:
    """The fused nodes of a graph."""
    return [node for node in graph.operations if isinstance(node.op, Fused)]


def contents(graph: Graph) -> list[str]:
    """`rows: max subtract exp` for each group, without what costs nothing."""
    free = {"constant", "size", "broadcast_to", "reshape", "expand_dims", "squeeze"}
    return [
        f"{node.op.kind}: "
        + " ".join(n.op.name for n in node.op.body.operations if n.op.name not in free)
        for node in groups(graph)
    ]


def reasons(graph: Graph) -> list[str]:
    """Why what was not fused was not."""
    log = Log()
    fuse(graph, log)
    return [event.what for event in log.events if not event.applied]


def check_text(graph: Graph, expected: str) -> None:
    """Compare what a graph prints as."""
    assert text(graph) == dedent(expected).strip()


def arrays(graph: Graph, sizes: dict[str, int], seed: int = 0) -> dict[Tensor, np.ndarray]:
    """An array of numbers from 0.5 to 2 for each input and parameter."""
    generator = np.random.default_rng(seed)
    leaves = [*graph.inputs, *graph.parameters]
    return {t: generator.uniform(0.5, 2, t.type.bind(sizes).shape).astype(t.dtype) for t in leaves}


def check_values(before: Graph, after: Graph, *all_sizes: dict[str, int]) -> None:
    """Both graphs give the same bits, at each of the sizes."""
    for sizes in all_sizes or ({},):
        values = arrays(before, sizes)
        old, new = (evaluate_graph(graph, values, sizes) for graph in (before, after))
        for left, right in zip(old, new, strict=True):
            np.testing.assert_array_equal(left, right)


def softmax(x: Tensor) -> Tensor:
    """Along the last axis, written out."""
    e = gw.ops.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


SIZES = [{"n": 3}, {"n": 1}, {"n": 0}, {"n": 7}]
