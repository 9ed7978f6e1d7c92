"""Sine, cosine and tangent, of angles however large."""

from __future__ import annotations

from graphwright.compiler.native.ir import Builder
from graphwright.compiler.native.math.angle import reduced
from graphwright.compiler.native.math.floats import (
    coefficients,
    double_without_fma,
    integer_bits,
    magnitude,
    polynomial,
    with_sign,
)
from graphwright.compiler.native.values import Value

# (sin(r)/r - 1)/r² by r², for |r| ≤ π/2
# relative error 2^-27.2 in float32, 2^-61.6 in float64
_SINE = coefficients(
    float32="-0.1666666 0.008333069 -0.00019809768 2.6060538e-06",
    float64="""-0.16666666666666666 0.008333333333333207 -0.0001984126984121248
        2.755731921156929e-06 -2.5052106904370936e-08 1.6058940997240008e-10
        -7.643019160536282e-13 2.7214163589207115e-15""",
)

# (tan(r)/r - 1)/r² by r², for |r| ≤ π/4
# relative error 2^-29.5 in float32, 2^-56.2 in float64
_TANGENT = coefficients(
    float32="""0.3333335 0.13332672 0.054059442 0.02128281 0.010837545 8.4121246e-05
        0.0043802136""",
    float64="""0.3333333333333276 0.13333333333417094 0.053968253925489214 0.021869489637249245
        0.008863218766091542 0.003592292674850847 0.0014547360881785583 0.0005951569724422967
        0.00022210725794409274 0.00013708838328109536 -2.718161744780197e-05
        9.01853905019229e-05 -4.527338154849709e-05 2.0958957619138004e-05""",
)


@double_without_fma
def sin(b: Builder, x: Value) -> Value:
    """The sine.

    x = n π + r: sin(x) = (-1)^n sin(r)

    Within 1.8 ulp in float32, 2.2 in float64.
    """
    r, _, odd = reduced(b, x)
    return _sine(b, r, odd)


@double_without_fma
def cos(b: Builder, x: Value) -> Value:
    """The cosine.

    |x| = (n + ½) π + r: cos(x) = -(-1)^n sin(r)

    Within 1.9 ulp in float32, 2.1 in float64.
    """
    r, _, odd = reduced(b, magnitude(b, x), shift=0.5)
    return _sine(b, -r, odd)


def _sine(b: Builder, r: Value, odd: Value) -> Value:
    """sin(r), or -sin(r) where the integer `odd` has its sign bit set."""
    r = b.bits(integer_bits(b, r) ^ odd, r.dtype)
    square = r * r
    sine = b.multiply_add(r * square, polynomial(b, square, _SINE[r.dtype]), r)
    return with_sign(b, sine, r)  # for zeros


@double_without_fma
def tan(b: Builder, x: Value) -> Value:
    """The tangent.

    x = n π/2 + r: tan(x) = tan(r) for even n, else -1/tan(r)

    Within 1.9 ulp in float32, 2.6 in float64.
    """
    r, low, odd = reduced(b, x, periods=2)
    square = r * r
    tail = r * square * polynomial(b, square, _TANGENT[x.dtype])
    about = r + tail
    # The derivative is 1 + tan²(r).
    tangent = r + b.multiply_add(low, b.multiply_add(about, about, 1.0), tail)
    result = b.select(odd < 0, -1.0 / tangent, tangent)
    return b.select(x.equals(0.0), x, result)  # for the sign
