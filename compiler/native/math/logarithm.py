"""Logarithms."""

from __future__ import annotations

import math

from graphwright.compiler.native.instructions import Instructions
from graphwright.compiler.native.math.exponential import LOG2_PARTS
from graphwright.compiler.native.math.floats import (
    coefficients,
    decomposed,
    exact_product,
    magnitude,
    polynomial,
    quick_sum,
    scaled,
)
from graphwright.compiler.native.values import Operand, Value

# log₂(e), log₁₀(e) and log₁₀(2): what the dtype holds of them, and what that lacks. The first
# part of log₁₀(2) is so short that e times it is exact.
_LOG2_E = coefficients(
    float32="1.442695 1.925963033500011519e-8",
    float64="1.4426950408889634 2.0355273740931033e-17",
)
_LOG10_E = coefficients(
    float32="0.4342944920063019 -1.010305e-08",
    float64="0.4342944819032518 1.098319650216765e-17",
)
_LOG10_2 = coefficients(
    float32="0.301025390625 4.605039e-06",
    float64="0.3010299956640665 -8.532344317057107e-14",
)

# (log(1 + f) - f)/f² for f from -1/4 to 1/2
# relative error 2^-24.8 in float32, 2^-55.4 in float64
_LOG = coefficients(
    float32="""-0.50000083 0.3333342 -0.24991584 0.19981915 -0.16869059 0.14968552 -0.11692478
        0.049678575""",
    float64="""-0.49999999999999906 0.3333333333333324 -0.25000000000052564 0.20000000000114337
        -0.16666666658179483 0.14285714259693758 -0.12500000593925117 0.11111113505813869
        -0.09999979622939738 0.09090799490923077 -0.08333648944224048 0.07694972275823238
        -0.07142573084590301 0.06633501686531329 -0.0619500454817223 0.06041468776481818
        -0.061692381241290735 0.056230720649415825 -0.03502128142160198 0.010238723101461249""",
)


def log(b: Instructions, x: Value) -> Value:
    """The natural logarithm; -inf at 0, nan below.

    x = 2^e (1 + f), f from -1/4 to 1/2: log(x) = e log(2) + log(1 + f)

    Within 1.4 ulp in float32, 1.4 in float64.
    """
    m, e = decomposed(b, x)
    return assembled(b, m - 1.0, e)


def assembled(b: Instructions, f: Value, e: Value, more: Operand = 0.0) -> Value:
    """log(2^e (1 + f)) + more, which is small."""
    high, low = LOG2_PARTS[f.dtype]
    start = f if more == 0.0 else f + more
    small = b.multiply_add(f * f, polynomial(b, f, _LOG[f.dtype]), b.multiply_add(e, low, start))
    return b.multiply_add(e, high, small)


def log2(b: Instructions, x: Value) -> Value:
    """The logarithm to the base 2; -inf at 0, nan below. Exact for powers of 2.

    Within 1.8 ulp in float32, 1.6 in float64.
    """
    return _to_base(b, x, (1.0, 0.0), _LOG2_E[x.dtype])


def log10(b: Instructions, x: Value) -> Value:
    """The logarithm to the base 10; -inf at 0, nan below.

    Within 1.9 ulp in float32, 1.2 in float64.
    """
    return _to_base(b, x, _LOG10_2[x.dtype], _LOG10_E[x.dtype])


def _to_base(
    b: Instructions, x: Value, two: tuple[float, ...], natural: tuple[float, ...]
) -> Value:
    """The logarithm to another base.

    two, natural: the logarithms of 2 and of e to that base, in two parts
    """
    m, e = decomposed(b, x)
    f = m - 1.0
    high, low = natural
    product, lost = exact_product(b, f, f.like(high))
    tail = f * f * polynomial(b, f, _LOG[x.dtype])
    rest = b.multiply_add(tail, high, b.multiply_add(f, low, lost))
    whole = e * two[0] if two[0] != 1.0 else e
    total, left = quick_sum(whole, product)
    if two[1]:
        rest = b.multiply_add(e, two[1], rest)
    return b.select(magnitude(b, e) < math.inf, total + (left + rest), e)


def log1p(b: Instructions, x: Value) -> Value:
    """log(1 + x), accurate near 0 too; -inf at -1, nan below.

    1 + x = 2^e (1 + f), where f = 2^-e x + (2^-e - 1) is rounded only once

    Within 1.4 ulp in float32, 1.5 in float64.
    """
    _, e = decomposed(b, x + 1.0)
    power = scaled(b, x.like(1.0), -e)
    f = b.multiply_add(x, power, power - 1.0)
    f = b.select(magnitude(b, e) < math.inf, f, 0.0)
    result = assembled(b, f, e)
    return b.select(x.equals(0.0), x, result)
