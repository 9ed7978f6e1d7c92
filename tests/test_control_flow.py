"""Branches and loops: values, derivatives and errors."""

from __future__ import annotations

import re

import numpy as np
import pytest
from support.loops import rnn, rnn_inputs, value

import graphwright as gw
from graphwright.graph.graph import Graph

RANDOM = np.random.default_rng(0)


# Cond.


def test_only_the_chosen_branch_runs():
    x = gw.input("x", (), "int64")
    table = gw.constant([1.0, 2.0, 4.0])
    # `take` raises when the index is out of range.
    y = gw.cond(x < 3, lambda: gw.ops.take(table, x, 0), lambda: gw.constant(-1.0))
    assert value(y, {x: 2}) == 4
    assert value(y, {x: 7}) == -1


@pytest.mark.parametrize("positive", [True, False])
def test_the_gradient_of_a_branch_is_that_of_the_one_chosen(positive):
    x, w = gw.input("x", ("n",), "float64"), gw.input("w", (), "float64")
    y = gw.cond(w > 0, lambda a: (a * w * 3).sum(), lambda a: (a**3).sum(), x)
    dx, dw = gw.grad(y, [x, w])
    a, b = RANDOM.normal(size=4), 2.0 if positive else -2.0
    found = value([dx, dw], {x: a, w: b})
    np.testing.assert_allclose(found[0], [3 * b] * 4 if positive else 3 * a**2)
    np.testing.assert_allclose(found[1], 3 * a.sum() if positive else 0)


def test_branches_give_structures():
    x = gw.input("x", (2,), "float64")
    y = gw.cond(
        x.sum() > 0,
        lambda a: {"up": a["x"], "both": (a["x"], a["x"] * 2)},
        lambda a: {"up": -a["x"], "both": (a["x"], a["x"])},
        {"x": x},
    )
    up, (_, twice) = y["up"], y["both"]
    np.testing.assert_array_equal(value(up, {x: [-1.0, -2.0]}), [1, 2])
    np.testing.assert_array_equal(value(twice, {x: [1.0, 2.0]}), [2, 4])


def test_a_branch_within_a_branch():
    x = gw.input("x", (), "float64")
    size = gw.cond(
        x > 0,
        lambda: gw.cond(x > 10, lambda: x * x, lambda: x),
        lambda: gw.cond(x < -10, lambda: -x * x, lambda: -x),
    )
    slope = gw.grad(size, x)
    for at, wanted, its_slope in [(20, 400, 40), (2, 2, 1), (-2, 2, -1), (-20, -400, 40)]:
        assert value([size, slope], {x: float(at)}) == [wanted, its_slope]


def test_branches_of_different_types_are_refused_with_both_sides():
    x = gw.input("x", (3,))
    with pytest.raises(gw.ShapeError) as caught:
        gw.cond(x.sum() > 0, lambda: x, lambda: x.sum())
    message = str(caught.value)
    assert "output 0 is f32[3] if true, f32[] if false" in message
    assert "then       x: f32[3]" in message and "otherwise  ·: f32[]" in message
    assert "test_control_flow.py" in message and "hint: " in message
    with pytest.raises(gw.DTypeError, match=r"f32\[3\] if true, i32\[3\] if false"):
        gw.cond(x.sum() > 0, lambda: x, lambda: x.astype("int32"))
    with pytest.raises(gw.GraphError, match=r"then gives \(·, ·\), otherwise gives ·"):
        gw.cond(x.sum() > 0, lambda: (x, x), lambda: x)
    with pytest.raises(gw.DTypeError, match=r"the condition must be bool\[\], got bool\[3\]"):
        gw.cond(x > 0, lambda: x, lambda: x)


# Scan.


def rnn_by_hand(x, h, w, u):
    rows = []
    for row in x:
        h = np.tanh(row @ w + h @ u)
        rows.append(h)
    return h, np.array(rows).reshape(len(x), len(h))


def rnn_arrays(time):
    return [RANDOM.normal(size=shape) * 0.5 for shape in [(time, 3), (2,), (3, 2), (2, 2)]]


@pytest.mark.parametrize("time", [0, 1, 5])
def test_a_scan_is_its_steps_one_after_another(time):
    inputs, arrays = rnn_inputs(), rnn_arrays(time)
    found = value(list(rnn(*inputs)), dict(zip(inputs, arrays, strict=True)))
    for one, other in zip(found, rnn_by_hand(*arrays), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12)


def test_the_gradient_of_a_scan_is_that_of_the_steps_written_out():
    inputs, arrays = rnn_inputs(), rnn_arrays(4)
    feed = dict(zip(inputs, arrays, strict=True))
    last, rows = rnn(*inputs)
    found = value(gw.grad((rows**2).sum() + last.sum(), inputs), feed)
    x, h, w, u = gw.input("x4", (4, 3), "float64"), *inputs[1:]
    state, total = h, 0
    for i in range(4):
        state = gw.ops.tanh(x[i] @ w + state @ u)
        total = total + (state**2).sum()
    wanted = value(
        gw.grad(total + state.sum(), [x, h, w, u]), dict(zip([x, h, w, u], arrays, strict=True))
    )
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-10)


def test_a_scan_from_the_end_keeps_places():
    x = gw.input("x", ("n",), "float64")
    _, sums = gw.scan(lambda s, v: (s + v, s + v), np.float64(0), x, reverse=True)
    np.testing.assert_array_equal(value(sums, {x: [1.0, 2.0, 3.0]}), [6, 5, 3])
    np.testing.assert_array_equal(value(gw.grad(sums.sum(), x), {x: [1.0, 2.0, 3.0]}), [1, 2, 3])


def test_the_number_of_steps_may_be_symbolic_without_sequences():
    x, n = gw.input("x", ("n",), "float64"), gw.dim("n")
    power, _ = gw.scan(lambda s, _: (s * x[0], None), np.float64(1), length=n + 1)
    assert value(power, {x: [3.0, 0.0]}) == 27
    assert value(gw.grad(power, x), {x: [3.0, 0.0]})[0] == 27  # 3 x²


def test_a_scan_within_a_scan_and_its_second_derivative():
    x, w = gw.input("x", (2, 3), "float64"), gw.input("w", (), "float64")

    def outer(total, row):
        inner, _ = gw.scan(lambda s, v: (gw.ops.sin(s * w + v), None), total, row)
        return inner, inner

    last, _ = gw.scan(outer, np.float64(0.5), x)
    first = gw.grad(last, w)
    second = gw.grad(first, w)

    def by_hand(weight):
        s = 0.5
        for v in array.ravel():
            s = np.sin(s * weight + v)
        return s

    array, at, h = RANDOM.normal(size=(2, 3)), 0.7, 1e-4
    found = value([last, first, second], {x: array, w: at})
    np.testing.assert_allclose(found[0], by_hand(at))
    np.testing.assert_allclose(found[1], (by_hand(at + h) - by_hand(at - h)) / (2 * h), rtol=1e-6)
    curvature = (by_hand(at + h) - 2 * by_hand(at) + by_hand(at - h)) / h**2
    np.testing.assert_allclose(found[2], curvature, rtol=1e-5)


def test_parameters_are_used_and_updated_around_loops():
    x = gw.input("x", ("n", 2), "float64")
    w = gw.parameter("w", np.eye(2))
    last, _ = gw.scan(lambda h, row: (h @ w + row, None), gw.ops.zeros((2,), "float64"), x)
    loss = (last**2).sum()
    step = gw.compile(x, loss, {w: w - 0.01 * gw.grad(loss, w)}, check=True)
    rows = RANDOM.normal(size=(3, 2))
    first, second = step(rows), step(rows)
    assert second < first


def test_what_is_carried_must_come_out_as_it_goes_in():
    x = gw.input("x", ("n", 3))
    start = gw.ops.zeros((3,))
    with pytest.raises(gw.ShapeError) as caught:
        gw.scan(lambda h, row: (gw.ops.concatenate([h, row], 0), None), start, x)
    message = str(caught.value)
    assert "scan: state starts as f32[3], and a step makes f32[6] of it" in message
    assert re.search(r"start  .*f32\[3\] .*made at test_control_flow", message)
    assert re.search(r"after  .*f32\[6\] .*made at test_control_flow.py.* by concatenate", message)
    with pytest.raises(gw.DTypeError, match=r"state\['h'\] starts as f32\[3\], .* makes f64\[3\]"):
        gw.scan(lambda s, row: ({"h": s["h"].astype("float64")}, None), {"h": start}, x)
    with pytest.raises(gw.GraphError, match=r"state starts as ·, and a step makes \(·, ·\) of it"):
        gw.scan(lambda h, row: ((h, h), None), start, x)
    with pytest.raises(gw.GraphError, match="the function gives Tensor, not a pair"):
        gw.scan(lambda h, row: h, start, x)
    with pytest.raises(gw.ShapeError, match="sequence 1 has m places, where n are expected"):
        gw.scan(lambda h, rows: (h, None), start, (x, gw.input("y", ("m", 3))))
    with pytest.raises(gw.AttributeValueError, match="there are no sequences"):
        gw.scan(lambda h, _: (h, None), start)
    with pytest.raises(gw.AttributeValueError, match="the length is -1: it can't be negative"):
        gw.scan(lambda h, _: (h, None), start, length=-1)
    with pytest.raises(gw.AttributeValueError, match=r"scan: length must be a size or None"):
        gw.scan(lambda h, _: (h, None), start, length=x.sum())
    with pytest.raises(gw.ShapeError, match="sequence 0 has rank 0"):
        gw.scan(lambda h, _: (h, None), start, x.sum())


# While loops.


def newton(n, **options):
    return gw.while_loop(
        lambda x: gw.ops.abs(x * x - n) > 1e-13 * n, lambda x: (x + n / x) / 2, n, **options
    )


def test_a_loop_goes_on_while_its_condition_holds():
    n = gw.input("n", (), "float64")
    assert value(newton(n), {n: 2.0}) == pytest.approx(2**0.5, rel=1e-14)
    assert value(newton(n, bound=1), {n: 2.0}) == 1.5
    assert value(newton(n, bound=0), {n: 2.0}) == 2


def test_a_bounded_loop_has_gradients_of_both_modes_and_orders():
    n = gw.input("n", (), "float64")
    root = newton(n, bound=30)
    first = gw.grad(root, n)
    found = value([first, gw.jvp(root, n, np.float64(1)), gw.grad(first, n)], {n: 3.0})
    np.testing.assert_allclose(found, [0.5 * 3**-0.5, 0.5 * 3**-0.5, -0.25 * 3**-1.5], rtol=1e-9)


def test_an_unbounded_loop_has_forward_mode_and_says_so_for_reverse():
    n = gw.input("n", (), "float64")
    root = newton(n)
    assert value(gw.jvp(root, n, np.float64(1)), {n: 2.0}) == pytest.approx(0.5 * 2**-0.5)
    with pytest.raises(gw.GradientError, match="a loop without a bound") as caught:
        gw.grad(root, n)
    assert "test_control_flow.py" in str(caught.value) and "bound" in str(caught.value.hint)


def test_steps_after_the_condition_failed_send_no_nan_back():
    x = gw.input("x", (), "float64")
    # Once x is 0, a step would divide by it.
    y = gw.while_loop(lambda s: s > 0, lambda s: s - s / gw.ops.sqrt(s), x, bound=5)
    assert value([y, gw.grad(y, x)], {x: 1.0}) == [0, 0.5]


def test_loops_refuse_what_they_can_not_run():
    x = gw.input("x", (3,))
    with pytest.raises(gw.DTypeError, match=r"the condition gives bool\[3\], not bool\[\]"):
        gw.while_loop(lambda s: s > 0, lambda s: s, x)
    with pytest.raises(gw.ShapeError, match=r"state\[0\] starts as f32\[3\], .* f32\[\] of it"):
        gw.while_loop(lambda s: s[0].sum() > 0, lambda s: (s[0].sum(),), (x,))
    with pytest.raises(gw.GraphError, match=r"the condition gives \(·, ·\), not one tensor"):
        gw.while_loop(lambda s: (s.sum() > 0, s.sum() < 9), lambda s: s, x)
    with pytest.raises(gw.AttributeValueError, match=r"while_loop: bound must be a size or None"):
        gw.while_loop(lambda s: s.sum() > 0, lambda s: s, x, bound=2.5)
    with pytest.raises(gw.GraphError, match="there is no state"):
        gw.while_loop(lambda s: s, lambda s: s, ())


# Graphs deep within graphs.


def test_branches_within_branches_go_deep_and_have_an_end():
    x = gw.input("x", (), "float64")

    def chain(v, depth):
        return v if depth == 0 else gw.cond(v > 0, lambda: chain(v - 1, depth - 1), lambda: v)

    y = chain(x, 60)
    graph = Graph([x], [y, gw.grad(y, x)])
    assert gw.parse(gw.text(graph)) == graph
    assert value(list(graph.outputs), {x: 7.5}) == [-0.5, 1]
    with pytest.raises(gw.GraphError, match="more than 64 deep in each other") as caught:
        chain(x, -1)  # which never ends
    assert "calls itself" in str(caught.value.hint)
    assert "test_control_flow.py" in str(caught.value)


def test_gradients_of_loops_within_loops_have_an_end_too():
    x = gw.input("x", (), "float64")

    def loops(depth, v):
        if not depth:
            return v * v
        return gw.while_loop(lambda s: s < 3, lambda s: loops(depth - 1, s), v, bound=1)

    assert value(gw.grad(loops(5, x), x), {x: 2.0}) == 4
    # The gradient of each is a branch within a loop.
    with pytest.raises(gw.GraphError, match="cond: branches and loops lie more than 64 deep"):
        gw.grad(loops(40, x), x)


def test_the_work_of_many_branches_is_counted_soon():
    x = gw.input("x", ("n", "m"))

    def chain(depth):
        if not depth:
            return x
        squared = lambda: x @ gw.ops.transpose(x) @ x  # noqa: E731
        return gw.cond(x.sum() > depth, squared, lambda: chain(depth - 1))

    assert "work " in gw.compile(x, chain(40)).summary()


# Many at once.


def test_loops_and_branches_batch():
    n = gw.input("n", ("many",), "float64")
    roots = gw.vmap(lambda v: newton(v, bound=40))(n)
    np.testing.assert_allclose(value(roots, {n: [2.0, 1.0, 100.0]}), [2**0.5, 1, 10])
    signs = gw.vmap(lambda v: gw.cond(v > 1, lambda: v * 2, lambda: -v))(n)
    np.testing.assert_array_equal(value(signs, {n: [2.0, 1.0]}), [4, -1])
    inputs, arrays = rnn_inputs(), rnn_arrays(3)
    several = gw.input("several", ("many", "time", 3), "float64")
    rows = gw.vmap(lambda x: rnn(x, *inputs[1:])[1])(several)
    batch = RANDOM.normal(size=(2, 3, 3))
    found = value(rows, {several: batch, **dict(zip(inputs[1:], arrays[1:], strict=True))})
    for one, x in zip(found, batch, strict=True):
        np.testing.assert_allclose(one, rnn_by_hand(x, *arrays[1:])[1], rtol=1e-12)


# Structures, and what starts as a Python number.


def test_dicts_mean_the_same_in_any_order():
    s = gw.input("s", (), "float64")
    start = {"a": s, "b": s * 0}

    def turned(state):
        return {"b": state["b"] + 1, "a": state["a"]}

    scanned, _ = gw.scan(lambda state, _: (turned(state), None), start, length=2)
    looped = gw.while_loop(lambda state: state["b"] < 2, turned, start, bound=5)
    for state in (scanned, looped):
        assert value([state["a"], state["b"]], {s: 5.0}) == [5, 2]
    chosen = gw.cond(s > 0, lambda: start, lambda: turned(start))
    for at, wanted in ((5.0, [5, 0]), (-5.0, [-5, 1])):
        assert value([chosen["a"], chosen["b"]], {s: at}) == wanted
    nested, _ = gw.scan(lambda state, _: ([turned(state[0])], None), [start], length=2)
    assert value([nested[0]["a"], nested[0]["b"]], {s: 5.0}) == [5, 2]


def test_python_numbers_start_as_what_a_step_makes_of_them():
    x = gw.input("x", ("n",), "float64")
    (total, count), _ = gw.scan(
        lambda state, row: ((state[0] + row, state[1] + 1), None), (0, 0), x
    )
    assert (total.dtype, count.dtype) == (gw.float64, gw.int64)
    assert value([total, count], {x: [1.5, 2.0]}) == [3.5, 2]
    product = gw.while_loop(lambda y: y < 10, lambda y: y * x[0], 1.0)
    assert product.dtype == gw.float64
    assert value(product, {x: [3.0]}) == 27
    # One that becomes floating makes another so.
    a, b = gw.while_loop(lambda s: s[0] < 10, lambda s: (s[1], s[1] + x.sum()), (0, 1))
    assert value([a, b], {x: [1.0, 3.0]}) == [13, 17]
    with pytest.raises(gw.DTypeError, match=r"state starts as bool\[\], and a step makes i64"):
        gw.while_loop(lambda y: y < 10, lambda y: y + 1, True)
    with pytest.raises(gw.DTypeError, match=r"state starts as i64\[\], and a step makes bool"):
        gw.while_loop(lambda y: y < 10, lambda y: y > 1, 1)
    with pytest.raises(gw.DTypeError, match=r"state starts as f32\[\], and a step makes f64") as no:
        gw.while_loop(lambda y: y < 10, lambda y: y * x[0], np.float32(1))
    assert 'the start with .astype("float64")' in str(no.value)
    with pytest.raises(gw.DTypeError, match=r"state starts as f64\[\], and a step makes f32") as no:
        gw.while_loop(lambda y: y < 10, lambda y: 1.0, x[0])
    assert 'what a step makes with .astype("float64")' in str(no.value)


def test_a_branch_must_be_a_function():
    x = gw.input("x", ())
    with pytest.raises(gw.GraphError, match=r"needs a function, got <x: f32\[\]>") as caught:
        gw.cond(x > 0, x, -x)
    assert "hint: make it one: lambda: x" in str(caught.value)
    for each in (gw.vmap, gw.checkpoint, gw.custom_gradient):
        with pytest.raises(gw.GraphError, match=rf"{each.__name__}: needs a function, got <x: f32"):
            each(x)


def test_what_is_carried_out_of_a_loop_in_secret_is_told():
    x, secret = gw.input("x", ("n",)), []
    gw.scan(lambda state, row: (secret.append(row) or state, None), 0.0, x)
    with pytest.raises(gw.GraphError, match="input 'x1', which is not listed") as caught:
        gw.compile(x, secret[0])
    assert "arguments of functions for loops" in str(caught.value)
