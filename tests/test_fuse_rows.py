"""Fusion of rows: reductions, what shares a loop with them, and what stays outside."""

from __future__ import annotations

import pytest
from support.fusion import (
    SIZES,
    check_text,
    check_values,
    contents,
    fused,
    groups,
    mixing,
    reasons,
    softmax,
)

import graphwright as gw
from graphwright.compiler.differentiate import grad
from graphwright.graph.graph import Graph


def test_a_softmax_is_one_row_group():
    x = gw.input("x", ("n", 10))
    graph = Graph([x], [softmax(x)])
    after = fused(graph)
    check_text(
        after,
        """
        graph(x: f32[n,10]) {
          %0: f32[n,10] = fused(x, kind="rows", graph=graph(x0: f32[n,10]) {
            %0: f32[n,1] = max(x0, axes=(1,), keepdims=True)
            %1: f32[n,10] = subtract(x0, %0)
            %2: f32[n,10] = exp(%1)
            %3: f32[n,1] = sum(%2, axes=(1,), keepdims=True)
            %4: f32[n,10] = divide(%2, %3)
            return %4
          })
          return %0
        }
        """,
    )
    check_values(graph, after, *SIZES)


@pytest.mark.parametrize("axis", [0, 1, 2, (0, 1), (0, 2), (1, 2), (0, 1, 2)])
def test_a_softmax_over_any_axes_is_one_row_group(axis):
    x = gw.input("x", ("n", 3, 2))
    e = gw.ops.exp(x - gw.ops.sum(x, axis, keepdims=True))
    graph = Graph([x], [e / gw.ops.sum(e, axis, keepdims=True)])
    after = fused(graph)
    assert contents(after) == ["rows: sum subtract exp sum divide"]
    check_values(graph, after, *SIZES)


def test_a_layer_norm_with_reshaped_means_is_one_row_group():
    x, gamma, beta = gw.input("x", ("n", 8)), gw.input("gamma", (8,)), gw.input("beta", (8,))
    centered = x - gw.ops.reshape(x.sum(1) / 8, (x.shape[0], 1))
    variance = (centered * centered).sum(1, keepdims=True) / 8
    graph = Graph([x, gamma, beta], [centered / (variance + 1e-5) ** 0.5 * gamma + beta])
    after = fused(graph)
    assert len(after.operations) == 1
    assert groups(after)[0].op.kind == "rows"
    check_values(graph, after, *SIZES)


def test_log_softmax_its_loss_and_their_gradient_are_one_row_group():
    x, target = gw.input("x", ("n", 5)), gw.input("target", ("n", 5))
    z = x - x.max(1, keepdims=True)
    picked = ((z - gw.ops.log(gw.ops.exp(z).sum(1, keepdims=True))) * target).sum(1)
    gradient = grad(picked.sum(), z)
    graph = Graph([x, target], [picked, gradient])
    after = fused(graph)
    assert len(after.operations) == 1
    assert [str(t.type) for t in groups(after)[0].outputs] == ["f32[n]", "f32[n,5]"]
    check_values(graph, after, *SIZES[:2], {"n": 7})


def test_reductions_over_other_axes_are_other_groups():
    x = gw.input("x", ("n", 4))
    e = gw.ops.exp(x)
    graph = Graph([x], [e - e.sum(0), e - e.sum(1, keepdims=True)])
    after = fused(graph)
    assert contents(after) == ["rows: exp sum subtract", "rows: sum subtract"]
    assert reasons(graph) == ["not fused: %0 folds axes (1,), the group (0,)"]
    check_values(graph, after, *SIZES)


def test_a_later_sum_over_other_axes_takes_nothing_from_a_softmax():
    x, b = gw.input("x", ("n", 10)), gw.input("b", (10,))
    graph = Graph([x, b], [(softmax(x) * b).sum(0)])
    after = fused(graph)
    assert contents(after) == ["rows: max subtract exp sum divide", "rows: multiply sum"]
    check_values(graph, after, *SIZES[:2])


def test_an_operation_whose_reduction_is_out_of_reach_still_joins_another():
    x = gw.input("x", ("n", 4))
    total = x.sum(1, keepdims=True)
    graph = Graph([x], [(x * mixing(total) / total).sum(0)])
    after = fused(graph)
    assert contents(after) == ["rows: multiply divide sum"]
    check_values(graph, after, *SIZES)


def test_equal_sizes_do_not_make_one_axis_of_two():
    x = gw.input("x", (3, 3))
    graph = Graph([x], [x + x.sum(1)])
    assert fused(graph) is graph
    assert reasons(graph) == ["not fused: %0 is read along other axes than it is made along"]
    assert contents(fused(Graph([x], [x + x.sum(0)]))) == ["rows: sum add"]


def test_values_the_size_of_rows_are_worked_on_in_the_group():
    x, w = gw.input("x", ("n", 4)), gw.input("w", ("n",))
    graph = Graph([x, w], [gw.ops.exp(x.sum(1) * w) + 1])
    assert contents(fused(graph)) == ["rows: sum multiply exp add"]


def test_readers_of_the_same_value_with_small_results_share_its_loop():
    x = gw.input("x", ("n", 4))
    y = mixing(x)
    graph = Graph([x], [mixing(y.sum(1)), mixing((y * y).sum(1))])
    assert contents(fused(graph)) == ["rows: sum multiply sum"]


def test_readers_of_the_same_value_with_large_results_stay_apart():
    x = gw.input("x", ("n", 4))
    y = mixing(x)
    graph = Graph([x], [mixing(gw.ops.exp(-y)), mixing(gw.ops.exp(y + 1))])
    assert contents(fused(graph)) == ["elementwise: negative exp", "elementwise: add exp"]


def test_readers_that_wait_for_other_values_stay_apart():
    x = gw.input("x", ("n", 4))
    y, first, second = mixing(x), mixing(x * 2), mixing(x * 3)
    graph = Graph([x], [(y * first).sum(1), (y * second).sum(1)])
    assert contents(fused(graph)) == ["rows: multiply sum", "rows: multiply sum"]


def test_a_reduction_over_axes_of_size_one_is_left_alone():
    x = gw.input("x", ("n", 1))
    graph = Graph([x], [gw.ops.exp(x.sum(1))])
    assert fused(graph) is graph
    assert reasons(graph) == ["not fused: sum folds no axis larger than 1"]
