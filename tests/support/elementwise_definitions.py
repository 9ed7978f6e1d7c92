"""What elementwise operators mean, on Python scalars, independently of NumPy.

Each definition takes the scalars of one index (float, int or bool) and the operator's attributes
by name, and gives the scalar there. Floats come as float64, whatever the dtype of the case, and
the result is rounded to the dtype afterwards. By Python's `math`, `fractions` and identities.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

inf, nan = math.inf, math.nan


def divide(x: float, y: float) -> float:
    if y != 0:
        return x / y
    return nan if x == 0 or math.isnan(x) else math.copysign(inf, x) * math.copysign(1, y)


def floor_divide(x: Any, y: Any) -> Any:
    if isinstance(x, int):
        return x // y if y else 0
    return math.floor(Fraction(x) / Fraction(y))


def remainder(x: Any, y: Any) -> Any:
    if isinstance(x, int):
        return x % y if y else 0
    return float(Fraction(x) - Fraction(y) * math.floor(Fraction(x) / Fraction(y)))


def power(x: Any, y: Any) -> Any:
    if isinstance(x, int):
        # A whole quotient of 1 by x to the power -y, rounded towards 0.
        return x**y if y >= 0 else (x ** (-y) if abs(x) == 1 else 0)
    try:
        return math.pow(x, y)
    except ValueError:
        return inf if x == 0 else nan
    except OverflowError:
        return -inf if x < 0 and y % 2 == 1 else inf


def sign(x: Any) -> Any:
    return x if x != x else (x > 0) - (x < 0)


def maximum(x: Any, y: Any) -> Any:
    return x if x != x or not (y > x or y != y) else y


def minimum(x: Any, y: Any) -> Any:
    return x if x != x or not (y < x or y != y) else y


def exp(x: float) -> float:
    try:
        return math.exp(x)
    except OverflowError:
        return inf


def log(x: float) -> float:
    if x == 0:
        return -inf
    return nan if x < 0 or math.isnan(x) else math.log(x)


def cast(x: Any, dtype: Any) -> Any:
    if dtype.kind == "b":
        return x != 0
    return int(x) if dtype.kind in "iu" else float(x)


definitions: dict[str, Callable[..., Any]] = {
    "abs": lambda x: -x if x < 0 else x + 0,
    "add": lambda x, y: x + y,
    "cast": cast,
    "divide": divide,
    "equal": lambda x, y: x == y,
    "exp": exp,
    "floor_divide": floor_divide,
    "greater": lambda x, y: x > y,
    "greater_equal": lambda x, y: x >= y,
    "less": lambda x, y: x < y,
    "less_equal": lambda x, y: x <= y,
    "log": log,
    "maximum": maximum,
    "minimum": minimum,
    "multiply": lambda x, y: x * y,
    "negative": lambda x: -x,
    "not_equal": lambda x, y: x != y,
    "power": power,
    "reciprocal": lambda x: divide(1.0, x),
    "remainder": remainder,
    "sign": sign,
    "square": lambda x: x * x,
    "subtract": lambda x, y: x - y,
    "where": lambda condition, x, y: x if condition else y,
}
