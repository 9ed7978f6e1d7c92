"""The inverses of the error function and of the normal distribution, by M. J. Wichura's method.

Algorithm AS 241: the percentage points of the normal distribution, Applied Statistics 37 (1988),
pp. 477-484, https://doi.org/10.2307/2347330, with the coefficients of its routine PPND16: about
16 digits, in both tails too. Everything is computed in float64.
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
from graphwright.ops.case import Case, Within, f32, f64
from graphwright.ops.elementwise import Real
from graphwright.ops.error_function import ratio
from graphwright.ops.exponential import exp

# Coefficients of each numerator and denominator, the highest power first.
# |p - ½| ≤ 0.425: z = (p - ½) P(r)/Q(r), where r = 0.425² - (p - ½)²
_MIDDLE = (
    (
        2.5090809287301226727e3,
        3.3430575583588128105e4,
        6.7265770927008700853e4,
        4.5921953931549871457e4,
        1.3731693765509461125e4,
        1.9715909503065514427e3,
        1.3314166789178437745e2,
        3.3871328727963666080e0,
    ),
    (
        5.2264952788528545610e3,
        2.8729085735721942674e4,
        3.9307895800092710610e4,
        2.1213794301586595867e4,
        5.3941960214247511077e3,
        6.8718700749205790830e2,
        4.2313330701600911252e1,
        1.0,
    ),
)
# s = √(-log p) ≤ 5, p the smaller tail: |z| = P(s - 1.6)/Q(s - 1.6)
_NEAR = (
    (
        7.74545014278341407640e-4,
        2.27238449892691845833e-2,
        2.41780725177450611770e-1,
        1.27045825245236838258e0,
        3.64784832476320460504e0,
        5.76949722146069140550e0,
        4.63033784615654529590e0,
        1.42343711074968357734e0,
    ),
    (
        1.05075007164441684324e-9,
        5.47593808499534494600e-4,
        1.51986665636164571966e-2,
        1.48103976427480074590e-1,
        6.89767334985100004550e-1,
        1.67638483018380384940e0,
        2.05319162663775882187e0,
        1.0,
    ),
)
# s > 5: |z| = P(s - 5)/Q(s - 5)
_FAR = (
    (
        2.01033439929228813265e-7,
        2.71155556874348757815e-5,
        1.24266094738807843860e-3,
        2.65321895265761230930e-2,
        2.96560571828504891230e-1,
        1.78482653991729133580e0,
        5.46378491116411436990e0,
        6.65790464350110377720e0,
    ),
    (
        2.04426310338993978564e-15,
        1.42151175831644588870e-7,
        1.84631831751005468180e-5,
        7.86869131145613259100e-4,
        1.48753612908506148525e-2,
        1.36929880922735805310e-1,
        5.99832206555887937690e-1,
        1.0,
    ),
)
_SPLIT, _TAIL = 0.425, 5.0
_CHUNK = 16384  # elements at a time, so that they stay in the cache


class _Inverse(Real):
    """An inverse distribution function, in float64."""

    def points(self, x: NDArray[np.float64]) -> Any:
        """The values at a vector of float64."""
        raise self._incomplete("points")

    def kernel(self, x: NDArray[Any]) -> Any:
        flat, out = x.reshape(-1), np.empty(x.size, x.dtype)
        for start in range(0, x.size, _CHUNK):
            chunk = slice(start, start + _CHUNK)
            out[chunk] = self.points(flat[chunk].astype(float64))
        return out.reshape(x.shape)

    def lower_points(self, b: Any, x: Any) -> Any:
        """`points`, natively."""
        raise self._incomplete("lower_points")

    def lower(self, b: Any, x: Any) -> Any:
        return b.convert(self.lower_points(b, b.convert(x, float64)), x.dtype)


@register
class ErfInv(_Inverse):
    """The inverse of the error function: erf(erfinv(x)) = x for -1 ≤ x ≤ 1; nan beyond.

    d/dx erfinv(x) = √π/2 exp(erfinv(x)²)
    """

    name = "erfinv"

    def points(self, x: NDArray[np.float64]) -> Any:
        return _point(x / 2, (1 - np.abs(x)) / 2) / math.sqrt(2)

    def lower_points(self, b: Any, x: Any) -> Any:
        return _lower_point(b, x / 2, (1 - b.intrinsic("fabs", x)) / 2) / math.sqrt(2)

    def gradient(self, x: Tensor, out: Tensor, g: Tensor) -> Tensor:
        return g * (math.sqrt(math.pi) / 2 * exp(square(out)))

    cases = (
        Case(Within(f32["n", 4], -1, 1)),
        Case(Within(f64[64], -0.999, 0.999)),
        Case([0.0, -0.0, 1e-300, 0.5, -0.85, 0.9, -0.95, 0.999999], smooth=False),
        Case([-1.0, 1.0, 1.0 - 2.0**-53, 1.5, -np.inf, np.nan]),
    )


@register
class Ndtri(_Inverse):
    """The quantile of the normal distribution: the z that a normal number is below with chance p.

    Φ(ndtri(p)) = p, where Φ(z) = erfc(-z/√2)/2; -inf at 0, inf at 1, nan beyond
    d/dp ndtri(p) = √(2π) exp(ndtri(p)²/2)
    """

    name = "ndtri"

    def points(self, x: NDArray[np.float64]) -> Any:
        return _point(x - 0.5, np.minimum(x, 1 - x))

    def lower_points(self, b: Any, x: Any) -> Any:
        return _lower_point(b, x - 0.5, b.select(x < 0.5, x, 1 - x))

    def gradient(self, x: Tensor, out: Tensor, g: Tensor) -> Tensor:
        return g * (math.sqrt(2 * math.pi) * exp(square(out) / 2))

    cases = (
        Case(Within(f32["n", 4], 0, 1)),
        Case(Within(f64[64], 0.001, 0.999)),
        Case([0.5, 0.25, 0.075, 1e-9, 1e-12, 1e-300, 0.99999], smooth=False),
        Case([0.0, 1.0, -0.5, 1.5, np.inf, np.nan]),
    )


def _point(middle: NDArray[Any], tail: NDArray[Any]) -> Any:
    """The z that a normal number is below with chance ½ + `middle`.

    tail: the smaller of that chance and its complement, with digits that `middle` may lack
    """
    magnitude = np.abs(middle)
    pieces: list[Any] = [lambda q: q * ratio(_MIDDLE, _SPLIT**2 - np.square(q)), np.nan]
    z = np.piecewise(middle, [magnitude <= _SPLIT], pieces)
    outer = (magnitude > _SPLIT) & (tail > 0)
    if outer.any():
        root = np.sqrt(-np.log(tail[outer]))
        pieces = [lambda s: ratio(_NEAR, s - 1.6), lambda s: ratio(_FAR, s - _TAIL)]
        z[outer] = np.copysign(np.piecewise(root, [root <= _TAIL], pieces), middle[outer])
    return np.where(tail == 0, np.copysign(np.inf, middle), z)


def _lower_point(b: Any, middle: Any, tail: Any) -> Any:
    """`_point`, natively: the coefficients are those of the region that each element lies in."""
    inside = b.intrinsic("fabs", middle) <= _SPLIT
    root = b.intrinsic("sqrt", -b.call("log", tail))
    near = root <= _TAIL
    x = b.select(inside, _SPLIT**2 - middle * middle, root - b.select(near, root.like(1.6), _TAIL))
    sums = []
    for polynomials in zip(_MIDDLE, _NEAR, _FAR, strict=True):
        total = x.like(0)
        for center, close, far in zip(*polynomials, strict=True):
            outside = b.select(near, x.like(close), far)
            total = total * x + b.select(inside, center, outside)
        sums.append(total)
    ratio = sums[0] / sums[1]
    z = b.select(inside, middle * ratio, b.intrinsic("copysign", ratio, middle))
    return b.select(tail.equals(0), b.intrinsic("copysign", x.like(math.inf), middle), z)


erfinv = ErfInv()
ndtri = Ndtri()
