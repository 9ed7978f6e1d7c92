"""Checked native code: every load and store looks whether it lies within its operand."""

from __future__ import annotations

import ctypes
import re

import numpy as np
import pytest

import graphwright as gw
from graphwright.compiler.native import copy, tiling
from graphwright.compiler.native.contraction import panel
from graphwright.compiler.native.kernel import Address, Context, Limit, Number, kernel_function
from graphwright.compiler.native.memory import REFUGE_BYTES
from graphwright.compiler.native.objects import compiled
from graphwright.compiler.native.sweeps import Sweeps
from graphwright.compiler.native.target import Target
from graphwright.runtime.native import BoundPlan

LANES = 4
FORMS = {  # the stride, lanes that count, and elements from the first of them to the last
    "element": (1, None, 1),
    "run": (1, None, 4),
    "masked run": (1, 3, 3),
    "apart": (3, None, 10),
    "masked apart": (3, 2, 4),
    "backward": (-2, None, 7),
}


def check_access(form: str, dtype, index: int, *, writes: bool, outside: bool) -> None:
    """Load or store from an index on in 20 elements that lie amidst others."""
    stride, count, _ = FORMS[form]
    lanes = 1 if form == "element" else LANES
    dtype = np.dtype(dtype)
    module = Context(Target.host(), {}, checked=True).module()
    with kernel_function(module) as frame:
        b = frame.b
        x, other = (frame.arguments.pointer(Address(n), dtype) for n in (0, 1))
        i = frame.arguments.value(index)
        mask = None if count is None else b.lane_numbers(lanes) < b.splat(b.index(count), lanes)
        if writes:
            value = b.load(other, 0, lanes)
            b.store(x, i, value, stride=stride, mask=mask)
        else:
            b.store(other, 0, b.load(x, i, lanes, stride=stride, mask=mask))
    whole = (np.arange(40) % 2).astype(dtype) if dtype.kind == "b" else np.arange(40, dtype=dtype)
    before, values = whole.copy(), np.ones(lanes, dtype)
    arrays = [whole[10:30], values]
    stray, refuge = np.zeros(1, np.int64), np.zeros(REFUGE_BYTES // 8, np.int64)
    slots = []
    for slot in frame.arguments.slots:
        if isinstance(slot, Number):
            slots.append(slot.size)
        elif isinstance(slot, Limit):
            array = arrays[slot.of.value]
            slots.append(array.ctypes.data + (array.nbytes if slot.end else 0))
        elif isinstance(slot, Address):
            slots.append(arrays[slot.value].ctypes.data)
        else:
            slots.append((stray if len(slots) == 0 else refuge).ctypes.data)
    table = np.array(slots, np.int64)
    [code] = compiled([module.text])
    ctypes.CFUNCTYPE(None, *[ctypes.c_int64] * 4)(code.address)(table.ctypes.data, 0, 1, 0)
    assert bool(stray[0]) == outside
    places = [10 + index + stride * lane for lane in range(lanes if count is None else count)]
    if outside:
        assert (stray[0] - 1) % 2 == writes
        assert frame.arguments.slots[(stray[0] - 1) // 2] == Address(0)
        assert (whole[:10] == before[:10]).all() and (whole[30:] == before[30:]).all()
    elif writes:
        before[places] = True
        np.testing.assert_array_equal(whole, before)
    else:
        np.testing.assert_array_equal(values[: len(places)], before[places])


@pytest.mark.parametrize("dtype", [np.float32, np.bool_, np.float64])
@pytest.mark.parametrize("writes", [False, True])
@pytest.mark.parametrize("form", FORMS)
def test_what_lies_at_the_ends_is_inside_and_what_is_beyond_is_not(form, writes, dtype):
    stride, _, reach = FORMS[form]
    first, last = (0, 20 - reach) if stride > 0 else (reach - 1, 19)
    for index, outside in [(first, False), (last, False), (first - 1, True), (last + 1, True)]:
        check_access(form, dtype, index, writes=writes, outside=outside)


# Wrong kernels.


def plant_in_elementwise(monkeypatch):
    right = tiling.lane_mask

    def wrong(site, first, stop, lanes):
        return right(site, first, site.b.index(stop) + 1, lanes)

    monkeypatch.setattr(tiling, "lane_mask", wrong)


def plant_in_copies(monkeypatch):
    right = copy.copy_row

    def wrong(frame, out, source, length, steps):
        right(frame, out, source, frame.b.index(length) + 1, steps)

    monkeypatch.setattr(copy, "copy_row", wrong)


def plant_in_products(monkeypatch):
    right = panel._Width.tile

    def wrong(self, row, start, *rest):
        right(self, row, start + 1, *rest)

    monkeypatch.setattr(panel._Width, "tile", wrong)


def plant_in_rows(monkeypatch):
    right = Sweeps.plan_kept

    def wrong(self, strides, count):
        right(self, strides, count)
        self.scratch = 64

    monkeypatch.setattr(Sweeps, "plan_kept", wrong)


PLANTED = {
    "elementwise": (plant_in_elementwise, lambda x: x * 2 + 1, "multiply, add", "result"),
    "copies": (plant_in_copies, lambda x: gw.ops.flip(x, 1), "slice", "writes outside of"),
    "products": (plant_in_products, lambda x: x @ x.T, "matrix product", "reads outside of x: f32"),
    "rows": (
        plant_in_rows,
        lambda x: gw.ops.log_softmax(gw.ops.tanh(x), 1),
        "max",
        "outside of its own memory",
    ),
}


@pytest.fixture
def forget_routines():
    def forget():
        panel.panel.cache_clear()
        panel.thin_panel.cache_clear()

    yield forget
    forget()


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_kernel_that_goes_astray_is_caught_and_named(name, monkeypatch, forget_routines):
    plant, function, kernel, message = PLANTED[name]
    x = gw.input("x", ("n", 700))
    w = gw.parameter("w", np.ones(3, np.float32))
    array = np.ones((3, 700), np.float32)
    gw.compile(x, function(x), {w: w * 2}, backend="native", check="bounds")(array)
    np.testing.assert_array_equal(w.value, 2)
    plant(monkeypatch)
    forget_routines()
    wrong = gw.compile(x, function(x), {w: w * 2}, backend="native", check="bounds")
    with pytest.raises(gw.VerificationError, match=message) as caught:
        wrong(array)
    assert kernel in str(caught.value) and "test_native_bounds.py" in str(caught.value)
    np.testing.assert_array_equal(w.value, 2)


# All of it is checked.


def training_step():
    """A bit of everything: products, rows, gathers, scatters, elementwise, copies, updates."""
    x = gw.input("x", ("n",), np.int64)
    table = gw.parameter("table", np.ones((7, 6), np.float32))
    w = gw.parameter("w", np.ones((6, 35), np.float32))
    hidden = gw.ops.tanh(gw.ops.take(table, x, 0))
    loss = gw.ops.log_softmax(gw.ops.flip(hidden @ w, 1), 1).mean()
    updates = {p: p - 0.1 * gw.grad(loss, p) for p in (table, w)}
    run = gw.compile(x, [loss, gw.ops.cumsum(hidden, 0)], updates, backend="native", check="bounds")
    return run, [table, w]


def test_checked_code_computes_the_same():
    run, parameters = training_step()
    values = run(np.array([1, 6, 1]))
    assert np.isfinite(values[0])
    checked = [parameter.value for parameter in parameters]
    run, parameters = training_step()
    plain = gw.compile(
        run.compilation.built.inputs,
        list(run.compilation.built.outputs),
        run.compilation.built.updates,
        backend="native",
    )
    for one, other in zip(values, plain(np.array([1, 6, 1])), strict=True):
        np.testing.assert_array_equal(one, other)
    for one, parameter in zip(checked, run.compilation.built.updates, strict=True):
        np.testing.assert_array_equal(one, parameter.value)


def test_every_load_and_store_is_checked():
    run, _ = training_step()
    looked_at = 0
    for text in run._executor.code.objects:
        for function in text.split("\n}"):
            made = dict(re.findall(r"^  (%[\w.]+) = (.*)", function, re.MULTILINE))
            touching = re.findall(
                r"(?:\bload [^,]+, |\bstore [^,]+(?:<[^>]*>)?[^,]*, )ptr (%[\w.]+)"
                r"|@llvm\.masked\.\w+\.[^(]*\(.*?(?:ptr|x ptr>) (%[\w.]+)",
                function,
            )
            for name in (a or b for a, b in touching):
                how = made.get(name, "")
                slot = name == "%a0" or re.match(r"getelementptr i64, ptr %a0,", how)
                assert slot or re.match("select|alloca", how), (name, how)
                looked_at += not slot and not how.startswith("alloca")
    assert looked_at > 100


def test_only_native_code_is_checked():
    x = gw.input("x", (2,))
    with pytest.raises(gw.AttributeValueError, match="is for native code"):
        gw.compile(x, x + 1, backend="numpy", check="bounds")


def test_a_value_that_its_memory_is_too_small_for_is_found(monkeypatch):
    right = BoundPlan._find_fresh

    def too_small(self):
        return [((shape[0] - 1, *shape[1:]), dtype) for shape, dtype in right(self)]

    monkeypatch.setattr(BoundPlan, "_find_fresh", too_small)
    x = gw.input("x", (4, 3))
    run = gw.compile(x, gw.ops.exp(x), backend="native", check="bounds")
    with pytest.raises(gw.VerificationError, match="`exp` writes outside of %0"):
        run(np.ones((4, 3), np.float32))
