"""Systems of linear equations: solutions, inverses, and matrices with a triangle of zeros."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graphwright.graph.dim import Size
from graphwright.graph.dtype import is_floating
from graphwright.graph.errors import ShapeError
from graphwright.graph.operator import Operator, register
from graphwright.graph.tensor import Tensor, TensorLike
from graphwright.graph.types import TensorType
from graphwright.ops.case import Case, Reject, Within, f16, f32, f64, i32
from graphwright.ops.checks import check_same_dtype
from graphwright.ops.convert import as_floating, builder, promoted
from graphwright.ops.linear import matmul
from graphwright.ops.matrices import (
    SINGULAR,
    OnSquare,
    aligned,
    check_square,
    lapack,
)
from graphwright.ops.movement import (
    expand_dims,
    matrix_transpose,
    moveaxis,
    reshape,
    squeeze,
    sum_to,
)
from graphwright.ops.shapes import broadcast
from graphwright.ops.triangle import tril, triu

# Well-conditioned: rounding errors hardly grow.
A = [[2.0, -1.0, 0.5], [0.25, 1.5, -0.75], [1.0, 0.5, -2.5]]
B = [[1.0, 0.5], [-2.0, 0.75], [0.25, -1.5]]


@register
class Inverse(OnSquare):
    """The inverse of each square matrix: x out = out x = 1. To solve equations, `solve` is better.

    d/dx = -outᵀ g outᵀ (Giles, Collected matrix derivative results for forward and reverse mode
    algorithmic differentiation, 2008, §2.2.3)
    Raises InputError when run on a singular matrix.
    """

    name = "inv"

    def infer(self, x: TensorType) -> TensorType:
        check_square(x)
        return x

    @lapack
    def kernel(self, x: NDArray[Any]) -> Any:
        return np.linalg.inv(x)

    def flops(self, x: TensorType) -> Size:
        """2n³ for a matrix of n rows."""
        return 2 * x.size * x.shape[-1]

    def gradient(self, x: Tensor, out: Tensor, g: Tensor) -> Tensor:
        across = matrix_transpose(out)
        return -matmul(across, matmul(g, across))

    cases = (
        Case(A),
        Case([A, [[0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]]),
        Case(Within(f64["n", 1, 1], 1, 2)),
        Case(Within(f32[2, 1, 1], -2, -1)),
        Case(Within(f16[1, 1], 1, 2)),
        Case(f32[2, 0, 0]),
    )


class _Equations(Operator):
    """a out = b, for the columns of `b`."""

    refusal = SINGULAR

    def infer(self, a: TensorType, b: TensorType) -> TensorType:
        check_square(a)
        check_same_dtype(a, b)
        if b.rank < 2 or b.shape[-2] != a.shape[-1]:
            raise ShapeError(
                f"{a} has {a.shape[-1]} columns, which don't fit b: {b}",
                hint="b has a row for each row of a, in its second-last axis",
            )
        return b.with_shape((*broadcast(a.shape[:-2], b.shape[:-2]), *b.shape[-2:]))

    def batch(self, mapped: Sequence[bool], a: Tensor, b: Tensor) -> Tensor:
        if not mapped[0] and a.ndim == 2 and b.ndim == 3:
            # One matrix is taken apart once, with all columns side by side.
            columns = moveaxis(b, 0, 1)
            flat = reshape(columns, (b.shape[1], b.shape[0] * b.shape[2]))
            return moveaxis(reshape(self(a, flat), columns.shape), 1, 0)
        return self(*aligned(mapped, (a, b)))


@register
class Solve(_Equations):
    """The x of a x = b, for each square matrix of `a` and each column of `b`.

    What is before the last two axes broadcasts.
    out = a⁻¹ b, by elimination with exchange of rows
    d/db = a⁻ᵀ g, d/da = -(d/db) outᵀ (Giles, Collected matrix derivative results for forward and
    reverse mode algorithmic differentiation, 2008, §2.3.1), summed over what was broadcast
    Raises InputError when run on a singular matrix.
    """

    name = "solve"

    @lapack
    def kernel(self, a: NDArray[Any], b: NDArray[Any]) -> Any:
        # NumPy takes a `b` of rank 1 for a vector; `infer` has seen to it that it has more.
        return np.linalg.solve(a, b)

    def flops(self, a: TensorType, b: TensorType) -> Size:
        """⅔n³ for each matrix of n rows, and 2n² for each column."""
        return 2 * a.size * a.shape[-1] // 3 + 2 * self.infer(a, b).size * a.shape[-1]

    def gradient(self, a: Tensor, b: Tensor, out: Tensor, g: Tensor) -> tuple[Tensor, Tensor]:
        to_b = Solve()(matrix_transpose(a), g)
        to_a = -matmul(to_b, matrix_transpose(out))
        return sum_to(to_a, a.shape), sum_to(to_b, b.shape)

    cases = (
        Case(A, B),
        Case(A, f64["n", 3, 2]),
        Case([[A], [[[0.0, 2.0, 0.0], [1.0, 0.0, 1.0], [1.0, 0.0, -1.0]]]], f64[4, 3, 1]),
        Case([A, A], B),
        Case(Within(f32["n", 1, 1], 1, 2), f32["n", 1, 3]),
        Case(Within(f16[1, 1], 1, 2), f16[1, 2]),
        Case(f64[0, 0], f64[0, 2]),
    )
    rejects = (
        Reject(f32[2, 3], f32[2, 1], message="needs square matrices, got f32[2,3]"),
        Reject(f32[2, 2], f32[3, 1], message="f32[2,2] has 2 columns, which don't fit b: f32[3,1]"),
        Reject(f32[2, 2], f32[2], message="f32[2,2] has 2 columns, which don't fit b: f32[2]"),
        Reject(f32[2, 2], f64[2, 1], message="dtypes differ: f32 and f64"),
        Reject(i32[2, 2], i32[2, 1], message="needs a floating input, got i32[2,2]"),
        Reject(f32[2, 3, 3], f32[4, 3, 1], message="shapes [2] and [4] differ"),
    )


@register
class TriangularSolve(_Equations):
    """The x of a x = b, where each matrix of `a` has zeros above its diagonal, or below it.

    lower_triangle: True reads the lower triangle of `a`, False the upper one; the other is taken
                    for zeros, whatever it holds
    unit_diagonal:  takes the diagonal for ones, whatever it holds

    out = a⁻¹ b, by substitution, block by block (Golub and Van Loan, Matrix Computations, 2013,
    §3.1.4)
    d/db = a⁻ᵀ g, d/da = the triangle of -(d/db) outᵀ (Giles, Collected matrix derivative results
    for forward and reverse mode algorithmic differentiation, 2008, §2.3.1)
    Raises InputError when run on a zero on the diagonal.
    """

    name = "triangular_solve"
    refusal = ("a matrix is singular: it has a zero on its diagonal", SINGULAR[1])

    lower_triangle: bool
    unit_diagonal: bool

    @lapack
    def kernel(self, a: NDArray[Any], b: NDArray[Any]) -> Any:
        shape = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
        out = np.array(np.broadcast_to(b, (*shape, *b.shape[-2:])))
        size, step = a.shape[-1], 64
        blocks = [slice(start, start + step) for start in range(0, size, step)]
        for block in blocks if self.lower_triangle else reversed(blocks):
            done = slice(0, block.start) if self.lower_triangle else slice(block.stop, None)
            out[..., block, :] -= a[..., block, done] @ out[..., done, :]
            out[..., block, :] = np.linalg.solve(
                self._triangle(a[..., block, block]), out[..., block, :]
            )
        return out

    def _triangle(self, a: NDArray[Any]) -> NDArray[Any]:
        part: NDArray[Any] = np.tril(a) if self.lower_triangle else np.triu(a)
        if self.unit_diagonal:
            index = np.arange(a.shape[-1])
            part[..., index, index] = 1
        return part

    def flops(self, a: TensorType, b: TensorType) -> Size:
        """n² for each column of n rows."""
        return self.infer(a, b).size * a.shape[-1]

    def gradient(self, a: Tensor, b: Tensor, out: Tensor, g: Tensor) -> tuple[Tensor, Tensor]:
        to_b = TriangularSolve(not self.lower_triangle, self.unit_diagonal)(matrix_transpose(a), g)
        full = -matmul(to_b, matrix_transpose(out))
        offset = -1 if self.unit_diagonal else 0
        to_a = tril(full, offset) if self.lower_triangle else triu(full, -offset)
        return sum_to(to_a, a.shape), sum_to(to_b, b.shape)

    cases = (
        Case(A, B, lower_triangle=True, unit_diagonal=False),
        Case(A, f64["n", 3, 2], lower_triangle=False, unit_diagonal=False),
        Case([A, A], f64[2, 3, 1], lower_triangle=True, unit_diagonal=True),
        Case([[A]], f64[2, 1, 3, 2], lower_triangle=False, unit_diagonal=True),
        Case(Within(f32["n", 2, 2], 1, 2), f32[2, 3], lower_triangle=True, unit_diagonal=False),
        Case(Within(f16[2, 2], 1, 2), f16[2, 1], lower_triangle=False, unit_diagonal=False),
        Case(f64["n", "n"], f64["n", 2], lower_triangle=True, unit_diagonal=True),
        Case(f64[0, 0], f64[0, 2], lower_triangle=True, unit_diagonal=False),
    )
    rejects = (
        Reject(
            f32[2, 3],
            f32[2, 1],
            lower_triangle=True,
            unit_diagonal=False,
            message="needs square matrices, got f32[2,3]",
        ),
        Reject(
            f32["n", "n"],
            f32["m", 1],
            lower_triangle=True,
            unit_diagonal=True,
            message="f32[n,n] has n columns, which don't fit b: f32[m,1]",
        ),
        Reject(
            f32[2, 2],
            f64[2, 1],
            lower_triangle=False,
            unit_diagonal=False,
            message="dtypes differ: f32",
        ),
    )


def floating_pair(a: TensorLike, b: TensorLike) -> tuple[Tensor, ...]:
    """Both as floating tensors of one dtype."""
    return promoted(*(x if is_floating(x.dtype) else as_floating(x) for x in promoted(a, b)))


def solved(op: Operator, a: Tensor, b: Tensor) -> Tensor:
    """A `b` of rank 1 counts as one column, which is left out of the result again."""
    return squeeze(op(a, expand_dims(b, 1)), -1) if b.ndim == 1 else op(a, b)


@builder
def inv(x: TensorLike) -> Tensor:
    """The inverse of each square matrix; see `Inverse`. Integers become float64."""
    return Inverse()(as_floating(x))


@builder
def solve(a: TensorLike, b: TensorLike) -> Tensor:
    """The x of a x = b; see `Solve`. Integers become float64.

    a: square matrices in the last two axes
    b: one vector when it has rank 1; otherwise matrices, whose columns are solved for
    """
    return solved(Solve(), *floating_pair(a, b))


@builder
def triangular_solve(
    a: TensorLike,
    b: TensorLike,
    lower: bool = True,
    transpose: bool = False,
    unit_diagonal: bool = False,
) -> Tensor:
    """The x of a x = b, or of aᵀ x = b, for `a` with one triangle; see `TriangularSolve`.

    b:             one vector when it has rank 1; otherwise matrices, whose columns are solved for
    lower:         which triangle of `a` is read
    transpose:     solves with aᵀ
    unit_diagonal: takes the diagonal for ones
    """
    matrix, target = floating_pair(a, b)
    if transpose:
        matrix, lower = matrix_transpose(matrix), not lower
    return solved(TriangularSolve(lower, unit_diagonal), matrix, target)
