"""Stability: forms that overflow or lose digits on the way, replaced by those that do not.

before::

    graph(x: f32[n,10]) {
      %0: f32[n,10] = softmax(x, axes=(1,))
      %1: f32[n,10] = log(%0)
      return %1
    }

after::

    graph(x: f32[n,10]) {
      %0: f32[n,10] = log_softmax(x, axes=(1,))
      return %0
    }

These rules improve values: log(softmax(x)) is -inf where softmax(x) rounds to 0, and log_softmax(x)
is not. Where the old form was accurate the new one agrees with it up to rounding, and what is
undefined, such as the logarithm of a negative number, stays undefined.
"""

from __future__ import annotations

from graphwright.compiler.rules.rule import (
    Declined,
    Example,
    Kept,
    Outcome,
    Sides,
    chain,
    equation,
    replacing,
    rule,
    rules_in,
)
from graphwright.graph.node import Node
from graphwright.graph.tensor import Tensor
from graphwright.ops import (
    abs,
    erf,
    erfc,
    exp,
    expm1,
    log,
    log1p,
    logaddexp,
    reciprocal,
    sigmoid,
    softplus,
    sqrt,
    square,
    sum,
    tanh,
)
from graphwright.ops.arithmetic import Divide, Square, Subtract
from graphwright.ops.case import Within, f32, f64
from graphwright.ops.exponential import Exp, Log, Sqrt
from graphwright.ops.normalization import LogSoftmax, Softmax, log_softmax, softmax
from graphwright.ops.reduction import Max, Sum, max
from graphwright.ops.statistics import LogSumExp, logsumexp

# Softmax and its kin.


@chain(
    Log,
    Softmax,
    claim="stable",
    examples=[Example(lambda x: log(softmax(x)), lambda x: log_softmax(x), f64["n", 3])],
)
def log_of_softmax(outer: Log, inner: Softmax, x: Tensor) -> Outcome:
    """log(softmax(x)) → log_softmax(x): not -inf where softmax(x) rounds to 0."""
    return LogSoftmax(inner.axes)(x)


@chain(
    Log,
    Sum,
    Exp,
    claim="stable",
    examples=[
        Example(lambda x: log(sum(exp(x), 1)), lambda x: logsumexp(x, 1), f64["n", 3]),
        Example(lambda x: log(sum(exp(x))), lambda x: logsumexp(x), f64[2, 3]),
    ],
    kept=[
        Kept(lambda x: log(sum(exp(x), 0)), f32["n", 3], reason="axis of size n may be empty"),
        Kept(lambda x: log(sum(exp(x - max(x, 1, True)), 1)), f32["n", 3]),
    ],
)
def log_of_sum_of_exp(outer: Log, inner: Sum, last: Exp, x: Tensor) -> Outcome:
    """log(sum(exp(x))) → logsumexp(x): no overflow."""
    if _shifted(x):
        return None
    return _maybe_empty(inner.axes, x) or LogSumExp(inner.axes, inner.keepdims)(x)


@rule(
    Divide,
    weight=3,
    claim="stable",
    examples=[
        Example(
            lambda x: exp(x) / sum(exp(x), 1, True),
            lambda x: softmax(x, 1),
            Within(f64["n", 3], -2, 2),
        ),
    ],
    kept=[
        Kept(lambda x: exp(x) / sum(exp(x), 0), f32[3, 3]),
        Kept(lambda x: exp(x) / sum(exp(x), 0, True), f32["n"], reason="may be empty"),
        Kept(lambda x, y: exp(x) / sum(exp(y), 1, True), f32[3, 3], f32[3, 3]),
    ],
)
def softmax_written_out(node: Node) -> Outcome:
    """exp(x) / sum(exp(x)) → softmax(x): no overflow.

    Where x is inf the quotient is nan, and softmax makes nan of all that is summed with it.
    """
    powers, total = node.inputs
    op = total.node.op
    if not (isinstance(op, Sum) and isinstance(powers.node.op, Exp) and op.keepdims):
        return None
    x = powers.node.inputs[0]
    if total.node.inputs[0] is not powers or _shifted(x):
        return None
    with replacing(node, total.node, powers.node):
        return _maybe_empty(op.axes, x) or Softmax(op.axes)(x)


def _shifted(x: Tensor) -> bool:
    """True for x - max(x), whose exponential can't overflow."""
    if not isinstance(x.node.op, Subtract):
        return False
    shift = x.node.inputs[1].node
    while shift.op.view:
        shift = shift.inputs[0].node
    return isinstance(shift.op, Max)


def _maybe_empty(axes: tuple[int, ...], x: Tensor) -> Declined | None:
    """The largest element, which is subtracted, exists only where there is one."""
    for axis in axes:
        if x.shape[axis] == 0 or not isinstance(x.shape[axis], int):
            return Declined(
                f"the axis of size {x.shape[axis]} may be empty, and so have no maximum"
            )
    return None


# Logarithms and exponentials near 1 and near 0.


@equation(claim="stable")
def log_of_one_plus(x: Tensor) -> Sides:
    """log(1 + x) → log1p(x): keeps the digits of a small x."""
    return log(1 + x), log1p(x)


@equation(claim="stable")
def log_of_one_minus(x: Tensor) -> Sides:
    """log(1 - x) → log1p(-x): keeps the digits of a small x."""
    return log(1 - x), log1p(-x)


@equation(claim="stable")
def exp_minus_one(x: Tensor) -> Sides:
    """exp(x) - 1 → expm1(x): keeps the digits of a small x."""
    return exp(x) - 1, expm1(x)


@equation(claim="stable")
def one_minus_exp(x: Tensor) -> Sides:
    """1 - exp(x) → -expm1(x): keeps the digits of a small x."""
    return 1 - exp(x), -expm1(x)


@equation(claim="stable")
def log_of_exp(x: Tensor) -> Sides:
    """log(exp(x)) → x: also where exp(x) overflows or is 0."""
    return log(exp(x)), x


@equation(claim="stable")
def log_of_exp_plus_exp(x: Tensor, y: Tensor) -> Sides:
    """log(exp(x) + exp(y)) → logaddexp(x, y): no overflow."""
    return log(exp(x) + exp(y)), logaddexp(x, y)


@equation(claim="stable")
def one_minus_erf(x: Tensor) -> Sides:
    """1 - erf(x) → erfc(x): keeps the digits where erf(x) is nearly 1."""
    return 1 - erf(x), erfc(x)


# The logistic function.


@equation(claim="stable")
def log_of_one_plus_exp(x: Tensor) -> Sides:
    """log(1 + exp(x)) → softplus(x): no overflow."""
    return log(1 + exp(x)), softplus(x)


@equation(claim="stable")
def log1p_of_exp(x: Tensor) -> Sides:
    """log1p(exp(x)) → softplus(x): no overflow."""
    return log1p(exp(x)), softplus(x)


@equation()
def sigmoid_written_out(x: Tensor) -> Sides:
    """1 / (1 + exp(-x)) → sigmoid(x)."""
    return 1 / (1 + exp(-x)), sigmoid(x)


@equation()
def sigmoid_as_reciprocal(x: Tensor) -> Sides:
    """reciprocal(1 + exp(-x)) → sigmoid(x)."""
    return reciprocal(1 + exp(-x)), sigmoid(x)


@equation(claim="stable")
def sigmoid_from_exp(x: Tensor) -> Sides:
    """exp(x) / (1 + exp(x)) → sigmoid(x): no overflow."""
    return exp(x) / (1 + exp(x)), sigmoid(x)


@equation(claim="stable")
def log_of_sigmoid(x: Tensor) -> Sides:
    """log(sigmoid(x)) → -softplus(-x): not -inf where sigmoid(x) rounds to 0."""
    return log(sigmoid(x)), -softplus(-x)


@equation(claim="stable")
def log_of_one_minus_sigmoid(x: Tensor) -> Sides:
    """log(1 - sigmoid(x)) → -softplus(x): not -inf where sigmoid(x) rounds to 1."""
    return log(1 - sigmoid(x)), -softplus(x)


@equation(claim="stable")
def log1p_of_minus_sigmoid(x: Tensor) -> Sides:
    """log1p(-sigmoid(x)) → -softplus(x): not -inf where sigmoid(x) rounds to 1."""
    return log1p(-sigmoid(x)), -softplus(x)


@equation(claim="stable")
def tanh_written_out(x: Tensor) -> Sides:
    """(exp(x) - exp(-x)) / (exp(x) + exp(-x)) → tanh(x): no overflow."""
    return (exp(x) - exp(-x)) / (exp(x) + exp(-x)), tanh(x)


# Roots.


@equation(claim="stable")
def root_of_square(x: Tensor) -> Sides:
    """sqrt(x²) → |x|: no overflow."""
    return sqrt(square(x)), abs(x)


@chain(
    Square,
    Sqrt,
    examples=[],
    kept=[Kept(lambda x: square(sqrt(x)), f32[3], reason="nan, not x, where x < 0")],
)
def square_of_root(outer: Square, inner: Sqrt, x: Tensor) -> Outcome:
    """sqrt(x)² stays."""
    return Declined("sqrt(x)² is nan, not x, where x < 0")


@chain(
    Exp,
    Log,
    examples=[],
    kept=[Kept(lambda x: exp(log(x)), f32[3], reason="nan, not x, where x < 0")],
)
def exp_of_log(outer: Exp, inner: Log, x: Tensor) -> Outcome:
    """exp(log(x)) stays."""
    return Declined("exp(log(x)) is nan, not x, where x < 0")


RULES = rules_in(globals())
