"""Roots and lengths."""

from __future__ import annotations

import math

from graphwright.compiler.native.instructions import Instructions
from graphwright.compiler.native.math.floats import (
    exact_product,
    format_of,
    integer_bits,
    magnitude,
    with_sign,
)
from graphwright.compiler.native.values import Value
from graphwright.graph.dtype import float32, float64, int32

# Beyond the first and second of these, squares are taken of numbers multiplied by the third
# (of the large ones) or by the fourth.
_SCALES = {
    float32: (2.0**60, 2.0**-60, 2.0**-80, 2.0**100),
    float64: (2.0**500, 2.0**-500, 2.0**-600, 2.0**600),
}


def rsqrt(b: Instructions, x: Value) -> Value:
    """1/√x; inf at 0, nan below.

    Within 1.6 ulp in float32, 1.6 in float64.
    """
    return 1.0 / b.intrinsic("sqrt", x)


def hypot(b: Instructions, x: Value, y: Value) -> Value:
    """√(x² + y²), without overflow on the way; inf where either is infinite.

    Within 1.3 ulp in float32, 1.3 in float64.
    """
    width, height = magnitude(b, x), magnitude(b, y)
    larger = b.select(width > height, width, height)
    above, below, shrink, grow = _SCALES[x.dtype]
    is_large, is_small = larger > above, larger < below
    scale = b.select(is_large, shrink, b.select(is_small, x.like(grow), 1.0))
    back = b.select(is_large, 1 / shrink, b.select(is_small, x.like(1 / grow), 1.0))
    u, v = width * scale, height * scale
    length = b.intrinsic("sqrt", b.multiply_add(u, u, v * v)) * back
    infinite = width.equals(math.inf) | height.equals(math.inf)
    return b.select(infinite, math.inf, length)


def cbrt(b: Instructions, x: Value) -> Value:
    """The real cube root, negative of negative numbers.

    Within 0.6 ulp in float32, 0.6 in float64.
    """
    size = magnitude(b, x)
    layout = format_of(x)
    # Those at the ends of the range are taken 2^54 times larger or smaller.
    is_small, is_large = size < layout.tiny * 2.0**60, size > layout.largest * 2.0**-60
    a = size * b.select(is_small, 2.0**54, b.select(is_large, x.like(2.0**-54), 1.0))
    z = _inverse_cube_root(b, a)
    # a z² is the root; one step of Newton's method with an exact remainder makes it round well.
    root = a * z * z
    square, lost = exact_product(b, root, root)
    cube, lost_too = exact_product(b, root, square)
    remainder = ((a - cube) - lost_too) - root * lost
    root = b.multiply_add(remainder * (z * z), 1 / 3, root)
    root = root * b.select(is_small, 2.0**-18, b.select(is_large, x.like(2.0**18), 1.0))
    usual = (size > 0.0) & (size < math.inf)
    return b.select(usual, with_sign(b, root, x), x)


def _inverse_cube_root(b: Instructions, a: Value) -> Value:
    """About 1/∛a for positive numbers: a third of the exponent, then Halley's method."""
    if a.dtype == float32:
        third = b.convert(b.convert(integer_bits(b, a), a.dtype) * (1 / 3), int32)
        z, rounds = b.bits(b.constant(0x54A1F3B6, int32, a.lanes) - third, a.dtype), 2
    else:
        top = b.convert(integer_bits(b, a) >> 32, int32)
        third = b.convert(b.convert(top, a.dtype) * (1 / 3), int32)
        start = b.constant(0x553EE978, int32, a.lanes) - third
        z, rounds = b.bits(b.convert(start, format_of(a).integer) << 32, a.dtype), 3
    for _ in range(rounds):
        error = b.multiply_add(-(a * z * z), z, 1.0)
        z = b.multiply_add(z * error, b.multiply_add(error, 2 / 9, 1 / 3), z)
    return z
