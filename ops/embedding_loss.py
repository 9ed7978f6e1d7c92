"""Losses of embeddings: what is alike shall be near, what is not far."""

from __future__ import annotations

from typing import ClassVar

from graphwright.graph.errors import ShapeError
from graphwright.graph.operator import register
from graphwright.graph.tensor import Tensor, TensorLike
from graphwright.graph.types import TensorType
from graphwright.ops.arithmetic import square
from graphwright.ops.case import Case, Reject, Within, f32, f64, i32
from graphwright.ops.convert import builder
from graphwright.ops.distance import check_norm, cosine, length
from graphwright.ops.extremum import maximum, minimum
from graphwright.ops.loss import (
    Loss,
    Reduce,
    check_alike,
    check_floating_alike,
    check_number,
    operands,
    without_axis,
)
from graphwright.ops.reduction import sum
from graphwright.ops.selection import where
from graphwright.ops.shapes import normalize_axis, shape_text
from graphwright.ops.statistics import widened

_SHORTEST = 1e-8
"""What vectors count as long at least, so that their cosines have derivatives."""


class _PairLoss(Loss):
    """A loss for each pair of vectors along `axis`, which a target says to be alike or not."""

    axis: int
    margin: float

    def infer(
        self,
        x: TensorType,
        y: TensorType,
        target: TensorType,
        weights: TensorType | None = None,
    ) -> TensorType:
        check_floating_alike(x, y, target)
        check_alike(x=x, y=y)
        rows = without_axis(x, self.axis)
        if target.shape != rows:
            raise ShapeError(
                f"target has shape {shape_text(target.shape)}, not {shape_text(rows)}",
                hint="one target for each pair of vectors",
            )
        return self.outcome(x.dtype, rows, weights)

    rejects: ClassVar[tuple[Reject, ...]] = tuple(
        Reject(*types, reduce=reduce, axis=axis, margin=margin, message=message)
        for *types, reduce, axis, margin, message in (
            (f32[2, 3], f32[2, 3], f32[3], "mean", 1, 0.5, "target has shape [3], not [2]"),
            (f32[2, 3], f32[2], f32[2], "mean", 1, 0.5, "shapes [2,3] and [2] differ"),
            (f32[2, 3], f32[2, 3], f64[2], "mean", 1, 0.5, "dtypes differ: f32 and f32 and f64"),
            (i32[2, 3], i32[2, 3], i32[2], "mean", 1, 0.5, "needs floating inputs, got i32"),
            (f32[2, 3], f32[2, 3], f32[2], "mean", 2, 0.5, "axis 2 is out of range for rank 2"),
            (f32[2, 3], f32[2, 3], f32[2], "max", 1, 0.5, "the reduction is 'max'"),
            (f32[2, 3], f32[2, 3], f32[2], "mean", 1, -2.0, "margin must be a number at least"),
        )
    )


@register
class CosineEmbedding(_PairLoss):
    """1 - cos(x, y) where the target is 1, max(0, cos(x, y) - margin) where it is -1.

    The cosine is that of `CosineSimilarity`.
    """

    name = "cosine_embedding"

    def infer(
        self,
        x: TensorType,
        y: TensorType,
        target: TensorType,
        weights: TensorType | None = None,
    ) -> TensorType:
        check_number("margin", self.margin, -1)
        return super().infer(x, y, target, weights)

    def decompose(
        self, x: Tensor, y: Tensor, target: Tensor, weights: Tensor | None = None
    ) -> Tensor:
        near = cosine(widened(x), widened(y), _SHORTEST, self.axis)
        losses = where(target > 0, 1 - near, maximum(near - self.margin, 0))
        return self.weighed(losses, weights, x.dtype)

    cases = (
        Case(
            Within(f32["n", 3], 0.1, 2), f32["n", 3], f32["n"], reduce="mean", axis=1, margin=-1.0
        ),
        Case(
            [[1.0, 2.0], [1.0, 2.0], [1.0, 2.0]],
            [[2.0, 1.0], [2.0, 1.0], [-2.0, 1.0]],
            [1.0, -1.0, -1.0],
            reduce="none",
            axis=1,
            margin=0.25,
        ),
        Case(f64[2, 3], f64[2, 3], [1.0, 1.0, 1.0], f64[3], reduce="sum", axis=0, margin=0.0),
        Case([[0.0, 0.0]], [[1.0, 0.0]], [1.0], reduce="sum", axis=1, margin=0.0, smooth=False),
    )


@register
class Contrastive(_PairLoss):
    """Half the squared distance where the target is 1, half of what lacks to `margin` where 0.

    loss = target · d²/2 + (1 - target) · max(0, margin - d)²/2, where d = ‖x - y‖₂
    Source: Hadsell, Chopra and LeCun, Dimensionality reduction by learning an invariant mapping,
    2006, eq. 4, whose Y is 1 - target.
    """

    name = "contrastive"

    def infer(
        self,
        x: TensorType,
        y: TensorType,
        target: TensorType,
        weights: TensorType | None = None,
    ) -> TensorType:
        check_number("margin", self.margin, 0)
        return super().infer(x, y, target, weights)

    def decompose(
        self, x: Tensor, y: Tensor, target: Tensor, weights: Tensor | None = None
    ) -> Tensor:
        difference, alike = widened(x) - widened(y), widened(target)
        lack = maximum(self.margin - length(difference, 2, self.axis), 0)
        losses = 0.5 * (alike * sum(square(difference), self.axis) + (1 - alike) * square(lack))
        return self.weighed(losses, weights, x.dtype)

    cases = (
        Case(f32["n", 3], f32["n", 3], Within(f32["n"], 0, 1), reduce="mean", axis=1, margin=9.0),
        Case(
            [[1.0, 2.0], [1.0, 2.0], [1.0, 2.0]],
            [[2.0, 1.0], [2.0, 1.0], [-2.0, 1.0]],
            [1.0, 0.0, 0.0],
            reduce="none",
            axis=1,
            margin=2.0,
        ),
        Case(f64[2, 3], f64[2, 3], [1.0, 1.0, 0.5], f64[3], reduce="sum", axis=0, margin=0.01),
        Case([[1.0, 2.0]], [[1.0, 2.0]], [0.0], reduce="sum", axis=1, margin=1.0, smooth=False),
    )


@register
class TripletMargin(Loss):
    """How much nearer than the negative the positive lacks to be, by a margin, to the anchor.

    loss = max(0, d(anchor, positive) - d(anchor, negative) + margin), d being the distance of
           `PairwiseDistance`
    swap:  the smaller of d(anchor, negative) and d(positive, negative) takes the place of the
           former (Balntas et al., Learning local feature descriptors with triplets and shallow
           convolutional neural networks, 2016)
    Source: Schroff, Kalenichenko and Philbin, FaceNet, 2015, https://arxiv.org/abs/1503.03832.
    """

    name = "triplet_margin"

    axis: int
    margin: float
    p: float
    epsilon: float
    swap: bool

    def infer(
        self,
        anchor: TensorType,
        positive: TensorType,
        negative: TensorType,
        weights: TensorType | None = None,
    ) -> TensorType:
        check_alike(anchor=anchor, positive=positive, negative=negative)
        check_number("margin", self.margin, 0)
        check_norm(self.p)
        return self.outcome(anchor.dtype, without_axis(anchor, self.axis), weights)

    def decompose(
        self, anchor: Tensor, positive: Tensor, negative: Tensor, weights: Tensor | None = None
    ) -> Tensor:
        center, near, far = widened(anchor), widened(positive), widened(negative)
        apart = self._distance(center, far)
        if self.swap:
            apart = minimum(apart, self._distance(near, far))
        losses = maximum(self._distance(center, near) - apart + self.margin, 0)
        return self.weighed(losses, weights, anchor.dtype)

    def _distance(self, x: Tensor, y: Tensor) -> Tensor:
        difference = x - y + self.epsilon if self.epsilon else x - y
        return length(difference, self.p, self.axis)

    cases = tuple(
        Case(
            *types,
            reduce=reduce,
            axis=axis,
            margin=margin,
            p=p,
            epsilon=epsilon,
            swap=swap,
            smooth=smooth,
        )
        for *types, reduce, axis, margin, p, epsilon, swap, smooth in (
            (f32["n", 3], f32["n", 3], f32["n", 3], "mean", 1, 9.0, 2.0, 0.0, False, True),
            (f64["n", 3], f64["n", 3], f64["n", 3], "none", 1, 9.0, 3.0, 1e-6, True, True),
            (f64[2, 3], f64[2, 3], f64[2, 3], f64[3], "sum", 0, 0.0, 1.0, 0.0, False, True),
            ([[1.0, 2.0]], [[1.0, 2.5]], [[7.0, 2.0]], "sum", 1, 0.5, 2.0, 0.0, True, True),
            ([[1.0, 2.0]], [[3.0, 2.5]], [[3.0, 2.0]], "sum", 1, 0.5, 2.0, 0.0, True, True),
            ([[1.0, 2.0]], [[1.0, 2.0]], [[1.0, 2.0]], "sum", 1, 1.0, 2.0, 0.0, False, False),
        )
    )
    rejects = tuple(
        Reject(
            *types, reduce="mean", axis=axis, margin=margin, p=p, epsilon=0.0, swap=False, message=m
        )
        for *types, axis, margin, p, m in (
            (f32[2, 3], f32[2, 3], f32[2], 1, 1.0, 2.0, "shapes [2,3] and [2,3] and [2] differ"),
            (f32[2, 3], f32[2, 3], f64[2, 3], 1, 1.0, 2.0, "dtypes differ: f32 and f32 and f64"),
            (f32[2, 3], f32[2, 3], f32[2, 3], 2, 1.0, 2.0, "axis 2 is out of range for rank 2"),
            (f32[2, 3], f32[2, 3], f32[2, 3], 1, -1.0, 2.0, "margin must be a number at least 0"),
            (f32[2, 3], f32[2, 3], f32[2, 3], 1, 1.0, -2.0, "p must be at least 0, got -2.0"),
            (f32[2, 3], f32[2, 3], f32[2, 3], f32[3], 1, 1.0, 2.0, "weights have shape [3], and"),
        )
    )


@register
class MarginRanking(Loss):
    """max(0, margin - target · (x - y)): how much x lacks to exceed y, or the reverse.

    target: 1 where x shall be the larger, -1 where y shall
    """

    name = "margin_ranking"

    margin: float

    def infer(
        self,
        x: TensorType,
        y: TensorType,
        target: TensorType,
        weights: TensorType | None = None,
    ) -> TensorType:
        check_alike(x=x, y=y, target=target)
        check_number("margin", self.margin, 0)
        return self.outcome(x.dtype, x.shape, weights)

    def decompose(
        self, x: Tensor, y: Tensor, target: Tensor, weights: Tensor | None = None
    ) -> Tensor:
        lead = widened(target) * (widened(x) - widened(y))
        return self.weighed(maximum(self.margin - lead, 0), weights, x.dtype)

    cases = (
        Case(f32["n", 3], f32["n", 3], Within(f32["n", 3], -1, 1), reduce="mean", margin=9.0),
        Case([1.0, 1.0, 5.0], [2.0, 2.0, 1.0], [1.0, -1.0, 1.0], reduce="none", margin=0.5),
        Case([1.0, 1.0], [2.0, 2.0], [1.0, -1.0], [0.5, 2.0], reduce="mean", margin=0.0),
    )
    rejects = tuple(
        Reject(*types, reduce=reduce, margin=margin, message=message)
        for *types, reduce, margin, message in (
            (f32[2], f32[2], f32[1], "mean", 0.0, "shapes [2] and [2] and [1] differ"),
            (f32[2], f64[2], f32[2], "mean", 0.0, "dtypes differ: f32 and f64 and f32"),
            (i32[2], i32[2], i32[2], "mean", 0.0, "needs floating inputs, got i32"),
            (f32[2], f32[2], f32[2], "mean", -1.0, "margin must be a number at least 0"),
            (f32[2], f32[2], f32[2], "max", 0.0, "the reduction is 'max'"),
        )
    )


@builder
def cosine_embedding(
    x: TensorLike,
    y: TensorLike,
    target: TensorLike,
    weights: TensorLike | None = None,
    *,
    margin: float = 0.0,
    axis: int = -1,
    reduction: Reduce = "mean",
) -> Tensor:
    """1 - cos(x, y) for targets 1, what exceeds `margin` for targets -1; see `CosineEmbedding`.

    target, weights: one for each pair of vectors along `axis`
    reduction:       "mean", "sum" or "none"
    """
    tensors = operands(weights, x, y, target)
    place = normalize_axis(axis, tensors[0].ndim)
    return CosineEmbedding(reduction, place, float(margin))(*tensors)


@builder
def contrastive(
    x: TensorLike,
    y: TensorLike,
    target: TensorLike,
    weights: TensorLike | None = None,
    *,
    margin: float = 1.0,
    axis: int = -1,
    reduction: Reduce = "mean",
) -> Tensor:
    """Pairs of targets 1 drawn together, pairs of targets 0 apart; see `Contrastive`.

    target, weights: one for each pair of vectors along `axis`
    reduction:       "mean", "sum" or "none"
    """
    tensors = operands(weights, x, y, target)
    place = normalize_axis(axis, tensors[0].ndim)
    return Contrastive(reduction, place, float(margin))(*tensors)


@builder
def triplet_margin(
    anchor: TensorLike,
    positive: TensorLike,
    negative: TensorLike,
    weights: TensorLike | None = None,
    *,
    margin: float = 1.0,
    p: float = 2.0,
    epsilon: float = 0.0,
    swap: bool = False,
    axis: int = -1,
    reduction: Reduce = "mean",
) -> Tensor:
    """Anchors nearer to positives than to negatives, by `margin`; see `TripletMargin`.

    p, epsilon: those of `pairwise_distance`
    weights:    one for each triplet of vectors along `axis`
    reduction:  "mean", "sum" or "none"
    """
    tensors = operands(weights, anchor, positive, negative)
    numbers = float(margin), float(p), float(epsilon)
    place = normalize_axis(axis, tensors[0].ndim)
    return TripletMargin(reduction, place, *numbers, swap)(*tensors)


@builder
def margin_ranking(
    x: TensorLike,
    y: TensorLike,
    target: TensorLike,
    weights: TensorLike | None = None,
    *,
    margin: float = 0.0,
    reduction: Reduce = "mean",
) -> Tensor:
    """What the one that shall be larger lacks for it; see `MarginRanking`, and `mse` for the rest.

    target: 1 where `x` shall be larger, -1 where `y` shall
    """
    tensors = operands(weights, x, y, target)
    return MarginRanking(reduction, float(margin))(*tensors)
