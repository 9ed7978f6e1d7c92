"""Triangles and diagonals of matrices, which are the last two axes of a tensor."""

from __future__ import annotations

from numpy.typing import DTypeLike

from graphwright.graph.dim import Size, minimum, positive
from graphwright.graph.dtype import float32
from graphwright.graph.errors import AttributeValueError, ShapeError
from graphwright.graph.operator import register
from graphwright.graph.tensor import Tensor, TensorLike
from graphwright.graph.types import TensorType
from graphwright.ops.case import Case, Reject, bool_, f32, f64, i32
from graphwright.ops.comparison import less_equal
from graphwright.ops.composite import Composite
from graphwright.ops.convert import as_tensor, builder, cast
from graphwright.ops.creation import arange, eye
from graphwright.ops.gather_nd import GatherNd
from graphwright.ops.joining import stack
from graphwright.ops.movement import expand_dims, moveaxis, transpose
from graphwright.ops.padding import pad
from graphwright.ops.selection import where
from graphwright.ops.shapes import check_axis, check_sizes, normalize_axis


class _Triangle(Composite):
    """Tril and triu: all matrices of `x`, with zeros on the other side of a diagonal."""

    k: int

    def infer(self, x: TensorType) -> TensorType:
        if x.rank < 2:
            raise ShapeError(
                f"needs a rank of at least 2, got {x}", hint="the last two axes are the matrix"
            )
        _check_offset(self.k)
        return x

    cases = (
        Case(f32["n", 4], k=0),
        Case(f64[3, "n"], k=1),
        Case(f64[2, 3, 3], k=-1),
        Case(i32[2, 3], k=5),
        Case(bool_[3, 2], k=-5),
        Case([[1.0, float("nan")], [float("inf"), 2.0]], k=0, smooth=False),
    )
    rejects = (
        Reject(f32[3], k=0, message="needs a rank of at least 2, got f32[3]"),
        Reject(f32[3, 3], k=0.5, message="the offset must be a whole number, got 0.5"),
    )


@register
class Tril(_Triangle):
    """The lower triangle: the elements up to the diagonal `k`, and zeros above it.

    out[i, j] = x[i, j] if j <= i + k else 0
    """

    name = "tril"

    def decompose(self, x: Tensor) -> Tensor:
        return where(_lower(x.shape[-2], x.shape[-1], self.k), x, as_tensor(0, x.dtype))


@register
class Triu(_Triangle):
    """The upper triangle: the elements from the diagonal `k` on, and zeros below it.

    out[i, j] = x[i, j] if j >= i + k else 0
    """

    name = "triu"

    def decompose(self, x: Tensor) -> Tensor:
        return where(_lower(x.shape[-2], x.shape[-1], self.k - 1), as_tensor(0, x.dtype), x)


def _lower(rows: Size, columns: Size, k: int) -> Tensor:
    """True up to the diagonal `k`."""
    return less_equal(arange(columns), expand_dims(arange(rows) + k, 1))


def _check_offset(offset: object) -> None:
    """Raise AttributeValueError unless it can be the number of a diagonal."""
    if isinstance(offset, bool) or not isinstance(offset, int):
        raise AttributeValueError(
            f"the offset must be a whole number, got {offset!r}",
            hint="0 is the main diagonal, 1 the one above it",
        )


@builder
def tril(x: TensorLike, k: int = 0) -> Tensor:
    """The lower triangle of each matrix in `x`, up to the diagonal `k`; zeros above it."""
    return Tril(k)(as_tensor(x))


@builder
def triu(x: TensorLike, k: int = 0) -> Tensor:
    """The upper triangle of each matrix in `x`, from the diagonal `k` on; zeros below it."""
    return Triu(k)(as_tensor(x))


@builder
def tri(rows: Size, columns: Size | None = None, k: int = 0, dtype: DTypeLike = float32) -> Tensor:
    """The matrix with ones up to the diagonal `k` and zeros above it; square without `columns`."""
    _check_offset(k)
    check_sizes([size for size in (rows, columns) if size is not None])
    return cast(_lower(rows, rows if columns is None else columns, k), dtype)


@register
class Diagonal(Composite):
    """The diagonal `offset` of the matrices on two axes, as a new last axis.

    out[..., i] = x[..., i, i + offset] for offset >= 0, else x[..., i - offset, i], where `axis1`
    and `axis2` are the last two axes
    The gradient goes to the diagonal; the other elements get 0.
    """

    name = "diagonal"

    offset: int
    axis1: int
    axis2: int

    def infer(self, x: TensorType) -> TensorType:
        check_axis(self.axis1, x.rank)
        check_axis(self.axis2, x.rank)
        if self.axis1 == self.axis2:
            raise AttributeValueError(f"the two axes of a matrix differ, got {self.axis1} twice")
        _check_offset(self.offset)
        rest = (size for i, size in enumerate(x.shape) if i not in (self.axis1, self.axis2))
        return x.with_shape((*rest, self._length(x.shape[self.axis1], x.shape[self.axis2])))

    def _length(self, rows: Size, columns: Size) -> Size:
        return positive(minimum(rows + min(self.offset, 0), columns - max(self.offset, 0)))

    def decompose(self, x: Tensor) -> Tensor:
        rows, columns = x.shape[self.axis1], x.shape[self.axis2]
        count = arange(self._length(rows, columns))
        places = stack([count - min(self.offset, 0), count + max(self.offset, 0)], -1)
        rest = (i for i in range(x.ndim) if i not in (self.axis1, self.axis2))
        chosen = GatherNd(0)(transpose(x, (self.axis1, self.axis2, *rest)), places)
        return moveaxis(chosen, 0, -1)

    cases = (
        Case(f32["n", 3], offset=0, axis1=0, axis2=1),
        Case(f64[4, "n"], offset=1, axis1=0, axis2=1),
        Case(f64[2, 3, 4], offset=-1, axis1=2, axis2=0),
        Case(i32[2, 3, 2], offset=0, axis1=0, axis2=1),
        Case(bool_[2, 2], offset=3, axis1=0, axis2=1),
    )
    rejects = (
        Reject(f32[3], offset=0, axis1=0, axis2=1, message="axis 1 is out of range for rank 1"),
        Reject(f32[3, 3], offset=0, axis1=1, axis2=1, message="the two axes of a matrix differ"),
        Reject(f32[3, 3], offset=0, axis1=-2, axis2=1, message="must be counted from the front"),
        Reject(
            f32[3, 3],
            offset=1.5,
            axis1=0,
            axis2=1,
            message="must be a whole number, got 1.5",
        ),
    )


@builder
def diagonal(x: TensorLike, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Tensor:
    """A diagonal of the matrices on two axes of `x`, as a new last axis; see `Diagonal`."""
    tensor = as_tensor(x)
    first, second = normalize_axis(axis1, tensor.ndim), normalize_axis(axis2, tensor.ndim)
    return Diagonal(offset, first, second)(tensor)


@builder
def trace(x: TensorLike, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Tensor:
    """The sum of the diagonal `offset` of the matrices on two axes of `x`."""
    return diagonal(x, offset, axis1, axis2).sum(-1)


@register
class DiagEmbed(Composite):
    """Square matrices with `x` on the diagonal `offset`, and zeros elsewhere: `diagonal`, reversed.

    out[..., i, i + offset] = x[..., i] for offset >= 0, else out[..., i - offset, i] = x[..., i]
    The gradient is the diagonal.
    """

    name = "diag_embed"

    offset: int

    def infer(self, x: TensorType) -> TensorType:
        if not x.rank:
            raise ShapeError("needs a rank of at least 1, got 0")
        _check_offset(self.offset)
        size = x.shape[-1] + abs(self.offset)
        return x.with_shape((*x.shape[:-1], size, size))

    def decompose(self, x: Tensor) -> Tensor:
        # All that row i can hold is x[i], or x[i + offset] below the main diagonal.
        size, before = x.shape[-1] + abs(self.offset), max(-self.offset, 0)
        rows = pad(x, [*[(0, 0)] * (x.ndim - 1), (before, abs(self.offset) - before)])
        return where(
            eye(size, k=self.offset, dtype=bool), expand_dims(rows, -1), as_tensor(0, x.dtype)
        )

    def gradient(self, x: Tensor, out: Tensor, g: Tensor) -> Tensor:
        return Diagonal(self.offset, x.ndim - 1, x.ndim)(g)

    cases = (
        Case(f32["n"], offset=0),
        Case(f64[2, "n"], offset=1),
        Case(f64[3], offset=-2),
        Case(i32[2, 2], offset=0),
        Case(bool_[2], offset=1),
    )
    rejects = (
        Reject(f32[()], offset=0, message="needs a rank of at least 1, got 0"),
        Reject(f32[3], offset="1", message="the offset must be a whole number, got '1'"),
    )


@builder
def diag_embed(x: TensorLike, offset: int = 0) -> Tensor:
    """Square matrices with the last axis of `x` on the diagonal `offset`; see `DiagEmbed`."""
    return DiagEmbed(offset)(as_tensor(x))


@builder
def diag(x: TensorLike, k: int = 0) -> Tensor:
    """The matrix with the vector `x` on the diagonal `k`; or that diagonal of the matrix `x`.

    Raises ShapeError for another rank than 1 and 2; `diag_embed` and `diagonal` take any.
    """
    tensor = as_tensor(x)
    if tensor.ndim not in (1, 2):
        raise ShapeError(
            f"needs a vector or a matrix, got {tensor.type}", hint="use diag_embed or diagonal"
        )
    return DiagEmbed(k)(tensor) if tensor.ndim == 1 else Diagonal(k, 0, 1)(tensor)
