"""Products of matrices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graphwright.graph.dim import Size, product
from graphwright.graph.dtype import float32
from graphwright.graph.errors import ShapeError
from graphwright.graph.operator import Operator, register
from graphwright.graph.tensor import Tensor, TensorLike
from graphwright.graph.types import TensorType
from graphwright.ops.case import Case, Reject, bool_, f32, f64, i32, i64
from graphwright.ops.checks import check_numbers
from graphwright.ops.convert import builder, promoted
from graphwright.ops.matrices import aligned
from graphwright.ops.movement import (
    expand_dims,
    matrix_transpose,
    reshape,
    squeeze,
    sum_to,
)
from graphwright.ops.shapes import broadcast


@register
class MatMul(Operator):
    """The product of matrices, the last two axes of each input; the axes before them broadcast.

    out[..., i, j] = Σ lhs[..., i, k] rhs[..., k, j] over k
    d/dlhs = g rhsᵀ, d/drhs = lhsᵀ g, summed over what was broadcast
    """

    name = "matmul"
    contraction = True

    def infer(self, lhs: TensorType, rhs: TensorType) -> TensorType:
        check_numbers(lhs, rhs)
        if lhs.rank < 2 or rhs.rank < 2:
            raise ShapeError(f"needs ranks of at least 2, got {lhs.rank} and {rhs.rank}")
        if lhs.shape[-1] != rhs.shape[-2]:
            raise ShapeError(
                f"inner sizes differ: {lhs.shape[-1]} != {rhs.shape[-2]}",
                hint="the last size of lhs must equal the second-last of rhs",
            )
        batch = broadcast(lhs.shape[:-2], rhs.shape[:-2])
        return lhs.with_shape((*batch, lhs.shape[-2], rhs.shape[-1]))

    def kernel(self, lhs: NDArray[Any], rhs: NDArray[Any]) -> Any:
        if lhs.dtype.kind == "V":  # bfloat16
            return np.matmul(lhs.astype(float32), rhs.astype(float32)).astype(lhs.dtype)
        return np.matmul(lhs, rhs)

    def kernel_into(self, out: NDArray[Any], lhs: NDArray[Any], rhs: NDArray[Any]) -> None:
        if lhs.dtype.kind == "V":
            out[...] = self.kernel(lhs, rhs)
        else:
            np.matmul(lhs, rhs, out=out)

    def gradient(self, lhs: Tensor, rhs: Tensor, out: Tensor, g: Tensor) -> tuple[Tensor, Tensor]:
        to_lhs = matmul(g, matrix_transpose(rhs))
        to_rhs = matmul(matrix_transpose(lhs), g)
        return sum_to(to_lhs, lhs.shape), sum_to(to_rhs, rhs.shape)

    def batch(self, mapped: Sequence[bool], lhs: Tensor, rhs: Tensor) -> Tensor:
        if mapped[0] and not mapped[1] and rhs.ndim == 2:
            # One product of large matrices is faster than many of small ones.
            rows = reshape(lhs, (product(lhs.shape[:-1]), lhs.shape[-1]))
            return reshape(MatMul()(rows, rhs), (*lhs.shape[:-1], rhs.shape[-1]))
        return MatMul()(*aligned(mapped, (lhs, rhs)))

    def flops(self, lhs: TensorType, rhs: TensorType) -> Size:
        """A multiplication and an addition for each of the terms of each element."""
        return 2 * self.infer(lhs, rhs).size * lhs.shape[-1]

    cases = (
        Case(f32["n", 3], f32[3, 2]),
        Case(f32[3, "n"], f32["n", 2]),
        Case(f64[2, 1, 3, 2], f64[4, 2, 3]),
        Case(f64["n", 2, 3], f64[3, 4]),
        Case(f64[1, 1], f64[1, 1]),
        Case(f64[2, 0], f64[0, 3]),
        Case(i32[2, 3], i32[3, 2]),
        Case([[1.0, np.inf]], [[0.0], [2.0]], smooth=False),
    )
    rejects = (
        Reject(f32["n", 784], f32[512, 10], message="inner sizes differ: 784 != 512"),
        Reject(f32["n", "m"], f32["n", 3], message="inner sizes differ: m != n"),
        Reject(f32[2, 3, 4], f32[3, 4, 5], message="shapes [2] and [3] differ: 2 != 3 on axis -1"),
        Reject(f32[3], f32[3, 2], message="needs ranks of at least 2, got 1 and 2"),
        Reject(f32[2, 2], i64[2, 2], message="dtypes differ: f32 and i64"),
        Reject(bool_[2, 2], bool_[2, 2], message="needs number inputs, got bool"),
    )


@builder
def matmul(x: TensorLike, y: TensorLike) -> Tensor:
    """The matrix product `x @ y`, as NumPy does it.

    An `x` of rank 1 counts as one row, a `y` of rank 1 as one column, and that axis is left out
    of the result; axes before the last two broadcast. Raises ShapeError for a rank of 0 and for
    inner sizes that differ, DTypeError for booleans.
    """
    lhs, rhs = promoted(x, y)
    if not lhs.ndim or not rhs.ndim:
        raise ShapeError(
            f"needs ranks of at least 1, got {lhs.ndim} and {rhs.ndim}", hint="use * to scale"
        )
    if lhs.ndim >= 2 and rhs.ndim >= 2:
        return MatMul()(lhs, rhs)
    if lhs.shape[-1] != rhs.shape[-2 if rhs.ndim > 1 else 0]:
        raise _vector_mismatch(lhs, rhs)
    result = MatMul()(
        expand_dims(lhs, 0) if lhs.ndim == 1 else lhs, expand_dims(rhs, 1) if rhs.ndim == 1 else rhs
    )
    return squeeze(result, [axis for axis, of in ((-2, lhs), (-1, rhs)) if of.ndim == 1])


def _vector_mismatch(lhs: Tensor, rhs: Tensor) -> ShapeError:
    inner = rhs.shape[-2 if rhs.ndim > 1 else 0]
    return ShapeError(
        f"inner sizes differ: {lhs.shape[-1]} != {inner}",
        hint=f"{lhs.type} @ {rhs.type}: the last size of x must equal "
        f"{'the second-last' if rhs.ndim > 1 else 'that'} of y",
    )
