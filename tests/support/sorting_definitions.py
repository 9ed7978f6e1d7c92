"""What operators that order elements mean: see `structural_definitions` for the form."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from support.structural_definitions import Index, built, item, reduction


def ordered(values: list, descending: bool) -> list[int]:
    """The indices of the values in order, by insertion: equal ones stay as they are."""
    order: list[int] = []
    for i, value in enumerate(values):
        place = len(order)
        while place and before(value, values[order[place - 1]], descending):
            place -= 1
        order.insert(place, i)
    return order


def before(a: Any, b: Any, descending: bool) -> bool:
    """Whether a belongs before b; nan is larger than every number."""
    low, high = (b, a) if descending else (a, b)
    return low < high or (high != high and low == low)


def argsort(x: np.ndarray, axis: int, descending: bool) -> np.ndarray:
    def element(index: Index) -> int:
        line = [item(x, (*index[:axis], j, *index[axis + 1 :])) for j in range(x.shape[axis])]
        return ordered(line, descending)[index[axis]]

    return built(x.shape, element)


def sort(x: np.ndarray, axis: int, descending: bool) -> np.ndarray:
    order = argsort(x, axis, descending)
    return built(x.shape, lambda k: item(x, (*k[:axis], order[k], *k[axis + 1 :])))


def topk(x: np.ndarray, k: int, axis: int, largest: bool) -> tuple[np.ndarray, np.ndarray]:
    first = (*(slice(None),) * axis, slice(k))
    return sort(x, axis, largest)[first].astype(x.dtype), argsort(x, axis, largest)[first]


def searchsorted(sequence: np.ndarray, values: np.ndarray, side: str) -> np.ndarray:
    def element(index: Index) -> int:
        value = item(values, index)
        row = [item(sequence, (*index[: sequence.ndim - 1], j)) for j in range(sequence.shape[-1])]
        same = [v == value or (v != v and value != value) for v in row]
        less = [before(v, value, False) for v in row]
        return sum(less) + (sum(same) if side == "right" else 0)

    return built(values.shape, element)


def middle(values: list) -> float:
    """The mean of the least and the greatest of what is left when both ends are taken off."""
    if any(value != value for value in values):
        return math.nan
    left = [float(value) for value in values]
    while len(left) > 2:
        left.remove(min(left))
        left.remove(max(left))
    return sum(left) / len(left)


definitions: dict[str, Callable[..., Any]] = {
    "argsort": argsort,
    "median": reduction(middle),
    "searchsorted": searchsorted,
    "sort": sort,
    "topk": topk,
}
