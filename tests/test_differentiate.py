"""Gradients of graphs: against finite differences, and how they are built and refused."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from support.random_graphs import draw_arrays, graphs
from support.running import value, values

import graphwright as gw
from graphwright.compiler.differentiate import grad
from graphwright.graph.dtype import is_floating
from graphwright.graph.errors import AttributeValueError, GradientError, GraphwrightError
from graphwright.graph.evaluate import evaluate_graph
from graphwright.graph.graph import Graph, ancestors
from graphwright.graph.operator import Operator, operators, register
from graphwright.graph.tensor import Tensor

Array = np.ndarray[Any, Any]
SIZES = {"n": 3, "m": 5}


def slope(f: Callable[[float], float], h: float = 1e-4) -> tuple[float, float]:
    """df/dt at 0 by central differences, and an estimate of its error (Richardson)."""
    wide, narrow = ((f(step) - f(-step)) / (2 * step) for step in (h, h / 2))
    return (4 * narrow - wide) / 3, abs(narrow - wide)


def assert_is_gradient(
    target: Tensor, variables: Sequence[Tensor], arrays: dict[Tensor, Array], seed: int = 0
) -> None:
    """The gradient along random directions is the slope of the target."""
    random = np.random.default_rng(seed)
    gradients = values(grad(target, variables), arrays)
    for variable, gradient in zip(variables, gradients, strict=True):
        assert gradient.shape == arrays[variable].shape
        direction = random.uniform(-1, 1, gradient.shape)

        def moved(t: float, x: Tensor = variable, d: Array = direction) -> float:
            return float(value(target, {**arrays, x: arrays[x] + t * d}))

        expected, error = slope(moved)
        got = float((gradient * direction).sum())
        assert abs(got - expected) <= 10 * error + 1e-7 * (1 + abs(expected))


def f64(name: str, *shape: Any) -> Tensor:
    return gw.input(name, shape, "float64")


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


# By what.


def test_a_target_by_itself_is_one() -> None:
    x = f64("x")
    y = x * 3
    dy, dx = values(grad(y, [y, x]), {x: np.float64(2)})
    assert (float(dy), float(dx)) == (1, 3)
    assert float(value(grad(x, x), {x: np.float64(2)})) == 1


def test_any_tensor_of_the_graph_can_be_differentiated_by() -> None:
    x = f64("x", 3)
    h = gw.ops.exp(x)
    y = (h * h).sum() + x.sum()
    at = {x: np.array([0.1, 0.2, 0.3])}
    dh, dx = values(grad(y, [h, x]), at)
    np.testing.assert_allclose(dh, 2 * np.exp(at[x]))
    np.testing.assert_allclose(dx, 2 * np.exp(2 * at[x]) + 1)


def test_one_output_of_several_can_be_differentiated_by() -> None:
    x = f64("x", 4)
    left, right = gw.ops.split(x, 2)
    y = (left * right).sum() + x.sum()
    at = {x: np.array([1.0, 2.0, 3.0, 4.0])}
    dleft, dx = values(grad(y, [left, x]), at)
    assert dleft.tolist() == [3, 4]
    assert dx.tolist() == [4, 5, 2, 3]


def test_an_output_that_nobody_reads_gets_no_gradient() -> None:
    x = f64("x", 4)
    left, _ = gw.ops.split(x, 2)
    assert value(grad((left * left).sum(), x), {x: np.arange(4.0)}).tolist() == [0, 2, 0, 0]


def test_parameters_can_be_differentiated_by() -> None:
    w = gw.parameter("w", np.array([1.0, 2.0]))
    assert value(grad((w * w).sum(), w)).tolist() == [2, 4]


def test_one_tensor_gives_a_tensor_and_several_a_list() -> None:
    x = f64("x")
    assert isinstance(grad(x * 2, x), Tensor)
    assert isinstance(grad(x * 2, [x]), list)
    assert len(grad(x * 2, (x, x))) == 2
    assert grad(x * 2, []) == []
    assert len(grad(x * 2, iter([x]))) == 1  # type: ignore[call-overload]


# What stops a gradient.


def test_a_stopped_gradient_counts_as_a_constant() -> None:
    x = f64("x")
    y = x * gw.ops.stop_gradient(x)
    assert float(value(grad(y, x), {x: np.float64(3)})) == 3
    with pytest.raises(GradientError, match="operators without a derivative: stop_gradient"):
        grad(gw.ops.stop_gradient(x) * 2, x)
    zero = grad(gw.ops.stop_gradient(x) * 2, x, disconnected="zero")
    assert float(value(zero, {x: np.float64(3)})) == 0


def test_integers_and_comparisons_let_no_gradient_through() -> None:
    x = f64("x", 3)
    y = gw.ops.where(x > 0, x * 2, x).sum() + gw.ops.floor(x).sum()
    at = {x: np.array([1.5, -1.5, 0.5])}
    assert value(grad(y, x), at).tolist() == [2, 1, 2]


def test_only_needed_gradients_are_made() -> None:
    x, w = f64("x", 50), f64("w", 50)
    y = (gw.ops.exp(x) * w).sum()
    names = [node.op.name for node in ancestors([grad(y, w)])]
    assert names.count("multiply") <= 1


# Refusals.


def refused(*args: Any, **options: Any) -> str:
    with pytest.raises(GradientError) as caught:
        grad(*args, **options)
    message = str(caught.value)
    assert re.search(r"^  at +test_differentiate\.py:\d+ in refused: grad", message, re.M)
    return message


def test_a_target_that_is_no_scalar_is_refused() -> None:
    x = gw.input("x", ("n", 3))
    message = refused(x * 2, x)
    assert "the target has shape (n, 3): gradients are taken of a scalar" in message
    assert "reduce it first, with .sum() or .mean()" in message


def test_integers_are_refused_as_target_and_as_variable() -> None:
    i, x = gw.input("i", (), "int64"), gw.input("x", ())
    assert "the target is i64: only floating tensors have gradients" in refused(i, x)
    message = refused(i * x, i)
    assert "wrt is i64: only floating tensors have gradients" in message
    assert "use a floating dtype" in message
    assert "wrt is bool" in refused(x * 2, x > 0)


def test_a_variable_that_the_target_does_not_depend_on_is_refused() -> None:
    x, y = gw.input("x", ()), gw.input("y", ("n",))
    message = refused(x * 2, y)
    assert "there is no gradient with respect to y: the target does not depend on it" in message
    assert 'disconnected="zero" gives zeros instead' in message
    assert "made at test_differentiate.py" in message


def test_a_variable_behind_a_step_is_refused_and_the_step_named() -> None:
    x = gw.input("x", (3,))
    assert "every path goes through operators without a derivative: argmax" in refused(
        x.argmax().astype("float32") * 2, x
    )
    assert "without a derivative: floor, greater" in refused(
        (gw.ops.floor(x) + (x > 0)).sum().astype("float32"), x
    )


def test_zeros_are_given_only_where_asked() -> None:
    x, y = f64("x"), gw.input("y", ("n", 2), "float64")
    dx, dy = grad(x * 2, [x, y], disconnected="zero")
    assert dy.type == y.type
    got = values([dx, dy], {x: np.float64(1), y: np.ones((3, 2))})
    assert float(got[0]) == 2
    assert got[1].tolist() == [[0, 0]] * 3
    with pytest.raises(AttributeValueError, match="disconnected is 'zeros'"):
        grad(x * 2, y, disconnected="zeros")  # type: ignore[call-overload]


@pytest.mark.parametrize("wrong", [3.0, None, "x", np.ones(3)], ids=repr)
def test_only_tensors_are_differentiated(wrong: Any) -> None:
    x = gw.input("x", ())
    assert "the target must be a tensor, got" in refused(wrong, x)
    assert "wrt must be tensors, got" in refused(x, wrong)
    assert "wrt must be tensors, got" in refused(x, [x, wrong])


# Where gradients come from.


def test_the_gradient_of_a_node_has_its_block_and_line_and_is_backward() -> None:
    x = gw.input("x", (3,))
    with gw.scope("layer_1"):
        h = gw.ops.exp(x)
    with gw.scope("loss"):
        y = (h * h).sum()
    with gw.scope("elsewhere"):
        dx = grad(y, x)
    backward = [node for node in ancestors([dx]) if node.phase == "backward"]
    forward = set(ancestors([y]))
    assert backward
    assert not any(node in forward for node in backward)
    assert {node.scope for node in backward} == {"layer_1", "loss"}
    assert dx.node.scope == "layer_1"
    assert dx.node.source == h.node.source
    assert {node.source for node in backward} <= {node.source for node in forward}


def test_zeros_come_from_what_they_are_the_gradient_of() -> None:
    x, y = gw.input("x", ()), gw.input("y", (3,))
    zero = grad(x * 2, y, disconnected="zero")
    assert zero.node.phase == "backward"
    assert zero.node.source == y.node.source


def test_the_backward_nodes_of_a_gradient_of_a_gradient_are_backward_too() -> None:
    x = gw.input("x", ())
    first = grad(x**3, x)
    second = grad(first, x)
    fresh = set(ancestors([second])) - set(ancestors([first]))
    assert fresh
    assert {node.phase for node in fresh} == {"backward"}


# Depth.


def test_a_chain_of_five_thousand_nodes_is_differentiated_without_recursion() -> None:
    x = f64("x")
    y = x
    for _ in range(2_500):
        y = gw.ops.sin(y) + x
    start = time.perf_counter()
    dx = grad(y, x)
    assert time.perf_counter() - start < 30
    at, h = 0.3, 1e-6

    def run(t: float) -> tuple[float, float]:
        total, derivative = t, 1.0
        for _ in range(2_500):
            total, derivative = np.sin(total) + t, np.cos(total) * derivative + 1
        return total, derivative

    got = float(value(dx, {x: np.float64(at)}))
    assert got == pytest.approx(run(at)[1], rel=1e-9)
    assert got == pytest.approx((run(at + h)[0] - run(at - h)[0]) / (2 * h), rel=1e-4)


def test_a_wide_sum_costs_a_gradient_per_term_not_per_path() -> None:
    x = f64("x")
    y = x
    for _ in range(60):
        y = y + y
    dx = grad(y, x)
    assert len(list(ancestors([dx]))) < 500
    assert float(value(dx, {x: np.float64(1)})) == 2.0**60


# Composites and custom operators.


def test_an_input_given_twice_to_a_composite_counts_twice() -> None:
    x = f64("x", 3)
    assert_is_gradient(gw.ops.mse(x, x * 2), [x], {x: np.array([1.0, -2.0, 0.5])})
    y = gw.ops.mse(x, x)
    np.testing.assert_allclose(value(grad(y, x), {x: np.ones(3)}), 0)


class _Registered:
    """Operators registered for one test."""

    def __enter__(self) -> None:
        self.before = dict(operators)

    def __exit__(self, *_: object) -> None:
        operators.clear()
        operators.update(self.before)


def test_a_composite_without_a_gradient_has_that_of_its_parts() -> None:
    with _Registered():

        @register
        class Swap(Operator):
            """(exp(y), x·y): several outputs, none of them in the order of the inputs."""

            name = "test_swap"
            composite = True

            def infer(self, x: Any, y: Any) -> Any:
                return y, x

            def decompose(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
                return gw.ops.exp(y), x * y

            def kernel(self, x: Array, y: Array) -> Any:
                return np.exp(y), x * y

        @register
        class Identity(Operator):
            """Its input, as it is."""

            name = "test_identity"
            composite = True

            def infer(self, x: Any) -> Any:
                return x

            def decompose(self, x: Tensor) -> Tensor:
                return x

            def kernel(self, x: Array) -> Any:
                return x

        @register
        class Twice(Operator):
            """The same tensor as both outputs."""

            name = "test_twice"
            composite = True

            def infer(self, x: Any) -> Any:
                return x, x

            def decompose(self, x: Tensor) -> tuple[Tensor, Tensor]:
                result = gw.ops.exp(x)
                return result, result

            def kernel(self, x: Array) -> Any:
                return np.exp(x), np.exp(x)

        x, y = f64("x", 3), f64("y", 3)
        a, b = Swap().apply(x, y)
        arrays: dict[Tensor, Array] = {x: np.array([1.0, 2.0, 3.0]), y: np.array([0.1, 0.2, 0.3])}
        assert_is_gradient((a * b + b).sum(), [x, y], arrays)
        assert_is_gradient(a.sum(), [y], arrays)
        same, _ = Swap().apply(x, x)
        assert_is_gradient((same * x).sum(), [x], {x: arrays[x]})
        once, again = Twice().apply(x)
        assert_is_gradient((once * 2 + again * x).sum(), [x], {x: arrays[x]})
        assert_is_gradient((Identity()(x) * x).sum(), [x], {x: arrays[x]})
        with pytest.raises(GradientError, match="the target does not depend on it"):
            grad(a.sum(), x)


def test_a_gradient_of_the_wrong_count_or_type_is_the_operators_fault() -> None:
    with _Registered():

        @register
        class Wrong(Operator):
            """One gradient for two inputs, or one of another shape."""

            name = "test_wrong"

            shaped: bool

            def infer(self, x: Any, y: Any) -> Any:
                return x

            def gradient(self, x: Tensor, y: Tensor, out: Tensor, g: Tensor) -> Any:
                return (g.sum(), None) if self.shaped else g

        x = f64("x", 3)
        with pytest.raises(GraphwrightError, match="gradient gives 1 tensors for 2 inputs") as e:
            grad(Wrong(shaped=False)(x, x).sum(), x)
        assert "test_differentiate.py" in str(e.value)
        with pytest.raises(
            GraphwrightError, match=r"gradient of an input of type f64\[3\] has type f64\[\]"
        ):
            grad(Wrong(shaped=True)(x, x).sum(), x)


def test_an_operator_without_a_gradient_says_what_to_define() -> None:
    with _Registered():

        @register
        class Bare(Operator):
            """No gradient is defined."""

            name = "test_bare"

            def infer(self, x: Any) -> Any:
                return x

        x = f64("x")
        with pytest.raises(GraphwrightError, match="no gradient is defined") as caught:
            grad(Bare()(x), x)
        assert "define gradient in class Bare" in str(caught.value)
