"""Order: sorting, the largest and the middle elements, and places in a sorted sequence.

Everywhere nan counts as larger than all numbers, as in NumPy: it comes last in ascending order.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from graphwright.graph.dim import Size, product
from graphwright.graph.dtype import float32, int64
from graphwright.graph.errors import AttributeValueError, ShapeError
from graphwright.graph.operator import Operator, register
from graphwright.graph.tensor import Tensor, TensorLike
from graphwright.graph.types import TensorType
from graphwright.ops.along_axis import PutAlongAxis, TakeAlongAxis
from graphwright.ops.batching import in_front
from graphwright.ops.case import Case, Reject, bool_, f32, f64, i32, i64, u8
from graphwright.ops.checks import check_same_dtype
from graphwright.ops.composite import Composite
from graphwright.ops.convert import as_tensor, builder, promoted
from graphwright.ops.creation import zeros_like
from graphwright.ops.movement import reshape
from graphwright.ops.shapes import check_axis, check_sizes, normalize_axis, shape_text
from graphwright.ops.slicing import slice


class _Ordering(Operator):
    """Sort and argsort: an axis, and which way."""

    axis: int
    descending: bool

    def infer(self, x: TensorType) -> TensorType:
        check_axis(self.axis, x.rank)
        return x

    def flops(self, x: TensorType) -> Size:
        return x.size

    def batch(self, mapped: Sequence[bool], x: Tensor) -> Tensor:
        return type(self)(self.axis + 1, self.descending)(x)

    cases = (
        Case(f32["n", 4], axis=1, descending=False),
        Case(f64["n", 2, 3], axis=0, descending=True),
        Case(i32[5], axis=0, descending=True),
        Case(u8[2, 3], axis=1, descending=False),
        Case(bool_[4], axis=0, descending=False),
        Case([[2.0, 1.0, 2.0, 1.0, 2.0]], axis=1, descending=False, smooth=False),
        Case([[2.0, 1.0, 2.0, 1.0, 2.0]], axis=1, descending=True, smooth=False),
        Case([1.0, np.nan, -np.inf, np.inf, np.nan], axis=0, descending=False),
        Case([1.0, np.nan, -np.inf, np.inf, np.nan], axis=0, descending=True),
    )
    rejects = (
        Reject(f32[2], axis=1, descending=False, message="axis 1 is out of range for rank 1"),
        Reject(f32[2], axis=-1, descending=False, message="must be counted from the front"),
        Reject(f32[()], axis=0, descending=False, message="axis 0 is out of range for rank 0"),
    )


@register
class Argsort(_Ordering):
    """Where in `x` the elements of the sorted `x` come from, along an axis; int64.

    Equal elements keep their order, in both directions. It has no derivative.
    """

    name = "argsort"
    differentiable = False

    def infer(self, x: TensorType) -> TensorType:
        return super().infer(x).with_dtype(int64)

    def kernel(self, x: NDArray[Any]) -> Any:
        x = _comparable(x)
        if not self.descending:
            return np.argsort(x, self.axis, kind="stable").astype(np.int64, copy=False)
        # Sorted from the other end, so that equal elements keep their order when all is turned.
        order = np.argsort(np.flip(x, self.axis), self.axis, kind="stable")
        return x.shape[self.axis] - 1 - np.flip(order, self.axis).astype(np.int64, copy=False)


@register
class Sort(_Ordering):
    """The elements of `x` in ascending or descending order along an axis.

    Each element has the gradient of its place; equal ones keep their order. The order of 0.0 and
    -0.0 is not defined.
    """

    name = "sort"

    def kernel(self, x: NDArray[Any]) -> Any:
        ordered = np.sort(_comparable(x), self.axis).astype(x.dtype, copy=False)
        return np.flip(ordered, self.axis) if self.descending else ordered

    def gradient(self, x: Tensor, out: Tensor, g: Tensor) -> Tensor:
        order = Argsort(self.axis, self.descending)(x)
        return PutAlongAxis(self.axis, "add")(zeros_like(x), order, g)


def _comparable(x: NDArray[Any]) -> NDArray[Any]:
    """`x`, in a dtype that NumPy itself can order."""
    return x.astype(float32) if x.dtype.kind == "V" else x


@builder
def sort(x: TensorLike, axis: int = -1, descending: bool = False) -> Tensor:
    """The elements of `x` in order along `axis`; nan last, or first when descending."""
    tensor = as_tensor(x)
    return Sort(normalize_axis(axis, tensor.ndim), bool(descending))(tensor)


@builder
def argsort(x: TensorLike, axis: int = -1, descending: bool = False) -> Tensor:
    """The indices that sort `x` along `axis`, for `take_along_axis`; equal ones keep their order.

    int64; nan last, or first when descending
    """
    tensor = as_tensor(x)
    return Argsort(normalize_axis(axis, tensor.ndim), bool(descending))(tensor)


@register
class Topk(Composite):
    """The `k` largest (or smallest) elements along an axis, in order, and their indices (int64).

    Of equal elements the first come first; nan is the largest (ONNX TopK). The gradient of each
    value goes to the element that it is.
    """

    name = "topk"

    k: Size
    axis: int
    largest: bool

    def infer(self, x: TensorType) -> tuple[TensorType, TensorType]:
        check_axis(self.axis, x.rank)
        size = x.shape[self.axis]
        check_sizes((self.k,))
        if isinstance(size, int) and isinstance(self.k, int) and self.k > size:
            raise ShapeError(
                f"axis {self.axis} of size {size} has no {self.k} elements",
                hint=f"k goes from 0 to {size}",
            )
        values = x.with_shape((*x.shape[: self.axis], self.k, *x.shape[self.axis + 1 :]))
        return values, values.with_dtype(int64)

    def decompose(self, x: Tensor) -> tuple[Tensor, Tensor]:
        before = self.axis
        order = Argsort(self.axis, self.largest)(x)
        indices = slice(order, (None,) * (before + 1), (*(None,) * before, self.k))
        return TakeAlongAxis(self.axis)(x, indices), indices

    cases = (
        Case(f32["n", 4], k=2, axis=1, largest=True),
        Case(f64[5, 2], k=3, axis=0, largest=False),
        Case(i32[3], k=0, axis=0, largest=True),
        Case([1.0, np.nan, 3.0, 3.0, -np.inf], k=4, axis=0, largest=True, smooth=False),
    )
    rejects = (
        Reject(f32[2], k=3, axis=0, largest=True, message="axis 0 of size 2 has no 3 elements"),
        Reject(f32[2], k=-1, axis=0, largest=True, message="a size can't be negative, got -1"),
        Reject(f32[2], k=1, axis=1, largest=True, message="axis 1 is out of range for rank 1"),
    )


@builder
def topk(x: TensorLike, k: Size, axis: int = -1, largest: bool = True) -> tuple[Tensor, Tensor]:
    """The `k` largest elements of `x` along `axis`, the largest first, and their indices (int64).

    largest: False for the smallest, the smallest first

    Raises ShapeError when there are fewer than k.
    """
    tensor = as_tensor(x)
    values, indices = Topk(k, normalize_axis(axis, tensor.ndim), bool(largest)).apply(tensor)
    return values, indices


@register
class Searchsorted(Operator):
    """Where each value would go in a sorted sequence, to keep it sorted; int64.

    sequence: ascending, [n]; or [batch..., n], one for each row of values
    values:   of any shape; or [batch..., m]
    side:     "left" for the number of elements < value, "right" for those <= value (NumPy); nan
              counts as the largest number

    It has no derivative: the result is piecewise constant.
    """

    name = "searchsorted"
    differentiable = False

    side: Literal["left", "right"]

    def infer(self, sequence: TensorType, values: TensorType) -> TensorType:
        if self.side not in ("left", "right"):
            raise AttributeValueError(f'the side must be "left" or "right", got {self.side!r}')
        check_same_dtype(sequence, values)
        if not sequence.rank:
            raise ShapeError("needs a sequence of rank 1 or more, got 0")
        if sequence.rank > 1 and sequence.shape[:-1] != values.shape[:-1]:
            raise ShapeError(
                f"sequences {shape_text(sequence.shape)} and values {shape_text(values.shape)} "
                "differ before the last axis",
                hint="give one row of values for each sequence",
            )
        return values.with_dtype(int64)

    def kernel(self, sequence: NDArray[Any], values: NDArray[Any]) -> Any:
        sequence, values = _comparable(sequence), _comparable(values)
        out = np.empty(values.shape, np.int64)
        lead = sequence.shape[:-1]
        for index in np.ndindex(lead):
            out[index] = np.searchsorted(sequence[index], values[index], self.side)
        return out

    def batch(self, mapped: Sequence[bool], sequence: Tensor, values: Tensor) -> Tensor:
        if not mapped[0] and sequence.ndim == 1:
            return self(sequence, values)
        rows, wanted = in_front(mapped, (sequence, values))
        if rows.ndim > 2:
            return self(rows, wanted)
        flat = reshape(wanted, (wanted.shape[0], product(wanted.shape[1:])))
        return reshape(self(rows, flat), wanted.shape)

    cases = (
        Case([1.0, 2.0, 2.0, 3.0], f64["n", 2], side="left"),
        Case([1, 2, 2, 3], [0, 1, 2, 3, 4], side="left"),
        Case([1, 2, 2, 3], [0, 1, 2, 3, 4], side="right"),
        Case([[1.0, 3.0], [-1.0, 0.5]], f64[2, 3], side="right"),
        Case([0.0, np.inf, np.nan], [-np.inf, -0.0, np.inf, np.nan], side="left"),
        Case(i64[0], i64[()], side="left"),
    )
    rejects = (
        Reject(f32[2], f64[2], side="left", message="dtypes differ: f32 and f64"),
        Reject(f32[()], f32[2], side="left", message="needs a sequence of rank 1 or more"),
        Reject(f32[2, 3], f32[3, 3], side="left", message="differ before the last axis"),
        Reject(f32[2], f32[2], side="up", message='the side must be "left" or "right"'),
    )


@builder
def searchsorted(
    sequence: TensorLike, values: TensorLike, side: Literal["left", "right"] = "left"
) -> Tensor:
    """Where each of `values` would go in the ascending `sequence`; see `Searchsorted`."""
    return Searchsorted(side)(*promoted(sequence, values))
