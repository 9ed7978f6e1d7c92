"""Simplify: every rule by its own examples."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import pytest
from support.documented import documented
from support.rule_arrays import SIZES, drawn, run, type_of

import graphwright.compiler.rewrite as rewrite_module
import graphwright.compiler.simplify as simplify_module
from graphwright.compiler.log import Log
from graphwright.compiler.rewrite import RuleSet, rewrite
from graphwright.compiler.rules import (
    casts,
    contractions,
    folding,
    identities,
    logic,
    parts,
    reductions,
    shapes,
    stability,
    strength,
)
from graphwright.compiler.rules.rule import Example, Kept, Rule, Sides, equation
from graphwright.compiler.simplify import RULES, simplify
from graphwright.graph.dim import evaluate
from graphwright.graph.dtype import is_floating
from graphwright.graph.graph import Graph
from graphwright.graph.leaf import input
from graphwright.graph.tensor import Tensor
from graphwright.graph.types import TensorType
from graphwright.ops.case import Within

TOLERANCE = {"float16": 2e-3, "bfloat16": 2e-2, "float32": 1e-5, "float64": 1e-9}
SPECIAL = [0.0, 1.0, -1.0, np.inf, -np.inf, np.nan, 1e-300, -1e200, 2.5, -800.0, 800.0]

examples = [
    pytest.param(each, example, id=f"{each.name}-{i}")
    for each in RULES.rules
    for i, example in enumerate(each.examples)
]
kept = [
    pytest.param(each, case, id=f"{each.name}-{i}")
    for each in RULES.rules
    for i, case in enumerate(each.kept)
]


def inputs_for(operands: tuple[Any, ...]) -> list[Tensor]:
    types = [type_of(operand) for operand in operands]
    return [input(f"x{i}", kind.shape, kind.dtype) for i, kind in enumerate(types)]


def graph_of(build: Any, inputs: list[Tensor]) -> Graph:
    result = build(*inputs)
    return Graph(inputs, result if isinstance(result, tuple) else (result,))


def shared(graph: Graph) -> Graph:
    """With equal nodes merged, as every rewritten graph has them."""
    return rewrite(graph, RuleSet(()), Log())


def alone(tried: Rule, graph: Graph, events: Log | None = None) -> Graph:
    return rewrite(graph, RuleSet([tried]), events or Log())


def special(operand: TensorType | Within, turn: int) -> np.ndarray:
    """Zeros, infinities, nans, the very large and small; of a range, elements within."""
    if isinstance(operand, Within) or not is_floating(operand.dtype):
        return drawn(operand, f"special {turn}")
    shape = evaluate(operand.shape, SIZES)
    values = np.resize(np.roll(SPECIAL, turn), shape)
    with np.errstate(all="ignore"):
        return values.astype(operand.dtype)


def assert_close(before: Graph, after: Graph, arrays: list[np.ndarray]) -> None:
    for old, new in zip(run(before, arrays), run(after, arrays), strict=True):
        assert old.dtype == new.dtype and old.shape == new.shape
        tolerance = TOLERANCE.get(old.dtype.name, 0)
        np.testing.assert_allclose(new, old, rtol=tolerance, atol=tolerance)


# Every rule.


@pytest.mark.parametrize(("tried", "example"), examples)
def test_a_rule_makes_of_its_example_what_it_says(tried: Rule, example: Example) -> None:
    inputs = inputs_for(example.operands)
    before, after = graph_of(example.before, inputs), graph_of(example.after, inputs)
    events = Log()
    result = alone(tried, before, events)
    assert str(result) == str(shared(after))
    assert result == shared(after)
    assert result != shared(before)
    assert tried.name in {event.rule for event in events.events if event.applied}


@pytest.mark.parametrize(("tried", "example"), examples)
def test_a_rule_keeps_the_values_of_ordinary_inputs(tried: Rule, example: Example) -> None:
    inputs = inputs_for(example.operands)
    before = graph_of(example.before, inputs)
    arrays = [drawn(o, f"{tried.name} {i}") for i, o in enumerate(example.operands)]
    assert_close(before, alone(tried, before), arrays)


@pytest.mark.parametrize(("tried", "example"), examples)
def test_a_rule_keeps_its_promise_on_special_values(tried: Rule, example: Example) -> None:
    inputs = inputs_for(example.operands)
    before = graph_of(example.before, inputs)
    after = alone(tried, before)
    for turn in range(len(SPECIAL)):
        arrays = [special(o, (i + 1) * turn) for i, o in enumerate(example.operands)]
        for old, new in zip(run(before, arrays), run(after, arrays), strict=True):
            assert old.dtype == new.dtype
            if old.dtype.name == "bfloat16":  # whose nans NumPy's assertions don't know
                old, new = old.astype(np.float64), new.astype(np.float64)
            if tried.claim == "exact" or not is_floating(old.dtype):
                np.testing.assert_array_equal(new, old)
            elif tried.claim == "rounded":
                np.testing.assert_allclose(new, old, rtol=TOLERANCE[old.dtype.name], atol=1e-300)
            else:
                finite = np.isfinite(old)
                tolerance = TOLERANCE[old.dtype.name]
                np.testing.assert_allclose(new[finite], old[finite], tolerance, tolerance)


@pytest.mark.parametrize(("tried", "case"), kept)
def test_a_rule_leaves_alone_what_it_should(tried: Rule, case: Kept) -> None:
    graph = shared(graph_of(case.build, inputs_for(case.operands)))
    events = Log()
    assert alone(tried, graph, events) is graph
    reasons = [event.what for event in events.events if event.rule == tried.name]
    assert all(not event.applied for event in events.events)
    assert len(reasons) == bool(case.reason)
    assert case.reason in "".join(reasons)


@pytest.mark.parametrize(("tried", "example"), examples)
def test_all_rules_together_agree_on_both_sides(tried: Rule, example: Example) -> None:
    inputs = inputs_for(example.operands)
    before, after = graph_of(example.before, inputs), graph_of(example.after, inputs)
    simplified = simplify(before, Log())
    assert str(simplified) == str(simplify(after, Log()))
    assert simplify(simplified, Log()) is simplified


@pytest.mark.parametrize(
    "module",
    [
        *(casts, contractions, folding, identities, logic),
        *(parts, reductions, shapes, stability, strength),
        *(simplify_module, rewrite_module),
    ],
    ids=lambda module: module.__name__.split(".")[-1],
)
def test_what_a_file_shows_before_becomes_what_it_shows_after(module: ModuleType) -> None:
    before, after = documented(module)
    result = simplify(before, Log())
    assert str(result) == str(after)
    assert result == after


def test_rules_have_names_texts_and_examples() -> None:
    assert len({each.name for each in RULES.rules}) == len(RULES.rules)
    for each in RULES.rules:
        assert each.text.endswith("."), each.name
        assert each.examples or each.kept, each.name


def test_a_wrong_rule_is_found_by_its_values() -> None:
    @equation(claim="exact")
    def wrong(x: Tensor, y: Tensor) -> Sides:
        """x y - 1 → x + y."""
        return x * y - 1, x + y

    with pytest.raises(AssertionError):
        test_a_rule_keeps_the_values_of_ordinary_inputs(wrong, wrong.examples[0])
