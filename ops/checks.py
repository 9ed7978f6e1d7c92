"""What operators ask of their inputs, for `infer`: dtypes that agree, weights that fit."""

from __future__ import annotations

import math

from graphwright.graph.dtype import is_boolean, is_floating, short_name
from graphwright.graph.errors import AttributeValueError, DTypeError, ShapeError
from graphwright.graph.types import Shape, TensorType


def check_floating(x: TensorType) -> None:
    """Raise DTypeError unless `x` is floating."""
    if not is_floating(x.dtype):
        raise DTypeError(f"needs a floating input, got {x}", hint="convert it with .astype")


def check_same_dtype(*types: TensorType) -> None:
    """Raise DTypeError unless all have one dtype."""
    if any(kind.dtype != types[0].dtype for kind in types):
        names = " and ".join(short_name(kind.dtype) for kind in types)
        raise DTypeError(f"dtypes differ: {names}", hint="cast one input to the other's dtype")


def check_numbers(*types: TensorType) -> None:
    """Raise DTypeError unless all have one dtype, and that of numbers."""
    check_same_dtype(*types)
    if is_boolean(types[0].dtype):
        raise DTypeError("needs number inputs, got bool", hint="convert them with .astype")


def check_fits(label: str, given: TensorType, x: TensorType, shape: Shape, hint: str) -> None:
    """Raise DTypeError or ShapeError unless `given` has the dtype of `x`, and `shape`."""
    if given.dtype != x.dtype:
        raise DTypeError(f"{label} is {given}, but x is {x}", hint="cast one of them")
    if given.shape != shape:
        raise ShapeError(f"{label} is {given}, not {x.with_shape(shape)}", hint=hint)


def check_epsilon(epsilon: float) -> None:
    """Raise AttributeValueError for a number less than 0, or not finite."""
    if not epsilon >= 0:
        raise AttributeValueError(f"epsilon can't be negative, got {epsilon}")
    if math.isinf(epsilon):
        raise AttributeValueError("epsilon must be finite, got inf", hint="such as 1e-5")
