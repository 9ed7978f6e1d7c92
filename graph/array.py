"""Immutable array values, as constants hold them: hashable, compared by their bits."""

from __future__ import annotations

from functools import cached_property
from typing import Any, Literal

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
    def _key(self) -> tuple[str, tuple[int, ...], bytes]:
        return self.array.dtype.name, self.array.shape, self.array.tobytes()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FrozenArray) and (self is other or self._key == other._key)

    def __hash__(self) -> int:
        return hash(self._key)

    def __repr__(self) -> str:
        return f"FrozenArray({self.type})"


def coerce(value: object, dtype: DType, label: str) -> NDArray[Any]:
    """`value` as a C-contiguous, aligned, native-endian array of `dtype`; copied only if needed.

    Arrays are accepted when the cast is safe (`np.can_cast(..., "safe")`); Python numbers and lists
    when it keeps their kind. Raises InputError, naming `label`, for everything else.
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
    # An empty list has no kind of its own.
    casting: Literal["same_kind", "safe"] = "same_kind" if weak else "safe"
    if not (weak and array.size == 0) and not np.can_cast(array.dtype, dtype, casting):
        raise InputError(
            f"{label}: {array.dtype} can't become {dtype} without loss",
            hint=f"convert it yourself: {label}.astype({dtype.name!r})",
        )
    if weak and array.dtype.kind in "iu" and is_integer(dtype):
        limits = np.iinfo(dtype)
        if array.size and not (limits.min <= array.min() and array.max() <= limits.max):
            raise InputError(f"{label}: a value is out of the range of {dtype}")
    return np.require(array.astype(dtype, copy=False), requirements=["C", "A"])
