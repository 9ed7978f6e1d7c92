"""The middle of what is sorted."""

from __future__ import annotations

import numpy as np

from graphwright.graph.dtype import float64, is_floating
from graphwright.graph.operator import register
from graphwright.graph.tensor import Axis, Tensor, TensorLike
from graphwright.graph.types import TensorType
from graphwright.ops.case import Case, Reject, Within, bool_, f16, f32, f64, i32
from graphwright.ops.composite import Composite
from graphwright.ops.convert import as_tensor, builder, cast
from graphwright.ops.logical import isnan
from graphwright.ops.movement import reshape, transpose
from graphwright.ops.reduction import Reduction, refuse_empty
from graphwright.ops.selection import where
from graphwright.ops.shapes import normalize_axes
from graphwright.ops.sorting import Sort
from graphwright.ops.statistics import widened


@register
class Median(Composite, Reduction):
    """The middle element in order over axes, or the mean of the two in the middle; nan if any is.

    out = (y[⌊(n - 1)/2⌋] + y[⌊n/2⌋]) / 2, where y is x sorted
    Integers and booleans become float64. The gradient goes to the elements in the middle.
    """

    name = "median"

    def infer(self, x: TensorType) -> TensorType:
        shape = self.reduced(x.shape)
        refuse_empty(self.name, x.shape, self.axes)
        return TensorType(x.dtype if is_floating(x.dtype) else float64, shape)

    def decompose(self, x: Tensor) -> Tensor:
        kept = tuple(i for i in range(x.ndim) if i not in self.axes)
        count = self.count(x.shape)
        moved = transpose(widened(x), (*kept, *self.axes))
        rows = Sort(len(kept), False)(reshape(moved, (*(x.shape[i] for i in kept), count)))
        middle = (rows[..., (count - 1) // 2] + rows[..., count // 2]) / 2
        found = where(isnan(rows[..., count - 1]), np.nan, middle)
        result = self.infer(x.type)
        return cast(reshape(found, result.shape), result.dtype)

    cases = (
        Case(f32["n", 4], axes=(1,), keepdims=False),
        Case(f64["n", 3], axes=(1,), keepdims=True),
        Case(f64[2, 3, 3], axes=(0, 2), keepdims=False),
        Case(f64[()], axes=(), keepdims=False),
        Case(i32[4, 3], axes=(0,), keepdims=False),
        Case(bool_[4], axes=(0,), keepdims=False),
        Case(Within(f16[4], 6e4, 6.1e4), axes=(0,), keepdims=False, smooth=False),
        Case([[np.nan, 1.0, 2.0], [np.inf, -np.inf, 3.0]], axes=(1,), keepdims=False),
    )
    rejects = (
        Reject(f32[2, 3], axes=(2,), keepdims=False, message="axis 2 is out of range for rank 2"),
        Reject(f32[2, 0], axes=(1,), keepdims=False, message="axis 1 is empty: it has no median"),
    )


@builder
def median(x: TensorLike, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The middle of `x` in order over `axis` (one, several, or None for all); see `Median`.

    Raises ShapeError when an axis is empty.
    """
    tensor = as_tensor(x)
    return Median(normalize_axes(axis, tensor.ndim), keepdims)(tensor)
