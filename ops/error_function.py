"""The error function and its complement, by W. J. Cody's rational approximations.

Rational Chebyshev approximations for the error function, Mathematics of Computation 23 (1969),
pp. 631-637, https://doi.org/10.1090/S0025-5718-1969-0247736-4, with the coefficients of its
implementation CALERF (https://netlib.org/specfun/erf): within 8 units of the last place of
float64, which everything here is computed in.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graphwright.graph.dtype import float64
from graphwright.graph.operator import register
from graphwright.graph.tensor import Tensor
from graphwright.ops.arithmetic import square
from graphwright.ops.case import Case, f32, f64
from graphwright.ops.elementwise import Real
from graphwright.ops.exponential import exp

# Coefficients of each numerator and denominator, the highest power first.
# |x| ≤ 0.46875: erf(x) = x P(x²)/Q(x²)
_SMALL = (
    (
        1.85777706184603153e-1,
        3.16112374387056560e0,
        1.13864154151050156e2,
        3.77485237685302021e2,
        3.20937758913846947e3,
    ),
    (
        1.0,
        2.36012909523441209e1,
        2.44024637934444173e2,
        1.28261652607737228e3,
        2.84423683343917062e3,
    ),
)
# 0.46875 ≤ x ≤ 4: erfc(x) = exp(-x²) P(x)/Q(x)
_MIDDLE = (
    (
        2.15311535474403846e-8,
        5.64188496988670089e-1,
        8.88314979438837594e0,
        6.61191906371416295e1,
        2.98635138197400131e2,
        8.81952221241769090e2,
        1.71204761263407058e3,
        2.05107837782607147e3,
        1.23033935479799725e3,
    ),
    (
        1.0,
        1.57449261107098347e1,
        1.17693950891312499e2,
        5.37181101862009858e2,
        1.62138957456669019e3,
        3.29079923573345963e3,
        4.36261909014324716e3,
        3.43936767414372164e3,
        1.23033935480374942e3,
    ),
)
# x ≥ 4: erfc(x) = exp(-x²)/x (1/√π - x⁻² P(x⁻²)/Q(x⁻²))
_LARGE = (
    (
        1.63153871373020978e-2,
        3.05326634961232344e-1,
        3.60344899949804439e-1,
        1.25781726111229246e-1,
        1.60837851487422766e-2,
        6.58749161529837803e-4,
    ),
    (
        1.0,
        2.56852019228982242e0,
        1.87295284992346047e0,
        5.27905102951428412e-1,
        6.05183413124413191e-2,
        2.33520497626869185e-3,
    ),
)
_SPLIT, _TAIL = 0.46875, 4.0


@register
class Erf(Real):
    """The error function 2/√π ∫₀ˣ exp(-t²) dt.

    d/dx erf(x) = 2/√π exp(-x²)
    """

    name = "erf"

    def kernel(self, x: NDArray[Any]) -> Any:
        wide = x.astype(float64)
        pieces = [_near_zero, lambda y: np.copysign(1 - _complement(np.abs(y)), y)]
        return np.piecewise(wide, [np.abs(wide) <= _SPLIT], pieces).astype(x.dtype)

    def lower(self, b: Any, x: Any) -> Any:
        return b.call("erf", x)

    def gradient(self, x: Tensor, out: Tensor, g: Tensor) -> Tensor:
        return g * (2 / math.sqrt(math.pi) * exp(-square(x)))

    cases = (
        Case(f32["n", 4]),
        Case(f64[64]),
        Case([0.0, 1e-300, -0.46875, 0.5, -4.0, 4.1, 6.0]),
        Case([-np.inf, np.inf, np.nan, 1e200]),
    )


@register
class Erfc(Real):
    """The complement 1 - erf(x) = 2/√π ∫ₓ^∞ exp(-t²) dt, accurate where it is small too.

    d/dx erfc(x) = -2/√π exp(-x²)
    """

    name = "erfc"

    def kernel(self, x: NDArray[Any]) -> Any:
        wide = x.astype(float64)
        regions = [np.abs(wide) <= _SPLIT, wide < -_SPLIT]
        pieces = [lambda y: 1 - _near_zero(y), lambda y: 2 - _complement(-y), _complement]
        return np.piecewise(wide, regions, pieces).astype(x.dtype)

    def lower(self, b: Any, x: Any) -> Any:
        return b.call("erfc", x)

    def gradient(self, x: Tensor, out: Tensor, g: Tensor) -> Tensor:
        return -g * (2 / math.sqrt(math.pi) * exp(-square(x)))

    cases = (
        Case(f32["n", 4]),
        Case(f64[64]),
        Case([0.0, 1e-300, -0.46875, 0.5, -4.0, 4.1, 10.0, 26.0]),
        Case([-np.inf, np.inf, np.nan, 28.0]),
    )


def _near_zero(x: NDArray[Any]) -> Any:
    """erf(x) for |x| ≤ 0.46875."""
    return x * ratio(_SMALL, np.square(x))


def _complement(x: NDArray[Any]) -> Any:
    """erfc(x) for x ≥ 0.46875."""
    scaled = np.piecewise(x, [x <= _TAIL], [lambda y: ratio(_MIDDLE, y), _far])
    # exp(-x²) loses the digits that x² is rounded by: x = coarse + fine, with coarse² exact.
    x = np.minimum(x, 30)  # where erfc is 0 in float64
    coarse = np.trunc(x * 16) / 16
    return np.exp(-np.square(coarse)) * np.exp((coarse - x) * (coarse + x)) * scaled


def _far(x: NDArray[Any]) -> Any:
    """exp(x²) erfc(x) for x ≥ 4."""
    inverse = 1 / np.square(x)
    return (1 / math.sqrt(math.pi) - inverse * ratio(_LARGE, inverse)) / x


def ratio(coefficients: tuple[tuple[float, ...], ...], x: NDArray[Any]) -> NDArray[Any]:
    """The quotient of two polynomials, by Horner's rule."""
    numerator, denominator = np.zeros_like(x), np.zeros_like(x)
    for p, q in zip(*coefficients, strict=True):
        numerator *= x
        numerator += p
        denominator *= x
        denominator += q
    numerator /= denominator
    return numerator


erf = Erf()
erfc = Erfc()
