"""Running a graph node by node: values, order, and what stays in memory."""

from __future__ import annotations

import warnings
import weakref
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.random_graphs import draw_arrays, draw_sizes, graphs

import graphwright as gw
from graphwright.graph.evaluate import evaluate_graph, run_kernel
from graphwright.graph.graph import Graph
from graphwright.graph.node import Node
from graphwright.graph.tensor import Tensor

Array = np.ndarray[Any, Any]


def bindings(graph: Graph, arrays: list[Array]) -> dict[Tensor, Array]:
    values: dict[Tensor, Array] = dict(zip(graph.inputs, arrays, strict=True))
    values.update({parameter: parameter.value for parameter in graph.parameters})
    return values


def test_outputs_come_first_and_then_the_updates_values() -> None:
    x = gw.input("x", ("n",))
    w = gw.parameter("w", np.float32(2))
    graph = Graph([x], [x * w, x], {w: w + x.sum()})
    scaled, same, updated = evaluate_graph(
        graph, bindings(graph, [np.array([1, 2], np.float32)]), {"n": 2}
    )
    assert scaled.tolist() == [2, 4]
    assert same.tolist() == [1, 2]
    assert updated.tolist() == 5
    assert w.value.tolist() == 2, "updates are computed, not made"


@settings(max_examples=60, deadline=None)
@given(graphs(), st.data())
def test_every_result_has_the_type_that_the_graph_says(graph: Graph, data: Any) -> None:
    sizes = data.draw(draw_sizes(graph))
    arrays = data.draw(draw_arrays(graph, sizes))

    def watch(node: Node, results: tuple[Array, ...]) -> None:
        for tensor, array in zip(node.outputs, results, strict=True):
            kind = tensor.type.bind(sizes)
            assert (array.dtype, array.shape) == (kind.dtype, kind.shape), node

    evaluate_graph(graph, bindings(graph, arrays), sizes, watch)


@settings(max_examples=60, deadline=None)
@given(graphs(), st.data())
def test_running_writes_to_no_array_it_was_given(graph: Graph, data: Any) -> None:
    sizes = data.draw(draw_sizes(graph))
    values = bindings(graph, data.draw(draw_arrays(graph, sizes)))
    before = {tensor: array.copy() for tensor, array in values.items()}
    for array in values.values():
        array.flags.writeable = False
    first = [array.copy() for array in evaluate_graph(graph, values, sizes)]
    for tensor, array in before.items():
        np.testing.assert_array_equal(values[tensor], array)
    for left, right in zip(first, evaluate_graph(graph, values, sizes), strict=True):
        np.testing.assert_array_equal(left, right)


def test_nodes_are_run_in_the_graphs_order_and_watched() -> None:
    x = gw.input("x", (2,))
    halves = gw.ops.split(gw.ops.exp(x), 2)
    graph = Graph([x], [halves[1]])
    seen: list[tuple[str, int]] = []
    evaluate_graph(
        graph,
        bindings(graph, [np.zeros(2, np.float32)]),
        {},
        lambda node, results: seen.append((node.op.name, len(results))),
    )
    assert seen == [("exp", 1), ("split", 2)]


def test_an_array_is_dropped_after_its_last_use() -> None:
    x = gw.input("x", (1000,))
    y = x
    for _ in range(6):
        y = gw.ops.exp(-y)
    kept = gw.ops.split(y, 2)
    graph = Graph([x], [kept[0] + 1, y])
    alive: list[weakref.ref[Array]] = []
    most = 0

    def watch(node: Node, results: tuple[Array, ...]) -> None:
        nonlocal most
        alive.extend(weakref.ref(array) for array in results)
        most = max(most, sum(reference() is not None for reference in alive))

    evaluate_graph(graph, bindings(graph, [np.ones(1000, np.float32)]), {}, watch)
    assert most <= 4  # an operand and its result; at the end y, its halves and the sum


def test_results_of_rank_zero_are_arrays() -> None:
    x = gw.input("x", (3,))
    graph = Graph([x], [x.sum(), x[0] * 2])
    for array in evaluate_graph(graph, bindings(graph, [np.ones(3, np.float32)]), {}):
        assert isinstance(array, np.ndarray)
        assert array.shape == ()


def test_overflow_and_invalid_values_make_no_noise() -> None:
    x = gw.input("x", (3,))
    graph = Graph([x], [gw.ops.exp(x * 1e30) / 0.0, gw.ops.log(x - 5)])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        evaluate_graph(graph, bindings(graph, [np.ones(3, np.float32)]), {})


def test_sizes_are_bound_for_each_node() -> None:
    x = gw.input("x", ("n", 2))
    flat = x.reshape(gw.dim("n") * 2)
    for n in (0, 1, 3):
        (got,) = evaluate_graph(Graph([x], [flat]), {x: np.ones((n, 2), np.float32)}, {"n": n})
        assert got.shape == (2 * n,)
        (one,) = run_kernel(flat.node, [np.ones((n, 2), np.float32)], {"n": n})
        assert one.shape == (2 * n,)


def test_a_missing_size_is_named() -> None:
    x = gw.input("x", ("n", 2))
    with pytest.raises(gw.ShapeError, match="dimension n is not known"):
        evaluate_graph(Graph([x], [x.reshape(-1)]), {x: np.ones((3, 2), np.float32)}, {})
