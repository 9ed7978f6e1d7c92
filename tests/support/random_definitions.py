"""What random operators give, number by number, in whole numbers and by bisection."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

inf, nan = math.inf, math.nan


# The inverses of the error function and of the normal distribution.


def bisected(function: Callable[[float], float], value: float, low: float, high: float) -> float:
    """Where the rising `function` reaches `value`."""
    while low < (middle := (low + high) / 2) < high:
        if function(middle) < value:
            low = middle
        else:
            high = middle
    return middle


def erf_reaches(value: float, complement: float) -> float:
    """The x ≥ 0 with erf(x) = value = 1 - complement."""
    if complement == 0:
        return inf
    if value < 0.5:
        return value and bisected(math.erf, value, min(value / 2, 0.5), 2 * value)
    return bisected(lambda x: -math.erfc(x), -complement, 0, 30)


def erfinv(x: float) -> float:
    if math.isnan(x) or abs(x) > 1:
        return nan
    return math.copysign(erf_reaches(abs(x), 1 - abs(x)), x)


def ndtri(x: float) -> float:
    if math.isnan(x) or not 0 <= x <= 1:
        return nan
    tail = min(x, 1 - x)
    return math.copysign(math.sqrt(2) * erf_reaches(1 - 2 * tail, 2 * tail), x - 0.5)


definitions: dict[str, Callable[..., Any]] = {
    "erfinv": erfinv,
    "ndtri": ndtri,
}
