"""Tensors put together, taken apart and extended along an axis."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graphwright.graph.dim import Dim, Size, dim, exact_quotient
from graphwright.graph.errors import ShapeError
from graphwright.graph.operator import Operator, register
from graphwright.graph.tensor import Tensor, TensorLike
from graphwright.graph.types import Shape, TensorType
from graphwright.ops.batching import in_front
from graphwright.ops.case import Case, Reject, bool_, f32, f64, i32
from graphwright.ops.checks import check_same_dtype
from graphwright.ops.convert import as_tensor, builder, promoted
from graphwright.ops.creation import zeros_like
from graphwright.ops.movement import expand_dims, squeeze
from graphwright.ops.shapes import check_axis, check_sizes, normalize_axis, shape_text


@register
class Concatenate(Operator):
    """The inputs one after another along an axis; their other sizes agree.

    The gradient is split again.
    """

    name = "concatenate"

    axis: int

    def infer(self, *tensors: TensorType) -> TensorType:
        if not tensors:
            raise ShapeError("needs at least one tensor")
        first = tensors[0]
        check_axis(self.axis, first.rank)
        total: Size = 0
        for position, kind in enumerate(tensors):
            check_same_dtype(first, kind)
            if kind.rank != first.rank:
                raise ShapeError(
                    f"shapes {shape_text(first.shape)} and {shape_text(kind.shape)} of tensors 0 "
                    f"and {position} differ in rank",
                    hint="expand_dims adds an axis",
                )
            if self._others(kind.shape) != self._others(first.shape):
                raise ShapeError(
                    f"shapes {shape_text(first.shape)} and {shape_text(kind.shape)} of tensors 0 "
                    f"and {position} differ on other axes than {self.axis}",
                    hint=f"only the sizes of axis {self.axis} may differ",
                )
            total = total + kind.shape[self.axis]
        return first.with_shape((*first.shape[: self.axis], total, *first.shape[self.axis + 1 :]))

    def _others(self, shape: Shape) -> tuple[Shape, Shape]:
        return shape[: self.axis], shape[self.axis + 1 :]

    def kernel(self, *tensors: NDArray[Any]) -> NDArray[Any]:
        return np.concatenate(tensors, self.axis)

    def kernel_into(self, out: NDArray[Any], *tensors: NDArray[Any]) -> None:
        np.concatenate(tensors, self.axis, out=out)

    def flops(self, *tensors: TensorType) -> Size:
        return 0

    def gradient(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        *inputs, _, g = tensors
        return Split(self.axis, tuple(tensor.shape[self.axis] for tensor in inputs)).apply(g)

    def batch(self, mapped: Sequence[bool], *tensors: Tensor) -> Tensor:
        return Concatenate(self.axis + 1)(*in_front(mapped, tensors))

    cases = (
        Case(f32["n", 2], f32[3, 2], axis=0),
        Case(f64[2, 1], f64[2, 3], f64[2, 0], axis=1),
        Case(i32[2], axis=0),
        Case(bool_[1, 2, 2], bool_[1, 1, 2], axis=1),
    )
    rejects = (
        Reject(axis=0, message="needs at least one tensor"),
        Reject(f32[2, 3], f32[2, 4], axis=0, message="shapes [2,3] and [2,4] of tensors 0 and 1"),
        Reject(f32[2, 3], f32[2], axis=0, message="shapes [2,3] and [2] of tensors 0 and 1"),
        Reject(f32[2], i32[2], axis=0, message="dtypes differ: f32 and i32"),
        Reject(f32[2], f32[2], axis=1, message="axis 1 is out of range for rank 1"),
        Reject(f32[2], f32[2], axis=-1, message="axis -1 must be counted from the front"),
        Reject(f32[()], f32[()], axis=0, message="axis 0 is out of range for rank 0"),
    )


@builder
def concatenate(tensors: Sequence[TensorLike], axis: int = 0) -> Tensor:
    """The `tensors` one after another along `axis`.

    Raises ShapeError for none, or when other sizes differ.
    """
    if isinstance(tensors, Tensor) or not tensors:
        raise ShapeError("needs at least one tensor, in a list")
    parts = promoted(*tensors)
    if len(parts) == 1:
        normalize_axis(axis, parts[0].ndim)
        return parts[0]
    return Concatenate(normalize_axis(axis, parts[0].ndim))(*parts)


# The array API standard's name.
concat = concatenate


@builder
def stack(tensors: Sequence[TensorLike], axis: int = 0) -> Tensor:
    """The `tensors`, all of one shape, side by side along a new axis.

    Raises ShapeError for none, or when shapes differ.
    """
    if isinstance(tensors, Tensor) or not tensors:
        raise ShapeError("needs at least one tensor, in a list")
    parts = promoted(*tensors)
    for position, part in enumerate(parts):
        if part.shape != parts[0].shape:
            raise ShapeError(
                f"shapes {shape_text(parts[0].shape)} and {shape_text(part.shape)} of tensors 0 "
                f"and {position} differ",
                hint="broadcast them to one shape; concatenate joins what differs along one axis",
                details=[("first", parts[0].describe()), ("other", part.describe())],
            )
    return concatenate([expand_dims(part, axis) for part in parts], axis)


@builder
def unstack(x: TensorLike, axis: int = 0) -> tuple[Tensor, ...]:
    """The slices of `x` along `axis`, without it: `stack`, reversed.

    Raises ShapeError when the size of the axis is not a number.
    """
    tensor = as_tensor(x)
    place = normalize_axis(axis, tensor.ndim)
    count = tensor.shape[place]
    if isinstance(count, Dim):
        raise ShapeError(
            f"axis {axis} of size {count} gives a number of tensors that is not known",
            hint="give the input a number to fix it, or use gw.ops.scan",
        )
    pieces = split(tensor, (1,) * count, place) if count else ()
    return tuple(squeeze(piece, place) for piece in pieces)


@register
class Split(Operator):
    """`x` in pieces along an axis, `sizes` long; they add up to its size.

    The gradients are put together again, zeros for a piece without one.
    """

    name = "split"

    axis: int
    sizes: tuple[Size, ...]

    def infer(self, x: TensorType) -> tuple[TensorType, ...]:
        check_axis(self.axis, x.rank)
        self._check(x.shape)
        before, after = x.shape[: self.axis], x.shape[self.axis + 1 :]
        return tuple(x.with_shape((*before, size, *after)) for size in self.sizes)

    def _check(self, shape: Shape) -> None:
        check_sizes(self.sizes)
        total: Size = sum(self.sizes)
        if not self.sizes or total != shape[self.axis]:
            raise ShapeError(
                f"sizes {shape_text(self.sizes)} add up to {total}, "
                f"but axis {self.axis} has {shape[self.axis]}"
            )

    def kernel(self, x: NDArray[Any]) -> tuple[NDArray[Any], ...]:
        self._check(x.shape)
        lead = (slice(None),) * self.axis
        ends: Any = (0, *accumulate(self.sizes))
        return tuple([x[(*lead, slice(start, end))] for start, end in pairwise(ends)])

    def kernel_into(self, out: Any, x: NDArray[Any]) -> None:
        targets = out if isinstance(out, tuple) else (out,)
        for target, piece in zip(targets, self.kernel(x), strict=True):
            target[...] = piece

    def flops(self, x: TensorType) -> Size:
        return 0

    def gradient(self, x: Tensor, *rest: Any) -> Tensor:
        pieces, received = rest[: len(self.sizes)], rest[len(self.sizes) :]
        whole = [
            zeros_like(piece) if g is None else g for piece, g in zip(pieces, received, strict=True)
        ]
        return concatenate(whole, self.axis)

    def batch(self, mapped: Sequence[bool], x: Tensor) -> tuple[Tensor, ...]:
        return Split(self.axis + 1, self.sizes).apply(x)

    cases = (
        Case(f32["n", 5], axis=1, sizes=(2, 0, 3)),
        Case(f64[4, 2], axis=0, sizes=(1, 3)),
        Case(f64[3, "n"], axis=1, sizes=(dim("n"),)),
        Case(i32[2], axis=0, sizes=(1, 1)),
    )
    rejects = (
        Reject(f32[4], axis=0, sizes=(1, 2), message="sizes [1,2] add up to 3, but axis 0 has 4"),
        Reject(f32["n"], axis=0, sizes=(1, 2), message="add up to 3, but axis 0 has n"),
        Reject(f32[4], axis=0, sizes=(5, -1), message="a size can't be negative, got -1"),
        Reject(f32[4], axis=0, sizes=(), message="sizes [] add up to 0, but axis 0 has 4"),
        Reject(f32[4], axis=1, sizes=(4,), message="axis 1 is out of range for rank 1"),
        Reject(f32[4], axis=-1, sizes=(4,), message="axis -1 must be counted from the front"),
    )


@builder
def split(x: TensorLike, sections: int | Sequence[Size], axis: int = 0) -> tuple[Tensor, ...]:
    """`x` in pieces along `axis`: so many equal ones, or ones of the sizes given.

    Raises ShapeError when they don't add up to the axis.
    """
    tensor = as_tensor(x)
    place = normalize_axis(axis, tensor.ndim)
    if not isinstance(sections, int):
        return Split(place, tuple(sections)).apply(tensor)
    size = tensor.shape[place]
    each = exact_quotient(size, sections) if sections > 0 else None
    if each is None:
        raise ShapeError(
            f"axis {axis} of size {size} has no {sections} equal pieces",
            hint="give the sizes of the pieces",
        )
    return Split(place, (each,) * sections).apply(tensor)
