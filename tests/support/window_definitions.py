"""What operators that slide windows over axes mean: see `structural_definitions` for the form."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import numpy as np

from support.structural_definitions import Index, built, item

Pairs = tuple[tuple[int, int], ...]


def places(
    index: Index, taps: Index, strides: Index, dilations: Index, padding: Pairs | None = None
) -> Index:
    """Where element `taps` of window `index` lies, before the padding was put around."""
    around = padding or ((0, 0),) * len(index)
    return tuple(
        i * stride + k * dilation - before
        for i, k, stride, dilation, (before, _) in zip(
            index, taps, strides, dilations, around, strict=True
        )
    )


def starts(size: int, window: int, stride: int, dilation: int, pair: Index = (0, 0)) -> range:
    """The places from which a window fits in an axis, counted from the padding's first."""
    last = size + sum(pair) - (dilation * (window - 1) + 1)
    return range(0, last + 1, stride)


def counted(sizes: Index, window: Index, strides: Index, dilations: Index, padding: Pairs) -> Index:
    return tuple(
        len(starts(*numbers))
        for numbers in zip(sizes, window, strides, dilations, padding, strict=True)
    )


def inside(place: Index, sizes: Index) -> bool:
    return all(0 <= p < size for p, size in zip(place, sizes, strict=True))


def every(sizes: Index) -> Iterator[Index]:
    return product(*map(range, sizes))


def windows(x: np.ndarray, window: Index, strides: Index, dilations: Index) -> np.ndarray:
    lead, k = x.ndim - len(window), len(window)
    none = ((0, 0),) * k
    counts = counted(x.shape[lead:], window, strides, dilations, none)

    def element(index: Index) -> Any:
        place = places(index[lead : lead + k], index[lead + k :], strides, dilations)
        return item(x, (*index[:lead], *place))

    return built((*x.shape[:lead], *counts, *window), element, x.dtype)


def overlap_add(x: np.ndarray, sizes: Index, strides: Index, dilations: Index) -> np.ndarray:
    k = len(sizes)
    lead = x.ndim - 2 * k
    out = built((*x.shape[:lead], *sizes), lambda index: x.dtype.type(0).item(), x.dtype)
    for index in np.ndindex(*x.shape):
        place = places(index[lead : lead + k], index[lead + k :], strides, dilations)
        out[(*index[:lead], *place)] += item(x, index)
    return out


def unfold(
    x: np.ndarray, window: Index, strides: Index, padding: Pairs, dilations: Index
) -> np.ndarray:
    sizes = x.shape[2:]
    counts = counted(sizes, window, strides, dilations, padding)
    rows = [(c, *taps) for c in range(x.shape[1]) for taps in every(window)]
    columns = list(every(counts))

    def element(index: Index) -> Any:
        channel, *taps = rows[index[1]]
        place = places(columns[index[2]], tuple(taps), strides, dilations, padding)
        return item(x, (index[0], channel, *place)) if inside(place, sizes) else 0

    return built((x.shape[0], len(rows), len(columns)), element, x.dtype)


def fold(
    x: np.ndarray, sizes: Index, window: Index, strides: Index, padding: Pairs, dilations: Index
) -> np.ndarray:
    taps = list(every(window))
    channels = x.shape[1] // len(taps)
    out = np.zeros((x.shape[0], channels, *sizes), x.dtype)
    for number, index in enumerate(every(counted(sizes, window, strides, dilations, padding))):
        for (n, c), (row, tap) in product(every(out.shape[:2]), enumerate(taps)):
            place = places(index, tap, strides, dilations, padding)
            if inside(place, sizes):
                out[(n, c, *place)] += item(x, (n, c * len(taps) + row, number))
    return out


definitions: dict[str, Callable[..., Any]] = {
    "windows": windows,
    "overlap_add": overlap_add,
    "unfold": unfold,
    "fold": fold,
}
