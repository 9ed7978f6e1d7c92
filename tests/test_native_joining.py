"""Native joining, splitting, padding and rolling against NumPy's."""

from __future__ import annotations

import numpy as np
import pytest
from support.native_cases import TARGETS, check_cases, check_step
from support.native_steps import Step, reason_without

from graphwright.compiler.native.kernel import Context
from graphwright.compiler.native.target import Target
from graphwright.ops.joining import Concatenate, Split
from graphwright.ops.padding import Pad
from graphwright.ops.slicing import Roll, Unslice


@pytest.mark.parametrize(
    "operator", [Concatenate, Pad, Roll, Split, Unslice], ids=lambda operator: operator.name
)
def test_cases(operator):
    check_cases(operator)


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.cpu)
def test_larger_shapes(target):
    x = np.random.default_rng(1).normal(size=(3, 70, 41)).astype(np.float32)
    check_step(Pad(((1, 0), (3, 2), (0, 1)), 0.5), [x], target=target)
    check_step(Roll((17, -3), (1, 2)), [x], target=target)
    check_step(Split(1, (1, 60, 9)), [x], target=target)
    check_step(Concatenate(2), [x, x[:, ::-1, :5], np.asfortranarray(x)], target=target)
    check_step(Unslice((3, 141, 41), (0, 140, 0), (1, -2, 1)), [x], target=target)
    check_step(Unslice((4, 70, 50), (1, 0, 4), (1, 1, 1)), [x], target=target)


def test_many_parts():
    """More than one kernel joins."""
    parts = [np.full((2, i % 4), i, np.int16) for i in range(21)]
    check_step(Concatenate(1), parts)
    step = Step(Concatenate(1), parts, None, {}, None)
    assert len(step.kernels(Context(Target.host(), {}))) == 2


def test_many_axes_rolled_at_once_are_left_to_numpy():
    reason = reason_without(Roll((1,) * 4, (0, 1, 2, 3)), [np.zeros((2, 2, 2, 2))])
    assert reason == "4 axes are rolled at once"
