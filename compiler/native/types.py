"""How element types are written in LLVM IR: in registers, in memory, and as constants."""

from __future__ import annotations

import math
import struct
from functools import cache

import numpy as np

from graphwright.graph.dtype import DType, is_floating, short_name

_REGISTER = {
    "bool": "i1",
    "i8": "i8",
    "i16": "i16",
    "i32": "i32",
    "i64": "i64",
    "u8": "i8",
    "u16": "i16",
    "u32": "i32",
    "u64": "i64",
    "f16": "half",
    "bf16": "bfloat",
    "f32": "float",
    "f64": "double",
}


@cache
def register_type(dtype: DType, lanes: int) -> str:
    """`<16 x float>`, or `float` for one lane."""
    name = _REGISTER[short_name(dtype)]
    return name if lanes == 1 else f"<{lanes} x {name}>"


@cache
def memory_type(dtype: DType, lanes: int = 1) -> str:
    """As in registers, but that a bool is a byte, 0 or 1."""
    name = "i8" if dtype.kind == "b" else _REGISTER[short_name(dtype)]
    return name if lanes == 1 else f"<{lanes} x {name}>"


def suffix(dtype: DType, lanes: int) -> str:
    """How overloaded intrinsics are named: `v16f32`, `f32`, `v4i1`."""
    short = short_name(dtype)
    name = {"bool": "i1", "bf16": "bf16"}.get(short, short.replace("u", "i"))
    return name if lanes == 1 else f"v{lanes}{name}"


def constant_text(value: float | int | bool, dtype: DType) -> str:
    """A number as LLVM writes it: floats by their bits, so that none is rounded twice."""
    if dtype.kind == "b":
        return "true" if value else "false"
    if not is_floating(dtype):
        return str(int(value))
    short = short_name(dtype)
    if short == "f16":
        return f"0xH{int(np.float16(value).view(np.uint16)):04X}"
    if short == "bf16":
        return f"0xR{int(np.asarray(value, dtype).view(np.uint16)):04X}"
    with np.errstate(over="ignore"):
        number = float(np.float32(value)) if short == "f32" else float(value)
    if math.isnan(number):
        return "0x7FF8000000000000"  # the one quiet nan, whatever the bits of this one are
    return f"0x{struct.unpack('<Q', struct.pack('<d', number))[0]:016X}"
