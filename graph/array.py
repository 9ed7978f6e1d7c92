"""Immutable array values, as constants hold them: hashable, compared by their bits."""

from __future__ import annotations

import zlib
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graphwright.graph.dtype import DType, as_dtype, is_integer
from graphwright.graph.errors import DTypeError, InputError
from graphwright.graph.types import TensorType


class FrozenArray:
    """A read-only copy of an array. Equal means the same type and the same bits, NaN included."""

    def __init__(self, values: object) -> None:
        source = np.asarray(values)
        if source.dtype.kind == "O":
            raise DTypeError(
                "an object array can't be a constant",
                hint="convert it with .astype to a numeric type, or make its rows equally long",
            )
        array = np.array(source, dtype=as_dtype(source.dtype), order="C", copy=True)
        array.flags.writeable = False
        self.array: NDArray[Any] = array

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


def out_of_range(array: NDArray[Any], dtype: DType) -> InputError | None:
    """The error to raise when an integer of `array` does not fit the integer type `dtype`."""
    limits = np.iinfo(dtype)
    if array.size == 0 or (limits.min <= array.min() and array.max() <= limits.max):
        return None
    return InputError(
        f"a value is out of the range of {dtype}", hint=f"from {limits.min} to {limits.max}"
    )


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
