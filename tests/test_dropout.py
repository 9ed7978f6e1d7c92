"""Dropout layers: the rate, a mask for each step and call, and the gradients."""

import math

import numpy as np
import pytest
from support.layers import graph_of, step, value

from graphwright import nn, ops
from graphwright.compiler.differentiate import grad
from graphwright.graph.dtype import float32
from graphwright.graph.errors import AttributeValueError
from graphwright.graph.leaf import input


def dropped(rate, shape=(200, 300), **options):
    """A dropout layer on ones, and the graph of a training call that also counts."""
    layer = nn.Dropout(rate, **options)
    y = layer(input("x", shape), training=True)
    return layer, graph_of(y, layer.updates)


def test_dropout_drops_the_rate_and_scales_the_rest():
    ones = np.ones((200, 300), np.float32)
    for rate in (0.1, 0.5, 0.8):
        _, graph = dropped(rate)
        (y,) = step(graph, x=ones)
        assert set(np.unique(y)) == {0.0, np.float32(1 / (1 - rate))}
        # Five standard deviations of the binomial distribution; rows and columns are no pattern.
        share = (y == 0).mean()
        assert abs(share - rate) < 5 * math.sqrt(rate * (1 - rate) / y.size)
        for axis, count in ((0, 200), (1, 300)):
            shares = (y == 0).mean(axis=axis)
            assert np.abs(shares - rate).max() < 6 * math.sqrt(rate * (1 - rate) / count)
        assert y.mean() == pytest.approx(1, abs=0.05)


def test_dropout_is_the_input_itself_outside_training():
    x = input("x", (3,))
    assert nn.Dropout(0.5)(x) is x
    assert nn.Dropout(0.0)(x, training=True) is x
    layer = nn.Dropout(0.5)
    layer(x)
    assert layer.updates == {}


def test_dropout_drops_others_at_each_step_and_the_same_in_each_run():
    ones = np.ones((200, 300), np.float32)

    def masks(**options):
        _, graph = dropped(0.5, **options)
        return [step(graph, x=ones)[0] for _ in range(3)]

    first = masks(seed=1)
    for ours, again in zip(first, masks(seed=1), strict=True):
        np.testing.assert_array_equal(ours, again)
    # Half of the elements of independent masks agree.
    for i, j in ((0, 1), (0, 2), (1, 2)):
        assert (first[i] == first[j]).mean() == pytest.approx(0.5, abs=0.02)
    assert (first[0] == masks(seed=2)[0]).mean() == pytest.approx(0.5, abs=0.02)


def test_dropout_counts_its_calls_in_a_parameter_of_its_own():
    layer, graph = dropped(0.5, shape=("n",))
    (counter,) = layer.updates
    assert counter.name == "dropout/counter" and counter.dtype == np.uint64
    for expected in range(3):
        assert counter.value == expected
        step(graph, x=np.ones(2, np.float32))
    assert layer.parameters == ()


def test_dropout_called_twice_in_a_graph_drops_differently_and_counts_both():
    layer = nn.Dropout(0.5)
    x = input("x", (100, 100))
    a, b = layer(x, training=True), layer(x, training=True)
    both = graph_of(ops.where(ops.equal(a, b), 1.0, 0.0).mean(), layer.updates)
    (agreeing,) = step(both, x=np.ones((100, 100), np.float32))
    assert agreeing == pytest.approx(0.5, abs=0.03)
    (counter,) = layer.updates
    assert counter.value == 2


def test_two_dropout_layers_of_a_model_drop_differently():
    model = nn.Sequential([nn.Dropout(0.5), nn.Dropout(0.5)])
    y = model(input("x", (200, 200)), training=True)
    assert len(model.updates) == 2
    # The same elements dropped twice would leave a half.
    (kept,) = step(graph_of((y != 0).astype(float32).mean()), x=np.ones((200, 200), np.float32))
    assert kept == pytest.approx(0.25, abs=0.02)


def test_gradients_flow_through_what_dropout_kept():
    layer = nn.Dropout(0.25)
    x = input("x", (100,))
    y = layer(x, training=True)
    slope = grad(y.sum(), x)
    given = np.full(100, 3.0, np.float32)
    np.testing.assert_allclose(value(slope, x=given), value(y, x=given) / 3, rtol=1e-6)


@pytest.mark.parametrize("rate", [1.0, -0.1, math.nan])
def test_a_bad_rate_is_refused(rate):
    with pytest.raises(AttributeValueError, match="the rate must be from 0 to below 1"):
        nn.Dropout(rate)
