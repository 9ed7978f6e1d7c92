"""Immutable array values, as constants hold them: hashable, compared by their bits."""

from __future__ import annotations

import math
import zlib
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graphwright.graph.dtype import DType, as_dtype, float32, int64, is_floating, is_integer
from graphwright.graph.errors import DTypeError, InputError
from graphwright.graph.types import TensorType


class FrozenArray:
    """A read-only copy of an array. Equal means the same type and the same bits, NaN included."""

    def __init__(self, values: object, dtype: DType | None = None) -> None:
        self.array: NDArray[Any] = dense(values, dtype)
        self.array.flags.writeable = False

    @cached_property
    def type(self) -> TensorType:
        return TensorType(self.array.dtype, self.array.shape)

    @cached_property
    def _hash(self) -> int:
        return hash((self.type, zlib.crc32(self.array.tobytes())))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, FrozenArray):
            return NotImplemented
        return self is other or (
            self._hash == other._hash
            and self.type == other.type
            and self.array.tobytes() == other.array.tobytes()
        )

    def __hash__(self) -> int:
        return self._hash

    def __repr__(self) -> str:
        return f"FrozenArray({self.type})"


def dense(value: object, dtype: DType | None = None) -> NDArray[Any]:
    """A C-contiguous copy of `value`, whatever NumPy makes an array of.

    dtype: what its elements become; by default their own, but float32 for Python's floats
    Raises DTypeError for what is no array of numbers, InputError for rows of different lengths
    and integers that `dtype` can't hold.
    """
    try:
        array = np.asarray(value)
    except ValueError:
        raise InputError("the rows differ in length", hint="pad them, or keep them apart") from None
    if array.dtype.kind == "O":
        if isinstance(value, int):
            return _wide(value, dtype)
        raise DTypeError(
            f"{type(value).__name__} is neither a tensor nor an array of numbers",
            hint="give a tensor, a NumPy array or a number; .astype converts object arrays",
        )
    own = as_dtype(array.dtype)
    if dtype is None:
        python = not isinstance(value, np.ndarray | np.generic)
        dtype = float32 if python and is_floating(own) else own
    elif is_integer(dtype) and is_integer(own) and (error := out_of_range(array, dtype)):
        raise error
    with np.errstate(over="ignore"):
        return np.array(array, dtype=dtype, order="C", copy=True)


def _wide(value: int, dtype: DType | None) -> NDArray[Any]:
    """A number beyond 64 bits, which floats may hold."""
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if dtype is None or not is_floating(dtype) or math.isinf(number):
        raise InputError(
            f"a number of {value.bit_length()} bits is out of the range of {dtype or int64}"
        )
    with np.errstate(over="ignore"):
        return np.array(np.float64(number), dtype=dtype)


def out_of_range(array: NDArray[Any], dtype: DType) -> InputError | None:
    """The error to raise when an integer of `array` does not fit the integer type `dtype`."""
    limits = np.iinfo(dtype)
    extremes = (int(array.min()), int(array.max())) if array.size else ()
    for value in extremes:
        if not limits.min <= value <= limits.max:
            return InputError(
                f"{value} is out of the range of {dtype}",
                hint=f"from {limits.min} to {limits.max}",
            )
    return None


def coerce(value: object, dtype: DType, label: str) -> NDArray[Any]:
    """`value` as a C-contiguous, aligned, native-endian array of `dtype`; copied only if needed.

    Arrays are accepted when the cast is safe (`np.can_cast(..., "safe")`); Python numbers and lists
    when it keeps their kind and their integers fit. Raises InputError, naming `label`, for
    everything else.
    """
    weak = not isinstance(value, np.ndarray | np.generic)
    try:
        array = np.asarray(value)
    except ValueError:
        raise InputError(
            f"{label}: {type(value).__name__} is not an array", hint="rows must be equally long"
        ) from None
    if array.dtype.kind not in "biufV":
        raise InputError(
            f"{label}: an array of {array.dtype} is no tensor; expected {dtype}",
            hint="convert it to numbers first, e.g. with .astype",
        )
    if weak and array.size == 0:
        pass  # an empty list has no kind of its own
    elif weak and is_integer(array.dtype) and is_integer(dtype):
        if error := out_of_range(array, dtype):
            raise error.located(label, (), None)
    elif not np.can_cast(array.dtype, dtype, "same_kind" if weak else "safe"):
        raise InputError(
            f"{label}: {array.dtype} can't become {dtype} without loss",
            hint=f"convert it yourself, with .astype({dtype.name!r})",
        )
    with np.errstate(over="ignore"):
        return np.require(array.astype(dtype, copy=False), requirements=["C", "A"])
