"""Reductions: sums, products, extremes and what is made of them, over any axes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graphwright.graph.operator import Operator, register
from graphwright.graph.tensor import Axis, Tensor, TensorLike
from graphwright.graph.types import Shape, TensorType
from graphwright.ops.case import Case, Reject, bool_, f32, f64, i32
from graphwright.ops.convert import as_tensor
from graphwright.ops.movement import broadcast_to, reshape
from graphwright.ops.shapes import check_axes, normalize_axes


@dataclass(frozen=True, eq=False, repr=False)
class Reduction(Operator):
    """Folds `axes` (sorted, counted from the front) away; `keepdims` leaves them with size 1."""

    reduction = True

    axes: tuple[int, ...]
    keepdims: bool

    def reduced(self, shape: Shape) -> Shape:
        """The output shape for an input shape."""
        check_axes(self.axes, len(shape))
        if self.keepdims:
            return tuple(1 if i in self.axes else size for i, size in enumerate(shape))
        return tuple(size for i, size in enumerate(shape) if i not in self.axes)

    def flops(self, x: TensorType) -> Any:
        return x.size

    def spread(self, tensor: Tensor, x: Tensor) -> Tensor:
        """An output-shaped tensor broadcast back to the shape of the input `x`."""
        if not self.keepdims:
            kept = tuple(1 if i in self.axes else size for i, size in enumerate(x.shape))
            tensor = reshape(tensor, kept)
        return broadcast_to(tensor, x.shape)


@register
class Sum(Reduction):
    """The sum over axes; 0 for none. Booleans and small integers are summed as int64, as in NumPy.

    d/dx = 1
    """

    name = "sum"

    def infer(self, x: TensorType) -> TensorType:
        return TensorType(np.sum(np.empty(0, x.dtype)).dtype, self.reduced(x.shape))

    def kernel(self, x: NDArray[Any]) -> Any:
        return np.sum(x, axis=self.axes, keepdims=self.keepdims)

    def kernel_into(self, out: NDArray[Any], x: NDArray[Any]) -> None:
        np.sum(x, axis=self.axes, keepdims=self.keepdims, out=out)

    def gradient(self, x: Tensor, out: Tensor, g: Tensor) -> Tensor:
        return self.spread(g, x)

    cases = (
        Case(f32["n", 4], axes=(1,), keepdims=False),
        Case(f64[2, 3, 4], axes=(0, 2), keepdims=True),
        Case(f64[2, 3], axes=(0, 1), keepdims=False),
        Case(i32["n", 3], axes=(0,), keepdims=False),
        Case(bool_[5], axes=(0,), keepdims=False),
        Case(f64[2, 3], axes=(), keepdims=False),
    )
    rejects = (
        Reject(f32[2, 3], axes=(2,), keepdims=False, message="axis 2 is out of range for rank 2"),
        Reject(f32[2, 3], axes=(0, 0), keepdims=False, message="an axis is named twice"),
    )


def sum(x: TensorLike, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The sum of `x` over `axis` (one, several, or None for all); see `Sum`."""
    tensor = as_tensor(x)
    return Sum(normalize_axes(axis, tensor.ndim), keepdims)(tensor)
