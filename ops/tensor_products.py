"""Products of tensors other than the matrix product: most of them are sums in `einsum`."""

from __future__ import annotations

from collections.abc import Sequence
from string import ascii_letters

import numpy as np

from graphwright.graph.errors import AttributeValueError, ShapeError
from graphwright.graph.operator import register
from graphwright.graph.tensor import Tensor, TensorLike
from graphwright.graph.types import Shape, TensorType
from graphwright.ops.arguments import shown
from graphwright.ops.case import Case, Reject, bool_, f32, f64, i32
from graphwright.ops.checks import check_numbers
from graphwright.ops.composite import Composite
from graphwright.ops.convert import as_tensor, builder, promoted
from graphwright.ops.einsum import Einsum
from graphwright.ops.indexing import index
from graphwright.ops.joining import concatenate
from graphwright.ops.movement import expand_dims, moveaxis, reshape
from graphwright.ops.shapes import broadcast, normalize_axis


@register
class Kron(Composite):
    """The Kronecker product: every element of x times all of y, as blocks.

    out[i·m + j, ...] = x[i, ...] y[j, ...], where y has m elements along the axis, for every axis.
    The input of lower rank gets axes of size 1 in front.
    Source: Van Loan, The ubiquitous Kronecker product, J. Comput. Appl. Math. 123, 2000.
    """

    name = "kron"

    def infer(self, x: TensorType, y: TensorType) -> TensorType:
        check_numbers(x, y)
        rank = max(x.rank, y.rank)
        pairs = zip(_filled(x, rank), _filled(y, rank), strict=True)
        return x.with_shape(tuple(a * b for a, b in pairs))

    def decompose(self, x: Tensor, y: Tensor) -> Tensor:
        rank = max(x.ndim, y.ndim)
        outer = reshape(x, [size for n in _filled(x.type, rank) for size in (n, 1)])
        inner = reshape(y, [size for n in _filled(y.type, rank) for size in (1, n)])
        return reshape(outer * inner, self.infer(x.type, y.type).shape)

    cases = (
        Case(f32["n", 2], f32[2, 3]),
        Case(f64["n"], f64["m"]),
        Case(f64[2], f64[2, 1, 2]),
        Case(f64[()], f64[2, 2]),
        Case(i32[2, 2], i32[1, 3]),
        Case(f64[2, 0], f64[2, 3]),
        Case([[1.0, 2.0], [0.0, -1.0]], [[0.0, 1.0], [1.0, 0.0]]),
    )
    rejects = (
        Reject(f32[2], f64[2], message="dtypes differ: f32 and f64"),
        Reject(bool_[2], bool_[2], message="needs number inputs, got bool"),
    )


def _filled(x: TensorType, rank: int) -> Shape:
    """The shape of `x` with axes of size 1 in front, up to a rank."""
    return (1,) * (rank - x.rank) + x.shape


@register
class Cross(Composite):
    """The cross product of vectors in space, the last axis of each input; the others broadcast.

    out = (x₁y₂ - x₂y₁, x₂y₀ - x₀y₂, x₀y₁ - x₁y₀): at right angles to both, as long as the
    parallelogram between them is large
    """

    name = "cross"

    def infer(self, x: TensorType, y: TensorType) -> TensorType:
        check_numbers(x, y)
        for kind in (x, y):
            if not kind.rank or kind.shape[-1] != 3:
                raise ShapeError(
                    f"needs vectors of 3 elements, got {kind}",
                    hint="give vectors of a plane a third element of 0",
                )
        return x.with_shape(broadcast(x.shape, y.shape))

    def decompose(self, x: Tensor, y: Tensor) -> Tensor:
        return _turned(x * _turned(y) - _turned(x) * y)

    cases = (
        Case(f32["n", 3], f32["n", 3]),
        Case(f64[2, 1, 3], f64[4, 3]),
        Case(f64[3], f64[2, 3]),
        Case(i32[3], i32[3]),
        Case([[1.0, 0.0, 0.0], [1.0, 2.0, 3.0]], [[0.0, 1.0, 0.0], [4.0, 5.0, 6.0]]),
    )
    rejects = (
        Reject(f32[2, 2], f32[2, 2], message="needs vectors of 3 elements, got f32[2,2]"),
        Reject(f32[3], f32["n"], message="needs vectors of 3 elements, got f32[n]"),
        Reject(f32[()], f32[3], message="needs vectors of 3 elements, got f32[]"),
        Reject(f32[2, 3], f32[4, 3], message="shapes [2,3] and [4,3] differ: 2 != 4"),
        Reject(f32[3], f64[3], message="dtypes differ: f32 and f64"),
    )


def _turned(x: Tensor) -> Tensor:
    """(x₁, x₂, x₀)."""
    return concatenate([index(x, (..., slice(1, 3))), index(x, (..., slice(0, 1)))], -1)


@builder
def kron(x: TensorLike, y: TensorLike) -> Tensor:
    """The Kronecker product: every element of `x` times all of `y`, as blocks; see `Kron`."""
    return Kron()(*promoted(x, y))


@builder
def cross(x: TensorLike, y: TensorLike, axis: int = -1) -> Tensor:
    """The cross product of vectors of 3 elements along `axis`; the other axes broadcast.

    Raises ShapeError for vectors of another size.
    """
    lhs, rhs = promoted(x, y)
    moved = (moveaxis(one, axis, -1) if one.ndim else one for one in (lhs, rhs))
    result = Cross()(*moved)
    return moveaxis(result, -1, axis)


@builder
def tensordot(
    x: TensorLike, y: TensorLike, axes: int | Sequence[int | Sequence[int]] = 2
) -> Tensor:
    """Σ of products over some axes of `x` and as many of `y`; the others of `x` come first.

    axes: so many last axes of `x` with as many first ones of `y`, in order; or the axes of `x` and
          those of `y` that go together, a number or a sequence each

    Raises ShapeError for sizes that differ, AttributeValueError for axes that do not go together.
    """
    lhs, rhs = promoted(x, y)
    pairs = _axis_pairs(lhs, rhs, axes)
    for i, j in pairs:
        if lhs.shape[i] != rhs.shape[j]:
            raise ShapeError(
                f"sizes differ: {lhs.shape[i]} on axis {i} of x, {rhs.shape[j]} on axis {j} of y",
                hint="axes that are summed over together have one size",
            )
    letters = iter(ascii_letters)
    first = [next(letters) for _ in lhs.shape]
    second = [next(letters) for _ in rhs.shape]
    for i, j in pairs:
        second[j] = first[i]
    left = [k for i, k in enumerate(first) if i not in [i for i, _ in pairs]]
    right = [k for j, k in enumerate(second) if j not in [j for _, j in pairs]]
    return Einsum(f"{''.join(first)},{''.join(second)}->{''.join(left + right)}")(lhs, rhs)


def _axis_pairs(
    x: Tensor, y: Tensor, axes: int | Sequence[int | Sequence[int]]
) -> list[tuple[int, int]]:
    if isinstance(axes, int | np.integer) and not isinstance(axes, bool):
        if not 0 <= axes <= min(x.ndim, y.ndim):
            raise AttributeValueError(f"{axes} axes can't be taken from {x.type} and {y.type}")
        return [(x.ndim - axes + i, i) for i in range(axes)]
    if isinstance(axes, str | bytes) or not isinstance(axes, Sequence) or len(axes) != 2:
        raise AttributeValueError(
            f"axes {shown(axes)}: the axes of x and those of y are wanted",
            hint="e.g. ([1, 2], [0, 1]), or a number of axes",
        )
    mine, its = (list(side) if isinstance(side, Sequence) else [side] for side in axes)
    if len(mine) != len(its):
        raise AttributeValueError(f"{len(mine)} axes of x for {len(its)} of y")
    first = [normalize_axis(axis, x.ndim) for axis in mine]
    second = [normalize_axis(axis, y.ndim) for axis in its]
    if len(set(first)) != len(first) or len(set(second)) != len(second):
        raise AttributeValueError(f"an axis is named twice in {axes!r}")
    return list(zip(first, second, strict=True))


@builder
def inner(x: TensorLike, y: TensorLike) -> Tensor:
    """Σ of products over the last axes of `x` and `y`; the plain product where one has rank 0.

    out[i, j] = Σ x[i, k] y[j, k] over k, where i and j run over all the other axes
    Raises ShapeError when the last sizes differ.
    """
    lhs, rhs = promoted(x, y)
    return tensordot(lhs, rhs, (-1, -1)) if lhs.ndim and rhs.ndim else lhs * rhs


@builder
def vecdot(x: TensorLike, y: TensorLike, axis: int = -1) -> Tensor:
    """Σ of products of elements along `axis`; the other axes broadcast.

    out[...] = Σ x[..., k] y[..., k] over k
    Raises ShapeError when the sizes along the axis differ.
    """
    lhs, rhs = (moveaxis(one, axis, -1) for one in promoted(x, y))
    if lhs.shape[-1] != rhs.shape[-1]:
        raise ShapeError(
            f"sizes along axis {axis} differ: {lhs.shape[-1]} != {rhs.shape[-1]}",
            hint="the axis that is summed over does not broadcast",
        )
    return Einsum("...a,...a->...")(lhs, rhs)


@builder
def outer(x: TensorLike, y: TensorLike) -> Tensor:
    """The outer product of two vectors: out[i, j] = x[i] y[j]. Raises ShapeError otherwise."""
    lhs, rhs = as_tensor(x), as_tensor(y)
    if lhs.ndim != 1 or rhs.ndim != 1:
        raise ShapeError(
            f"needs two vectors, got {lhs.type} and {rhs.type}",
            hint="flatten them with reshape(x, -1); tensordot(x, y, 0) takes any rank",
        )
    return expand_dims(lhs, 1) * rhs
