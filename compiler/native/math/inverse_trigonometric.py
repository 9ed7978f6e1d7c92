"""Angles from sines, cosines and tangents."""

from __future__ import annotations

from graphwright.compiler.native.instructions import Instructions
from graphwright.compiler.native.math.floats import (
    coefficients,
    integer_bits,
    magnitude,
    polynomial,
    with_sign,
)
from graphwright.compiler.native.values import Value

# π/2 and π: what the dtype holds of them, and what that lacks.
_HALF_PI = coefficients(
    float32="1.5707963705062866 -4.371138828673793e-08",
    float64="1.5707963267948966 6.123233995736766e-17",
)
_PI = coefficients(
    float32="3.1415927410125732 -8.742277657347586e-08",
    float64="3.141592653589793 1.2246467991473532e-16",
)

# (asin(x)/x - 1)/x² by x², for |x| ≤ 1/2
# relative error 2^-27.6 in float32, 2^-55.9 in float64
_ARCSINE = coefficients(
    float32="0.16666752 0.074953094 0.045469154 0.024184797 0.042158164",
    float64="""0.1666666666666541 0.07500000000336605 0.04464285682860651 0.030381959126932714
        0.02237175826930788 0.01735970167956591 0.013885264458486382 0.01216902808831472
        0.0065287475397732804 0.01952619683110192 -0.016221063223127052 0.03191011523924655""",
)

# (atan(x)/x - 1)/x² by x², for |x| ≤ 1
# relative error 2^-28.5 in float32, 2^-57.4 in float64
_ARCTANGENT = coefficients(
    float32="""-0.333333 0.1999853 -0.14264019 0.109509245 -0.08399533 0.05788696 -0.03110412
        0.010873275 -0.0017839939""",
    float64="""-0.3333333333333307 0.1999999999995175 -0.1428571428258819 0.11111111007345656
        -0.0909090700787084 0.07692279889811317 -0.0666640443093444 0.05880529854426441
        -0.05253526993417322 0.04722349110732391 -0.042192456402439994 0.036643204595620316
        -0.029905823047429062 0.021987177395115135 -0.013902677888279853 0.007197960219212044
        -0.00288565015501733 0.0008315748496619964 -0.0001522146970552137 1.3230386823350112e-05""",
)


def asin(b: Instructions, x: Value) -> Value:
    """The angle from -π/2 to π/2 whose sine is x; nan for |x| > 1.

    For |x| > ½: π/2 - 2 asin(√((1 - |x|)/2))

    Within 1.8 ulp in float32, 1.8 in float64.
    """
    size = magnitude(b, x)
    is_far, root, more = _arcsine_parts(b, size)
    high, low = _HALF_PI[x.dtype]
    far = high - ((root + root) - b.multiply_add(more, -2.0, low))
    return with_sign(b, b.select(is_far, far, size + more), x)


def acos(b: Instructions, x: Value) -> Value:
    """The angle from 0 to π whose cosine is x; nan for |x| > 1.

    For |x| > ½: 2 asin(√((1 - |x|)/2)), or π less that where x < 0; else π/2 - asin(x)

    Within 1.4 ulp in float32, 1.4 in float64.
    """
    size = magnitude(b, x)
    is_far, root, more = _arcsine_parts(b, size)
    double, twice = root + root, more + more
    high, low = _PI[x.dtype]
    far = b.select(x < 0.0, high - (double + (twice - low)), double + twice)
    half_high, half_low = _HALF_PI[x.dtype]
    near = half_high - (x + (with_sign(b, more, x) - half_low))
    return b.select(is_far, far, near)


def _arcsine_parts(b: Instructions, size: Value) -> tuple[Value, Value, Value]:
    """Whether |x| > ½, and s, and asin(s) - s: s is |x|, or √((1 - |x|)/2) where |x| > ½."""
    is_far = size > 0.5
    halved = b.multiply_add(size, -0.5, 0.5)
    square = b.select(is_far, halved, size * size)
    root = b.select(is_far, b.intrinsic("sqrt", halved), size)
    return is_far, root, root * square * polynomial(b, square, _ARCSINE[size.dtype])


def atan(b: Instructions, x: Value) -> Value:
    """The angle from -π/2 to π/2 whose tangent is x.

    For |x| > 1: π/2 - atan(1/|x|)

    Within 1.4 ulp in float32, 1.4 in float64.
    """
    size = magnitude(b, x)
    is_far = size > 1.0
    ratio = b.select(is_far, 1.0 / size, size)
    high, low = _HALF_PI[x.dtype]
    more = _arctangent_rest(b, ratio)
    result = b.select(is_far, high - (ratio + (more - low)), ratio + more)
    return with_sign(b, result, x)


def _arctangent_rest(b: Instructions, x: Value) -> Value:
    """atan(x) - x for |x| ≤ 1."""
    square = x * x
    return x * square * polynomial(b, square, _ARCTANGENT[x.dtype])


def atan2(b: Instructions, y: Value, x: Value) -> Value:
    """The angle from -π to π of the point (x, y) in the plane, counted from the x axis.

    Within 1.7 ulp in float32, 1.6 in float64.
    """
    across, along = magnitude(b, y), magnitude(b, x)
    steep = across > along
    large, small = b.select(steep, across, along), b.select(steep, along, across)
    # Neither 0/0 nor inf/inf is a number, but the angles are known.
    alike = b.select(large.equals(0.0), x.like(0.0), 1.0)
    ratio = b.select(small.equals(large), alike, small / large)
    more = _arctangent_rest(b, ratio)
    backward = integer_bits(b, x) < 0
    # The angle is ± atan(ratio) from the direction that is nearest: 0, π/2 or π.
    negated = b.binary("xor", steep, backward)
    zero = x.like(0.0)
    high = b.select(steep, _HALF_PI[x.dtype][0], b.select(backward, _PI[x.dtype][0], zero))
    low = b.select(steep, _HALF_PI[x.dtype][1], b.select(backward, _PI[x.dtype][1], zero))
    ratio, more = b.select(negated, -ratio, ratio), b.select(negated, -more, more)
    return with_sign(b, high + (ratio + (more + low)), y)
