"""Running sums, products and extremes along an axis; and differences, which undo sums."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import DTypeLike, NDArray

from graphwright.graph.dim import Dim, Size
from graphwright.graph.dtype import DType, is_boolean, is_floating
from graphwright.graph.errors import AttributeValueError, DTypeError
from graphwright.graph.operator import Operator, register
from graphwright.graph.tensor import Tensor, TensorLike
from graphwright.graph.types import TensorType
from graphwright.ops.arithmetic import subtract
from graphwright.ops.case import Case, Reject, Within, bool_, f16, f32, f64, i8, i32, u8
from graphwright.ops.checks import check_floating
from graphwright.ops.comparison import equal, not_equal
from graphwright.ops.convert import as_floating, as_tensor, builder, cast
from graphwright.ops.elementwise import in_single_precision
from graphwright.ops.exponential import exp
from graphwright.ops.indexing import index
from graphwright.ops.joining import concatenate
from graphwright.ops.logical import isinf, isnan, logical_not
from graphwright.ops.movement import reshape
from graphwright.ops.padding import pad
from graphwright.ops.recurrence import LinearRecurrence, neighbour
from graphwright.ops.selection import where
from graphwright.ops.shapes import check_axis, normalize_axis


class Cumulative(Operator):
    """All elements up to each one along an axis, combined; `reverse`: from each one on."""

    ufunc: ClassVar[Any]
    """NumPy's function that combines two."""

    axis: int
    reverse: bool

    def infer(self, x: TensorType) -> TensorType:
        check_axis(self.axis, x.rank)
        return x

    def kernel(self, x: NDArray[Any]) -> Any:
        return self.accumulated(x)

    def accumulated(self, x: NDArray[Any]) -> Any:
        forward = np.flip(x, self.axis) if self.reverse else x
        out = type(self).ufunc.accumulate(forward, self.axis)
        return np.flip(out, self.axis) if self.reverse else out

    def flops(self, x: TensorType) -> Size:
        return x.size

    def batch(self, mapped: Sequence[bool], x: Tensor) -> Tensor:
        return replace(self, axis=self.axis + 1)(x)

    def before(self, tensor: Tensor, edge: bool | float) -> Tensor:
        """At each place, what `tensor` has where the running value comes from."""
        return neighbour(tensor, self.axis, self.reverse, edge)

    def after(self, tensor: Tensor, edge: bool | float) -> Tensor:
        """At each place, what `tensor` has where the running value goes to."""
        return neighbour(tensor, self.axis, not self.reverse, edge)

    def backwards(self, factor: Tensor, g: Tensor) -> Tensor:
        """The gradients that come together at each place: out[t] = g[t] + factor[t] · out[t+1]."""
        return LinearRecurrence(self.axis, not self.reverse)(factor, g)

    rejects: ClassVar[tuple[Reject, ...]] = (
        Reject(f32[2, 3], axis=2, reverse=False, message="axis 2 is out of range for rank 2"),
        Reject(f32[2, 3], axis=-1, reverse=True, message="axis -1 must be counted from the front"),
        Reject(f32[()], axis=0, reverse=False, message="axis 0 is out of range for rank 0"),
    )


class Accumulation(Cumulative):
    """Running sums and products: booleans and small integers in int64, as in NumPy."""

    def infer(self, x: TensorType) -> TensorType:
        return super().infer(x).with_dtype(self._wide(x.dtype))

    def kernel(self, x: NDArray[Any]) -> Any:
        return self._rounded_once(x) if is_floating(x.dtype) else self.accumulated(x)

    def accumulated(self, x: NDArray[Any]) -> Any:
        return super().accumulated(x.astype(self._wide(x.dtype), copy=False))

    @in_single_precision
    def _rounded_once(self, x: NDArray[Any]) -> Any:
        return self.accumulated(x)

    def _wide(self, dtype: DType) -> DType:
        return np.asarray(np.add.reduce(np.empty(0, dtype))).dtype

    cases = (
        Case(f32["n", 3], axis=0, reverse=False),
        Case(f64[2, "n"], axis=1, reverse=True),
        Case(f64[2, 3, 2], axis=1, reverse=False),
        Case(i8[3, 2], axis=0, reverse=True),
        Case(u8[4], axis=0, reverse=False),
        Case(bool_[4], axis=0, reverse=False),
        Case(Within(f16[40], 0.9, 1.1), axis=0, reverse=False),
        Case([[2.0, 0.0, 3.0, 1.5], [0.0, -1.0, 0.0, 4.0]], axis=1, reverse=False),
        Case([1.0, np.inf, 2.0, -np.inf, 3.0, np.nan], axis=0, reverse=False, smooth=False),
    )


@register
class CumSum(Accumulation):
    """The sums of all elements up to each one along an axis: out[t] = Σ x[s] over s ≤ t.

    dx[t] = Σ g[s] over s ≥ t, the sum the other way
    """

    name = "cumsum"
    ufunc = np.add

    def gradient(self, x: Tensor, out: Tensor, g: Tensor) -> Tensor:
        return CumSum(self.axis, not self.reverse)(g)


@register
class CumProd(Accumulation):
    """The products of all elements up to each one along an axis: out[t] = Π x[s] over s ≤ t.

    dx[t] = out[t-1] · r[t], where r[t] = g[t] + x[t+1] · r[t+1]: no division, so zeros do no harm
    """

    name = "cumprod"
    ufunc = np.multiply

    def gradient(self, x: Tensor, out: Tensor, g: Tensor) -> Tensor:
        return self.before(out, 1) * self.backwards(self.after(x, 0), g)


class RunningExtreme(Cumulative):
    """Running maxima and minima: nan from the first nan on.

    The gradient of each output goes to the element it is, the first of several that are equal.
    """

    def infer(self, x: TensorType) -> TensorType:
        if is_boolean(x.dtype):
            raise DTypeError(f"needs a number input, got {x}", hint="convert it with .astype")
        return super().infer(x)

    def gradient(self, x: Tensor, out: Tensor, g: Tensor) -> Tensor:
        lasts = equal(out, self.after(out, 0)) | isnan(out)
        arriving = self.backwards(cast(lasts, x.dtype), g)
        return where(logical_not(self.before(lasts, False)), arriving, 0)

    cases = (
        Case(f32["n", 3], axis=0, reverse=False),
        Case(f64[2, "n"], axis=1, reverse=True),
        Case(i32[4, 2], axis=0, reverse=False),
        Case([[1.0, 3.0, 3.0, 2.0], [1.0, 1.0, 0.0, 5.0]], axis=1, reverse=False, smooth=False),
        Case([[1.0, np.nan, 2.0], [-np.inf, np.inf, np.nan]], axis=1, reverse=False, smooth=False),
    )
    rejects = (
        *Cumulative.rejects,
        Reject(bool_[2], axis=0, reverse=False, message="needs a number input, got bool[2]"),
    )


@register
class CumMax(RunningExtreme):
    """The largest of all elements up to each one along an axis; nan from the first nan on.

    dx[t] = Σ g[s] over those s at which x[t] is the running maximum (the first such, if several)
    """

    name = "cummax"
    ufunc = np.maximum


@register
class CumMin(RunningExtreme):
    """The smallest of all elements up to each one along an axis; nan from the first nan on.

    dx[t] = Σ g[s] over those s at which x[t] is the running minimum (the first such, if several)
    """

    name = "cummin"
    ufunc = np.minimum


@register
class LogCumSumExp(Cumulative):
    """out[t] = log Σ exp(x[s]) over s ≤ t, without overflow; -inf as long as all of x is.

    dx[t] = exp(x[t] - out[t]) · r[t], where r[t] = g[t] + exp(out[t] - out[t+1]) · r[t+1]
    """

    name = "logcumsumexp"
    ufunc = np.logaddexp

    def infer(self, x: TensorType) -> TensorType:
        check_floating(x)
        return super().infer(x)

    @in_single_precision
    def kernel(self, x: NDArray[Any]) -> Any:
        return self.accumulated(x)

    def gradient(self, x: Tensor, out: Tensor, g: Tensor) -> Tensor:
        passing = exp(_difference(out, self.after(out, np.inf)))
        return exp(_difference(x, out)) * self.backwards(passing, g)

    cases = (
        Case(f32["n", 3], axis=0, reverse=False),
        Case(f64[2, "n"], axis=1, reverse=True),
        Case([1e3, 1e3, -1e3, 1001.0], axis=0, reverse=False, smooth=False),
        Case([[-np.inf, -np.inf, 1.0], [2.0, np.inf, 0.0]], axis=1, reverse=False, smooth=False),
        Case([1.0, np.nan, 2.0], axis=0, reverse=False, smooth=False),
    )
    rejects = (
        *Cumulative.rejects,
        Reject(i32[2], axis=0, reverse=False, message="needs a floating input, got i32[2]"),
    )


def _difference(x: Tensor, y: Tensor) -> Tensor:
    """x - y, 0 for equal infinities."""
    return where(equal(x, y) & isinf(x), 0, x - y)


@builder
def cumsum(x: TensorLike, axis: int | None = None, reverse: bool = False) -> Tensor:
    """The running sum of `x` along `axis`, or of the flattened `x` for None; see `CumSum`.

    reverse: from each element to the end, instead of from the start to it
    """
    return _along(CumSum, as_tensor(x), axis, reverse)


@builder
def cumprod(x: TensorLike, axis: int | None = None, reverse: bool = False) -> Tensor:
    """The running product of `x` along `axis`, or of the flattened `x` for None; see `CumProd`."""
    return _along(CumProd, as_tensor(x), axis, reverse)


@builder
def cummax(x: TensorLike, axis: int | None = None, reverse: bool = False) -> Tensor:
    """The running maximum of `x` along `axis`, or of the flattened `x` for None; see `CumMax`."""
    return _along(CumMax, as_tensor(x), axis, reverse)


@builder
def cummin(x: TensorLike, axis: int | None = None, reverse: bool = False) -> Tensor:
    """The running minimum of `x` along `axis`, or of the flattened `x` for None; see `CumMin`."""
    return _along(CumMin, as_tensor(x), axis, reverse)


@builder
def logcumsumexp(x: TensorLike, axis: int | None = None, reverse: bool = False) -> Tensor:
    """log of the running sum of exp(x) along `axis`, or of the flattened `x` for None.

    Integers become float64. See `LogCumSumExp`.
    """
    return _along(LogCumSumExp, as_floating(x), axis, reverse)


@builder
def cumulative_sum(
    x: TensorLike,
    axis: int | None = None,
    dtype: DTypeLike | None = None,
    include_initial: bool = False,
) -> Tensor:
    """`cumsum` as the Python array API standard has it.

    axis:            needed unless the rank is 1
    dtype:           of the result, to which `x` is converted first
    include_initial: whether the 0 that sums begin with comes first
    """
    return _with_initial(CumSum, x, axis, dtype, 0 if include_initial else None)


@builder
def cumulative_prod(
    x: TensorLike,
    axis: int | None = None,
    dtype: DTypeLike | None = None,
    include_initial: bool = False,
) -> Tensor:
    """`cumprod` as the Python array API standard has it; the parameters are `cumulative_sum`'s."""
    return _with_initial(CumProd, x, axis, dtype, 1 if include_initial else None)


@builder
def diff(
    x: TensorLike,
    n: int = 1,
    axis: int = -1,
    prepend: TensorLike | None = None,
    append: TensorLike | None = None,
) -> Tensor:
    """The differences x[i+1] - x[i] along `axis`, `n` times over; of booleans, where they differ.

    prepend, append: what to put around `x` along `axis` first
    Raises AttributeValueError for a negative n.
    """
    tensor = as_tensor(x)
    place = normalize_axis(axis, tensor.ndim)
    if n < 0:
        raise AttributeValueError(f"n can't be negative, got {n}")
    around = [part for part in (prepend, tensor, append) if part is not None]
    tensor = concatenate(around, place)
    lead = (slice(None),) * place
    size = tensor.shape[place]
    for _ in range(n if isinstance(size, Dim) else min(n, size)):  # of none, there are none
        behind, ahead = index(tensor, (*lead, slice(-1))), index(tensor, (*lead, slice(1, None)))
        tensor = (not_equal if is_boolean(tensor.dtype) else subtract)(ahead, behind)
    return tensor


def _along(op: type[Cumulative], x: Tensor, axis: int | None, reverse: bool) -> Tensor:
    if axis is None:
        return op(0, reverse)(reshape(x, (-1,)))
    return op(normalize_axis(axis, x.ndim), reverse)(x)


def _with_initial(
    op: type[Cumulative],
    x: TensorLike,
    axis: int | None,
    dtype: DTypeLike | None,
    initial: int | None,
) -> Tensor:
    tensor = as_tensor(x) if dtype is None else cast(x, dtype)
    if axis is None and tensor.ndim != 1:
        raise AttributeValueError(f"rank {tensor.ndim} needs an axis", hint="name it: axis=0")
    place = normalize_axis(axis or 0, tensor.ndim)
    out = op(place, False)(tensor)
    if dtype is not None:
        out = cast(out, dtype)
    if initial is None:
        return out
    widths: list[tuple[Size, Size]] = [(0, 0)] * out.ndim
    widths[place] = (1, 0)
    return pad(out, widths, value=initial)
