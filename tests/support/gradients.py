"""Symbolic gradients of one operator, and the finite differences that they are held against."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

import graphwright as gw
from graphwright.compiler.differentiate import grad
from graphwright.graph.dtype import is_floating
from graphwright.graph.evaluate import evaluate_graph
from graphwright.graph.graph import Graph
from graphwright.graph.tensor import Tensor
from support.cases import Example

Arrays = list[np.ndarray]
Sizes = dict[str, int]


@dataclass
class Derivatives:
    """First and second derivatives of one operator, as graphs.

    The first is the gradient, by the floating inputs x, of ⟨w, f(x)⟩; the second is the gradient
    of ⟨v, first⟩. The weights w (one per floating output) and v (one per floating input) are
    inputs of the graphs, after the operator's own.
    """

    values: Graph
    first: Graph
    second: Graph
    variables: list[int]
    """The positions of the floating inputs."""

    @classmethod
    def of(cls, example: Example) -> Derivatives:
        xs = example.inputs()
        outputs = [out for out in example.op.apply(*xs) if is_floating(out.dtype)]
        variables = [i for i, x in enumerate(xs) if is_floating(x.dtype)]
        wanted = [xs[i] for i in variables]
        ws = _weights("w", outputs)
        first = grad(_inner(outputs, ws), wanted, disconnected="zero")
        vs = _weights("v", wanted)
        second = grad(_inner(first, vs), wanted, disconnected="zero")
        return cls(
            Graph(xs, outputs),
            Graph([*xs, *ws], first),
            Graph([*xs, *ws, *vs], second),
            variables,
        )

    def direction(
        self, xs: Arrays, smooth: bool | tuple[int, ...], random: np.random.Generator
    ) -> Arrays:
        """A random direction: steps relative to each element, so that none changes its sign."""
        steps = []
        for i, x in enumerate(xs):
            moves = i in self.variables and (smooth is True or i in (smooth or ()))
            size = np.where(x == 0, 1, np.abs(x)) if moves else np.zeros(x.shape)
            steps.append(size * random.uniform(0.5, 1, x.shape) * random.choice([-1, 1], x.shape))
        return steps


def weights(graph: Graph, sizes: Sizes, random: np.random.Generator) -> Arrays:
    """Random weights like the outputs of `graph`."""
    return [random.uniform(0.5, 1.5, out.type.bind(sizes).shape) for out in graph.outputs]


def evaluated(graph: Graph, arrays: Sequence[np.ndarray], sizes: Sizes) -> Arrays:
    """The outputs of `graph`, each of the type that the graph says."""
    values = dict(zip(graph.inputs, arrays, strict=True))
    outputs = list(evaluate_graph(graph, values, sizes))
    for array, tensor in zip(outputs, graph.outputs, strict=True):
        kind = tensor.type.bind(sizes)
        assert (array.dtype, array.shape) == (kind.dtype, kind.shape)
    return outputs


def directional(
    f: Callable[[Arrays], Arrays], xs: Arrays, steps: Arrays, h: float = 1e-3
) -> Arrays:
    """The derivative of `f` at `xs` along `steps`.

    Central differences at h, h/2 and h/4, extrapolated twice to h = 0 (Richardson): the error is
    of order h⁶ and of rounding/h.
    """
    rows = []
    for step in (h, h / 2, h / 4):
        ahead = f([x + step * d if d.any() else x for x, d in zip(xs, steps, strict=True)])
        behind = f([x - step * d if d.any() else x for x, d in zip(xs, steps, strict=True)])
        rows.append([(a - b) / (2 * step) for a, b in zip(ahead, behind, strict=True)])
    once = [[(4 * b - a) / 3 for a, b in zip(*pair, strict=True)] for pair in pairwise(rows)]
    return [(16 * b - a) / 15 for a, b in zip(*once, strict=True)]


def _weights(letter: str, tensors: Sequence[Tensor]) -> list[Tensor]:
    return [gw.input(f"{letter}{i}", t.shape, t.dtype) for i, t in enumerate(tensors)]


def _inner(tensors: Sequence[Tensor], ws: Sequence[Tensor]) -> Tensor:
    total = gw.ops.as_tensor(np.zeros(()))
    for tensor, w in zip(tensors, ws, strict=True):
        total = total + (tensor * w).sum()
    return total
