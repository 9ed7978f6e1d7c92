"""Native plans: what they do beside what each step's own tests say."""

import numpy as np
import pytest
from support.fusion import mixing

import graphwright as gw


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
