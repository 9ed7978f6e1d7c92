"""Native scattering against NumPy's: all modes, repeated indices, bad ones, any grid."""

from __future__ import annotations

import numpy as np
import pytest
from support.native_cases import TARGETS, check_cases, check_step
from support.native_steps import Step, in_halves, run_step, shuffled, together

from graphwright.compiler.native.kernel import Context
from graphwright.compiler.native.target import Target
from graphwright.graph.dim import dim
from graphwright.graph.dtype import bfloat16
from graphwright.graph.errors import InputError
from graphwright.graph.types import TensorType
from graphwright.ops.gather import ScatterAdd
from graphwright.ops.gather_nd import ScatterNd

RANDOM = np.random.default_rng(4)
MODES = ["set", "add", "mul", "max", "min"]


@pytest.mark.parametrize("operator", [ScatterAdd, ScatterNd], ids=lambda operator: operator.name)
def test_cases(operator):
    check_cases(operator)


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.cpu)
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16, np.int8, bfloat16()])
def test_updates_come_in_the_order_of_their_indices(target, dtype):
    """Rounding depends on it: results are those of NumPy to the last bit."""
    x = (RANDOM.normal(size=(11, 150)) * 10).astype(dtype)
    indices = RANDOM.integers(-11, 11, (4, 20))
    updates = (RANDOM.normal(size=(4, 20, 150)) * 10).astype(dtype)
    check_step(ScatterAdd(0), [x, indices, updates], target=target)
    check_step(ScatterAdd(0), [x, indices, np.asfortranarray(updates)], target=target)
    check_step(ScatterAdd(1), [x.T, indices, np.moveaxis(updates, 2, 0)], target=target)
    for mode in MODES:
        check_step(ScatterNd(0, mode), [x, indices[..., None], updates], target=target)


@pytest.mark.parametrize("order", [shuffled, together, in_halves])
def test_rows_in_front_are_grouped(order):
    """As in the gradient of a choice for each of many rows."""
    kinds = [
        TensorType(np.dtype(np.float32), (dim("n"), 7)),
        TensorType(np.dtype(np.int64), (dim("n"), 1, 1)),
        TensorType(np.dtype(np.float32), (dim("n"), 1)),
    ]
    for n in (0, 1, 9000):
        x, updates = (RANDOM.normal(size=(n, k)).astype(np.float32) for k in (7, 1))
        arrays = [x, RANDOM.integers(0, 7, (n, 1, 1)), updates]
        check_step(ScatterNd(1, "add"), arrays, types=kinds, sizes={"n": n}, tile_order=order)


def test_extremes_take_nan_as_numpy_does():
    x = np.array([np.nan, 1.0, 2.0, np.inf])
    indices = np.array([0, 1, 1, 2, 3, 3])
    updates = np.array([5.0, np.nan, 3.0, -0.0, np.nan, 1.0])
    for mode in ("max", "min"):
        check_step(ScatterNd(0, mode), [x, indices[:, None], updates])


def test_a_table_of_zeros_may_be_one_zero_repeated():
    zeros = np.broadcast_to(np.float32(0), (20, 33))
    updates = RANDOM.normal(size=(50, 33)).astype(np.float32)
    check_step(ScatterAdd(0), [zeros, RANDOM.integers(0, 20, 50), updates])


def test_columns_are_shared_out():
    arrays = [np.zeros((9, 300), np.float32), np.zeros(5, int), np.ones((5, 300), np.float32)]
    step = Step(ScatterAdd(0), arrays, None, {}, None)
    *_, kernel = step.kernels(Context(Target.host(), {}))
    assert kernel.tiles == 5


@pytest.mark.parametrize("bad", [4, -5])
def test_indices_out_of_range_are_reported_as_by_numpy(bad):
    x, indices, updates = np.zeros((4, 5)), np.array([0, 1, bad]), np.ones((3, 5))
    message = f"index {bad} is out of range for axis 0 of size 4"
    with pytest.raises(InputError, match=message):
        run_step(ScatterAdd(0), [x, indices, updates])
    with pytest.raises(InputError, match=message):
        run_step(ScatterNd(0, "set"), [x, indices[:, None], updates])
