"""Operators that rearrange elements and compute nothing: reshape, transpose and so on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graphwright.graph.dim import Size, dim, evaluate, exact_quotient, product
from graphwright.graph.errors import AttributeValueError, ShapeError
from graphwright.graph.operator import Operator, register
from graphwright.graph.placement import Placement
from graphwright.graph.tensor import Axis, Tensor, TensorLike
from graphwright.graph.types import Shape, TensorType
from graphwright.ops.case import Case, Reject, f32, f64, i32
from graphwright.ops.convert import as_tensor, builder
from graphwright.ops.shapes import (
    ShapeLike,
    as_shape,
    behind,
    broadcast,
    check_axes,
    check_sizes,
    inverse_permutation,
    normalize_axes,
    normalize_axis,
    normalize_permutation,
    shape_text,
)


@register
class Reshape(Operator):
    """The same elements, in the same (C) order, in another shape.

    The gradient is reshaped back.
    """

    name = "reshape"
    view = "dense"

    shape: Shape

    def infer(self, x: TensorType) -> TensorType:
        check_sizes(self.shape)
        if product(self.shape) != x.size:
            raise ShapeError(
                f"{x.size} elements don't fit shape {shape_text(self.shape)}, "
                f"which has {product(self.shape)}",
                hint="-1 in place of one size stands for what is left",
            )
        return x.with_shape(self.shape)

    def kernel(self, x: NDArray[Any]) -> NDArray[Any]:
        return x.reshape(self.shape)

    def flops(self, x: TensorType) -> Size:
        return 0

    def gradient(self, x: Tensor, out: Tensor, g: Tensor) -> Tensor:
        return reshape(g, x.shape)

    def batch(self, mapped: Sequence[bool], x: Tensor) -> Tensor:
        return Reshape((x.shape[0], *self.shape))(x)

    cases = (
        Case(f32[2, 6], shape=(3, 4)),
        Case(f32["n", 4], shape=(2, dim("n"), 2)),
        Case(f64[2, 3], shape=(6,)),
        Case(i32[1], shape=()),
        Case(f32[0, 3], shape=(3, 0)),
    )
    rejects = (
        Reject(f32[2, 3], shape=(4, 2), message="6 elements don't fit shape [4,2]"),
        Reject(f32["n"], shape=(4,), message="n elements don't fit shape [4]"),
        Reject(f32[2, 3], shape=(-2, -3), message="a size can't be negative, got -2"),
    )


@builder
def reshape(x: TensorLike, shape: ShapeLike) -> Tensor:
    """`x` in another shape; one size may be -1, which is then what is left of the elements.

    Raises ShapeError when the elements don't fit, AttributeValueError for several -1.
    """
    tensor = as_tensor(x)
    sizes = as_shape(shape)
    unknown = [i for i, size in enumerate(sizes) if size == -1]
    if len(unknown) > 1:
        raise AttributeValueError(f"only one size can be -1, got {shape_text(sizes)}")
    if unknown:
        sizes = _with_missing_size(tensor, sizes, unknown[0])
    return tensor if sizes == tensor.shape else Reshape(sizes)(tensor)


def _with_missing_size(tensor: Tensor, sizes: Shape, position: int) -> Shape:
    # Equal sizes on both sides cancel first: sums such as n + 1 need no polynomial division.
    have, want = list(tensor.shape), [s for i, s in enumerate(sizes) if i != position]
    for size in list(want):
        if size != 0 and size in have:
            have.remove(size)
            want.remove(size)
    missing = exact_quotient(product(have), product(want))
    if missing is None:
        raise ShapeError(
            f"{tensor.size} elements don't divide into shape {shape_text(sizes)}",
            hint="the product of the other sizes must divide them, whatever dimensions stand for",
        )
    return (*sizes[:position], missing, *sizes[position + 1 :])


@register
class ExpandDims(Operator):
    """`x` with new axes of size 1 at the places `axes` (sorted) of the output.

    The gradient is squeezed.
    """

    name = "expand_dims"
    view = "dense"

    axes: tuple[int, ...]

    def infer(self, x: TensorType) -> TensorType:
        rank = x.rank + len(self.axes)
        check_axes(self.axes, rank)
        rest = iter(x.shape)
        return x.with_shape(tuple(1 if i in self.axes else next(rest) for i in range(rank)))

    def kernel(self, x: NDArray[Any]) -> NDArray[Any]:
        return np.expand_dims(x, self.axes)

    def flops(self, x: TensorType) -> Size:
        return 0

    def gradient(self, x: Tensor, out: Tensor, g: Tensor) -> Tensor:
        return Squeeze(self.axes)(g)

    def batch(self, mapped: Sequence[bool], x: Tensor) -> Tensor:
        return ExpandDims(behind(self.axes))(x)

    cases = (
        Case(f32["n", 4], axes=(1,)),
        Case(f64[3], axes=(0, 2)),
        Case(f64[()], axes=(0,)),
        Case(i32[0, 2], axes=(2,)),
    )
    rejects = (
        Reject(f32[3], axes=(2,), message="axis 2 is out of range for rank 2"),
        Reject(f32[3], axes=(0, 0), message="an axis is named twice"),
    )


@builder
def expand_dims(x: TensorLike, axis: int | Sequence[int]) -> Tensor:
    """`x` with a new axis of size 1 at each place in `axis`, counted in the result."""
    tensor = as_tensor(x)
    count = len(axis) if isinstance(axis, Sequence) else 1
    axes = normalize_axes(axis, tensor.ndim + count)
    return ExpandDims(axes)(tensor) if axes else tensor


@register
class Squeeze(Operator):
    """`x` without `axes` (sorted), all of size 1.

    The gradient gets the axes back.
    """

    name = "squeeze"
    view = "dense"

    axes: tuple[int, ...]

    def infer(self, x: TensorType) -> TensorType:
        check_axes(self.axes, x.rank)
        for axis in self.axes:
            if x.shape[axis] != 1:
                known = "is" if isinstance(x.shape[axis], int) else "may be"
                raise ShapeError(
                    f"axis {axis} has size {x.shape[axis]}: only axes of size 1 can go",
                    hint=f"x {known} larger; index it with x[0], or sum over the axis",
                )
        return x.with_shape(tuple(s for i, s in enumerate(x.shape) if i not in self.axes))

    def kernel(self, x: NDArray[Any]) -> NDArray[Any]:
        return np.squeeze(x, self.axes)

    def flops(self, x: TensorType) -> Size:
        return 0

    def gradient(self, x: Tensor, out: Tensor, g: Tensor) -> Tensor:
        return ExpandDims(self.axes)(g)

    def batch(self, mapped: Sequence[bool], x: Tensor) -> Tensor:
        return Squeeze(behind(self.axes))(x)

    cases = (
        Case(f32["n", 1, 4], axes=(1,)),
        Case(f64[1, 3, 1], axes=(0, 2)),
        Case(f64[1], axes=(0,)),
        Case(i32[0, 1], axes=(1,)),
    )
    rejects = (
        Reject(f32[3, 1], axes=(0,), message="axis 0 has size 3: only axes of size 1"),
        Reject(f32["n"], axes=(0,), message="axis 0 has size n: only axes of size 1"),
        Reject(f32[1], axes=(1,), message="axis 1 is out of range for rank 1"),
    )


@builder
def squeeze(x: TensorLike, axis: Axis = None) -> Tensor:
    """`x` without the axes in `axis`, which have size 1; None means all axes of that size.

    Raises ShapeError when a size is not 1.
    """
    tensor = as_tensor(x)
    if axis is None:
        axes = tuple(i for i, size in enumerate(tensor.shape) if size == 1)
    else:
        axes = normalize_axes(axis, tensor.ndim)
    return Squeeze(axes)(tensor) if axes else tensor


@register
class Transpose(Operator):
    """The axes in another order: axis i of the output is axis `axes[i]` of `x`.

    The gradient is put back in order.
    """

    name = "transpose"
    view = "strided"

    axes: tuple[int, ...]

    def infer(self, x: TensorType) -> TensorType:
        if normalize_permutation(self.axes, x.rank) != self.axes:
            raise AttributeValueError(f"axes {self.axes} must be counted from the front")
        return x.with_shape(tuple(x.shape[axis] for axis in self.axes))

    def kernel(self, x: NDArray[Any]) -> NDArray[Any]:
        return x.transpose(self.axes)

    def placed(self, place: Placement, x: TensorType, out: TensorType) -> Placement:
        return Placement(place.offset, tuple(place.strides[axis] for axis in self.axes))

    def placed_back(self, place: Placement, x: TensorType, out: TensorType) -> Placement | None:
        if self.axes[-1:] != (x.rank - 1,):
            return None
        back = inverse_permutation(self.axes)
        return Placement(place.offset, tuple(place.strides[axis] for axis in back))

    def flops(self, x: TensorType) -> Size:
        return 0

    def gradient(self, x: Tensor, out: Tensor, g: Tensor) -> Tensor:
        return transpose(g, inverse_permutation(self.axes))

    def batch(self, mapped: Sequence[bool], x: Tensor) -> Tensor:
        return Transpose((0, *behind(self.axes)))(x)

    cases = (
        Case(f32["n", 4], axes=(1, 0)),
        Case(f64[2, 3, 4], axes=(1, 2, 0)),
        Case(i32[2, 1, 3, 2], axes=(3, 1, 0, 2)),
        Case(f64[3], axes=(0,)),
        Case(f64[()], axes=()),
        Case(f32[0, 2], axes=(1, 0)),
    )
    rejects = (
        Reject(f32[2, 3], axes=(0, 0), message="axes (0, 0) are no order of 2 axes"),
        Reject(f32[2, 3], axes=(0,), message="axes (0,) are no order of 2 axes"),
        Reject(f32[2], axes=(1,), message="axis 1 is out of range for rank 1"),
        Reject(f32[2, 3], axes=(-1, 0), message="axes (-1, 0) must be counted from the front"),
    )


@builder
def transpose(x: TensorLike, axes: Sequence[int] | None = None) -> Tensor:
    """`x` with its axes in the order `axes`; None means reversed."""
    tensor = as_tensor(x)
    rank = tensor.ndim
    order = range(rank)[::-1] if axes is None else normalize_permutation(axes, rank)
    return tensor if list(order) == list(range(rank)) else Transpose(tuple(order))(tensor)


# The array API standard's name.
permute_dims = transpose


@builder
def matrix_transpose(x: TensorLike) -> Tensor:
    """`x` with its last two axes exchanged. Raises ShapeError for a rank below 2."""
    tensor = as_tensor(x)
    if tensor.ndim < 2:
        raise ShapeError(
            f"needs a rank of at least 2, got {tensor.type}",
            hint="the last two axes are the matrix; expand_dims makes one of a vector",
        )
    return swapaxes(tensor, -2, -1)


@builder
def swapaxes(x: TensorLike, axis1: int, axis2: int) -> Tensor:
    """`x` with two axes exchanged."""
    tensor = as_tensor(x)
    order = list(range(tensor.ndim))
    i, j = normalize_axis(axis1, tensor.ndim), normalize_axis(axis2, tensor.ndim)
    order[i], order[j] = j, i
    return transpose(tensor, order)


@builder
def moveaxis(x: TensorLike, source: int, destination: int) -> Tensor:
    """`x` with one axis moved to another place; the others keep their order."""
    tensor = as_tensor(x)
    order = list(range(tensor.ndim))
    order.remove(moved := normalize_axis(source, tensor.ndim))
    order.insert(normalize_axis(destination, tensor.ndim), moved)
    return transpose(tensor, order)


@register
class BroadcastTo(Operator):
    """`x` repeated along new leading axes and axes of size 1, until it has `shape`.

    The gradient is summed over the axes that were repeated.
    """

    name = "broadcast_to"
    view = "strided"
    broadcasting = True

    shape: Shape

    def infer(self, x: TensorType) -> TensorType:
        check_sizes(self.shape)
        if broadcast(x.shape, self.shape) != self.shape:
            raise ShapeError(
                f"{shape_text(x.shape)} does not broadcast to {shape_text(self.shape)}",
                hint="counted from the last, each size of x must be that of the shape, or 1",
            )
        return x.with_shape(self.shape)

    def kernel(self, x: NDArray[Any]) -> NDArray[Any]:
        return np.broadcast_to(x, evaluate(self.shape, {}))

    def placed(self, place: Placement, x: TensorType, out: TensorType) -> Placement:
        pairs = zip(x.shape, place.strides, strict=True)
        kept = [0 if size == 1 else stride for size, stride in pairs]
        new = len(self.shape) - x.rank
        return Placement(place.offset, (*(0,) * new, *kept))

    def flops(self, x: TensorType) -> Size:
        return 0

    def gradient(self, x: Tensor, out: Tensor, g: Tensor) -> Tensor:
        return sum_to(g, x.shape)

    def batch(self, mapped: Sequence[bool], x: Tensor) -> Tensor:
        new = len(self.shape) + 1 - x.ndim
        aligned = reshape(x, (x.shape[0], *(1,) * new, *x.shape[1:]))
        return BroadcastTo((x.shape[0], *self.shape))(aligned)

    cases = (
        Case(f32[4], shape=(3, 4)),
        Case(f32["n", 1], shape=(2, dim("n"), 3)),
        Case(f64[2, 1], shape=(5, 2, 3)),
        Case(i32[()], shape=(2,)),
        Case(f64[1], shape=(0,)),
    )
    rejects = (
        Reject(f32[3], shape=(4,), message="shapes [3] and [4] differ"),
        Reject(f32[3], shape=(1,), message="[3] does not broadcast to [1]"),
        Reject(f32[1], shape=(-1,), message="a size can't be negative, got -1"),
    )


@builder
def broadcast_to(x: TensorLike, shape: ShapeLike) -> Tensor:
    """`x` broadcast to `shape`, as NumPy does it. Raises ShapeError when it does not fit."""
    tensor, sizes = as_tensor(x), as_shape(shape)
    return tensor if sizes == tensor.shape else BroadcastTo(sizes)(tensor)


@builder
def sum_to(x: TensorLike, shape: ShapeLike) -> Tensor:
    """`x` summed over the axes along which `shape` is broadcast to its shape: `broadcast_to`'s
    gradient.

    Raises ShapeError when it is not broadcast to that.
    """
    tensor, sizes = as_tensor(x), as_shape(shape)
    if tensor.shape == sizes:
        return tensor
    if broadcast(tensor.shape, sizes) != tensor.shape:
        raise ShapeError(
            f"{shape_text(sizes)} does not broadcast to {shape_text(tensor.shape)}",
            hint="counted from the last, each size must be that of x, or 1",
        )
    extra = tensor.ndim - len(sizes)
    stretched = (i + extra for i, n in enumerate(sizes) if n == 1 != tensor.shape[i + extra])
    return reshape(tensor.sum((*range(extra), *stretched)), sizes)
