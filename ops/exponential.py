"""Exponentials, logarithms, roots, and the logistic function."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graphwright.graph.operator import register
from graphwright.graph.tensor import Tensor
from graphwright.ops.case import Case, Reject, Within, f32, f64, i32
from graphwright.ops.comparison import equal
from graphwright.ops.elementwise import (
    Binary,
    Real,
    in_single_precision,
    lowered_in_single_precision,
)
from graphwright.ops.logical import isinf
from graphwright.ops.selection import where


@register
class Exp(Real):
    """e to the power x.

    d/dx exp(x) = exp(x)
    """

    name = "exp"
    ufunc = np.exp

    def lower(self, b: Any, x: Any) -> Any:
        return b.call("exp", x)

    def gradient(self, x: Tensor, out: Tensor, g: Tensor) -> Tensor:
        return g * out

    cases = Case(f32["n", 4]), Case(f64[()]), Case([-np.inf, -1e3, 0.0, 700.0]), Case([np.nan, 1e3])


@register
class Exp2(Real):
    """2 to the power x.

    d/dx 2ˣ = 2ˣ log 2
    """

    name = "exp2"
    ufunc = np.exp2

    def lower(self, b: Any, x: Any) -> Any:
        return b.call("exp2", x)

    def gradient(self, x: Tensor, out: Tensor, g: Tensor) -> Tensor:
        return g * (out * math.log(2))

    cases = Case(f32["n", 4]), Case([-np.inf, -1.0, 0.0, 10.0, 2e3])


@register
class Expm1(Real):
    """exp(x) - 1, accurate near 0 too.

    d/dx expm1(x) = exp(x), which expm1(x) + 1 would round to 0 long before it underflows
    """

    name = "expm1"
    ufunc = np.expm1

    def lower(self, b: Any, x: Any) -> Any:
        return b.call("expm1", x)

    def gradient(self, x: Tensor, out: Tensor, g: Tensor) -> Tensor:
        return g * exp(x)

    cases = Case(f32["n", 4]), Case([1e-20, -1e-9, -50.0, 0.0]), Case([-np.inf, 1e3])


@register
class Log(Real):
    """The natural logarithm; -inf at 0, nan below.

    d/dx log(x) = 1/x
    """

    name = "log"
    ufunc = np.log

    def lower(self, b: Any, x: Any) -> Any:
        return b.call("log", x)

    def gradient(self, x: Tensor, out: Tensor, g: Tensor) -> Tensor:
        return g / x

    cases = (
        Case(Within(f32["n", 4], 0.1, 3)),
        Case([1e-300, 1.0, np.e]),
        Case([0.0, -1.0, np.inf]),
    )


@register
class Log2(Real):
    """The logarithm to the base 2; -inf at 0, nan below.

    d/dx log₂(x) = 1/(x log 2)
    """

    name = "log2"
    ufunc = np.log2

    def lower(self, b: Any, x: Any) -> Any:
        return b.call("log2", x)

    def gradient(self, x: Tensor, out: Tensor, g: Tensor) -> Tensor:
        return g / (x * math.log(2))

    cases = Case(Within(f32["n", 4], 0.1, 3)), Case([0.125, 1.0, 8.0]), Case([0.0, -1.0, np.inf])


@register
class Log10(Real):
    """The logarithm to the base 10; -inf at 0, nan below.

    d/dx log₁₀(x) = 1/(x log 10)
    """

    name = "log10"
    ufunc = np.log10

    def lower(self, b: Any, x: Any) -> Any:
        return b.call("log10", x)

    def gradient(self, x: Tensor, out: Tensor, g: Tensor) -> Tensor:
        return g / (x * math.log(10))

    cases = Case(Within(f32["n", 4], 0.1, 3)), Case([0.01, 1.0, 1e5]), Case([0.0, -1.0, np.inf])


@register
class Log1p(Real):
    """log(1 + x), accurate near 0 too; -inf at -1, nan below.

    d/dx log1p(x) = 1/(1 + x)
    """

    name = "log1p"
    ufunc = np.log1p

    def lower(self, b: Any, x: Any) -> Any:
        return b.call("log1p", x)

    def gradient(self, x: Tensor, out: Tensor, g: Tensor) -> Tensor:
        return g / (1 + x)

    cases = (
        Case(Within(f32["n", 4], -0.9, 3)),
        Case([1e-20, -1e-9, 0.0]),
        Case([-1.0, -2.0, np.inf]),
    )


@register
class Sqrt(Real):
    """The square root; nan below 0.

    d/dx √x = 1/(2√x), inf at 0
    """

    name = "sqrt"
    ufunc = np.sqrt

    @lowered_in_single_precision
    def lower(self, b: Any, x: Any) -> Any:
        return b.intrinsic("sqrt", x)

    def gradient(self, x: Tensor, out: Tensor, g: Tensor) -> Tensor:
        return 0.5 * g / out

    cases = (
        Case(Within(f32["n", 4], 0.1, 3)),
        Case([1e-300, 4.0]),
        Case([0.0, -1.0, np.inf], smooth=False),
    )


@register
class Rsqrt(Real):
    """1/√x; inf at 0, nan below.

    d/dx = -1/(2x√x)
    """

    name = "rsqrt"

    @in_single_precision
    def kernel(self, x: NDArray[Any]) -> Any:
        return np.reciprocal(np.sqrt(x))

    @lowered_in_single_precision
    def lower(self, b: Any, x: Any) -> Any:
        return 1 / b.intrinsic("sqrt", x)

    def gradient(self, x: Tensor, out: Tensor, g: Tensor) -> Tensor:
        return -0.5 * g * out / x

    cases = (
        Case(Within(f32["n", 4], 0.1, 3)),
        Case([1e-200, 4.0]),
        Case([0.0, -1.0, np.inf], smooth=False),
    )


@register
class Cbrt(Real):
    """The real cube root, negative of negative numbers.

    d/dx = 1/(3 ∛x²), inf at 0
    """

    name = "cbrt"
    ufunc = np.cbrt

    def lower(self, b: Any, x: Any) -> Any:
        return b.call("cbrt", x)

    def gradient(self, x: Tensor, out: Tensor, g: Tensor) -> Tensor:
        return g / (3 * out * out)

    cases = (
        Case(Within(f32["n", 4], 0.1, 3)),
        Case([-27.0, 1e-300, 8.0]),
        Case([0.0, -np.inf], smooth=False),
    )


@register
class Sigmoid(Real):
    """The logistic function 1/(1 + exp(-x)), without overflow and without cancellation.

    d/dx σ(x) = σ(x) (1 - σ(x))
    """

    name = "sigmoid"

    @in_single_precision
    def kernel(self, x: NDArray[Any]) -> Any:
        # 1/(1 + exp(-x)) where x is positive, exp(x)/(1 + exp(x)) elsewhere: neither overflows.
        return np.exp(np.minimum(x, 0)) / (1 + np.exp(-np.abs(x)))

    def lower(self, b: Any, x: Any) -> Any:
        return b.call("sigmoid", x)

    def gradient(self, x: Tensor, out: Tensor, g: Tensor) -> Tensor:
        return g * (out * (1 - out))

    cases = (
        Case(f32["n", 4]),
        Case([-740.0, -40.0, 0.0, 40.0]),
        Case([-np.inf, np.inf, np.nan, -1e4]),
    )


@register
class Logaddexp(Binary):
    """log(exp(x) + exp(y)), without overflow.

    d/dx = σ(x - y), d/dy = σ(y - x); ½ where both are the same infinity
    """

    name = "logaddexp"
    takes = "floating"
    commutative = True
    identity_element = -math.inf
    ufunc = np.logaddexp

    def lower(self, b: Any, x: Any, y: Any) -> Any:
        return b.call("logaddexp", x, y)

    def gradient(self, x: Tensor, y: Tensor, out: Tensor, g: Tensor) -> tuple[Tensor, Tensor]:
        # inf - inf has no value; there, as at every tie, the shares are equal.
        lead = where(isinf(out) & equal(x, y), 0, x - y)
        return g * sigmoid(lead), g * sigmoid(-lead)

    cases = (
        Case(f32["n", 4], f32[4]),
        Case([1e3, -1e3, 0.0, 1.0], [1e3, -1e3, 800.0, 1.0]),
        Case([np.inf, -np.inf, -np.inf, np.nan], [1.0, 2.0, -np.inf, 0.0]),
    )
    rejects = (
        *Binary.misfits,
        Reject(i32[2], i32[2], message="needs a floating input, got i32[2]"),
    )


exp = Exp()
exp2 = Exp2()
expm1 = Expm1()
log = Log()
log2 = Log2()
log10 = Log10()
log1p = Log1p()
sqrt = Sqrt()
rsqrt = Rsqrt()
cbrt = Cbrt()
sigmoid = Sigmoid()
logaddexp = Logaddexp()
