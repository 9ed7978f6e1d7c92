"""Arrays for the examples of rewrite rules, the same in every run, and graphs run on them."""

from __future__ import annotations

import zlib

import numpy as np

from graphwright.graph.dim import evaluate
from graphwright.graph.dtype import is_floating, is_integer
from graphwright.graph.evaluate import evaluate_graph
from graphwright.graph.graph import Graph
from graphwright.graph.tensor import Tensor
from graphwright.graph.types import TensorType
from graphwright.ops.case import Within

SIZES = {"n": 4}


def type_of(operand: TensorType | Within) -> TensorType:
    """The type of an operand, with a range or without."""
    return operand.type if isinstance(operand, Within) else operand


def drawn(operand: TensorType | Within, seed: str) -> np.ndarray:
    """Random numbers of an operand's type, within its range."""
    kind = type_of(operand)
    low, high = (operand.low, operand.high) if isinstance(operand, Within) else (-2, 2)
    random = np.random.default_rng(zlib.crc32(seed.encode()))
    shape = evaluate(kind.shape, SIZES)
    if is_floating(kind.dtype):
        return random.uniform(low, high, shape).astype(kind.dtype)
    if is_integer(kind.dtype):
        return random.integers(0 if kind.dtype.kind == "u" else -4, 5, shape).astype(kind.dtype)
    return random.integers(0, 2, shape).astype(bool)


def run(graph: Graph, arrays: list[np.ndarray]) -> tuple[np.ndarray, ...]:
    """The outputs of a graph for these arrays."""
    values: dict[Tensor, np.ndarray] = dict(zip(graph.inputs, arrays, strict=True))
    return evaluate_graph(graph, values, SIZES)
