"""The error function."""

from __future__ import annotations

from graphwright.compiler.native.instructions import Instructions
from graphwright.compiler.native.math.floats import (
    at_most,
    coefficients,
    magnitude,
    polynomial,
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


def erf(b: Instructions, x: Value) -> Value:
    """The error function 2/√π ∫₀ˣ exp(-t²) dt.

    Near 0 by a polynomial; farther out as 1 - g⁴, where g is a polynomial

    Within 1.4 ulp in float32, 1.4 in float64.
    """
    size = at_most(b, magnitude(b, x), *_LIMIT[x.dtype])
    square = size * size
    near = b.multiply_add(size, polynomial(b, square, _ERF_NEAR[x.dtype]), size)
    root = polynomial(b, size, _ERF_FAR[x.dtype])
    root = root * root
    far = b.multiply_add(-root, root, 1.0)
    return with_sign(b, b.select(size < _SPLIT, near, far), x)
