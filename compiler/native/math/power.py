"""Powers with real exponents."""

from __future__ import annotations

import math

from graphwright.compiler.native.instructions import Instructions
from graphwright.compiler.native.math.exponential import EXP2_TAIL
from graphwright.compiler.native.math.floats import (
    at_least,
    at_most,
    decomposed,
    exact_product,
    exact_sum,
    integer_bits,
    magnitude,
    nearest,
    polynomial,
    quick_sum,
    scaled,
    scaled_normal,
)
from graphwright.compiler.native.values import Value
from graphwright.graph.dtype import float32, float64

# For float32, computed in float64.
# log₂(1 + f)/f for f from -1/4 to 1/2: relative error 2^-33.1
_LOG2 = (
    1.4426950409945944,
    -0.7213475166962373,
    0.48089828229103926,
    -0.36067438683000314,
    0.28854603836700676,
    -0.2404269215900893,
    0.20581843957306625,
    -0.1803371898331826,
    0.16471329115715427,
    -0.15276184125926293,
    0.11504108742227993,
    -0.04456759535609429,
)
# 2^r for |r| ≤ 1/2: relative error 2^-29.0
_EXP2 = (
    1.000000000552133,
    0.6931472057361195,
    0.24022646898940778,
    0.0555032878155704,
    0.009618488300015488,
    0.0013399928810652183,
    0.0001534595138161295,
)
# For float64: log₂((1 + s)/(1 - s)) = s (C + s² (C/3 + s² P(s²))), |s| ≤ 1/5, where C = 2/log(2);
# what float64 holds of C and C/3, and what it lacks.
_FIRST = (2.8853900817779268, 4.0710547481862066e-17)
_THIRD = (0.9617966939259756, 5.0577616648125907e-17)
# P by s²: relative error of the logarithm 2^-75.7
_HIGHER = (
    0.5770780163555854,
    0.4121985831110943,
    0.32059889798498686,
    0.2623081879618208,
    0.22195318534668054,
    0.19235430526158645,
    0.16988477255242065,
    0.1489206938171983,
    0.16791534537240901,
)


def pow(b: Instructions, x: Value, y: Value) -> Value:
    """x to the power y, with the special values of IEEE 754.

    They are 1 for y = 0 and for x = 1, whatever the other one is; nan for x < 0 where y is no whole
    number.

    Within 0.7 ulp in float32, 1.4 in float64.
    """
    size = magnitude(b, x)
    result = _single(b, size, y) if x.dtype == float32 else _double(b, size, y)
    halved = y * 0.5
    whole = y.equals(b.intrinsic("trunc", y))
    odd = whole & halved.differs(b.intrinsic("trunc", halved))
    result = b.select((integer_bits(b, x) < 0) & odd, -result, result)
    impossible = (x < 0.0) & (x > -math.inf) & ~whole
    result = b.select(impossible, x.like(math.nan), result)
    return b.select(x.equals(1.0) | y.equals(0.0), 1.0, result)


def _single(b: Instructions, x: Value, y: Value) -> Value:
    """x^y in float32 for x ≥ 0, computed in float64; nan for x = 1 and infinite y is 1."""
    m, e = decomposed(b, x)
    f = b.convert(m - 1.0, float64)
    logarithm = b.multiply_add(f, polynomial(b, f, _LOG2), b.convert(e, float64))
    product = b.convert(y, float64) * logarithm
    product = b.select(x.equals(1.0), 0.0, product)
    product = at_least(b, at_most(b, product, 1000.0), -1000.0)
    n, whole = nearest(b, product)
    power = scaled_normal(b, polynomial(b, product - n, _EXP2), n, whole)
    return b.convert(power, float32)


def _double(b: Instructions, x: Value, y: Value) -> Value:
    """x^y in float64 for x ≥ 0."""
    high, low = _logarithm(b, x)
    # Larger exponents give 0, 1 or infinity just as these do.
    limited = at_least(b, at_most(b, y, 2.0**66), -(2.0**66))
    product, lost = exact_product(b, limited, high)
    lost = b.multiply_add(limited, low, lost)
    inside = magnitude(b, product) < 1500.0
    product = at_least(b, at_most(b, product, 1500.0), -1500.0)
    n, _ = nearest(b, product)
    r = (product - n) + b.select(inside, lost, 0.0)
    power = b.multiply_add(r, polynomial(b, r, EXP2_TAIL[float64]), 1.0)
    return scaled(b, power, n)


def _logarithm(b: Instructions, x: Value) -> tuple[Value, Value]:
    """log₂(x) as a sum of two: some 65 bits."""
    m, e = decomposed(b, x)
    # s = (m - 1)/(m + 1)
    f = m - 1.0
    below, below_lost = exact_sum(m, x.like(1.0))
    s = f / below
    product, lost = exact_product(b, s, below)
    s_lost = (((f - product) - lost) - s * below_lost) / below
    # z = s²
    z, z_lost = exact_product(b, s, s)
    z_lost = b.multiply_add(s + s, s_lost, z_lost)
    # C/3 + z P(z), then C + z (…), then s (…)
    inner, inner_lost = quick_sum(x.like(_THIRD[0]), z * polynomial(b, z, _HIGHER))
    inner_lost = inner_lost + _THIRD[1]
    outer, outer_lost = _product(b, (z, z_lost), (inner, inner_lost))
    outer, rest = quick_sum(x.like(_FIRST[0]), outer)
    outer_lost = (outer_lost + rest) + _FIRST[1]
    total, total_lost = _product(b, (s, s_lost), (outer, outer_lost))
    result, rest = quick_sum(e, total)
    # At 0 and infinity, e is the logarithm.
    usual = magnitude(b, e) < math.inf
    return b.select(usual, result, e), b.select(usual, rest + total_lost, 0.0)


def _product(
    b: Instructions, x: tuple[Value, Value], y: tuple[Value, Value]
) -> tuple[Value, Value]:
    """The product of two sums of two, as such a sum."""
    product, lost = exact_product(b, x[0], y[0])
    return product, b.multiply_add(x[0], y[1], b.multiply_add(x[1], y[0], lost))
