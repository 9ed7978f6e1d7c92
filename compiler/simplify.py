"""Simplify: identities, constants, common subexpressions, dead code, cheaper and stabler forms.

before::

    graph(x: f32[n,3]) {
      %0: f32[n,3] = softmax(x, axes=(1,))
      %1: f32[n,3] = log(%0)
      %2: f32[] = constant(value=f32[]{1.0})
      %3: f32[n,3] = multiply(%1, %2)
      %4: f32[n,3] = negative(%3)
      %5: f32[n,3] = add(x, %4)
      return %5
    }

after::

    graph(x: f32[n,3]) {
      %0: f32[n,3] = log_softmax(x, axes=(1,))
      %1: f32[n,3] = subtract(x, %0)
      return %1
    }

The rules are named data, in `compiler/rules/`; `rewrite.py` applies them. What a rule may do to
values is said by its claim (`rules/rule.py`): no rule turns a finite value into inf or nan.
"""

from __future__ import annotations

from graphwright.compiler.log import Log
from graphwright.compiler.rewrite import RuleSet, rewrite
from graphwright.compiler.rules import (
    casts,
    contractions,
    control,
    folding,
    identities,
    logic,
    parts,
    reductions,
    shapes,
    stability,
    strength,
)
from graphwright.graph.graph import Graph

RULES = RuleSet(
    (
        *identities.RULES,
        *logic.RULES,
        *casts.RULES,
        *control.RULES,
        *folding.RULES,
        *shapes.RULES,
        *parts.RULES,
        *reductions.RULES,
        *strength.RULES,
        *contractions.RULES,
        *stability.RULES,
    )
)


def simplify(graph: Graph, log: Log) -> Graph:
    """`graph` by all rules, to their fixpoint: simplified again, it stays the same object."""
    return rewrite(graph, RULES, log)


def simplify_primitives(graph: Graph, log: Log) -> Graph:
    """The same after `decompose`: rules that would bring composite operators back are left out."""
    return rewrite(graph, RULES, log, composites=False)
