"""The error function and its complement."""

from __future__ import annotations

import math

from graphwright.compiler.native.instructions import Instructions
from graphwright.compiler.native.math.exponential import EXP_TAIL, LOG2_PARTS
from graphwright.compiler.native.math.floats import (
    at_most,
    coefficients,
    double_without_fma,
    exact_product,
    exact_rest,
    magnitude,
    nearest,
    polynomial,
    quick_sum,
    scaled,
    with_sign,
)
from graphwright.compiler.native.values import Value

_SPLIT = 1.15
# Where erf is 1.
_LIMIT = coefficients(float32="3.93", float64="5.95")

# erf(x)/x - 1 by x², for |x| ≤ 1.15
# relative error 2^-26.0 in float32, 2^-56.3 in float64
_ERF_NEAR = coefficients(
    float32="""0.12837915 -0.37612534 0.11282645 -0.026818773 0.005129116 -0.00075469475
        6.4871376e-05""",
    float64="""0.1283791670955126 -0.3761263890318406 0.11283791670967738 -0.026866170647176616
        0.005223977642718572 -0.000854832789333714 0.00012055361121492845
        -1.4926260391291083e-05 1.647115806253325e-06 -1.6457667545759382e-07
        1.543327995626946e-08 -1.5010742252613773e-09 1.6061688401517085e-10
        -1.2619803539380719e-11""",
)
# erfc(x)^(1/4) for x from 1.15 to 3.93 (float32), 5.95 (float64)
# relative error 2^-27.9 in float32, 2^-59.5 in float64
_ERF_FAR = coefficients(
    float32="""1.0043389 -0.30326337 -0.07471421 -0.037550654 0.057052188 -0.018224787 0.002160799
        -1.7934917e-05 -1.0410045e-05""",
    float64="""0.9999996098887066 -0.2820909094791123 -0.11938437529953276 0.015515370456700626
        0.018517552703923117 -0.0010559367354132114 -0.002141650767192211 0.0003981740604902404
        -1.3063506910198335e-05 5.128955539160664e-05 -3.864669321732504e-05
        1.656969055380857e-05 -5.8959842029643504e-06 1.7818124713034687e-06
        -4.2104996570075905e-07 7.382224430661667e-08 -9.358560590129084e-09
        8.351792932965272e-10 -4.995064969565518e-11 1.8039220212475255e-12
        -2.98350408140724e-14""",
)


# Where erfc is surely 0.
_LIMIT_ERFC = coefficients(float32="10.1", float64="27.3")

# exp(x²) erfc(x) (x + c), by t = (x - c)/(x + c), for x from 0.8 to 10.1 (float32), 27.3 (float64)
# relative error 2^-26.3 in float32, 2^-54.0 in float64
_ERFC_CENTRE = coefficients(float32="1.5", float64="2.0")
_ERFC = coefficients(
    float32="""0.96475625 -0.50785005 0.07562073 0.04777339 -0.008091089 -0.009591857
        -0.00090149185 0.0026891003 -0.00019175505""",
    float64="""1.021582705242023 -0.6871606844138107 0.2794720925560645 -0.03644223150685497
        -0.021510661890825126 0.006479185067580239 0.0030906121161361293 -0.0008372961187340201
        -0.0006630746087265718 3.437345019228502e-05 0.0001444812951100449 3.411997831660178e-05
        -2.1739018049744374e-05 -1.5918712204355636e-05 -1.1523441856087713e-06
        2.9918089881996455e-06 2.7394903625223307e-06 5.46521552711614e-07
        -2.174036634643799e-06 6.686759051876624e-07""",
)

# erf(x)/x - 1 by x², for |x| ≤ 0.8
# relative error 2^-28.1 in float32, 2^-56.1 in float64
_ERFC_NEAR = coefficients(
    float32="0.12837917 -0.37612608 0.11283162 -0.026822243 0.0050868657 -0.00065422495",
    float64="""0.12837916709551256 -0.37612638903183254 0.11283791670927848 -0.026866170639282642
        0.005223977561030028 -0.0008548322883721012 0.00012055167178938244
        -1.4921387838443713e-05 1.6391683092466251e-06 -1.563972382013197e-07
        1.0487728013401435e-08""",
)


def erf(b: Instructions, x: Value) -> Value:
    """The error function 2/√π ∫₀ˣ exp(-t²) dt.

    Near 0 by a polynomial; farther out as 1 - g⁴, where g is a polynomial

    Within 1.8 ulp in float32, 1.5 in float64.
    """
    size = at_most(b, magnitude(b, x), *_LIMIT[x.dtype])
    square = size * size
    near = b.multiply_add(size, polynomial(b, square, _ERF_NEAR[x.dtype]), size)
    root = polynomial(b, size, _ERF_FAR[x.dtype])
    root = root * root
    far = b.multiply_add(-root, root, 1.0)
    return with_sign(b, b.select(size < _SPLIT, near, far), x)


@double_without_fma
def erfc(b: Instructions, x: Value) -> Value:
    """The complement 1 - erf(x), accurate where it is small too.

    Near 0 it is 1 - erf(x); for x ≥ 0.8, exp(-x²) p(t)/(x + c), where t = (x - c)/(x + c). What x²,
    1/(x + c) and the reduction of the exponent lose by rounding goes into the exponent.

    Within 1.9 ulp in float32, 2.2 in float64.
    """
    size = at_most(b, magnitude(b, x), *_LIMIT_ERFC[x.dtype])
    centre = _ERFC_CENTRE[x.dtype][0]
    # What the sum loses is found so for x > c too, since c has only few digits.
    total, lost = quick_sum(x.like(centre), size)
    inverse = 1.0 / total
    # p(t)/(x + c), the last steps of it with twice the digits.
    t = b.multiply_add(inverse, -2.0 * centre, 1.0)
    constant, *others = _ERFC[x.dtype]
    term, term_lost = exact_product(b, t, polynomial(b, t, others))
    value, value_lost = quick_sum(x.like(constant), term)
    factor, factor_lost = exact_product(b, value, inverse)
    factor_lost = b.multiply_add(value_lost + term_lost, inverse, factor_lost)
    # What 1/(x + c) lacks, relative to it; p(t) depends on it too, which counts about so much.
    missing = b.multiply_add(inverse, -lost, exact_rest(b, 1.0, inverse, total))
    missing = missing * b.multiply_add(inverse, 1.2 * centre, 1.0)
    # exp(-x²) = 2^n exp(r + rest), n log(2) + r + rest = -x²: r is exact.
    square, square_lost = exact_product(b, size, size)
    high, low = LOG2_PARTS[x.dtype]
    n, _ = nearest(b, square, -math.log2(math.e))
    r = b.multiply_add(n, -high, -square)
    rest = b.multiply_add(n, -low, missing) - square_lost
    total = r + rest
    tail = b.multiply_add(total * total, polynomial(b, total, EXP_TAIL[x.dtype]), rest)
    growth = b.multiply_add(factor, r, b.multiply_add(factor, tail, factor_lost))
    result = scaled(b, factor + growth, n)
    far = b.select(x < 0.0, 2.0 - result, result)
    near = b.multiply_add(x, polynomial(b, square, _ERFC_NEAR[x.dtype]), x)
    return b.select(size < 0.8, 1.0 - near, far)
