"""Branches: choices that are none.

before::

    graph(x: f32[n]) {
      %0: bool[] = constant(value=bool[]{True})
      %1: f32[n] = cond(%0, x, then=graph(x0: f32[n]) {
        %0: f32[n] = exp(x0)
        return %0
      }, otherwise=graph(x0: f32[n]) {
        return x0
      })
      return %1
    }

after::

    graph(x: f32[n]) {
      %0: f32[n] = exp(x)
      return %0
    }
"""

from __future__ import annotations

from graphwright.compiler.rules.pattern import uniform_value
from graphwright.compiler.rules.rule import Example, Kept, Outcome, rule, rules_in
from graphwright.graph.closure import inline
from graphwright.graph.node import Node
from graphwright.ops import cond, exp
from graphwright.ops.case import bool_, f32
from graphwright.ops.cond import Cond


@rule(
    Cond,
    examples=[
        Example(lambda x: cond(True, lambda: exp(x), lambda: -x), lambda x: exp(x), f32["n"]),
        Example(lambda x: cond(False, lambda: exp(x), lambda: -x), lambda x: -x, f32[3]),
    ],
    kept=[Kept(lambda p, x: cond(p, lambda: exp(x), lambda: -x), bool_[()], f32[3])],
)
def choice_made(node: Node) -> Outcome:
    """cond(True, a, b) → a, and cond(False, a, b) → b."""
    value = uniform_value(node.inputs[0])
    if value is None or not isinstance(node.op, Cond):
        return None
    return tuple(inline(node.op.then if value else node.op.otherwise, node.inputs[1:]))


@rule(
    Cond,
    examples=[
        Example(
            lambda p, x: cond(p, lambda: exp(x), lambda: exp(x)),
            lambda p, x: exp(x),
            bool_[()],
            f32["n"],
        ),
    ],
    kept=[Kept(lambda p, x: cond(p, lambda: exp(x), lambda: -x), bool_[()], f32[3])],
)
def same_choice(node: Node) -> Outcome:
    """cond(p, a, a) → a."""
    if not isinstance(node.op, Cond) or node.op.then != node.op.otherwise:
        return None
    return tuple(inline(node.op.then, node.inputs[1:]))


RULES = rules_in(globals())
