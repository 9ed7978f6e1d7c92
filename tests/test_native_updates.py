"""Parameters that native code writes in place: all or none, and never under somebody's eyes."""

from __future__ import annotations

import os
import signal
import threading

import numpy as np
import pytest

import graphwright as gw
from graphwright.runtime.native import BoundPlan


@pytest.fixture
def w():
    return gw.parameter("w", np.zeros((64, 32), np.float32))


def address(parameter):
    return parameter.value.__array_interface__["data"][0]


def bound(function) -> BoundPlan:
    """The program that a function last ran."""
    return next(reversed(function._executor._idle.values()))[0]


def test_a_next_value_is_written_over_the_present_one(w):
    step = gw.compile([], [], updates={w: w + 1}, backend="native")
    before = address(w)
    for count in (1, 2, 3):
        step()
        assert (w.value == count).all()
    assert address(w) == before


def test_an_array_that_was_read_stays_as_it_was(w):
    step = gw.compile([], [], updates={w: w + 1}, backend="native")
    step()
    seen, part = w.value, w.value[0]
    step()
    assert (seen == 1).all() and (part == 1).all() and (w.value == 2).all()
    del seen, part
    before = address(w)
    step()
    assert address(w) == before and (w.value == 3).all()


def test_a_parameter_that_is_an_argument_too_is_not_written_over(w):
    x = gw.input("x", (64, 32))
    step = gw.compile(x, x * 1, updates={w: w + x + 1}, backend="native")
    np.testing.assert_array_equal(step(w.value), np.zeros((64, 32)))
    np.testing.assert_array_equal(step(w.value), np.ones((64, 32)))
    assert (w.value == 3).all()


def test_the_old_value_can_be_handed_out(w):
    step = gw.compile([], [w, w.T], updates={w: w + 1}, backend="native")
    old, turned = step()
    assert (old == 0).all() and (turned == 0).all() and (w.value == 1).all()


def test_parameters_exchange_their_values(w):
    v = gw.parameter("v", np.ones((64, 32), np.float32))
    step = gw.compile([], [], updates={w: v, v: w}, backend="native")
    step()
    assert (w.value == 1).all() and (v.value == 0).all()
    both = gw.compile([], [], updates={w: w + v, v: w - v}, backend="native")
    both()
    assert (w.value == 1).all() and (v.value == 1).all()
    both()
    assert (w.value == 2).all() and (v.value == 0).all()


def test_updates_wait_for_what_reads_the_present_value(w):
    x = gw.input("x", ("n", 64))
    y = x @ w
    loss = (y * y).sum()
    dx, dw = gw.grad(loss, [x, w])
    step = gw.compile(x, dx, updates={w: w - 0.1 * dw}, backend="native")
    array = np.random.default_rng(0).standard_normal((5, 64)).astype(np.float32)
    w.value = np.full((64, 32), 0.1, np.float32)
    before = w.value.copy()
    np.testing.assert_allclose(step(array), 2 * (array @ before) @ before.T, rtol=1e-4)
    wanted = before - 0.2 * array.T @ (array @ before)
    np.testing.assert_allclose(w.value, wanted, rtol=1e-4, atol=1e-5)
    assert bound(step)._rewritten and not bound(step)._fresh[1:]


def test_nothing_changes_when_an_index_is_out_of_range(w):
    indices = gw.input("indices", ("n",), np.int64)
    v = gw.parameter("v", np.zeros(3, np.float32))
    loss = gw.ops.take(w, indices, 0).sum()
    (dw,) = gw.grad(loss, [w])
    step = gw.compile(indices, loss, updates={v: v + 1, w: w + dw + 1}, backend="native")
    with pytest.raises(Exception, match="index 64 is out of range"):
        step(np.array([1, 64]))
    assert (v.value == 0).all() and (w.value == 0).all()
    before = address(w)
    step(np.array([1, 63]))
    assert (v.value == 1).all() and w.value[63, 0] == 2 and w.value[2, 0] == 1
    assert address(w) == before  # the indices were looked at before anything was written


def test_nothing_changes_when_a_kernel_on_numpy_raises(w):
    class Picky(gw.ops.Unary):
        name = "picky_probe"

        def kernel(self, x):
            if x.flat[0] > 1:
                raise ValueError("too much")
            return x + 0

    x = gw.input("x", (64, 32))
    v = gw.parameter("v", np.zeros(3, np.float32))
    step = gw.compile(x, Picky()(x).sum(), updates={v: v + 1, w: w + Picky()(x)}, backend="native")
    step(np.ones((64, 32), np.float32))
    assert (v.value == 1).all() and (w.value == 1).all()
    with pytest.raises(ValueError, match="too much"):
        step(np.full((64, 32), 2, np.float32))
    assert (v.value == 1).all() and (w.value == 1).all()


def test_ctrl_c_leaves_all_parameters_before_a_step_or_all_after_it():
    size, count = 200_000, 6
    parameters = [gw.parameter(f"p{i}", np.zeros(size, np.float32)) for i in range(count)]
    held = parameters[-1].value  # so that this one is replaced, and the others are written over
    step = gw.compile([], [], updates={p: p + 1 for p in parameters}, backend="native")
    step()
    interrupted = 0
    for _ in range(30):
        held = parameters[-1].value
        timer = threading.Timer(0.002, os.kill, (os.getpid(), signal.SIGINT))
        try:
            timer.start()
            while True:
                step()
                held = parameters[-1].value
        except KeyboardInterrupt:
            interrupted += 1
        timer.join()
        values = {float(p.value[i]) for p in parameters for i in (0, -1)}
        assert len(values) == 1
    assert interrupted == 30 and held is not None


def test_readers_in_another_thread_see_whole_steps(w):
    v = gw.parameter("v", np.zeros((64, 32), np.float32))
    step = gw.compile([], [], updates={w: w + 1, v: v + 1}, backend="native")
    read = gw.compile([], [w.max() - v.min(), (w - v).sum()], backend="native")
    wrong: list[object] = []
    stop = threading.Event()

    def look():
        while not stop.is_set():
            if any(value != 0 for value in read()):
                wrong.append("torn")

    thread = threading.Thread(target=look)
    thread.start()
    for _ in range(300):
        step()
    stop.set()
    thread.join()
    assert not wrong and (w.value == 300).all()
