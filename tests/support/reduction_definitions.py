"""What operators along axes mean, but for the plain reductions, on Python's numbers.

Each definition takes arrays and attributes, as those of `structural_definitions` do.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from support.structural_definitions import (
    Index,
    built,
    inf,
    item,
    largest,
    log_sum_exp,
    nan,
    reduction,
    smallest,
    total,
)


def along(index: Index, axis: int, position: int) -> Index:
    """`index` with another position on one axis."""
    return (*index[:axis], position, *index[axis + 1 :])


def glu(x: np.ndarray, axis: int) -> np.ndarray:
    """a / (1 + e^-b), where b is half an axis behind a."""
    half = x.shape[axis] // 2

    def element(index: Index) -> float:
        gate = item(x, along(index, axis, index[axis] + half))
        return item(x, index) / (1 + math.exp(-gate)) if gate > -700 else item(x, index) * 0.0

    return built((*x.shape[:axis], half, *x.shape[axis + 1 :]), element)


def running(fold: Callable[[list], Any]) -> Callable[..., np.ndarray]:
    """At each index, `fold` of all elements up to it, from the far end for `reverse`."""

    def define(x: np.ndarray, axis: int, reverse: bool) -> np.ndarray:
        def element(index: Index) -> Any:
            n, i = x.shape[axis], index[axis]
            places = range(n - 1, i - 1, -1) if reverse else range(i + 1)
            return fold([item(x, along(index, axis, place)) for place in places])

        return built(x.shape, element)

    return define


def linear_recurrence(factor: np.ndarray, x: np.ndarray, axis: int, reverse: bool) -> np.ndarray:
    """Σ x[s] · Π factor[r] over s ≤ t and s < r ≤ t; the other way round for `reverse`."""

    def element(index: Index) -> float:
        t, result = index[axis], 0.0
        for s in range(t, x.shape[axis]) if reverse else range(t + 1):
            between = range(t, s) if reverse else range(s + 1, t + 1)
            factors = [item(factor, along(index, axis, place)) for place in between]
            result += item(x, along(index, axis, s)) * math.prod(factors)
        return result

    return built(x.shape, element)


def p_norm(values: list, ord: float) -> float:
    """By limits for ±inf, else in powers of what is relative to the largest magnitude."""
    magnitudes = [abs(v) for v in values]
    if any(m != m for m in magnitudes):
        return nan
    if ord == 0:
        return float(sum(m > 0 for m in magnitudes))
    if math.isinf(ord):
        return max(magnitudes) if ord > 0 else min(magnitudes)
    top = max(magnitudes, default=0.0)
    if top in (0.0, inf) or (ord < 0 and 0.0 in magnitudes):
        return top if ord > 0 else 0.0
    return top * math.fsum((m / top) ** ord for m in magnitudes) ** (1 / ord)


definitions: dict[str, Callable[..., Any]] = {
    "cummax": running(largest),
    "cummin": running(smallest),
    "cumprod": running(math.prod),
    "cumsum": running(total),
    "glu": glu,
    "linear_recurrence": linear_recurrence,
    "logcumsumexp": running(log_sum_exp),
    "vector_norm": reduction(p_norm),
}
