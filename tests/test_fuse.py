"""Fusion: which operations share a loop, which do not and why, and that values stay."""

from __future__ import annotations

import re

import numpy as np
import pytest
from support.fusion import (
    SIZES,
    Parting,
    arrays,
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
from graphwright.compiler import grouping
from graphwright.compiler.differentiate import grad
from graphwright.compiler.fuse import fuse
from graphwright.compiler.fused import Fused
from graphwright.compiler.iteration import Read, alignment, reads_through
from graphwright.compiler.log import Log
from graphwright.graph.errors import AttributeValueError, ShapeError
from graphwright.graph.evaluate import evaluate_graph
from graphwright.graph.graph import Graph
from graphwright.graph.parse import parse
from graphwright.graph.text import text

# Elementwise groups.


def test_a_chain_becomes_one_group_with_its_constants_and_broadcasts():
    x, b = gw.input("x", ("n", 4)), gw.input("b", (4,))
    graph = Graph([x, b], [gw.ops.exp(x * 2 + gw.ops.broadcast_to(b, x.shape))])
    after = fused(graph)
    check_text(
        after,
        """
        graph(x: f32[n,4], b: f32[4]) {
          %0: f32[n,4] = fused(x, b, kind="elementwise", graph=graph(x0: f32[n,4], x1: f32[4]) {
            %0: f32[] = constant(value=f32[]{2.0})
            %1: f32[n,4] = multiply(x0, %0)
            %2: f32[n,4] = broadcast_to(x1, shape=(n, 4))
            %3: f32[n,4] = add(%1, %2)
            %4: f32[n,4] = exp(%3)
            return %4
          })
          return %0
        }
        """,
    )
    check_values(graph, after, *SIZES)


def test_one_operation_alone_is_no_group_and_the_graph_is_the_same_object():
    x = gw.input("x", ("n", 4))
    graph = Graph([x], [gw.ops.broadcast_to(gw.ops.exp(x), (2, *x.shape))])
    assert fused(graph) is graph


def test_sizes_and_short_scalar_arithmetic_are_copied_into_every_group_that_reads_them():
    x = gw.input("x", ("n", 4))
    scale = 1 / gw.ops.as_tensor(x.shape[0], np.dtype(np.float32))
    graph = Graph([x], [gw.ops.exp(mixing(gw.ops.exp(x) * scale)) * scale])
    after = fused(graph)
    inside = [[n.op.name for n in node.op.body.operations] for node in groups(after)]
    assert inside == [["exp", "constant", "size", "divide", "multiply"]] * 2
    assert [len(node.inputs) for node in groups(after)] == [1, 1]
    check_values(graph, after, {"n": 3}, {"n": 1})


def test_long_scalar_arithmetic_is_computed_once():
    x = gw.input("x", ("n", 4))
    scale = gw.ops.as_tensor(x.shape[0], np.dtype(np.float32))
    for _ in range(grouping.MOST_COPIED + 2):
        scale = gw.ops.exp(-scale)
    graph = Graph([x], [gw.ops.exp(mixing(gw.ops.exp(x) * scale)) * scale])
    after = fused(graph)
    assert sum(c.count("negative") for c in contents(after)) <= grouping.MOST_COPIED + 2
    check_values(graph, after, *SIZES)


def test_what_others_read_too_leaves_the_group_as_a_second_value():
    x = gw.input("x", ("n", 4))
    e = gw.ops.exp(x)
    graph = Graph([x], [e * 2 + 1, mixing(e)])
    after = fused(graph)
    assert contents(after) == ["elementwise: exp multiply add"]
    assert len(groups(after)[0].outputs) == 2
    check_values(graph, after, *SIZES)


def test_a_diamond_is_one_group():
    x = gw.input("x", ("n", 4))
    e = gw.ops.exp(x)
    graph = Graph([x], [(e + 1) * (e - 1)])
    assert contents(fused(graph)) == ["elementwise: exp add subtract multiply"]


def test_a_group_that_another_operation_leaves_and_enters_again_is_not_formed():
    x = gw.input("x", ("n", 4))
    e = gw.ops.exp(x)
    graph = Graph([x], [e + mixing(e)])
    assert fused(graph) is graph
    path, other = reasons(graph)
    assert path == "not fused: %0 reaches its reader by way of %1 = mixing, outside the group, too"
    assert other == "not fused: mixing is neither elementwise nor a reduction"


def test_a_path_through_another_group_counts_as_well():
    x = gw.input("x", (3, 4))
    e = gw.ops.exp(x)
    total = gw.ops.exp(gw.ops.reshape(e, (4, 3))) + 1
    graph = Graph([x], [gw.ops.exp(e + gw.ops.reshape(total, (3, 4)))])
    after = fused(graph)
    assert contents(after) == ["elementwise: exp add", "elementwise: add exp"]
    check_values(graph, after)


def test_an_operand_of_fewer_axes_is_computed_on_its_own():
    x, b = gw.input("x", ("n", 4)), gw.input("b", (4,))
    graph = Graph([x, b], [x + gw.ops.exp(-b)])
    assert contents(fused(graph)) == ["elementwise: negative exp"]
    assert reasons(graph) == ["not fused: %1 loops over [4], the group over [n,4]"]


def test_a_value_the_size_of_rows_without_a_reduction_stays_outside():
    x, s = gw.input("x", ("n", 4)), gw.input("s", ("n", 1))
    graph = Graph([x, s], [gw.ops.exp(x * gw.ops.exp(-s))])
    assert contents(fused(graph)) == ["elementwise: negative exp", "elementwise: multiply exp"]


def test_an_operation_of_several_values_stays_outside():
    x = gw.input("x", ("n",))
    left, right = Parting().apply(gw.ops.exp(x))
    graph = Graph([x], [left + right])
    assert fused(graph) is graph
    assert reasons(graph) == ["not fused: parting gives several values"]


def test_axes_of_size_one_are_no_axes():
    x = gw.input("x", ("n", 1, 4))
    y = gw.ops.exp(gw.ops.reshape(gw.ops.exp(x), (x.shape[0], 4)))
    graph = Graph([x], [gw.ops.reshape(y, (1, x.shape[0], 4)) * 2])
    after = fused(graph)
    assert contents(after) == ["elementwise: exp exp multiply"]
    check_values(graph, after, *SIZES)


def test_sizes_of_other_names_are_other_loops():
    x, y = gw.input("x", ("n",)), gw.input("y", ("m",))
    graph = Graph([x, y], [gw.ops.exp(-x).sum() + gw.ops.exp(-y).sum()])
    assert contents(fused(graph)) == ["rows: negative exp sum", "rows: negative exp sum add"]
    assert reasons(graph) == ["not fused: %2 loops over [n], the group over [m]"]


def test_a_long_chain_is_cut_where_the_limit_is():
    x = gw.input("x", ("n",))
    y = x
    for _ in range(grouping.MOST_OPERATIONS + 10):
        y = gw.ops.exp(y)
    graph = Graph([x], [y])
    after = fused(graph)
    counts = [len(node.op.body.operations) for node in groups(after)]
    assert sorted(counts) == [10, grouping.MOST_OPERATIONS]
    assert reasons(graph) == [
        f"not fused: %9 the group would have more than {grouping.MOST_OPERATIONS} operations"
    ]


def test_readers_whose_values_would_all_be_live_at_once_stay_apart():
    x = gw.input("x", ("n",))
    e = gw.ops.exp(x)
    branches = [mixing(gw.ops.exp(e * float(i))).sum() for i in range(20)]
    total = branches[0]
    for branch in branches[1:]:
        total = total + branch
    after = fused(Graph([x], [total]))
    assert max(len(node.outputs) for node in groups(after)) == grouping.MOST_OUTPUTS
    assert any("large values would leave" in reason for reason in reasons(Graph([x], [total])))


# The pass as a whole.


def training_step() -> Graph:
    x = gw.input("x", ("n", 6))
    labels = gw.input("labels", ("n", 3))
    weights = [
        gw.parameter("w1", np.ones((6, 4), np.float32)),
        gw.parameter("w2", np.ones((4, 3), np.float32)),
    ]
    with gw.scope("model"), gw.scope("hidden"):
        hidden = gw.ops.maximum(x @ weights[0], 0)
    with gw.scope("model"), gw.scope("out"):
        loss = -(gw.ops.log(softmax(hidden @ weights[1])) * labels).sum()
    gradients = grad(loss, weights)
    updates = {w: w - 0.1 * g for w, g in zip(weights, gradients, strict=True)}
    return Graph([x, labels], [loss], updates)


def test_the_limit_of_the_log_forms_that_many_groups():
    graph = training_step()
    log = Log()
    whole = fuse(graph, log)
    assert log.rewrites == len(groups(whole)) > 3
    for limit in range(log.rewrites + 1):
        part = fused(graph, limit)
        assert len(groups(part)) == limit
        check_values(graph, part, {"n": 2})
    assert fused(graph, 0) is graph


def test_fusing_again_changes_nothing():
    once = fused(training_step())
    assert fused(once) is once


def test_fusing_is_deterministic():
    assert text(fused(training_step())) == text(fused(training_step()))


def test_a_fused_graph_prints_and_parses():
    graph = fused(training_step())
    again = parse(text(graph), graph.parameters)
    assert again == graph
    assert text(again) == text(graph)


def test_updates_stay_with_their_parameters():
    graph = training_step()
    after = fused(graph)
    assert list(map(id, after.updates)) == list(map(id, graph.updates))
    check_values(graph, after, *SIZES[:2])


def test_a_group_has_the_blocks_and_the_lines_of_all_that_is_in_it():
    x = gw.input("x", ("n",))
    with gw.scope("a"), gw.scope("one"):
        y = gw.ops.exp(x)
    with gw.scope("a"), gw.scope("other"):
        y = -y
    (group,) = groups(fused(Graph([x], [y])))
    assert group.scope == "a"
    assert len(group.source.lines) == 2
    assert [node.scope for node in group.op.body.operations] == ["a/one", "a/other"]
    (step,) = groups(fused(Graph([x], [gw.ops.exp(grad(gw.ops.exp(y).sum(), x))])))
    assert {node.phase for node in step.op.body.operations} == {"forward", "backward"}
    assert step.phase == "forward"


def test_the_log_tells_what_is_in_a_group():
    log = Log()
    x = gw.input("x", ("n", 10))
    fuse(Graph([x], [softmax(x)]), log)
    (event,) = log.events
    assert event.rule == "fuse_rows"
    assert event.what == (
        "5 operations over [n,10], folding axes (1,), give one value: "
        "max, subtract, exp, sum, divide"
    )
    assert len(event.nodes) == 5


# The operator.


def test_a_fused_operator_decomposes_into_its_parts_and_differentiates_through_them():
    x = gw.input("x", (3, 4))
    (group,) = groups(fused(Graph([x], [softmax(x)])))
    again = group.op(x)
    parts = group.op.decompose(x)
    plain = Graph([x], [softmax(x)])
    assert Graph([x], [parts]) == plain
    one = Graph([x], [grad((again * again).sum(), x)])
    other = Graph([x], [grad((softmax(x) * softmax(x)).sum(), x)])
    values = arrays(plain, {})
    (left,), (right,) = evaluate_graph(one, values, {}), evaluate_graph(other, values, {})
    np.testing.assert_allclose(left, right, rtol=1e-5, atol=1e-7)


def test_a_fused_operator_counts_the_work_of_its_parts():
    x = gw.input("x", ("n", 10))
    (group,) = groups(fused(Graph([x], [softmax(x)])))
    assert group.op.flops(x.type) == x.size * 5
    assert group.op.symbolic and not group.op.bind({"n": 3}).symbolic
    assert group.op.bind({"n": 3}).body.inputs[0].shape == (3, 10)


def test_elementwise_is_a_trait_of_the_kind():
    x = gw.input("x", ("n", 4))
    (chain,) = groups(fused(Graph([x], [gw.ops.exp(-x)])))
    (rows,) = groups(fused(Graph([x], [softmax(x)])))
    assert chain.op.elementwise and not rows.op.elementwise


def test_a_fused_operator_refuses_what_its_graph_does_not_take():
    x = gw.input("x", ("n", 4))
    (group,) = groups(fused(Graph([x], [gw.ops.exp(-x)])))
    with pytest.raises(ShapeError, match=re.escape("input 0 has shape [n,5], the graph's [n,4]")):
        group.op(gw.input("y", ("n", 5)))
    with pytest.raises(
        AttributeValueError, match="kind is elementwise or rows or contraction, not 'columns'"
    ):
        Fused("columns", group.op.body)
    w = gw.parameter("w", np.ones(3))
    with pytest.raises(AttributeValueError, match="must have outputs and no parameters"):
        Fused("rows", Graph([], [w + 1]))


# Reading through.


def test_reads_look_through_broadcasts_and_unit_axes():
    b = gw.input("b", (3,))
    spread = gw.ops.broadcast_to(gw.ops.reshape(b, (1, 3, 1)), (2, 3, 4))
    found = reads_through(Graph([b], [spread]).operations)
    assert found[spread] == Read(b, (1,))
    turned = gw.ops.reshape(gw.ops.broadcast_to(b, (3, 3)), (9,))
    assert turned not in reads_through(Graph([b], [turned]).operations)


@pytest.mark.parametrize(
    ("shape", "onto", "axes"),
    [
        ((), (2, 3), ()),
        ((3,), (2, 3), (1,)),
        ((2, 1), (2, 3), (0,)),
        ((3,), (2, 1, 3), (1,)),
        ((5, 1, 3), (5, 2, 3), (0, 2)),
        ((1, 1), (1, 1), ()),
    ],
)
def test_alignment_is_that_of_broadcasting(shape, onto, axes):
    assert alignment(shape, onto) == axes
