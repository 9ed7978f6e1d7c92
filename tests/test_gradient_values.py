"""Gradients of graphs, of first and higher order, against finite differences."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from support.random_graphs import draw_arrays, graphs
from support.running import value, values
from support.slopes import Array, assert_is_gradient, f64, slope

import graphwright as gw
from graphwright.compiler.differentiate import grad
from graphwright.graph.dtype import is_floating
from graphwright.graph.evaluate import evaluate_graph
from graphwright.graph.graph import Graph
from graphwright.graph.tensor import Tensor

SIZES = {"n": 3, "m": 5}


# Values.


@settings(max_examples=80, deadline=None)
@given(graphs(dtypes=[np.float64], gradients=False, steps=10), st.data())
def test_gradients_of_random_graphs_are_slopes(graph: Graph, data: Any) -> None:
    arrays = data.draw(draw_arrays(graph, SIZES))
    variables = [tensor for tensor in graph.inputs if is_floating(tensor.dtype)]
    results = [tensor for tensor in graph.outputs if is_floating(tensor.dtype)]
    assume(variables)
    assume(results)
    # The one stops what flows; the other's steps are those of rounding, and taken for none.
    without = {"stop_gradient", "nextafter"}
    assume(not any(node.op.name in without for node in graph.nodes))
    target = results[0].sum()
    gradients = grad(target, variables, disconnected="zero")
    whole = Graph(graph.inputs, [target, *gradients])
    random = np.random.default_rng(0)
    given = dict(zip(graph.inputs, arrays, strict=True))
    directions = [random.uniform(-1, 1, given[x].shape) for x in variables]
    constants = {parameter: parameter.value for parameter in graph.parameters}

    def run(t: float) -> tuple[Array, ...]:
        moved = given | constants
        for x, direction in zip(variables, directions, strict=True):
            moved[x] = moved[x] + t * direction
        return evaluate_graph(whole, moved, SIZES)

    expected, error = slope(lambda t: float(run(t)[0]), 1e-5)
    here = run(0)
    assume(np.isfinite(expected))
    assume(error < 1e-3 * (1 + abs(expected)))  # else a kink or a jump lies between
    terms = [g * d for g, d in zip(here[1:], directions, strict=True)]
    scale = 1 + sum(float(np.abs(term).sum()) for term in terms) + float(np.abs(here[0]))
    assert abs(sum(float(term.sum()) for term in terms) - expected) <= 10 * error + 1e-5 * scale


def test_the_gradient_of_a_network_by_every_parameter() -> None:
    random = np.random.default_rng(0)
    x, y = f64("x", 6, 4), gw.input("y", (6,), "int64")
    a, b, c = f64("a", 4, 5), f64("b", 5), f64("c", 5, 3)
    hidden = gw.ops.tanh(x @ a + b)
    loss = gw.ops.cross_entropy(gw.ops.layer_norm(hidden, b * 0 + 1, b) @ c, y)
    arrays: dict[Tensor, Array] = {t: random.normal(size=t.shape) for t in (x, a, b, c)}
    variables = [x, a, b, c]
    graph = Graph([*arrays, y], [loss, *grad(loss, variables)])
    labels = np.array([0, 2, 1, 1, 0, 2])

    def run(moved: dict[Tensor, Array]) -> tuple[Array, ...]:
        return evaluate_graph(graph, {**moved, y: labels}, {})

    for position, variable in enumerate(variables):
        direction = random.normal(size=variable.shape)
        expected, error = slope(
            lambda t, v=variable, d=direction: float(run({**arrays, v: arrays[v] + t * d})[0])  # type: ignore[misc]
        )
        got = float((run(arrays)[1 + position] * direction).sum())
        assert abs(got - expected) <= 10 * error + 1e-8


def test_a_known_gradient() -> None:
    x, w = f64("x", 3), f64("w", 2, 3)
    y = ((w @ x) ** 2).sum()
    xs, ws = np.array([1.0, 2.0, -1.0]), np.array([[1.0, 0.0, 2.0], [3.0, -1.0, 1.0]])
    dx, dw = values(grad(y, [x, w]), {x: xs, w: ws})
    np.testing.assert_allclose(dx, 2 * ws.T @ (ws @ xs))
    np.testing.assert_allclose(dw, 2 * np.outer(ws @ xs, xs))


def test_gradients_of_all_uses_are_added() -> None:
    x = f64("x")
    assert float(value(grad(x + x, x), {x: np.float64(3)})) == 2
    assert float(value(grad(x * x, x), {x: np.float64(3)})) == 6
    assert float(value(grad(x * x * x + x, x), {x: np.float64(3)})) == 28
    y = gw.ops.exp(x)
    assert_is_gradient(y * y + y * x + x, [x], {x: np.float64(0.7)})


def test_fan_out_to_many_readers_is_one_gradient() -> None:
    x = f64("x", 4)
    h = gw.ops.sin(x)
    total = sum(((h * k).sum() for k in range(1, 20)), start=gw.constant(0.0, "float64"))
    np.testing.assert_allclose(value(grad(total, h), {x: np.ones(4)}), np.full(4, 190.0))
    assert_is_gradient(total, [x], {x: np.linspace(-1, 1, 4)})


def test_broadcast_inputs_get_gradients_of_their_own_shape() -> None:
    x, row, column, scalar = f64("x", 3, 4), f64("r", 4), f64("c", 3, 1), f64("s")
    random = np.random.default_rng(1)
    arrays: dict[Tensor, Array] = {
        t: random.uniform(0.5, 2, t.shape) for t in (x, row, column, scalar)
    }
    target = (x * row / column + gw.ops.maximum(scalar, row) - scalar**column).sum()
    assert_is_gradient(target, [x, row, column, scalar], arrays)


def test_symbolic_sizes_need_no_numbers() -> None:
    x, w = gw.input("x", ("batch", 3), "float64"), f64("w", 3)
    dx, dw = grad(((x * w).mean(0) ** 2).sum(), [x, w])
    assert dx.type == x.type
    assert dw.type == w.type
    for batch in (1, 4):
        xs = np.random.default_rng(0).normal(size=(batch, 3))
        got = value(dw, {x: xs, w: np.ones(3)})
        np.testing.assert_allclose(got, 2 * xs.mean(0) ** 2)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_gradients_have_the_dtype_of_what_they_are_taken_by(dtype: str) -> None:
    x = gw.input("x", (2, 3), dtype)
    target = gw.ops.softmax(x * 2).astype("float32").sum() * 3
    assert grad(target, x).type == x.type
    mixed = (x.astype("float64") ** 2).sum()
    assert grad(mixed, x).type == x.type


# Higher orders.


def test_gradients_of_gradients() -> None:
    x = f64("x", 3)
    y = (x**4).sum()
    first = grad(y, x)
    second = grad(first.sum(), x)
    third = grad(second.sum(), x)
    at = {x: np.array([1.0, -2.0, 0.5])}
    np.testing.assert_allclose(value(first, at), 4 * at[x] ** 3)
    np.testing.assert_allclose(value(second, at), 12 * at[x] ** 2)
    np.testing.assert_allclose(value(third, at), 24 * at[x])


def test_a_hessian_vector_product_is_symmetric_and_a_slope_of_the_gradient() -> None:
    random = np.random.default_rng(2)
    x, v = f64("x", 4), f64("v", 4)
    a = gw.constant(random.normal(size=(4, 4)))
    y = gw.ops.logsumexp(gw.ops.tanh(a @ x)) + (x @ a @ x) ** 2 * 0.1
    first = grad(y, x)
    product = grad((first * v).sum(), x)
    at, u, w = random.normal(size=(3, 4))
    along_u = value(product, {x: at, v: u})
    along_w = value(product, {x: at, v: w})
    np.testing.assert_allclose(along_u @ w, along_w @ u, rtol=1e-9)
    expected, error = slope(lambda t: float(value(first, {x: at + t * u}) @ w))
    assert abs(along_u @ w - expected) <= 10 * error + 1e-7


def test_a_gradient_may_be_part_of_a_target() -> None:
    x, w = f64("x", 3), f64("w", 3)
    y = gw.ops.exp(x * w).sum()
    penalty = (grad(y, x) ** 2).sum()
    random = np.random.default_rng(3)
    arrays: dict[Tensor, Array] = {x: random.normal(size=3), w: random.normal(size=3)}
    assert_is_gradient(y + 0.5 * penalty, [x, w], arrays)
