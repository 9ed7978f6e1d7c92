"""The larger, the smaller, and what is limited to lie between two bounds."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from graphwright.graph.dtype import DType, is_boolean, is_floating
from graphwright.graph.operator import register
from graphwright.graph.tensor import Tensor, TensorLike
from graphwright.graph.types import TensorType
from graphwright.ops.case import Case, Reject, Within, bool_, f32, f64, i32
from graphwright.ops.comparison import equal
from graphwright.ops.composite import Composite
from graphwright.ops.convert import as_tensor, cast
from graphwright.ops.elementwise import Binary, Elementwise, lowered_in_single_precision
from graphwright.ops.selection import where


class Extremum(Binary):
    """Maximum and minimum: the gradient goes to the input chosen, half to each where they tie."""

    commutative = True
    idempotent = True

    def gradient(self, x: Tensor, y: Tensor, out: Tensor, g: Tensor) -> tuple[Tensor, Tensor]:
        return g * self._share(x, y, out), g * self._share(y, x, out)

    def _share(self, mine: Tensor, other: Tensor, out: Tensor) -> Tensor:
        """1 where mine was chosen alone, ½ where both were, else 0."""
        chosen = cast(equal(mine, out), out.dtype)
        return chosen - 0.5 * cast(equal(mine, other), out.dtype)

    cases = (
        Case(f32["n", 4], f32[4], smooth=False),
        Case([1.0, 2.0, np.nan, -np.inf], [1.5, 0.5, 1.0, np.inf], smooth=False),
        Case([1.0, 2.0, -1.0], [1.5, 0.5, -3.0]),
        Case(i32["n"], i32["n"]),
    )


@register
class Maximum(Extremum):
    """The larger of x and y; nan if either is.

    d/dx = 1 where x > y, ½ where x = y, else 0
    """

    name = "maximum"
    identity_element = -math.inf
    ufunc = np.maximum

    @lowered_in_single_precision
    def lower(self, b: Any, x: Any, y: Any) -> Any:
        return extreme(b, y > x, x, y)


@register
class Minimum(Extremum):
    """The smaller of x and y; nan if either is.

    d/dx = 1 where x < y, ½ where x = y, else 0
    """

    name = "minimum"
    identity_element = math.inf
    ufunc = np.minimum

    @lowered_in_single_precision
    def lower(self, b: Any, x: Any, y: Any) -> Any:
        return extreme(b, y < x, x, y)


@register
class Clip(Composite, Elementwise):
    """min(max(x, low), high): x where it lies between the bounds, else the bound it exceeds.

    d/dx = 1 where low ≤ x ≤ high, else 0; the gradient of each bound is 1 where it is the result
    instead, else 0
    """

    name = "clip"

    def infer(self, x: TensorType, low: TensorType, high: TensorType) -> TensorType:
        return self.typed(x, low, high)

    def decompose(self, x: Tensor, low: Tensor, high: Tensor) -> Tensor:
        return minimum(maximum(x, low), high)

    def gradient(
        self, x: Tensor, low: Tensor, high: Tensor, out: Tensor, g: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        above = (x > high) | (low > high)
        below = (x < low) & (low <= high)
        return where(above | below, 0, g), where(below, g, 0), where(above, g, 0)

    cases = (
        Case(f32["n", 4], f32[()], f32[4], smooth=False),
        Case(f64[5], Within(f64[()], -1.01, -1), Within(f64[()], 1, 1.01)),
        Case([-3.0, 0.5, 3.0, 0.0], [-1.0, -1.0, -1.0, 2.0], [1.0, 1.0, 1.0, 1.0]),
        Case([-np.inf, np.inf, np.nan, 1.0], -1.0, 1.0, smooth=False),
        Case(i32["n"], i32[()], i32["n"]),
    )
    rejects = (
        Reject(bool_[2], bool_[()], bool_[()], message="needs a number input, got bool[2]"),
        Reject(f32[2], f64[()], f64[()], message="dtypes differ: f32 and f64 and f64"),
        Reject(f32[2], f32[3], f32[()], message="shapes [2] and [3] and [] differ: 2 != 3"),
    )


def extreme(b: Any, better: Any, x: Any, y: Any) -> Any:
    """Native: y where it is better than x, else x; nan if either is.

    better: `y > x` or `y < x`, false for nan. With a select this is one instruction, whose result
            is the nan of x; that of y takes two more, or none where y is known to be a number
    """
    chosen = b.select(better, y, x)
    # With y in place of its nan, LLVM would join the conditions, and not see that instruction.
    return b.select(y.differs(y), math.nan, chosen) if y.floating else chosen


def limits(dtype: DType) -> tuple[bool | int | float, bool | int | float]:
    """The smallest and the largest value of a dtype."""
    if is_floating(dtype):
        return -math.inf, math.inf
    if is_boolean(dtype):
        return False, True
    return int(np.iinfo(dtype).min), int(np.iinfo(dtype).max)


maximum = Maximum()
minimum = Minimum()


def clip(x: TensorLike, low: TensorLike | None = None, high: TensorLike | None = None) -> Tensor:
    """`x` limited to values from `low` to `high`, tensors or numbers; None is no bound.

    Where `low` exceeds `high`, the result is `high`. All broadcast, and are promoted, as in NumPy.
    """
    if low is None:
        return as_tensor(x) if high is None else minimum(x, high)
    return maximum(x, low) if high is None else Clip()(x, low, high)
