"""What singular values are good for: inverses of any matrix, ranks, least squares."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from graphwright.graph.dtype import int64
from graphwright.graph.errors import AttributeValueError, ShapeError
from graphwright.graph.operator import register
from graphwright.graph.tensor import Tensor, TensorLike
from graphwright.graph.types import TensorType
from graphwright.ops.case import Case, Reject, f16, f32, f64, i32
from graphwright.ops.checks import check_same_dtype
from graphwright.ops.composite import Composite
from graphwright.ops.convert import as_floating, builder
from graphwright.ops.decomposition import SYMMETRIC, TALL, WIDE
from graphwright.ops.linear import matmul
from graphwright.ops.matrices import check_finite, check_matrix, lapack
from graphwright.ops.movement import matrix_transpose
from graphwright.ops.shapes import broadcast
from graphwright.ops.singular import OfSingularValues
from graphwright.ops.solve import floating_pair, solved


@register
class PseudoInverse(OfSingularValues):
    """The inverse of Moore and Penrose: v diag(1/s) uᵀ, without the singular values near 0.

    rtol: those up to rtol times the largest are taken for 0; None is the larger size of the matrix
          times the distance from 1 to the next number

    d/dx = -outᵀ g outᵀ + (1 - x out) gᵀ out outᵀ + outᵀ out gᵀ (1 - out x) (Golub and Pereyra, The
    differentiation of pseudo-inverses and nonlinear least squares problems whose variables
    separate, 1973, eq. 4.12), where the rank stays the same nearby
    Raises InputError when run on nan or an infinity.
    """

    name = "pinv"

    rtol: float | None

    def infer(self, x: TensorType) -> TensorType:
        check_matrix(x)
        check_tolerance(self.rtol)
        return x.with_shape((*x.shape[:-2], x.shape[-1], x.shape[-2]))

    @lapack
    def kernel(self, x: NDArray[Any]) -> Any:
        check_finite(x)
        u, s, vh = np.linalg.svd(x, full_matrices=False)
        kept = s > smallest(s, x, self.rtol)
        inverse = np.where(kept, 1 / np.where(kept, s, 1), 0)
        return (vh.swapaxes(-1, -2) * inverse[..., None, :]) @ u.swapaxes(-1, -2)

    def gradient(self, x: Tensor, out: Tensor, g: Tensor) -> Tensor:
        across, g_across = matrix_transpose(out), matrix_transpose(g)
        left = matmul(g_across, matmul(out, across))
        right = matmul(matmul(across, out), g_across)
        return (
            left
            - matmul(x, matmul(out, left))
            + right
            - matmul(matmul(right, out), x)
            - matmul(across, matmul(g, across))
        )

    cases = (
        Case(TALL, rtol=None),
        Case(WIDE, rtol=None),
        Case([SYMMETRIC, SYMMETRIC[::-1]], rtol=1e-3),
        Case(f64["n", 2, 3], rtol=None),
        Case(f64["n", 2], rtol=None),
        Case(f32[2, 1], rtol=None),
        Case(f16[2, 1], rtol=None),
        Case([[1.0, 2.0], [2.0, 4.0]], rtol=None, smooth=False),
        Case([[0.0, 0.0]], rtol=None, smooth=False),
        Case(f64[0, 2], rtol=None),
    )
    rejects = (
        Reject(f32[3], rtol=None, message="needs matrices, got f32[3]"),
        Reject(i32[3, 3], rtol=None, message="needs a floating input, got i32[3,3]"),
        Reject(f32[3, 3], rtol=-0.5, message="rtol can't be negative, got -0.5"),
    )


def check_tolerance(rtol: float | None) -> None:
    """Raise AttributeValueError unless it is None or at least 0."""
    if rtol is not None and not rtol >= 0:
        raise AttributeValueError(f"rtol can't be negative, got {rtol}")


def smallest(s: NDArray[Any], x: NDArray[Any], rtol: float | None) -> NDArray[Any]:
    """Up to which size singular values are taken for 0."""
    share = max(x.shape[-2:]) * np.finfo(x.dtype).eps if rtol is None else rtol
    bound: NDArray[Any] = s.max(-1, initial=0, keepdims=True) * s.dtype.type(share)
    return bound


@register
class MatrixRank(OfSingularValues):
    """How many singular values of each matrix are not near 0, as int64.

    rtol: those up to rtol times the largest are taken for 0; None is the larger size of the matrix
          times the distance from 1 to the next number

    Has no derivative: it jumps.
    Raises InputError when run on nan or an infinity.
    """

    name = "matrix_rank"
    differentiable = False

    rtol: float | None

    def infer(self, x: TensorType) -> TensorType:
        check_matrix(x)
        check_tolerance(self.rtol)
        return TensorType(int64, x.shape[:-2])

    @lapack
    def kernel(self, x: NDArray[Any]) -> Any:
        check_finite(x)
        s = np.linalg.svd(x, compute_uv=False)
        return np.asarray((s > smallest(s, x, self.rtol)).sum(-1))

    cases = (
        Case(TALL, rtol=None),
        Case([[1.0, 2.0, 3.0], [2.0, 4.0, 6.0], [1.0, 0.0, 1.0]], rtol=None),
        Case([[1.0, 0.0], [0.0, 0.01]], rtol=0.1),
        Case(f64["n", 3, 2], rtol=None),
        Case(f32[2, 3], rtol=None),
        Case(f16[2, 1], rtol=None),
        Case([[0.0]], rtol=None),
        Case(f64[0, 2], rtol=None),
    )
    rejects = PseudoInverse.rejects


@register
class LeastSquares(Composite):
    """The x with the smallest Σ (a x - b)² for each column of `b`; of several the shortest.

    out = pinv(a) b (Penrose, On best approximate solutions of linear matrix equations, 1956)

    rtol: singular values up to rtol times the largest are taken for 0; see `PseudoInverse`
    """

    name = "lstsq"

    rtol: float | None

    def infer(self, a: TensorType, b: TensorType) -> TensorType:
        check_matrix(a)
        check_same_dtype(a, b)
        check_tolerance(self.rtol)
        if b.rank < 2 or b.shape[-2] != a.shape[-2]:
            raise ShapeError(
                f"{a} has {a.shape[-2]} rows, which don't fit b: {b}",
                hint="b has a row for each row of a, in its second-last axis",
            )
        batch = broadcast(a.shape[:-2], b.shape[:-2])
        return b.with_shape((*batch, a.shape[-1], b.shape[-1]))

    def decompose(self, a: Tensor, b: Tensor) -> Tensor:
        return matmul(PseudoInverse(self.rtol)(a), b)

    cases = (
        Case(TALL, f64["n", 3, 2], rtol=None),
        Case(WIDE, f64[2, 1], rtol=1e-6),
        Case(f64["n", 2], f64["n", 1], rtol=None),
        Case([[1.0, 2.0], [2.0, 4.0]], [[1.0], [0.0]], rtol=None, smooth=(1,)),
        Case(f32[2, 1], f32[2, 2], rtol=None),
    )
    rejects = (
        Reject(f32[3], f32[3, 1], rtol=None, message="needs matrices, got f32[3]"),
        Reject(f32[3, 2], f32[2, 1], rtol=None, message="f32[3,2] has 3 rows, which don't fit b"),
        Reject(f32[3, 2], f64[3, 1], rtol=None, message="dtypes differ: f32 and f64"),
        Reject(f32[3, 2], f32[3, 1], rtol=-1.0, message="rtol can't be negative, got -1.0"),
    )


@builder
def pinv(x: TensorLike, rtol: float | None = None) -> Tensor:
    """The inverse of Moore and Penrose of each matrix; see `PseudoInverse`."""
    return PseudoInverse(rtol)(as_floating(x))


@builder
def matrix_rank(x: TensorLike, rtol: float | None = None) -> Tensor:
    """How many singular values of each matrix are not near 0; see `MatrixRank`."""
    return MatrixRank(rtol)(as_floating(x))


@builder
def lstsq(a: TensorLike, b: TensorLike, rtol: float | None = None) -> Tensor:
    """The x with the smallest Σ (a x - b)²; see `LeastSquares`. A `b` of rank 1 is one vector."""
    return solved(LeastSquares(rtol), *floating_pair(a, b))
