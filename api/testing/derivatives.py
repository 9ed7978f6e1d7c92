"""Symbolic derivatives of both orders, and the finite differences that they are held against."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graphwright.compiler.differentiate import grad
from graphwright.graph.dim import Sizes
from graphwright.graph.dtype import is_floating
from graphwright.graph.errors import CheckError
from graphwright.graph.graph import Graph
from graphwright.graph.leaf import Input
from graphwright.graph.tensor import Tensor
from graphwright.ops.convert import as_tensor

Arrays = list[NDArray[Any]]

# How far derivatives may be from finite differences in float64, relative to their terms' sizes.
TOLERANCE = 1e-6
# How far to go for the differences, relative to each element.
STEP = 1e-3
HINT = (
    "compare the gradient with the formula, term by term; where the function has kinks or jumps "
    "finite differences say nothing"
)


@dataclass
class Derivatives:
    """First and second derivatives of a function f, as graphs.

    The first is the gradient, by the floating inputs x, of ⟨w, f(x)⟩; the second is the gradient
    of ⟨v, first⟩. The weights w (one per floating output) and v (one per floating input) are
    inputs of the graphs, after the function's own.
    """

    values: Graph
    first: Graph
    second: Graph
    variables: list[int]
    """The positions of the floating inputs."""

    @classmethod
    def of(
        cls, xs: Sequence[Tensor], outputs: Sequence[Tensor], variables: Sequence[int] | None = None
    ) -> Derivatives:
        """variables: the positions in `xs` to differentiate by; None for all that are floating."""
        outputs = [out for out in outputs if is_floating(out.dtype)]
        if variables is None:
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
            list(variables),
        )


def random_weights(graph: Graph, sizes: Sizes, random: np.random.Generator) -> Arrays:
    """Random weights like the outputs of `graph`."""
    return [random.uniform(0.5, 1.5, out.type.bind(sizes).shape) for out in graph.outputs]


def random_steps(xs: Arrays, moving: Sequence[int], random: np.random.Generator) -> Arrays:
    """A random direction: steps relative to each element, so that none changes its sign."""
    steps = []
    for i, x in enumerate(xs):
        size = np.where(x == 0, 1, np.abs(x)) if i in moving else np.zeros(x.shape)
        steps.append(size * random.uniform(0.5, 1, x.shape) * random.choice([-1, 1], x.shape))
    return steps


def directional(
    f: Callable[[Arrays], Arrays], xs: Arrays, steps: Arrays, h: float = STEP
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


def products(some: Arrays, others: Arrays) -> Arrays:
    """Element by element."""
    return [one * other for one, other in zip(some, others, strict=True)]


@dataclass
class Slope:
    """The slope of ⟨weights, f⟩ at `xs` along `steps`, by finite differences.

    A step may cross a kink that lies near, so that a hundredth of it is tried before anything is
    said to be wrong.
    """

    f: Callable[[Arrays], Arrays]
    xs: Arrays
    steps: Arrays
    weights: Arrays
    step: float = STEP
    tolerance: float = TOLERANCE

    def check(self, what: str, terms: Arrays) -> None:
        """Raise CheckError unless it is the sum of `terms`, which is what `what` says."""
        slope = sum(float(each.sum()) for each in terms)
        for h in (self.step, self.step / 100):
            differences = directional(self.f, self.xs, self.steps, h)
            measured = products(self.weights, differences)
            expected = sum(float(each.sum()) for each in measured)
            scale = sum(float(np.abs(each).sum()) for each in [*terms, *measured])
            if abs(slope - expected) <= self.tolerance * scale + 1e-9:
                return
        raise CheckError(
            f"{what} is not the slope",
            details=[
                ("expected", f"{expected:.9g} along a random direction, by finite differences"),
                ("got", f"{slope:.9g}"),
            ],
            hint=HINT,
        )


def _weights(letter: str, tensors: Sequence[Tensor]) -> list[Tensor]:
    return [Input(f"__{letter}:{i}", t.type)() for i, t in enumerate(tensors)]


def _inner(tensors: Sequence[Tensor], ws: Sequence[Tensor]) -> Tensor:
    total = as_tensor(np.zeros(()))
    for tensor, w in zip(tensors, ws, strict=True):
        total = total + (tensor * w).sum()
    return total
