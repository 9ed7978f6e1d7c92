"""Matrices taken apart: factors of a triangle, of right angles, of eigenvalues and singular ones.

Where factors are given but for their signs, the signs are chosen, so that they do not depend on
the library that computes them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from graphwright.graph.dim import Size, minimum
from graphwright.graph.errors import GradientError
from graphwright.graph.operator import register
from graphwright.graph.tensor import Tensor, TensorLike
from graphwright.graph.types import TensorType
from graphwright.ops.case import Case, Within, f16, f32, f64
from graphwright.ops.convert import as_floating, builder
from graphwright.ops.creation import eye, zeros_like
from graphwright.ops.indexing import index
from graphwright.ops.joining import concatenate
from graphwright.ops.linear import matmul
from graphwright.ops.matrices import (
    UNSETTLED,
    OnMatrix,
    OnSquare,
    check_finite,
    check_matrix,
    check_square,
    lapack,
    mirrored,
    signs,
    symmetrized,
)
from graphwright.ops.movement import expand_dims, matrix_transpose
from graphwright.ops.selection import where
from graphwright.ops.solve import TriangularSolve
from graphwright.ops.triangle import diag_embed, tril

# Symmetric, with eigenvalues from about 1 to 5; and one that is not, with distinct singular values.
SYMMETRIC = [[4.0, 1.0, -0.5], [1.0, 3.0, 0.25], [-0.5, 0.25, 1.5]]
TALL = [[2.0, -1.0], [0.5, 1.5], [1.0, 0.25]]
WIDE = [[3.0, 0.5, -1.0], [-0.5, 1.0, 0.75]]


@register
class Cholesky(OnSquare):
    """The lower triangular factor of each symmetric positive definite matrix: x = out outᵀ.

    Of a matrix that is not symmetric it takes (x + xᵀ)/2.
    d/dx = (s + sᵀ)/2, where s = out⁻ᵀ Φ(outᵀ g) out⁻¹ and Φ takes the lower triangle with half of
    the diagonal (Murray, Differentiation of the Cholesky decomposition, 2016, eq. 10)
    Raises InputError when run on a matrix that is not positive definite.
    """

    name = "cholesky"
    refusal = (
        "a matrix is not positive definite",
        "its eigenvalues must exceed 0; add a small multiple of the identity",
    )

    def infer(self, x: TensorType) -> TensorType:
        check_square(x)
        return x

    @lapack
    def kernel(self, x: NDArray[Any]) -> Any:
        return np.linalg.cholesky(mirrored(x))

    def flops(self, x: TensorType) -> Size:
        """⅓n³ for a matrix of n rows."""
        return x.size * x.shape[-1] // 3

    def gradient(self, x: Tensor, out: Tensor, g: Tensor) -> Tensor:
        inner = matmul(matrix_transpose(out), tril(g))
        half = (tril(inner) + tril(inner, -1)) / 2
        solve = TriangularSolve(False, False)
        across = matrix_transpose(solve(matrix_transpose(out), half))
        return symmetrized(solve(matrix_transpose(out), across))

    cases = (
        Case(SYMMETRIC),
        Case([SYMMETRIC, [[1.0, 0.0, 0.0], [0.0, 2.0, 0.5], [0.0, 0.5, 1.0]]]),
        Case(Within(f64["n", 1, 1], 1, 2)),
        Case(Within(f32[2, 1, 1], 1, 2)),
        Case(Within(f16[1, 1], 1, 2)),
        Case(f64[0, 0]),
    )


@register
class QR(OnMatrix):
    """Columns at right angles and an upper triangle: x = q r, qᵀ q = 1, r with a diagonal ≥ 0.

    For m rows and n columns q is of m by k, r of k by n, where k is the smaller of m and n.
    d/dx = (g_q + q C(m)) r⁻ᵀ, where m = r g_rᵀ - g_qᵀ q and C copies the lower triangle to the
    upper one (Seeger et al., Auto-differentiating linear algebra, 2017, §4.2); where n > m the
    same by the first m columns, as the others of r are qᵀ x. Exists where those columns are
    independent, and must know from the sizes which is larger, m or n.
    """

    name = "qr"

    def infer(self, x: TensorType) -> tuple[TensorType, TensorType]:
        check_matrix(x)
        *batch, m, n = x.shape
        k = minimum(m, n)
        return x.with_shape((*batch, m, k)), x.with_shape((*batch, k, n))

    @lapack
    def kernel(self, x: NDArray[Any]) -> Any:
        q, r = np.linalg.qr(x)
        flip = np.where(np.diagonal(r, axis1=-2, axis2=-1) < 0, -1, 1).astype(x.dtype)
        return q * flip[..., None, :], np.triu(r * flip[..., :, None])

    def flops(self, x: TensorType) -> Size:
        """4mnk for m by n, the smaller of them k."""
        return 4 * x.size * minimum(*x.shape[-2:])

    def gradient(
        self, x: Tensor, q: Tensor, r: Tensor, g_q: Tensor | None, g_r: Tensor | None
    ) -> Tensor:
        m, n = x.shape[-2:]
        k = minimum(m, n)
        if k not in (m, n):
            raise GradientError(
                f"the gradient of qr must know which is larger, {m} or {n}",
                hint="give the matrix a number of rows and of columns",
            )
        if k == n:
            return self._square(q, r, g_q, g_r)
        if g_r is None:
            first = self._square(q, index(r, (..., slice(0, k))), g_q, None)
            return concatenate([first, zeros_like(index(x, (..., slice(k, n))))], -1)
        rest, g_rest = index(x, (..., slice(k, n))), index(g_r, (..., slice(k, n)))
        from_rest = matmul(rest, matrix_transpose(g_rest))
        first = self._square(
            q,
            index(r, (..., slice(0, k))),
            from_rest if g_q is None else g_q + from_rest,
            index(g_r, (..., slice(0, k))),
        )
        return concatenate([first, matmul(q, g_rest)], -1)

    @staticmethod
    def _square(q: Tensor, r: Tensor, g_q: Tensor | None, g_r: Tensor | None) -> Tensor:
        """Where r is square."""
        inner = zeros_like(r)
        if g_r is not None:
            inner = inner + matmul(r, matrix_transpose(g_r))
        if g_q is not None:
            inner = inner - matmul(matrix_transpose(g_q), q)
        copied = tril(inner) + matrix_transpose(tril(inner, -1))
        outer = matmul(q, copied) if g_q is None else g_q + matmul(q, copied)
        return matrix_transpose(TriangularSolve(False, False)(r, matrix_transpose(outer)))

    cases = (
        Case(TALL),
        Case(WIDE),
        Case([SYMMETRIC, [[0.0, 1.0, 2.0], [-1.0, 0.5, 0.0], [0.25, 0.0, 1.0]]]),
        Case(f64["n", 2, 2]),
        Case(f32[3, 2]),
        Case(f16[2, 1]),
        Case(f64[2, 0]),
        Case(f64[0, 2]),
    )


def gaps(x: Tensor) -> Tensor:
    """1/(x[j] - x[i]) for all i and j, but 0 for i = j."""
    same = eye(x.shape[-1], dtype=bool)
    return where(same, 0, 1 / where(same, 1, expand_dims(x, -2) - expand_dims(x, -1)))


@register
class Eigh(OnSquare):
    """The eigenvalues of symmetric matrices, from the smallest up, and vectors of length 1.

    x vectors = vectors · values, a column of `vectors` for each value; the first of its largest
    elements is positive. Of a matrix that is not symmetric it takes (x + xᵀ)/2.
    d/dx = v (diag(g_values) + F ∘ (vᵀ g_vectors)) vᵀ, made symmetric, where v are the vectors and
    F[i, j] = 1/(values[j] - values[i]), F[i, i] = 0 (Giles, Collected matrix derivative results
    for forward and reverse mode algorithmic differentiation, 2008, §3.1). Vectors of equal
    eigenvalues have no derivative: it is nan.
    Raises InputError when run on nan or an infinity.
    """

    name = "eigh"
    refusal = UNSETTLED

    def infer(self, x: TensorType) -> tuple[TensorType, TensorType]:
        check_square(x)
        return x.with_shape(x.shape[:-1]), x

    @lapack
    def kernel(self, x: NDArray[Any]) -> Any:
        check_finite(x)
        values, vectors = np.linalg.eigh(mirrored(x))
        return values, vectors * signs(vectors)

    def flops(self, x: TensorType) -> Size:
        """9n³ for a matrix of n rows (Golub and Van Loan, Matrix Computations, 2013, §8.3)."""
        return 9 * x.size * x.shape[-1]

    def gradient(
        self,
        x: Tensor,
        values: Tensor,
        vectors: Tensor,
        g_values: Tensor | None,
        g_vectors: Tensor | None,
    ) -> Tensor:
        across = matrix_transpose(vectors)
        inner = zeros_like(vectors) if g_values is None else diag_embed(g_values)
        if g_vectors is not None:
            inner = inner + gaps(values) * matmul(across, g_vectors)
        return symmetrized(matmul(vectors, matmul(inner, across)))

    cases = (
        Case(SYMMETRIC),
        Case([[2.0, 1.0], [1.0, 2.0]]),
        Case(f64["n", 2, 2]),
        Case(f64["n", "n"]),
        Case(f32[3, 3]),
        Case(f16[1, 1]),
        Case([[1.0, 0.0], [0.0, 1.0]], smooth=False),
    )


@register
class Eigvalsh(OnSquare):
    """The eigenvalues of symmetric matrices alone, from the smallest up; see `Eigh`.

    d/dx = v diag(g) vᵀ, where v are the vectors
    Raises InputError when run on nan or an infinity.
    """

    name = "eigvalsh"
    refusal = UNSETTLED

    def infer(self, x: TensorType) -> TensorType:
        check_square(x)
        return x.with_shape(x.shape[:-1])

    @lapack
    def kernel(self, x: NDArray[Any]) -> Any:
        check_finite(x)
        return np.linalg.eigvalsh(mirrored(x))

    def gradient(self, x: Tensor, out: Tensor, g: Tensor) -> Tensor:
        _, vectors = Eigh().apply(x)
        return matmul(vectors * expand_dims(g, -2), matrix_transpose(vectors))

    cases = (
        Case(SYMMETRIC),
        Case(f64["n", 2, 2]),
        Case(f64["n", "n"]),
        Case(f32[2, 2]),
        Case(f16[1, 1]),
    )


@builder
def cholesky(x: TensorLike, upper: bool = False) -> Tensor:
    """The lower triangular l of x = l lᵀ, or the upper one u of x = uᵀ u; see `Cholesky`."""
    lower = Cholesky()(as_floating(x))
    return matrix_transpose(lower) if upper else lower


@builder
def qr(x: TensorLike) -> tuple[Tensor, ...]:
    """(q, r): columns at right angles and an upper triangle, whose product is `x`; see `QR`."""
    return QR().apply(as_floating(x))


@builder
def eigh(x: TensorLike) -> tuple[Tensor, ...]:
    """(values, vectors): the eigenvalues of symmetric matrices and their vectors; see `Eigh`."""
    return Eigh().apply(as_floating(x))


@builder
def eigvalsh(x: TensorLike) -> Tensor:
    """The eigenvalues of symmetric matrices, from the smallest up; see `Eigvalsh`."""
    return Eigvalsh()(as_floating(x))
