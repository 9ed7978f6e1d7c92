"""Graphwright's own operators, as what the checks of `gw.testing` take."""

from __future__ import annotations

import numpy as np

from graphwright.graph.array import FrozenArray
from graphwright.graph.operator import Operator, operators
from graphwright.ops.case import Case
from graphwright.testing.check import Checked
from support.definitions import definitions

# Constants are of the language, not of the vocabulary, and can't carry cases themselves.
_CASES_ELSEWHERE = {
    "constant": (
        Case(value=FrozenArray([[1.5, -0.0], [np.inf, np.nan]])),
        Case(value=FrozenArray(np.arange(3, dtype=np.int8))),
        Case(value=FrozenArray(True)),
    )
}


def own_operators() -> list[type[Operator]]:
    """Graphwright's own operators but the leaves, which have no kernel."""
    return [
        operator
        for operator in operators.values()
        if operator.__module__.startswith("graphwright.") and not operator.leaf
    ]


def checked(operator: type[Operator]) -> Checked:
    """The operator with its cases and its definition."""
    cases = tuple(operator.cases) or _CASES_ELSEWHERE.get(operator.name, ())
    return Checked(operator, cases, definitions.get(operator.name))
