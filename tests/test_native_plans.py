"""Native plans: what they do beside what each step's own tests say."""

import numpy as np
import pytest
from support.fusion import mixing
from support.native_graphs import check_steps
from support.sketch import elements

import graphwright as gw
from graphwright.compiler.native import generate
from graphwright.compiler.native.math import FUNCTIONS
from graphwright.graph.dim import names_of
from graphwright.graph.graph import Graph


@pytest.mark.parametrize("n", [0, 1, 3])
def test_steps_on_numpy_read_views_of_constants_and_of_nothing(n):
    x = gw.input("x", ("n", 2))
    table = gw.constant(np.array([1, 2], np.float32))
    same = mixing(gw.ops.broadcast_to(table, x.shape))
    run = gw.compile(x, [same + mixing(x), mixing(gw.ops.flip(x, 0))], backend="native")
    array = np.arange(2 * n, dtype=np.float32).reshape(n, 2)
    first, second = run(array)
    np.testing.assert_array_equal(first, np.flip(array) + np.array([2, 1]))
    np.testing.assert_array_equal(second, array[:, ::-1])


def test_values_that_rows_keep_for_later_are_kept_apart():
    x = gw.input("x", (3, 5), np.float64)
    first = gw.ops.tanh(x)
    second = gw.ops.sigmoid(first)
    third = gw.ops.exp(second - second.max(0, keepdims=True))
    result = third / third.sum(0, keepdims=True) * second * first
    array = np.linspace(-2, 2, 15).reshape(3, 5)
    native, plain = (gw.compile(x, result, backend=b)(array) for b in ("native", "numpy"))
    np.testing.assert_allclose(native, plain, rtol=1e-14)


def test_a_step_that_calls_an_unknown_function_runs_on_numpy(monkeypatch):
    known = {name: function for name, function in FUNCTIONS.items() if name != "exp"}
    monkeypatch.setattr(generate, "FUNCTIONS", known)
    x = gw.input("x", (3,))
    run = gw.compile(x, gw.ops.exp(x) + 1, backend="native")
    np.testing.assert_array_equal(run(np.zeros(3, np.float32)), 2)
    assert [step.reason for step in run._executor.code.steps] == ["there is no vector function exp"]


ONE = [
    (("n", 4), (4, 1)),
    ((1, 4), (4, "n")),
    ((1, 4), (4, 1)),
    (("b", "n", 4), ("b", 4, 1)),
    (("b", 1, 4), ("b", 4, 1)),
    ((2, 1, 4), (2, 4, 1)),
]


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize(("left", "right"), ONE)
def test_products_of_one_row_or_column_are_worked_on(left, right, dtype):
    x, y = gw.input("x", left, dtype), gw.input("y", right, dtype)
    z = gw.input("z", (x @ y).shape, dtype)
    graph = Graph([x, y, z], [gw.ops.tanh(x @ y) * 2 + z])
    known = names_of(size for tensor in graph.inputs for size in tensor.shape)
    for n in (1, 17):
        sizes = {name: size for name, size in {"n": n, "b": 3}.items() if name in known}
        random = np.random.default_rng(n)
        arrays = [elements(tensor.type.bind(sizes), random) for tensor in graph.inputs]
        check_steps(graph, arrays, sizes)


@pytest.mark.parametrize("shape", [(2, 0, 0), (2, 3, 0), (0, 3, 2), (2, 0, 3), (0, 0, 0)])
def test_rows_of_no_elements_write_nothing(shape):
    x = gw.input("x", shape)
    for axis in (0, 1, 2):
        total = gw.ops.exp(x).sum(axis, keepdims=True)
        outputs = [gw.ops.log(total), gw.ops.exp(x) / (total + 1)]
        run, plain = (
            gw.compile(x, outputs, backend=backend, check=check)
            for backend, check in [("native", "bounds"), ("numpy", False)]
        )
        array = np.zeros(shape, np.float32)
        for native, right in zip(run(array), plain(array), strict=True):
            np.testing.assert_array_equal(native, right)


def test_what_is_read_once_for_a_loop_of_no_rounds_is_not_read():
    x, scale = gw.input("x", (0, 2, 2)), gw.input("scale", (1, 1, 1))
    parts = gw.ops.split(gw.ops.broadcast_to(scale, (0, 2, 2)), (0, 0), 0)
    run = gw.compile(
        [x, scale], gw.ops.exp(x) + parts[0] + parts[1], backend="native", check="bounds"
    )
    assert run(*(np.ones(t.shape, np.float32) for t in (x, scale))).shape == (0, 2, 2)


def test_equal_plans_have_equal_texts_and_so_do_products_of_other_sizes():
    def texts(inputs, outputs):
        x = gw.input("x", ("n", inputs))
        w = gw.parameter("w", np.ones((inputs, outputs), np.float32))
        loss = gw.ops.tanh(x @ w).mean()
        run = gw.compile(x, loss, gw.nn.Adam(0.1).updates(loss, [w]), backend="native")
        return set(run._executor.code.objects)

    first = texts(96, 64)
    assert [texts(96, 64) for _ in range(3)] == [first] * 3
    assert texts(160, 128) == first
