"""Native tensors of sizes and numbers against NumPy's."""

from __future__ import annotations

import numpy as np
import pytest
from support.native_cases import TARGETS, check_cases, check_step

from graphwright.graph.dim import dim
from graphwright.ops.convert import SizeValue
from graphwright.ops.creation import Arange


@pytest.mark.parametrize("operator", [Arange, SizeValue], ids=lambda operator: operator.name)
def test_cases(operator):
    check_cases(operator)


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.cpu)
def test_long_ranges(target):
    for dtype in map(np.dtype, (np.int64, np.int16, np.float16, np.float32, np.float64)):
        check_step(Arange(-7, 3, 5001, dtype), [], target=target)
    check_step(Arange(0.25, -0.5, 33, np.dtype(np.float32)), [], target=target)


def test_one_kernel_serves_every_size():
    n = dim("n")
    for size in (0, 1, 20000):
        check_step(Arange(n, 2, n + 1, np.dtype(np.int64)), [], types=[], sizes={"n": size})
        check_step(SizeValue(n * n, np.dtype(np.float32)), [], types=[], sizes={"n": size})
