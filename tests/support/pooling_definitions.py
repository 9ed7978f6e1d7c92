"""What pools mean: see `structural_definitions` for the form."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import numpy as np

from support.structural_definitions import Index, built, item
from support.window_definitions import Pairs, every, inside, places


def counted(size: int, window: int, stride: int, pair: Index, dilation: int, over: bool) -> int:
    """How many windows there are: one after the other, as long as they are allowed."""
    span, padded = dilation * (window - 1) + 1, size + sum(pair)
    starts = [start for start in range(0, padded, stride) if start + span <= padded]
    left_over = starts[-1] + span < padded
    next_one = starts[-1] + stride
    return len(starts) + (over and left_over and next_one < size + pair[0])


def pools(
    x: np.ndarray,
    window: Index,
    strides: Index,
    padding: Pairs,
    dilations: Index,
    ceil_mode: bool,
) -> tuple[Index, Callable[[Index], Iterator[tuple[Index, Any]]]]:
    """The shape of the result, and for each index in it the places of a window and what is there.

    What is there is None in the padding; what lies even beyond that is left out.
    """
    sizes = x.shape[2:]
    counts = tuple(
        counted(*numbers, ceil_mode)
        for numbers in zip(sizes, window, strides, padding, dilations, strict=True)
    )
    widest = tuple(size + after for size, (_, after) in zip(sizes, padding, strict=True))

    def held(index: Index) -> Iterator[tuple[Index, Any]]:
        for taps in every(window):
            place = places(index[2:], taps, strides, dilations, padding)
            if inside(place, sizes):
                yield place, item(x, (*index[:2], *place))
            elif all(p < end for p, end in zip(place, widest, strict=True)):
                yield place, None

    return (*x.shape[:2], *counts), held


def larger(first: Any, second: Any) -> Any:
    return second if first == first and (second != second or second > first) else first


def max_pool(x: np.ndarray, **how: Any) -> np.ndarray:
    shape, held = pools(x, **how)

    def element(index: Index) -> Any:
        first, *rest = [value for _, value in held(index) if value is not None]
        for value in rest:
            first = larger(first, value)
        return first

    return built(shape, element, x.dtype)


def average_pool(x: np.ndarray, count_include_pad: bool, **how: Any) -> np.ndarray:
    shape, held = pools(x, **how)

    def element(index: Index) -> float:
        inner = [value for _, value in held(index) if value is not None]
        count = len(list(held(index))) if count_include_pad else len(inner)
        return math.fsum(inner) / count

    return built(shape, element, np.float64)


def lp_pool(x: np.ndarray, p: float, **how: Any) -> np.ndarray:
    shape, held = pools(x, **how)

    def element(index: Index) -> float:
        powers = [abs(value) ** p for _, value in held(index) if value is not None]
        return math.fsum(powers) ** (1 / p)

    return built(shape, element, np.float64)


def max_pool_with_indices(x: np.ndarray, **how: Any) -> tuple[np.ndarray, np.ndarray]:
    shape, held = pools(x, **how)
    values, indices = np.empty(shape, x.dtype), np.empty(shape, np.int64)
    for index in np.ndindex(*shape):
        (place, first), *rest = [(p, value) for p, value in held(index) if value is not None]
        for other, value in rest:
            if larger(first, value) is value and value != first:
                place, first = other, value
        values[index] = first
        indices[index] = flat(place, x.shape[2:])
    return values, indices


def flat(place: Index, sizes: Index) -> int:
    number = 0
    for p, size in zip(place, sizes, strict=True):
        number = number * size + p
    return number


def max_unpool(x: np.ndarray, indices: np.ndarray, sizes: Index) -> np.ndarray:
    out = np.zeros((*x.shape[:2], *sizes), x.dtype)
    places = {flat(place, sizes): place for place in every(sizes)}
    for index in np.ndindex(*x.shape):
        out[(*index[:2], *places[item(indices, index)])] = item(x, index)
    return out


def adaptive(
    x: np.ndarray, sizes: Index, fold: Callable[[list[Any]], Any], dtype: Any
) -> np.ndarray:
    """Bin i of an axis holds each j if a part of [j, j + 1) · bins / size is in [i, i + 1)."""

    def element(index: Index) -> Any:
        chosen = [
            [j for j in range(size) if j * bins < (i + 1) * size and (j + 1) * bins > i * size]
            for i, size, bins in zip(index[2:], x.shape[2:], sizes, strict=True)
        ]
        return fold([item(x, (*index[:2], *place)) for place in product(*chosen)])

    return built((*x.shape[:2], *sizes), element, dtype)


definitions: dict[str, Callable[..., Any]] = {
    "max_pool": max_pool,
    "average_pool": average_pool,
    "lp_pool": lp_pool,
    "max_pool_with_indices": max_pool_with_indices,
    "max_unpool": max_unpool,
    "adaptive_average_pool": lambda x, sizes: adaptive(
        x, sizes, lambda values: math.fsum(values) / len(values), np.float64
    ),
    "adaptive_max_pool": lambda x, sizes: adaptive(x, sizes, max, x.dtype),
}
