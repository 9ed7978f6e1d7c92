"""Native argmax and argmin against NumPy's, which take the first of several and the first nan."""

from __future__ import annotations

import numpy as np
import pytest
from support.native_cases import TARGETS, check_cases, check_step
from support.native_steps import run_step

from graphwright.graph.dim import dim
from graphwright.graph.dtype import as_dtype, is_floating
from graphwright.graph.errors import ShapeError
from graphwright.graph.types import TensorType
from graphwright.ops.reduction import ArgMax, ArgMin

RANDOM = np.random.default_rng(6)
OPERATORS = [ArgMax, ArgMin]


@pytest.mark.parametrize("operator", OPERATORS, ids=lambda operator: operator.name)
def test_cases(operator):
    check_cases(operator)


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.cpu)
@pytest.mark.parametrize(
    "dtype", ["float32", "float64", "float16", "bfloat16", "int8", "uint64", "bool"]
)
def test_ties_and_nan_along_every_axis(target, dtype):
    """Few values, so that many are equal; in every other row a few are nan."""
    x = RANDOM.integers(0, 3, (4, 53, 37)).astype(as_dtype(dtype))
    if is_floating(x.dtype):
        x[::2][RANDOM.random((2, 53, 37)) < 0.02] = np.nan
        x[1] = -np.inf
    for operator in OPERATORS:
        for axis in range(3):
            check_step(operator((axis,), axis == 1), [x], target=target)
        check_step(operator((0,), False), [x[:, 5, ::2]], target=target)


def test_one_kernel_serves_every_size():
    kinds = [TensorType(np.dtype(np.float32), (dim("n"), dim("m")))]
    for n, m in [(1, 1), (3, 100), (1000, 17), (0, 3), (2, 20000)]:
        x = RANDOM.normal(size=(n, m)).astype(np.float32)
        for operator in OPERATORS:
            check_step(operator((1,), False), [x], types=kinds, sizes={"n": n, "m": m})
            if n:
                check_step(operator((0,), True), [x], types=kinds, sizes={"n": n, "m": m})


def test_an_empty_axis_is_reported_as_by_numpy():
    kinds = [TensorType(np.dtype(np.float32), (3, dim("m")))]
    for operator in OPERATORS:
        with pytest.raises(ShapeError, match="axis 1 is empty"):
            step = operator((1,), False)
            run_step(step, [np.zeros((3, 0), np.float32)], types=kinds, sizes={"m": 0})
