"""Logic on booleans, and tests for what is no finite number. None has a derivative."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np

from graphwright.graph.dtype import boolean
from graphwright.graph.operator import register
from graphwright.ops.case import Case, Reject, bool_, f32, i32
from graphwright.ops.elementwise import Binary, Unary, lowered_in_single_precision

_FLOAT = Reject(f32[2], message="needs a boolean input, got f32[2]")
_FLOATS = Reject(f32[2], f32[2], message="needs a boolean input, got f32[2]")
_SHAPES = Reject(bool_[2], bool_[3], message="shapes [2] and [3] differ: 2 != 3 on axis -1")


class Connective(Binary):
    """A truth function of two booleans."""

    takes = "boolean"
    commutative = True
    differentiable = False

    cases = (
        Case([False, False, True, True], [False, True, False, True]),
        Case(bool_["n", 4], bool_[4]),
    )
    rejects = (_FLOATS, _SHAPES)


@register
class LogicalAnd(Connective):
    """True where both are."""

    name = "logical_and"
    identity_element = True
    absorbing_element = False
    idempotent = True
    ufunc = np.logical_and

    def lower(self, b: Any, x: Any, y: Any) -> Any:
        return x & y


@register
class LogicalOr(Connective):
    """True where at least one is."""

    name = "logical_or"
    identity_element = False
    absorbing_element = True
    idempotent = True
    ufunc = np.logical_or

    def lower(self, b: Any, x: Any, y: Any) -> Any:
        return x | y


@register
class LogicalXor(Connective):
    """True where exactly one is."""

    name = "logical_xor"
    identity_element = False
    ufunc = np.logical_xor

    def lower(self, b: Any, x: Any, y: Any) -> Any:
        return x ^ y


@register
class LogicalNot(Unary):
    """True where x is False."""

    name = "logical_not"
    takes = "boolean"
    involution = True
    differentiable = False
    ufunc = np.logical_not

    def lower(self, b: Any, x: Any) -> Any:
        return ~x

    cases = Case([False, True]), Case(bool_["n", 4])
    rejects = (_FLOAT,)


class Predicate(Unary):
    """A property of one number."""

    gives = boolean
    differentiable = False
    of_integers: ClassVar[bool] = False
    """What is said of every whole number."""

    @lowered_in_single_precision
    def lower(self, b: Any, x: Any) -> Any:
        if x.floating:
            return self.lower_floating(b, x)
        return b.constant(self.of_integers, boolean, x.lanes)

    def lower_floating(self, b: Any, x: Any) -> Any:
        """`lower` for floats of 32 and 64 bits."""
        raise self._incomplete("lower_floating")

    cases = Case([0.0, -1e308, np.nan, np.inf, -np.inf]), Case(f32["n", 4]), Case(i32[3])


@register
class IsNan(Predicate):
    """True where x is nan, not a number; it has no derivative."""

    name = "isnan"
    ufunc = np.isnan

    def lower_floating(self, b: Any, x: Any) -> Any:
        return x.differs(x)


@register
class IsInf(Predicate):
    """True where x is inf or -inf; it has no derivative."""

    name = "isinf"
    ufunc = np.isinf

    def lower_floating(self, b: Any, x: Any) -> Any:
        return b.intrinsic("fabs", x).equals(math.inf)


@register
class IsFinite(Predicate):
    """True where x is neither infinite nor nan; it has no derivative."""

    name = "isfinite"
    ufunc = np.isfinite
    of_integers = True

    def lower_floating(self, b: Any, x: Any) -> Any:
        return b.intrinsic("fabs", x) < math.inf


logical_and = LogicalAnd()
logical_or = LogicalOr()
logical_xor = LogicalXor()
logical_not = LogicalNot()
isnan = IsNan()
isinf = IsInf()
isfinite = IsFinite()
