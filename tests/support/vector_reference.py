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

    at64: the same for float64, where it is farther
    """

    numpy: Callable[..., Any]
    exact: Callable[..., Any]
    reach: float
    at64: float = 0.0
    operands: int = 1


def _each(function: Callable[[float], float]) -> Callable[[Array], Array]:
    return lambda x: np.array([function(number) for number in x.tolist()])


def _sigmoid(x: Array) -> Array:
    return np.exp(np.minimum(x, 0)) / (1 + np.exp(-np.abs(x)))


def _softplus(x: Array) -> Array:
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


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
    "erf": Reference(_each(math.erf), mpmath.erf, 4, 6),
}


def arguments(name: str, dtype: Any, count: int, seed: int = 0) -> Array:
    """Numbers of all exponents and both signs, most of them where the function is interesting."""
    dtype, reference = np.dtype(dtype), REFERENCES[name]
    reach = reference.at64 if dtype.itemsize == 8 and reference.at64 else reference.reach
    draws, part = np.random.default_rng(seed), count // 4
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
        usual &= np.isfinite(operand)
    with mpmath.workprec(180):
        for i in np.flatnonzero(usual):
            value = mpmath.re(reference.exact(*(mpmath.mpf(float(x[i])) for x in operands)))
            high[i] = float(value)
            if np.isfinite(high[i]):
                low[i] = float(value - mpmath.mpf(float(high[i])))
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
