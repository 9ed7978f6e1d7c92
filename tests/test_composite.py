"""Composites: what they are made of is what they are."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from support.running import value, values

import graphwright as gw
from graphwright.compiler.differentiate import grad
from graphwright.graph.errors import GraphwrightError, ShapeError
from graphwright.graph.operator import operators


@pytest.fixture(autouse=True)
def _unregister():
    known = dict(operators)
    yield
    operators.clear()
    operators.update(known)


def define_half_and_rest():
    @gw.ops.register
    class HalfAndRest(gw.ops.Composite):
        """x/k and x - x/k."""

        name = "half_and_rest"

        k: float

        def decompose(self, x):
            half = x / self.k
            return half, x - half

    return HalfAndRest


def test_types_kernel_flops_and_gradient_follow_from_the_parts():
    x = gw.input("x", ("n", 3), "float64")
    half, rest = define_half_and_rest()(4.0).apply(x)
    assert half.node is rest.node and half.node.op.name == "half_and_rest"
    assert half.type == rest.type == x.type
    assert half.node.op.flops(x.type) == 2 * x.type.size
    array = np.arange(6.0).reshape(2, 3)
    gradient = grad((half * half + 3 * rest).sum(), x)
    answers = values([half, rest, gradient], {x: array})
    np.testing.assert_array_equal(answers[0], array / 4)
    np.testing.assert_array_equal(answers[1], array * 0.75)
    np.testing.assert_allclose(answers[2], array / 8 + 2.25)


def test_one_of_several_outputs_may_go_without_a_gradient():
    x = gw.input("x", (2,), "float64")
    _, rest = define_half_and_rest()(4.0).apply(x)
    np.testing.assert_array_equal(value(grad(rest.sum(), x), {x: np.ones(2)}), [0.75, 0.75])


def test_an_input_given_twice_gets_both_gradients():
    @gw.ops.register
    class Product(gw.ops.Composite):
        """x y."""

        name = "own_product"

        def decompose(self, x, y):
            return x * y

    x = gw.input("x", (), "float64")
    gradient = grad(Product()(x, x), x)
    assert value(gradient, {x: 3.0}) == 6


def test_a_part_that_refuses_is_told_of_the_users_tensors():
    @gw.ops.register
    class Together(gw.ops.Composite):
        """[x, y] of one shape."""

        name = "together"

        def decompose(self, first, second):
            return first + second

    x, y = gw.input("x", ("n", 3)), gw.input("y", ("n", 4))
    with pytest.raises(ShapeError) as caught:
        Together()(x, y)
    message = str(caught.value)
    assert message.startswith("together: add: shapes [n,3] and [n,4] differ")
    assert "x: f32[n,3]" in message and "y: f32[n,4]" in message
    assert "input_0" not in message and "Together()(x, y)" in message


def test_a_part_that_fails_when_run_is_told_at_the_users_line():
    @gw.ops.register
    class First(gw.ops.Composite):
        """The first element."""

        name = "first_element"

        def decompose(self, x):
            return x[0]

    x = gw.input("x", ("n",))
    first = First()(x)
    with pytest.raises(GraphwrightError) as caught:
        value(first, {x: np.zeros(0, np.float32)})
    message = str(caught.value)
    assert message.startswith("first_element: index: index 0 is out of range for axis 0 of size 0")
    assert "first = First()(x)" in message and "input_0" not in message


def test_a_composite_defined_again_is_another_one():
    def define(factor):
        @gw.ops.register
        class Scaled(gw.ops.Composite):
            """x times a factor."""

            name = "scaled"

            def decompose(self, x):
                return x * factor

        return Scaled

    x = gw.input("x", (2,))
    array = np.ones(2, np.float32)
    assert value(define(2.0)()(x), {x: array})[0] == 2
    assert value(define(5.0)()(x), {x: array})[0] == 5


def test_composites_nest():
    @gw.ops.register
    class Entropy(gw.ops.Composite):
        """-Σ p log p of p = softmax(x)."""

        name = "entropy"

        def decompose(self, x):
            return -(gw.ops.softmax(x) * gw.ops.log_softmax(x)).sum(-1)

    x = gw.input("x", ("n", 4), "float64")
    array = np.zeros((3, 4))
    np.testing.assert_allclose(value(Entropy()(x), {x: array}), np.log(4), rtol=1e-15)


def test_a_composite_without_a_decomposition_says_so():
    @gw.ops.register
    class Nothing(gw.ops.Composite):
        """Nothing at all."""

        name = "nothing_at_all"

    with pytest.raises(GraphwrightError, match="nothing_at_all: no decompose is defined"):
        Nothing()(gw.input("x", (2,)))


def test_composites_carry_attributes_like_any_operator():
    op = define_half_and_rest()(4.0)
    assert op.attributes == {"k": 4.0}
    assert op == dataclasses.replace(op) != dataclasses.replace(op, k=5.0)
