"""Casts: conversions that cancel.

before::

    graph(x: f32[n]) {
      %0: f64[n] = cast(x, dtype=f64)
      %1: f32[n] = cast(%0, dtype=f32)
      %2: f32[n] = exp(%1)
      return %2
    }

after::

    graph(x: f32[n]) {
      %0: f32[n] = exp(x)
      return %0
    }
"""

from __future__ import annotations

import numpy as np

from graphwright.compiler.rules.rule import (
    Declined,
    Example,
    Kept,
    Outcome,
    chain,
    rules_in,
)
from graphwright.graph.dtype import DType, is_boolean, is_floating, is_integer, short_name
from graphwright.graph.tensor import Tensor
from graphwright.ops.case import bool_, f16, f32, f64, i32, i64
from graphwright.ops.convert import Cast, cast

FLOAT_BITS = {"float16": (11, 5), "bfloat16": (8, 8), "float32": (24, 8), "float64": (53, 11)}
"""Bits of the significand, the hidden one included, and of the exponent (IEEE 754; bfloat16)."""


@chain(
    Cast,
    examples=[Example(lambda x: Cast(x.dtype)(x), lambda x: x, f32["n"])],
)
def cast_to_same(op: Cast, x: Tensor) -> Outcome:
    """cast(x) to the dtype of x → x."""
    return x if op.dtype == x.dtype else None


@chain(
    Cast,
    Cast,
    examples=[
        Example(lambda x: cast(cast(x, "f64"), "f32"), lambda x: x, f32["n"]),
        Example(
            lambda x: cast(cast(cast(x, "bf16"), "f32"), "bf16"),
            lambda x: cast(x, "bf16"),
            f32["n"],
        ),
        Example(lambda x: cast(cast(x, "f64"), "i32"), lambda x: cast(x, "i32"), f32["n"]),
        Example(lambda x: cast(cast(x, "f32"), "i8"), lambda x: cast(x, "i8"), bool_[4]),
        Example(lambda x: cast(cast(x, "f64"), "i64"), lambda x: cast(x, "i64"), i32[4]),
    ],
    kept=[
        Kept(lambda x: cast(cast(x, "f32"), "f64"), f64[3], reason="f64 to f32 and back loses"),
        Kept(lambda x: cast(cast(x, "f64"), "i64"), i64[3], reason="i64 to f64 and back loses"),
        Kept(lambda x: cast(cast(x, "bf16"), "f16"), f16[3], reason="f16 to bf16 and back loses"),
        Kept(lambda x: cast(cast(x, "bool"), "i32"), f32[3]),
    ],
)
def cast_of_cast(outer: Cast, inner: Cast, x: Tensor) -> Outcome:
    """cast(cast(x)) → cast(x), when the first loses nothing."""
    if lossless(x.dtype, inner.dtype):
        return cast(x, outer.dtype)
    if outer.dtype == x.dtype:
        between = f"{short_name(x.dtype)} to {short_name(inner.dtype)}"
        return Declined(f"the cast from {between} and back loses digits")
    return None


def lossless(source: DType, target: DType) -> bool:
    """True when every value of `source` is one of `target`."""
    if source == target or is_boolean(source):
        return True
    if is_integer(source) and is_integer(target):
        return bool(np.can_cast(source, target, "safe"))
    if is_integer(source) and is_floating(target):
        # -2**(b-1), the lowest signed number, is a power of two: it needs no significand.
        bits = source.itemsize * 8 - (source.kind == "i")
        return bits <= FLOAT_BITS[target.name][0]
    if is_floating(source) and is_floating(target):
        pairs = zip(FLOAT_BITS[source.name], FLOAT_BITS[target.name], strict=True)
        return all(have <= room for have, room in pairs)
    return False


RULES = rules_in(globals())
