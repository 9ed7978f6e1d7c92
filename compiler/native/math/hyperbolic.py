"""Hyperbolic functions."""

from __future__ import annotations

import math

from graphwright.compiler.native.instructions import Instructions
from graphwright.compiler.native.math.exponential import EXP_TAIL, LOG2_PARTS, raised
from graphwright.compiler.native.math.floats import (
    at_most,
    coefficients,
    magnitude,
    nearest,
    polynomial,
    scaled_normal,
    with_sign,
)
from graphwright.compiler.native.values import Value

# Where tanh is 1.
_LIMIT = coefficients(float32="9.1", float64="19.1")

# (tanh(x)/x - 1)/x² by x², for |x| ≤ 0.55
# relative error 2^-24.7 in float32, 2^-55.5 in float64
_TANH = coefficients(
    float32="-0.33332947 0.13320729 -0.05267201 0.016437879",
    float64="""-0.33333333333332316 0.13333333333168945 -0.05396825387617319 0.02186948597672325
        -0.008863194526989943 0.003591719865517684 -0.0014532175257319726 0.0005791391547773726
        -0.00021030570725971207 5.1023658950060616e-05""",
)

# (sinh(x)/x - 1)/x² by x², for |x| ≤ 1
# relative error 2^-31.6 in float32, 2^-63.0 in float64
_SINH = coefficients(
    float32="0.16666667 0.0083333105 0.00019842896 2.7822132e-06",
    float64="""0.16666666666666666 0.008333333333333573 0.00019841269841061184 2.75573193100683e-06
        2.505208942059023e-08 1.6061337854416343e-10 7.50337130699807e-13 6.472024293776609e-15""",
)


# exp(2r)
_EXP2R = {
    dtype: tuple(2.0**k * c for k, c in enumerate((1.0, 1.0, *tail)))
    for dtype, tail in EXP_TAIL.items()
}


def tanh(b: Instructions, x: Value) -> Value:
    """The hyperbolic tangent sinh(x)/cosh(x).

    Near 0 by a polynomial; farther out as 1 - 2/(exp(2|x|) + 1)

    Within 1.7 ulp in float32, 1.7 in float64.
    """
    size = at_most(b, magnitude(b, x), *_LIMIT[x.dtype])
    square = size * size
    near = b.multiply_add(size * square, polynomial(b, square, _TANH[x.dtype]), size)
    n, whole = nearest(b, size, 2 * math.log2(math.e))
    high, low = LOG2_PARTS[x.dtype]
    if b.module.target.fma:
        # No more is needed of log(2) than its nearest number, for n so small.
        r = b.fma(n, -math.log(2) / 2, size)
    else:
        r = n * (-low / 2) + (n * (-high / 2) + size)
    e = scaled_normal(b, polynomial(b, r, _EXP2R[x.dtype]), n, whole)
    far = 1.0 - 2.0 / (e + 1.0)
    return with_sign(b, b.select(size < 0.55, near, far), x)


def sinh(b: Instructions, x: Value) -> Value:
    """The hyperbolic sine (exp(x) - exp(-x))/2.

    Within 1.7 ulp in float32, 1.7 in float64.
    """
    size = magnitude(b, x)
    half = raised(b, size, halvings=1)
    square = x * x
    near = b.multiply_add(x * square, polynomial(b, square, _SINH[x.dtype]), x)
    return b.select(size < 1.0, near, with_sign(b, half - 0.25 / half, x))


def cosh(b: Instructions, x: Value) -> Value:
    """The hyperbolic cosine (exp(x) + exp(-x))/2.

    Within 1.6 ulp in float32, 1.6 in float64.
    """
    half = raised(b, magnitude(b, x), halvings=1)
    return half + 0.25 / half
