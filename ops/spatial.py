"""Arithmetic of windows that slide over axes, and of the padding around these: convolutions, pools.

A window of `size` elements, `dilation` apart, spans `dilation · (size - 1) + 1` places. It starts
at every `stride`-th place from which it fits in; a stride, a dilation and so on go with each axis.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np

from graphwright.graph.dim import Dim, Size, ceildiv, floordiv, minimum, positive
from graphwright.graph.dtype import is_floating
from graphwright.graph.errors import AttributeValueError, ShapeError
from graphwright.graph.tensor import Tensor
from graphwright.graph.types import Shape
from graphwright.ops.arguments import shown
from graphwright.ops.movement import moveaxis
from graphwright.ops.padding import Pad
from graphwright.ops.shapes import as_size
from graphwright.ops.slicing import Slice

Numbers: TypeAlias = int | Sequence[int]
Pairs: TypeAlias = tuple[tuple[Size, Size], ...]
Padding: TypeAlias = "Size | str | Sequence[Size] | Sequence[Sequence[Size]]"


def span(size: Size, dilation: int) -> Size:
    """How many places a window reaches over, from its first element to its last."""
    return (size - 1) * dilation + 1


def window_counts(
    sizes: Shape, window: Shape, strides: Sequence[int], padding: Pairs, dilations: Sequence[int]
) -> Shape:
    """How many windows there are along each axis, when axes of `sizes` are padded.

    Raises ShapeError where no window fits in; where sizes are symbolic, that is found out when
    they are known.
    """
    counts: list[Size] = []
    for axis, size in enumerate(sizes):
        padded = size + padding[axis][0] + padding[axis][1]
        reach = span(window[axis], dilations[axis])
        room = padded - reach
        if isinstance(room, int) and room < 0:
            of = f"{size}" if padded == size else f"{padded} ({size} and its padding)"
            raise ShapeError(
                f"a window that spans {reach} does not fit in an axis of size {of}",
                hint=f"spatial axis {axis}: pad it, or make the window or its dilation smaller",
            )
        counts.append(positive(floordiv(room, strides[axis]) + 1))
    return tuple(counts)


def ceil_counts(
    sizes: Shape, window: Shape, strides: Sequence[int], padding: Pairs, dilations: Sequence[int]
) -> Shape:
    """The same where windows may reach over the end, if only they start before the padding there.

    ⌈(size + padding - span) / stride⌉ + 1, but at most ⌈(size + padding before) / stride⌉
    """
    window_counts(sizes, window, (1,) * len(sizes), padding, dilations)
    counts: list[Size] = []
    for size, length, stride, (before, after), dilation in zip(
        sizes, window, strides, padding, dilations, strict=True
    ):
        room = size + before + after - span(length, dilation)
        reaching = positive(ceildiv(room, stride) + 1)
        counts.append(minimum(reaching, ceildiv(size + before, stride)))
    return tuple(counts)


def check_windows(
    window: Shape, strides: Sequence[int], dilations: Sequence[int], padding: Pairs | None = None
) -> None:
    """For `infer`: raise AttributeValueError unless there is one of each for every axis, in range.

    Windows, strides and dilations are 1 or more, paddings pairs of 0 or more.
    """
    given = {"window": window, "strides": strides, "dilations": dilations}
    for what, numbers in given.items():
        if len(numbers) != len(window):
            raise AttributeValueError(f"{len(numbers)} {what} for {len(window)} spatial axes")
        for number in numbers:
            if isinstance(number, int) and number < 1:
                raise AttributeValueError(f"{what} must be 1 or more, got {tuple(numbers)}")
    if padding is not None:
        if len(padding) != len(window) or any(len(pair) != 2 for pair in padding):
            raise AttributeValueError(f"{padding} is not one pair for each of {len(window)} axes")
        for number in (number for pair in padding for number in pair):
            if isinstance(number, int) and number < 0:
                raise AttributeValueError(
                    f"padding can't be negative, got {padding}", hint="cut with x[..., 1:] instead"
                )


def check_rank(rank: int, spatial: int) -> None:
    """For `infer`: raise ShapeError unless there are two axes more than spatial ones."""
    if rank != spatial + 2:
        raise ShapeError(
            f"{spatial} spatial axes need an input of rank {spatial + 2}, got rank {rank}",
            hint="the axes are examples, channels, and the spatial ones; x[None] is one example",
        )


def spatial_rank(x: Tensor, wanted: int | None = None) -> int:
    """How many spatial axes `x` has; raises ShapeError when there are none, or not as wanted."""
    count = x.ndim - 2
    if count < 1 or (wanted is not None and count != wanted):
        rank = f"{wanted + 2}" if wanted is not None else "3 or more"
        raise ShapeError(
            f"needs an input of rank {rank}, got {x.type}",
            hint="the axes are examples, channels, and the spatial ones; x[None] is one example",
        )
    return count


def numbers(value: Numbers, count: int, what: str) -> tuple[int, ...]:
    """One number for each of `count` axes, from one for all or one for each.

    Raises AttributeValueError for anything else.
    """
    given = value if isinstance(value, Sequence) else (value,) * count
    whole = all(isinstance(n, int | np.integer) and not isinstance(n, bool) for n in given)
    if not whole or isinstance(given, str | bytes) or len(given) != count:
        raise AttributeValueError(
            f"{what} is a whole number, or one for each of the {count} spatial axes, got "
            f"{shown(value)}",
            hint=f"such as {(2,) * count}",
        )
    return tuple(int(number) for number in given)


def pairs(
    padding: Padding, sizes: Shape, window: Shape, strides: Sequence[int], dilations: Sequence[int]
) -> Pairs:
    """(before, after) for each axis.

    padding: a number for all sides, one for both sides of each axis, or a pair for each axis;
             "valid" for none; "same" for as many windows as there are strides in the axis,
             ⌈size / stride⌉, where of an odd number the one more is after (ONNX SAME_UPPER)
    Raises AttributeValueError for anything else.
    """
    if isinstance(padding, str) and padding == "valid":
        padding = 0
    if isinstance(padding, str) and padding == "same":
        return tuple(map(_same, sizes, window, strides, dilations))
    given = padding if isinstance(padding, Sequence) else (padding,) * len(sizes)
    found: list[tuple[Any, ...]] = [
        tuple(item) if isinstance(item, Sequence) and not isinstance(item, str) else (item, item)
        for item in given
    ]
    if len(found) != len(sizes) or not all(map(_is_pair, found)):
        raise AttributeValueError(
            f'padding is "same", "valid", a number, a number or a pair (before, after) for each of '
            f"the {len(sizes)} spatial axes, got {shown(padding)}",
            hint=f"such as {((1, 1),) * len(sizes)}",
        )
    return tuple((as_size(before), as_size(after)) for before, after in found)


def _same(size: Size, window: Size, stride: int, dilation: int) -> tuple[Size, Size]:
    total = positive((ceildiv(size, stride) - 1) * stride + span(window, dilation) - size)
    before = floordiv(total, 2)
    return before, total - before


def _is_pair(pair: tuple[object, ...]) -> bool:
    return len(pair) == 2 and all(
        isinstance(number, int | np.integer | Dim) and not isinstance(number, bool)
        for number in pair
    )


def channels_to_front(x: Tensor) -> Tensor:
    """[examples, *spatial, channels] as [examples, channels, *spatial]."""
    return moveaxis(x, -1, 1)


def channels_to_back(x: Tensor) -> Tensor:
    """[examples, channels, *spatial] as [examples, *spatial, channels]."""
    return moveaxis(x, 1, -1)


def padded_with(x: Tensor, padding: Pairs, value: bool | int | float) -> Tensor:
    """`x` with its last axes padded, one pair for each."""
    if _none(padding):
        return x
    filled = float(value) if is_floating(x.dtype) else value
    return Pad((*((0, 0),) * (x.ndim - len(padding)), *padding), filled)(x)


def without(x: Tensor, padding: Pairs) -> Tensor:
    """`x` without the padding of its last axes."""
    if _none(padding):
        return x
    lead = x.ndim - len(padding)
    sizes = [
        size - before - after for size, (before, after) in zip(x.shape[lead:], padding, strict=True)
    ]
    starts = (*(0,) * lead, *(before for before, _ in padding))
    return Slice(starts, (*x.shape[:lead], *sizes), (1,) * x.ndim)(x)


def _none(padding: Pairs) -> bool:
    return all(width == 0 for pair in padding for width in pair)
