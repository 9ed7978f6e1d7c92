"""Addition, multiplication and what follows from them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from graphwright.graph.dtype import float64, is_floating
from graphwright.graph.operator import register
from graphwright.graph.tensor import Tensor, TensorLike
from graphwright.ops.case import Case, Reject, Within, f32, f64, i32, u8
from graphwright.ops.comparison import equal
from graphwright.ops.convert import as_tensor, builder, common_dtype
from graphwright.ops.elementwise import Binary, Real, Unary, lowered_in_single_precision
from graphwright.ops.exponential import log
from graphwright.ops.selection import where


@register
class Add(Binary):
    """x + y.

    d/dx = 1, d/dy = 1
    """

    name = "add"
    identity_element = 0
    commutative = True
    ufunc = np.add

    @lowered_in_single_precision
    def lower(self, b: Any, x: Any, y: Any) -> Any:
        return x + y

    def gradient(self, x: Tensor, y: Tensor, out: Tensor, g: Tensor) -> tuple[Tensor, Tensor]:
        return g, g

    cases = (
        Case(f32["n", 4], f32[4]),
        Case(f64[2, 1, 3], f64[5, 1]),
        Case(i32[3], i32[()]),
        Case([0.1, np.inf, -0.0], [0.2, -np.inf, 0.0]),
    )


@register
class Subtract(Binary):
    """x - y.

    d/dx = 1, d/dy = -1
    """

    name = "subtract"
    identity_element = 0
    ufunc = np.subtract

    @lowered_in_single_precision
    def lower(self, b: Any, x: Any, y: Any) -> Any:
        return x - y

    def gradient(self, x: Tensor, y: Tensor, out: Tensor, g: Tensor) -> tuple[Tensor, Tensor]:
        return g, -g

    cases = Case(f32["n", 4], f32["n", 1]), Case(u8[3], u8[3]), Case([1.0, np.inf], [0.5, np.inf])


@register
class Multiply(Binary):
    """x × y.

    d/dx = y, d/dy = x
    """

    name = "multiply"
    identity_element = 1
    absorbing_element = 0
    commutative = True
    ufunc = np.multiply

    @lowered_in_single_precision
    def lower(self, b: Any, x: Any, y: Any) -> Any:
        return x * y

    def gradient(self, x: Tensor, y: Tensor, out: Tensor, g: Tensor) -> tuple[Tensor, Tensor]:
        return g * y, g * x

    cases = Case(f32["n", 4], f32[4]), Case(i32[2, 2], i32[2, 2]), Case([0.0, 2.0], [np.inf, 1e308])


@register
class Divide(Binary):
    """x / y, the true quotient; integers are converted to float64 first, as in NumPy.

    d/dx = 1/y, d/dy = -x/y²
    """

    name = "divide"
    identity_element = 1
    takes = "floating"
    ufunc = np.divide

    @lowered_in_single_precision
    def lower(self, b: Any, x: Any, y: Any) -> Any:
        return x / y

    def __call__(self, x: TensorLike, y: TensorLike) -> Tensor:
        dtype = common_dtype(x, y)
        dtype = dtype if is_floating(dtype) else float64
        return super().__call__(as_tensor(x, dtype), as_tensor(y, dtype))

    def gradient(self, x: Tensor, y: Tensor, out: Tensor, g: Tensor) -> tuple[Tensor, Tensor]:
        return g / y, -g * out / y

    cases = (
        Case(f32["n", 3], Within(f32[3], 0.5, 2)),
        Case([1.0, -1.0, 0.0, 5.0], [0.0, 0.0, 0.0, np.inf], smooth=False),
    )
    rejects = (
        *Binary.misfits,
        Reject(i32[2], i32[2], message="needs a floating input, got i32[2]"),
    )


@register
class FloorDivide(Binary):
    """The whole quotient ⌊x / y⌋. Its derivative is 0 wherever it exists.

    An integer divided by 0 gives 0, as in NumPy.
    """

    name = "floor_divide"
    ufunc = np.floor_divide

    @lowered_in_single_precision
    def lower(self, b: Any, x: Any, y: Any) -> Any:
        if not x.floating:
            quotient, rest, by_zero = _divided(b, x, y)
            below = rest.differs(0) & ((rest < 0) ^ (y < 0))
            return b.select(by_zero, 0, quotient - b.convert(below, x.dtype))
        whole, _ = _divided_floats(b, x, y)
        return whole

    differentiable = False

    cases = (
        Case(f32["n", 3], Within(f32[3], 0.5, 2)),
        Case([7, -7, 7, -7], [2, 2, -2, -2]),
        Case([7.0, -7.0], [2.0, 2.0]),
    )


@register
class Remainder(Binary):
    """x - y⌊x / y⌋: what is left, with the sign of y (Python's `%`).

    d/dx = 1, d/dy = -⌊x/y⌋
    """

    name = "remainder"
    ufunc = np.remainder

    @lowered_in_single_precision
    def lower(self, b: Any, x: Any, y: Any) -> Any:
        if not x.floating:
            _, rest, by_zero = _divided(b, x, y)
            below = rest.differs(0) & ((rest < 0) ^ (y < 0))
            return b.select(by_zero, 0, b.select(below, rest + y, rest))
        _, rest = _divided_floats(b, x, y)
        return rest

    def gradient(self, x: Tensor, y: Tensor, out: Tensor, g: Tensor) -> tuple[Tensor, Tensor]:
        return g, -g * floor_divide(x, y)

    cases = (
        Case(Within(f32["n", 3], 0.6, 0.9), Within(f32[3], 1.1, 2)),
        Case([7, -7, 7, -7], [3, 3, -3, -3]),
        Case([5.5, -5.5], [2.0, 2.0]),
    )


@register
class Power(Binary):
    """x to the power y; nan where x < 0 and y is no whole number.

    d/dx = y xʸ⁻¹ (0 for 0⁰), d/dy = xʸ log x (0 where x ≤ 0, where it has no real value)
    """

    name = "power"
    identity_element = 1
    ufunc = np.power

    def kernel(self, x: NDArray[Any], y: NDArray[Any]) -> Any:
        if y.dtype.kind != "i":
            return np.power(x, y)
        # NumPy refuses negative whole powers of whole numbers; they round to 0, but for ±1.
        inverse = np.where(x == -1, 1 - 2 * (y % 2), x == 1)
        return np.where(y < 0, inverse, np.power(x, np.maximum(y, 0))).astype(x.dtype)

    def kernel_into(self, out: NDArray[Any], x: NDArray[Any], y: NDArray[Any]) -> None:
        if y.dtype.kind != "i":
            np.power(x, y, out=out)
        else:
            np.copyto(out, self.kernel(x, y))

    def lower(self, b: Any, x: Any, y: Any) -> Any:
        return b.call("pow", x, y) if x.floating else _whole_power(b, x, y)

    def gradient(self, x: Tensor, y: Tensor, out: Tensor, g: Tensor) -> tuple[Tensor, Tensor]:
        base = where(equal(x, 0) & equal(y, 0), 1, x)
        positive = where(x > 0, x, 1)
        return g * y * power(base, y - 1), g * where(x > 0, out * log(positive), 0)

    cases = (
        Case(Within(f32["n", 3], 0.2, 2), f32[3]),
        Case([-2.0, -0.5, 3.0], [3.0, 2.0, 0.0], smooth=(0,)),
        Case([2, -3, 1, -1], [5, 3, -2, -3]),
        Case([-2.0, 0.0, 3.0], [2.0, 1.0, 0.0], smooth=(0,)),
        Case([0.0, 2.0, -8.0], [0.0, -np.inf, 1 / 3], smooth=False),
        Case(Within(u8[4], 0, 3), u8[4]),
    )


@register
class Negative(Unary):
    """-x.

    d/dx = -1
    """

    name = "negative"
    involution = True
    ufunc = np.negative

    @lowered_in_single_precision
    def lower(self, b: Any, x: Any) -> Any:
        return -x

    def gradient(self, x: Tensor, out: Tensor, g: Tensor) -> Tensor:
        return -g

    cases = Case(f32["n", 4]), Case(i32[3]), Case([0.0, -np.inf])


@register
class Abs(Unary):
    """|x|.

    d/dx = sign(x), 0 at 0
    """

    name = "abs"
    idempotent = True
    ufunc = np.abs

    @lowered_in_single_precision
    def lower(self, b: Any, x: Any) -> Any:
        if x.floating:
            return b.intrinsic("fabs", x)
        return b.select(x < 0, -x, x) if x.signed else x

    def gradient(self, x: Tensor, out: Tensor, g: Tensor) -> Tensor:
        return g * sign(x)

    cases = (
        Case(Within(f32["n", 4], -2, -0.1)),
        Case(i32[3]),
        Case([0.0, -0.0, -np.inf], smooth=False),
    )


@register
class Sign(Unary):
    """-1, 0 or 1 with the sign of x; nan for nan. Its derivative is 0 wherever it exists."""

    name = "sign"
    idempotent = True
    ufunc = np.sign

    @lowered_in_single_precision
    def lower(self, b: Any, x: Any) -> Any:
        one = x.like(1)
        if not (x.floating or x.signed):
            return b.select(x > 0, one, 0)
        # What is neither above nor below 0 is 0, whatever its sign, or nan.
        rest = b.select(x.equals(0), 0, x) if x.floating else x
        return b.select(x > 0, one, b.select(x < 0, -one, rest))

    differentiable = False

    cases = Case(f32["n", 4]), Case(i32[3]), Case([0.0, -3.0, np.inf, np.nan])


@register
class Square(Unary):
    """x².

    d/dx = 2x
    """

    name = "square"
    ufunc = np.square

    @lowered_in_single_precision
    def lower(self, b: Any, x: Any) -> Any:
        return x * x

    def gradient(self, x: Tensor, out: Tensor, g: Tensor) -> Tensor:
        return g * (2 * x)

    cases = Case(f32["n", 4]), Case(i32[3]), Case([1e200, -np.inf], smooth=False)


@register
class Reciprocal(Real):
    """1 / x.

    d/dx = -1/x²
    """

    name = "reciprocal"
    ufunc = np.reciprocal

    @lowered_in_single_precision
    def lower(self, b: Any, x: Any) -> Any:
        return 1 / x

    def gradient(self, x: Tensor, out: Tensor, g: Tensor) -> Tensor:
        return -g * square(out)

    cases = Case(Within(f32["n", 4], 0.3, 2)), Case([0.0, -0.0, np.inf], smooth=False)


def _divided(b: Any, x: Any, y: Any) -> tuple[Any, Any, Any]:
    """Native: of whole numbers, the quotient towards 0, what is left, and whether y is 0.

    No instruction divides by 0, nor the smallest number by -1: both are divided by 1.
    """
    by_zero = y.equals(0)
    refused = by_zero
    if x.signed:
        refused = by_zero | (y.equals(-1) & x.equals(np.iinfo(x.dtype).min))
    divisor = b.select(refused, 1, y)
    quotient = x / divisor
    return quotient, x - quotient * divisor, by_zero


def _divided_floats(b: Any, x: Any, y: Any) -> tuple[Any, Any]:
    """Native: NumPy's `divmod` of floats."""
    rest = b.remainder(x, y)  # exact, with the sign of x
    other_sign = rest.differs(0) & ((rest < 0) ^ (y < 0))
    adjusted = b.select(other_sign, rest + y, rest)
    exact = b.select(other_sign, (x - rest) / y - 1, (x - rest) / y)
    down = b.intrinsic("floor", exact)
    nearest = b.select(exact - down > 0.5, down + 1, down)
    ratio = x / y
    whole = b.select(exact.equals(0), b.intrinsic("copysign", y.like(0), ratio), nearest)
    zero = b.intrinsic("copysign", y.like(0), y)
    return b.select(y.equals(0), ratio, whole), b.select(adjusted.equals(0), zero, adjusted)


def _whole_power(b: Any, x: Any, y: Any) -> Any:
    """Native: x to the power y by repeated squaring, modulo 2 to the number of bits."""
    factor, left, result = x, y, x.like(1)
    for _ in range(8 * x.dtype.itemsize):
        result = b.select((left & 1).equals(0), result, result * factor)
        factor, left = factor * factor, left >> 1
    if not x.signed:
        return result
    # As in the kernel: a negative power of a whole number rounds to 0, but for ±1.
    alternating = b.select((y & 1).equals(0), y.like(1), -1)
    inverse = b.select(x.equals(-1), alternating, b.convert(x.equals(1), x.dtype))
    return b.select(y < 0, inverse, result)


add = Add()
subtract = Subtract()
multiply = Multiply()
divide = Divide()
floor_divide = FloorDivide()
remainder = Remainder()
power = Power()
negative = Negative()
abs = Abs()
sign = Sign()
square = Square()
reciprocal = Reciprocal()

# The array API standard's name.
pow = power


@builder
def positive(x: TensorLike) -> Tensor:
    """`x` itself, which must be of numbers: what `+x` means.

    Raises DTypeError for booleans, as NumPy does.
    """
    tensor = as_tensor(x)
    negative.infer(tensor.type)
    return tensor
