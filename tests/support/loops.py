"""Loops that tests share, and values that interpreter and compiler must agree on."""

from __future__ import annotations

import numpy as np

import graphwright as gw
from graphwright.graph.graph import Graph


def value(outputs, feed, **options):
    """Interpreted and compiled, which must agree: the compiled value."""
    inputs, arrays = list(feed), [np.asarray(array) for array in feed.values()]
    structure = outputs if isinstance(outputs, list) else [outputs]
    plain, _ = gw.interpret(Graph(inputs, structure), *arrays)
    compiled = gw.compile(inputs, structure, check=True, **options)(*arrays)
    for one, other in zip(plain, compiled, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12)
    return compiled if isinstance(outputs, list) else compiled[0]


def rnn(x, h, w, u):
    """A recurrent network over the rows of x: its last state, and all of them."""

    def step(state, row):
        state = gw.ops.tanh(row @ w + state @ u)
        return state, state

    return gw.scan(step, h, x)


def rnn_inputs():
    """x, h, w and u of `rnn`, of a symbolic number of steps."""
    shapes = {"x": ("time", 3), "h": (2,), "w": (3, 2), "u": (2, 2)}
    return [gw.input(name, shape, "float64") for name, shape in shapes.items()]
