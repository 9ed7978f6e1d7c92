"""The engine that applies the rules: what it merges, keeps and reports, and that it ends."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.random_graphs import draw_arrays, draw_sizes, graphs
from support.rule_arrays import SIZES, drawn, run

from graphwright.compiler.differentiate import grad
from graphwright.compiler.log import Log
from graphwright.compiler.rewrite import RuleSet, rewrite
from graphwright.compiler.rules.rule import Outcome, Sides, equation, rule
from graphwright.compiler.simplify import simplify, simplify_primitives
from graphwright.graph.errors import CompileError
from graphwright.graph.evaluate import evaluate_graph
from graphwright.graph.graph import Graph
from graphwright.graph.leaf import input, parameter
from graphwright.graph.node import Node, scope
from graphwright.graph.operator import operators, register
from graphwright.graph.tensor import Tensor
from graphwright.ops import broadcast_to, exp, exp2, log, negative, sin, softmax, split, sum, where
from graphwright.ops.arithmetic import Add
from graphwright.ops.elementwise import Binary


def names(graph: Graph) -> list[str]:
    return [node.op.name for node in graph.operations]


def applied(events: Log) -> list[str]:
    return [event.rule for event in events.events if event.applied]


def test_equal_nodes_are_merged_whatever_the_order_of_commutative_operands() -> None:
    x, y = input("x", (3,)), input("y", (3,))
    graph = Graph([x, y], [exp(x + y) * 2.0, exp(y + x) - 2.0])
    events = Log()
    result = simplify(graph, events)
    assert names(result) == ["add", "exp", "constant", "multiply", "subtract"]
    assert set(applied(events)) == {"common_subexpression"}


def test_operands_of_what_is_not_commutative_keep_their_order() -> None:
    x, y = input("x", (3,)), input("y", (3,))
    graph = Graph([x, y], [x - y, y - x])
    assert simplify(graph, Log()) is graph


def test_a_merged_node_has_the_lines_of_all() -> None:
    x = input("x", (3,))
    first = exp(x)
    second = exp(x)
    (merged, _) = simplify(Graph([x], [first + second * 3.0]), Log()).operations[:2]
    assert merged.source == first.node.source | second.node.source
    assert len(merged.source.lines) == 2


def test_a_rewritten_node_has_the_place_of_the_one_and_the_lines_of_all_it_replaces() -> None:
    x = input("x", (3,))
    with scope("model"):
        inner = 1 + x
        outer = log(inner)
    (node,) = simplify(Graph([x], [outer]), Log()).operations
    assert node.op.name == "log1p"
    assert node.scope == "model"
    assert node.source == outer.node.source | inner.node.source


def test_inputs_and_parameters_of_the_same_type_are_not_merged() -> None:
    x, y = input("x", (3,)), input("y", (3,))
    w, v = parameter("w", np.ones(3)), parameter("v", np.ones(3))
    graph = Graph([x, y], [x - y, w - v])
    assert simplify(graph, Log()) is graph


def test_outputs_of_one_node_are_told_apart() -> None:
    x = input("x", (4,), "float64")
    a, b = split(x, 2)
    c, d = split(x, 2)
    result = simplify(Graph([x], [a - b, d - c]), Log())
    assert names(result) == ["split", "subtract", "subtract"]
    np.testing.assert_array_equal(run(result, [np.arange(4.0)])[1], [2, 2])


def test_inputs_outputs_and_updates_keep_their_number_and_order() -> None:
    x, unused = input("x", (3,)), input("unused", (2,))
    w, v = parameter("w", np.ones(3, "f4")), parameter("v", np.ones(3, "f4"))
    graph = Graph([x, unused], [x * 1, x + 0, x], {w: v + 0 * x * 1, v: w * 1})
    result = simplify(graph, Log())
    assert result.inputs == graph.inputs
    assert [id(tensor) for tensor in result.outputs] == [id(x)] * 3
    assert [p.name for p in result.updates] == ["w", "v"]
    assert result.updates[v] is w


def test_what_is_no_longer_needed_is_reported_as_dead() -> None:
    x = input("x", (3,))
    events = Log()
    result = simplify(Graph([x], [where(True, x, exp(sin(x)))]), events)
    assert names(result) == []
    (event,) = [event for event in events.events if event.rule == "dead_code"]
    assert event.what == "3 nodes are no longer needed: constant, sin, exp"


def test_rules_use_what_other_rules_made() -> None:
    x = input("x", ("n", 3))
    y = 1.0 / (1.0 + exp(-(x * 1 + 0)))
    result = simplify(Graph([x], [negative(negative(log(y)))]), Log())
    assert names(result) == ["negative", "softplus", "negative"]


def test_a_reason_to_decline_is_given_once_for_each_place() -> None:
    x = input("x", (3,))
    events = Log()
    graph = Graph([x], [exp(x * 0) + (x - x)])
    assert simplify(graph, events) is graph
    reasons = [(event.rule, event.nodes[0].op.name) for event in events.events]
    assert reasons == [("absorbing_element", "multiply"), ("subtract_itself", "subtract")]


def test_events_name_nodes_of_the_graph_that_was_given() -> None:
    graph = sample_graph()
    events = Log()
    simplify(graph, events)
    known = set(graph.nodes)
    assert all(node in known for event in events.events for node in event.nodes)


def test_composites_are_not_brought_back_once_they_are_decomposed() -> None:
    x = input("x", ("n", 3))
    graph = Graph([x], [exp(x) / sum(exp(x), 1, True)])
    assert names(simplify(graph, Log())) == ["softmax"]
    events = Log()
    result = simplify_primitives(graph, events)
    assert names(result) == ["exp", "sum", "divide"]
    assert "softmax_written_out" not in {event.rule for event in events.events}


def sample_graph() -> Graph:
    """Many things to simplify, some of them in the way of others."""
    x, y = input("x", ("n", 3), "float64"), input("y", ("n", 3), "float64")
    w = parameter("w", np.array([0.5, -1.0, 2.0]))
    z = log(softmax(x * 1.0)) + (-y) * w
    z = z.reshape((-1,)).reshape(x.shape) + broadcast_to(np.zeros(3), x.shape)
    loss = sum(sum(2.0 * z**2, 1), 0) / 4.0
    gradient = grad(loss, w)
    return Graph([x, y], [loss, x + y, y + x], {w: w - 0.1 * gradient})


def test_with_a_limit_just_the_first_rewrites_are_made_and_values_stay() -> None:
    graph = sample_graph()
    events = Log()
    simplify(graph, events)
    values: dict[Tensor, np.ndarray] = {t: drawn(t.type, str(t.name)) for t in graph.inputs}
    values.update({p: p.value for p in graph.parameters})
    expected = evaluate_graph(graph, values, SIZES)
    assert events.rewrites > 20
    for limit in range(events.rewrites + 1):
        limited = Log(limit)
        result = simplify(graph, limited)
        assert limited.rewrites == limit
        assert (result is graph) == (limit == 0)
        assert [(e.rule, e.what) for e in limited.events if e.applied] == [
            (e.rule, e.what) for e in events.events if e.applied
        ][:limit]
        for old, new in zip(expected, evaluate_graph(result, values, SIZES), strict=True):
            np.testing.assert_allclose(new, old, rtol=1e-12)


def test_simplifying_again_changes_nothing() -> None:
    graph = sample_graph()
    once = simplify(graph, Log())
    events = Log()
    assert simplify(once, events) is once
    assert events.rewrites == 0
    assert len(once.operations) < len(graph.operations)


def test_rules_that_undo_each_other_are_an_error_that_names_them() -> None:
    @equation()
    def there(x: Tensor) -> Sides:
        """exp(x) → exp2(x)."""
        return exp(x), exp2(x)

    @equation()
    def back(x: Tensor) -> Sides:
        """exp2(x) → exp(x)."""
        return exp2(x), exp(x)

    x = input("x", (3,))
    with pytest.raises(CompileError, match="does not end; the last rules were there, back"):
        rewrite(Graph([x], [exp(x)]), RuleSet([there, back]), Log())


def test_a_rule_that_always_makes_more_is_an_error_that_names_it() -> None:
    @equation()
    def more(x: Tensor) -> Sides:
        """exp(x) → exp(exp(x))."""
        return exp(x), exp(2 * exp(x))

    x = input("x", (3,))
    with pytest.raises(CompileError, match="does not end; the last rules were more"):
        rewrite(Graph([x], [exp(x)]), RuleSet([more]), Log())


def test_a_rule_that_changes_a_type_is_an_error() -> None:
    @rule(Add, examples=[])
    def narrow(node: Node) -> Outcome:
        """x + y → sum(x)."""
        return sum(node.inputs[0])

    x = input("x", (3,))
    with pytest.raises(CompileError, match=r"narrow makes \[f32\[\]\] of \[f32\[3\]\]"):
        rewrite(Graph([x], [x + x]), RuleSet([narrow]), Log())


def test_a_chain_of_ten_thousand_nodes_is_simplified() -> None:
    x = y = input("x", ("n", 3))
    for i in range(2_500):
        y = exp(y * 1.5 + 0.0) - y / (i + 3.0)
    result = simplify(Graph([x], [y]), Log())
    assert names(result).count("exp") == 2_500
    assert "add" not in names(result)
    assert simplify(result, Log()) is result


def test_ten_thousand_nodes_side_by_side_are_simplified() -> None:
    x = input("x", (3,))
    graph = Graph([x], [sin(x * float(i % 100)) * 1.0 for i in range(3_000)])
    result = simplify(graph, Log())
    assert names(result).count("sin") == 100


def test_a_chain_of_identities_collapses_without_deep_recursion() -> None:
    x = y = input("x", ("n", 3))
    for _ in range(10_000):
        y = negative(y)
    assert simplify(Graph([x], [y]), Log()).outputs[0] is x


def test_an_operator_of_the_users_takes_part_by_what_it_declares() -> None:
    @register
    class Tropical(Binary):
        """min(x, y), where x counts as nothing beside infinity."""

        name = "tropical"
        commutative = True
        identity_element = float("inf")
        idempotent = True
        ufunc = np.minimum

    x, y = input("x", (3,)), input("y", (3,))
    tropical = Tropical()
    graph = Graph([x, y], [tropical(float("inf"), x), tropical(y, y), tropical(x, y)])
    result = simplify(graph, Log())
    del operators["tropical"]
    assert [id(tensor) for tensor in result.outputs[:2]] == [id(x), id(y)]
    assert names(result) == ["tropical"]


@settings(max_examples=60, deadline=None)
@given(graphs(dtypes=(np.float64,)), st.data())
def test_random_graphs_keep_their_values_and_reach_a_fixpoint(
    graph: Graph, data: st.DataObject
) -> None:
    sizes = data.draw(draw_sizes(graph))
    values: dict[Tensor, np.ndarray] = dict(
        zip(graph.inputs, data.draw(draw_arrays(graph, sizes)), strict=True)
    )
    values.update({p: p.value for p in graph.parameters})
    events = Log()
    result = simplify(graph, events)
    assert simplify(result, Log()) is result
    limit = data.draw(st.integers(0, events.rewrites))
    limited = Log(limit)
    partly = simplify(graph, limited)
    assert limited.rewrites == limit
    before, after, between = (evaluate_graph(g, values, sizes) for g in (graph, result, partly))
    for old, new, half in zip(before, after, between, strict=True):
        assert old.dtype == new.dtype
        np.testing.assert_allclose(new, old, rtol=1e-6, atol=1e-6)
        np.testing.assert_allclose(half, old, rtol=1e-6, atol=1e-6)
