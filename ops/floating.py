"""What floating-point numbers are made of: signs, neighbours, and values that are not finite."""

from __future__ import annotations

import importlib
import math
from typing import Any

import numpy as np

from graphwright.graph.dtype import DType, boolean, float32, is_floating
from graphwright.graph.errors import AttributeValueError
from graphwright.graph.operator import register
from graphwright.graph.tensor import Tensor, TensorLike
from graphwright.graph.types import TensorType
from graphwright.ops.arguments import AnyFloat
from graphwright.ops.arithmetic import abs, sign
from graphwright.ops.case import Case, Reject, f16, f32, f64, i32
from graphwright.ops.comparison import equal
from graphwright.ops.composite import Composite
from graphwright.ops.convert import as_floating, as_tensor, builder, promoted
from graphwright.ops.elementwise import Binary, Real, lowered_in_single_precision
from graphwright.ops.logical import isfinite, isnan
from graphwright.ops.reduction import all
from graphwright.ops.selection import where

_INTEGERS = Reject(i32[2], i32[2], message="needs a floating input, got i32[2]")


@register
class Signbit(Real):
    """True where the sign is minus, of zeros and nans too; it has no derivative."""

    name = "signbit"
    gives = boolean
    differentiable = False
    ufunc = np.signbit

    def lower(self, b: Any, x: Any) -> Any:
        return b.bits(x, np.dtype(f"i{x.dtype.itemsize}")) < 0

    cases = Case(f32["n", 4]), Case([0.0, -0.0, -np.inf, np.inf]), Case([math.copysign(np.nan, -1)])


@register
class Copysign(Binary):
    """|x| with the sign of y, which counts for zeros and nans too.

    d/dx = sign(x) · copysign(1, y), 0 at x = 0; nothing for y
    """

    name = "copysign"
    takes = "floating"
    ufunc = np.copysign

    @lowered_in_single_precision
    def lower(self, b: Any, x: Any, y: Any) -> Any:
        return b.intrinsic("copysign", x, y)

    def gradient(self, x: Tensor, y: Tensor, out: Tensor, g: Tensor) -> tuple[Tensor, None]:
        return g * (sign(x) * copysign(as_tensor(1, y.dtype), y)), None

    cases = (
        Case(f32["n", 4], f32[4]),
        Case([2.0, -3.0, 1e-310, -1.0], [-0.0, 0.0, -np.inf, 5.0], smooth=(0,)),
        Case([0.0, -0.0, np.inf, np.nan], [-1.0, 0.0, -2.0, 1.0], smooth=False),
    )
    rejects = (*Binary.misfits, _INTEGERS)


@register
class Nextafter(Binary):
    """The number next to x in its dtype, on the way to y; y where they are equal.

    It has no derivative: its steps are the rounding of the dtype.
    """

    name = "nextafter"
    takes = "floating"
    differentiable = False
    ufunc = np.nextafter

    def lower(self, b: Any, x: Any, y: Any) -> Any:
        # The bits of numbers of one sign are ordered as they are, away from 0.
        whole = np.dtype(f"i{x.dtype.itemsize}")
        bits, aim, dtype = b.bits(x, whole), b.bits(y, whole), x.dtype
        if dtype.itemsize == 2:
            x, y = b.convert(x, float32), b.convert(y, float32)
        outward = (x < y) ^ (bits < 0)
        moved = b.select(outward, bits + 1, bits - 1)
        from_zero = (aim & np.iinfo(whole).min) | 1
        moved = b.select(x.equals(0), from_zero, moved)
        moved = b.select(x.equals(y) | y.differs(y), aim, moved)
        return b.bits(b.select(x.differs(x), bits, moved), dtype)

    cases = (
        Case(f32["n", 4], f32[4]),
        Case([0.0, 1.0, 1.0, -0.0], [1.0, 2.0, 0.0, 0.0]),
        Case([np.inf, 1.7976931348623157e308, np.nan], [0.0, np.inf, 1.0]),
    )
    rejects = (*Binary.misfits, _INTEGERS)


@register
class NanToNum(Composite, Real):
    """x with other values for what is not finite: `nan`, `posinf` and `neginf`.

    d/dx = 1 where x is finite, else 0
    """

    name = "nan_to_num"

    nan: float
    posinf: float
    neginf: float

    def infer(self, x: TensorType) -> TensorType:
        return self.typed(x)

    def decompose(self, x: Tensor) -> Tensor:
        bounded = where(equal(x, math.inf), self.posinf, where(equal(x, -math.inf), self.neginf, x))
        return where(isnan(x), self.nan, bounded)

    def gradient(self, x: Tensor, out: Tensor, g: Tensor) -> Tensor:
        return where(isfinite(x), g, 0)

    cases = (
        Case(f32["n", 4], nan=0.0, posinf=3.0, neginf=-3.0),
        Case([1.0, -0.0, np.inf, -np.inf, np.nan], nan=0.5, posinf=1e308, neginf=-1e308),
        Case([np.inf, -np.inf, np.nan], nan=math.inf, posinf=math.nan, neginf=0.0),
    )
    rejects = (Reject(i32[3], nan=0.0, posinf=0.0, neginf=0.0, message="needs a floating input"),)


@register
class IsClose(Composite, Binary):
    """True where |x - y| ≤ atol + rtol · |y|, or x = y, as infinities may be.

    equal_nan: whether nan counts as close to nan
    True or false: no derivative.
    """

    name = "isclose"
    takes = "floating"
    gives = boolean
    differentiable = False

    rtol: float
    atol: float
    equal_nan: bool

    def infer(self, x: TensorType, y: TensorType) -> TensorType:
        if not (self.rtol >= 0 and self.atol >= 0):
            raise AttributeValueError(
                f"tolerances can't be negative, got {self.rtol} and {self.atol}"
            )
        return self.typed(x, y)

    def decompose(self, x: Tensor, y: Tensor) -> Tensor:
        near = abs(x - y) <= self.atol + self.rtol * abs(y)
        close = (near & isfinite(y)) | equal(x, y)
        return close | (isnan(x) & isnan(y)) if self.equal_nan else close

    cases = (
        Case(f32["n", 4], f32[4], rtol=0.5, atol=0.1, equal_nan=False),
        Case([1.0, 100.0, 0.0], [1.05, 110.0, 0.01], rtol=0.1, atol=0.0, equal_nan=False),
        Case([np.inf] * 3, [np.inf, -np.inf, 1.0], rtol=0.1, atol=1.0, equal_nan=False),
        Case([np.nan, np.nan], [np.nan, 1.0], rtol=0.0, atol=1.0, equal_nan=True),
        Case([np.nan, 1.0], [np.nan, np.inf], rtol=1.0, atol=1.0, equal_nan=False),
    )
    rejects = (
        Reject(f32[2], f64[2], rtol=0.0, atol=0.0, equal_nan=True, message="dtypes differ"),
        Reject(f16[2], f16[2], rtol=-1.0, atol=0.0, equal_nan=True, message="be negative"),
        Reject(i32[2], i32[2], rtol=0.0, atol=0.0, equal_nan=True, message="needs a floating"),
    )


signbit = Signbit()
copysign = Copysign()
nextafter = Nextafter()


@builder
def nan_to_num(
    x: TensorLike,
    nan: AnyFloat = 0.0,
    posinf: AnyFloat | None = None,
    neginf: AnyFloat | None = None,
) -> Tensor:
    """`x` with `nan`, `posinf` and `neginf` for what is not finite; see `NanToNum`.

    posinf, neginf: None for the largest and the smallest finite number of the dtype
    Tensors of integers and booleans are returned as they are.
    """
    tensor = as_tensor(x)
    if not is_floating(tensor.dtype):
        return tensor
    top = _largest(tensor.dtype)
    high = top if posinf is None else float(posinf)
    return NanToNum(float(nan), high, -top if neginf is None else float(neginf))(tensor)


@builder
def isclose(
    x: TensorLike,
    y: TensorLike,
    rtol: float = 1e-5,
    atol: float = 1e-8,
    equal_nan: bool = False,
) -> Tensor:
    """True where |x - y| ≤ atol + rtol · |y|; integers are compared as float64. See `IsClose`."""
    first, second = promoted(x, y)
    op = IsClose(float(rtol), float(atol), equal_nan)
    return op(as_floating(first), as_floating(second))


@builder
def allclose(
    x: TensorLike,
    y: TensorLike,
    rtol: float = 1e-5,
    atol: float = 1e-8,
    equal_nan: bool = False,
) -> Tensor:
    """True if all of `x` is close to `y`, as `isclose` has it; a boolean of rank 0."""
    return all(isclose(x, y, rtol, atol, equal_nan))


def _largest(dtype: DType) -> float:
    """The largest finite number."""
    if dtype.kind == "f":
        return float(np.finfo(dtype).max)
    finfo: Any = importlib.import_module("ml_dtypes").finfo
    return float(finfo(dtype).max)
