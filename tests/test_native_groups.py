"""Fused groups in native code: loops over any space, rows of any kind, long axes in parts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

import graphwright as gw
from graphwright.compiler.native.partial import PART

RNG = np.random.default_rng(0)


def drawn(*shape, dtype=np.float32):
    values = RNG.standard_normal(shape) * (30 if np.dtype(dtype).kind == "i" else 1)
    return values.astype(dtype)


def check(inputs, outputs, arrays, tolerance=1e-5, steps=None):
    """Native is NumPy's; every step is native, and there are so many kernels."""
    outputs = outputs if isinstance(outputs, Sequence) else [outputs]
    native = gw.compile(inputs, outputs, backend="native")
    wanted = gw.compile(inputs, outputs, backend="numpy")(*arrays)
    for _ in range(2):  # again in the same arena
        for got, expected in zip(native(*arrays), wanted, strict=True):
            assert (got.dtype, got.shape) == (expected.dtype, expected.shape)
            largest = np.abs(expected).max(initial=1, where=np.isfinite(expected))
            np.testing.assert_allclose(got, expected, tolerance, tolerance * largest)
    code = [step for step in native._executor.code.steps if step.kernels or step.reason]
    assert not [step.reason for step in code if step.reason]
    if steps is not None:
        assert [len(step.kernels) for step in code] == steps


def softmax(x, axis):
    e = gw.ops.exp(x - x.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


def normed(x, axis):
    centered = x - x.mean(axis, keepdims=True)
    return centered / gw.ops.sqrt((centered * centered).mean(axis, keepdims=True) + 1e-5)


@pytest.mark.parametrize("size", [0, 1, 3, 15, 16, 17, 64, 1000, 16384, 16385, 40000])
def test_a_dense_loop_of_any_length(size):
    x, y = gw.input("x", ("n",)), gw.input("y", ("n",))
    check([x, y], [x * y + 1, x > y], [drawn(size), drawn(size)], steps=[1])


def test_loops_of_one_shape_and_another_share_their_code():
    x, y = gw.input("x", (100,)), gw.input("y", (7, 30))
    f = gw.compile([x, y], [x * 2 + 1, y * 2 + 1], backend="native")
    assert len(f._executor.code.objects) == 1


@pytest.mark.parametrize("shape", [(4, 10), (1, 10), (5, 1), (3, 40, 17), (2, 3, 4, 5)])
def test_operands_are_broadcast_and_read_in_any_order(shape):
    x = gw.input("x", shape)
    row = gw.input("row", shape[-1:])
    column = gw.input("column", (shape[0],) + (1,) * (len(shape) - 1))
    turned = gw.ops.transpose(x * column + row)
    arrays = [drawn(*shape), drawn(*shape[-1:]), drawn(*column.shape)]
    check([x, row, column], [x * column + row, turned * 2 - 1], arrays)


@pytest.mark.parametrize("dtype", ["i1", "u2", "i4", "i8", "f2", "f4", "f8"])
def test_every_kind_of_number(dtype):
    x = gw.input("x", ("n", 19), np.dtype(dtype))
    outputs = [gw.ops.maximum(x, 3) + x, x.sum(0), x.max(1), gw.ops.any(x > 2, 1)]
    check([x], outputs, [drawn(70, 19, dtype=dtype)], 1e-2 if dtype == "f2" else 1e-5)


@pytest.mark.parametrize("size", [1, 7, 16, 33, 64, 65, 300])
@pytest.mark.parametrize("function", [softmax, normed])
def test_rows_short_and_long(function, size):
    x = gw.input("x", ("n", size))
    check([x], [function(x, 1)], [drawn(23, size)], 1e-4, steps=[1])


@pytest.mark.parametrize("axis", [0, 1, 2, (0, 1), (0, 2), (1, 2), (0, 1, 2)])
@pytest.mark.parametrize("function", [softmax, normed])
def test_rows_along_any_axes(function, axis):
    x = gw.input("x", ("n", 5, 20))
    check([x], [function(x, axis)], [drawn(7, 5, 20)], 1e-4, steps=[1])


@pytest.mark.parametrize("rows", [1, 3, 100, 5000])
@pytest.mark.parametrize("columns", [1, 10, 300])
@pytest.mark.parametrize("known", [True, False])
def test_long_axes_are_folded_in_parts(rows, columns, known):
    x = gw.input("x", (rows if known else "n", columns))
    v = gw.input("v", (columns,))
    above = gw.ops.where(x > 0, x, 0.0) * 2
    outputs = [above, above.sum(0) * v + 1, x.max(0), (x * v).sum()]
    check([x, v], outputs, [drawn(rows, columns), drawn(columns)], 1e-4)


def test_a_long_vector_is_folded_by_two_kernels():
    x = gw.input("x", (5 * PART,))
    check([x], [(x * x).sum() / 3], [drawn(5 * PART)], 1e-4, steps=[2])


def test_what_a_later_sweep_needs_is_kept():
    x = gw.input("x", ("n", 500))
    e = gw.ops.exp(x)  # dear: kept from the sweep of the sum for that of the quotient
    total = e.sum(1, keepdims=True)
    check([x], [e / total, e, (e / total).max(1)], [drawn(9, 500)], 1e-4)
    check([x], [gw.ops.tanh(x / x.max(0)).sum(0)], [drawn(9, 500)], 1e-4)


def test_an_empty_axis_is_refused_as_by_numpy():
    x = gw.input("x", ("n", 3))
    f = gw.compile(x, x.max(0) + 1, backend="native")
    with pytest.raises(Exception, match="empty"):
        f(np.zeros((0, 3), np.float32))
    np.testing.assert_array_equal(f(np.ones((2, 3), np.float32)), [2, 2, 2])
    assert gw.compile(x, x.sum(0), backend="native")(np.zeros((0, 3), np.float32)).sum() == 0


def test_one_plan_serves_all_sizes_in_turn():
    x = gw.input("x", ("n", "m"))
    f = gw.compile(x, [softmax(x, 1), x.sum(0)], backend="native")
    for _ in range(2):
        for n, m in [(1, 1), (40, 3), (2, 1000), (0, 4), (1000, 2)]:
            array = drawn(n, m)
            rows, columns = f(array)
            e = np.exp(array - array.max(1, keepdims=True))
            np.testing.assert_allclose(rows, e / e.sum(1, keepdims=True), rtol=1e-5)
            np.testing.assert_allclose(columns, array.sum(0), rtol=1e-3, atol=1e-4)


def test_one_thread_and_several_give_the_same_bits():
    x = gw.input("x", ("n", 700))
    f = gw.compile(
        x, [softmax(x, 1), (x * x).sum(0), x.sum(), gw.ops.tanh(x) * 2], backend="native"
    )
    array, before = drawn(900, 700), gw.threads()
    try:
        results = []
        for count in (1, 2, 3, 1):
            gw.threads(count)
            results.append(f(array))
    finally:
        gw.threads(before)
    for others in results[1:]:
        for one, other in zip(results[0], others, strict=True):
            np.testing.assert_array_equal(one, other)


def test_long_rows_call_for_the_next_one_while_they_compute():
    """The first sweep is what reads new memory; of short rows, the CPU foresees the next one."""

    def calls(columns, result):
        x = gw.input("x", ("n", columns))
        f = gw.compile(x, result(x), backend="native")
        return "@llvm.prefetch" in f._executor.code.steps[-1].kernels[-1].text

    assert calls(300, lambda x: softmax(x, 1)) and calls("m", lambda x: softmax(x, 1))
    assert not calls(20, lambda x: softmax(x, 1))
    assert not calls(300, lambda x: x.sum(1))
    assert not calls(300, lambda x: softmax(x, 0))
