"""Windows that slide over the last axes, and sums of what such windows hold."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from graphwright.graph.dim import Size, dim, evaluate
from graphwright.graph.dtype import float32, is_boolean, is_floating
from graphwright.graph.errors import DTypeError, ShapeError
from graphwright.graph.operator import Operator, register
from graphwright.graph.placement import Placement
from graphwright.graph.tensor import Tensor, TensorLike
from graphwright.graph.types import Shape, TensorType
from graphwright.ops.case import Case, Reject, bool_, f16, f32, f64, i32
from graphwright.ops.convert import as_tensor, builder
from graphwright.ops.shapes import ShapeLike, as_shape, check_sizes, shape_text
from graphwright.ops.spatial import (
    Numbers,
    check_windows,
    numbers,
    window_counts,
)


@register
class Windows(Operator):
    """The windows of sizes `window` in the last axes of `x`; nothing is copied.

    x:   [..., *sizes]
    out: [..., *counts, *window], counts = ⌊(size - dilation·(window - 1) - 1) / stride⌋ + 1

    out[..., i, k] = x[..., i·stride + k·dilation], for each of the last axes
    The gradient of an element is the sum of those in all windows that hold it (`overlap_add`).
    """

    name = "windows"
    view = "strided"

    window: Shape
    strides: tuple[int, ...]
    dilations: tuple[int, ...]

    def infer(self, x: TensorType) -> TensorType:
        check_windows(self.window, self.strides, self.dilations)
        lead, sizes = _split_shape(x.shape, len(self.window))
        return x.with_shape((*lead, *self._counts(sizes), *self.window))

    def _counts(self, sizes: Shape) -> Shape:
        none = ((0, 0),) * len(sizes)
        return window_counts(sizes, self.window, self.strides, none, self.dilations)

    def kernel(self, x: NDArray[Any]) -> NDArray[Any]:
        lead = x.ndim - len(self.window)
        shape = (*x.shape[:lead], *self._counts(x.shape[lead:]), *self.window)
        steps = x.strides[lead:]
        between = [step * stride for step, stride in zip(steps, self.strides, strict=True)]
        within = [step * dilation for step, dilation in zip(steps, self.dilations, strict=True)]
        memory = (*x.strides[:lead], *between, *within)
        return as_strided(x, evaluate(shape, {}), memory, writeable=False)

    def placed(self, place: Placement, x: TensorType, out: TensorType) -> Placement:
        lead = x.rank - len(self.window)
        steps = place.strides[lead:]
        between = (step * stride for step, stride in zip(steps, self.strides, strict=True))
        within = (step * dilation for step, dilation in zip(steps, self.dilations, strict=True))
        return Placement(place.offset, (*place.strides[:lead], *between, *within))

    def flops(self, x: TensorType) -> Size:
        return 0

    def gradient(self, x: Tensor, out: Tensor, g: Tensor) -> Tensor:
        sizes = x.shape[x.ndim - len(self.window) :]
        return OverlapAdd(sizes, self.strides, self.dilations)(g)

    def batch(self, mapped: Sequence[bool], x: Tensor) -> Tensor:
        return self(x)

    cases = (
        Case(f32["n", 5], window=(3,), strides=(1,), dilations=(1,)),
        Case(f64[2, dim("h") + 4, 5], window=(2, 3), strides=(2, 1), dilations=(3, 1)),
        Case(f64[6, 7], window=(2, 3), strides=(3, 2), dilations=(1, 2)),
        Case(i32[2, 7], window=(2,), strides=(4,), dilations=(1,)),
        Case(bool_[3], window=(1,), strides=(1,), dilations=(1,)),
        Case(f64[0, 3], window=(3,), strides=(2,), dilations=(1,)),
        Case(f64[dim("n") + 1], window=(dim("n") + 1,), strides=(1,), dilations=(1,)),
        Case(f64[2], window=(), strides=(), dilations=()),
    )
    rejects = (
        Reject(
            f32[5], window=(3,), strides=(1,), dilations=(3,), message="a window that spans 7 does"
        ),
        Reject(f32[5], window=(0,), strides=(1,), dilations=(1,), message="window must be 1 or"),
        Reject(f32[5], window=(2,), strides=(0,), dilations=(1,), message="strides must be 1 or"),
        Reject(f32[5], window=(2,), strides=(1,), dilations=(), message="0 dilations for 1"),
        Reject(
            f32[5], window=(2, 2), strides=(1, 1), dilations=(1, 1), message="2 axes to slide over"
        ),
    )


def taps(
    window: Sequence[int], counts: Sequence[int], strides: Sequence[int], dilations: Sequence[int]
) -> Iterator[tuple[tuple[Any, ...], tuple[Any, ...]]]:
    """For each place in a window, two indices: of it, and of where it lies in all windows at once.

    Both are for the last axes.
    """
    for tap in np.ndindex(*window):
        places = [
            slice(k * dilation, k * dilation + stride * count, stride)
            for k, count, stride, dilation in zip(tap, counts, strides, dilations, strict=True)
        ]
        yield (..., *tap), (..., *places)


def _split_shape(shape: Shape, spatial: int) -> tuple[Shape, Shape]:
    """The sizes before the last `spatial` axes, and theirs."""
    lead = len(shape) - spatial
    if lead < 0:
        raise ShapeError(
            f"{spatial} axes to slide over in an input of rank {len(shape)}",
            hint="a window has one size for each of the last axes that it slides over",
        )
    return shape[:lead], shape[lead:]


@builder
def windows(
    x: TensorLike, window: int | Sequence[int], stride: Numbers = 1, dilation: Numbers = 1
) -> Tensor:
    """The windows of sizes `window` in the last axes of `x`, as many as it has sizes.

    stride, dilation: from one window to the next, and between the elements of one; a number for
                      all axes, or one for each

    See `Windows`. Raises ShapeError where a window does not fit in.
    """
    tensor = as_tensor(x)
    sizes = numbers(window, len(window) if isinstance(window, Sequence) else 1, "the window")
    count = len(sizes)
    strides, dilations = numbers(stride, count, "stride"), numbers(dilation, count, "dilation")
    return Windows(sizes, strides, dilations)(tensor)


@register
class OverlapAdd(Operator):
    """Axes of `sizes` in which windows are added where they lie: `windows` transposed.

    x:   [..., *counts, *window], with as many counts as `windows` finds in `sizes`
    out: [..., *sizes]

    out[..., j] = Σ x[..., i, k] over i·stride + k·dilation = j, for each of the last axes
    The gradient of x is that of the elements that it was added to. 16-bit floats are added as
    float32.
    """

    name = "overlap_add"

    sizes: Shape
    strides: tuple[int, ...]
    dilations: tuple[int, ...]

    def infer(self, x: TensorType) -> TensorType:
        check_sizes(self.sizes)
        count = len(self.sizes)
        if is_boolean(x.dtype):
            raise DTypeError("needs a number input, got bool", hint="convert it with .astype")
        if x.rank < 2 * count:
            raise ShapeError(
                f"windows in {count} axes need a rank of at least {2 * count}, got {x.rank}",
                hint="the last axes are how many windows there are, then the elements in each",
            )
        lead, given = _split_shape(x.shape, 2 * count)
        window = given[count:]
        check_windows(window, self.strides, self.dilations)
        none = ((0, 0),) * count
        counts = window_counts(self.sizes, window, self.strides, none, self.dilations)
        if counts != given[:count]:
            raise ShapeError(
                f"{shape_text(given[:count])} windows are given, but sizes "
                f"{shape_text(self.sizes)} have {shape_text(counts)}",
                hint="the sizes must be those of what the windows were taken from",
            )
        return x.with_shape((*lead, *self.sizes))

    def kernel(self, x: NDArray[Any]) -> NDArray[Any]:
        shape = self.infer(TensorType(x.dtype, x.shape)).shape
        out = np.empty(evaluate(shape, {}), x.dtype)
        self.kernel_into(out, x)
        return out

    def kernel_into(self, out: NDArray[Any], x: NDArray[Any]) -> None:
        narrow = is_floating(x.dtype) and x.dtype.itemsize == 2
        total = np.empty(out.shape, float32) if narrow else out
        total[...] = 0
        count = len(self.sizes)
        counts, window = x.shape[x.ndim - 2 * count : x.ndim - count], x.shape[x.ndim - count :]
        for tap, places in taps(window, counts, self.strides, self.dilations):
            total[places] += x[tap]
        if narrow:
            out[...] = total

    def flops(self, x: TensorType) -> Size:
        return x.size

    def gradient(self, x: Tensor, out: Tensor, g: Tensor) -> Tensor:
        window = x.shape[x.ndim - len(self.sizes) :]
        return Windows(window, self.strides, self.dilations)(g)

    def batch(self, mapped: Sequence[bool], x: Tensor) -> Tensor:
        return self(x)

    cases = (
        Case(f32["n", 3, 3], sizes=(5,), strides=(1,), dilations=(1,)),
        Case(f64[dim("h") + 1, 2, 2, 3], sizes=(dim("h") + 4, 5), strides=(1, 2), dilations=(3, 1)),
        Case(f64[2, 2, 2, 3], sizes=(6, 8), strides=(3, 2), dilations=(1, 2)),
        Case(f16[4, 3], sizes=(6,), strides=(1,), dilations=(1,), smooth=False),
        Case(i32[2, 2, 2], sizes=(7,), strides=(4,), dilations=(1,)),
        Case(f64[0, 1, 3], sizes=(4,), strides=(2,), dilations=(1,)),
        Case(f64[3], sizes=(), strides=(), dilations=()),
    )
    rejects = (
        Reject(
            f32[4, 3], sizes=(5,), strides=(1,), dilations=(1,), message="[4] windows are given"
        ),
        Reject(
            f32[4], sizes=(5,), strides=(1,), dilations=(1,), message="a rank of at least 2, got 1"
        ),
        Reject(
            f32[1, 3], sizes=(2,), strides=(1,), dilations=(1,), message="a window that spans 3"
        ),
        Reject(
            f32[1, 3], sizes=(-1,), strides=(1,), dilations=(1,), message="a size can't be negative"
        ),
        Reject(bool_[3, 3], sizes=(5,), strides=(1,), dilations=(1,), message="got bool"),
    )


@builder
def overlap_add(
    x: TensorLike, sizes: ShapeLike, stride: Numbers = 1, dilation: Numbers = 1
) -> Tensor:
    """Axes of `sizes` in which the windows in `x` are added where they lie; see `OverlapAdd`."""
    tensor, shape = as_tensor(x), as_shape(sizes)
    count = len(shape)
    strides, dilations = numbers(stride, count, "stride"), numbers(dilation, count, "dilation")
    return OverlapAdd(shape, strides, dilations)(tensor)
