"""Gradients of graphs: by what, how they are built, where they come from, and what is refused."""

from __future__ import annotations

import re
import time
from typing import Any

import numpy as np
import pytest
from support.running import value, values
from support.slopes import Array, assert_is_gradient, f64

import graphwright as gw
from graphwright.compiler.differentiate import grad
from graphwright.graph.errors import AttributeValueError, GradientError, GraphwrightError
from graphwright.graph.graph import ancestors
from graphwright.graph.operator import Operator, operators, register
from graphwright.graph.tensor import Tensor

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
