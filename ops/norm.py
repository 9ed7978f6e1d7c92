"""Norms of vectors."""

from __future__ import annotations

import math

import numpy as np

from graphwright.graph.errors import AttributeValueError
from graphwright.graph.operator import register
from graphwright.graph.tensor import Axis, Tensor, TensorLike
from graphwright.graph.types import TensorType
from graphwright.ops.arithmetic import abs, power, sign, square
from graphwright.ops.case import Case, Reject, Within, f16, f32, f64, i32
from graphwright.ops.checks import check_floating
from graphwright.ops.comparison import equal, not_equal
from graphwright.ops.composite import Composite
from graphwright.ops.convert import as_floating, builder, cast
from graphwright.ops.creation import zeros_like
from graphwright.ops.exponential import sqrt
from graphwright.ops.reduction import Max, Min, Reduction, Sum, refuse_empty
from graphwright.ops.selection import where
from graphwright.ops.shapes import normalize_axes
from graphwright.ops.statistics import widened


@register
class VectorNorm(Composite, Reduction):
    """The p-norm (Σ |x|ᵖ)^(1/p) over axes, p being `ord`; 16-bit floats are summed as float32.

    ord: 2 for the Euclidean norm √(Σ x²), 1 for Σ |x|, inf for max |x|, -inf for min |x|, 0 for
         how many elements are not 0; or any other number

    d/dx = sign(x) (|x| / out)ᵖ⁻¹, which is x/out for 2; 0 where x or the norm is 0; shared where
    several elements have the largest or smallest magnitude; 0 for the count
    Source: the Python array API standard, linalg.vector_norm.
    """

    name = "vector_norm"

    ord: float

    def infer(self, x: TensorType) -> TensorType:
        check_floating(x)
        if math.isnan(self.ord):
            raise AttributeValueError("ord must be a number or infinite, got nan")
        shape = self.reduced(x.shape)
        if math.isinf(self.ord):
            refuse_empty(self.name, x.shape, self.axes)
        return x.with_shape(shape)

    def decompose(self, x: Tensor) -> Tensor:
        if math.isinf(self.ord):
            return self._extreme()(abs(x))
        wide, add = widened(x), Sum(self.axes, self.keepdims)
        if self.ord == 0:
            norm = add(cast(not_equal(wide, 0), wide.dtype))
        elif self.ord == 1:
            norm = add(abs(wide))
        elif self.ord == 2:
            norm = sqrt(add(square(wide)))
        else:
            norm = power(add(power(abs(wide), self.ord)), 1 / self.ord)
        return cast(norm, x.dtype)

    def gradient(self, x: Tensor, out: Tensor, g: Tensor) -> Tensor:
        if math.isinf(self.ord):
            return self._extreme().gradient(abs(x), out, g) * sign(x)
        if self.ord == 0:
            return zeros_like(x)
        wide, norm = widened(x), widened(self.spread(out, x))
        ratio = wide / where(equal(norm, 0), 1, norm)
        if self.ord == 2:
            slope = ratio
        elif self.ord == 1:
            slope = sign(wide)
        else:
            nonzero = where(equal(ratio, 0), 1, abs(ratio))
            slope = sign(wide) * power(nonzero, self.ord - 1)
        return cast(widened(self.spread(g, x)) * slope, x.dtype)

    def _extreme(self) -> Max | Min:
        return (Max if self.ord > 0 else Min)(self.axes, self.keepdims)

    cases = (
        Case(f32["n", 3], axes=(1,), keepdims=False, ord=2.0),
        Case(f64[2, "n"], axes=(1,), keepdims=True, ord=1.0),
        Case(f64[2, 3, 2], axes=(0, 2), keepdims=False, ord=2.0),
        Case(f64[2, 3], axes=(1,), keepdims=False, ord=np.inf),
        Case(f64[2, 3], axes=(0,), keepdims=True, ord=-np.inf),
        Case(f64[3], axes=(0,), keepdims=False, ord=3.0),
        Case(f64[3], axes=(0,), keepdims=False, ord=-2.0),
        Case(f64[3], axes=(0,), keepdims=False, ord=0.5),
        Case([[1.0, 0.0, -0.0, -3.0]], axes=(1,), keepdims=False, ord=0.0),
        Case([[0.0, 0.0], [3.0, -4.0]], axes=(1,), keepdims=False, ord=2.0, smooth=False),
        Case([-np.inf, 1.0], axes=(0,), keepdims=False, ord=2.0),
        Case([np.nan, np.inf], axes=(0,), keepdims=False, ord=np.inf),
        Case(Within(f16[8], 100, 200), axes=(0,), keepdims=False, ord=2.0),
    )
    rejects = (
        Reject(i32[3], axes=(0,), keepdims=False, ord=2.0, message="needs a floating input"),
        Reject(f32[3], axes=(0,), keepdims=False, ord=math.nan, message="ord must be a number"),
        Reject(f32[3], axes=(1,), keepdims=False, ord=2.0, message="axis 1 is out of range"),
        Reject(f32[2, 0], axes=(1,), keepdims=True, ord=math.inf, message="axis 1 is empty"),
    )


@builder
def vector_norm(x: TensorLike, ord: float = 2, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The `ord`-norm of `x` over `axis` (one, several, or None for all elements).

    Integers become float64. See `VectorNorm`.
    """
    tensor = as_floating(x)
    return VectorNorm(normalize_axes(axis, tensor.ndim), keepdims, float(ord))(tensor)
