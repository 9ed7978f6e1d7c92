"""What vector functions should give, and where they are tried.

float32 is compared with NumPy in float64, float64 with mpmath; errors are in units in the last
place (ulp) of the correctly rounded result.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import mpmath
import numpy as np

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Reference:
    """A function in float64 and in mpmath, and how far from 0 its interesting arguments lie.

    at64:  the same for float64, where it is farther
    pairs: for functions of two operands: from the first one, and draws, more of the second
    """

    numpy: Callable[..., Any]
    exact: Callable[..., Any]
    reach: float
    at64: float = 0.0
    pairs: Callable[[Array, np.random.Generator], Array] | None = None


def _each(function: Callable[[float], float]) -> Callable[[Array], Array]:
    return lambda x: np.array([function(number) for number in x.tolist()])


def _sigmoid(x: Array) -> Array:
    return np.exp(np.minimum(x, 0)) / (1 + np.exp(-np.abs(x)))


def _softplus(x: Array) -> Array:
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


def _cube_root(x: Any) -> Any:
    return mpmath.sign(x) * mpmath.cbrt(abs(x))


def _exponents(x: Array, draws: np.random.Generator) -> Array:
    """Powers of x with them fill the range of the dtype; every third is a whole number."""
    reach = 160.0 if x.dtype == np.float32 else 1080.0
    with np.errstate(all="ignore"):
        y = draws.uniform(-reach, reach, x.size) / np.log2(np.abs(x.astype(np.float64)))
    y[::3] = np.rint(y[::3])
    return y


def _alike(x: Array, draws: np.random.Generator) -> Array:
    """Numbers of the size of x, about, of both signs."""
    with np.errstate(all="ignore"):
        return x * np.exp2(draws.uniform(-6, 6, x.size)) * draws.choice([-1, 1], x.size)


REFERENCES = {
    "exp": Reference(np.exp, mpmath.exp, 105, 746),
    "exp2": Reference(np.exp2, lambda x: mpmath.mpf(2) ** x, 151, 1076),
    "expm1": Reference(np.expm1, mpmath.expm1, 90, 711),
    "sigmoid": Reference(_sigmoid, lambda x: 1 / (1 + mpmath.exp(-x)), 105, 746),
    "softplus": Reference(_softplus, lambda x: mpmath.log1p(mpmath.exp(x)), 105, 746),
    "log": Reference(np.log, mpmath.log, 4),
    "log2": Reference(np.log2, lambda x: mpmath.log(x, 2), 4),
    "log10": Reference(np.log10, mpmath.log10, 4),
    "log1p": Reference(np.log1p, mpmath.log1p, 4),
    "tanh": Reference(np.tanh, mpmath.tanh, 10, 20),
    "sinh": Reference(np.sinh, mpmath.sinh, 92, 712),
    "cosh": Reference(np.cosh, mpmath.cosh, 92, 712),
    "asinh": Reference(np.arcsinh, mpmath.asinh, 10),
    "acosh": Reference(np.arccosh, mpmath.acosh, 10),
    "atanh": Reference(np.arctanh, mpmath.atanh, 1),
    "sin": Reference(np.sin, mpmath.sin, 100),
    "cos": Reference(np.cos, mpmath.cos, 100),
    "tan": Reference(np.tan, mpmath.tan, 100),
    "asin": Reference(np.arcsin, mpmath.asin, 1),
    "acos": Reference(np.arccos, mpmath.acos, 1),
    "atan": Reference(np.arctan, mpmath.atan, 10),
    "atan2": Reference(np.arctan2, mpmath.atan2, 10, pairs=_alike),
    "pow": Reference(np.power, mpmath.power, 10, pairs=_exponents),
    "rsqrt": Reference(lambda x: 1 / np.sqrt(x), lambda x: 1 / mpmath.sqrt(x), 10),
    "cbrt": Reference(np.cbrt, _cube_root, 10),
    "hypot": Reference(np.hypot, mpmath.hypot, 10, pairs=_alike),
    "erf": Reference(_each(math.erf), mpmath.erf, 4, 6),
    "erfc": Reference(_each(math.erfc), mpmath.erfc, 11, 28),
}


def arguments(name: str, dtype: Any, count: int, seed: int = 0) -> list[Array]:
    """Operands of all exponents and both signs, most of them where the function is interesting."""
    dtype, reference = np.dtype(dtype), REFERENCES[name]
    draws = np.random.default_rng(seed)
    x = _numbers(reference, dtype, count, draws)
    if not reference.pairs:
        return [x]
    others = draws.permutation(_numbers(reference, dtype, count, draws))
    near = x[: x.size // 2]
    with np.errstate(all="ignore"):
        fitting = reference.pairs(near, draws).astype(dtype)
    special = _special(dtype)[:: 3 if count > 10_000 else 17]
    grid = [axis.reshape(-1) for axis in np.meshgrid(special, special)]
    return [np.concatenate([x, near, grid[0]]), np.concatenate([others, fitting, grid[1]])]


def _numbers(reference: Reference, dtype: Any, count: int, draws: np.random.Generator) -> Array:
    reach = reference.at64 if dtype.itemsize == 8 and reference.at64 else reference.reach
    part = count // 4
    bits = draws.integers(0, 2 ** (8 * dtype.itemsize), count, dtype=f"u{dtype.itemsize}")
    signs = draws.choice([-1.0, 1.0], part)
    pieces = [
        _special(dtype),
        bits[: count - 3 * part].view(dtype),
        draws.uniform(-reach, reach, part),
        np.exp2(draws.uniform(-30, math.log2(reach) + 1, part)) * signs,
        (1 + np.exp2(draws.uniform(-53, 0, part)) * draws.choice([-1.0, 1.0], part)) * signs,
    ]
    return np.concatenate([piece.astype(dtype) for piece in pieces])


def _special(dtype: Any) -> Array:
    """Zeros, infinities, nan, the ends of the range, whole numbers; and their neighbours."""
    info = np.finfo(dtype)
    numbers = [0.0, np.inf, np.nan, info.tiny, info.smallest_subnormal, info.max]
    numbers += [0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 4.0, 10.0, 1e5]
    both = np.array([*numbers, *(-np.array(numbers))], dtype)
    return np.concatenate([both, np.nextafter(both, dtype.type(7)), np.nextafter(both, -both)])


def exact(name: str, *operands: Array) -> tuple[Array, Array]:
    """The values for float64, each as a sum of two: what float64 holds, and the rest.

    NumPy tells where the result is not a finite number, and what it is there.
    """
    reference = REFERENCES[name]
    with np.errstate(all="ignore"):
        high = np.asarray(reference.numpy(*operands))
    low = np.zeros_like(high)
    usual = np.isfinite(high) & (high != 0)
    for operand in operands:
        usual &= np.isfinite(operand) & (operand != 0)  # mpmath's zeros have no sign
    with mpmath.workprec(180):
        for i in np.flatnonzero(usual):
            value = mpmath.re(reference.exact(*(mpmath.mpf(float(x[i])) for x in operands)))
            high[i] = float(value)
            if np.isfinite(high[i]):
                low[i] = float(value - mpmath.mpf(float(high[i])))
    return high, low


def extended(name: str, *operands: Array) -> tuple[Array, Array]:
    """As `exact`, but quick: by NumPy in 80-bit floats, where it has those and the function."""
    wide = np.longdouble
    if np.finfo(wide).nmant < 63 or name in ("erf", "erfc"):
        return exact(name, *operands)
    with np.errstate(all="ignore"):
        value = np.asarray(REFERENCES[name].numpy(*(x.astype(wide) for x in operands)))
        high = value.astype(np.float64)
        low = np.where(np.isfinite(high), value - high, 0).astype(np.float64)
    return high, low


def rounded(name: str, *operands: Array) -> tuple[Array, Array]:
    """The values for float32 and shorter, in float64, with nothing beyond."""
    with np.errstate(all="ignore"):
        high = np.asarray(REFERENCES[name].numpy(*(x.astype(np.float64) for x in operands)))
    return high, np.zeros_like(high)


def ulps(found: Array, high: Array, low: Array) -> Array:
    """How far from high + low, in units in the last place of that, rounded.

    Infinite where one of the two is nan, infinite or a zero of the other sign and the other not.
    An infinity where the largest finite numbers would do counts as what comes after them.
    """
    dtype = found.dtype
    with np.errstate(all="ignore"):
        nearest = high.astype(dtype)
        unit = np.spacing(np.minimum(np.abs(nearest), np.finfo(dtype).max)).astype(np.float64)
        beyond = 2.0 * float(np.finfo(dtype).max) if dtype.itemsize < 8 else np.inf
        after = np.where(np.isinf(found), np.copysign(beyond / 2, found), found.astype(np.float64))
        error = np.abs((after - high) - low) / unit
        alike = (found == nearest) & (np.signbit(found) == np.signbit(nearest))
        alike &= np.isinf(nearest) | (nearest == 0)
        alike |= np.isnan(found) & np.isnan(nearest)
        unlike = np.isnan(found) != np.isnan(nearest)
        unlike |= (found == 0) & (np.signbit(found) != np.signbit(high))
    return np.where(alike & ((nearest != 0) | (high == 0)), 0.0, np.where(unlike, np.inf, error))
