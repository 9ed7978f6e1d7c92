"""Element types: NumPy's own, their short names in the printed language, and NEP 50 promotion.

| dtype | short | | dtype | short |
|---|---|---|---|---|
| bool | `bool` | | uint8 … uint64 | `u8` … `u64` |
| int8 … int64 | `i8` … `i64` | | float16, float32, float64 | `f16` `f32` `f64` |
| | | | bfloat16 (needs `ml_dtypes`) | `bf16` |
"""

from __future__ import annotations

import importlib
from functools import cache
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import DTypeLike

from graphwright.graph.errors import DTypeError

DType: TypeAlias = np.dtype[Any]
Scalar: TypeAlias = bool | int | float

boolean: DType = np.dtype(np.bool_)
int8: DType = np.dtype(np.int8)
int16: DType = np.dtype(np.int16)
int32: DType = np.dtype(np.int32)
int64: DType = np.dtype(np.int64)
uint8: DType = np.dtype(np.uint8)
uint16: DType = np.dtype(np.uint16)
uint32: DType = np.dtype(np.uint32)
uint64: DType = np.dtype(np.uint64)
float16: DType = np.dtype(np.float16)
float32: DType = np.dtype(np.float32)
float64: DType = np.dtype(np.float64)

SHORT_NAMES: dict[str, str] = {
    "bool": "bool",
    "int8": "i8",
    "int16": "i16",
    "int32": "i32",
    "int64": "i64",
    "uint8": "u8",
    "uint16": "u16",
    "uint32": "u32",
    "uint64": "u64",
    "float16": "f16",
    "bfloat16": "bf16",
    "float32": "f32",
    "float64": "f64",
}
_NATIVE: dict[object, DType] = {
    key: np.dtype(long)
    for long, short in SHORT_NAMES.items()
    if long != "bfloat16"
    for key in (long, short, np.dtype(long))
}
"""The dtypes by their names, and by themselves and their synonyms."""


@cache
def bfloat16() -> DType:
    """The bfloat16 dtype of `ml_dtypes`. Raises DTypeError when that package is not installed."""
    try:
        module = importlib.import_module("ml_dtypes")
    except ImportError:
        raise DTypeError(
            "bfloat16 needs the package ml_dtypes",
            hint="pip install 'graphwright[bfloat16]'",
        ) from None
    dtype: DType = np.dtype(module.bfloat16)
    return dtype


def as_dtype(dtype: DTypeLike) -> DType:
    """The native-endian dtype that `dtype` (a dtype, a type, a long or a short name) means.

    Raises DTypeError for what is not one of the table above (complex, object, strings, dates).
    """
    if isinstance(dtype, str):
        if dtype in ("bfloat16", "bf16"):
            return bfloat16()
        if dtype not in _NATIVE:
            raise _unsupported(dtype)
        return _NATIVE[dtype]
    if isinstance(dtype, np.dtype) and dtype in _NATIVE:
        return _NATIVE[dtype]
    if dtype is None:  # which NumPy takes for float64
        raise _unsupported(dtype)
    try:
        given = np.dtype(dtype)
    except (TypeError, ValueError):
        raise _unsupported(dtype) from None
    if given.name not in SHORT_NAMES:
        raise _unsupported(given.name)
    return bfloat16() if given.name == "bfloat16" else _NATIVE[given.name]


def _unsupported(what: object) -> DTypeError:
    return DTypeError(
        f"{what!r} is not an element type of tensors", hint=f"one of {', '.join(SHORT_NAMES)}"
    )


@cache
def short_name(dtype: DType) -> str:
    """`f32` for float32, and so on."""
    return SHORT_NAMES[dtype.name]


def is_floating(dtype: DType) -> bool:
    """True for float16, bfloat16, float32 and float64."""
    return dtype.kind == "f" or (dtype.kind == "V" and dtype.name == "bfloat16")


def is_integer(dtype: DType) -> bool:
    """True for the signed and unsigned integers; bool is not one."""
    return dtype.kind in "iu"


def is_boolean(dtype: DType) -> bool:
    """True for bool."""
    return dtype.kind == "b"


def promote(*operands: DType | Scalar) -> DType:
    """The dtype NumPy 2 gives an operation on `operands` (NEP 50).

    Python scalars are weak: they take the kind of the dtypes beside them (`f32 * 0.5` is f32,
    `i32 * 0.5` is f64). Alone they mean bool, i64 and f32, our default float.

    Raises DTypeError where NumPy has no common type (bfloat16 with float16 or wide integers).
    """
    dtypes = [operand for operand in operands if isinstance(operand, np.dtype)]
    if not dtypes:
        return max((_alone(value) for value in operands), key=lambda d: "bif".index(d.kind))
    weak = [operand for operand in operands if not isinstance(operand, np.dtype)]
    if any(dtype.name == "bfloat16" for dtype in dtypes):
        # ml_dtypes' types know nothing of weak scalars: a real number of any kind becomes theirs.
        weak = []
    try:
        return np.result_type(*dtypes, *(_example(value) for value in weak))
    except TypeError:
        names = " and ".join(short_name(dtype) for dtype in dtypes)
        raise DTypeError(f"no common type for {names}", hint="cast one of them") from None


def _alone(value: object) -> DType:
    if isinstance(value, bool):
        return boolean
    return int64 if isinstance(value, int) else float32


def _example(value: object) -> Scalar:
    """A value of the same kind that fits every width: NumPy looks at the kind alone."""
    if isinstance(value, bool):
        return True
    return 0 if isinstance(value, int) else 0.0
