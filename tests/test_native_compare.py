"""`check=True` on native code: each step against NumPy, wrong kernels named."""

from __future__ import annotations

import runpy

import numpy as np
import pytest

import graphwright as gw
from graphwright.compiler.native.contraction import panel
from graphwright.graph.graph import Graph
from graphwright.ops.exponential import Exp
from graphwright.ops.reduction import Max
from graphwright.runtime.compare import disagreement
from graphwright.runtime.rounding import Bounded, bounded_results


def softmax_of_product(columns=30):
    x = gw.input("x", ("n", 20))
    w = gw.parameter("w", np.random.default_rng(0).normal(size=(20, columns)).astype(np.float32))
    y = x @ w
    e = gw.ops.exp(y - y.max(1, keepdims=True))
    return x, e / e.sum(1, keepdims=True), w


def wrong_exp(self, b, x):
    """One part in a thousand too large, where it is larger than 0.9."""
    right = b.call("exp", x)
    return b.select(right > 0.9, right * 1.001, right)


def test_a_planted_operator_is_caught_and_named(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("GRAPHWRIGHT_DUMP", str(tmp_path))
    x, y, w = softmax_of_product()
    array = np.random.default_rng(1).normal(size=(7, 20)).astype(np.float32)
    assert gw.compile(x, y, backend="native", check=[array])(array).shape == (7, 30)
    monkeypatch.setattr(Exp, "lower", wrong_exp)
    before = w.value
    with pytest.raises(gw.VerificationError) as caught:
        gw.compile(x, y, {w: w * 2}, backend="native", check=[array])
    assert w.value is before
    message = str(caught.value)
    assert "the kernel `" in message and "exp" in message.splitlines()[0]
    assert "is wrong" in message and "apart at most" in message
    assert "test_native_compare.py" in message and "e = gw.ops.exp" in message
    [folder] = tmp_path.glob("graphwright-repro-*")
    assert str(folder) in message
    assert {path.name for path in folder.iterdir()} >= {"step.txt", "values.npz", "kernel0.ll"}
    runpy.run_path(str(folder / "repro.py"))
    shown = capsys.readouterr().out
    assert shown.index("numpy") < shown.index("native")


def test_a_planted_generator_is_caught_and_named(monkeypatch):
    right = panel._Width.step

    def short(self, *given):
        """Rows of one vector are multiplied twice."""
        right(self, *given)
        right(self, *given)

    monkeypatch.setattr(panel._Width, "step", short)
    for routine in (panel.panel, panel.thin_panel):
        routine.cache_clear()
    try:
        x, y, _ = softmax_of_product(200)
        with pytest.raises(gw.VerificationError, match=r"the kernel `.*product.*` is wrong: .* at"):
            gw.compile(x, y, backend="native", check=True)
    finally:
        for routine in (panel.panel, panel.thin_panel):
            routine.cache_clear()


def test_one_wrong_element_is_told_with_both_values(monkeypatch):
    right = Max.lower

    def wrong(self, b, x, y):
        result = right(self, b, x, y)
        return b.select(result.equals(3.0), result - 1.0, result)

    monkeypatch.setattr(Max, "lower", wrong)
    x = gw.input("x", (4, 2))
    array = np.array([[0, 1], [2, 1], [3, 0], [4, 5]], np.float32)
    with pytest.raises(gw.VerificationError, match=r"1 of 4 .* at \[2\] it is 2.0, not 3.0"):
        gw.compile(x, x.max(1), backend="native", check=[array])


# Bounds on rounding.


def bounds_of(function, *arrays):
    inputs = [gw.input(f"x{i}", array.shape, array.dtype) for i, array in enumerate(arrays)]
    [result] = bounded_results(Graph(inputs, [function(*inputs)]), arrays, {})
    return result


FUNCTIONS = {  # and the largest bound that will do
    "functions": (lambda x, w: gw.ops.exp(gw.ops.sin(x)) / x, 1e-5),
    "what cancels": (lambda x, w: (x - x.mean(0, keepdims=True)).sum(0), 2e-2),
    "a product": (lambda x, w: gw.ops.tanh(x @ w) + 1, 1e-3),
    "rows": (lambda x, w: gw.ops.log_softmax(x, 1).max(0), 2e-4),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_bounds_hold_and_are_not_loose(name):
    function, largest = FUNCTIONS[name]
    random = np.random.default_rng(0)
    single = [
        random.uniform(0.5, 2, (300, 40)).astype(np.float32),
        random.normal(size=(40, 5)).astype(np.float32),
    ]
    double = [array.astype(np.float64) for array in single]
    value, bound = bounds_of(function, *single)
    exact, _ = bounds_of(function, *double)
    assert (np.abs(value - exact) <= bound).all()
    assert (bound <= largest * np.maximum(np.abs(value), 1)).all()


def test_what_cancels_and_what_jumps_may_differ_by_more():
    x = np.array([1.0, 1.0], np.float32)
    value, bound = bounds_of(lambda x: (x * 3 + 1000.0) - 1000.0, x)
    assert (bound > 1e-4).all() and (bound < 1e-2).all()
    value, bound = bounds_of(lambda x: gw.ops.floor(x * 3), x)
    assert (bound >= 1).all()
    value, bound = bounds_of(lambda x: gw.ops.floor(x * 3 + 0.5), x)
    assert (bound < 1e-5).all()
    value, bound = bounds_of(lambda x: x * 3 > 3, x)
    assert value.dtype == bool and (bound == 1).all()
    value, bound = bounds_of(lambda x: x * 3 > 2, x)
    assert (bound == 0).all()
    for y, jump in [(3 + 2**-22, 1), (3.5, 0)]:
        value, bound = bounds_of(lambda x, y: gw.ops.equal(x * 3, y), x, np.float32([y, y]))
        assert not value.any() and (bound == jump).all()


def test_nan_and_infinity_have_to_agree():
    value = np.array([np.nan, np.inf, -np.inf, 1.0])
    assert disagreement(value, Bounded(value, np.zeros(4))) is None
    for position in range(4):
        other = value.copy()
        other[position] = 7.0
        assert "1 of 4 elements" in disagreement(other, Bounded(value, np.zeros(4)))
        assert "1 of 4 elements" in disagreement(value, Bounded(other, np.zeros(4)))
