"""Running values where it is awkward: ties, zeros, infinities, nans; and differences."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import pytest

import graphwright as gw
from graphwright.compiler.differentiate import grad
from graphwright.graph.graph import Graph
from graphwright.testing.example import evaluated

inf, nan = math.inf, math.nan
ops = gw.ops


def value(f, *arrays):
    """What f is at these arrays."""
    xs = [gw.input(f"x{i}", np.shape(a), np.asarray(a).dtype) for i, a in enumerate(arrays)]
    (result,) = evaluated(Graph(xs, [f(*xs)]), [np.asarray(a) for a in arrays], {})
    return result.tolist()


def slope(f, point, weights=None, order=1):
    """The gradient at the point of the weighted sum of f; for order 2, of that of the gradient."""
    chosen = np.asarray(weights or np.ones(len(point)))

    def gradient(x):
        y = f(x)
        for _ in range(order):
            y = grad((y * chosen).sum(), x)
        return y

    return value(gradient, np.asarray(point, np.float64))


# Gradients.


def test_the_running_maximum_leads_the_gradient_to_the_first_place_that_has_it():
    powers = [1.0, 10.0, 100.0, 1000.0]
    assert slope(ops.cummax, [1.0, 3.0, 3.0, 2.0], powers) == [1.0, 1110.0, 0.0, 0.0]
    assert slope(ops.cummax, [-inf, -inf, 1.0, 2.0], powers) == [11.0, 0.0, 100.0, 1000.0]
    assert slope(ops.cummin, [1.0, 3.0, 0.0, 0.0], powers) == [11.0, 0.0, 1100.0, 0.0]
    backwards = partial(ops.cummax, reverse=True)
    assert slope(backwards, [1.0, 3.0, 3.0, 2.0], powers) == [0.0, 0.0, 111.0, 1000.0]


def test_the_running_maximum_leads_the_gradient_to_the_first_nan():
    assert slope(ops.cummax, [2.0, nan, 5.0, nan]) == [1.0, 3.0, 0.0, 0.0]
    assert slope(ops.cummin, [nan, 1.0]) == [2.0, 0.0]


def test_running_products_differentiate_through_zeros():
    assert slope(ops.cumprod, [2.0, 0.0, 3.0]) == [1.0, 2.0 + 6.0, 0.0]
    assert slope(ops.cumprod, [0.0, 0.0, 3.0]) == [1.0, 0.0, 0.0]
    # The gradient of x + 2xy is (1 + 2y, 2x), and that of 1 + 2y + 4x is (4, 2).
    assert slope(ops.cumprod, [3.0, 0.0], [1.0, 2.0], order=2) == [4.0, 2.0]


def test_running_log_sums_differentiate_far_from_zero():
    weights = [1.0, 2.0, 3.0, 4.0]
    for order in (1, 2):
        wanted = slope(ops.logcumsumexp, [0.0, 1.0, -900.0, 0.5], weights, order)
        assert np.isfinite(wanted).all()
        for shift in (-1e4, 800.0, 1e4):
            point = [shift, shift + 1, shift - 900.0, shift + 0.5]
            got = slope(ops.logcumsumexp, point, weights, order)
            np.testing.assert_allclose(got, wanted, rtol=1e-9, atol=1e-12)


def test_running_log_sums_lead_the_gradient_to_what_is_infinite():
    assert slope(ops.logcumsumexp, [-inf, 0.0, inf, 1.0]) == [1.0, 1.0, 2.0, 0.0]


# What users write.


def test_without_an_axis_the_elements_are_taken_in_order():
    x = np.arange(1.0, 7.0).reshape(2, 3)
    for ours, numpys in ((ops.cumsum, np.cumsum), (ops.cumprod, np.cumprod)):
        assert value(ours, x) == numpys(x).tolist()
        assert value(partial(ours, axis=-2), x) == numpys(x, -2).tolist()
    assert value(ops.cummax, x) == np.maximum.accumulate(x.ravel()).tolist()
    assert value(partial(ops.cumsum, reverse=True), [1, 2, 3]) == [6, 5, 3]


def test_the_array_standards_running_sums_may_begin_with_nothing():
    x = np.array([[1, 2], [3, 4]], np.int8)
    begun = partial(ops.cumulative_sum, axis=1, include_initial=True)
    assert value(begun, x) == [[0, 1, 3], [0, 3, 7]]
    begun = partial(ops.cumulative_prod, axis=0, include_initial=True, dtype=np.float32)
    assert value(begun, x) == [[1, 1], [1, 2], [3, 8]]
    assert begun(gw.input("x", ("n", 2), "i8")).type == gw.TensorType(
        np.dtype(np.float32), (gw.dim("n") + 1, 2)
    )
    assert ops.cumulative_sum(gw.input("x", (2,), "u8")).dtype == np.uint64
    assert ops.cumulative_sum(gw.input("x", (2,), "i8"), dtype="i8").dtype == np.int8
    with pytest.raises(gw.AttributeValueError, match="cumulative_sum: rank 2 needs an axis"):
        ops.cumulative_sum(x)


def test_differences_are_numpys():
    x = np.array([[1.0, 4.0, 9.0, 16.0], [0.0, -1.0, 2.0, 2.0]])
    for choice in ({}, {"axis": 0}, {"n": 2}, {"n": 0}, {"n": 5}):
        assert value(partial(ops.diff, **choice), x) == np.diff(x, **choice).tolist()
    assert value(lambda x: ops.diff(x, 2, 0), x) == np.diff(x, 2, 0).tolist()
    edge = np.zeros((2, 1))
    around = partial(ops.diff, prepend=edge, append=edge)
    assert value(around, x) == np.diff(x, prepend=edge, append=edge).tolist()
    assert value(ops.diff, [True, False, False]) == [True, False]
    assert value(ops.diff, np.array([3, 1], np.uint8)) == [254]
    with pytest.raises(gw.AttributeValueError, match="diff: n can't be negative, got -1"):
        ops.diff(x, n=-1)


def test_differences_of_a_symbolic_axis_are_one_fewer_and_none_of_none():
    x = gw.input("x", ("n",), gw.float64)
    graph = Graph([x], [ops.diff(x)])
    for n in (0, 1, 4):
        (result,) = evaluated(graph, [np.arange(n) ** 2.0], {"n": n})
        assert result.tolist() == np.diff(np.arange(n) ** 2.0).tolist()


def test_discounted_sums_are_a_recurrence_in_reverse():
    rewards = [1.0, 0.0, 2.0]
    returns = value(lambda x: ops.linear_recurrence(0.5, x, reverse=True), rewards)
    assert returns == [1.5, 1.0, 2.0]
