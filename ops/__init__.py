"""The vocabulary: every operator, under NumPy's name where it has one."""

import sys

from graphwright.graph import tensor as _tensor
from graphwright.graph.operator import Operator, register
from graphwright.ops.arithmetic import (
    abs,
    add,
    divide,
    floor_divide,
    maximum,
    minimum,
    multiply,
    negative,
    power,
    reciprocal,
    remainder,
    sign,
    square,
    subtract,
)
from graphwright.ops.case import Case, Reject, Within
from graphwright.ops.comparison import equal, greater, greater_equal, less, less_equal, not_equal
from graphwright.ops.convert import as_tensor, cast
from graphwright.ops.exponential import exp, log
from graphwright.ops.movement import broadcast_to, reshape
from graphwright.ops.reduction import sum
from graphwright.ops.selection import where

__all__ = [
    "Case",
    "Operator",
    "Reject",
    "Within",
    "abs",
    "add",
    "as_tensor",
    "broadcast_to",
    "cast",
    "divide",
    "equal",
    "exp",
    "floor_divide",
    "greater",
    "greater_equal",
    "less",
    "less_equal",
    "log",
    "maximum",
    "minimum",
    "multiply",
    "negative",
    "not_equal",
    "power",
    "reciprocal",
    "register",
    "remainder",
    "reshape",
    "sign",
    "square",
    "subtract",
    "sum",
    "where",
]

_tensor.vocabulary = sys.modules[__name__]
