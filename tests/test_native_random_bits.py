"""Native random bits: those of the NumPy kernels, every one."""

from __future__ import annotations

import numpy as np
import pytest
from support.native_cases import TARGETS, check_cases, check_step
from support.native_steps import run_step

from graphwright.graph.dim import dim
from graphwright.graph.dtype import uint32, uint64
from graphwright.graph.types import TensorType
from graphwright.ops.philox import RandomBits, RandomFoldIn

KEYS = np.random.default_rng(8).integers(0, 2**64, (3, 5, 2), np.uint64)


@pytest.mark.parametrize("operator", [RandomBits, RandomFoldIn], ids=lambda operator: operator.name)
def test_cases(operator):
    check_cases(operator)


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.cpu)
@pytest.mark.parametrize("dtype", [uint32, uint64], ids=str)
@pytest.mark.parametrize("count", [1, 3, 31, 32, 33, 129, 20001])
def test_any_number_of_bits(target, dtype, count):
    check_step(RandomBits((count,), dtype), [KEYS[0, 0]], target=target)
    if count < 200:
        check_step(RandomBits((count,), dtype), [KEYS], target=target)
        check_step(RandomBits((count,), dtype), [KEYS.transpose(1, 0, 2)[::-1]], target=target)


def test_the_published_block():
    """Random123's known answer for the key and the counter of all ones."""
    ones = np.full(2, 2**64 - 1, np.uint64)
    bits = run_step(RandomFoldIn(), [ones, np.array(2**64 - 1, np.uint64)])[0]
    words = [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]
    assert bits.view(np.uint32).tolist() == words


def test_one_kernel_serves_every_size():
    kinds = [TensorType(uint64, (dim("k"), 2))]
    op = RandomBits((dim("n"), 7), uint32)
    for k, n in [(1, 1), (15, 4), (2, 3000), (0, 3), (3, 0)]:
        check_step(op, [KEYS.reshape(-1, 2)[:k]], types=kinds, sizes={"k": k, "n": n})


def test_many_keys_are_made_of_many_numbers():
    data = np.arange(5000, dtype=np.uint64) * np.uint64(2**52 + 1)
    check_step(RandomFoldIn(), [KEYS[0, 0], data])
    check_step(RandomFoldIn(), [KEYS, data[:15].reshape(5, 3).T])
