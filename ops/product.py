"""Products of all elements but one: what differentiates a product."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graphwright.graph.dim import Size
from graphwright.graph.errors import ShapeError
from graphwright.graph.operator import Operator, register
from graphwright.graph.tensor import Tensor, TensorLike
from graphwright.graph.types import TensorType
from graphwright.ops.case import Case, Reject, f32, f64, i32
from graphwright.ops.checks import check_floating
from graphwright.ops.comparison import equal
from graphwright.ops.convert import as_floating, builder
from graphwright.ops.creation import arange
from graphwright.ops.movement import expand_dims
from graphwright.ops.selection import where


@register
class ProductOfOthers(Operator):
    """For each element, the product of all the others along the last axis: the derivative of prod.

    out[i] = Π x[j] over j ≠ i, without division, so that zeros do no harm
    d out[i]/d x[j] = Π x[k] over k ≠ i, j; 0 for j = i
    """

    name = "product_of_others"

    def infer(self, x: TensorType) -> TensorType:
        if not x.rank:
            raise ShapeError("needs a rank of at least 1, got 0")
        check_floating(x)
        return x

    def kernel(self, x: NDArray[Any]) -> Any:
        before, after = np.ones_like(x), np.ones_like(x)
        np.cumprod(x[..., :-1], axis=-1, out=before[..., 1:])
        np.cumprod(x[..., :0:-1], axis=-1, out=after[..., -2::-1])
        return before * after

    def flops(self, x: TensorType) -> Size:
        return 3 * x.size

    def gradient(self, x: Tensor, out: Tensor, g: Tensor) -> Tensor:
        index = arange(x.shape[-1])
        diagonal = equal(expand_dims(index, 1), index)
        without_one = where(diagonal, 1, expand_dims(x, -2))
        without_two = ProductOfOthers()(without_one)
        return where(diagonal, 0, expand_dims(g, -1) * without_two).sum(-2)

    def batch(self, mapped: Sequence[bool], x: Tensor) -> Tensor:
        return self(x)

    cases = (
        Case(f32["n", 3]),
        Case(f64[2, "n"]),
        Case([[2.0, 0.0, 3.0, 1.5], [0.0, 0.0, 5.0, -1.0]]),
    )
    rejects = (
        Reject(f32[()], message="needs a rank of at least 1"),
        Reject(i32[3], message="needs a floating input, got i32[3]"),
    )


@builder
def product_of_others(x: TensorLike) -> Tensor:
    """For each element the product of all others along the last axis; see `ProductOfOthers`."""
    return ProductOfOthers()(as_floating(x))
