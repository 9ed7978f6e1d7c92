"""`profile`: what each step takes, a table and a trace; parameters stay."""

from __future__ import annotations

import json

import numpy as np
import pytest
from support.fusion import mixing

import graphwright as gw
from graphwright.runtime import limits as limits_module
from graphwright.runtime.limits import Limits


@pytest.fixture(autouse=True)
def known_limits(monkeypatch):
    """What the machine can do is not measured here, but where a test says so."""
    monkeypatch.setattr(limits_module, "_measured", lambda count: Limits(1e11, 5e10, 2e10, count))


def training(backend, check=False):
    x = gw.input("x", ("n", 30))
    w = gw.parameter("w", np.ones((30, 7), np.float32))
    loss = gw.ops.log_softmax(mixing(x) @ w, 1).mean()
    return gw.compile(x, loss, {w: w - gw.grad(loss, w)}, backend=backend, check=check), w


@pytest.mark.parametrize(
    ("backend", "check"), [("native", "bounds"), ("native", False), ("numpy", False)]
)
def test_each_step_is_told_and_parameters_stay(backend, check):
    run, w = training(backend, check)
    before = w.value
    array = np.ones((5, 30), np.float32)
    profile = run.profile(array)
    assert w.value is before and (before == 1).all()
    computing = [step for step in run.plan.steps if not step.view]
    assert len(profile.steps) == len(computing)
    assert profile.sizes == {"n": 5} and profile.runs >= 5
    assert profile.seconds == sum(step.seconds for step in profile.steps) > 0
    [reversing] = [step for step in profile.steps if step.kernels == ("mixing",)]
    assert not reversing.native and reversing.nbytes == 2 * 5 * 30 * 4
    products = [step for step in profile.steps if "matmul" in step.operators]
    assert min(step.flops for step in products) >= 2 * 5 * 30 * 7
    assert any(step.native for step in profile.steps) == (backend == "native")
    assert all("test_profile.py" in step.source for step in profile.steps)
    for step in profile.steps:
        least = max(step.flops / 1e11, step.nbytes / 2e10)
        assert step.share == pytest.approx(least / step.seconds)
    run.profile(x=array)


def test_the_table_has_a_line_for_each_step():
    run, _ = training("native")
    profile = run.profile(np.ones((5, 30), np.float32))
    lines = str(profile).splitlines()
    assert lines[0].split() == [
        "step",
        "kernel",
        "time",
        "%",
        "FLOPs",
        "bytes",
        "of",
        "limit",
        "threads",
        "source",
    ]
    assert len(lines) == 2 + len(profile.steps) + 3
    assert any("mixing (NumPy)" in line for line in lines)
    assert "at n=5" in lines[-2] and "100 GFLOP/s in float32" in lines[-1]


def test_the_trace_is_made_of_complete_events_in_order(tmp_path):
    run, _ = training("native")
    profile = run.profile(np.ones((5, 30), np.float32))
    profile.chrome_trace(tmp_path / "trace.json")
    trace = json.loads((tmp_path / "trace.json").read_text())
    first, *events = trace["traceEvents"]
    assert first["ph"] == "M" and first["name"] == "process_name"
    assert [event["args"]["step"] for event in events] == [step.number for step in profile.steps]
    end = 0.0
    for event, step in zip(events, profile.steps, strict=True):
        assert event["ph"] == "X" and {"pid", "tid", "name", "cat"} <= event.keys()
        assert event["ts"] == pytest.approx(end) and event["dur"] == step.seconds * 1e6
        end += event["dur"]
    assert {event["cat"] for event in events} == {"native", "numpy"}


def test_large_steps_are_told_to_be_shared():
    x = gw.input("x", (300_000,))
    run = gw.compile(x, gw.ops.tanh(x).sum() + gw.ops.exp(x[:3]), backend="native")
    before = gw.threads()
    try:
        gw.threads(2)
        profile = run.profile(np.ones(300_000, np.float32))
        assert {step.threads for step in profile.steps} == {1, 2}
    finally:
        gw.threads(before)


def test_limits_are_measured_once_for_a_number_of_threads(monkeypatch):
    monkeypatch.undo()
    monkeypatch.setattr(limits_module, "_ROUNDS", 200)
    monkeypatch.setattr(limits_module, "_COPIED", 1 << 20)
    limits_module._measured.cache_clear()
    try:
        found = limits_module.limits()
        assert found is limits_module.limits()
        assert found.threads == gw.threads()
        assert min(found.single, found.double, found.bandwidth) > 0
    finally:
        limits_module._measured.cache_clear()
