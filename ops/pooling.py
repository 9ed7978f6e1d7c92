"""Pools: the largest element, the mean or the norm of each window."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from graphwright.graph.dim import dim, positive, product
from graphwright.graph.dtype import float64, int64, is_boolean, is_floating
from graphwright.graph.errors import AttributeValueError
from graphwright.graph.operator import register
from graphwright.graph.tensor import Tensor, TensorLike
from graphwright.graph.types import Shape, TensorType
from graphwright.ops.arithmetic import abs, power
from graphwright.ops.case import Case, Reject, Within, bool_, f16, f32, f64, i32
from graphwright.ops.checks import check_floating
from graphwright.ops.comparison import equal
from graphwright.ops.composite import Composite
from graphwright.ops.convert import as_tensor, builder, cast
from graphwright.ops.creation import ones
from graphwright.ops.movement import expand_dims, transpose
from graphwright.ops.reduction import max, sum
from graphwright.ops.selection import where
from graphwright.ops.spatial import (
    Numbers,
    Padding,
    Pairs,
    ceil_counts,
    channels_to_back,
    channels_to_front,
    check_rank,
    check_windows,
    numbers,
    padded_with,
    pairs,
    span,
    spatial_rank,
    window_counts,
)
from graphwright.ops.statistics import widened
from graphwright.ops.window import Windows

# `max`, `sum` and `abs` here are tensors' functions; Python's own are not used below.


def pool(window: tuple[int, ...], **changes: Any) -> dict[str, Any]:
    """Attributes for cases: windows side by side, nothing out of the ordinary but the `changes`."""
    count = len(window)
    plain = {"padding": ((0, 0),) * count, "dilations": (1,) * count, "ceil_mode": False}
    return {"window": window, "strides": window, **plain, **changes}


class Pool(Composite):
    """What pools share: windows in the padded spatial axes of [examples, channels, *sizes]."""

    window: Shape
    strides: tuple[int, ...]
    padding: Pairs
    dilations: tuple[int, ...]
    ceil_mode: bool

    def check(self, x: TensorType) -> None:
        """Raise unless ranks and attributes are in order, and each window holds some of `x`."""
        check_windows(self.window, self.strides, self.dilations, self.padding)
        check_rank(x.rank, len(self.window))
        for size, dilation, pair in zip(self.window, self.dilations, self.padding, strict=True):
            reach = span(size, dilation)
            for width in pair:
                if isinstance(width, int) and isinstance(reach, int) and width >= reach:
                    raise AttributeValueError(
                        f"a padding of {width} has room for a window that spans {reach}, "
                        "which would hold nothing else",
                        hint="pad by less than the window spans",
                    )
        self.counts(x.shape)

    def counts(self, shape: Shape) -> Shape:
        """How many windows there are along each spatial axis."""
        count = ceil_counts if self.ceil_mode else window_counts
        return count(shape[2:], self.window, self.strides, self.padding, self.dilations)

    def around(self, shape: Shape) -> Pairs:
        """The padding, and what windows that reach over the end need after it."""
        if not self.ceil_mode:
            return self.padding
        widths = []
        for axis, count in enumerate(self.counts(shape)):
            before, after = self.padding[axis]
            reach = span(self.window[axis], self.dilations[axis])
            padded = shape[2 + axis] + before + after
            end = (count - 1) * self.strides[axis] + reach
            widths.append((before, after + positive(end - padded)))
        return tuple(widths)

    def windows(self, x: Tensor, value: bool | int | float) -> Tensor:
        """[*window, examples, channels, *counts], `value` being the padding."""
        return self.unpadded_windows(padded_with(x, self.around(x.shape), value))

    def unpadded_windows(self, x: Tensor) -> Tensor:
        """[*window, ..., *counts]: the windows in the last axes of `x`.

        What is within them is in front, so that work on it goes along rows of windows.
        """
        seen = Windows(self.window, self.strides, self.dilations)(x)
        first = seen.ndim - len(self.window)
        return transpose(seen, (*range(first, seen.ndim), *range(first)))

    @property
    def within(self) -> tuple[int, ...]:
        """The axes of what is within the windows."""
        return tuple(range(len(self.window)))


@register
class MaxPool(Pool):
    """The largest element of each window; nan if any is. Padding is never the largest.

    x:   [examples, channels, *sizes]
    out: [examples, channels, *counts],
         counts = ⌊(size + padding - dilation·(window - 1) - 1) / stride⌋ + 1

    With `ceil_mode` it is ⌈...⌉ + 1 windows, of which the last may reach over the end, unless it
    were to start in the padding there (ONNX MaxPool).
    d/dx = 1/k at the k elements of each window that are the largest, else 0
    """

    name = "max_pool"

    def infer(self, x: TensorType) -> Any:
        self.check(x)
        return super().infer(x)

    def decompose(self, x: Tensor) -> Tensor:
        return max(self.windows(x, lowest(x.type)), self.within)

    cases = (
        Case(f32["n", 2, 6], **pool((2,))),
        Case(f64[2, 2, dim("h") + 2, 5], **pool((2, 3), strides=(2, 1), padding=((1, 0), (1, 2)))),
        Case(f64[1, 2, 7, 7], **pool((2, 2), dilations=(3, 2), ceil_mode=True)),
        Case(
            f64[1, 1, dim("h") + 3], **pool((3,), strides=(2,), padding=((1, 1),), ceil_mode=True)
        ),
        Case(f64[2, 1, 5], **pool((2,), strides=(3,), padding=((1, 1),), ceil_mode=True)),
        Case(i32[1, 2, 4], **pool((3,), strides=(1,), padding=((1, 1),))),
        Case(bool_[1, 2, 4], **pool((3,), strides=(1,), padding=((1, 1),))),
        Case(
            [[[1.0, 3.0, 3.0, np.nan, -np.inf, -np.inf]]],
            **pool((2,), strides=(1,), padding=((1, 1),)),
            smooth=False,
        ),
    )
    rejects = (
        Reject(
            f32[1, 2, 3], **pool((4,)), message="a window that spans 4 does not fit in an axis of"
        ),
        Reject(f32[2, 3], **pool((2,)), message="1 spatial axes need an input of rank 3, got rank"),
        Reject(
            f32[1, 2, 3], **pool((2,), padding=((0, 2),)), message="a padding of 2 has room for a"
        ),
        Reject(f32[1, 2, 3], **pool((0,)), message="window must be 1 or more, got (0,)"),
    )


def lowest(kind: TensorType) -> bool | int | float:
    """What is no larger than any number of a type."""
    if is_boolean(kind.dtype):
        return False
    return -np.inf if is_floating(kind.dtype) else int(np.iinfo(kind.dtype).min)


@register
class AveragePool(Pool):
    """The mean of each window; integers and booleans become float64.

    Windows are those of `max_pool`. A window is divided by the number of its elements that lie in
    x or, with `count_include_pad`, in the padding that was asked for too; what reaches over that
    with `ceil_mode` is never counted (ONNX AveragePool). 16-bit floats are summed as float32.
    d/dx = 1 / that number, from each window that holds the element
    """

    name = "average_pool"

    count_include_pad: bool

    def infer(self, x: TensorType) -> Any:
        self.check(x)
        return super().infer(x)

    def decompose(self, x: Tensor) -> Tensor:
        wide = widened(x)
        total = sum(self.windows(wide, 0), self.within)
        mean = total / cast(self._divisor(x.shape), wide.dtype)
        return cast(mean, x.dtype if is_floating(x.dtype) else float64)

    def _divisor(self, shape: Shape) -> Tensor:
        """How many elements of each window count, to broadcast against all windows."""
        if not self.ceil_mode and (
            self.count_include_pad or not any(width != 0 for pair in self.padding for width in pair)
        ):
            return as_tensor(product(self.window))
        divisor = as_tensor(1)
        for axis, around in enumerate(self.around(shape)):
            before, after = self.padding[axis] if self.count_include_pad else (0, 0)
            counted = ones(before + shape[2 + axis] + after, int64)
            outside = (around[0] - before, around[1] - after)
            one_axis = Windows((self.window[axis],), (self.strides[axis],), (self.dilations[axis],))
            seen = one_axis(padded_with(counted, (outside,), 0))
            later = tuple(range(1, len(self.window) - axis))
            divisor = divisor * expand_dims(sum(seen, -1), later)
        return divisor

    cases = (
        Case(f32["n", 2, 6], **pool((2,)), count_include_pad=True),
        Case(
            f64[2, 2, dim("h") + 2, 5],
            **pool((2, 3), strides=(2, 1), padding=((1, 0), (1, 2))),
            count_include_pad=False,
        ),
        Case(
            f64[2, 1, dim("h") + 1, 5],
            **pool((2, 3), strides=(2, 1), padding=((1, 1), (1, 2)), dilations=(1, 2)),
            count_include_pad=True,
        ),
        Case(
            f64[1, 2, 7, 6],
            **pool((3, 3), strides=(3, 2), padding=((1, 1), (1, 0)), ceil_mode=True),
            count_include_pad=True,
        ),
        Case(
            f64[1, 2, dim("h") + 3],
            **pool((3,), strides=(2,), padding=((1, 1),), ceil_mode=True),
            count_include_pad=False,
        ),
        Case(Within(f16[1, 2, 4], 6e4, 6.1e4), **pool((2,)), count_include_pad=True, smooth=False),
        Case(i32[1, 2, 4], **pool((3,), strides=(1,)), count_include_pad=True),
    )
    rejects = (
        Reject(
            f32[1, 2, 3],
            **pool((4,)),
            count_include_pad=True,
            message="a window that spans 4 does not fit in an axis of size 3",
        ),
        Reject(
            f32[1, 2, 3],
            **pool((2,), strides=(1, 1)),
            count_include_pad=True,
            message="2 strides for 1 spatial axes",
        ),
    )


@register
class LpPool(Pool):
    """The p-norm of each window: (Σ |x|ᵖ)^(1/p), with zeros as padding (ONNX LpPool).

    Windows are those of `max_pool`. 16-bit floats are summed as float32.
    d/dx = sign(x) (|x| / out)^(p-1), from each window that holds the element; 0 where out is 0
    """

    name = "lp_pool"

    p: int | float

    def infer(self, x: TensorType) -> Any:
        check_floating(x)
        if not 0 < self.p < np.inf:
            raise AttributeValueError(
                f"p must be larger than 0 and finite, got {self.p}",
                hint="the norm with an infinite p is max_pool(abs(x))",
            )
        self.check(x)
        return super().infer(x)

    def decompose(self, x: Tensor) -> Tensor:
        total = sum(power(abs(self.windows(widened(x), 0)), self.p), self.within)
        # The slope of the root is infinite at 0: it is kept away from there.
        none = equal(total, 0)
        root = power(where(none, 1, total), 1 / self.p)
        return cast(where(none, 0, root), x.dtype)

    cases = (
        Case(f32["n", 2, 6], **pool((2,)), p=2),
        Case(f64[1, 2, dim("h") + 3, 4], **pool((2, 3), strides=(1, 1)), p=3),
        Case(f64[1, 1, 5], **pool((2,), padding=((1, 0),), ceil_mode=True), p=1.5),
        Case(f64[1, 1, 5], **pool((2,), dilations=(2,)), p=1, smooth=False),
        Case(f16[1, 1, 4], **pool((2,)), p=2, smooth=False),
        Case([[[0.0, 0.0, 3.0, 4.0]]], **pool((2,)), p=2, smooth=False),
    )
    rejects = (
        Reject(i32[1, 2, 3], **pool((2,)), p=2, message="needs a floating input, got i32[1,2,3]"),
        Reject(f32[1, 2, 3], **pool((2,)), p=0, message="p must be larger than 0 and finite, got"),
        Reject(f32[1, 2, 3], **pool((2,)), p=np.inf, message="p must be larger than 0 and finite"),
        Reject(f32[1, 2, 3], **pool((4,)), p=2, message="a window that spans 4 does not fit in"),
    )


@builder
def max_pool(
    x: TensorLike,
    window: Numbers,
    stride: Numbers | None = None,
    padding: Padding = 0,
    dilation: Numbers = 1,
    ceil_mode: bool = False,
    channels_last: bool = False,
) -> Tensor:
    """The largest element of each window in the spatial axes of `x`; see `MaxPool`.

    x:             [examples, channels, *sizes]; [examples, *sizes, channels] with `channels_last`,
                   and then the result too
    window:        its sizes: a number for all axes, or one for each
    stride:        from one window to the next; that of the window unless given
    padding:       around `x`: a number for all sides, a number or a pair (before, after) for each
                   axis, "valid" for none, or "same" for ⌈size / stride⌉ windows along each axis
    dilation:      from one element of a window to the next
    ceil_mode:     the last window may reach over the end

    Raises ShapeError when a window does not fit in, AttributeValueError for numbers out of their
    range.
    """
    return _pooled(MaxPool, x, window, stride, padding, dilation, ceil_mode, channels_last)


@builder
def average_pool(
    x: TensorLike,
    window: Numbers,
    stride: Numbers | None = None,
    padding: Padding = 0,
    dilation: Numbers = 1,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    channels_last: bool = False,
) -> Tensor:
    """The mean of each window in the spatial axes of `x`; see `AveragePool`.

    count_include_pad: the zeros of the padding are part of the mean

    Other arguments and errors are those of `max_pool`.
    """
    kind = partial(AveragePool, count_include_pad=count_include_pad)
    return _pooled(kind, x, window, stride, padding, dilation, ceil_mode, channels_last)


@builder
def lp_pool(
    x: TensorLike,
    p: int | float,
    window: Numbers,
    stride: Numbers | None = None,
    padding: Padding = 0,
    dilation: Numbers = 1,
    ceil_mode: bool = False,
    channels_last: bool = False,
) -> Tensor:
    """The p-norm of each window in the spatial axes of `x`; see `LpPool`.

    Other arguments and errors are those of `max_pool`.
    """
    kind = partial(LpPool, p=p)
    return _pooled(kind, x, window, stride, padding, dilation, ceil_mode, channels_last)


def _pooled(
    kind: Callable[..., Pool],
    x: TensorLike,
    window: Numbers,
    stride: Numbers | None,
    padding: Padding,
    dilation: Numbers,
    ceil_mode: bool,
    channels_last: bool,
) -> Tensor:
    tensor = as_tensor(x)
    images = channels_to_front(tensor) if channels_last else tensor
    out = kind(*pool_numbers(images, window, stride, padding, dilation), ceil_mode)(images)
    return channels_to_back(out) if channels_last else out


def pool_numbers(
    x: Tensor, window: Numbers, stride: Numbers | None, padding: Padding, dilation: Numbers
) -> tuple[Shape, tuple[int, ...], Pairs, tuple[int, ...]]:
    """The attributes of a pool of `x`, as its arguments say."""
    count = spatial_rank(x)
    sizes = numbers(window, count, "the window")
    strides = sizes if stride is None else numbers(stride, count, "stride")
    dilations = numbers(dilation, count, "dilation")
    return sizes, strides, pairs(padding, x.shape[2:], sizes, strides, dilations), dilations
