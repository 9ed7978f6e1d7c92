"""How element types are written in LLVM IR: in registers, in memory, and as constants.

A bfloat16 is an integer of 16 bits here, the upper half of a float32, which `convert` makes of it
and rounds to it. LLVM's own type needs a library for the rounding on most CPUs, is computed with
one by one, and on some (with avx512fp16) code for it can't be made.
"""

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
    "bf16": "i16",
    "f32": "float",
    "f64": "double",
}


def is_bfloat(dtype: DType) -> bool:
    """True for bfloat16, which is no float to LLVM here."""
    return dtype.kind == "V"


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
    name = {"bool": "i1", "bf16": "i16"}.get(short, short.replace("u", "i"))
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
        return str(int(np.asarray(value, dtype).view(np.int16)))
    with np.errstate(over="ignore"):
        number = float(np.float32(value)) if short == "f32" else float(value)
    if math.isnan(number):
        return "0x7FF8000000000000"  # the one quiet nan, whatever the bits of this one are
    return f"0x{struct.unpack('<Q', struct.pack('<d', number))[0]:016X}"
