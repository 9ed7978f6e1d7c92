"""Pools by the size of their result: as many bins as are asked for, or one of everything."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from graphwright.graph.dim import Size, dim, exact_quotient
from graphwright.graph.dtype import float64, is_floating
from graphwright.graph.errors import AttributeValueError, ShapeError
from graphwright.graph.operator import register
from graphwright.graph.tensor import Tensor, TensorLike
from graphwright.graph.types import Shape, TensorType
from graphwright.ops.case import Case, Reject, Within, bool_, f16, f32, f64, i32
from graphwright.ops.composite import Composite
from graphwright.ops.convert import as_tensor, builder, cast
from graphwright.ops.gather import take
from graphwright.ops.linear import matmul
from graphwright.ops.movement import moveaxis, reshape
from graphwright.ops.reduction import max
from graphwright.ops.shapes import ShapeLike, as_shape, shape_text
from graphwright.ops.spatial import channels_to_back, channels_to_front, check_rank, spatial_rank
from graphwright.ops.statistics import mean, widened

# `max` and `abs` here are tensors' functions; Python's own are not used below.


class _Adaptive(Composite):
    """Bin i of an axis holds what is from ⌊i·size / bins⌋ up to ⌈(i + 1)·size / bins⌉."""

    sizes: Shape

    def infer(self, x: TensorType) -> TensorType:
        check_rank(x.rank, len(self.sizes))
        for axis, (size, bins) in enumerate(zip(x.shape[2:], self.sizes, strict=True)):
            if isinstance(bins, int) and bins < 1:
                raise AttributeValueError(f"sizes must be 1 or more, got {shape_text(self.sizes)}")
            if size == 0:
                raise ShapeError(f"spatial axis {axis} is empty: there is nothing in a bin")
            if exact_quotient(size, bins) is None and not (
                isinstance(size, int) and isinstance(bins, int)
            ):
                raise ShapeError(
                    f"spatial axis {axis} of size {size} can't be split evenly into {bins} bins",
                    hint="bins of unequal sizes need numbers for both",
                )
        return x.with_shape((*x.shape[:2], *self.sizes))

    def bins(self, x: Tensor, axis: int) -> Tensor | None:
        """`x` with its spatial `axis` as two, bins and what is in them; None if uneven."""
        place, count = 2 + axis, self.sizes[axis]
        each = exact_quotient(x.shape[place], count)
        if each is None:
            return None
        return reshape(x, (*x.shape[:place], count, each, *x.shape[place + 1 :]))

    def bounds(self, size: Size, axis: int) -> list[tuple[int, int]]:
        """Where each bin starts and ends, of an axis that is not split evenly."""
        count: Any = self.sizes[axis]
        total: Any = size
        return [(i * total // count, -(-(i + 1) * total // count)) for i in range(count)]


@register
class AdaptiveAveragePool(_Adaptive):
    """The mean of each of `sizes` bins, as even as can be; integers and booleans become float64.

    x:   [examples, channels, *spatial]
    out: [examples, channels, *sizes]

    Bin i of an axis holds what is from ⌊i·size / bins⌋ up to ⌈(i + 1)·size / bins⌉, so that bins
    may overlap by one (PyTorch's adaptive_avg_pool2d). Symbolic sizes must be multiples of the
    number of bins. 16-bit floats are summed as float32.
    d/dx = 1 / the number of elements in the bin, from each bin that holds the element
    """

    name = "adaptive_average_pool"

    def infer(self, x: TensorType) -> TensorType:
        dtype = x.dtype if is_floating(x.dtype) else np.dtype(float64)
        return super().infer(x).with_dtype(dtype)

    def decompose(self, x: Tensor) -> Tensor:
        out = widened(x)
        for axis in range(len(self.sizes)):
            even, place = self.bins(out, axis), 2 + axis
            if even is not None:
                out = mean(even, place + 1)
            else:
                weights = self._weights(out.shape[place], axis).astype(out.dtype)
                out = moveaxis(matmul(moveaxis(out, place, -1), weights), -1, place)
        return cast(out, self.infer(x.type).dtype)

    def _weights(self, size: Any, axis: int) -> Any:
        """[elements, bins]: the share of each element in the mean of each bin."""
        bounds = self.bounds(size, axis)
        weights = np.zeros((size, len(bounds)))
        for column, (start, stop) in enumerate(bounds):
            weights[start:stop, column] = 1 / (stop - start)
        return weights

    cases = (
        Case(f32["n", 2, 7], sizes=(3,)),
        Case(f64[1, 2, dim("h") + 1, 3], sizes=(1, 2)),
        Case(f64[1, 2, 2 * dim("h") + 2, 4], sizes=(dim("h") + 1, 2)),
        Case(f64[1, 1, 2, 3], sizes=(5, 3)),
        Case(Within(f16[1, 1, 4], 6e4, 6.1e4), sizes=(1,), smooth=False),
        Case(i32[1, 2, 5], sizes=(2,)),
    )
    rejects = (
        Reject(f32[1, 2, "h"], sizes=(3,), message="size h can't be split evenly into 3 bins"),
        Reject(f32[1, 2, 4], sizes=(2, 2), message="2 spatial axes need an input of rank 4, got"),
        Reject(f32[1, 2, 4], sizes=(0,), message="sizes must be 1 or more, got [0]"),
        Reject(f32[1, 2, 0], sizes=(1,), message="spatial axis 0 is empty"),
    )


@register
class AdaptiveMaxPool(_Adaptive):
    """The largest element of each of `sizes` bins, as even as can be; nan if any is.

    x:   [examples, channels, *spatial]
    out: [examples, channels, *sizes]

    The bins are those of `adaptive_average_pool`.
    d/dx = 1/k at the k elements of each bin that are the largest, else 0, axis by axis
    """

    name = "adaptive_max_pool"

    def decompose(self, x: Tensor) -> Tensor:
        out = x
        for axis in range(len(self.sizes)):
            even, place = self.bins(out, axis), 2 + axis
            out = max(self._uneven(out, axis) if even is None else even, place + 1)
        return out

    def _uneven(self, x: Tensor, axis: int) -> Tensor:
        """`x` with its spatial `axis` as two, where some bins hold their last element again."""
        bounds = self.bounds(x.shape[2 + axis], axis)
        widest = np.arange(np.max([stop - start for start, stop in bounds]))
        places = [np.minimum(start + widest, stop - 1) for start, stop in bounds]
        return take(x, np.stack(places), 2 + axis)

    cases = (
        Case(f32["n", 2, 7], sizes=(3,)),
        Case(f64[1, 2, dim("h") + 1, 3], sizes=(1, 2)),
        Case(f64[1, 2, 2 * dim("h") + 2, 4], sizes=(dim("h") + 1, 2)),
        Case(f64[1, 1, 2, 3], sizes=(5, 3)),
        Case(i32[1, 2, 5], sizes=(2,)),
        Case(bool_[1, 2, 5], sizes=(3,)),
    )
    rejects = (
        Reject(f32[1, 2, "h"], sizes=(3,), message="size h can't be split evenly into 3 bins"),
        Reject(f32[1, 2, 4], sizes=(2, 2), message="2 spatial axes need an input of rank 4, got"),
        Reject(f32[1, 2, 0], sizes=(1,), message="spatial axis 0 is empty"),
    )


@builder
def adaptive_average_pool(x: TensorLike, sizes: ShapeLike, channels_last: bool = False) -> Tensor:
    """The mean of each of `sizes` bins of the spatial axes of `x`; see `AdaptiveAveragePool`.

    x:     [examples, channels, *spatial]; [examples, *spatial, channels] with `channels_last`,
           and then the result too
    sizes: of the result: one for each spatial axis, or one for all of them
    """
    return _adapted(AdaptiveAveragePool, x, sizes, channels_last)


@builder
def adaptive_max_pool(x: TensorLike, sizes: ShapeLike, channels_last: bool = False) -> Tensor:
    """The largest of each of `sizes` bins of the spatial axes of `x`; see `AdaptiveMaxPool`.

    The arguments are those of `adaptive_average_pool`.
    """
    return _adapted(AdaptiveMaxPool, x, sizes, channels_last)


def _adapted(
    kind: Callable[[Shape], _Adaptive], x: TensorLike, sizes: ShapeLike, channels_last: bool
) -> Tensor:
    tensor, shape = as_tensor(x), as_shape(sizes)
    images = channels_to_front(tensor) if channels_last else tensor
    count = spatial_rank(images)
    out = kind(shape * count if len(shape) == 1 else shape)(images)
    return channels_to_back(out) if channels_last else out


@builder
def global_average_pool(x: TensorLike, channels_last: bool = False) -> Tensor:
    """The mean over all spatial axes of `x`, which stay with size 1 (ONNX GlobalAveragePool)."""
    tensor, axes = _spatial_axes(x, channels_last)
    return mean(tensor, axes, keepdims=True)


@builder
def global_max_pool(x: TensorLike, channels_last: bool = False) -> Tensor:
    """The largest over all spatial axes of `x`, which stay with size 1 (ONNX GlobalMaxPool)."""
    tensor, axes = _spatial_axes(x, channels_last)
    return max(tensor, axes, keepdims=True)


def _spatial_axes(x: TensorLike, channels_last: bool) -> tuple[Tensor, tuple[int, ...]]:
    tensor = as_tensor(x)
    first = 1 if channels_last else 2
    return tensor, tuple(range(first, first + spatial_rank(tensor)))
