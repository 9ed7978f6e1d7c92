"""Simplify: every rule by its own examples, and the engine that applies them."""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
import pytest

from graphwright.compiler.log import Log
from graphwright.compiler.rewrite import RuleSet, rewrite
from graphwright.compiler.rules.rule import (
    Example,
    Kept,
    Rule,
)
from graphwright.compiler.simplify import RULES, simplify
from graphwright.graph.dim import evaluate
from graphwright.graph.dtype import is_floating, is_integer
from graphwright.graph.evaluate import evaluate_graph
from graphwright.graph.graph import Graph
from graphwright.graph.leaf import input
from graphwright.graph.tensor import Tensor
from graphwright.graph.types import TensorType
from graphwright.ops.case import Within

SIZES = {"n": 4}
TOLERANCE = {"float16": 2e-3, "bfloat16": 2e-2, "float32": 1e-5, "float64": 1e-9}
SPECIAL = [0.0, 1.0, -1.0, np.inf, -np.inf, np.nan, 1e-300, -1e200, 2.5, -800.0, 800.0]

examples = [
    pytest.param(rule, example, id=f"{rule.name}-{i}")
    for rule in RULES.rules
    for i, example in enumerate(rule.examples)
]
kept = [
    pytest.param(rule, case, id=f"{rule.name}-{i}")
    for rule in RULES.rules
    for i, case in enumerate(rule.kept)
]


def type_of(operand: TensorType | Within) -> TensorType:
    return operand.type if isinstance(operand, Within) else operand


def inputs_for(operands: tuple[Any, ...]) -> list[Tensor]:
    types = [type_of(operand) for operand in operands]
    return [input(f"x{i}", kind.shape, kind.dtype) for i, kind in enumerate(types)]


def graph_of(build: Any, inputs: list[Tensor]) -> Graph:
    result = build(*inputs)
    return Graph(inputs, result if isinstance(result, tuple) else (result,))


def shared(graph: Graph) -> Graph:
    """With equal nodes merged, as every rewritten graph has them."""
    return rewrite(graph, RuleSet(()), Log())


def alone(rule: Rule, graph: Graph, log: Log | None = None) -> Graph:
    return rewrite(graph, RuleSet([rule]), log or Log())


def drawn(operand: TensorType | Within, seed: str) -> np.ndarray:
    kind = type_of(operand)
    low, high = (operand.low, operand.high) if isinstance(operand, Within) else (-2, 2)
    random = np.random.default_rng(zlib.crc32(seed.encode()))
    shape = evaluate(kind.shape, SIZES)
    if is_floating(kind.dtype):
        return random.uniform(low, high, shape).astype(kind.dtype)
    if is_integer(kind.dtype):
        return random.integers(0 if kind.dtype.kind == "u" else -4, 5, shape).astype(kind.dtype)
    return random.integers(0, 2, shape).astype(bool)


def special(operand: TensorType | Within, turn: int) -> np.ndarray:
    """Zeros, infinities, nans, the very large and small; of a range, elements within."""
    if isinstance(operand, Within) or not is_floating(operand.dtype):
        return drawn(operand, f"special {turn}")
    shape = evaluate(operand.shape, SIZES)
    values = np.resize(np.roll(SPECIAL, turn), shape)
    with np.errstate(all="ignore"):
        return values.astype(operand.dtype)


def run(graph: Graph, arrays: list[np.ndarray]) -> tuple[np.ndarray, ...]:
    values: dict[Tensor, np.ndarray] = dict(zip(graph.inputs, arrays, strict=True))
    return evaluate_graph(graph, values, SIZES)


def assert_close(before: Graph, after: Graph, arrays: list[np.ndarray]) -> None:
    for old, new in zip(run(before, arrays), run(after, arrays), strict=True):
        assert old.dtype == new.dtype and old.shape == new.shape
        tolerance = TOLERANCE.get(old.dtype.name, 0)
        np.testing.assert_allclose(new, old, rtol=tolerance, atol=tolerance)


# Every rule.


@pytest.mark.parametrize(("rule", "example"), examples)
def test_a_rule_makes_of_its_example_what_it_says(rule: Rule, example: Example) -> None:
    inputs = inputs_for(example.operands)
    before, after = graph_of(example.before, inputs), graph_of(example.after, inputs)
    log = Log()
    result = alone(rule, before, log)
    assert str(result) == str(shared(after))
    assert result == shared(after)
    assert result != shared(before)
    assert rule.name in {event.rule for event in log.events if event.applied}


@pytest.mark.parametrize(("rule", "example"), examples)
def test_a_rule_keeps_the_values_of_ordinary_inputs(rule: Rule, example: Example) -> None:
    inputs = inputs_for(example.operands)
    before = graph_of(example.before, inputs)
    arrays = [drawn(o, f"{rule.name} {i}") for i, o in enumerate(example.operands)]
    assert_close(before, alone(rule, before), arrays)


@pytest.mark.parametrize(("rule", "example"), examples)
def test_a_rule_keeps_its_promise_on_special_values(rule: Rule, example: Example) -> None:
    inputs = inputs_for(example.operands)
    before = graph_of(example.before, inputs)
    after = alone(rule, before)
    for turn in range(len(SPECIAL)):
        arrays = [special(o, (i + 1) * turn) for i, o in enumerate(example.operands)]
        for old, new in zip(run(before, arrays), run(after, arrays), strict=True):
            if rule.claim == "exact" or not is_floating(old.dtype):
                np.testing.assert_array_equal(new, old)
            elif rule.claim == "rounded":
                np.testing.assert_allclose(new, old, rtol=TOLERANCE[old.dtype.name], atol=1e-300)
            else:
                finite = np.isfinite(old)
                tolerance = TOLERANCE[old.dtype.name]
                np.testing.assert_allclose(new[finite], old[finite], tolerance, tolerance)


@pytest.mark.parametrize(("rule", "case"), kept)
def test_a_rule_leaves_alone_what_it_should(rule: Rule, case: Kept) -> None:
    graph = shared(graph_of(case.build, inputs_for(case.operands)))
    log = Log()
    assert alone(rule, graph, log) is graph
    reasons = [event.what for event in log.events if event.rule == rule.name]
    assert all(not event.applied for event in log.events)
    assert len(reasons) == bool(case.reason)
    assert case.reason in "".join(reasons)


@pytest.mark.parametrize(("rule", "example"), examples)
def test_all_rules_together_agree_on_both_sides(rule: Rule, example: Example) -> None:
    inputs = inputs_for(example.operands)
    before, after = graph_of(example.before, inputs), graph_of(example.after, inputs)
    simplified = simplify(before, Log())
    assert str(simplified) == str(simplify(after, Log()))
    assert simplify(simplified, Log()) is simplified


def test_rules_have_names_texts_and_examples() -> None:
    assert len({rule.name for rule in RULES.rules}) == len(RULES.rules)
    for rule in RULES.rules:
        assert rule.text.endswith("."), rule.name
        assert rule.examples or rule.kept, rule.name
