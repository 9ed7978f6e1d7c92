"""The passes that prepare a graph for native code: what they make, and what they leave."""

from __future__ import annotations

import numpy as np
import pytest
from support.fusion import check_text

import graphwright as gw
from graphwright.compiler.fuse import fuse
from graphwright.compiler.fuse_contractions import fuse_contractions
from graphwright.compiler.log import Log
from graphwright.compiler.pipeline import compile_graph
from graphwright.compiler.recompute import recompute
from graphwright.compiler.select import select
from graphwright.compiler.split_to_slices import split_to_slices
from graphwright.compiler.stack_products import stack_products
from graphwright.graph.evaluate import evaluate_graph
from graphwright.graph.graph import Graph

SIZES = {"n": 3, "t": 2}


def check_values(before, after):
    rng = np.random.default_rng(0)
    shapes = {t: t.type.bind(SIZES).shape for t in (*before.inputs, *before.parameters)}
    values = {t: rng.standard_normal(shape).astype(t.dtype) for t, shape in shapes.items()}
    for old, new in zip(
        evaluate_graph(before, values, SIZES), evaluate_graph(after, values, SIZES), strict=True
    ):
        np.testing.assert_allclose(new, old, rtol=1e-6)


def kinds(graph):
    return [node.op.kind for node in graph.operations if hasattr(node.op, "kind")]


def contractions(graph):
    log = Log()
    after = fuse_contractions(fuse(graph, Log()), log)
    check_values(graph, after)
    return after, [event.what for event in log.events if not event.applied]


@pytest.fixture
def x():
    return gw.input("x", ("n", 4))


@pytest.fixture
def w():
    return gw.input("w", (4, 3))


def test_pieces_are_slices():
    x = gw.input("x", ("n", 6))
    graph = Graph([x], [gw.ops.exp(piece) for piece in gw.ops.split(x, (2, 4), 1)])
    after = split_to_slices(graph, Log())
    check_text(
        after,
        """
        graph(x: f32[n,6]) {
          %0: f32[n,2] = slice(x, starts=(0, 0), sizes=(n, 2), steps=(1, 1))
          %1: f32[n,2] = exp(%0)
          %2: f32[n,4] = slice(x, starts=(0, 2), sizes=(n, 4), steps=(1, 1))
          %3: f32[n,4] = exp(%2)
          return %1, %3
        }
        """,
    )
    check_values(graph, after)
    assert split_to_slices(after, Log()) is after


def test_a_product_has_the_shape_in_which_its_rows_are_read(w):
    x = gw.input("x", ("n", "t", 4))
    n, t, _ = x.shape
    graph = Graph([x, w], [(x.reshape(n * t, 4) @ w).reshape(n, t, 3)])
    after = stack_products(graph, Log())
    check_text(
        after,
        """
        graph(x: f32[n,t,4], w: f32[4,3]) {
          %0: f32[n,t,3] = matmul(x, w)
          return %0
        }
        """,
    )
    check_values(graph, after)


def test_a_product_that_is_read_otherwise_keeps_its_shape(w):
    x = gw.input("x", ("n", "t", 4))
    n, t, _ = x.shape
    product = x.reshape(n * t, 4) @ w
    for outputs in (
        [product.reshape(n, t, 3), product],
        [product.reshape(n, t, 3), product * 2],
        [product.reshape(n, t * 3)],
        [product.reshape(3, n * t)],
    ):
        graph = Graph([x, w], outputs)
        assert stack_products(graph, Log()) is graph


def test_work_on_a_product_is_done_where_it_is_made(x, w):
    b = gw.input("b", (3,))
    after, _ = contractions(Graph([x, w, b], [gw.ops.relu(x @ w + b)]))
    check_text(
        after,
        """
        graph(x: f32[n,4], w: f32[4,3], b: f32[3]) {
          %0: f32[n,3] = fused(x, w, b, kind="contraction", graph=graph(x0: f32[n,4], x1: f32[4,3], x2: f32[3]) {
            %0: f32[n,3] = matmul(x0, x1)
            %1: f32[n,3] = add(%0, x2)
            %2: f32[n,3] = relu(%1)
            return %2
          })
          return %0
        }
        """,  # noqa: E501
    )


def test_a_product_that_others_read_is_handed_on_too(x, w):
    product = x @ w
    after, _ = contractions(Graph([x, w], [product + 1, gw.ops.exp(product).sum(1)]))
    assert kinds(after) == ["contraction", "rows"]
    (first, *_) = [node for node in after.operations if node.op.name == "fused"]
    assert len(first.outputs) == 2


def test_of_two_products_the_last_takes_the_work(x, w):
    v = gw.input("v", (4, 3))
    after, _ = contractions(Graph([x, w, v], [gw.ops.tanh(x @ w + x @ v) * 2]))
    assert [node.op.name for node in after.operations] == ["matmul", "fused"]


def test_work_that_waits_for_something_else_of_the_product_stays_apart(x, w):
    product = x @ w
    after, why = contractions(Graph([x, w], [product - gw.ops.sort(product, 1)]))
    assert kinds(after) == []
    assert any(
        "depends on the product" in reason or "reads the product" in reason for reason in why
    )


def test_work_on_more_than_the_product_stays_apart(w):
    x = gw.input("x", (4, 4))
    b = gw.input("b", (2, 4, 3))
    after, why = contractions(Graph([x, w, b], [gw.ops.exp(x @ w + b)]))
    assert "contraction" not in kinds(after)
    assert why == ["not fused: the work is not on the product alone"]


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("shape", [(1, 1, 1), (5, 7, 3), (32, 64, 10), (70, 33, 130)])
def test_products_with_work_on_them_are_right(shape, transposed):
    rows, depth, columns = shape
    x = gw.input("x", (depth, rows) if transposed else ("n", depth))
    w, b = gw.input("w", (depth, columns)), gw.input("b", (columns,))
    c = gw.input("c", (rows if transposed else "n", 1))
    left = x.T if transposed else x
    product = left @ w
    outputs = [gw.ops.tanh(product + b) * c, product, product > 0]
    rng = np.random.default_rng(0)
    arrays = [
        rng.standard_normal(s).astype(np.float32)
        for s in ((depth, rows) if transposed else (rows, depth), w.shape, (columns,), (rows, 1))
    ]
    native = gw.compile([x, w, b, c], outputs, backend="native")
    wanted = gw.compile([x, w, b, c], outputs, backend="numpy")(*arrays)
    assert kinds(native.stages["selected"]) == ["contraction"]
    for got, expected in zip(native(*arrays)[:2], wanted[:2], strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-4)


def test_a_stack_of_products_with_a_bias_is_one_kernel():
    x, w, b = gw.input("x", ("n", "t", 4)), gw.input("w", (4, 3)), gw.input("b", (3,))
    native = gw.compile([x, w, b], gw.ops.exp(x @ w + b), backend="native")
    assert kinds(native.stages["selected"]) == ["contraction"]
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal(s).astype(np.float32) for s in ((5, 6, 4), (4, 3), (3,))]
    expected = np.exp(arrays[0] @ arrays[1] + arrays[2])
    np.testing.assert_allclose(native(*arrays), expected, rtol=1e-5)


def test_what_has_no_native_code_runs_on_numpy(x):
    class Odd(gw.ops.Unary):
        name = "odd_probe"
        ufunc = np.negative

    graph = fuse(Graph([x], [gw.ops.exp(Odd()(x)) + 1]), Log())
    log = Log()
    after = select(graph, log)
    assert [event.what for event in log.events] == ["not native: odd_probe has no native code"]
    assert after is graph
    array = np.ones((2, 4), np.float32)
    f = gw.compile(x, gw.ops.exp(Odd()(x)) + 1, backend="native")
    np.testing.assert_allclose(f(array), np.exp(-array) + 1)


def test_the_gradient_computes_again_what_follows_from_one_value():
    x = gw.input("x", ("n", 4))
    y = gw.ops.gelu(x)
    (dx,) = gw.grad((y * y).sum(), [x])
    graph = compile_graph(Graph([x], [y @ gw.constant(np.ones((4, 2), np.float32)), dx]))
    before = graph.stages["sliced"]
    after = recompute(before, Log())
    check_values(before, after)
    names = [node.op.name for node in after.operations]
    assert names.count("erfc") == 2 == [n.op.name for n in before.operations].count("erfc") + 1
    read = {t for n in after.operations if n.phase == "backward" for t in n.inputs}
    kept = {t for t in read if t.node.phase == "forward" and t.ndim and not t.leaf}
    assert [t.node.op.name for t in kept] == ["multiply"]  # y, which the product reads anyway


def test_what_is_kept_anyway_is_not_computed_again(w):
    x = gw.input("x", ("n", 4))
    y = gw.ops.tanh(x)  # the product reads it, and so does its gradient
    (dx,) = gw.grad((y @ w).sum(), [x])
    before = compile_graph(Graph([x, w], [y @ w, dx])).stages["sliced"]
    assert recompute(before, Log()) is before


def test_what_is_compared_is_not_computed_again():
    x = gw.input("x", ("n", 4))
    y = gw.ops.maximum(x, gw.ops.log(gw.ops.sigmoid(x)))  # its gradient asks which of the two it is
    (dx,) = gw.grad(y.sum(), [x])
    after = recompute(compile_graph(Graph([x], [dx])).stages["sliced"], Log())
    compared = [t for n in after.operations if n.op.name == "equal" for t in n.inputs]
    assert compared and all(t.node.phase == "forward" for t in compared)
