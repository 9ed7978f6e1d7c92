"""Every operator, on every one of its cases: the checks of `gw.testing`, each a test of its own.

The definitions to compare with are in `support/*_definitions.py`, which say what form they have.
"""

from __future__ import annotations

import pytest
from support.cases import checked, own_operators
from support.definitions import definitions

import graphwright as gw
from graphwright.graph.operator import Operator

OPERATORS = own_operators()
SUBJECTS = [checked(operator) for operator in OPERATORS]
RUNS = [
    pytest.param(check, each, id=f"{check.name}-{each}")
    for check in gw.testing.CHECKS
    for subject in SUBJECTS
    for each in check.subjects(subject)
]

# Operators without a gradient that don't say why, or without a batching rule, and the reason.
WITHOUT_GRADIENT = {"constant": "it has no inputs"}
WITHOUT_BATCHING = dict.fromkeys(["arange", "constant", "size"], "it has no inputs")


@pytest.mark.parametrize(("check", "subject"), RUNS)
def test_an_operator(check, subject):
    check(subject)


def each_operator(operators):
    return pytest.mark.parametrize("operator", operators, ids=lambda operator: operator.name)


@each_operator(OPERATORS)
def test_an_operator_has_an_independent_definition(operator):
    assert operator.name in definitions


@each_operator(OPERATORS)
def test_an_operator_has_a_gradient_or_says_why_not(operator):
    """`differentiable = False` then, whose reason is looked for on its cases."""
    defined = operator.gradient is not Operator.gradient or operator.composite
    assert defined or not operator.differentiable or operator.name in WITHOUT_GRADIENT


@each_operator(OPERATORS)
def test_an_operator_has_a_batching_rule(operator):
    """So that `gw.vmap` runs no loop over it."""
    own = operator.batch is not Operator.batch
    by_kind = operator.elementwise or operator.composite
    assert own or by_kind or operator.name in WITHOUT_BATCHING


@each_operator([op for op in OPERATORS if op.__module__.startswith("graphwright.ops.")])
def test_an_operator_is_in_the_vocabulary_under_its_name(operator):
    assert callable(getattr(gw.ops, operator.name))
    assert operator.name in gw.ops.__all__


def test_the_vocabulary_is_documented():
    assert len(set(gw.ops.__all__)) == len(gw.ops.__all__)
    assert all(getattr(gw.ops, name).__doc__ for name in gw.ops.__all__)


def test_exceptions_are_of_operators_that_need_them():
    known = {operator.name: operator for operator in OPERATORS}
    assert all(known[name].gradient is Operator.gradient for name in WITHOUT_GRADIENT)
    assert all(known[name].batch is Operator.batch for name in WITHOUT_BATCHING)


def test_every_definition_is_of_an_operator():
    assert not definitions.keys() - {operator.name for operator in OPERATORS}
