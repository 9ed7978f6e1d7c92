"""Fusion: which operations share a loop, which do not and why, and that values stay."""

from __future__ import annotations

import random
import re
from textwrap import dedent

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import graphwright as gw
from graphwright.compiler import grouping
from graphwright.compiler.differentiate import grad
from graphwright.compiler.fuse import fuse
from graphwright.compiler.fused import Fused
from graphwright.compiler.iteration import Read, alignment, reads_through
from graphwright.compiler.log import Log
from graphwright.compiler.partition import REACH, Blocked, Partition
from graphwright.graph.errors import AttributeValueError, ShapeError
from graphwright.graph.evaluate import evaluate_graph
from graphwright.graph.graph import Graph
from graphwright.graph.node import Node
from graphwright.graph.operator import Operator, register
from graphwright.graph.parse import parse
from graphwright.graph.tensor import Tensor
from graphwright.graph.text import text
from graphwright.graph.types import TensorType


@register
class Mixing(Operator):
    """The elements in reverse: stands for what no loop can share, as a contraction."""

    name = "mixing"

    def infer(self, x: TensorType) -> TensorType:
        return x

    def kernel(self, x):
        return np.flip(x)


@register
class Parting(Operator):
    """The elements twice: stands for what gives several values."""

    name = "parting"
    elementwise = True

    def infer(self, x: TensorType) -> tuple[TensorType, TensorType]:
        return x, x

    def kernel(self, x):
        return x, x


mixing = Mixing()


# What the tests ask.


def fused(graph: Graph, limit: int | None = None) -> Graph:
    return fuse(graph, Log(limit))


def groups(graph: Graph) -> list[Node]:
    return [node for node in graph.operations if isinstance(node.op, Fused)]


def contents(graph: Graph) -> list[str]:
    """`rows: max subtract exp` for each group, without what costs nothing."""
    free = {"constant", "size", "broadcast_to", "reshape", "expand_dims", "squeeze"}
    return [
        f"{node.op.kind}: "
        + " ".join(n.op.name for n in node.op.body.operations if n.op.name not in free)
        for node in groups(graph)
    ]


def reasons(graph: Graph) -> list[str]:
    log = Log()
    fuse(graph, log)
    return [event.what for event in log.events if not event.applied]


def check_text(graph: Graph, expected: str) -> None:
    assert text(graph) == dedent(expected).strip()


def arrays(graph: Graph, sizes: dict[str, int], seed: int = 0) -> dict[Tensor, np.ndarray]:
    generator = np.random.default_rng(seed)
    leaves = [*graph.inputs, *graph.parameters]
    return {t: generator.uniform(0.5, 2, t.type.bind(sizes).shape).astype(t.dtype) for t in leaves}


def check_values(before: Graph, after: Graph, *all_sizes: dict[str, int]) -> None:
    for sizes in all_sizes or ({},):
        values = arrays(before, sizes)
        old, new = (evaluate_graph(graph, values, sizes) for graph in (before, after))
        for left, right in zip(old, new, strict=True):
            np.testing.assert_array_equal(left, right)


def softmax(x: Tensor) -> Tensor:
    e = gw.ops.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


SIZES = [{"n": 3}, {"n": 1}, {"n": 0}, {"n": 7}]


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


# Row groups.


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
    with pytest.raises(AttributeValueError, match="kind is elementwise or rows, not 'columns'"):
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


# Random graphs.


@st.composite
def random_graphs(draw, square=False):
    """A graph of elementwise operations, reductions, broadcasts, unit reshapes and mixing."""
    rows = 4 if square else gw.dim("n")
    shapes = [(rows, 4), (rows, 4), (4,), (rows, 1), ()]
    values = [gw.input(f"x{i}", shape) for i, shape in enumerate(shapes)]
    inputs = list(values)
    kinds = ["unary", "binary", "binary", "sum", "spread", "wide", "unit", "mixing"]
    for _ in range(draw(st.integers(1, 30))):
        x = values[-1 - draw(st.integers(0, min(len(values) - 1, 6)))]
        kind = draw(st.sampled_from(kinds))
        if kind == "unary":
            values.append(gw.ops.abs(x) if draw(st.booleans()) else -x)
        elif kind == "binary":
            fitting = [y for y in values if fits(x.shape, y.shape)]
            y = fitting[draw(st.integers(0, len(fitting) - 1))]
            values.append(gw.ops.maximum(x, y) if draw(st.booleans()) else x - y)
        elif kind == "sum" and x.ndim:
            values.append(x.sum(draw(st.integers(0, x.ndim - 1)), keepdims=draw(st.booleans())))
        elif kind == "spread" and x.ndim:
            values.append(x - x.sum(draw(st.integers(0, x.ndim - 1)), keepdims=True))
        elif kind == "wide" and x.ndim < 3 and fits(x.shape, (rows, 4)):
            values.append(gw.ops.broadcast_to(x, (rows, 4)))
        elif kind == "unit":
            values.append(gw.ops.expand_dims(x, draw(st.integers(0, x.ndim))) if x.ndim < 3 else -x)
        elif kind == "mixing":
            values.append(mixing(x))
    results = draw(st.lists(st.sampled_from(values[len(inputs) - 1 :]), min_size=1, max_size=4))
    return Graph(inputs, results)


def fits(left, right) -> bool:
    pairs = zip(reversed(left), reversed(right), strict=False)
    return all(a == 1 or b == 1 or a == b for a, b in pairs)


def computing(graph: Graph) -> list[str]:
    """The names of the operations that compute, those in groups as well, sorted."""
    free = {"constant", "size", "broadcast_to", "reshape", "expand_dims", "squeeze", "fused"}
    inner = [n for node in groups(graph) for n in node.op.body.operations]
    return sorted(n.op.name for n in (*graph.operations, *inner) if n.op.name not in free)


@settings(max_examples=200, deadline=None)
@given(random_graphs())
def test_random_graphs_compute_the_same_and_nothing_twice(graph):
    after = fused(graph)
    check_values(graph, after, *SIZES)
    assert computing(after) == computing(graph)
    assert parse(text(after)) == after
    assert all(len(content.split()) > 2 for content in contents(after))
    for node in groups(after):
        folds = any(inner.op.reduction for inner in node.op.body.operations)
        assert node.op.kind == ("rows" if folds else "elementwise")


@settings(max_examples=200, deadline=None)
@given(random_graphs(square=True) | random_graphs())
def test_no_element_of_a_group_depends_on_what_another_iteration_reads(graph):
    for node in groups(fused(graph)):
        check_locality(node.op.bind({"n": 4}))


def check_locality(op: Fused) -> None:
    """Change one element of one input: only values of the same iteration may change.

    Only inputs and outputs of the whole 4 × 4 space are compared, where an index is an iteration.
    """
    if any(tensor.size > 16 for node in op.body.operations for tensor in node.outputs):
        return  # a space of three axes, in which 4 × 4 may lie in several ways
    values = arrays(op.body, {})
    before = evaluate_graph(op.body, values, {})
    folded = {axes for n in op.body.operations if n.op.reduction and (axes := folded_axes(n))}
    assert len(folded) <= 1
    rows = [axis for axis in (0, 1) if axis not in next(iter(folded), ())]
    for tensor in op.body.inputs:
        if np.squeeze(values[tensor]).shape != (4, 4):
            continue
        changed = values[tensor].copy()
        changed.reshape(4, 4)[1, 2] += 5
        after = evaluate_graph(op.body, {**values, tensor: changed}, {})
        for old, new in zip(map(np.squeeze, before), map(np.squeeze, after), strict=True):
            if old.shape == (4, 4):
                for index in np.argwhere(old != new):
                    assert all(index[axis] == (1, 2)[axis] for axis in rows)


def folded_axes(node: Node) -> tuple[int, ...]:
    """Which of the two axes of size 4 a reduction folds; none for an input with one such axis."""
    large = [axis for axis, size in enumerate(node.inputs[0].shape) if size == 4]
    return tuple(i for i, axis in enumerate(large) if axis in node.op.axes and len(large) == 2)


# The partition.


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_groups_merge_exactly_when_no_cycle_comes_of_it(data):
    count = data.draw(st.integers(2, 12))
    pairs = [(a, b) for a in range(count) for b in range(a + 1, count)]
    edges = data.draw(st.lists(st.sampled_from(pairs), max_size=25))
    partition = Partition(count, edges)
    group = list(range(count))  # the oracle's own grouping
    for one, other in data.draw(st.lists(st.sampled_from(pairs), max_size=12)):
        if group[one] == group[other]:
            continue
        trial = [group[one] if g == group[other] else g for g in group]
        allowed = acyclic(trial, edges)
        outcome = partition.merge(partition.group(one), partition.group(other))
        assert isinstance(outcome, int) == allowed
        if allowed:
            group = trial
        place = {number: i for i, number in enumerate(partition.order())}
        assert place.keys() == {partition.group(node) for node in range(count)}
        for a, b in edges:
            first, last = partition.group(a), partition.group(b)
            assert (first == last) == (group[a] == group[b])
            assert first == last or place[first] < place[last]
            assert first == last or last in partition.successors[first]
            assert partition.position(first) <= partition.position(last)


def acyclic(group: list[int], edges: list[tuple[int, int]]) -> bool:
    """By taking away groups that nothing enters, until none is left."""
    left, arcs = set(group), {(group[a], group[b]) for a, b in edges if group[a] != group[b]}
    while left:
        first = next((g for g in sorted(left) if not any(b == g for _, b in arcs)), None)
        if first is None:
            return False
        left.discard(first)
        arcs = {(a, b) for a, b in arcs if a != first}
    return True


def test_the_order_holds_after_any_number_of_moves_to_one_place():
    partition = Partition(6, [(0, n) for n in range(1, 6)])
    for i in range(1000):
        partition._move([1 + i % 5], 0)
        places = [partition.position(group) for group in partition.order()]
        assert places == sorted(set(places))
    assert partition.order() == [0, 5, 4, 3, 2, 1]


def test_a_search_that_takes_too_long_gives_up():
    # From 0 two fans of many nodes, one of which would have to be moved past the other.
    fan = range(1, 2 * REACH + 1)
    last = 2 * REACH + 1
    partition = Partition(last + 1, [(0, n) for n in fan[::2]] + [(n, last) for n in fan[1::2]])
    assert partition.merge(0, last) == Blocked(None)


# Large graphs.


def chain(count: int) -> Graph:
    x = gw.input("x", ("n", 10))
    y = x
    for i in range(count):
        y = y + x if i % 2 else gw.ops.exp(y)
    return Graph([x], [y])


def wide(count: int) -> Graph:
    x = gw.input("x", ("n", 10))
    e = gw.ops.exp(x)
    values = [mixing(gw.ops.exp(e * float(i))) for i in range(count // 5)]
    while len(values) > 1:
        odd = values[-1:] if len(values) % 2 else []
        values = [a + b for a, b in zip(values[::2], values[1::2], strict=False)] + odd
    return Graph([x], values)


def tangled(count: int) -> Graph:
    generator = random.Random(0)
    x = gw.input("x", ("n", 10))
    values = [x]
    while len(values) < count:
        a, b = generator.choice(values), generator.choice(values)
        kind = generator.random()
        if kind < 0.15:
            values.append(mixing(a))
        elif kind < 0.3:
            values.append(a - a.sum(generator.randrange(2), keepdims=True))
        else:
            values.append(gw.ops.exp(a) if kind < 0.6 else a + b)
    read = {tensor for value in values for tensor in value.node.inputs}
    return Graph([x], [value for value in values if value not in read])


@pytest.mark.parametrize("make", [chain, wide, tangled])
def test_work_grows_with_the_size_of_the_graph_and_no_faster(make, monkeypatch):
    steps = 0

    def counted(function):
        def counting(*args):
            nonlocal steps
            steps += 1
            return function(*args)

        return counting

    # The inner loops: pairs looked at, and edges followed.
    monkeypatch.setattr(grouping.Grouping, "_joined", counted(grouping.Grouping._joined))
    walk = Partition._walk

    def walking(*args):
        nonlocal steps
        for step in walk(*args):
            steps += 1
            yield step

    monkeypatch.setattr(Partition, "_walk", walking)
    work, events = [], []
    for count in (1_000, 10_000):
        steps = 0
        log = Log()
        graph = make(count)
        fuse(graph, log)
        work.append(steps / len(graph.operations))
        events.append(len(log.events) / len(graph.operations))
    assert work[1] < 200
    assert events[1] < 2 * events[0] + 0.1 < 4
