"""Operators that rearrange elements and compute nothing: reshape, transpose and so on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graphwright.graph.dim import Size, evaluate, exact_quotient, product
from graphwright.graph.errors import AttributeValueError, ShapeError
from graphwright.graph.operator import Operator, register
from graphwright.graph.tensor import Tensor, TensorLike
from graphwright.graph.types import Shape, TensorType
from graphwright.ops.case import Case, Reject, f32, f64, i32
from graphwright.ops.convert import as_tensor
from graphwright.ops.shapes import broadcast, shape_text


@register
class Reshape(Operator):
    """The same elements, in the same (C) order, in another shape.

    The gradient is reshaped back.
    """

    name = "reshape"
    view = "dense"

    shape: Shape

    def infer(self, x: TensorType) -> TensorType:
        if product(self.shape) != x.size:
            raise ShapeError(
                f"{x.size} elements don't fit shape {shape_text(self.shape)}, "
                f"which has {product(self.shape)}"
            )
        return x.with_shape(self.shape)

    def kernel(self, x: NDArray[Any]) -> NDArray[Any]:
        return x.reshape(self.shape)

    def flops(self, x: TensorType) -> Size:
        return 0

    def gradient(self, x: Tensor, out: Tensor, g: Tensor) -> Tensor:
        return reshape(g, x.shape)

    cases = (
        Case(f32[2, 6], shape=(3, 4)),
        Case(f64[2, 3], shape=(6,)),
        Case(i32[1], shape=()),
        Case(f32[0, 3], shape=(3, 0)),
    )
    rejects = (Reject(f32[2, 3], shape=(4, 2), message="6 elements don't fit shape [4,2]"),)


def reshape(x: TensorLike, shape: Sequence[Size]) -> Tensor:
    """`x` in another shape; one size may be -1, which is then what is left of the elements.

    Raises ShapeError when the elements don't fit, AttributeValueError for several -1.
    """
    tensor = as_tensor(x)
    sizes = tuple(shape)
    unknown = [i for i, size in enumerate(sizes) if size == -1]
    if len(unknown) > 1:
        raise AttributeValueError(f"reshape: only one size can be -1, got {shape_text(sizes)}")
    if unknown:
        sizes = _with_missing_size(tensor, sizes, unknown[0])
    return tensor if sizes == tensor.shape else Reshape(sizes)(tensor)


def _with_missing_size(tensor: Tensor, sizes: Shape, position: int) -> Shape:
    # Equal sizes on both sides cancel first: sums such as n + 1 need no polynomial division.
    have, want = list(tensor.shape), [s for i, s in enumerate(sizes) if i != position]
    for size in list(want):
        if size != 0 and size in have:
            have.remove(size)
            want.remove(size)
    missing = exact_quotient(product(have), product(want))
    if missing is None:
        raise ShapeError(
            f"reshape: {tensor.size} elements don't divide into shape {shape_text(sizes)}",
            details=[("x", tensor.describe())],
        )
    return (*sizes[:position], missing, *sizes[position + 1 :])


@register
class BroadcastTo(Operator):
    """`x` repeated along new leading axes and axes of size 1, until it has `shape`.

    The gradient is summed over the axes that were repeated.
    """

    name = "broadcast_to"
    view = "strided"

    shape: Shape

    def infer(self, x: TensorType) -> TensorType:
        if broadcast(x.shape, self.shape) != self.shape:
            raise ShapeError(
                f"{shape_text(x.shape)} does not broadcast to {shape_text(self.shape)}"
            )
        return x.with_shape(self.shape)

    def kernel(self, x: NDArray[Any]) -> NDArray[Any]:
        return np.broadcast_to(x, evaluate(self.shape, {}))

    def flops(self, x: TensorType) -> Size:
        return 0

    def gradient(self, x: Tensor, out: Tensor, g: Tensor) -> Tensor:
        return sum_to(g, x.shape)

    cases = (
        Case(f32[4], shape=(3, 4)),
        Case(f64[2, 1], shape=(5, 2, 3)),
        Case(i32[()], shape=(2,)),
        Case(f64[1], shape=(0,)),
    )
    rejects = (
        Reject(f32[3], shape=(4,), message="shapes [3] and [4] differ"),
        Reject(f32[3], shape=(1,), message="[3] does not broadcast to [1]"),
    )


def broadcast_to(x: TensorLike, shape: Sequence[Size]) -> Tensor:
    """`x` broadcast to `shape`, as NumPy does it. Raises ShapeError when it does not fit."""
    tensor, sizes = as_tensor(x), tuple(shape)
    return tensor if sizes == tensor.shape else BroadcastTo(sizes)(tensor)


def sum_to(x: Tensor, shape: Shape) -> Tensor:
    """`x` summed over the axes along which `shape` was broadcast to reach its shape."""
    if x.shape == shape:
        return x
    extra = x.ndim - len(shape)
    stretched = (i + extra for i, size in enumerate(shape) if size == 1 != x.shape[i + extra])
    return reshape(x.sum((*range(extra), *stretched)), shape)
