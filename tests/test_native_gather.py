"""Native gathering against NumPy's: rows and elements, indices of every dtype, and bad ones."""

from __future__ import annotations

import numpy as np
import pytest
from support.native_cases import TARGETS, check_cases, check_step
from support.native_steps import reason_without, run_step

from graphwright.graph.dim import dim
from graphwright.graph.errors import InputError
from graphwright.graph.types import TensorType
from graphwright.ops.gather import Take
from graphwright.ops.gather_nd import GatherNd

RANDOM = np.random.default_rng(3)


@pytest.mark.parametrize("operator", [Take, GatherNd], ids=lambda operator: operator.name)
def test_cases(operator):
    check_cases(operator)


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.cpu)
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int16, np.bool_])
def test_rows_and_elements(target, dtype):
    x = RANDOM.integers(0, 99, (30, 41)).astype(dtype)
    for kind in (np.int64, np.uint8):
        indices = RANDOM.integers(-30 if kind is np.int64 else 0, 30, (5, 7)).astype(kind)
        check_step(Take(0), [x, indices], target=target)  # whole rows
        check_step(Take(1), [x, indices], target=target)  # element by element
        check_step(Take(0), [x[:, ::3], indices.T], target=target)
        tuples = np.stack([indices, indices // 2], -1)
        check_step(GatherNd(0), [x, tuples], target=target)


def test_one_of_each_row():
    """What the loss of a classifier picks: table, indices and output move on together."""
    x = RANDOM.normal(size=(50, 7))
    labels = RANDOM.integers(-7, 7, (50, 1))
    check_step(GatherNd(1), [x, labels])
    check_step(GatherNd(1), [x[::-1].T[:7].T, labels[::2].repeat(2, 0)])


def test_one_kernel_serves_every_number_of_indices():
    kinds = [
        TensorType(np.dtype(np.float32), (dim("v"), dim("c"))),
        TensorType(np.dtype(np.int32), (dim("n"),)),
    ]
    for v, c, n in [(5, 3, 4), (100, 64, 300), (1, 1, 1), (3, 0, 4), (7, 5, 0)]:
        x = RANDOM.normal(size=(v, c)).astype(np.float32)
        indices = RANDOM.integers(-v, v, n).astype(np.int32)
        check_step(Take(0), [x, indices], types=kinds, sizes={"v": v, "c": c, "n": n})
        check_step(
            Take(1), [x.T, indices], types=kinds[:1] + kinds[1:], sizes={"v": c, "c": v, "n": n}
        )


BAD = [
    (np.int64, 9),
    (np.int64, -10),
    (np.int64, 2**40),  # so far away that reading there ends the process
    (np.int64, 2**62),
    (np.int64, -(2**63)),
    (np.uint64, 2**64 - 1),
    (np.uint8, 255),
    (np.int8, -10),
]


@pytest.mark.parametrize(("kind", "bad"), BAD)
def test_indices_out_of_range_are_reported_as_by_numpy(kind, bad):
    indices = np.zeros(40, kind)
    indices[37] = bad
    for x in (np.arange(9.0), np.arange(27.0).reshape(9, 3)):
        with pytest.raises(InputError, match=f"index {bad} is out of range for axis 0 of size 9"):
            run_step(Take(0), [x, indices])
        with pytest.raises(InputError, match=f"index {bad} is out of range for axis 0 of size 9"):
            run_step(GatherNd(0), [x, indices[:, None]])
    with pytest.raises(InputError, match=f"index {bad} is out of range for axis 1 of size 9"):
        run_step(Take(1), [np.zeros((2, 9)), indices])


def test_each_index_of_a_tuple_is_looked_at():
    for bad in ([9, 0], [0, 4]):
        with pytest.raises(InputError, match=f"index {max(bad)} is out of range"):
            run_step(GatherNd(0), [np.zeros((9, 4)), np.array([[0, 0], bad])])


def test_nothing_is_read_from_an_empty_axis():
    with pytest.raises(InputError, match="index 0 is out of range for axis 0 of size 0"):
        run_step(Take(0), [np.zeros((0, 3)), np.zeros(2, np.int64)])


def test_an_empty_output_is_left_to_numpy_which_still_looks_at_the_indices():
    assert "in range" in str(reason_without(Take(0), [np.zeros((3, 0)), np.array([5])]))
