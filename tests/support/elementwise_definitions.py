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


def total(f: Callable[[float], float], outside: float = nan) -> Callable[[float], float]:
    """`f` of `math` where it has a value; `outside` its domain; nan for nan."""

    def define(x: float) -> float:
        try:
            return nan if math.isnan(x) else f(x)
        except ValueError:
            return outside

    return define


def exp2(x: float) -> float:
    return exp_of(2.0, x)


def expm1(x: float) -> float:
    return inf if x > 709.9 else math.expm1(x)


def exp_of(base: float, x: float) -> float:
    try:
        return math.pow(base, x)
    except OverflowError:
        return inf


def at_pole(f: Callable[[float], float], pole: float) -> Callable[[float], float]:
    """A logarithm `f`, with -inf at its pole and nan below it."""
    return lambda x: -inf if x == pole else total(f)(x)


def rsqrt(x: float) -> float:
    return divide(1.0, sqrt(x)) if x >= 0 else nan


sqrt = total(math.sqrt)


def cbrt(x: float) -> float:
    """By Newton's method on the nearest power, in exact fractions."""
    if x == 0 or not math.isfinite(x):
        return x
    root = math.copysign(math.exp(math.log(abs(x)) / 3), x)
    exact, near = Fraction(x), Fraction(root)
    return float((2 * near + exact / near**2) / 3)


def logaddexp(x: float, y: float) -> float:
    if math.isnan(x) or math.isnan(y):
        return nan
    low, high = sorted((x, y))
    return high if math.isinf(high) else high + math.log1p(math.exp(low - high))


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x > 0 else exp(x) / (1 + exp(x))


def softplus(x: float) -> float:
    """log(1 + exp(x)), by its series where exp(x) is below the last place of 1."""
    if x > 40:
        return x
    return exp(x) if x < -40 else math.log1p(math.exp(x))


def sinh(x: float) -> float:
    try:
        return math.sinh(x)
    except OverflowError:
        return math.copysign(inf, x)


def cosh(x: float) -> float:
    try:
        return math.cosh(x)
    except OverflowError:
        return inf


def arctanh(x: float) -> float:
    return math.copysign(inf, x) if abs(x) == 1 else total(math.atanh)(x)


def whole(rounded: Callable[[float], int]) -> Callable[[float], float]:
    """Of floats; those that are infinite or nan stay as they are."""
    return lambda x: float(rounded(x)) if math.isfinite(x) else x


def round_half_to_even(x: float) -> int:
    low = math.floor(x)
    fraction = Fraction(x) - low
    up = fraction > Fraction(1, 2) or (fraction == Fraction(1, 2) and low % 2 == 1)
    return low + up


def left_shift(x: int, y: int) -> int:
    return x * 2**y if 0 <= y < 64 else 0


def right_shift(x: int, y: int) -> int:
    return math.floor(Fraction(x, 2**y)) if 0 <= y < 64 else -(x < 0)


def bits(truth: Callable[[int, int], bool]) -> Callable[..., Any]:
    """A truth function of each pair of 64 bits, in two's complement."""

    def define(x: int, y: int = 0) -> Any:
        if isinstance(x, bool):
            return truth(x, y)
        pairs = [(x // 2**i % 2, y // 2**i % 2) for i in range(64)]
        return sum(2**i * truth(*pair) for i, pair in enumerate(pairs))

    return define


def nan_to_num(x: float, nan: float, posinf: float, neginf: float) -> float:
    return {"nan": nan, "inf": posinf, "-inf": neginf}.get(str(x), x)


def isclose(x: float, y: float, rtol: float, atol: float, equal_nan: bool) -> bool:
    if not (math.isfinite(x) and math.isfinite(y)):
        return str(x) == str(y) and (x == y or equal_nan)
    distance = abs(Fraction(x) - Fraction(y))
    return distance <= Fraction(atol) + Fraction(rtol) * abs(Fraction(y))


def relu(x: Any) -> Any:
    return x if x != x or x > 0 else type(x)(0)


def relu6(x: float) -> float:
    return clip(x, 0.0, 6.0)


def clip(x: Any, low: Any, high: Any) -> Any:
    if x != x:
        return x
    return high if x > high or low > high else (low if x < low else x)


def elu(x: float, alpha: float) -> float:
    return alpha * expm1(x) if x <= 0 else x


def celu(x: float, alpha: float) -> float:
    return x if x > 0 else alpha * expm1(x / alpha)


def selu(x: float) -> float:
    """With α and λ in closed form, from Klambauer et al. 2017, equation 14."""
    one, two = math.erfc(math.sqrt(0.5)) * math.sqrt(math.e), math.erfc(math.sqrt(2)) * math.e**2
    alpha = math.sqrt(2 / math.pi) / (1 - one)
    variance = 2 * two + math.pi * one**2 - 2 * (2 + math.pi) * one + math.pi + 2
    return (1 - one) * math.sqrt(2 * math.pi / variance) * elu(x, alpha)


def mish(x: float) -> float:
    """tanh(log(1 + e)) is ((1 + e)² - 1)/((1 + e)² + 1) with exp(x) for e."""
    if x > 40 or x != x:
        return x
    e = exp(x)
    return x * (e * (e + 2)) / (e * (e + 2) + 2)


def gelu(x: float, approximate: str) -> float:
    if math.isinf(x) or x != x:
        return max(x, 0.0)
    if approximate == "none":
        return x * math.erfc(-x / math.sqrt(2)) / 2
    z = math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)
    return x * sigmoid(2 * z)


def hard_sigmoid(x: float) -> float:
    return relu6(x + 3) / 6


def cast(x: Any, dtype: Any) -> Any:
    if dtype.kind == "b":
        return x != 0
    return int(x) if dtype.kind in "iu" else float(x)


definitions: dict[str, Callable[..., Any]] = {
    "abs": lambda x: -x if x < 0 else x + 0,
    "add": lambda x, y: x + y,
    "arccos": total(math.acos),
    "arccosh": total(math.acosh),
    "arcsin": total(math.asin),
    "arcsinh": math.asinh,
    "arctan": math.atan,
    "arctan2": math.atan2,
    "arctanh": arctanh,
    "bitwise_and": bits(lambda a, b: a == b == 1),
    "bitwise_invert": bits(lambda a, b: a == 0),
    "bitwise_or": bits(lambda a, b: a + b > 0),
    "bitwise_xor": bits(lambda a, b: a != b),
    "cast": cast,
    "cbrt": cbrt,
    "ceil": whole(math.ceil),
    "celu": celu,
    "clip": clip,
    "copysign": math.copysign,
    "cos": total(math.cos),
    "cosh": cosh,
    "divide": divide,
    "elu": elu,
    "equal": lambda x, y: x == y,
    "erf": math.erf,
    "erfc": math.erfc,
    "exp": exp,
    "exp2": exp2,
    "expm1": expm1,
    "floor": whole(math.floor),
    "floor_divide": floor_divide,
    "gelu": gelu,
    "greater": lambda x, y: x > y,
    "greater_equal": lambda x, y: x >= y,
    "hard_sigmoid": hard_sigmoid,
    "hard_swish": lambda x: x * hard_sigmoid(x),
    "hard_tanh": lambda x, low, high: clip(x, low, high),
    "hypot": math.hypot,
    "isclose": isclose,
    "isfinite": math.isfinite,
    "isinf": math.isinf,
    "isnan": math.isnan,
    "leaky_relu": lambda x, alpha: x if x > 0 else alpha * x,
    "left_shift": left_shift,
    "less": lambda x, y: x < y,
    "less_equal": lambda x, y: x <= y,
    "log": at_pole(math.log, 0),
    "log10": at_pole(math.log10, 0),
    "log1p": at_pole(math.log1p, -1),
    "log2": at_pole(math.log2, 0),
    "log_sigmoid": lambda x: -softplus(-x),
    "logaddexp": logaddexp,
    "logical_and": lambda x, y: x and y,
    "logical_not": lambda x: not x,
    "logical_or": lambda x, y: x or y,
    "logical_xor": lambda x, y: x is not y,
    "maximum": maximum,
    "minimum": minimum,
    "mish": mish,
    "multiply": lambda x, y: x * y,
    "nan_to_num": nan_to_num,
    "negative": lambda x: -x,
    "nextafter": math.nextafter,
    "not_equal": lambda x, y: x != y,
    "power": power,
    "prelu": lambda x, slope: x if x > 0 else slope * x,
    "reciprocal": lambda x: divide(1.0, x),
    "relu": relu,
    "relu6": relu6,
    "remainder": remainder,
    "right_shift": right_shift,
    "round": whole(round_half_to_even),
    "rsqrt": rsqrt,
    "selu": selu,
    "sigmoid": sigmoid,
    "sign": sign,
    "signbit": lambda x: math.copysign(1, x) < 0,
    "silu": lambda x: x * sigmoid(x),
    "sin": total(math.sin),
    "sinh": sinh,
    "softplus": softplus,
    "softsign": lambda x: x / (1 - x) if x < 0 else x / (1 + x),
    "sqrt": sqrt,
    "square": lambda x: x * x,
    "stop_gradient": lambda x: x,
    "subtract": lambda x, y: x - y,
    "tan": total(math.tan),
    "tanh": math.tanh,
    "threshold": lambda x, threshold, value: value if x <= threshold else x,
    "trunc": whole(math.trunc),
    "where": lambda condition, x, y: x if condition else y,
}
