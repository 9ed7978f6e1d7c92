"""Tensors made of nothing: ranges, and arrays of one value."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any
from typing import cast as cast_type

import numpy as np
from numpy.typing import DTypeLike

from graphwright.graph.dim import Dim, Size, ceildiv, dim, positive
from graphwright.graph.dtype import (
    DType,
    as_dtype,
    float32,
    float64,
    int64,
    is_floating,
    is_integer,
)
from graphwright.graph.errors import AttributeValueError, DTypeError
from graphwright.graph.operator import Operator, register
from graphwright.graph.tensor import Tensor, TensorLike
from graphwright.graph.types import TensorType
from graphwright.ops.case import Case, Reject
from graphwright.ops.comparison import equal
from graphwright.ops.convert import Cast, as_tensor, builder, cast
from graphwright.ops.movement import broadcast_to, expand_dims
from graphwright.ops.shapes import ShapeLike, as_shape, check_sizes


@register
class Arange(Operator):
    """start, start + step, start + 2 step and so on: `size` numbers of `dtype`.

    out[i] = start + i·step, computed in int64 or float64 and then rounded to `dtype`
    """

    name = "arange"
    differentiable = False

    start: Size | float
    step: int | float
    size: Size
    dtype: DType

    def infer(self) -> TensorType:
        check_sizes((self.size,))
        whole = isinstance(self.start, int | Dim) and isinstance(self.step, int)
        if not (is_floating(self.dtype) or (is_integer(self.dtype) and whole)):
            raise DTypeError(f"numbers {self.start}, step {self.step} can't be {self.dtype}")
        if is_integer(self.dtype):
            self._check_range()
        return TensorType(self.dtype, (self.size,))

    def _check_range(self) -> None:
        limits, computed = np.iinfo(self.dtype), np.iinfo(int64)
        if isinstance(self.start, Dim) or isinstance(self.size, Dim) or not self.size:
            return
        for number in (self.start, self.start + (self.size - 1) * self.step):
            if not limits.min <= number <= min(limits.max, computed.max):
                raise AttributeValueError(f"{number} is out of the range of {self.dtype}")

    def kernel(self) -> Any:
        check_sizes((self.size,))
        start, size = cast_type(Any, self.start), cast_type(int, self.size)
        return (np.arange(size) * self.step + start).astype(self.dtype)

    def lower_at(self, b: Any, indices: Sequence[Any], number: Callable[[Size], Any]) -> Any:
        (index,) = indices
        start: Any = self.start
        if isinstance(start, int | Dim) and isinstance(self.step, int):
            place = index * self.step + number(start)
        else:
            offset = b.convert(index, float64) * self.step
            place = offset + (
                b.convert(number(start), float64) if isinstance(start, Dim) else start
            )
        return Cast(self.dtype).lower(b, place)

    def flops(self) -> Size:
        return 0

    cases = (
        Case(start=0, step=1, size=5, dtype=int64),
        Case(start=7, step=-2, size=4, dtype=np.dtype(np.int8)),
        Case(start=dim("n"), step=3, size=dim("n"), dtype=int64),
        Case(start=0, step=1, size=dim("n"), dtype=float32),
        Case(start=0.5, step=0.25, size=3, dtype=float32),
        Case(start=0, step=1, size=0, dtype=int64),
    )
    rejects = (
        Reject(start=0, step=1, size=-1, dtype=int64, message="a size can't be negative, got -1"),
        Reject(start=0.5, step=1, size=2, dtype=int64, message="step 1 can't be int64"),
        Reject(start=0, step=1, size=2, dtype=np.dtype(np.bool_), message="can't be bool"),
        Reject(start=0, step=1, size=200, dtype=np.dtype(np.int8), message="199 is out of the"),
    )


@builder
def arange(
    start: Size | float,
    stop: Size | float | None = None,
    step: int | float = 1,
    dtype: DTypeLike | None = None,
) -> Tensor:
    """The numbers from `start` (or 0, when only one number is given) up to `stop`, not included.

    start, stop: numbers, or symbolic sizes
    step:        a number, not 0; a whole one beside symbolic sizes
    dtype:       int64, or float32 when a number is a float

    Raises AttributeValueError for a step of 0, for floats beside symbolic sizes, and for numbers
    out of the dtype's range.
    """
    first, last = (0, _number(start)) if stop is None else (_number(start), _number(stop))
    stride = _number(step)
    if isinstance(stride, Dim) or stride == 0:
        raise AttributeValueError(f"the step must be a number other than 0, got {step}")
    whole = all(isinstance(number, int | Dim) for number in (first, last, stride))
    target = as_dtype(dtype) if dtype is not None else int64 if whole else float32
    return Arange(first, stride, _count(first, last, stride), target)()


def _number(value: Any) -> Size | float:
    """`value` as a Python number or a size."""
    number = value.item() if isinstance(value, np.generic) else value
    if isinstance(number, bool) or not isinstance(number, int | float | Dim):
        raise AttributeValueError(
            f"{value!r} is not a number", hint="tensors can't say how many elements there are"
        )
    return number


def _count(start: Size | float, stop: Size | float, step: int | float) -> Size:
    """How many numbers there are from `start` to `stop`."""
    if start == 0 and step == 1 and isinstance(stop, Dim):
        return stop  # most often the size of an axis, which is never negative
    if isinstance(start, int | Dim) and isinstance(stop, int | Dim) and isinstance(step, int):
        return positive(ceildiv(stop - start, step) if step > 0 else ceildiv(start - stop, -step))
    if isinstance(start, Dim) or isinstance(stop, Dim):
        raise AttributeValueError(
            f"from {start} to {stop} by {step}: a symbolic size goes with whole numbers only",
            hint="make a range of whole numbers, then multiply it",
        )
    count = (stop - start) / step
    if not math.isfinite(count):
        raise AttributeValueError(f"there is no end from {start} to {stop} by {step}")
    return max(math.ceil(count), 0)


@builder
def full(shape: ShapeLike, value: TensorLike, dtype: DTypeLike | None = None) -> Tensor:
    """A tensor of `shape` with `value` (broadcast) everywhere.

    dtype: the value's own unless given
    """
    filled = as_tensor(value, None if dtype is None else as_dtype(dtype))
    return broadcast_to(filled, as_shape(shape))


@builder
def zeros(shape: ShapeLike, dtype: DTypeLike = float32) -> Tensor:
    """A tensor of zeros."""
    return full(shape, 0, dtype)


@builder
def ones(shape: ShapeLike, dtype: DTypeLike = float32) -> Tensor:
    """A tensor of ones."""
    return full(shape, 1, dtype)


@builder
def full_like(x: TensorLike, value: TensorLike, dtype: DTypeLike | None = None) -> Tensor:
    """A tensor of the shape of `x`, and of its dtype unless given, with `value` everywhere."""
    tensor = as_tensor(x)
    return full(tensor.shape, value, tensor.dtype if dtype is None else dtype)


@builder
def zeros_like(x: TensorLike, dtype: DTypeLike | None = None) -> Tensor:
    """Zeros of the shape of `x`, and of its dtype unless given."""
    return full_like(x, 0, dtype)


@builder
def ones_like(x: TensorLike, dtype: DTypeLike | None = None) -> Tensor:
    """Ones of the shape of `x`, and of its dtype unless given."""
    return full_like(x, 1, dtype)


@builder
def eye(rows: Size, columns: Size | None = None, k: int = 0, dtype: DTypeLike = float32) -> Tensor:
    """The matrix with ones on the diagonal `k` and zeros elsewhere; square without `columns`."""
    check_sizes([size for size in (rows, columns) if size is not None])
    down = arange(rows)
    across = arange(rows if columns is None else columns)
    return cast(equal(expand_dims(down + k if k else down, 1), across), dtype)
