"""Distances and similarities of vectors, with derivatives where vectors are equal or 0 too."""

from __future__ import annotations

import math

from graphwright.graph.errors import AttributeValueError, ShapeError
from graphwright.graph.operator import register
from graphwright.graph.tensor import Tensor, TensorLike
from graphwright.graph.types import Shape, TensorType
from graphwright.ops.arithmetic import abs, power, square
from graphwright.ops.case import Case, Reject, f16, f32, f64, i32
from graphwright.ops.comparison import equal, not_equal
from graphwright.ops.composite import Composite
from graphwright.ops.convert import builder, cast
from graphwright.ops.exponential import rsqrt, sqrt
from graphwright.ops.extremum import maximum
from graphwright.ops.loss import (
    check_floating_alike,
    check_number,
    operands,
    without_axis,
)
from graphwright.ops.movement import broadcast_to, expand_dims
from graphwright.ops.reduction import max, sum
from graphwright.ops.selection import where
from graphwright.ops.shapes import broadcast, normalize_axis, shape_text
from graphwright.ops.statistics import widened


def length(x: Tensor, p: float, axis: int) -> Tensor:
    """The p-norm of `x` along an axis: (Σ |x|ᵖ)^(1/p), the largest |x| for p = inf.

    For p = 0, how many elements are not 0. The gradient of the length 0 is 0, and so is that by
    each element 0.
    """
    if p == 0:
        return sum(cast(not_equal(x, 0), x.dtype), axis)
    if p == 1:
        return sum(abs(x), axis)
    if p == math.inf:
        return max(abs(x), axis)
    if p == 2:
        total = sum(square(x), axis)
    else:
        # A power has no finite derivative at 0 for p < 1, and no second one for p < 2.
        absent = equal(x, 0)
        total = sum(where(absent, 0, power(where(absent, 1, abs(x)), p)), axis)
    nothing = equal(total, 0)
    some = where(nothing, 1, total)
    return where(nothing, 0, sqrt(some) if p == 2 else power(some, 1 / p))


def cosine(x: Tensor, y: Tensor, epsilon: float, axis: int) -> Tensor:
    """The cosine of the angle between vectors along an axis, where lengths are `epsilon` at least.

    Of a vector 0 it is 0, and the gradient is finite.
    """
    inverse = [rsqrt(maximum(sum(square(each), axis), epsilon**2)) for each in (x, y)]
    return sum(x * y, axis) * inverse[0] * inverse[1]


def check_norm(p: float) -> None:
    """For `infer`: raise AttributeValueError for a `p` that gives no norm."""
    if not p >= 0:
        raise AttributeValueError(f"p must be at least 0, got {p}", hint="math.inf is a norm too")


def _broadcast_without(x: TensorType, y: TensorType, axis: int) -> Shape:
    """The shape of what is left when x and y are broadcast and the axis is folded."""
    check_floating_alike(x, y)
    return without_axis(x.with_shape(broadcast(x.shape, y.shape)), axis)


@register
class PairwiseDistance(Composite):
    """The distance ‖x - y + ε‖ₚ of vectors along an axis of their broadcast shape.

    ‖d‖ₚ = (Σ |d|ᵖ)^(1/p); for p = inf the largest |d|, for p = 0 how many differ. Where the vectors
    are equal the gradient is 0.
    """

    name = "pairwise_distance"

    p: float
    epsilon: float
    axis: int

    def infer(self, x: TensorType, y: TensorType) -> TensorType:
        check_norm(self.p)
        return x.with_shape(_broadcast_without(x, y, self.axis))

    def decompose(self, x: Tensor, y: Tensor) -> Tensor:
        difference = widened(x) - widened(y)
        if self.epsilon:
            difference = difference + self.epsilon
        return cast(length(difference, self.p, self.axis), x.dtype)

    cases = (
        Case(f32["n", 3], f32["n", 3], p=2.0, epsilon=0.0, axis=1),
        Case(f64["n", 3], f64[3], p=1.0, epsilon=0.0, axis=1),
        Case(f64[3, "n"], f64[3, "n"], p=3.0, epsilon=1e-6, axis=0),
        Case(f64[3], f64[3], p=math.inf, epsilon=0.0, axis=0),
        Case(f64[2, 3], f64[2, 3], p=0.5, epsilon=0.0, axis=1),
        Case([1.0, 2.0, 0.5], [1.0, 3.0, 0.5], p=0.0, epsilon=0.0, axis=0),
        Case([[1.0, 2.0]], [[1.0, 2.0]], p=2.0, epsilon=0.0, axis=1, smooth=False),
        Case([[1.0, 2.0]], [[1.0, 3.0]], p=1.5, epsilon=0.0, axis=1, smooth=False),
        Case(f16[2, 3], f16[3], p=2.0, epsilon=0.0, axis=1),
        Case(f64[2, 0], f64[2, 0], p=2.0, epsilon=0.0, axis=1),
    )
    rejects = (
        Reject(f32[2], f64[2], p=2.0, epsilon=0.0, axis=0, message="dtypes differ: f32 and f64"),
        Reject(i32[2], i32[2], p=2.0, epsilon=0.0, axis=0, message="needs floating inputs"),
        Reject(f32[2], f32[3], p=2.0, epsilon=0.0, axis=0, message="shapes [2] and [3] differ"),
        Reject(f32[2], f32[2], p=-1.0, epsilon=0.0, axis=0, message="p must be at least 0"),
        Reject(f32[2], f32[2], p=2.0, epsilon=0.0, axis=1, message="axis 1 is out of range"),
        Reject(f32[2], f32[2], p=2.0, epsilon=0.0, axis=-1, message="axis -1 must be counted from"),
    )


@register
class Cdist(Composite):
    """The distances of each row of x from each row of y: out[..., i, j] = ‖x[..., i] - y[..., j]‖ₚ.

    The norms are those of `PairwiseDistance`; the axes before the last two broadcast. Differences
    are taken first, so that near rows have exact distances, where x² + y² - 2xy would cancel.
    """

    name = "cdist"

    p: float

    def infer(self, x: TensorType, y: TensorType) -> TensorType:
        check_norm(self.p)
        check_floating_alike(x, y)
        if x.rank < 2 or y.rank < 2:
            raise ShapeError(
                f"needs rows of vectors, got {x} and {y}",
                hint="expand_dims makes a row of a vector",
            )
        if x.shape[-1] != y.shape[-1]:
            shapes = f"{shape_text(x.shape)} and {shape_text(y.shape)}"
            raise ShapeError(f"rows of {shapes} differ in length: {x.shape[-1]} != {y.shape[-1]}")
        return x.with_shape((*broadcast(x.shape[:-2], y.shape[:-2]), x.shape[-2], y.shape[-2]))

    def decompose(self, x: Tensor, y: Tensor) -> Tensor:
        difference = expand_dims(widened(x), -2) - expand_dims(widened(y), -3)
        return cast(length(difference, self.p, difference.ndim - 1), x.dtype)

    cases = (
        Case(f32["n", 3], f32["m", 3], p=2.0),
        Case(f64[2, "n", 2], f64[3, 2], p=1.0),
        Case(f64[2, 1, 2, 3], f64[2, 1, 3], p=3.0),
        Case([[1.0, 2.0], [0.0, 0.5]], [[1.0, 2.0]], p=2.0, smooth=False),
        Case(f64[2, 2], f64[3, 2], p=math.inf),
    )
    rejects = (
        Reject(f32[2, 3], f32[2, 4], p=2.0, message="rows of [2,3] and [2,4] differ in length"),
        Reject(f32[3], f32[2, 3], p=2.0, message="needs rows of vectors, got f32[3] and"),
        Reject(f32[2, 3], f64[2, 3], p=2.0, message="dtypes differ: f32 and f64"),
        Reject(f32[2, 3], f32[2, 3], p=-1.0, message="p must be at least 0"),
        Reject(f32[2, 4, 3], f32[3, 4, 3], p=2.0, message="shapes [2] and [3] differ: 2 != 3"),
    )


@register
class CosineSimilarity(Composite):
    """x·y / (max(‖x‖, ε) max(‖y‖, ε)), of vectors along an axis of their broadcast shape."""

    name = "cosine_similarity"

    epsilon: float
    axis: int

    def infer(self, x: TensorType, y: TensorType) -> TensorType:
        check_number("epsilon", self.epsilon, 0, open=True)
        return x.with_shape(_broadcast_without(x, y, self.axis))

    def decompose(self, x: Tensor, y: Tensor) -> Tensor:
        shape = broadcast(x.shape, y.shape)
        first, second = (broadcast_to(widened(each), shape) for each in (x, y))
        return cast(cosine(first, second, self.epsilon, self.axis), x.dtype)

    cases = (
        Case(f32["n", 3], f32["n", 3], epsilon=1e-8, axis=1),
        Case(f64["n", 3], f64[3], epsilon=1e-8, axis=1),
        Case(f64[3, "n"], f64[3, "n"], epsilon=1.5, axis=0),
        Case([[0.0, 0.0], [3.0, 4.0]], [[1.0, 2.0], [0.1, 0.0]], epsilon=0.5, axis=1),
        Case([0.0, 0.0], [0.0, 0.0], epsilon=1e-8, axis=0, smooth=False),
        Case(f16[2, 3], f16[2, 3], epsilon=1e-4, axis=1),
    )
    rejects = (
        Reject(f32[2], f64[2], epsilon=1e-8, axis=0, message="dtypes differ: f32 and f64"),
        Reject(i32[2], i32[2], epsilon=1e-8, axis=0, message="needs floating inputs"),
        Reject(f32[2], f32[3], epsilon=1e-8, axis=0, message="shapes [2] and [3] differ"),
        Reject(f32[2], f32[2], epsilon=0.0, axis=0, message="epsilon must be a number greater"),
        Reject(f32[2], f32[2], epsilon=1e-8, axis=1, message="axis 1 is out of range for rank 1"),
    )


@builder
def pairwise_distance(
    x: TensorLike, y: TensorLike, *, p: float = 2.0, epsilon: float = 0.0, axis: int = -1
) -> Tensor:
    """The p-norm of x - y + epsilon along `axis`; see `PairwiseDistance`.

    epsilon: what is added to each difference; PyTorch's is 1e-6, which no gradient needs here
    """
    first, second = operands(None, x, y)
    place = _axis(axis, first, second)
    return PairwiseDistance(float(p), float(epsilon), place)(first, second)


@builder
def cdist(x: TensorLike, y: TensorLike, p: float = 2.0) -> Tensor:
    """The p-norm of each row of `x` minus each row of `y`: [..., n, d], [..., m, d] to [..., n, m].

    See `Cdist`.
    """
    return Cdist(float(p))(*operands(None, x, y))


@builder
def cosine_similarity(
    x: TensorLike, y: TensorLike, *, axis: int = -1, epsilon: float = 1e-8
) -> Tensor:
    """The cosine of the angle between the vectors along `axis`; see `CosineSimilarity`.

    epsilon: the least length, so that vectors 0 have a similarity, of 0
    """
    first, second = operands(None, x, y)
    place = _axis(axis, first, second)
    return CosineSimilarity(float(epsilon), place)(first, second)


def _axis(axis: int, x: Tensor, y: Tensor) -> int:
    """`axis` of the broadcast shape, counted from the front."""
    return normalize_axis(axis, len(broadcast(x.shape, y.shape)))
