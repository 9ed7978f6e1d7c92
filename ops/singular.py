"""The singular value decomposition."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from graphwright.graph.dim import Size, minimum
from graphwright.graph.operator import register
from graphwright.graph.tensor import Tensor, TensorLike
from graphwright.graph.types import TensorType
from graphwright.ops.case import Case, f16, f32, f64
from graphwright.ops.convert import as_floating, builder
from graphwright.ops.decomposition import SYMMETRIC, TALL, WIDE, gaps
from graphwright.ops.linear import matmul
from graphwright.ops.matrices import (
    UNSETTLED,
    OnMatrix,
    check_finite,
    check_matrix,
    lapack,
    signs,
)
from graphwright.ops.movement import expand_dims, matrix_transpose
from graphwright.ops.triangle import diag_embed


class OfSingularValues(OnMatrix):
    """An operator that needs the singular values."""

    refusal = UNSETTLED

    def flops(self, x: TensorType) -> Size:
        """About 14mnk for m by n, the smaller of them k (Golub and Van Loan, Matrix Computations,
        2013, §8.6)."""
        return 14 * x.size * minimum(*x.shape[-2:])


@register
class SVD(OfSingularValues):
    """The singular values s of each matrix, from the largest down: x = u diag(s) vh.

    For m rows and n columns u is of m by k, vh of k by n, where k is the smaller of m and n;
    uᵀ u = vh vhᵀ = 1. The first of the largest elements in each column of u is positive.
    d/dx = u ((F ∘ (uᵀ g_u - g_uᵀ u)) diag(s) + diag(s) (F ∘ (vᵀ g_v - g_vᵀ v)) + diag(g_s)) vᵀ
    + (1 - u uᵀ) g_u diag(1/s) vᵀ + u diag(1/s) g_vᵀ (1 - v vᵀ), where F[i, j] = 1/(s[j]² - s[i]²)
    and F[i, i] = 0 (Townsend, Differentiating the singular value decomposition, 2016). The
    vectors of equal singular values have no derivative: it is nan, and so it is where those of a
    matrix that is not square belong to 0.
    Raises InputError when run on nan or an infinity.
    """

    name = "svd"

    def infer(self, x: TensorType) -> tuple[TensorType, TensorType, TensorType]:
        check_matrix(x)
        *batch, m, n = x.shape
        k = minimum(m, n)
        shapes = (*batch, m, k), (*batch, k), (*batch, k, n)
        return x.with_shape(shapes[0]), x.with_shape(shapes[1]), x.with_shape(shapes[2])

    @lapack
    def kernel(self, x: NDArray[Any]) -> Any:
        check_finite(x)
        u, s, vh = np.linalg.svd(x, full_matrices=False)
        flip = signs(u)
        return u * flip, s, vh * flip.swapaxes(-1, -2)

    def gradient(self, x: Tensor, *outputs: Tensor | None) -> Tensor:
        u, s, vh, g_u, g_s, g_vh = outputs
        assert u is not None and s is not None and vh is not None
        total = None if g_s is None else _between(u, diag_embed(g_s), vh)
        if g_u is not None:
            total = _added(total, self._from_left(u, s, vh, g_u))
        if g_vh is not None:
            # xᵀ = v diag(s) uᵀ
            v, uh, g_v = matrix_transpose(vh), matrix_transpose(u), matrix_transpose(g_vh)
            total = _added(total, matrix_transpose(self._from_left(v, s, uh, g_v)))
        assert total is not None
        return total

    @staticmethod
    def _from_left(u: Tensor, s: Tensor, vh: Tensor, g: Tensor) -> Tensor:
        """The part of the gradient that comes from u."""
        across = matmul(matrix_transpose(u), g)
        turning = gaps(s * s) * (across - matrix_transpose(across))
        total = matmul(u, turning * expand_dims(s, -2))
        if u.shape[-1] != u.shape[-2]:
            total = total + (g - matmul(u, across)) / expand_dims(s, -2)
        return matmul(total, vh)

    cases = (
        Case(TALL),
        Case(WIDE),
        Case([SYMMETRIC, [[0.0, 1.0, 2.0], [-1.0, 0.5, 0.0], [0.25, 0.0, 1.0]]]),
        Case(f64["n", 2, 3]),
        Case(f64["n", 2]),
        Case(f32[3, 2]),
        Case(f16[2, 1]),
        Case(f64[0, 2]),
        Case([[1.0, 0.0], [0.0, 1.0]], smooth=False),
    )


def _between(u: Tensor, inner: Tensor, vh: Tensor) -> Tensor:
    return matmul(matmul(u, inner), vh)


def _added(total: Tensor | None, more: Tensor) -> Tensor:
    return more if total is None else total + more


@register
class SingularValues(OfSingularValues):
    """The singular values of each matrix alone, from the largest down; see `SVD`.

    d/dx = u diag(g) vh
    Raises InputError when run on nan or an infinity.
    """

    name = "svdvals"

    def infer(self, x: TensorType) -> TensorType:
        check_matrix(x)
        return x.with_shape((*x.shape[:-2], minimum(*x.shape[-2:])))

    @lapack
    def kernel(self, x: NDArray[Any]) -> Any:
        check_finite(x)
        return np.linalg.svd(x, compute_uv=False)

    def gradient(self, x: Tensor, out: Tensor, g: Tensor) -> Tensor:
        u, _, vh = SVD().apply(x)
        return _between(u, diag_embed(g), vh)

    cases = (
        Case(TALL),
        Case(WIDE),
        Case(f64["n", 2, 3]),
        Case(f64["n", 2]),
        Case(f32[3, 2]),
        Case(f16[2, 1]),
        Case(f64[2, 0]),
    )


@builder
def svd(x: TensorLike) -> tuple[Tensor, ...]:
    """(u, s, vh): columns at right angles, singular values and rows at right angles; see `SVD`."""
    return SVD().apply(as_floating(x))


@builder
def svdvals(x: TensorLike) -> Tensor:
    """The singular values of each matrix, from the largest down; see `SVD`."""
    return SingularValues()(as_floating(x))
