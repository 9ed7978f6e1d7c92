"""Test cases, as operators carry them: inputs and attributes that must work, and that must not.

`f32["n", 4]` is a type whose size `n` stands for several numbers in turn, 0 and 1 among them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from graphwright.graph.dim import Size, dim
from graphwright.graph.dtype import DType, as_dtype
from graphwright.graph.types import TensorType


class TypeMaker:
    """`f32[2, 3]`, `f32["n", 4]`, `f32[()]`: the type of that dtype and shape."""

    def __init__(self, dtype: str) -> None:
        self.name = dtype

    @property
    def dtype(self) -> DType:
        return as_dtype(self.name)

    def __getitem__(self, shape: Size | str | tuple[Size | str, ...]) -> TensorType:
        return _type(self.name, shape if isinstance(shape, tuple) else (shape,))


@cache  # cases repeat a few types, and the whole vocabulary's are made when it is imported
def _type(dtype: str, sizes: tuple[Size | str, ...]) -> TensorType:
    return TensorType(as_dtype(dtype), tuple(dim(s) if isinstance(s, str) else s for s in sizes))


f16, f32, f64 = TypeMaker("float16"), TypeMaker("float32"), TypeMaker("float64")
i8, i32, i64 = TypeMaker("int8"), TypeMaker("int32"), TypeMaker("int64")
u8, u64 = TypeMaker("uint8"), TypeMaker("uint64")
bool_ = TypeMaker("bool")


@dataclass(frozen=True)
class Within:
    """An input of a type, its elements drawn from low (included) to high (excluded)."""

    type: TensorType
    low: float
    high: float


class Case:
    """Inputs and attributes on which every generated test runs.

    operands:   each a type (elements are drawn from -2 to 2, integers from -4 to 4, booleans from
                both), a `Within`, or the values themselves (floats are then float64)
    smooth:     False where the derivative has kinks or jumps near the drawn values, so that
                finite differences say nothing; the gradient must still be built and run. Or the
                positions of the operands by which it is smooth
    attributes: the operator's
    """

    def __init__(
        self,
        *operands: TensorType | Within | Sequence[Any] | float,
        smooth: bool | tuple[int, ...] = True,
        **attributes: Any,
    ) -> None:
        self.operands = tuple(
            operand if isinstance(operand, TensorType | Within) else np.asarray(operand)
            for operand in operands
        )
        self.smooth = smooth
        self.attributes = attributes

    def __repr__(self) -> str:
        words = [
            str(operand.type if isinstance(operand, Within) else operand).replace("\n", "")
            for operand in self.operands
        ]
        words += [f"{name}={value}" for name, value in self.attributes.items()]
        return f"({', '.join(words)})"


class Reject:
    """Input types and attributes that must be refused, with `message` in the error."""

    def __init__(self, *operands: TensorType, message: str, **attributes: Any) -> None:
        self.operands = operands
        self.message = message
        self.attributes = attributes

    def __repr__(self) -> str:
        words = [*map(str, self.operands), *(f"{k}={v}" for k, v in self.attributes.items())]
        return f"({', '.join(words)})"
