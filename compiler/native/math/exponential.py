"""Exponentials, and functions that are made of one: the logistic function, softplus."""

from __future__ import annotations

import math

from graphwright.compiler.native.instructions import Instructions
from graphwright.compiler.native.math.floats import (
    at_least,
    at_most,
    bounded,
    coefficients,
    double_without_fma,
    format_of,
    has_avx512,
    magnitude,
    nearest,
    polynomial,
    power_of_two,
    scaled,
    with_sign,
)
from graphwright.compiler.native.values import Value

# log(2) in two parts, the first one so short that n times it is exact (0x1.62e4p-1 and
# 0x1.62e42fefa38p-1, n below 2^8 and 2^11).
LOG2_PARTS = coefficients(
    float32="0.693145751953125 1.42860677e-06",
    float64="0.6931471805598903 5.497923018708371e-14",
)
# Where exp is surely 0, and surely inf.
_LIMITS = coefficients(float32="-104.5 89.5", float64="-746.5 710.5")
_LIMITS2 = coefficients(float32="-151.0 129.0", float64="-1077.0 1025.0")
# Where expm1 is -1, and where it becomes inf.
_LIMITS_EXPM1 = coefficients(float32="-20.0 88.73", float64="-40.0 709.79")

# (exp(r) - 1 - r)/r² for |r| ≤ log(2)/2
# relative error 2^-28.2 in float32, 2^-57.9 in float64
EXP_TAIL = coefficients(
    float32="0.49999994 0.16666517 0.041668102 0.008369201 0.0013839072",
    float64="""0.5000000000000011 0.16666666666666435 0.04166666666652575 0.008333333333475797
        0.0013888888944868227 0.00019841269555121932 2.4801491758272106e-05
        2.7557536436378743e-06 2.763073907127374e-07 2.5017685783950104e-08""",
)
# (exp(r) - 1 - r)/r² for |r| ≤ log(2)/2, for the error of expm1(r)
# relative error 2^-31.0 in float32, 2^-58.0 in float64
_EXPM1 = coefficients(
    float32="0.5 0.16666666 0.041666467 0.008333643 0.0013935048 0.00019664518",
    float64="""0.5000000000000001 0.1666666666666667 0.04166666666664841 0.008333333333327154
        0.001388888889740826 0.00019841269870840534 2.4801571065774457e-05 2.755726009030123e-06
        2.7570836481490834e-07 2.5103464295803998e-08 1.6803076808139418e-09""",
)
# (2^r - 1)/r for |r| ≤ 1/2
# relative error 2^-27.5 in float32, 2^-55.5 in float64
EXP2_TAIL = coefficients(
    float32="0.69314724 0.24022655 0.055502724 0.009617068 0.0013418007 0.0001582257",
    float64="""0.6931471805599457 0.240226506959101 0.055504108664788714 0.009618129107606668
        0.0013333558153749807 0.00015403530441327135 1.5252727105250806e-05
        1.3215443045095527e-06 1.0180766137568187e-07 7.07247749138465e-09 4.059560752519052e-10""",
)
# (log(1 + e) - e)/e² for e from 0 to 1
# relative error 2^-27.5 in float32, 2^-56.6 in float64
_LOG1P = coefficients(
    float32="""-0.4999993 0.33330464 -0.24958019 0.196921 -0.15344866 0.10661076 -0.057456385
        0.02008559 -0.0032902749""",
    float64="""-0.4999999999999946 0.33333333333235254 -0.24999999993685937 0.19999999791549877
        -0.1666666250196903 0.1428565893334705 -0.12499479883282945 0.11107507502272701
        -0.09981021308178255 0.09013174596208316 -0.08081265184127234 0.07035650152901612
        -0.05750371794123802 0.04230219951257059 -0.026745916563882616 0.013839964811941434
        -0.005543812858494262 0.0015959885715241093 -0.00029181462872431284
        2.5335273528887498e-05""",
)


def exp(b: Instructions, x: Value) -> Value:
    """e to the power x.

    x = n log(2) + r, |r| ≤ log(2)/2: exp(x) = 2^n exp(r)

    Within 1.2 ulp in float32, 1.2 in float64.
    """
    return raised(b, x)


def raised(b: Instructions, x: Value, halvings: int = 0) -> Value:
    """exp(x) / 2^halvings, without overflow on the way."""
    r, n = _reduced(b, x)
    result = polynomial(b, r, (1.0, 1.0, *EXP_TAIL[x.dtype]))
    return scaled(b, result, n - float(halvings) if halvings else n)


def _exp_of_negative(b: Instructions, x: Value) -> Value:
    """exp(-|x|), some tenths of an ulp better than by `exp`."""
    r, n = _reduced(b, -magnitude(b, x))
    return scaled(b, b.multiply_add(r * r, polynomial(b, r, EXP_TAIL[r.dtype]), r) + 1.0, n)


def _reduced(b: Instructions, x: Value) -> tuple[Value, Value]:
    """r and n of x = n log(2) + r. Where x is beyond all limits, n is too, and r is anything."""
    high, low = LOG2_PARTS[x.dtype]
    limited = x if has_avx512(b, x) else _limited(b, x, *_LIMITS[x.dtype])
    n, _ = nearest(b, limited, math.log2(math.e))
    r = b.multiply_add(n, -low, b.multiply_add(n, -high, limited))
    return (bounded(b, r, 0.375) if has_avx512(b, x) else r), n


def _limited(b: Instructions, x: Value, low: float, high: float) -> Value:
    return at_most(b, at_least(b, x, low), high)


def exp2(b: Instructions, x: Value) -> Value:
    """2 to the power x.

    x = n + r, |r| ≤ 1/2: 2^x = 2^n 2^r

    Within 1.1 ulp in float32, 1.2 in float64.
    """
    wide = has_avx512(b, x)
    limited = x if wide else _limited(b, x, *_LIMITS2[x.dtype])
    n, _ = nearest(b, limited)
    r = bounded(b, limited - n, 0.5) if wide else limited - n
    return scaled(b, polynomial(b, r, (1.0, *EXP2_TAIL[x.dtype])), n)


def expm1(b: Instructions, x: Value) -> Value:
    """exp(x) - 1, accurate near 0 too.

    x = n log(2) + r: expm1(x) = 2^n expm1(r) + (2^n - 1), by halves, since 2^n may overflow

    Within 1.3 ulp in float32, 1.3 in float64.
    """
    high, low = LOG2_PARTS[x.dtype]
    limited = _limited(b, x, *_LIMITS_EXPM1[x.dtype])
    n, whole = nearest(b, limited, math.log2(math.e))
    half = power_of_two(b, whole, x.dtype, more=-1)
    r, r_low = b.multiply_add(n, -high, limited), n * low
    reduced = r - r_low
    rest = b.multiply_add(reduced * reduced, polynomial(b, reduced, _EXPM1[x.dtype]), -r_low)
    # The sum without `rest` is nearly exact, since r is.
    result = b.multiply_add(half, rest, b.multiply_add(half, r, half - 0.5))
    result = result + result
    # Numbers so small are their own expm1: half of them might be subnormal.
    return with_sign(b, b.select(magnitude(b, x) < format_of(x).tiny * 4, x, result), x)


def sigmoid(b: Instructions, x: Value) -> Value:
    """1/(1 + exp(-x)), without overflow and without cancellation.

    Within 1.9 ulp in float32, 1.9 in float64.
    """
    e = _exp_of_negative(b, x)
    result = b.select(x < 0.0, e, 1.0) / (e + 1.0)
    # For small e the rounding of e + 1 counts: less so in e - e · e/(1 + e).
    return b.select(x < -0.9, b.multiply_add(-e, result, e), result)


@double_without_fma
def softplus(b: Instructions, x: Value) -> Value:
    """log(1 + exp(x)), without overflow.

    Within 1.9 ulp in float32, 2.4 in float64.
    """
    return _above(b, _exp_of_negative(b, x), at_least(b, x, 0.0))


def logaddexp(b: Instructions, x: Value, y: Value) -> Value:
    """log(exp(x) + exp(y)), without overflow.

    Within 2 ulp of the result, or of the larger operand where the result is nearer to 0 than that.
    """
    distance = b.select(x.equals(y), 0.0, x - y)
    return _above(b, _exp_of_negative(b, distance), b.select(x < y, y, x))


def _above(b: Instructions, e: Value, base: Value) -> Value:
    """base + log(1 + e) for e from 0 to 1."""
    tail = polynomial(b, e, _LOG1P[e.dtype])
    return base + b.multiply_add(e * e, tail, e)
