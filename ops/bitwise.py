"""Bits of whole numbers: logic on each of them, and shifts. None has a derivative."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from graphwright.graph.dtype import boolean
from graphwright.graph.operator import Operator, register
from graphwright.graph.tensor import Tensor, TensorLike
from graphwright.ops.case import Case, Reject, Within, bool_, f32, i8, i32, i64, u8
from graphwright.ops.convert import promoted
from graphwright.ops.elementwise import Binary, Unary
from graphwright.ops.logical import logical_and, logical_not, logical_or, logical_xor


class Bitwise(Binary):
    """A truth function of the bits of two whole numbers; of booleans it is the logical operator."""

    takes = "integer or boolean"
    commutative = True
    differentiable = False
    logical: ClassVar[Operator]
    """What is made in its place where both inputs are boolean."""

    def __call__(self, x: TensorLike, y: TensorLike) -> Tensor:
        first, second = promoted(x, y)
        op = self.logical if first.dtype == boolean else self
        return op.apply(first, second)[0]

    cases = (
        Case(i32["n", 4], i32[4]),
        Case(Within(u8[2, 1], 0, 256), Within(u8[3], 0, 256)),
        Case([0b1100, -1, -128, 127], [0b1010, 5, 127, -128]),
        Case(bool_[4], bool_[4]),
    )
    rejects = (
        Reject(f32[2], f32[2], message="needs an integer or boolean input, got f32[2]"),
        Reject(i32[2], i64[2], message="dtypes differ: i32 and i64"),
        Reject(i32[2], i32[3], message="shapes [2] and [3] differ: 2 != 3 on axis -1"),
    )


@register
class BitwiseAnd(Bitwise):
    """The bits that are 1 in both x and y."""

    name = "bitwise_and"
    absorbing_element = 0
    idempotent = True
    ufunc = np.bitwise_and
    logical = logical_and

    def lower(self, b: Any, x: Any, y: Any) -> Any:
        return x & y


@register
class BitwiseOr(Bitwise):
    """The bits that are 1 in x or y or both."""

    name = "bitwise_or"
    identity_element = 0
    idempotent = True
    ufunc = np.bitwise_or
    logical = logical_or

    def lower(self, b: Any, x: Any, y: Any) -> Any:
        return x | y


@register
class BitwiseXor(Bitwise):
    """The bits that differ in x and y."""

    name = "bitwise_xor"
    identity_element = 0
    ufunc = np.bitwise_xor
    logical = logical_xor

    def lower(self, b: Any, x: Any, y: Any) -> Any:
        return x ^ y


@register
class BitwiseInvert(Unary):
    """Every bit exchanged: -1 - x for signed numbers; of booleans it is `logical_not`."""

    name = "bitwise_invert"
    takes = "integer or boolean"
    involution = True
    differentiable = False
    ufunc = np.invert

    def __call__(self, x: TensorLike) -> Tensor:
        (tensor,) = promoted(x)
        return logical_not(tensor) if tensor.dtype == boolean else super().__call__(tensor)

    def lower(self, b: Any, x: Any) -> Any:
        return ~x

    cases = Case(i32["n", 4]), Case(u8[3]), Case([0, -1, 127, -128]), Case(bool_[2])
    rejects = (Reject(f32[2], message="needs an integer or boolean input, got f32[2]"),)


class Shift(Binary):
    """x moved by y bits; by less than 0 means by more bits than there are."""

    takes = "integer"
    identity_element = 0
    differentiable = False

    def _count(self, b: Any, x: Any, y: Any) -> tuple[Any, Any]:
        """By how many bits to shift, no more than there are but one; and whether y says that."""
        most = 8 * x.dtype.itemsize - 1
        unsigned = b.bits(y, np.dtype(f"u{x.dtype.itemsize}"))
        few = unsigned <= most
        return b.select(few, y, most), few

    cases = (
        Case(i32["n", 4], Within(i32[()], 0, 5)),
        Case(Within(u8[6], 0, 256), Within(u8[6], 0, 9)),
        Case(Within(i8[4], -128, 128), Within(i8[4], -1, 9)),
        Case([1, -1, 5, -128, 77, -77, -1], [3, 4, 0, 2, 64, 100, -1]),
    )
    rejects = (
        Reject(i32[2], i64[2], message="dtypes differ: i32 and i64"),
        Reject(i32[2], i32[3], message="shapes [2] and [3] differ: 2 != 3 on axis -1"),
        Reject(f32[2], f32[2], message="needs an integer input, got f32[2]"),
        Reject(bool_[2], bool_[2], message="needs an integer input, got bool[2]"),
    )


@register
class LeftShift(Shift):
    """x · 2ʸ, with zeros from the right; what leaves on the left is lost. No derivative."""

    name = "left_shift"
    ufunc = np.left_shift

    def lower(self, b: Any, x: Any, y: Any) -> Any:
        count, few = self._count(b, x, y)
        return b.select(few, x << count, 0)


@register
class RightShift(Shift):
    """⌊x / 2ʸ⌋, with copies of the sign from the left. No derivative."""

    name = "right_shift"
    ufunc = np.right_shift

    def lower(self, b: Any, x: Any, y: Any) -> Any:
        count, few = self._count(b, x, y)
        # All but one bit of a signed number moved out leaves copies of its sign.
        return x >> count if x.signed else b.select(few, x >> count, 0)


bitwise_and = BitwiseAnd()
bitwise_or = BitwiseOr()
bitwise_xor = BitwiseXor()
bitwise_invert = BitwiseInvert()
left_shift = LeftShift()
right_shift = RightShift()

# The array API standard's names.
bitwise_left_shift, bitwise_right_shift = left_shift, right_shift
