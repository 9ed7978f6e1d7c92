"""Decompose: composites become their parts, with the same values and a scope of their own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from support.documented import documented

import graphwright as gw
import graphwright.compiler.decompose as decompose_module
from graphwright.compiler.decompose import decompose
from graphwright.compiler.log import Log
from graphwright.graph.errors import CompileError
from graphwright.graph.evaluate import evaluate_graph
from graphwright.graph.graph import Graph
from graphwright.graph.leaf import input
from graphwright.graph.node import derived, scope
from graphwright.graph.operator import Operator, operators, register
from graphwright.graph.tensor import Tensor
from graphwright.graph.types import TensorType
from graphwright.ops import exp, log
from graphwright.ops.composite import Composite
from graphwright.ops.normalization import log_softmax, softmax


@pytest.fixture
def registered():
    """Lets a test register operators, and forgets them afterwards."""
    before = dict(operators)
    yield
    operators.clear()
    operators.update(before)


def run(graph: Graph, *arrays: np.ndarray) -> tuple[np.ndarray, ...]:
    return evaluate_graph(
        graph, dict(zip(graph.inputs, arrays, strict=True)), {"n": len(arrays[0])}
    )


def test_what_the_file_shows_before_becomes_what_it_shows_after() -> None:
    before, after = documented(decompose_module)
    result = decompose(before, Log())
    assert str(result) == str(after)
    assert result == after


def test_softmax_becomes_its_parts_and_keeps_its_value() -> None:
    x = input("x", ("n", 3))
    graph = Graph([x], [softmax(x)])
    result = decompose(graph, Log())
    names = [node.op.name for node in result.operations]
    assert names == ["max", "subtract", "exp", "sum", "divide"]
    data = np.array([[1.0, 2.0, 3.0], [1e3, 0.0, -1e3]], np.float32)
    powers = np.exp(data - data.max(1, keepdims=True))
    np.testing.assert_allclose(
        run(result, data)[0], powers / powers.sum(1, keepdims=True), rtol=1e-6
    )


def test_a_graph_without_composites_stays_the_same_object() -> None:
    x = input("x", ("n",))
    graph = Graph([x], [exp(x) + 1])
    events = Log()
    assert decompose(graph, events) is graph
    assert events.events == []


def test_the_parts_lie_in_the_scope_of_the_composite_and_have_its_line() -> None:
    x = input("x", ("n", 3))
    with scope("encoder"):
        y = softmax(x)
    for node in decompose(Graph([x], [y]), Log()).operations:
        assert node.scope == "encoder/softmax"
        assert node.source == y.node.source


def test_the_parts_of_a_gradient_are_of_the_backward_phase() -> None:
    x = input("x", ("n", 3))
    with derived(exp(x).node.origin._replace(phase="backward")):
        y = softmax(x)
    phases = {node.phase for node in decompose(Graph([x], [y]), Log()).operations}
    assert phases == {"backward"}


def test_composites_within_composites_are_decomposed_and_their_scopes_nest(registered: Any) -> None:
    @register
    class Surprise(Composite):
        name = "surprise"

        def decompose(self, x: Tensor) -> Tensor:
            return -log_softmax(x) * 2

    x = input("x", (2, 3))
    events = Log()
    result = decompose(Graph([x], [Surprise()(x)]), events)
    assert not any(node.op.composite for node in result.operations)
    assert {node.scope for node in result.operations} == {"surprise", "surprise/log_softmax"}
    assert [event.what.split(" is made of ")[0] for event in events.events] == [
        "surprise",
        "log_softmax",
    ]
    data = np.arange(6, dtype=np.float32).reshape(2, 3)
    expected = -2 * (data - np.log(np.exp(data).sum(1, keepdims=True)))
    np.testing.assert_allclose(run(result, data)[0], expected, rtol=1e-5)


def test_a_composite_of_several_outputs_keeps_them_in_order(registered: Any) -> None:
    @register
    class Both(Composite):
        name = "both"

        def decompose(self, x: Tensor) -> tuple[Tensor, ...]:
            return x + 1, softmax(x)

    x = input("x", (2, 3))
    first, second = Both().apply(x)
    result = decompose(Graph([x], [second, first * 2]), Log())
    data = np.arange(6, dtype=np.float32).reshape(2, 3)
    powers = np.exp(data)
    soft, doubled = run(result, data)
    np.testing.assert_allclose(soft, powers / powers.sum(1, keepdims=True), rtol=1e-6)
    np.testing.assert_array_equal(doubled, (data + 1) * 2)


def test_operators_after_a_composite_read_its_parts() -> None:
    x = input("x", ("n", 3))
    graph = Graph([x], [log(softmax(softmax(x))) + x])
    result = decompose(graph, Log())
    assert not any(node.op.composite for node in result.operations)
    data = np.array([[1.0, 2.0, 3.0]], np.float32)
    np.testing.assert_allclose(run(result, data)[0], run(graph, data)[0], rtol=1e-6)


@pytest.mark.parametrize("limit", range(4))
def test_with_a_limit_just_so_many_composites_are_decomposed(limit: int) -> None:
    x = input("x", ("n", 3))
    graph = Graph([x], [softmax(softmax(softmax(x)))])
    events = Log(limit)
    result = decompose(graph, events)
    assert events.rewrites == limit
    assert sum(node.op.composite for node in result.operations) == 3 - limit
    assert (result is graph) == (limit == 0)
    data = np.array([[1.0, 2.0, 3.0]], np.float32)
    np.testing.assert_allclose(run(result, data)[0], run(graph, data)[0], rtol=1e-6)


def test_a_composite_made_of_itself_is_an_error(registered: Any) -> None:
    @register
    class Endless(Operator):
        name = "endless"
        composite = True

        def infer(self, x: TensorType) -> TensorType:
            return x

        def decompose(self, x: Tensor) -> Tensor:
            return Endless()(x)

    x = input("x", (3,))
    with pytest.raises(CompileError, match="endless is decomposed without end"):
        decompose(Graph([x], [Endless()(x)]), Log())


def test_parts_of_another_type_are_an_error(registered: Any) -> None:
    @register
    class Narrow(Operator):
        name = "narrow"
        composite = True

        def infer(self, x: TensorType) -> TensorType:
            return x

        def decompose(self, x: Tensor) -> Tensor:
            return x.sum()

    x = input("x", (3,))
    with pytest.raises(CompileError, match=r"narrow: its parts give \[f32\[\]\]"):
        decompose(Graph([x], [Narrow()(x)]), Log())


def test_ten_thousand_composites_in_a_chain_are_decomposed() -> None:
    x = y = input("x", (3,))
    for _ in range(10_000):
        y = gw.ops.relu(y)
    result = decompose(Graph([x], [y]), Log())
    assert not any(node.op.composite for node in result.operations)
