"""Constant folding: what can be computed now is not computed at every call.

before::

    graph(x: f32[3]) {
      %0: f32[3] = constant(value=f32[3]{0.0, 1.0, 2.0})
      %1: f32[3] = square(%0)
      %2: f32[3] = add(x, %1)
      return %2
    }

after::

    graph(x: f32[3]) {
      %0: f32[3] = constant(value=f32[3]{0.0, 1.0, 4.0})
      %1: f32[3] = add(x, %0)
      return %1
    }
"""

from __future__ import annotations

from typing import cast

import numpy as np

from graphwright.compiler.rules.rule import (
    Declined,
    Example,
    Kept,
    Outcome,
    chain,
    rule,
    rules_in,
)
from graphwright.graph.dim import dim
from graphwright.graph.dtype import float32, int64, is_floating, is_integer
from graphwright.graph.evaluate import run_kernel
from graphwright.graph.leaf import Constant
from graphwright.graph.node import Node
from graphwright.graph.operator import Operator
from graphwright.ops.case import f32
from graphwright.ops.convert import Cast, SizeValue, as_tensor
from graphwright.ops.convert import cast as convert
from graphwright.ops.exponential import exp
from graphwright.ops.gather import take
from graphwright.ops.movement import broadcast_to, reshape

_ZERO_ONE = np.array([0.0, 1.0])

LARGEST = 64 * 1024
"""Bytes of a folded constant; beyond that, computing it costs less than carrying it around."""
SMALL = 1024
"""Bytes up to which a constant may be larger than those it is made of."""


@rule(
    Operator,
    examples=[
        Example(lambda: exp(_ZERO_ONE), lambda: as_tensor(np.exp(_ZERO_ONE))),
        Example(lambda: SizeValue(7, int64)(), lambda: as_tensor(7)),
        Example(lambda: reshape(_ZERO_ONE, (2, 1)), lambda: as_tensor(_ZERO_ONE.reshape(2, 1))),
    ],
    kept=[
        Kept(lambda x: x + 1, f32[3]),
        Kept(lambda: take(_ZERO_ONE, 7, 0), reason="it fails on these constants: take: "),
        Kept(lambda: broadcast_to(as_tensor(1.0), (2, 3))),
        Kept(lambda: SizeValue(dim("n"), int64)()),
        Kept(lambda: exp(np.zeros(20_000)), reason="the constant would have 160000 bytes"),
        Kept(
            lambda: as_tensor(np.zeros((30, 1))) + np.zeros(30),
            reason="the constant would have 7200 bytes",
        ),
    ],
)
def fold_constants(node: Node) -> Outcome:
    """an operator on constants → the constant that it gives."""
    if not _constant(node):
        return None
    if node.op.higher_order:
        return Declined("a loop may run for long, or without end: it runs when it is called")
    size = sum(tensor.type.bind({}).nbytes for tensor in node.outputs)
    given = sum(tensor.type.bind({}).nbytes for tensor in node.inputs)
    if size > min(LARGEST, max(given, SMALL)):
        large = Declined(f"the constant would have {size} bytes, and is made of {given}")
        return large if node.inputs else None
    with np.errstate(all="ignore"):
        try:
            arrays = [cast(Constant, t.node.op).value.array for t in node.inputs]
            results = run_kernel(node, arrays, {})
        except Exception as error:  # a user's kernel may raise anything; it will, when it runs
            reason = str(error).partition("\n")[0]
            return Declined(f"it fails on these constants: {reason}")
    return tuple(as_tensor(array) for array in results)


def _constant(node: Node) -> bool:
    """True when the node is computed from constants alone."""
    if isinstance(node.op, Constant) or node.op.symbolic or node.op.broadcasting:
        return False
    return all(isinstance(t.node.op, Constant) for t in node.inputs) and all(
        t.type.static for t in node.outputs
    )


@rule(
    Constant,
    examples=[
        Example(
            lambda: as_tensor(np.full((2, 3), 1.5)), lambda: broadcast_to(np.float64(1.5), (2, 3))
        ),
        Example(
            lambda: as_tensor(np.full(3, np.nan)), lambda: broadcast_to(np.float64(np.nan), (3,))
        ),
    ],
    kept=[
        Kept(lambda: as_tensor(np.array([0.0, -0.0]))),
        Kept(lambda: as_tensor(np.zeros((0, 3)))),
        Kept(lambda: as_tensor(np.array([[1.0]]))),
    ],
)
def uniform_constant(node: Node) -> Outcome:
    """a constant of one value everywhere → that value, broadcast: a number to other rules."""
    array = cast(Constant, node.op).value.array
    if array.size < 2:
        return None
    bits = array.reshape(-1).view(np.uint8).reshape(array.size, -1)
    if (bits != bits[0]).any():
        return None
    return broadcast_to(as_tensor(array.reshape(-1)[:1].reshape(())), array.shape)


@chain(
    Cast,
    SizeValue,
    examples=[
        Example(
            lambda: convert(SizeValue(dim("n"), int64)(), "float32"),
            lambda: SizeValue(dim("n"), float32)(),
        )
    ],
)
def cast_of_size(outer: Cast, inner: SizeValue) -> Outcome:
    """cast(size(n)) → size(n) of that floating dtype."""
    rounded_once = is_integer(inner.dtype) and is_floating(outer.dtype)
    return SizeValue(inner.value, outer.dtype)() if rounded_once else None


RULES = rules_in(globals())
