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
