"""Composites that native code computes as a whole: in native plans they are not decomposed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias, TypeVar

from graphwright.compiler.decompose import decompose
from graphwright.compiler.log import Log
from graphwright.graph.dtype import float32, float64, short_name
from graphwright.graph.graph import Graph
from graphwright.graph.node import Node
from graphwright.graph.operator import Operator
from graphwright.graph.types import TensorType
from graphwright.ops.attention_forward import Attention, AttentionForward
from graphwright.ops.attention_gradient import AttentionGradient

Obstacle: TypeAlias = Callable[[Any, Sequence[TensorType]], str | None]
Decorated = TypeVar("Decorated", bound=Obstacle)

_obstacles: dict[type[Operator], Obstacle] = {}


def decompose_for_native(graph: Graph, log: Log) -> Graph:
    """`graph` without composites, but those whose whole native code computes."""
    return decompose(graph, log, _obstacle)


def stays_whole(*classes: type[Operator]) -> Callable[[Decorated], Decorated]:
    """Decorator: enter a function that says why a composite on inputs of such types can't be
    computed as a whole; None if it can."""

    def enter(obstacle: Decorated) -> Decorated:
        _obstacles.update(dict.fromkeys(classes, obstacle))
        return obstacle

    return enter


@stays_whole(AttentionForward, AttentionGradient)
def attention(op: Attention, inputs: Sequence[TensorType]) -> str | None:
    """Attention, in the dtypes that products and powers are computed in."""
    dtype = inputs[0].dtype
    if dtype in (float32, float64):
        return None
    return f"as a whole it is computed in f32 or f64, not in {short_name(dtype)}"


def _obstacle(node: Node) -> str | None:
    obstacle = _obstacles.get(type(node.op))
    return "" if obstacle is None else obstacle(node.op, [x.type for x in node.inputs])
