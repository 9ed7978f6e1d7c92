"""Elements chosen by computed indices, and their reverse: adding to chosen places."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from graphwright.graph.dim import Size, dim
from graphwright.graph.dtype import (
    DType,
    as_dtype,
    float32,
    int64,
)
from graphwright.graph.errors import AttributeValueError, ShapeError
from graphwright.graph.operator import Operator, register
from graphwright.graph.tensor import Tensor, TensorLike
from graphwright.graph.types import Shape, TensorType
from graphwright.ops.batching import in_front
from graphwright.ops.case import Case, Reject, Within, bool_, f32, f64, i8, i32, i64, u8
from graphwright.ops.comparison import equal
from graphwright.ops.composite import Composite
from graphwright.ops.convert import as_tensor, builder, cast, promoted
from graphwright.ops.creation import arange, zeros_like
from graphwright.ops.gather_nd import GatherNd, ScatterNd, check_indices, check_mode, positions
from graphwright.ops.movement import broadcast_to, expand_dims, moveaxis, reshape, transpose
from graphwright.ops.shapes import check_axis, inverse_permutation, normalize_axis, shape_text


@register
class Take(Operator):
    """The elements of `x` at `indices` along an axis; negative indices count from the end.

    out[..., i, ...] = x[..., indices[i], ...], where i runs over all axes of `indices`
    The gradient of each element is the sum of the gradients of its copies.
    Raises InputError when run on an index out of range.
    """

    name = "take"

    axis: int

    def infer(self, x: TensorType, indices: TensorType) -> TensorType:
        check_axis(self.axis, x.rank)
        check_indices(indices)
        return x.with_shape(taken_shape(x.shape, indices.shape, self.axis))

    def kernel(self, x: NDArray[Any], indices: NDArray[Any]) -> Any:
        return np.take(x, positions(indices, x.shape[self.axis], self.axis), self.axis)

    def kernel_into(self, out: NDArray[Any], x: NDArray[Any], indices: NDArray[Any]) -> None:
        places = positions(indices, x.shape[self.axis], self.axis)
        # The places are in range, and only the other modes write to `out` directly.
        if out.size:
            np.take(x, places, self.axis, out=out, mode="clip")

    def flops(self, x: TensorType, indices: TensorType) -> Size:
        return 0

    def gradient(self, x: Tensor, indices: Tensor, out: Tensor, g: Tensor) -> tuple[Tensor, None]:
        return ScatterAdd(self.axis)(zeros_like(x), indices, g), None

    def batch(self, mapped: Sequence[bool], x: Tensor, indices: Tensor) -> Tensor:
        if not mapped[1]:
            return Take(self.axis + 1)(x, indices)
        if not mapped[0]:
            return moveaxis(Take(self.axis)(x, indices), self.axis, 0)
        rows = GatherNd(1)(moveaxis(x, self.axis + 1, 1), expand_dims(indices, -1))
        return transpose(rows, inverse_permutation(_indices_first(rows.ndim, indices, self.axis)))

    cases = (
        Case(f32[5, 3], Within(i64["n"], 0, 5), axis=0),
        Case(f64["n", 5], Within(i32[2, 3], -5, 5), axis=1),
        Case(f64[2, 4, 3], Within(u8[()], 0, 4), axis=1),
        Case(i32[3], Within(i8[0], 0, 3), axis=0),
        Case([[1.0, 2.0], [3.0, 4.0]], [1, -1, 0, 1], axis=0),
    )
    rejects = (
        Reject(f32[3], f32[2], axis=0, message="indices must be integers, got f32"),
        Reject(f32[3], bool_[3], axis=0, message="indices must be integers, got bool"),
        Reject(f32[3], i32[2], axis=1, message="axis 1 is out of range for rank 1"),
        Reject(f32[3, 2], i32[2], axis=-1, message="axis -1 must be counted from the front"),
        Reject(f32[()], i32[2], axis=0, message="axis 0 is out of range for rank 0"),
    )


@builder
def take(x: TensorLike, indices: TensorLike, axis: int | None = None) -> Tensor:
    """The elements of `x` at the integer `indices` along `axis`; see `Take`.

    axis: None for the flattened `x`
    """
    tensor, chosen = as_tensor(x), as_tensor(indices)
    if axis is None:
        tensor, axis = reshape(tensor, (-1,)), 0
    return Take(normalize_axis(axis, tensor.ndim))(tensor, chosen)


@register
class ScatterAdd(Operator):
    """`x` with `updates` added at `indices` along an axis; where an index repeats, all are added.

    out[..., j, ...] = x[..., j, ...] + Σ updates[..., i, ...] over i with indices[i] = j
    d/dx = 1; the gradient of an update is that of the element it was added to.
    Raises InputError when run on an index out of range.
    """

    name = "scatter_add"

    axis: int

    def infer(self, x: TensorType, indices: TensorType, updates: TensorType) -> TensorType:
        check_axis(self.axis, x.rank)
        check_indices(indices)
        check_mode("add", x, updates)
        check_updates(x, indices, updates, self.axis)
        return x

    def kernel(self, x: NDArray[Any], indices: NDArray[Any], updates: NDArray[Any]) -> Any:
        out = np.empty(x.shape, x.dtype)
        self.kernel_into(out, x, indices, updates)
        return out

    def kernel_into(
        self, out: NDArray[Any], x: NDArray[Any], indices: NDArray[Any], updates: NDArray[Any]
    ) -> None:
        chosen = positions(indices, x.shape[self.axis], self.axis)
        if not out.flags.c_contiguous:
            out[...] = self.kernel(x, indices, updates)
            return
        out[...] = x
        # Element by element in the flattened array: the one case that NumPy adds at full speed.
        size, inner = x.shape[self.axis], math.prod(x.shape[self.axis + 1 :])
        outer = np.arange(math.prod(x.shape[: self.axis])).reshape(-1, 1, 1)
        places = (outer * size + chosen.reshape(-1, 1)) * inner + np.arange(inner)
        np.add.at(out.reshape(-1), places.reshape(-1), updates.reshape(-1))

    def flops(self, x: TensorType, indices: TensorType, updates: TensorType) -> Size:
        return updates.size

    def gradient(
        self, x: Tensor, indices: Tensor, updates: Tensor, out: Tensor, g: Tensor
    ) -> tuple[Tensor, None, Tensor]:
        return g, None, take(g, indices, self.axis)

    def batch(self, mapped: Sequence[bool], x: Tensor, indices: Tensor, updates: Tensor) -> Tensor:
        if not mapped[1]:
            both = in_front((mapped[0], mapped[2]), (x, updates))
            return ScatterAdd(self.axis + 1)(both[0], indices, both[1])
        x, indices, updates = in_front(mapped, (x, indices, updates))
        order = _indices_first(updates.ndim, indices, self.axis)
        rows = ScatterNd(1, "add")(
            moveaxis(x, self.axis + 1, 1), expand_dims(indices, -1), transpose(updates, order)
        )
        return moveaxis(rows, 1, self.axis + 1)

    cases = (
        Case(f32[4, 3], Within(i64["n"], 0, 4), f32["n", 3], axis=0),
        Case(f64[2, 4], Within(i32[2, 3], -4, 4), f64[2, 2, 3], axis=1),
        Case(f64[2, 3, 2], Within(u8[()], 0, 3), f64[2, 2], axis=1),
        Case(i32[3], [0, 2, 2, -1, 0], i32[5], axis=0),
        Case(f64["n", 2], Within(i64[0], 0, 1), f64[0, 2], axis=0),
    )
    rejects = (
        Reject(f32[3], f32[2], f32[2], axis=0, message="indices must be integers, got f32"),
        Reject(f32[3], i32[2], f64[2], axis=0, message="dtypes differ: f32 and f64"),
        Reject(f32[3], i32[2], f32[3], axis=0, message="updates have shape [3], not [2]"),
        Reject(bool_[3], i32[2], bool_[2], axis=0, message="needs number inputs, got bool"),
        Reject(f32[3], i32[2], f32[2], axis=1, message="axis 1 is out of range for rank 1"),
    )


@builder
def scatter_add(x: TensorLike, indices: TensorLike, updates: TensorLike, axis: int = 0) -> Tensor:
    """`x` with `updates` (broadcast) added at the integer `indices` along `axis`.

    See `ScatterAdd`; `scatter` has other modes.
    """
    tensor, added = promoted(x, updates)
    chosen, place = as_tensor(indices), normalize_axis(axis, tensor.ndim)
    expected = taken_shape(tensor.shape, chosen.shape, place)
    return ScatterAdd(place)(tensor, chosen, broadcast_to(added, expected))


@register
class OneHot(Composite):
    """A new last axis of `depth` with 1 at the index and 0 elsewhere; all 0 for one out of range.

    out[..., j] = 1 if indices[...] = j else 0
    """

    name = "one_hot"
    differentiable = False

    depth: Size
    dtype: DType

    def infer(self, indices: TensorType) -> TensorType:
        check_indices(indices)
        if isinstance(self.depth, int) and self.depth < 0:
            raise AttributeValueError(f"the depth can't be negative, got {self.depth}")
        return TensorType(self.dtype, (*indices.shape, self.depth))

    def decompose(self, indices: Tensor) -> Tensor:
        classes = arange(self.depth)
        return cast(equal(expand_dims(cast(indices, int64), -1), classes), self.dtype)

    cases = (
        Case(Within(i64["n"], 0, 4), depth=4, dtype=float32),
        Case(Within(u8[2, 3], 0, 5), depth=dim("n"), dtype=np.dtype(np.int32)),
        Case([0, 2, -1, 3, 1], depth=3, dtype=np.dtype(np.float64)),
        Case(i32[()], depth=2, dtype=np.dtype(np.bool_)),
        Case(i32[2], depth=0, dtype=float32),
    )
    rejects = (
        Reject(f32[2], depth=3, dtype=float32, message="indices must be integers, got f32"),
        Reject(i32[2], depth=-1, dtype=float32, message="the depth can't be negative, got -1"),
    )


@builder
def one_hot(indices: TensorLike, depth: Size, dtype: DTypeLike = float32) -> Tensor:
    """Each integer as a row of `depth` numbers, 1 at that place and 0 elsewhere; see `OneHot`."""
    return OneHot(depth, as_dtype(dtype))(as_tensor(indices))


def taken_shape(shape: Shape, indices: Shape, axis: int) -> Shape:
    """The shape of take(x, indices, axis), for shapes of x and of the indices."""
    return (*shape[:axis], *indices, *shape[axis + 1 :])


def check_updates(x: TensorType, indices: TensorType, updates: TensorType, axis: int) -> None:
    """For `infer`: raise ShapeError unless `updates` have the shape of take(x, indices, axis)."""
    expected = taken_shape(x.shape, indices.shape, axis)
    if updates.shape != expected:
        raise ShapeError(
            f"updates have shape {shape_text(updates.shape)}, not {shape_text(expected)}",
            hint="the shape that take(x, indices, axis) has; use broadcast_to if need be",
        )


def _indices_first(rank: int, indices: Tensor, axis: int) -> tuple[int, ...]:
    """The order that brings the axes of what was taken behind that of the batch, both in front."""
    first, end = axis + 1, axis + indices.ndim
    return (0, *range(first, end), *range(1, first), *range(end, rank))
