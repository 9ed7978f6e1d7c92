"""`check="nan"`: the first step that makes NaN or infinity of finite numbers is named."""

from __future__ import annotations

import numpy as np
import pytest
from support.fusion import mixing

import graphwright as gw

BACKENDS = ["native", "numpy"]


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_operator_and_the_line_are_named_and_parameters_stay(backend):
    x = gw.input("x", ("n", 3))
    w = gw.parameter("w", np.array([1.0, 2.0, 0.0], np.float32))
    scaled = mixing(x) + 1.0
    ratio = scaled / w  # here
    loss = gw.ops.tanh(ratio).sum()
    run = gw.compile(x, loss, {w: w - gw.grad(loss, w)}, backend=backend, check="nan")
    before = w.value
    with pytest.raises(gw.CheckError) as caught:
        run(np.ones((2, 3), np.float32))
    message = str(caught.value)
    assert message.startswith("divide gives infinity, and was given none")
    assert "2 of 6, the first at [0, 2]" in message
    assert "ratio = scaled / w  # here" in message
    assert "from 0 to 2" in message
    assert w.value is before
    w.value = np.ones(3, np.float32)
    assert np.isfinite(run(np.ones((2, 3), np.float32)))
    assert (w.value != 1).any()


@pytest.mark.parametrize("backend", BACKENDS)
def test_gradients_are_looked_at_too(backend):
    x = gw.input("x", (4,))
    root = gw.ops.sqrt(x)  # its slope at 0 is infinite
    run = gw.compile(x, [root.sum(), gw.grad(root.sum(), x)], backend=backend, check="nan")
    assert np.isfinite(run(np.ones(4, np.float32))[1]).all()
    with pytest.raises(gw.CheckError, match="gives infinity") as caught:
        run(np.array([1, 0, 1, 1], np.float32))
    assert "root = gw.ops.sqrt(x)" in str(caught.value)


@pytest.mark.parametrize("backend", BACKENDS)
def test_nan_and_infinity_that_are_given_are_no_error(backend):
    x = gw.input("x", (2, 3))
    keep = gw.input("keep", (2, 3), bool)
    masked = gw.ops.where(keep, x, -np.inf)
    run = gw.compile(
        [x, keep], [masked * 2, gw.ops.softmax(masked, 1)], backend=backend, check="nan"
    )
    array = np.ones((2, 3), np.float32)
    doubled, _ = run(array, np.array([[True, False, True]] * 2))
    assert np.isinf(doubled[:, 1]).all()
    array[0, 0] = np.nan
    assert np.isnan(run(array, np.ones((2, 3), bool))[0][0, 0])
    with pytest.raises(gw.CheckError, match="gives nan"):
        run(np.ones((2, 3), np.float32), np.zeros((2, 3), bool))


def test_what_only_native_code_gets_wrong_is_found(monkeypatch):
    from graphwright.ops.exponential import Exp

    right = Exp.lower
    monkeypatch.setattr(Exp, "lower", lambda self, b, x: right(self, b, x) / (x - x))
    x = gw.input("x", (3,))
    run = gw.compile(x, gw.ops.exp(x) * 2, backend="native", check="nan")
    with pytest.raises(gw.CheckError, match="gives infinity"):
        run(np.ones(3, np.float32))


@pytest.mark.parametrize("backend", BACKENDS)
def test_integers_are_no_concern(backend):
    x = gw.input("x", (3,), np.int64)
    run = gw.compile(x, mixing(x) + 1, backend=backend, check="nan")
    np.testing.assert_array_equal(run(np.array([1, 2, 3])), [4, 3, 2])
