"""Native running sums, products, extremes and recurrences: NumPy's to the last bit."""

from __future__ import annotations

import numpy as np
import pytest
from support.native_cases import HOST, TARGETS, check_cases, check_step
from support.native_steps import reason_without

from graphwright.compiler.native.math import FUNCTIONS
from graphwright.graph.dim import dim
from graphwright.graph.dtype import as_dtype
from graphwright.graph.types import TensorType
from graphwright.ops.cumulative import CumMax, CumMin, CumProd, CumSum, LogCumSumExp
from graphwright.ops.recurrence import LinearRecurrence

RANDOM = np.random.default_rng(7)
OPERATORS = [CumMax, CumMin, CumProd, CumSum]


@pytest.mark.parametrize(
    "operator", [*OPERATORS, LinearRecurrence], ids=lambda operator: operator.name
)
def test_cases(operator):
    check_cases(operator)


RUNS = [(HOST, dtype) for dtype in ("float64", "float16", "bfloat16", "int8", "uint32")]
RUNS += [(target, "float32") for target in TARGETS]


@pytest.mark.parametrize(("target", "dtype"), RUNS, ids=lambda each: getattr(each, "cpu", each))
def test_along_every_axis_and_both_ways(target, dtype):
    x = (RANDOM.normal(size=(5, 37, 35)) * 3).astype(as_dtype(dtype))
    for operator in OPERATORS:
        for axis in range(3):
            for reverse in (False, True):
                check_step(operator(axis, reverse), [x], target=target)
        check_step(operator(1, True), [x[:, ::2, 3]], target=target)
        check_step(operator(0, False), [x[0, :, 3]], target=target)


def test_nan_and_infinities():
    x = RANDOM.normal(size=(40, 40)).astype(np.float32)
    for value in (np.nan, np.inf, -np.inf):
        x[RANDOM.random((40, 40)) < 0.02] = value
    for operator in OPERATORS:
        check_step(operator(0, False), [x])
        check_step(operator(1, True), [x])
    check_step(LinearRecurrence(1, True), [x, x[::-1]])


def test_one_kernel_serves_every_size():
    kinds = [TensorType(np.dtype(np.float32), (dim("n"), dim("m")))]
    for n, m in [(1, 1), (3, 100), (700, 17), (0, 3), (3, 0), (2, 9000)]:
        x = RANDOM.normal(size=(n, m)).astype(np.float32)
        for op in (CumSum(0, False), CumSum(1, False), CumSum(1, True)):
            check_step(op, [x], types=kinds, sizes={"n": n, "m": m})


def test_logarithms_of_sums_of_exponentials():
    check_cases(LogCumSumExp, functions=FUNCTIONS, tolerance=2e-6)
    x = RANDOM.normal(size=(20, 50)) * 30
    check_step(LogCumSumExp(1, False), [x], functions=FUNCTIONS, tolerance=1e-13)


def test_without_vector_functions_there_are_no_logarithms():
    assert reason_without(LogCumSumExp(0, False), [np.ones(3)]) == "there is no vector function exp"
