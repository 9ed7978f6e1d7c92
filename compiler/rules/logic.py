"""Logic: comparisons of a tensor with itself, negated conditions, choices that are none.

before::

    graph(x: f32[n], y: f32[n]) {
      %0: bool[n] = less(x, y)
      %1: bool[n] = logical_not(%0)
      %2: f32[n] = where(%1, x, y)
      return %2
    }

after::

    graph(x: f32[n], y: f32[n]) {
      %0: bool[n] = less(x, y)
      %1: f32[n] = where(%0, y, x)
      return %1
    }
"""

from __future__ import annotations

import numpy as np

from graphwright.compiler.rules.pattern import has_value
from graphwright.compiler.rules.rule import (
    Condition,
    Example,
    Kept,
    Outcome,
    Sides,
    equation,
    fitted,
    rule,
    rules_in,
)
from graphwright.graph.node import Node
from graphwright.graph.tensor import Tensor
from graphwright.ops import (
    as_tensor,
    broadcast_to,
    cast,
    isfinite,
    isinf,
    isnan,
    logical_not,
    where,
)
from graphwright.ops.case import bool_, f32
from graphwright.ops.selection import Where

# A tensor compared with itself.


@equation("discrete", claim="exact", otherwise="x = x is False where x is nan")
def equal_to_itself(x: Tensor) -> Sides:
    """x = x → True, of integers and booleans."""
    return x == x, as_tensor(True)


@equation("discrete", claim="exact", otherwise="x ≠ x is True where x is nan")
def not_equal_to_itself(x: Tensor) -> Sides:
    """x ≠ x → False, of integers and booleans."""
    return x != x, as_tensor(False)


@equation("discrete", claim="exact", otherwise="x ≤ x is False where x is nan")
def less_equal_itself(x: Tensor) -> Sides:
    """x ≤ x → True, of integers and booleans."""
    return x <= x, as_tensor(True)


@equation("discrete", claim="exact", otherwise="x ≥ x is False where x is nan")
def greater_equal_itself(x: Tensor) -> Sides:
    """x ≥ x → True, of integers and booleans."""
    return x >= x, as_tensor(True)


@equation("any", claim="exact")
def less_than_itself(x: Tensor) -> Sides:
    """x < x → False."""
    return x < x, as_tensor(False)


@equation("any", claim="exact")
def greater_than_itself(x: Tensor) -> Sides:
    """x > x → False."""
    return x > x, as_tensor(False)


# Integers are finite.


@equation("integer", claim="exact")
def integer_is_nan(x: Tensor) -> Sides:
    """isnan(x) → False, of integers."""
    return isnan(x), as_tensor(False)


@equation("integer", claim="exact")
def integer_is_infinite(x: Tensor) -> Sides:
    """isinf(x) → False, of integers."""
    return isinf(x), as_tensor(False)


@equation("integer", claim="exact")
def integer_is_finite(x: Tensor) -> Sides:
    """isfinite(x) → True, of integers."""
    return isfinite(x), as_tensor(True)


# Choices.


@equation("any", claim="exact")
def where_same(condition: Condition, x: Tensor) -> Sides:
    """where(c, x, x) → x."""
    return where(condition, x, x), x


@equation("any", claim="exact")
def where_true(x: Tensor, y: Tensor) -> Sides:
    """where(True, x, y) → x."""
    return where(True, x, y), x


@equation("any", claim="exact")
def where_false(x: Tensor, y: Tensor) -> Sides:
    """where(False, x, y) → y."""
    return where(False, x, y), y


@equation("any", claim="exact")
def where_where_chosen(condition: Condition, x: Tensor, y: Tensor, z: Tensor) -> Sides:
    """where(c, where(c, x, y), z) → where(c, x, z)."""
    return where(condition, where(condition, x, y), z), where(condition, x, z)


@equation("any", claim="exact")
def where_where_other(condition: Condition, x: Tensor, y: Tensor, z: Tensor) -> Sides:
    """where(c, x, where(c, y, z)) → where(c, x, z)."""
    return where(condition, x, where(condition, y, z)), where(condition, x, z)


@equation(
    "boolean",
    claim="exact",
    kept=[Kept(lambda x: where(x, 1.0, 0.0), bool_[3])],
)
def where_true_false(x: Tensor) -> Sides:
    """where(x, True, False) → x."""
    return where(x, True, False), x


@rule(
    Where,
    examples=[
        Example(lambda c: where(c, 1.0, 0.0), lambda c: cast(c, "f32"), bool_["n", 3]),
        Example(
            lambda c: where(c, broadcast_to(np.float64(1), (2, 3)), 0),
            lambda c: broadcast_to(cast(c, "f64"), (2, 3)),
            bool_[3],
        ),
    ],
    kept=[
        Kept(lambda c: where(c, 1.0, 2.0), bool_[3]),
        Kept(lambda c, x: where(c, x, 0.0), bool_[3], f32[3]),
    ],
)
def where_one_zero(node: Node) -> Outcome:
    """where(c, 1, 0) → cast(c)."""
    condition, x, y = node.inputs
    if not (has_value(x, 1) and has_value(y, 0)):
        return None
    return fitted(cast(condition, x.dtype), node.outputs[0].type)


@equation("any", claim="exact")
def where_not(condition: Condition, x: Tensor, y: Tensor) -> Sides:
    """where(not c, x, y) → where(c, y, x)."""
    return where(logical_not(condition), x, y), where(condition, y, x)


# Logic.


@equation("boolean", claim="exact")
def and_not_itself(x: Tensor) -> Sides:
    """x and not x → False."""
    return x & ~x, as_tensor(False)


@equation("boolean", claim="exact")
def or_not_itself(x: Tensor) -> Sides:
    """x or not x → True."""
    return x | ~x, as_tensor(True)


@equation("boolean", claim="exact")
def xor_itself(x: Tensor) -> Sides:
    """x xor x → False."""
    return x ^ x, as_tensor(False)


@equation("boolean", claim="exact")
def xor_true(x: Tensor) -> Sides:
    """x xor True → not x."""
    return x ^ True, ~x


@equation("boolean", claim="exact")
def equal_to_true(x: Tensor) -> Sides:
    """x = True → x."""
    return x == True, x  # noqa: E712


@equation("boolean", claim="exact")
def equal_to_false(x: Tensor) -> Sides:
    """x = False → not x."""
    return x == False, ~x  # noqa: E712


@equation("any", claim="exact")
def not_equal(x: Tensor, y: Tensor) -> Sides:
    """not (x = y) → x ≠ y."""
    return ~(x == y), x != y


@equation("any", claim="exact")
def not_not_equal(x: Tensor, y: Tensor) -> Sides:
    """not (x ≠ y) → x = y."""
    return ~(x != y), x == y


@equation("discrete", claim="exact", otherwise="not (x < y) is True, and x ≥ y False, for nan")
def not_less(x: Tensor, y: Tensor) -> Sides:
    """not (x < y) → x ≥ y, of integers and booleans."""
    return ~(x < y), x >= y


@equation("discrete", claim="exact", otherwise="not (x ≤ y) is True, and x > y False, for nan")
def not_less_equal(x: Tensor, y: Tensor) -> Sides:
    """not (x ≤ y) → x > y, of integers and booleans."""
    return ~(x <= y), x > y


@equation("discrete", claim="exact", otherwise="not (x > y) is True, and x ≤ y False, for nan")
def not_greater(x: Tensor, y: Tensor) -> Sides:
    """not (x > y) → x ≤ y, of integers and booleans."""
    return ~(x > y), x <= y


@equation("discrete", claim="exact", otherwise="not (x ≥ y) is True, and x < y False, for nan")
def not_greater_equal(x: Tensor, y: Tensor) -> Sides:
    """not (x ≥ y) → x < y, of integers and booleans."""
    return ~(x >= y), x < y


RULES = rules_in(globals())
