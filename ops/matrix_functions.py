"""Functions of whole matrices: powers, the exponential, norms."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graphwright.graph.dim import Size
from graphwright.graph.dtype import is_floating
from graphwright.graph.errors import AttributeValueError, DTypeError, ShapeError
from graphwright.graph.operator import register
from graphwright.graph.tensor import Tensor, TensorLike
from graphwright.graph.types import TensorType
from graphwright.ops.arithmetic import abs
from graphwright.ops.case import Case, Reject, bool_, f16, f32, f64, i32
from graphwright.ops.composite import Composite
from graphwright.ops.convert import as_floating, as_tensor, builder, cast
from graphwright.ops.creation import eye, zeros_like
from graphwright.ops.indexing import index
from graphwright.ops.joining import concatenate
from graphwright.ops.linear import matmul
from graphwright.ops.matrices import OnSquare, check_matrix, check_square, lapack
from graphwright.ops.movement import broadcast_to, expand_dims, matrix_transpose
from graphwright.ops.norm import vector_norm
from graphwright.ops.reduction import max, min, sum
from graphwright.ops.singular import svdvals
from graphwright.ops.solve import Inverse
from graphwright.ops.statistics import widened

# `abs`, `max` and others here are tensors' functions; Python's own are not used below.


@register
class MatrixPower(Composite):
    """Each square matrix times itself, `exponent` times in all; its inverse for less than 0.

    Of exponent 0 it is the identity. Computed by squaring (Knuth, The Art of Computer Programming,
    volume 2, §4.6.3): about log₂ of the exponent products.
    """

    name = "matrix_power"

    exponent: int

    def infer(self, x: TensorType) -> TensorType:
        if not is_floating(x.dtype) and (self.exponent < 0 or x.dtype.kind == "b"):
            raise DTypeError(
                f"{x} has no power {self.exponent}", hint="convert it with .astype(gw.float64)"
            )
        if x.rank < 2 or x.shape[-1] != x.shape[-2]:
            raise ShapeError(
                f"needs square matrices, got {x}", hint="the last two axes are the matrix"
            )
        return x

    def decompose(self, x: Tensor) -> Tensor:
        if self.exponent == 0:
            return broadcast_to(eye(x.shape[-1], dtype=x.dtype), x.shape)
        base = Inverse()(x) if self.exponent < 0 else x
        result = None
        for digit in reversed(f"{self.exponent:b}".lstrip("-")):
            if digit == "1":
                result = base if result is None else matmul(result, base)
            base = matmul(base, base)
        assert result is not None
        return result

    cases = (
        Case(f32["n", 2, 2], exponent=3),
        Case(f64["n", "n"], exponent=2),
        Case([[0.5, 1.0], [-0.75, 0.25]], exponent=6),
        Case([[2.0, -1.0], [0.5, 1.5]], exponent=-3),
        Case([[[2.0, -1.0], [0.5, 1.5]]], exponent=-1),
        Case(i32[3, 3], exponent=2),
        Case(f64[2, 2], exponent=1),
        Case(f64[2, 3, 3], exponent=0),
    )
    rejects = (
        Reject(f32[2, 3], exponent=2, message="needs square matrices, got f32[2,3]"),
        Reject(f32[3], exponent=2, message="needs square matrices, got f32[3]"),
        Reject(i32[2, 2], exponent=-1, message="i32[2,2] has no power -1"),
        Reject(bool_[2, 2], exponent=1, message="bool[2,2] has no power 1"),
    )


# Numerator coefficients of the Padé approximant of order 13 to exp; the denominator's are the same
# with alternating signs. Up to this norm it is exact to float64.
_PADE = [
    math.factorial(26 - k) * math.factorial(13) / (math.factorial(13 - k) * math.factorial(k))
    for k in range(14)
]
_LARGEST_NORM = 5.371920351148152


@register
class MatrixExponential(OnSquare):
    """The exponential of each square matrix: Σ xᵏ/k!. Solutions of y' = x y are out y₀.

    By the Padé approximant of order 13 to x/2ˢ, squared s times (Higham, The scaling and squaring
    method for the matrix exponential revisited, 2005).
    d/dx = the upper right block of the exponential of [[xᵀ, g], [0, xᵀ]] (Mathias, A chain rule
    for matrix functions and applications, 1996)
    """

    name = "expm"

    def infer(self, x: TensorType) -> TensorType:
        check_square(x)
        return x

    @lapack
    def kernel(self, x: NDArray[Any]) -> Any:
        norms = np.abs(x).sum(-2).max(-1, initial=0)
        ratio = np.where(np.isfinite(norms), norms, 0) / _LARGEST_NORM
        times = np.ceil(np.log2(np.maximum(ratio, 1)))[..., None, None]
        scaled = x * np.exp2(-times).astype(x.dtype)
        out = _pade(scaled)
        for turn in range(int(times.max(initial=0))):
            out = np.where(turn < times, out @ out, out)
        return out

    def flops(self, x: TensorType) -> Size:
        """Six products of matrices and a solution, without the squares that large ones take."""
        return 15 * x.size * x.shape[-1]

    def gradient(self, x: Tensor, out: Tensor, g: Tensor) -> Tensor:
        return _moved(matrix_transpose(x), g)

    def tangent(
        self,
        tangents: Sequence[Tensor | None],
        inputs: Sequence[Tensor],
        outputs: Sequence[Tensor],
    ) -> tuple[Tensor | None]:
        # The gradient is linear in g, but not made of linear operators.
        (x,), (direction,) = inputs, tangents
        return (None if direction is None else _moved(x, direction),)

    cases = (
        Case(f64["n", 2, 2]),
        Case(f64["n", "n"]),
        Case(f32[2, 2]),
        Case(f16[1, 1]),
        Case([[[0.0, 1.0], [0.0, 0.0]], [[6.0, 7.0], [-8.0, 5.0]]]),
        Case(f64[2, 0, 0]),
    )


def _moved(x: Tensor, direction: Tensor) -> Tensor:
    """How the exponential moves: the upper right block of that of [[x, direction], [0, x]]."""
    size = x.shape[-1]
    above = concatenate([x, direction], -1)
    below = concatenate([zeros_like(x), x], -1)
    whole = MatrixExponential()(concatenate([above, below], -2))
    return index(whole, (..., slice(0, size), slice(size, 2 * size)))


def _pade(x: NDArray[Any]) -> NDArray[Any]:
    """r = (v - u)⁻¹ (v + u), where u has the odd powers of x and v the even ones."""
    b = [x.dtype.type(each / _PADE[0]) for each in _PADE]
    one = np.eye(x.shape[-1], dtype=x.dtype)
    x2 = x @ x
    x4 = x2 @ x2
    x6 = x4 @ x2
    high_u = x6 @ (b[13] * x6 + b[11] * x4 + b[9] * x2)
    high_v = x6 @ (b[12] * x6 + b[10] * x4 + b[8] * x2)
    u = x @ (high_u + b[7] * x6 + b[5] * x4 + b[3] * x2 + b[1] * one)
    v = high_v + b[6] * x6 + b[4] * x4 + b[2] * x2 + b[0] * one
    result: NDArray[Any] = np.linalg.solve(v - u, v + u)
    return result


NORMS = "fro", "nuc", "1", "-1", "2", "-2", "inf", "-inf"


@register
class MatrixNorm(Composite):
    """How large each matrix is.

    ord: "fro", √Σ x²; "nuc", the sum of the singular values; "2", the largest of them, and "-2" the
         smallest; "1", the largest sum of |x| in a column, and "-1" the smallest; "inf", the
         largest sum of |x| in a row, and "-inf" the smallest
    Source: Golub and Van Loan, Matrix Computations, 2013, §2.3.
    """

    name = "matrix_norm"

    ord: str
    keepdims: bool

    def infer(self, x: TensorType) -> TensorType:
        check_matrix(x)
        if self.ord not in NORMS:
            raise AttributeValueError(
                f"there is no norm {self.ord!r}", hint=f"norms: {', '.join(NORMS)}"
            )
        if self.ord not in ("fro", "nuc") and 0 in x.shape[-2:]:
            raise ShapeError(f"{x} has no elements, and so no norm {self.ord}")
        return x.with_shape((*x.shape[:-2], 1, 1) if self.keepdims else x.shape[:-2])

    def decompose(self, x: Tensor) -> Tensor:
        wide = widened(x)
        if self.ord == "fro":
            result = vector_norm(wide, axis=(-2, -1))
        elif self.ord == "nuc":
            result = sum(svdvals(wide), -1)
        else:
            extreme = min if self.ord.startswith("-") else max
            if self.ord.endswith("2"):
                result = extreme(svdvals(wide), -1)
            else:
                result = extreme(sum(abs(wide), -2 if self.ord.endswith("1") else -1), -1)
        return cast(expand_dims(result, (-2, -1)) if self.keepdims else result, x.dtype)

    cases = (
        *(Case(f64[3, 2], ord=ord, keepdims=False) for ord in NORMS),
        *(Case(f64["n", 2, 3], ord=ord, keepdims=True) for ord in ("fro", "2", "-inf")),
        Case(f32["n", "m"], ord="fro", keepdims=False),
        Case(f16[2, 2], ord="1", keepdims=False),
        Case(f64[2, 0], ord="nuc", keepdims=False),
        Case([[3.0, -4.0], [0.0, 0.0]], ord="fro", keepdims=False),
    )
    rejects = (
        Reject(f32[3], ord="fro", keepdims=False, message="needs matrices, got f32[3]"),
        Reject(f32[3, 3], ord="3", keepdims=False, message="there is no norm '3'"),
        Reject(f32[0, 3], ord="2", keepdims=False, message="f32[0,3] has no elements, and so no"),
        Reject(i32[3, 3], ord="1", keepdims=False, message="needs a floating input, got i32[3,3]"),
    )


@builder
def matrix_power(x: TensorLike, exponent: int) -> Tensor:
    """Each square matrix times itself, `exponent` times in all; see `MatrixPower`.

    Raises AttributeValueError unless the exponent is a whole number, DTypeError for a negative one
    of integers, ShapeError for matrices that are not square.
    """
    return MatrixPower(exponent)(as_tensor(x))


@builder
def expm(x: TensorLike) -> Tensor:
    """The exponential of each square matrix; see `MatrixExponential`. Integers become float64."""
    return MatrixExponential()(as_floating(x))


@builder
def matrix_norm(x: TensorLike, ord: str | float = "fro", keepdims: bool = False) -> Tensor:
    """How large each matrix is; see `MatrixNorm`. Integers become float64.

    ord:      "fro", "nuc", 1, -1, 2, -2, inf or -inf
    keepdims: leaves the axes of the matrices, with size 1
    """
    name = ord if isinstance(ord, str) else f"{ord:g}"
    return MatrixNorm(name, keepdims)(as_floating(x))
