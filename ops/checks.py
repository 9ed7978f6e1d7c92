"""What operators of networks ask of their inputs: floats of one dtype, weights that fit."""

from __future__ import annotations

from graphwright.graph.dtype import is_floating
from graphwright.graph.errors import AttributeValueError, DTypeError, ShapeError
from graphwright.graph.types import Shape, TensorType


def check_floating(x: TensorType) -> None:
    """Raise DTypeError unless `x` is floating."""
    if not is_floating(x.dtype):
        raise DTypeError(f"needs a floating input, got {x}", hint="convert it with .astype")


def check_fits(label: str, given: TensorType, x: TensorType, shape: Shape, hint: str) -> None:
    """Raise DTypeError or ShapeError unless `given` has the dtype of `x`, and `shape`."""
    if given.dtype != x.dtype:
        raise DTypeError(f"{label} is {given}, but x is {x}", hint="cast one of them")
    if given.shape != shape:
        raise ShapeError(f"{label} is {given}, not {x.with_shape(shape)}", hint=hint)


def check_epsilon(epsilon: float) -> None:
    """Raise AttributeValueError for a number less than 0, or nan."""
    if not epsilon >= 0:
        raise AttributeValueError(f"epsilon can't be negative, got {epsilon}")
