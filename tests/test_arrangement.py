"""Values that may lie in any order of axes lie as they are read: what follows are views."""

import numpy as np
import pytest

import graphwright as gw
from graphwright.compiler.arrangement import arrangement
from graphwright.compiler.differentiate import grad
from graphwright.compiler.pipeline import NATIVE_PIPELINE, compile_graph
from graphwright.graph.graph import Graph
from graphwright.graph.placement import Placement

ops = gw.ops


def heads(*names):
    return [gw.input(name, ("b", 2, "t", 8)) for name in names]


def attended(q, k, v):
    return ops.attention_forward(q, k, v)[0]


def joined(out):
    return ops.reshape(ops.swapaxes(out, 1, 2), ("b", "t", 16))


def test_rows_of_all_heads_lie_side_by_side():
    inputs = heads("q", "k", "v")
    out = attended(*inputs)
    t = gw.dim("t")
    assert arrangement(Graph(inputs, [joined(out)])) == {out: Placement(0, (16 * t, 8, 16, 1))}


@pytest.mark.parametrize(
    "use",
    [
        lambda out: [out],
        lambda out: [out, joined(out)],
        lambda out: [ops.exp(ops.swapaxes(out, 1, 2))],
        lambda out: [ops.reshape(ops.swapaxes(out, 2, 3), (-1,))],
        lambda out: [ops.reshape(out, (-1,))],
    ],
    ids=["handed out", "both", "not joined", "last axis moved", "in order"],
)
def test_all_others_lie_in_order(use):
    inputs = heads("q", "k", "v")
    assert arrangement(Graph(inputs, use(attended(*inputs)))) == {}


def test_other_operators_are_left_alone():
    (x,) = heads("x")
    assert arrangement(Graph([x], [joined(ops.exp(x))])) == {}


def attention_of_rows():
    """Attention of rows with all features, and its gradients."""
    inputs = [gw.input(n, ("b", "t", 16)) for n in "qkvg"]
    parts = [ops.swapaxes(ops.reshape(x, ("b", "t", 2, 8)), 1, 2) for x in inputs[:3]]
    out = joined(ops.scaled_dot_product_attention(*parts, causal=True))
    loss = (ops.tanh(out) * inputs[3]).sum()
    return inputs, [loss, *(g * 2 for g in grad(loss, inputs[:3]))]


def test_nothing_is_copied_around_attention():
    inputs, results = attention_of_rows()
    plan = compile_graph(Graph(inputs, results), passes=NATIVE_PIPELINE).plan
    moves = [s for s in plan.steps if s.op.name in ("transpose", "reshape")]
    assert len(moves) > 10 and all(step.view for step in moves)


@pytest.mark.parametrize("check", [False, True, "bounds"])
def test_plans_agree_with_numpy(check):
    inputs, results = attention_of_rows()
    native = gw.compile(inputs, results, backend="native", check=check)
    rng = np.random.default_rng(0)
    for b, t in ((1, 1), (3, 50)):
        arrays = [rng.standard_normal((b, t, 16)).astype("f4") for _ in inputs]
        for one, other in zip(native(*arrays), gw.compile(inputs, results)(*arrays), strict=True):
            np.testing.assert_allclose(one, other, rtol=2e-5, atol=2e-5)
