"""Comparisons: two inputs of one dtype, booleans out. None has a derivative."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from graphwright.graph.dtype import boolean
from graphwright.graph.operator import register
from graphwright.ops.case import Case, bool_, f32, i32
from graphwright.ops.elementwise import Binary, lowered_in_single_precision


class Comparison(Binary):
    """x against y, element by element; every comparison with nan is False but `not_equal`."""

    takes = "any"
    gives = boolean
    differentiable = False
    relation: ClassVar[str]
    """What the builder of native code calls it."""

    @lowered_in_single_precision
    def lower(self, b: Any, x: Any, y: Any) -> Any:
        return b.compare(self.relation, x, y)

    cases = (
        Case(f32["n", 4], f32[4]),
        Case(i32[3], i32[()]),
        Case(bool_[4], bool_[4]),
        Case([0.0, np.nan, np.inf, 1.0], [-0.0, np.nan, np.inf, 2.0]),
    )
    rejects = Binary.misfits


@register
class Equal(Comparison):
    """x = y, true or false: no derivative."""

    name = "equal"
    commutative = True
    ufunc = np.equal
    relation = "eq"


@register
class NotEqual(Comparison):
    """x ≠ y, true or false: no derivative."""

    name = "not_equal"
    commutative = True
    ufunc = np.not_equal
    relation = "ne"


@register
class Less(Comparison):
    """x < y, true or false: no derivative."""

    name = "less"
    ufunc = np.less
    relation = "lt"


@register
class LessEqual(Comparison):
    """x ≤ y, true or false: no derivative."""

    name = "less_equal"
    ufunc = np.less_equal
    relation = "le"


@register
class Greater(Comparison):
    """x > y, true or false: no derivative."""

    name = "greater"
    ufunc = np.greater
    relation = "gt"


@register
class GreaterEqual(Comparison):
    """x ≥ y, true or false: no derivative."""

    name = "greater_equal"
    ufunc = np.greater_equal
    relation = "ge"


equal = Equal()
not_equal = NotEqual()
less = Less()
less_equal = LessEqual()
greater = Greater()
greater_equal = GreaterEqual()
