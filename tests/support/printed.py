"""A graph and its text, an operator with any attribute, and whether graphs read back."""

from __future__ import annotations

from typing import Any

import numpy as np

import graphwright as gw
from graphwright.graph.graph import Graph
from graphwright.graph.operator import Operator, register
from graphwright.graph.parse import parse
from graphwright.graph.text import text

TRAINING = """\
graph(x: f32[batch,3]) {
  parameter w: f32[3,2]
  parameter steps: i64[]
  %0: f32[batch,2] = matmul(x, w)
  %1: f32[] = constant(value=f32[]{0.5})
  %2: bool[batch,2] = greater(%0, %1)
  %3: f32[batch,2] = where(%2, %0, %1)
  %4: f32[2] = sum(%3, axes=(0,), keepdims=False)
  %5: f32[3,2] = multiply(%4, w)
  %6: i64[] = constant(value=i64[]{1})
  %7: i64[] = add(steps, %6)
  return %4, x
  update w = %5
  update steps = %7
}"""


def training() -> Graph:
    """The graph that `TRAINING` is the text of."""
    x = gw.input("x", ("batch", 3))
    w = gw.parameter("w", np.zeros((3, 2), np.float32))
    steps = gw.parameter("steps", np.int64(0))
    y = x @ w
    chosen = gw.ops.where(y > 0.5, y, 0.5)
    half = chosen.node.inputs[2]
    y = gw.ops.where(gw.ops.greater(y, half), y, half)
    total = y.sum(0)
    return Graph([x], [total, x], {w: total * w, steps: steps + 1})


def round_trip(graph: Graph) -> None:
    """A graph's text reads back as the same graph, which prints the same text."""
    printed = text(graph)
    again = parse(printed)
    assert again == graph
    assert text(again) == printed
    assert parse(printed, graph.parameters).parameters == graph.parameters


@register
class Everything(Operator):
    """An operator with an attribute of any kind."""

    name = "test_everything"

    value: Any

    def infer(self) -> Any:
        return gw.TensorType(gw.float32, ())
