"""Operators without a batching rule, applied to many inputs at once."""

from __future__ import annotations

import numpy as np
import pytest
from support.sound_operators import Centred

import graphwright as gw
from graphwright.graph.operator import operators
from graphwright.testing import assert_close


@pytest.fixture(autouse=True)
def registry():
    before = dict(operators)
    yield
    operators.clear()
    operators.update(before)


def test_an_operator_without_a_batching_rule_runs_row_by_row():
    op = gw.ops.register(Centred)()
    rows = gw.input("rows", ("batch", "n", 3), gw.float64)
    centre, mean = gw.vmap(op.apply)(rows)
    assert (str(centre.type), str(mean.type)) == ("f64[batch,n,3]", "f64[batch,n]")
    slope = gw.grad((centre**2).sum() + mean.sum(), rows)
    f = gw.compile(rows, (centre, mean, slope), check=True)
    for batch in (3, 1, 0):
        array = np.random.default_rng(batch).normal(size=(batch, 2, 3))
        expected = array.mean(-1)
        difference = array - expected[..., None]
        assert_close(f(array), (difference, expected, 2 * difference + 1 / 3))


def test_what_is_not_mapped_is_the_same_for_each_row():
    @gw.ops.register
    class Weighed(gw.ops.Operator):
        """⟨x, w⟩: d/dx = w, d/dw = x."""

        name = "weighed"

        def infer(self, x, w):
            return x.with_shape(())

        def kernel(self, x, w):
            assert x.ndim == w.ndim == 1
            return np.dot(x, w)

    x, w = gw.input("x", ("b", 2), gw.float64), gw.input("w", ("c", 2), gw.float64)
    every = gw.vmap(lambda one: gw.vmap(lambda other: Weighed()(one, other))(w))(x)
    xs, ws = np.arange(6.0).reshape(3, 2), np.arange(4.0).reshape(2, 2)
    assert_close(gw.compile([x, w], every)(xs, ws), xs @ ws.T)
