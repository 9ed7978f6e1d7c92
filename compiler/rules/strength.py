"""Strength: the same value by cheaper operators.

before::

    graph(x: f32[n,3]) {
      %0: f32[] = constant(value=f32[]{2.0})
      %1: f32[n,3] = power(x, %0)
      %2: f32[] = constant(value=f32[]{4.0})
      %3: f32[n,3] = divide(%1, %2)
      return %3
    }

after::

    graph(x: f32[n,3]) {
      %0: f32[n,3] = square(x)
      %1: f32[] = constant(value=f32[]{0.25})
      %2: f32[n,3] = multiply(%0, %1)
      return %2
    }
"""

from __future__ import annotations

from typing import Any

import numpy as np

from graphwright.compiler.rules.casts import FLOAT_BITS
from graphwright.compiler.rules.pattern import has_value, uniform_value
from graphwright.compiler.rules.rule import (
    Declined,
    Example,
    Kept,
    Outcome,
    Sides,
    equation,
    fitted,
    replacing,
    rule,
    rules_in,
)
from graphwright.graph.dtype import is_floating, short_name
from graphwright.graph.node import Node
from graphwright.graph.tensor import Tensor
from graphwright.ops import as_tensor, reciprocal, rsqrt, sqrt, square
from graphwright.ops.arithmetic import Divide, Multiply, Power
from graphwright.ops.case import f32, f64, i32
from graphwright.ops.exponential import Sqrt

# Powers. NumPy's own `x ** 2`, `x ** 0.5` and `x ** -1` make the same replacements.


@equation("number", claim="exact")
def power_of_two(x: Tensor) -> Sides:
    """x² by power → square(x)."""
    return x**2, square(x)


@equation("number", claim="exact")
def multiply_with_itself(x: Tensor) -> Sides:
    """x × x → square(x)."""
    return x * x, square(x)


@equation("number")
def power_of_three(x: Tensor) -> Sides:
    """x³ by power → x × square(x)."""
    return x**3, x * square(x)


@equation("number")
def power_of_four(x: Tensor) -> Sides:
    """x⁴ by power → square(square(x))."""
    return x**4, square(square(x))


@equation()
def power_of_half(x: Tensor) -> Sides:
    """x to the power ½ → sqrt(x)."""
    return x**0.5, sqrt(x)


@equation(claim="exact")
def power_of_minus_one(x: Tensor) -> Sides:
    """x⁻¹ by power → 1 / x."""
    return x**-1, reciprocal(x)


# Quotients.


@equation(claim="exact")
def divide_one(x: Tensor) -> Sides:
    """1 / x → reciprocal(x)."""
    return 1 / x, reciprocal(x)


@equation()
def reciprocal_of_square_root(x: Tensor) -> Sides:
    """1 / sqrt(x) → rsqrt(x)."""
    return reciprocal(sqrt(x)), rsqrt(x)


@rule(
    Divide,
    examples=[
        Example(lambda x: x / 4, lambda x: x * as_tensor(0.25, x.dtype), f32["n", 3]),
        Example(lambda x: x / -0.125, lambda x: x * as_tensor(-8.0, x.dtype), f64["n", 3]),
    ],
    kept=[
        Kept(lambda x: x / 3.0, f32[3], reason="1 / 3.0 is not exact in f32"),
        Kept(lambda x: x / 2.0**-127, f32[3], reason="is not exact in f32"),
        Kept(lambda x: x / 2.0**127, f32[3], reason="is not exact in f32"),
        Kept(lambda x: x / 0.0, f32[3]),
        Kept(lambda x: x / np.inf, f32[3]),
        Kept(lambda x: 3 / x, f32[3]),
    ],
)
def divide_by_power_of_two(node: Node) -> Outcome:
    """x / c → x × (1 / c), when c is a power of two and so 1 / c is exact."""
    x, divisor = node.inputs
    c = uniform_value(divisor)
    if c is None or not np.isfinite(c) or c == 0:
        return None
    # The reciprocals of what is not normal overflow or have fewer digits.
    if abs(np.frexp(np.float64(c))[0]) != 0.5 or not _is_normal(c):
        return Declined(f"1 / {c} is not exact in {short_name(divisor.dtype)}")
    return fitted(x * as_tensor(1 / float(c), divisor.dtype), node.outputs[0].type)


@rule(
    Divide,
    weight=2,
    claim="rounded",
    examples=[
        Example(lambda x, y: x / sqrt(y), lambda x, y: x * rsqrt(y), f64["n", 3], f64["n", 1])
    ],
    kept=[
        Kept(lambda x, y: x / sqrt(y), f32["n", 3], f32["n", 3]),
        Kept(lambda x, y: x / y, f32["n", 3], f32[3], reason="1 / y may overflow"),
    ],
)
def divide_by_broadcast(node: Node) -> Outcome:
    """x / sqrt(y) → x × rsqrt(y) where y is broadcast: few divisions instead of many.

    The root is so far from the ends of the exponents that its reciprocal is finite unless it is 0.
    """
    x, divisor = node.inputs
    if divisor.shape == node.outputs[0].shape or not divisor.shape:
        return None
    if not isinstance(divisor.node.op, Sqrt):
        return Declined("1 / y may overflow where x / y does not")
    with replacing(node, divisor.node):
        return x * rsqrt(divisor.node.inputs[0])


@rule(
    Multiply,
    weight=2,
    claim="stable",
    examples=[
        Example(lambda x: 0.5 * (x * 3), lambda x: as_tensor(1.5, x.dtype) * x, f64["n", 3]),
        Example(lambda x: (x * 3) * 7, lambda x: as_tensor(21, x.dtype) * x, i32[3]),
    ],
    kept=[
        Kept(lambda x: 1e-30 * (x * 1e-30), f32[3], reason="0.0 is out of the range of f32"),
        Kept(lambda x: 1e30 * (x * 1e30), f32[3], reason="inf is out of the range of f32"),
        Kept(lambda x, y: 2 * (x * y), f32[3], f32[3]),
    ],
)
def multiply_numbers(node: Node) -> Outcome:
    """a (b x) → (a b) x, for numbers a and b whose product is in the range of the dtype."""
    for first, inner in (node.inputs, node.inputs[::-1]):
        a = uniform_value(first)
        if a is None or inner.node.op != node.op:
            continue
        for second, x in (inner.node.inputs, inner.node.inputs[::-1]):
            b = uniform_value(second)
            if b is None:
                continue
            with np.errstate(all="ignore"):
                factor = np.multiply(a, b)
            if is_floating(x.dtype) and not _is_normal(factor):
                return Declined(f"{factor} is out of the range of {short_name(x.dtype)}")
            with replacing(node, inner.node):
                return fitted(as_tensor(factor) * x, node.outputs[0].type)
    return None


def _is_normal(value: Any) -> bool:
    """Whether a floating number is finite, not 0, and small or large without losing digits."""
    exponent = int(np.frexp(np.float64(value))[1]) - 1
    limit = 2 ** (FLOAT_BITS[value.dtype.name][1] - 1) - 2
    return bool(np.isfinite(value) and value != 0 and abs(exponent) <= limit)


@rule(
    Power,
    examples=[],
    kept=[Kept(lambda x: x**-0.5, f32[3], reason="write gw.ops.rsqrt(x)")],
)
def power_of_minus_half(node: Node) -> Outcome:
    """x to the power -½ stays."""
    if not has_value(node.inputs[1], -0.5):
        return None
    return Declined(
        "x to the power -½ is 0 where x is -inf, but 1 / sqrt(x) is nan; if x is no -inf, "
        "write gw.ops.rsqrt(x), which is much faster"
    )


RULES = rules_in(globals())
