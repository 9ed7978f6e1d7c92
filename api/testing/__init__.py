"""Checks of what users make, `gw.testing`: their operators, their gradients, their numbers.

>>> import graphwright as gw
>>> gw.testing.check_operator(BentIdentity, definition=bent_identity)
>>> gw.testing.check_gradient(lambda x, w: gw.ops.tanh(x @ w), [x, w])
>>> gw.testing.assert_close(compiled(x), expected)

Each raises `gw.CheckError`, an AssertionError, that says what was expected, what came instead and
what to do. `f32`, `f64` and their like write types for an operator's cases: `f32["n", 4]`.
"""

from graphwright.ops.case import (
    Case,
    Reject,
    Within,
    bool_,
    f16,
    f32,
    f64,
    i8,
    i32,
    i64,
    u8,
    u64,
)
from graphwright.testing.checks import CHECKS
from graphwright.testing.closeness import assert_close
from graphwright.testing.gradient import check_gradient
from graphwright.testing.operator import check_operator

__all__ = [
    "CHECKS",
    "Case",
    "Reject",
    "Within",
    "assert_close",
    "bool_",
    "check_gradient",
    "check_operator",
    "f16",
    "f32",
    "f64",
    "i8",
    "i32",
    "i64",
    "u8",
    "u64",
]
