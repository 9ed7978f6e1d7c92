"""What functions that reduce make of their arguments: NumPy's axes, and clear errors."""

from __future__ import annotations

import numpy as np
import pytest
from support.drawn import floats
from support.running import value, values

import graphwright as gw
from graphwright.compiler.differentiate import grad
from graphwright.graph.errors import AttributeValueError, ShapeError

ops = gw.ops


@pytest.mark.parametrize("axis", [None, 0, -1, (0, 2), (-1, 0), [1], ()])
@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("name", ["sum", "prod", "max", "min", "mean", "var", "std"])
def test_reductions_take_axes_as_numpy_does(name, axis, keepdims):
    x, array = gw.input("x", ("n", 3, 2), "float64"), floats(4, 3, 2)
    axes = tuple(axis) if isinstance(axis, list) else axis
    wanted = getattr(np, name)(array, axes, keepdims=keepdims)
    result = value(getattr(ops, name)(x, axis, keepdims), {x: array})
    np.testing.assert_allclose(result, wanted, rtol=1e-12, atol=1e-15)
    if name != "std":
        method = value(getattr(x, name)(axis=axis, keepdims=keepdims), {x: array})
        np.testing.assert_array_equal(method, result)


@pytest.mark.parametrize("axis", [None, 0, -1])
@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("name", ["argmax", "argmin"])
def test_arguments_of_extremes_are_numpys(name, axis, keepdims):
    x, array = gw.input("x", ("n", 3), "float64"), floats(4, 3)
    result = value(getattr(x, name)(axis=axis, keepdims=keepdims), {x: array})
    wanted = getattr(np, name)(array, axis, keepdims=keepdims)
    assert result.dtype == np.int64
    np.testing.assert_array_equal(result, wanted)


def test_booleans_are_counted_and_combined():
    x, array = gw.input("x", ("n", 3)), np.array([[0, 1, 2], [0, 0, 3]], np.float32)
    count, all_, any_ = values(
        [ops.count_nonzero(x, 0), ops.all(x > 0, -1), ops.any(x > 2, axis=0, keepdims=True)],
        {x: array},
    )
    assert count.dtype == np.int64 and count.tolist() == [0, 1, 2]
    assert all_.tolist() == [False, False] and any_.tolist() == [[False, False, True]]


def test_a_bad_axis_is_refused_at_the_users_line():
    x = gw.input("x", (2, 3))
    for axis, message in (
        (2, "sum: axis 2 is out of range for rank 2"),
        ((0, -2), "sum: an axis is named twice"),
        (0.5, "sum: an axis is a whole number, got 0.5"),
        ("x", "sum: an axis is a whole number"),
    ):
        with pytest.raises(AttributeValueError) as caught:
            x.sum(axis)
        assert message in str(caught.value)
        assert "x.sum(axis)" in str(caught.value) and "x: f32[2,3]" in str(caught.value)


@pytest.mark.parametrize("name", ["max", "min", "argmax", "argmin", "logsumexp", "softmax"])
def test_an_empty_axis_has_no_extreme(name):
    function = getattr(ops, name)
    with pytest.raises(ShapeError, match=f"{name}: axis 0 is empty: it has no {name}"):
        function(gw.input("x", (0, 3)), 0)
    x = gw.input("x", ("n", 3))
    assert value(function(x, 1), {x: np.zeros((0, 3), np.float32)}).shape[0] == 0
    result = function(x, 0)
    with pytest.raises(ShapeError, match="axis 0 is empty"):
        value(result, {x: np.zeros((0, 3), np.float32)})


def test_ties_share_the_gradient_of_an_extreme():
    x = gw.input("x", (2, 4), "float64")
    array = np.array([[1, 3, 3, 3], [5, 0, 0, 2]])
    to_max, to_min = values(
        [grad((x.max(1) * [3.0, 10.0]).sum(), x), grad(x.min(), x)], {x: array.astype(float)}
    )
    np.testing.assert_allclose(to_max, [[0, 1, 1, 1], [10, 0, 0, 0]])
    np.testing.assert_allclose(to_min, [[0, 0, 0, 0], [0, 0.5, 0.5, 0]])


def test_the_gradient_of_a_product_is_right_beside_zeros():
    x = gw.input("x", (3, 3), "float64")
    array = np.array([[2.0, 3.0, 5.0], [0.0, 3.0, 5.0], [0.0, 3.0, 0.0]])
    first = grad(x.prod(1).sum(), x)
    second = grad((first * [[1.0, 0.0, 0.0]]).sum(), x)
    answers = values([first, second], {x: array})
    np.testing.assert_array_equal(answers[0], [[15, 10, 6], [15, 0, 0], [0, 0, 0]])
    np.testing.assert_array_equal(answers[1], [[0, 5, 3], [0, 5, 3], [0, 0, 3]])


def test_means_of_half_precision_do_not_overflow():
    for dtype in ("float16", "bfloat16"):
        x = gw.input("x", ("n",), dtype)
        array = np.full(1000, 300).astype(x.dtype)
        mean, variance = values([x.mean(), x.var()], {x: array})
        assert mean.dtype == variance.dtype == x.dtype
        assert mean == array[0] and variance == 0


def test_the_variance_takes_a_correction():
    x, array = gw.input("x", ("n", 3), "float64"), floats(4, 3)
    np.testing.assert_allclose(
        value(ops.var(x, 0, correction=1), {x: array}), array.var(0, ddof=1), rtol=1e-13
    )
    one = {x: array[:1]}
    assert np.isnan(value(ops.var(x, 0, correction=1), one)).all()
    assert (value(ops.var(x, 0), one) == 0).all()
