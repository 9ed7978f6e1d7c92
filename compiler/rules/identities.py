"""Identities: operations that change nothing, or whose answer is known.

before::

    graph(x: i32[n,3]) {
      %0: i32[] = constant(value=i32[]{1})
      %1: i32[n,3] = multiply(x, %0)
      %2: i32[n,3] = maximum(%1, x)
      %3: i32[n,3] = subtract(%2, x)
      return %3
    }

after::

    graph(x: i32[n,3]) {
      %0: i32[] = constant(value=i32[]{0})
      %1: i32[n,3] = broadcast_to(%0, shape=(n, 3))
      return %1
    }

What an operator declares of itself (`identity_element`, `idempotent` …) is used here, so an
operator of the user's takes part.

`x + 0.0` becomes `x`: of -0.0 the sum is 0.0, so the sign of a zero may change. No rule takes
that sign for part of a value, because no result but the sign of an infinity, 1/±0, depends on it.
"""

from __future__ import annotations

from graphwright.compiler.rules.pattern import has_value
from graphwright.compiler.rules.rule import (
    Declined,
    Example,
    Kept,
    Outcome,
    Sides,
    equation,
    fitted,
    rule,
    rules_in,
)
from graphwright.graph.dtype import is_floating
from graphwright.graph.node import Node
from graphwright.graph.tensor import Tensor
from graphwright.ops import abs, as_tensor, maximum, minimum, negative, square
from graphwright.ops.arithmetic import Divide
from graphwright.ops.case import bool_, f32, f64, i32
from graphwright.ops.elementwise import Elementwise
from graphwright.ops.movement import broadcast_to

# What operators declare of themselves.


@rule(
    Elementwise,
    declaring="identity_element",
    examples=[
        Example(lambda x: x + 0, lambda x: x, f32["n", 3]),
        Example(lambda x: 0 + x, lambda x: x, i32[3]),
        Example(lambda x: x - 0, lambda x: x, f32[3]),
        Example(lambda x: x * 1, lambda x: x, f64[2, 3]),
        Example(lambda x: x / 1, lambda x: x, f64[2, 3]),
        Example(lambda x: x**1, lambda x: x, f64[2, 3]),
        Example(lambda x: minimum(x, float("inf")), lambda x: x, f64[2, 3]),
        Example(lambda x: x & True, lambda x: x, bool_[3]),
        Example(lambda x: False | x, lambda x: x, bool_[3]),
        Example(
            lambda x: x * broadcast_to(as_tensor(1, x.dtype), (2, 1)),
            lambda x: broadcast_to(x, (2, 3)),
            f64[3],
        ),
    ],
    kept=[Kept(lambda x: 1 / x, f32[3]), Kept(lambda x: 0.0 - x, f32[3])],
)
def identity_element(node: Node) -> Outcome:
    """x ∘ e → x for the operator's identity e: x + 0, x × 1, x / 1."""
    element = node.op.identity_element
    assert element is not None
    x, e = node.inputs
    if has_value(e, element):
        return fitted(x, node.outputs[0].type)
    if node.op.commutative and has_value(x, element):
        return fitted(e, node.outputs[0].type)
    return None


@rule(
    Elementwise,
    declaring="absorbing_element",
    examples=[
        Example(
            lambda x: x * 0, lambda x: broadcast_to(as_tensor(0, x.dtype), x.shape), i32["n", 3]
        ),
        Example(lambda x: x & False, lambda x: broadcast_to(as_tensor(False), x.shape), bool_[3]),
        Example(lambda x: True | x, lambda x: broadcast_to(as_tensor(True), x.shape), bool_[3]),
    ],
    kept=[Kept(lambda x: x * 0.0, f32[3], reason="multiply with 0 is not 0 where")],
)
def absorbing_element(node: Node) -> Outcome:
    """x ∘ e → e for the operator's absorbing element e: x × 0 of integers, x and False."""
    element = node.op.absorbing_element
    assert element is not None
    for tensor in node.inputs:
        if has_value(tensor, element):
            if is_floating(tensor.dtype):
                return Declined(
                    f"{node.op.name} with {element} is not {element} where the other operand "
                    "is inf or nan"
                )
            return fitted(as_tensor(element, tensor.dtype), node.outputs[0].type)
    return None


@rule(
    Elementwise,
    declaring="idempotent",
    examples=[
        Example(lambda x: maximum(x, x), lambda x: x, f64["n", 3]),
        Example(lambda x: abs(abs(x)), lambda x: abs(x), f64["n", 3]),
    ],
    kept=[Kept(lambda x, y: maximum(x, y), f64[3], f64[3])],
)
def idempotent(node: Node) -> Outcome:
    """f(f(x)) → f(x), and x ∘ x → x, for operators that are idempotent."""
    first = node.inputs[0]
    if len(node.inputs) == 1:
        return first if first.node.op == node.op else None
    same = len(node.inputs) == 2 and first is node.inputs[1]
    return first if same else None


@rule(
    Elementwise,
    declaring="involution",
    examples=[Example(lambda x: negative(negative(x)), lambda x: x, i32["n", 3])],
    kept=[Kept(lambda x: -abs(-x), f64[3])],
)
def involution(node: Node) -> Outcome:
    """f(f(x)) → x for operators that undo themselves: -(-x), not not x."""
    inner = node.inputs[0].node
    return inner.inputs[0] if inner.op == node.op else None


# An operand with itself, or with what it is part of.


@equation("integer", claim="exact", otherwise="x - x is nan, not 0, where x is inf or nan")
def subtract_itself(x: Tensor) -> Sides:
    """x - x → 0, of integers."""
    return x - x, as_tensor(0, x.dtype)


@rule(
    Divide,
    examples=[],
    kept=[Kept(lambda x: x / x, f32[3], reason="x / x is nan, not 1, where x is 0, inf or nan")],
)
def divide_itself(node: Node) -> Outcome:
    """x / x stays."""
    same = node.inputs[0] is node.inputs[1]
    return Declined("x / x is nan, not 1, where x is 0, inf or nan") if same else None


@equation("number", claim="exact")
def maximum_again(x: Tensor, y: Tensor) -> Sides:
    """max(max(x, y), y) → max(x, y)."""
    return maximum(maximum(x, y), y), maximum(x, y)


@equation("number", claim="exact")
def minimum_again(x: Tensor, y: Tensor) -> Sides:
    """min(min(x, y), y) → min(x, y)."""
    return minimum(minimum(x, y), y), minimum(x, y)


@equation("integer", claim="exact")
def subtract_what_was_added(x: Tensor, y: Tensor) -> Sides:
    """(x + y) - y → x, of integers, which wrap around and back."""
    return (x + y) - y, x


@equation("integer", claim="exact")
def add_what_was_subtracted(x: Tensor, y: Tensor) -> Sides:
    """(x - y) + y → x, of integers, which wrap around and back."""
    return (x - y) + y, x


@equation("integer", claim="exact")
def floor_divide_by_one(x: Tensor) -> Sides:
    """x // 1 → x, of integers."""
    return x // 1, x


@equation("integer", claim="exact")
def remainder_by_one(x: Tensor) -> Sides:
    """x % 1 → 0, of integers."""
    return x % 1, as_tensor(0, x.dtype)


# Powers with a known answer.


@equation("number", claim="exact")
def power_of_zero(x: Tensor) -> Sides:
    """x⁰ → 1, for nan too (IEEE 754-2019, 9.2.1)."""
    return x**0, as_tensor(1, x.dtype)


@equation("number", claim="exact")
def power_of_one(x: Tensor) -> Sides:
    """1ˣ → 1, for nan too (IEEE 754-2019, 9.2.1)."""
    return 1**x, as_tensor(1, x.dtype)


# Signs.


@equation("number", claim="exact")
def subtract_from_zero(x: Tensor) -> Sides:
    """0 - x → -x."""
    return 0 - x, -x


@equation("number", claim="exact")
def multiply_by_minus_one(x: Tensor) -> Sides:
    """-1 × x → -x."""
    return -1 * x, -x


@equation("floating", claim="exact")
def divide_by_minus_one(x: Tensor) -> Sides:
    """x / -1 → -x."""
    return x / -1, -x


@equation("number", claim="exact")
def add_negative(x: Tensor, y: Tensor) -> Sides:
    """x + (-y) → x - y."""
    return x + (-y), x - y


@equation("number", claim="exact")
def subtract_negative(x: Tensor, y: Tensor) -> Sides:
    """x - (-y) → x + y."""
    return x - (-y), x + y


@equation("number", claim="exact")
def negative_difference(x: Tensor, y: Tensor) -> Sides:
    """-(x - y) → y - x."""
    return -(x - y), y - x


@equation("number", claim="exact")
def multiply_negatives(x: Tensor, y: Tensor) -> Sides:
    """-x × -y → x × y."""
    return -x * -y, x * y


@equation("floating", claim="exact")
def divide_negatives(x: Tensor, y: Tensor) -> Sides:
    """-x / -y → x / y."""
    return -x / -y, x / y


@equation("number", claim="exact")
def add_negative_product(x: Tensor, y: Tensor, z: Tensor) -> Sides:
    """x + (-y) z → x - y z: so gradient steps are written."""
    return x + -y * z, x - y * z


@equation("number", claim="exact")
def subtract_negative_product(x: Tensor, y: Tensor, z: Tensor) -> Sides:
    """x - (-y) z → x + y z."""
    return x - -y * z, x + y * z


@equation("floating", claim="exact")
def add_negative_quotient(x: Tensor, y: Tensor, z: Tensor) -> Sides:
    """x + (-y) / z → x - y / z: the gradient of a quotient is so written."""
    return x + -y / z, x - y / z


@equation("number", claim="exact")
def absolute_of_negative(x: Tensor) -> Sides:
    """|-x| → |x|."""
    return abs(-x), abs(x)


@equation("number", claim="exact")
def square_of_negative(x: Tensor) -> Sides:
    """(-x)² → x²."""
    return square(-x), square(x)


@equation("number", claim="exact")
def square_of_absolute(x: Tensor) -> Sides:
    """|x|² → x²."""
    return square(abs(x)), square(x)


RULES = rules_in(globals())
