"""`gw.compile`: calls, structures, sizes, state, bad input, threads."""

from __future__ import annotations

import gc
import re
import warnings
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import pytest

import graphwright as gw
from graphwright.compiler import pipeline
from graphwright.runtime.arguments import Arguments


@pytest.fixture
def linear():
    x = gw.input("x", ("batch", 3))
    w = gw.parameter("w", np.arange(6, dtype=np.float32).reshape(3, 2))
    return x, w, x @ w


def test_results_have_the_structure_of_the_outputs(linear):
    x, _, y = linear

    class Pair(NamedTuple):
        first: object
        second: object

    outputs = {"all": [y, (y * 2,)], "pair": Pair(y + 1, None)}
    result = gw.compile(x, outputs)(np.ones((1, 3)).astype(np.float32))
    assert list(result) == ["all", "pair"]
    assert isinstance(result["pair"], Pair) and result["pair"].second is None
    np.testing.assert_array_equal(result["all"][0], [[6, 9]])
    np.testing.assert_array_equal(result["all"][1][0], [[12, 18]])
    np.testing.assert_array_equal(result["pair"].first, [[7, 10]])


def test_one_compiled_function_runs_at_three_batch_sizes_without_recompiling(linear, monkeypatch):
    x, w, y = linear
    f = gw.compile(x, y)
    plan = f.plan
    monkeypatch.setattr(pipeline, "compile_graph", None)
    for batch in (1, 7, 32, 0, 7):
        array = np.random.default_rng(batch).normal(size=(batch, 3)).astype(np.float32)
        np.testing.assert_allclose(f(array), array.dot(w.value), rtol=1e-5, atol=1e-6)
    assert f.plan is plan


def test_arguments_may_be_named(linear):
    x, _, y = linear
    z = gw.input("z", ("batch", 2))
    f = gw.compile([x, z], y - z)
    a, b = np.ones((2, 3), np.float32), np.full((2, 2), 5, np.float32)
    np.testing.assert_array_equal(f(z=b, x=a), f(a, b))
    np.testing.assert_array_equal(f(a, z=b), f(a, b))


@pytest.mark.parametrize(
    ("arguments", "named", "message"),
    [
        ([np.ones(3, np.float32)] * 2, {}, "y: axis 0 is 3, expected 2"),
        ([np.ones((2, 3), np.float32)], {}, "no array for input y"),
        ([np.ones((2, 3), np.float32)] * 3, {}, "expected 2 arrays, got 3"),
        ([np.ones((2, 3), np.float32)], {"q": 1}, "there is no input named 'q'"),
        ([np.ones((2, 3), np.float32)], {"x": 1}, "input 'x' is given twice"),
        ([np.ones((2, 4), np.float32), np.ones(2, np.int64)], {}, "x: axis 1 is 4, expected 3"),
        (
            [np.ones((2, 3), np.float32), np.ones(5, np.int64)],
            {},
            "y: axis 0 is 5, expected 2 (batch: batch is 2 in x)",
        ),
        ([np.ones((2, 3)), np.ones(2, np.int64)], {}, "x: float64 can't become float32"),
        ([np.ones((2, 3), np.float32), np.ones(2)], {}, "y: float64 can't become int64"),
        ([np.array([[1, None]], object), np.ones(2)], {}, "x: an array of object is no tensor"),
        ([[[1.0], [1.0, 2.0]], np.ones(2)], {}, "x: list is not an array"),
        (["abc", np.ones(2)], {}, "x: an array of <U3 is no tensor"),
    ],
)
def test_wrong_arrays_are_named_and_change_nothing(arguments, named, message):
    x = gw.input("x", ("batch", 3))
    y = gw.input("y", ("batch",), dtype=gw.int64)
    w = gw.parameter("w", np.zeros(3, np.float32))
    step = gw.compile([x, y], (x * w).sum(), updates={w: w + 1 + y.sum().astype("float32")})
    if arguments[0] is not None and message.startswith("y: axis 0 is 3"):
        arguments = [np.ones((2, 3), np.float32), np.ones(3, np.int64)]
    with pytest.raises(gw.InputError, match=re.escape(message)):
        step(*arguments, **named)
    np.testing.assert_array_equal(w.value, np.zeros(3))


def test_arrays_of_every_layout_are_accepted():
    x = gw.input("x", ("rows", "columns"))
    f = gw.compile(x, x * 2 + 1)
    plain = np.arange(12, dtype=np.float32).reshape(3, 4)
    frozen = plain.copy()
    frozen.flags.writeable = False
    layouts = {
        "Fortran": np.asfortranarray(plain),
        "strided": np.repeat(plain, 2, axis=1)[:, ::2],
        "reversed": plain[::-1][::-1],
        "read-only": frozen,
        "big-endian": plain.astype(">f4"),
        "float16": plain.astype(np.float16),
        "list": plain.tolist(),
    }
    for name, array in layouts.items():
        np.testing.assert_array_equal(f(array), plain * 2 + 1, err_msg=name)


def test_kernels_get_contiguous_arrays_whatever_came_before():
    arguments = Arguments([gw.input("x", ("rows", "columns"))])
    plain = np.arange(12, dtype=np.float32).reshape(3, 4)
    shifted = np.frombuffer(b"." + plain.tobytes(), np.uint8)[1:].view(np.float32).reshape(3, 4)
    for array in (plain, plain, np.asfortranarray(plain), plain[::-1][::-1], shifted):
        (bound,), sizes = arguments.bind([array], {})
        assert bound.flags.c_contiguous and bound.flags.aligned
        assert sizes == {"rows": 3, "columns": 4}
        np.testing.assert_array_equal(bound, plain)
    assert arguments.bind([plain], {})[0][0] is plain


def test_zero_size_arrays_work():
    x = gw.input("x", ("n", 3))
    f = gw.compile(x, {"sum": x.sum(), "rows": x.sum(axis=1), "exp": gw.ops.exp(x)})
    result = f(np.empty((0, 3), np.float32))
    assert result["sum"] == 0 and result["rows"].shape == (0,) and result["exp"].shape == (0, 3)


def test_results_are_the_callers_own(linear):
    x, w, y = linear
    f = gw.compile(x, [y, y, x, w, y * 1])
    array = np.ones((2, 3), np.float32)
    first = f(array)
    kept = [result.copy() for result in first]
    for result in first:
        result += 100
    for again, expected in zip(f(array), kept, strict=True):
        np.testing.assert_array_equal(again, expected)
    np.testing.assert_array_equal(array, np.ones((2, 3)))
    np.testing.assert_array_equal(w.value, np.arange(6).reshape(3, 2))


def test_interpreted_results_are_the_callers_own(linear):
    x, w, _ = linear
    array = np.ones((2, 3), np.float32)
    (same, turned, parameter), _ = gw.interpret(gw.Graph([x], [x, x.T, w]), array)
    for result in (same, turned, parameter):
        result += 1
    np.testing.assert_array_equal(array, np.ones((2, 3)))
    np.testing.assert_array_equal(turned, np.full((3, 2), 2))
    np.testing.assert_array_equal(w.value, np.arange(6).reshape(3, 2))


def test_updates_read_the_old_values_and_change_all_parameters_together():
    a = gw.parameter("a", np.float32(1))
    b = gw.parameter("b", np.float32(2))
    swap = gw.compile([], a + b, updates={a: b, b: a})
    assert swap() == 3
    assert (a.value, b.value) == (2, 1)


def test_a_step_that_fails_leaves_every_parameter_as_it_was():
    x = gw.input("x", ("n",), dtype=gw.int64)
    w = gw.parameter("w", np.zeros(2, np.float32))
    v = gw.parameter("v", np.arange(3, dtype=np.float32))
    step = gw.compile(x, gw.ops.take(v, x, axis=0), updates={w: w + 1, v: v * 2})
    with pytest.raises(gw.GraphwrightError, match="take"):
        step(np.array([7]))
    np.testing.assert_array_equal(w.value, [0, 0])
    np.testing.assert_array_equal(v.value, [0, 1, 2])
    step(np.array([2]))
    np.testing.assert_array_equal(w.value, [1, 1])


def test_a_value_read_before_a_step_stays_as_it_was_and_is_read_only():
    w = gw.parameter("w", np.zeros(2, np.float32))
    step = gw.compile([], w.sum(), updates={w: w + 1})
    before = w.value
    step()
    np.testing.assert_array_equal(before, [0, 0])
    np.testing.assert_array_equal(w.value, [1, 1])
    with pytest.raises(ValueError, match="read-only"):
        w.value[0] = 5
    w.value = [3.0, 4.0]
    assert step() == 7
    with pytest.raises(gw.InputError, match="expected shape"):
        w.value = np.zeros(3, np.float32)


def test_calls_from_several_threads_agree_with_calls_from_one(linear):
    x, _, y = linear
    f = gw.compile(x, gw.ops.exp(-(y * y)).sum(axis=1))
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=(n % 5 + 1, 3)).astype(np.float32) for n in range(200)]
    expected = [f(array) for array in arrays]
    with ThreadPoolExecutor(8) as pool:
        for got, wanted in zip(pool.map(f, arrays), expected, strict=True):
            np.testing.assert_array_equal(got, wanted)


def test_steps_from_several_threads_lose_no_update():
    w = gw.parameter("w", np.zeros(1000, np.float32))
    step = gw.compile([], w[0], updates={w: w + 1})
    with ThreadPoolExecutor(8) as pool:
        seen = sorted(int(future.result()) for future in [pool.submit(step) for _ in range(400)])
    assert seen == list(range(400))
    np.testing.assert_array_equal(w.value, np.full(1000, 400))


def test_sizes_that_no_input_tells_are_refused():
    x = gw.input("x", (3,))
    with pytest.raises(gw.GraphError, match="no input tells the size of dimension k"):
        gw.compile(x, gw.ops.broadcast_to(x, (gw.dim("k"), 3)))
    twice = gw.input("y", (2 * gw.dim("n"),))
    assert gw.compile(twice, twice.sum())(np.ones(6, np.float32)) == 6
    with pytest.raises(gw.InputError, match="axis 0 is 5"):
        gw.compile(twice, twice.sum())(np.ones(5, np.float32))
    product = gw.input("z", (gw.dim("n") * gw.dim("m"),))
    with pytest.raises(gw.InputError, match="no input tells the size of m, n"):
        gw.compile(product, product.sum())(np.ones(6, np.float32))


def test_what_is_no_graph_is_refused(linear):
    x, w, y = linear
    with pytest.raises(gw.GraphError, match="depends on input 'x', which is not listed"):
        gw.compile([], y)
    with pytest.raises(gw.GraphError, match="inputs and outputs must be tensors"):
        gw.compile(x, [y, 3.0])
    with pytest.raises(gw.GraphError, match="two inputs or parameters are named 'x'"):
        gw.compile([x, gw.input("x", ())], y)
    with pytest.raises(gw.GraphError, match="the update of parameter 'w' has another type"):
        gw.compile(x, y, updates={w: w.sum()})
    with pytest.raises(gw.GraphError, match="only parameters can be updated"):
        gw.compile(x, y, updates={x: x})
    with pytest.raises(gw.AttributeValueError, match="there is no backend 'cuda'"):
        gw.compile(x, y, backend="cuda")


def test_a_parameter_without_a_value_is_named_when_it_is_needed():
    graph = gw.parse(
        "graph(x: f32[2]) {\n  parameter w: f32[2]\n  %0: f32[2] = add(x, w)\n  return %0\n}"
    )
    f = gw.compile(graph.inputs, graph.outputs)
    with pytest.raises(gw.InputError, match="parameter 'w' has no value"):
        f(np.ones(2, np.float32))
    graph.parameters[0].value = np.ones(2, np.float32)
    np.testing.assert_array_equal(f(np.ones(2, np.float32))[0], [2, 2])


def test_stages_are_printed_by_name(linear):
    x, _, y = linear
    f = gw.compile(x, (gw.ops.exp(y) + 1).sum())
    assert gw.parse(f.text("built")) == f.stages["built"]
    assert "fused" in f.text("fused")
    assert "arena 0" in f.text() and "result 0" in f.text()
    assert "test_compile.py" in f.text("built", sources=True)
    with pytest.raises(gw.AttributeValueError, match="there is no stage 'fuzed'"):
        f.text("fuzed")


def test_summary_and_explanation_name_what_was_done(linear):
    x, _, y = linear
    f = gw.compile(x, gw.ops.exp(y) + 1)
    summary = f.summary(batch=10)
    assert "matmul" in summary and "f32[batch,2]" in summary
    assert "at batch=10" in summary
    # A product of 10×3 and 3×2 takes 2·10·3·2 operations, and each of 20 elements two more.
    assert "160" in summary
    assert "test_compile.py" in summary
    assert "fuse → fused" in f.explain()
    with pytest.raises(gw.AttributeValueError, match="there is no dimension rows"):
        f.summary(rows=3)


def test_axes_tell_the_sizes_of_names_in_any_order():
    n, m = gw.dim("n"), gw.dim("m")
    x, y = gw.input("x", (n * m, n)), gw.input("y", (m + 1,))
    total = gw.compile([x, y], x.sum() + y.sum())
    assert total(np.ones((6, 2), np.float32), np.ones(4, np.float32)) == 16
    only = gw.compile([gw.input("z", (n * m,)), y], y.sum())
    assert only(np.ones(6, np.float32), np.ones(4, np.float32)) == 4


def test_checks_compare_infinities_without_a_warning():
    x = gw.input("x", (3,), "float64")
    slope = gw.grad((gw.ops.exp(x) * 2).sum(), x)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        gw.compile(x, slope, check=[np.array([-np.inf, 0.0, 1000.0])])


@pytest.mark.parametrize("enabled", [True, False])
def test_garbage_is_collected_after_a_compilation_as_before_it(enabled):
    x = gw.input("x", ("n",))
    w = gw.parameter("w", np.ones(3, np.float32))
    before = gc.isenabled()
    try:
        (gc.enable if enabled else gc.disable)()
        gw.compile(x, x + 1)
        assert gc.isenabled() == enabled
        with pytest.raises(gw.GraphError):
            gw.compile([], x + w.sum())
        assert gc.isenabled() == enabled
    finally:
        (gc.enable if before else gc.disable)()
