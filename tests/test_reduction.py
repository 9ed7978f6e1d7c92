"""Reductions where it is awkward: nothing to reduce, nothing left to divide by, norms at zero."""

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


def value(f, array, sizes=None):
    """What f is at an array; with named sizes, of an input of that shape."""
    array = np.asarray(array)
    x = gw.input("x", tuple(sizes) if sizes else array.shape, array.dtype)
    (result,) = evaluated(Graph([x], [f(x)]), [array], sizes or {})
    return result.tolist()


def slope(f, point):
    return value(lambda x: grad(f(x), x), np.asarray(point, np.float64))


def test_the_variance_without_degrees_of_freedom_left_is_nan():
    for sizes in (None, {"n": 2}):
        assert math.isnan(value(partial(ops.var, correction=2), [1.0, 2.0], sizes))
        assert math.isnan(value(partial(ops.var, correction=5), [1.0, 2.0], sizes))
        assert math.isnan(value(partial(ops.std, correction=2), [1.0, 1.0], sizes))
        assert value(partial(ops.var, correction=1.5), [1.0, 2.0], sizes) == 1.0
    assert math.isnan(value(ops.mean, np.zeros(0), {"n": 0}))


def test_numbers_are_true_unless_they_are_zero():
    x = [[1.0, 0.0, -0.0], [nan, inf, 1e-320]]
    assert value(partial(ops.all, axis=1), x) == [False, True]
    assert value(partial(ops.any, axis=0), [[0, 1], [0, 0]]) == [False, True]
    assert value(ops.count_nonzero, x) == 4


@pytest.mark.parametrize("ord", [2, 1, 3, 0.5, inf, 0])
def test_the_gradient_of_a_norm_is_zero_at_zero_and_finite_beside_it(ord):
    norm = partial(ops.vector_norm, ord=ord)
    assert slope(norm, [0.0, -0.0]) == [0.0, 0.0]
    assert np.isfinite(slope(norm, [0.0, 2.0, -1e-200])).all()


def test_the_gradient_of_a_norm_is_the_unit_vector_of_its_dual():
    assert slope(ops.vector_norm, [3.0, -4.0]) == [0.6, -0.8]
    assert slope(partial(ops.vector_norm, ord=1), [3.0, -4.0, 0.0]) == [1.0, -1.0, 0.0]
    assert slope(partial(ops.vector_norm, ord=inf), [3.0, -4.0, 4.0]) == [0.0, -0.5, 0.5]
    assert slope(partial(ops.vector_norm, ord=-inf), [3.0, -4.0]) == [1.0, 0.0]


def test_norms_are_numpys():
    x = np.array([[3.0, -4.0, 0.0], [1.0, 2.0, -2.0]])
    for ord in (0, 1, 2, 3, 0.5, inf, -inf):
        for choice in ({}, {"axis": 1}, {"axis": (0, 1)}, {"axis": 0, "keepdims": True}):
            wanted = np.linalg.vector_norm(x, ord=ord, **choice)
            got = value(partial(ops.vector_norm, ord=ord, **choice), x)
            np.testing.assert_allclose(got, wanted, rtol=1e-14)
    assert value(ops.vector_norm, [3, 4]) == 5.0
    assert value(ops.vector_norm, np.zeros((2, 0))) == 0.0


@pytest.mark.parametrize("axes", [(0,), (2,), (1, 3), (2, 3)])
@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float16", "int8"])
@pytest.mark.parametrize("name", ["sum", "max", "min"])
def test_folding_many_times_a_few_elements_is_what_numpy_does(name, dtype, keepdims, axes):
    memory = np.random.default_rng(0).integers(-50, 50, (3, 32, 4, 40)).astype(dtype)
    memory[0, 1, 2, 3] = 100
    if dtype != "int8":
        memory[1, 2, 3, 4] = np.nan
    for array in (memory, memory[:, ::2, :, ::-2], np.ascontiguousarray(memory.T).T):
        x = gw.input("x", array.shape, dtype)
        op = getattr(gw.ops, name)(x, axes, keepdims=keepdims).node.op
        wanted = getattr(np, name)(array, axis=axes, keepdims=keepdims)
        actual, given = op.kernel(array), np.empty_like(wanted)
        op.kernel_into(given, array)
        assert actual.dtype == wanted.dtype
        np.testing.assert_allclose(actual, wanted, rtol=1e-5)
        np.testing.assert_array_equal(actual, given)
