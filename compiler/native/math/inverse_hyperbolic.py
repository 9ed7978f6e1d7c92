"""Inverse hyperbolic functions."""

from __future__ import annotations

import math

from graphwright.compiler.native.instructions import Instructions
from graphwright.compiler.native.math.floats import (
    coefficients,
    decomposed,
    exact_rest,
    magnitude,
    polynomial,
    quick_sum,
    with_sign,
)
from graphwright.compiler.native.math.logarithm import assembled
from graphwright.compiler.native.values import Value

# Where x² + 1 and x² - 1 are x².
_LARGE = coefficients(float32="16384.0", float64="536870912.0")

# (asinh(x)/x - 1)/x² by x², for |x| ≤ 3/4
# relative error 2^-27.0 in float32, 2^-57.3 in float64
_ASINH = coefficients(
    float32="-0.1666658 0.07496873 -0.044258114 0.028137555 -0.015318033 0.0046678544",
    float64="""-0.16666666666666338 0.07499999999938178 -0.044642857101958755 0.030381943069475236
        -0.022372131468501907 0.017352401361153975 -0.013961540320113918 0.011530209661338426
        -0.009657708194718421 0.008016149427895717 -0.006292992060047813 0.004327685414056099
        -0.0023409907092289224 0.0008521226979335593 -0.00015223652063182068""",
)

# (acosh(1 + y)/√(2y) - 1)/y for y from 0 to 1/2
# relative error 2^-29.6 in float32, 2^-60.4 in float64
_ACOSH = coefficients(
    float32="-0.08333322 0.018746601 -0.0055478667 0.0017600426 -0.00041319258",
    float64="""-0.08333333333333305 0.018749999999961044 -0.005580357140979015 0.0018988714822759775
        -0.0006991293237110324 0.00027113104629736945 -0.00010906431515937687
        4.4972596232491394e-05 -1.86213763601113e-05 7.290629125079666e-06
        -2.3181231872919403e-06 4.1945414515003247e-07""",
)

# (atanh(x)/x - 1)/x² by x², for |x| ≤ 1/2
# relative error 2^-29.4 in float32, 2^-60.8 in float64
_ATANH = coefficients(
    float32="0.33333302 0.20002453 0.14223784 0.1181641 0.051603116 0.17638062",
    float64="""0.3333333333333328 0.20000000000018558 0.14285714283388257 0.11111111258242817
        0.09090903584017618 0.07692440747969533 0.06664481392976689 0.05907497697505917
        0.05057444697148285 0.059597665502109744 -0.005462469448548864 0.17526142441118783
        -0.19659149172599855 0.24143545044765083""",
)


def asinh(b: Instructions, x: Value) -> Value:
    """The number whose hyperbolic sine is x: log(|x| + √(x² + 1)), with the sign of x.

    Within 1.5 ulp in float32, 1.6 in float64.
    """
    size = magnitude(b, x)
    square = x * x
    near = b.multiply_add(size * square, polynomial(b, square, _ASINH[x.dtype]), size)
    return with_sign(b, b.select(size < 0.75, near, _log_of_both(b, size, 1.0)), x)


def acosh(b: Instructions, x: Value) -> Value:
    """The number from 0 up whose hyperbolic cosine is x: log(x + √(x² - 1)); nan below 1.

    Within 1.6 ulp in float32, 1.6 in float64.
    """
    y = x - 1.0
    root = b.intrinsic("sqrt", y + y)
    near = b.multiply_add(root * y, polynomial(b, y, _ACOSH[x.dtype]), root)
    return b.select(x > 1.5, _log_of_both(b, x, -1.0), near)


def _log_of_both(b: Instructions, x: Value, one: float) -> Value:
    """log(x + √(x² + one)) for positive x, not near 0 or 1, and with more digits than the sum."""
    square = b.multiply_add(x, x, one)
    root = b.intrinsic("sqrt", square)
    missing = exact_rest(b, square, root, root)  # of the square of the root
    larger, smaller = (root, x) if one > 0 else (x, root)
    total, rest = quick_sum(larger, smaller)
    more = b.multiply_add(rest, root, missing * 0.5) / (root * total)
    # Where x² may be infinite: log(2x).
    large = x > _LARGE[x.dtype][0]
    m, e = decomposed(b, b.select(large, x, total))
    return assembled(b, m - 1.0, e, b.select(large, math.log(2.0), more))


def atanh(b: Instructions, x: Value) -> Value:
    """The number whose hyperbolic tangent is x: ½ log((1 + x)/(1 - x)); nan for |x| > 1.

    Within 1.4 ulp in float32, 1.3 in float64.
    """
    size = magnitude(b, x)
    square = x * x
    near = b.multiply_add(size * square, polynomial(b, square, _ATANH[x.dtype]), size)
    total, rest = quick_sum(x.like(1.0), size)
    m, e = decomposed(b, total / (1.0 - size))
    # The rest over the total, which is between 1.5 and 2.
    far = assembled(b, m - 1.0, e, rest * 0.57) * 0.5
    return with_sign(b, b.select(size < 0.5, near, far), x)
