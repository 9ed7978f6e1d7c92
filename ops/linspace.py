"""Numbers at equal distances between two ends."""

from __future__ import annotations

import math
from typing import Any

from numpy.typing import DTypeLike

from graphwright.graph.dim import Size, dim, maximum
from graphwright.graph.dtype import as_dtype, float32, float64, int64, is_floating, short_name
from graphwright.graph.errors import AttributeValueError, DTypeError
from graphwright.graph.operator import register
from graphwright.graph.tensor import Tensor, TensorLike
from graphwright.graph.types import TensorType
from graphwright.ops.arithmetic import power
from graphwright.ops.case import Case, Reject, f32, f64, i32
from graphwright.ops.checks import check_same_dtype
from graphwright.ops.comparison import equal
from graphwright.ops.composite import Composite
from graphwright.ops.convert import as_floating, as_tensor, builder, cast, promoted
from graphwright.ops.creation import Arange
from graphwright.ops.logical import logical_and
from graphwright.ops.movement import reshape
from graphwright.ops.selection import where
from graphwright.ops.shapes import broadcast, check_sizes
from graphwright.ops.statistics import widened


@register
class Linspace(Composite):
    """`size` numbers from `start` to `stop`, at equal distances along a new first axis.

    out[i] = start + i (stop - start)/(size - 1), or with `endpoint` False (which leaves out the
    last) start + i (stop - start)/size; the last number is `stop` to the bit
    16-bit floats are computed as float32.
    """

    name = "linspace"

    size: Size
    endpoint: bool

    def infer(self, start: TensorType, stop: TensorType) -> TensorType:
        check_sizes((self.size,))
        check_same_dtype(start, stop)
        if not is_floating(start.dtype):
            raise DTypeError(f"needs floating ends, got {start}", hint="convert them with .astype")
        return start.with_shape((self.size, *broadcast(start.shape, stop.shape)))

    def decompose(self, start: Tensor, stop: Tensor) -> Tensor:
        first, last = widened(start), widened(stop)
        rank = max(start.ndim, stop.ndim)
        count = self.size - 1 if self.endpoint else self.size
        place = reshape(Arange(0, 1, self.size, int64)(), (self.size, *(1,) * rank))
        step = (last - first) / maximum(count, 1)
        numbers = first + cast(place, first.dtype) * step
        if self.endpoint:
            numbers = where(logical_and(equal(place, count), place > 0), last, numbers)
        return cast(numbers, start.dtype)

    cases = (
        Case(f32[()], f32[()], size=5, endpoint=True),
        Case(f64[()], f64[2], size=dim("n"), endpoint=True),
        Case(f64[2, 1], f64[3], size=4, endpoint=False),
        Case(f64["n"], f64["n"], size=1, endpoint=True),
        Case([0.0, 1.0], [10.0, -0.3], size=11, endpoint=True),
    )
    rejects = (
        Reject(f32[()], f64[()], size=3, endpoint=True, message="dtypes differ: f32 and f64"),
        Reject(i32[()], i32[()], size=3, endpoint=True, message="needs floating ends, got i32[]"),
        Reject(f32[2], f32[3], size=3, endpoint=True, message="shapes [2] and [3] differ"),
        Reject(f32[2], f32[2], size=-3, endpoint=True, message="a size can't be negative, got -3"),
    )


@builder
def linspace(
    start: TensorLike,
    stop: TensorLike,
    size: Size,
    endpoint: bool = True,
    dtype: DTypeLike | None = None,
) -> Tensor:
    """`size` numbers from `start` to `stop`, at equal distances along a new first axis.

    start, stop: numbers, or tensors of them (which broadcast)
    endpoint:    whether the last number is `stop`, rather than one step before it
    dtype:       that of the ends unless given; float32 for Python's numbers

    Raises DTypeError for a dtype that is not floating.
    """
    return cast(_between(start, stop, size, endpoint), _floating(dtype, start, stop))


@builder
def logspace(
    start: TensorLike,
    stop: TensorLike,
    size: Size,
    endpoint: bool = True,
    base: float = 10.0,
    dtype: DTypeLike | None = None,
) -> Tensor:
    """`size` powers of `base`, with exponents as `linspace` gives them.

    Raises AttributeValueError for a base that is not more than 0, and finite.
    """
    if not 0 < base < math.inf:
        raise AttributeValueError(f"the base must be more than 0, and finite; got {base}")
    exponents = _between(start, stop, size, endpoint)
    return cast(power(base, exponents), _floating(dtype, start, stop))


def _between(start: TensorLike, stop: TensorLike, size: Size, endpoint: bool) -> Tensor:
    if _plain(start, stop):  # in double precision, whatever they become
        ends: tuple[Tensor, ...] = as_tensor(start, float64), as_tensor(stop, float64)
    else:
        ends = promoted(*(as_floating(end) for end in promoted(start, stop)))
    return Linspace(size, bool(endpoint))(*ends)


def _floating(dtype: DTypeLike | None, start: TensorLike, stop: TensorLike) -> Any:
    if dtype is None:
        return float32 if _plain(start, stop) else as_floating(promoted(start, stop)[0]).dtype
    target = as_dtype(dtype)
    if not is_floating(target):
        raise DTypeError(f"needs a floating dtype, got {short_name(target)}", hint="see arange")
    return target


def _plain(*values: TensorLike) -> bool:
    """Whether these are Python's own numbers."""
    return all(type(value) in (int, float) for value in values)
