"""Determinants of square matrices, and their logarithms."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from graphwright.graph.dim import Size
from graphwright.graph.operator import register
from graphwright.graph.tensor import Tensor, TensorLike
from graphwright.graph.types import TensorType
from graphwright.ops.case import Case, Within, f16, f32, f64
from graphwright.ops.composite import Composite
from graphwright.ops.convert import as_floating, builder
from graphwright.ops.matrices import OnSquare, check_square, lapack
from graphwright.ops.movement import expand_dims, matrix_transpose
from graphwright.ops.selection import where
from graphwright.ops.solve import Inverse

MATRIX = [[2.0, -1.0, 0.5], [0.25, 1.5, -0.75], [1.0, 0.5, -2.5]]


def _scaled_inverse(x: Tensor, factor: Tensor) -> Tensor:
    """x⁻ᵀ, each matrix times a factor of its own."""
    return expand_dims(factor, (-2, -1)) * matrix_transpose(Inverse()(x))


class _Determinant(OnSquare):
    """An operator that eliminates."""

    def flops(self, x: TensorType) -> Size:
        """⅔n³ for a matrix of n rows."""
        return 2 * x.size * x.shape[-1] // 3


@register
class Determinant(_Determinant):
    """The determinant of each square matrix; 1 of one without rows. Large ones overflow: `slogdet`.

    d/dx = g out x⁻ᵀ (Giles, Collected matrix derivative results for forward and reverse mode
    algorithmic differentiation, 2008, §2.2.4); of a singular matrix it is refused when run
    """

    name = "det"

    def infer(self, x: TensorType) -> TensorType:
        check_square(x)
        return x.with_shape(x.shape[:-2])

    @lapack
    def kernel(self, x: NDArray[Any]) -> Any:
        return np.asarray(np.linalg.det(x))

    def gradient(self, x: Tensor, out: Tensor, g: Tensor) -> Tensor:
        return _scaled_inverse(x, g * out)

    cases = (
        Case(MATRIX),
        Case(Within(f64["n", 2, 2], 0.5, 2)),
        Case(Within(f64["n", 1, 1], 1, 2)),
        Case(f32[3, 3]),
        Case(f16[2, 1, 1]),
        Case(f64[2, 0, 0]),
    )


@register
class SignAndLogDeterminant(_Determinant):
    """The sign of each determinant, 1, 0 or -1, and the logarithm of its size; -inf for 0.

    d logarithm/dx = x⁻ᵀ (Giles, Collected matrix derivative results for forward and reverse mode
    algorithmic differentiation, 2008, §2.2.4); of a singular matrix it is refused when run. The
    sign has no gradient.
    """

    name = "slogdet"

    def infer(self, x: TensorType) -> tuple[TensorType, TensorType]:
        check_square(x)
        return x.with_shape(x.shape[:-2]), x.with_shape(x.shape[:-2])

    @lapack
    def kernel(self, x: NDArray[Any]) -> Any:
        sign, logarithm = np.linalg.slogdet(x)
        return np.asarray(sign), np.asarray(logarithm)

    def gradient(
        self,
        x: Tensor,
        sign: Tensor,
        logarithm: Tensor,
        g_sign: Tensor | None,
        g_logarithm: Tensor | None,
    ) -> Tensor | None:
        return None if g_logarithm is None else _scaled_inverse(x, g_logarithm)

    cases = (
        Case(MATRIX),
        Case([MATRIX, [[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 3.0]]]),
        Case(Within(f64["n", 1, 1], -2, -1)),
        Case(f32[3, 3]),
        Case(f16[2, 1, 1]),
        Case(f64[2, 0, 0]),
    )


@register
class LogDeterminant(Composite, OnSquare):
    """The logarithm of each determinant: -inf for 0, nan for less than 0.

    d/dx = x⁻ᵀ
    """

    name = "logdet"

    def infer(self, x: TensorType) -> TensorType:
        check_square(x)
        return x.with_shape(x.shape[:-2])

    def decompose(self, x: Tensor) -> Tensor:
        sign, logarithm = SignAndLogDeterminant().apply(x)
        return where(sign < 0, np.nan, logarithm)

    cases = (
        Case(MATRIX[::-1]),
        Case(Within(f64["n", 1, 1], 1, 2)),
        Case(Within(f32[1, 1], 1, 2)),
        Case([[-2.0, 0.0], [0.5, 1.0]], smooth=False),
        Case(f64[0, 0]),
    )


@builder
def det(x: TensorLike) -> Tensor:
    """The determinant of each square matrix; see `Determinant`. Integers become float64."""
    return Determinant()(as_floating(x))


@builder
def slogdet(x: TensorLike) -> tuple[Tensor, ...]:
    """(sign, logarithm): of the determinant of each square matrix; see `SignAndLogDeterminant`."""
    return SignAndLogDeterminant().apply(as_floating(x))


@builder
def logdet(x: TensorLike) -> Tensor:
    """The logarithm of the determinant of each square matrix; see `LogDeterminant`."""
    return LogDeterminant()(as_floating(x))
