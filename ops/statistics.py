"""Composite reductions: mean, variance, standard deviation, log-sum-exp."""

from __future__ import annotations

import numpy as np

from graphwright.graph.dim import Dim
from graphwright.graph.dtype import DType, float32, float64, is_floating
from graphwright.graph.errors import AttributeValueError
from graphwright.graph.operator import register
from graphwright.graph.tensor import Axis, Tensor, TensorLike
from graphwright.graph.types import TensorType
from graphwright.ops.arithmetic import square
from graphwright.ops.case import Case, Reject, Within, bool_, f16, f32, f64, i32
from graphwright.ops.checks import check_floating
from graphwright.ops.comparison import greater
from graphwright.ops.composite import Composite
from graphwright.ops.convert import SizeValue, as_floating, as_tensor, builder, cast
from graphwright.ops.exponential import exp, log, sqrt
from graphwright.ops.reduction import Max, Reduction, Sum, refuse_empty
from graphwright.ops.selection import stop_gradient, where
from graphwright.ops.shapes import normalize_axes


def wide_dtype(dtype: DType) -> DType:
    """What to compute in for a dtype: float32 for 16-bit floats, itself for others."""
    return float32 if is_floating(dtype) and dtype.itemsize == 2 else dtype


def widened(x: Tensor) -> Tensor:
    """`x` in a dtype fit for sums: 16-bit floats as float32, integers and booleans as float64."""
    return cast(x, wide_dtype(x.dtype) if is_floating(x.dtype) else float64)


class _Statistic(Composite, Reduction):
    """Mean and variance: 16-bit floats are summed as float32; integers become float64."""

    def infer(self, x: TensorType) -> TensorType:
        dtype = x.dtype if is_floating(x.dtype) else float64
        return TensorType(dtype, self.reduced(x.shape))


@register
class Mean(_Statistic):
    """The sum over axes divided by the number of elements; nan for none.

    d/dx = 1 / count
    """

    name = "mean"

    def decompose(self, x: Tensor) -> Tensor:
        mean = Sum(self.axes, self.keepdims)(widened(x)) / self.count(x.shape)
        return cast(mean, self.infer(x.type).dtype)

    cases = (
        Case(f32["n", 4], axes=(1,), keepdims=False),
        Case(f32["n", 4], axes=(0,), keepdims=True),
        Case(f64[2, 3, 4], axes=(0, 2), keepdims=False),
        Case(f64[()], axes=(), keepdims=False),
        Case(i32["n", 3], axes=(0,), keepdims=False),
        Case(bool_[4], axes=(0,), keepdims=False),
        Case(Within(f16[4], 6e4, 6.1e4), axes=(0,), keepdims=False, smooth=False),
    )
    rejects = (
        Reject(f32[2, 3], axes=(2,), keepdims=False, message="axis 2 is out of range for rank 2"),
    )


@register
class Var(_Statistic):
    """The variance over axes: Σ (x - mean)² / (count - correction).

    correction: 0 for the variance of the elements themselves, 1 for the unbiased estimate from a
                sample (Bessel); nan where count - correction is 0 or less, as the Python array
                API standard has it
    d/dx = 2 (x - mean) / (count - correction)
    """

    name = "var"

    correction: int | float

    def infer(self, x: TensorType) -> TensorType:
        if self.correction < 0:
            raise AttributeValueError(f"the correction can't be negative, got {self.correction}")
        return super().infer(x)

    def decompose(self, x: Tensor) -> Tensor:
        wide = widened(x)
        centered = wide - Mean(self.axes, keepdims=True)(wide)
        count = self.count(x.shape)
        if isinstance(count, Dim):
            freedom = SizeValue(count, wide.dtype)() - self.correction
            divisor = where(freedom > 0, freedom, np.nan)
        else:
            left = count - self.correction
            divisor = as_tensor(left if left > 0 else np.nan, wide.dtype)
        squares = Sum(self.axes, self.keepdims)(square(centered))
        return cast(squares / divisor, self.infer(x.type).dtype)

    cases = (
        Case(f32["n", 4], axes=(1,), keepdims=False, correction=0),
        Case(f64["n", 3], axes=(0,), keepdims=True, correction=1),
        Case(f64[2, 3, 4], axes=(0, 2), keepdims=False, correction=1),
        Case(f64[3], axes=(0,), keepdims=False, correction=0.5),
        Case(i32[2, 3], axes=(1,), keepdims=False, correction=0),
        Case(f16[5], axes=(0,), keepdims=False, correction=0),
        Case([1.0, 2.0], axes=(0,), keepdims=False, correction=2, smooth=False),
        Case(f64[2, "n"], axes=(1,), keepdims=False, correction=3.5, smooth=False),
    )
    rejects = (
        Reject(f32[2], axes=(1,), keepdims=False, correction=0, message="axis 1 is out of range"),
        Reject(f32[2], axes=(0,), keepdims=False, correction=-1, message="can't be negative"),
    )


@register
class LogSumExp(Composite, Reduction):
    """log Σ exp(x) over axes, without overflow; -inf where all of x is.

    out = m + log Σ exp(x - m), where m = max(x), or 0 where that is infinite
    d/dx = exp(x - m) / Σ exp(x - m) (the softmax)
    """

    name = "logsumexp"

    def infer(self, x: TensorType) -> TensorType:
        check_floating(x)
        shape = self.reduced(x.shape)
        refuse_empty(self.name, x.shape, self.axes)
        return x.with_shape(shape)

    def decompose(self, x: Tensor) -> Tensor:
        wide = widened(x)
        shift = self._shift(wide)
        total = log(Sum(self.axes, keepdims=True)(exp(wide - shift))) + shift
        return cast(total, x.dtype).reshape(self.reduced(x.shape))

    def gradient(self, x: Tensor, out: Tensor, g: Tensor) -> Tensor:
        wide = widened(x)  # and not exp(x - out): the larger out is, the more of it is rounded away
        powers = exp(wide - stop_gradient(self._shift(wide)))
        share = widened(g) / Sum(self.axes, self.keepdims)(powers)
        return cast(self.spread(share, x) * powers, x.dtype)

    def _shift(self, x: Tensor) -> Tensor:
        """m, with axes of size 1."""
        largest = Max(self.axes, keepdims=True)(x)
        return where(abs(largest) < np.inf, largest, 0)

    cases = (
        Case(f32["n", 4], axes=(1,), keepdims=False),
        Case(f64[2, 3, 2], axes=(0, 2), keepdims=True),
        Case(f64[2], axes=(), keepdims=False),
        Case([[1e3, 1e3], [-1e3, -999.0]], axes=(1,), keepdims=False),
        Case(f16[2, 3], axes=(1,), keepdims=False),
        Case(
            [[np.inf, 1.0], [-np.inf, -np.inf], [np.nan, 0.0], [-np.inf, 2.0]],
            axes=(1,),
            keepdims=False,
            smooth=False,
        ),
    )
    rejects = (
        Reject(i32[3], axes=(0,), keepdims=False, message="needs a floating input, got i32[3]"),
        Reject(f32[2, 0], axes=(1,), keepdims=False, message="axis 1 is empty: it has no"),
        Reject(f32[2], axes=(1,), keepdims=False, message="axis 1 is out of range for rank 1"),
    )


@builder
def mean(x: TensorLike, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The mean of `x` over `axis` (one, several, or None for all); see `Mean`."""
    tensor = as_tensor(x)
    return Mean(normalize_axes(axis, tensor.ndim), keepdims)(tensor)


@builder
def var(
    x: TensorLike, axis: Axis = None, keepdims: bool = False, correction: int | float = 0
) -> Tensor:
    """The variance of `x` over `axis` (one, several, or None for all); see `Var`."""
    tensor = as_tensor(x)
    return Var(normalize_axes(axis, tensor.ndim), keepdims, correction)(tensor)


@builder
def std(
    x: TensorLike, axis: Axis = None, keepdims: bool = False, correction: int | float = 0
) -> Tensor:
    """The standard deviation of `x` over `axis`: the square root of `var`, with its parameters.

    Its derivative where all elements are equal, which does not exist, is 0, as that of norms is.
    """
    variance = var(x, axis, keepdims, correction)
    spread = greater(variance, 0)
    return where(spread, sqrt(where(spread, variance, 1)), variance)


@builder
def logsumexp(x: TensorLike, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """log Σ exp(x) over `axis` (one, several, or None for all); see `LogSumExp`."""
    tensor = as_floating(x)
    return LogSumExp(normalize_axes(axis, tensor.ndim), keepdims)(tensor)
