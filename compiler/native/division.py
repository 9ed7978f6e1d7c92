"""Many quotients by one divisor, each by a multiplication and two fused ones, to the last bit.

With r = 1/y, rounded: q = x r is within 1.5 units in the last place of x/y, e = x - y q is exact,
and q + e r, rounded once, is the x/y that a division gives (P. Markstein, "Computation of
elementary functions on the IBM RISC System/6000 processor", 1990; N. Brisebarre, J.-M. Muller and
S. K. Raina, "Accelerating correctly rounded floating-point division when the divisor is known in
advance", 2004). It takes a fifth of the time where no number on the way is subnormal or overflows;
elsewhere the numbers are divided.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from graphwright.compiler.native.values import Value

if TYPE_CHECKING:
    from graphwright.compiler.native.ir import Builder


class Divisor(NamedTuple):
    """What is computed once for a divisor. All are of one lane.

    value:      the divisor
    reciprocal: its reciprocal
    least:      quotients whose magnitude is at least this are exact on all the way
    zero:       0, whose quotients are too; nan if the divisor or its reciprocal is 0, subnormal,
                infinite or nan: then no quotient is
    """

    value: Value
    reciprocal: Value
    least: Value
    zero: Value

    @classmethod
    def of(cls, b: Builder, y: Value) -> Divisor:
        """Write what prepares a divisor."""
        layout = np.finfo(y.dtype)
        tiny = float(layout.tiny)
        size = b.intrinsic("fabs", y)
        ordinary = (size >= tiny) & (size <= 1 / tiny)
        reciprocal = b.select(ordinary, y.like(1.0) / y, np.nan)
        # The last digit of e counts as much as the last ones of x and of y together: it is not
        # lost if x is so large. And q must be no subnormal number.
        smallest = tiny * 2.0 ** (layout.nmant + 2)
        least = b.intrinsic("fabs", reciprocal) * smallest
        least = b.select(least > 2 * tiny, least, 2 * tiny)
        return cls(y, reciprocal, least, b.select(ordinary, y.like(0.0), np.nan))


def quotients(
    b: Builder, x: Value, divisor: Value, reciprocal: Value, least: Value, zero: Value
) -> Value:
    """x / y for a vector x and what a `Divisor` y holds: the body of a function."""
    y = b.splat(divisor, x.lanes)
    q = x * reciprocal
    e = b.fma(-y, q, x)
    quotient = b.fma(e, reciprocal, q)
    # False for what overflowed on the way, too: it became nan.
    safe = b.intrinsic("fabs", quotient) >= least
    result = b.variable(quotient)
    with b.when(b.any_lane(~safe), "rare"):
        # 0 is common, and q is right there, but for q + e r the sign is lost.
        others = b.variable(q)
        with b.when(b.any_lane(~safe & x.differs(zero)), "unsafe"):
            others.value = b.binary("fdiv", x, y)
        result.value = b.select(safe, quotient, others.value)
    return result.value
