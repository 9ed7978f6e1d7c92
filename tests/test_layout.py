"""Layout: transpositions meet, vanish, or end where they cost nothing."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from support.documented import documented
from support.random_graphs import draw_arrays, draw_sizes, graphs

import graphwright.compiler.layout as layout_module
from graphwright.compiler.decompose import decompose
from graphwright.compiler.layout import layout, priced_transpositions
from graphwright.compiler.log import Log
from graphwright.compiler.simplify import simplify_primitives
from graphwright.graph.evaluate import evaluate_graph
from graphwright.graph.graph import Graph
from graphwright.graph.leaf import input
from graphwright.graph.tensor import Tensor
from graphwright.ops import exp, matmul, max, reshape, sin, softmax, sum, transpose, where


def names(graph: Graph) -> list[str]:
    return [node.op.name for node in graph.operations]


def run(graph: Graph, seed: int = 0) -> tuple[np.ndarray, ...]:
    sizes = {"n": 4, "m": 5}
    random = np.random.default_rng(seed)
    values = {t: random.normal(size=t.type.bind(sizes).shape) for t in graph.inputs}
    return evaluate_graph(graph, values, sizes)


def laid_out(graph: Graph, log: Log | None = None) -> Graph:
    """The graph after the pass, with what must hold of every result checked."""
    simple = simplify_primitives(decompose(graph, Log()), Log())
    result = layout(simple, log or Log())
    before, after = len(priced_transpositions(simple)), len(priced_transpositions(result))
    assert after < before if result is not simple else after == before
    assert [t.type for t in result.outputs] == [t.type for t in graph.outputs]
    assert layout(result, Log()) is result
    for old, new in zip(run(graph), run(result), strict=True):
        np.testing.assert_allclose(new, old, rtol=1e-12)
    return result


def inputs(*shapes: tuple[int | str, ...]) -> list[Tensor]:
    return [input(f"x{i}", shape, "float64") for i, shape in enumerate(shapes)]


def test_what_the_file_shows_before_becomes_what_it_shows_after() -> None:
    before, after = documented(layout_module)
    result = layout(before, Log())
    assert str(result) == str(after)
    assert result == after


def test_a_transposition_before_elementwise_operations_moves_behind_them_into_a_matmul() -> None:
    x, w = inputs(("n", 3), ("n", 4))
    result = laid_out(Graph([x, w], [matmul(exp(transpose(x)) * 2.0, w)]))
    assert names(result) == ["exp", "constant", "multiply", "transpose", "matmul"]
    assert priced_transpositions(result) == []


def test_two_transpositions_around_a_chain_vanish() -> None:
    (x,) = inputs(("n", 3))
    result = laid_out(Graph([x], [transpose(sin(exp(transpose(x))))]))
    assert names(result) == ["exp", "sin"]


def test_operands_transposed_alike_are_transposed_once_behind() -> None:
    x, y = inputs(("n", 3), ("n", 3))
    result = laid_out(Graph([x, y], [exp(transpose(x) + transpose(y))]))
    assert names(result) == ["add", "exp", "transpose"]


def test_vectors_and_numbers_go_along_without_a_transposition() -> None:
    x, b, c = inputs(("n", 3), ("n",), (3, 1))
    result = laid_out(Graph([x, b, c], [transpose(transpose(x) * 2.0 + b - c)]))
    assert "transpose" not in names(result)
    assert names(result).count("reshape") == 2


def test_a_reduction_takes_the_axes_where_they_are() -> None:
    (x,) = inputs(("n", 3))
    result = laid_out(Graph([x], [sum(exp(transpose(x)), 1)]))
    assert names(result) == ["exp", "sum"]
    assert result.operations[1].op.attributes["axes"] == (0,)


def test_softmax_of_a_transposed_matrix_runs_in_the_order_of_the_matrix() -> None:
    x, v = inputs(("n", 3), ("n", 4))
    result = laid_out(Graph([x, v], [matmul(softmax(transpose(x)), v)]))
    assert names(result) == [
        *("max", "subtract", "exp", "sum", "divide"),
        *("transpose", "matmul"),
    ]
    assert priced_transpositions(result) == []


def test_a_product_is_transposed_by_its_factors() -> None:
    x, w = inputs(("n", 3), (3, 4))
    result = laid_out(Graph([x, w], [exp(transpose(matmul(x, w)))]))
    assert names(result) == ["transpose", "transpose", "matmul", "exp"]
    assert priced_transpositions(result) == []


def test_a_product_that_others_read_is_not_computed_twice() -> None:
    x, w = inputs(("n", 3), (3, 4))
    y = matmul(x, w)
    graph = Graph([x, w], [exp(transpose(y)), y])
    result = laid_out(graph)
    assert names(result).count("matmul") == 1


def test_heads_of_attention_stay_free() -> None:
    q, k, v = inputs(("n", 6, 2, 4), ("n", 6, 2, 4), ("n", 6, 2, 4))
    heads = [transpose(t, (0, 2, 1, 3)) for t in (q * 0.5, k, v)]
    scores = softmax(matmul(heads[0], transpose(heads[1], (0, 1, 3, 2))))
    result = laid_out(Graph([q, k, v], [matmul(scores, heads[2])]))
    assert priced_transpositions(result) == []


def test_a_scale_between_a_transposition_and_a_product_does_not_keep_them_apart() -> None:
    q, k = inputs(("n", 6, 2, 4), ("n", 2, 4, 6))
    scaled = transpose(q, (0, 2, 1, 3)) * 0.5
    result = laid_out(Graph([q, k], [matmul(scaled, k)]))
    assert names(result) == ["constant", "multiply", "transpose", "matmul"]
    assert priced_transpositions(result) == []


def test_matrices_whose_elements_would_not_lie_side_by_side_have_a_price() -> None:
    x, w = inputs((3, 4, 5), (5, 4, 2))
    graph = Graph([x, w], [matmul(transpose(x, (2, 0, 1)), w)])
    assert len(priced_transpositions(graph)) == 1


def test_a_chain_that_gains_nothing_is_left_and_the_reason_is_given() -> None:
    x, y = inputs(("n", 3), (3, "n"))
    for graph, added in (
        (Graph([x], [exp(transpose(x))]), 1),
        (Graph([x, y], [exp(transpose(x) + y)]), 2),
        (Graph([x], [reshape(exp(transpose(x)), (-1,))]), 1),
    ):
        log = Log()
        assert layout(graph, log) is graph
        assert [(event.rule, event.applied) for event in log.events] == [
            ("transpose_region", False)
        ]
        assert log.events[0].what.startswith("for 1 that vanish before or after")
        assert log.events[0].what.endswith(f"{added} would be added")


def test_a_transposition_that_others_need_does_not_count_as_gone() -> None:
    (x,) = inputs(("n", 3))
    t = transpose(x)
    graph = Graph([x], [exp(t), reshape(t, (-1,))])
    log = Log()
    assert layout(graph, log) is graph
    assert log.events[0].what.startswith("for 0 that vanish")


def test_a_matrix_and_its_own_transpose_are_left() -> None:
    u, v, w = inputs((4, 1), (4,), (4, 5))
    y = exp(u * v)
    result = laid_out(Graph([u, v, w], [matmul(y + transpose(y), w)]))
    assert names(result) == ["multiply", "exp", "transpose", "add", "matmul"]


def test_a_transposition_between_two_regions_is_moved_once() -> None:
    x, y = inputs(("n", 3), ("n", 3))
    inner = exp(transpose(x))
    outer = sin(transpose(inner) + y)
    result = laid_out(Graph([x, y], [transpose(outer), matmul(inner, y)]))
    assert len(priced_transpositions(result)) == 1


def test_a_transposition_that_either_of_two_regions_could_take_in_is_taken_in_by_one() -> None:
    u, v, q, w = inputs(("n", 1), ("m",), ("n",), ("n", 4))
    result = laid_out(Graph([u, v, q, w], [matmul(exp(transpose(u * v) + q), w)]))
    assert priced_transpositions(result) == []


def test_axes_of_three_go_round_and_come_back() -> None:
    x, y = inputs(("n", 3, "m"), ("m", "n", 3))
    turned = exp(transpose(x, (1, 2, 0)))
    result = laid_out(Graph([x, y], [transpose(turned, (1, 2, 0)) + y]))
    assert names(result) == ["exp", "transpose", "add"]
    assert result.operations[1].op.attributes["axes"] == (2, 0, 1)
    result = laid_out(Graph([x], [sin(transpose(turned, (2, 0, 1)))]))
    assert names(result) == ["exp", "sin"]


def test_a_transposition_into_a_product_stays_free_in_the_order_that_it_then_has() -> None:
    x, w = inputs((2, 3, 4), (3, 2, 5))
    v = exp(transpose(x, (1, 0, 2)))
    result = laid_out(Graph([x, w], [matmul(transpose(v, (0, 2, 1)), w)]))
    assert names(result) == ["exp", "transpose", "matmul"]
    assert priced_transpositions(result) == []


def test_a_smaller_operand_that_would_need_a_transposition_counts() -> None:
    x, y, z, v, w = inputs((2, 3, 4), (3, 1, 4), (3, 2), (3, 4, 5), (4, 2, 5))
    along = matmul(exp(transpose(x, (1, 0, 2)) + y), v)
    assert priced_transpositions(laid_out(Graph([x, y, v], [along]))) == []
    log = Log()
    laid_out(Graph([x, z, w], [matmul(exp(transpose(x, (2, 1, 0)) + z), w)]), log)
    assert [event.what for event in log.events] == [
        "for 1 that vanish before or after add, exp, 2 would be added"
    ]


def test_conditions_and_casts_are_of_the_region() -> None:
    x, y = inputs(("n", 3), ("n", 3))
    t, u = transpose(x), transpose(y)
    result = laid_out(Graph([x, y], [sum(where(t > u, t, 0.0).astype("float32"), 0)]))
    assert "transpose" not in names(result)


def test_a_graph_without_transpositions_is_the_same_object() -> None:
    (x,) = inputs(("n", 3))
    graph = Graph([x], [exp(x) + 1.0])
    log = Log()
    assert layout(graph, log) is graph
    assert log.events == []


def test_with_a_limit_just_the_first_rewrites_are_made_and_values_stay() -> None:
    x, y, w = inputs(("n", 3), ("n", 3), ("n", 4))
    t = exp(transpose(x) + transpose(y))
    graph = Graph([x, y, w], [transpose(t * 2.0), matmul(sin(t), w), max(t, 0)])
    log = Log()
    layout(graph, log)
    assert log.rewrites > 3
    for limit in range(log.rewrites + 1):
        limited = Log(limit)
        result = layout(graph, limited)
        assert limited.rewrites == limit
        for old, new in zip(run(graph), run(result), strict=True):
            np.testing.assert_allclose(new, old, rtol=1e-12)


def test_ten_thousand_nodes_between_two_transpositions() -> None:
    (x,) = inputs(("n", 3))
    y = transpose(x)
    for i in range(5_000):
        y = sin(y) * float(i)
    result = layout(Graph([x], [transpose(y)]), Log())
    assert "transpose" not in names(result)


def _steps() -> list[Callable[[Tensor, Tensor], Tensor]]:
    return [
        lambda a, b: transpose(a),
        lambda a, b: sin(a),
        lambda a, b: a + b if a.shape == b.shape else transpose(a) * transpose(a),
        lambda a, b: matmul(a, b) if a.shape[1] == b.shape[0] else matmul(a, transpose(a)) * 0.1,
        lambda a, b: a - sum(a, 0),
        lambda a, b: a * max(a, 1, True),
    ]


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 9), st.integers(0, 9)), max_size=12))
def test_random_graphs_of_matrices_keep_their_values_and_get_no_worse(
    choices: list[tuple[int, int, int]],
) -> None:
    x, y = inputs((3, 4), (4, 3))
    pool = [x, y]
    for step, a, b in choices:
        pool.append(_steps()[step](pool[a % len(pool)], pool[b % len(pool)]))
    laid_out(Graph([x, y], pool[-3:]))


@settings(max_examples=40, deadline=None)
@given(graphs(dtypes=(np.float64,)), st.data())
def test_random_graphs_of_all_operators_keep_their_values(
    graph: Graph, data: st.DataObject
) -> None:
    sizes = data.draw(draw_sizes(graph))
    arrays = data.draw(draw_arrays(graph, sizes))
    simple = simplify_primitives(decompose(graph, Log()), Log())
    result = layout(simple, Log())
    values = dict(zip(graph.inputs, arrays, strict=True))
    values.update({p: p.value for p in graph.parameters})
    before, after = (evaluate_graph(g, values, sizes) for g in (graph, result))
    for old, new in zip(before, after, strict=True):
        np.testing.assert_allclose(new, old, rtol=1e-6, atol=1e-6)
