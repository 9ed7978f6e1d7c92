"""Exponentials, logarithms and roots."""

from __future__ import annotations

import numpy as np

from graphwright.graph.operator import register
from graphwright.graph.tensor import Tensor
from graphwright.ops.case import Case, Reject, Within, f16, f32, f64, i32
from graphwright.ops.elementwise import Unary


@register
class Exp(Unary):
    """e to the power x.

    d/dx exp(x) = exp(x)
    """

    name = "exp"
    takes = "floating"
    ufunc = np.exp

    def gradient(self, x: Tensor, out: Tensor, g: Tensor) -> Tensor:
        return g * out

    cases = Case(f32["n", 4]), Case(f16[3]), Case(f64[()]), Case([-np.inf, -1e3, 0.0, 700.0])
    rejects = (Reject(i32[3], message="needs a floating input, got i32[3]"),)


@register
class Log(Unary):
    """The natural logarithm; -inf at 0, nan below.

    d/dx log(x) = 1/x
    """

    name = "log"
    takes = "floating"
    ufunc = np.log

    def gradient(self, x: Tensor, out: Tensor, g: Tensor) -> Tensor:
        return g / x

    cases = Case(Within(f32["n", 4], 0.1, 3)), Case([1e-300, 1.0, np.e])
    rejects = (Reject(i32[3], message="needs a floating input, got i32[3]"),)


exp = Exp()
log = Log()
