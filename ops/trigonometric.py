"""Circular and hyperbolic functions and their inverses; angles are in radians."""

from __future__ import annotations

from typing import Any

import numpy as np

from graphwright.graph.operator import register
from graphwright.graph.tensor import Tensor, TensorLike
from graphwright.graph.types import TensorType
from graphwright.ops.arithmetic import square
from graphwright.ops.case import Case, Reject, Within, f32, f64, i32
from graphwright.ops.comparison import equal
from graphwright.ops.elementwise import Binary, Elementwise, Real
from graphwright.ops.exponential import sqrt
from graphwright.ops.selection import where


@register
class Sin(Real):
    """The sine.

    d/dx sin(x) = cos(x)
    """

    name = "sin"
    ufunc = np.sin

    def lower(self, b: Any, x: Any) -> Any:
        return b.call("sin", x)

    def gradient(self, x: Tensor, out: Tensor, g: Tensor) -> Tensor:
        return g * cos(x)

    cases = Case(f32["n", 4]), Case([0.0, np.pi, -1e5], smooth=False), Case([np.inf, np.nan])


@register
class Cos(Real):
    """The cosine.

    d/dx cos(x) = -sin(x)
    """

    name = "cos"
    ufunc = np.cos

    def lower(self, b: Any, x: Any) -> Any:
        return b.call("cos", x)

    def gradient(self, x: Tensor, out: Tensor, g: Tensor) -> Tensor:
        return -g * sin(x)

    cases = Case(f32["n", 4]), Case([0.0, np.pi / 2, 1e5], smooth=False), Case([np.inf, np.nan])


@register
class Tan(Real):
    """The tangent.

    d/dx tan(x) = 1 + tan²(x)
    """

    name = "tan"
    ufunc = np.tan

    def lower(self, b: Any, x: Any) -> Any:
        return b.call("tan", x)

    def gradient(self, x: Tensor, out: Tensor, g: Tensor) -> Tensor:
        return g * (1 + square(out))

    cases = Case(Within(f32["n", 4], -1.4, 1.4)), Case([0.0, 3.0, -2.0]), Case([np.inf, np.nan])


@register
class Arcsin(Real):
    """The angle from -π/2 to π/2 whose sine is x; nan for |x| > 1.

    d/dx = 1/√(1 - x²), inf at ±1
    """

    name = "arcsin"
    ufunc = np.arcsin

    def lower(self, b: Any, x: Any) -> Any:
        return b.call("asin", x)

    def gradient(self, x: Tensor, out: Tensor, g: Tensor) -> Tensor:
        return g / sqrt((1 - x) * (1 + x))

    cases = Case(Within(f32["n", 4], -0.9, 0.9)), Case([-1.0, 1.0, 0.0, 1.5], smooth=False)


@register
class Arccos(Real):
    """The angle from 0 to π whose cosine is x; nan for |x| > 1.

    d/dx = -1/√(1 - x²), -inf at ±1
    """

    name = "arccos"
    ufunc = np.arccos

    def lower(self, b: Any, x: Any) -> Any:
        return b.call("acos", x)

    def gradient(self, x: Tensor, out: Tensor, g: Tensor) -> Tensor:
        return -g / sqrt((1 - x) * (1 + x))

    cases = Case(Within(f32["n", 4], -0.9, 0.9)), Case([-1.0, 1.0, 0.0, 1.5], smooth=False)


@register
class Arctan(Real):
    """The angle from -π/2 to π/2 whose tangent is x.

    d/dx = 1/(1 + x²)
    """

    name = "arctan"
    ufunc = np.arctan

    def lower(self, b: Any, x: Any) -> Any:
        return b.call("atan", x)

    def gradient(self, x: Tensor, out: Tensor, g: Tensor) -> Tensor:
        return g / (1 + square(x))

    cases = Case(f32["n", 4]), Case([0.0, -1e10, 1e-10]), Case([-np.inf, np.inf])


@register
class Arctan2(Elementwise):
    """The angle from -π to π of the point (x, y) in the plane, counted from the x axis.

    d/dy = x/(x² + y²), d/dx = -y/(x² + y²); 0 at the origin, where they don't exist
    """

    name = "arctan2"
    takes = "floating"
    ufunc = np.arctan2

    def lower(self, b: Any, y: Any, x: Any) -> Any:
        return b.call("atan2", y, x)

    def __call__(self, y: TensorLike, x: TensorLike) -> Tensor:
        return super().__call__(y, x)

    def infer(self, y: TensorType, x: TensorType) -> TensorType:
        return self.typed(y, x)

    def gradient(self, y: Tensor, x: Tensor, out: Tensor, g: Tensor) -> tuple[Tensor, Tensor]:
        length = hypot(x, y)  # whose square may overflow, or vanish
        length = where(equal(length, 0), 1, length)
        around = g / length
        return x / length * around, -y / length * around

    cases = (
        Case(f32["n", 4], Within(f32[4], 0.5, 2)),
        Case([1.0, -1.0, 1.0, -1.0], [1.0, 1.0, -1.0, -1.0]),
        Case([0.0, -0.0, 0.0, np.inf, 1.0], [0.0, 0.0, -1.0, np.inf, -np.inf], smooth=False),
    )
    rejects = (
        *Binary.misfits,
        Reject(i32[2], i32[2], message="needs a floating input, got i32[2]"),
    )


@register
class Hypot(Binary):
    """The length √(x² + y²) of the point (x, y), without overflow; inf where either is infinite.

    d/dx = x/out, d/dy = y/out; 0 at the origin, where they don't exist
    """

    name = "hypot"
    takes = "floating"
    commutative = True
    ufunc = np.hypot

    def lower(self, b: Any, x: Any, y: Any) -> Any:
        return b.call("hypot", x, y)

    def gradient(self, x: Tensor, y: Tensor, out: Tensor, g: Tensor) -> tuple[Tensor, Tensor]:
        length = where(equal(out, 0), 1, out)
        return g * (x / length), g * (y / length)

    cases = (
        Case(f32["n", 4], f32[4]),
        Case([3.0, -1.0, 1e-3], [4.0, 0.0, 2.0]),
        Case([0.0, 1e200, 1e-310, np.inf, np.nan], [0.0, -1e200, 0.0, np.nan, 1.0], smooth=False),
    )
    rejects = (
        *Binary.misfits,
        Reject(i32[2], i32[2], message="needs a floating input, got i32[2]"),
    )


@register
class Sinh(Real):
    """The hyperbolic sine (exp(x) - exp(-x))/2.

    d/dx sinh(x) = cosh(x)
    """

    name = "sinh"
    ufunc = np.sinh

    def lower(self, b: Any, x: Any) -> Any:
        return b.call("sinh", x)

    def gradient(self, x: Tensor, out: Tensor, g: Tensor) -> Tensor:
        return g * cosh(x)

    cases = Case(f32["n", 4]), Case([1e-10, -20.0]), Case([-1e3, np.inf])


@register
class Cosh(Real):
    """The hyperbolic cosine (exp(x) + exp(-x))/2.

    d/dx cosh(x) = sinh(x)
    """

    name = "cosh"
    ufunc = np.cosh

    def lower(self, b: Any, x: Any) -> Any:
        return b.call("cosh", x)

    def gradient(self, x: Tensor, out: Tensor, g: Tensor) -> Tensor:
        return g * sinh(x)

    cases = Case(f32["n", 4]), Case([1e-10, -20.0]), Case([-1e3, np.inf])


@register
class Tanh(Real):
    """The hyperbolic tangent sinh(x)/cosh(x).

    d/dx tanh(x) = 1 - tanh²(x)
    """

    name = "tanh"
    ufunc = np.tanh

    def lower(self, b: Any, x: Any) -> Any:
        return b.call("tanh", x)

    def gradient(self, x: Tensor, out: Tensor, g: Tensor) -> Tensor:
        return g * (1 - square(out))

    cases = Case(f32["n", 4]), Case(f64[()]), Case([1e-10, -20.0, 1e3]), Case([-np.inf, np.inf])


@register
class Arcsinh(Real):
    """The number whose hyperbolic sine is x.

    d/dx = 1/√(x² + 1)
    """

    name = "arcsinh"
    ufunc = np.arcsinh

    def lower(self, b: Any, x: Any) -> Any:
        return b.call("asinh", x)

    def gradient(self, x: Tensor, out: Tensor, g: Tensor) -> Tensor:
        return g / sqrt(square(x) + 1)

    cases = Case(f32["n", 4]), Case([1e-10, -1e10, 0.0]), Case([-np.inf, np.inf])


@register
class Arccosh(Real):
    """The number from 0 up whose hyperbolic cosine is x; nan below 1.

    d/dx = 1/√(x² - 1), inf at 1
    """

    name = "arccosh"
    ufunc = np.arccosh

    def lower(self, b: Any, x: Any) -> Any:
        return b.call("acosh", x)

    def gradient(self, x: Tensor, out: Tensor, g: Tensor) -> Tensor:
        return g / sqrt((x - 1) * (x + 1))

    cases = Case(Within(f32["n", 4], 1.2, 3)), Case([1.0, 0.5, np.inf], smooth=False), Case([1e10])


@register
class Arctanh(Real):
    """The number whose hyperbolic tangent is x; ±inf at ±1, nan beyond.

    d/dx = 1/(1 - x²)
    """

    name = "arctanh"
    ufunc = np.arctanh

    def lower(self, b: Any, x: Any) -> Any:
        return b.call("atanh", x)

    def gradient(self, x: Tensor, out: Tensor, g: Tensor) -> Tensor:
        return g / ((1 - x) * (1 + x))

    cases = Case(Within(f32["n", 4], -0.9, 0.9)), Case([1e-10, 0.0]), Case([-1.0, 1.0, 1.5])


sin = Sin()
cos = Cos()
tan = Tan()
arcsin = Arcsin()
arccos = Arccos()
arctan = Arctan()
arctan2 = Arctan2()
hypot = Hypot()
sinh = Sinh()
cosh = Cosh()
tanh = Tanh()
arcsinh = Arcsinh()
arccosh = Arccosh()
arctanh = Arctanh()

# The array API standard's names.
asin, acos, atan, atan2 = arcsin, arccos, arctan, arctan2
asinh, acosh, atanh = arcsinh, arccosh, arctanh
