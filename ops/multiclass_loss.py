"""Losses of classification: soft targets, focus on what is hard, margins between classes."""

from __future__ import annotations

import math
from collections.abc import Sequence

from graphwright.graph.errors import AttributeValueError
from graphwright.graph.operator import register
from graphwright.graph.tensor import Tensor, TensorLike
from graphwright.graph.types import TensorType
from graphwright.ops.arithmetic import power
from graphwright.ops.case import Case, Reject, Within, f32, f64, i32
from graphwright.ops.comparison import equal
from graphwright.ops.convert import as_tensor, builder
from graphwright.ops.exponential import expm1
from graphwright.ops.extremum import maximum
from graphwright.ops.label_loss import (
    Found,
    LabelLoss,
    as_labels,
    check_classes,
    check_smoothing,
    class_axis,
    label_cases,
    label_operands,
    label_rejects,
)
from graphwright.ops.loss import (
    Loss,
    Reduce,
    check_alike,
    check_number,
    clamped_log,
    operands,
    without_axis,
)
from graphwright.ops.movement import expand_dims
from graphwright.ops.normalization import log_softmax
from graphwright.ops.reduction import sum
from graphwright.ops.selection import where
from graphwright.ops.statistics import widened


@register
class CategoricalCrossEntropy(Loss):
    """The cross-entropy -Σ target · log p of classes along an axis, for soft or one-hot targets.

    prediction:      logits, of which p is the softmax (`from_logits`); else p itself, whose log is
                     -100 at least, with the gradient 0 there
    target:          shares of the classes, of the shape of the prediction
    weights:         optionally, how much each class counts: [classes]. They multiply the terms; the
                     mean is over the rows, whatever they weigh, as the rows have no one class
    label_smoothing: the target is (1 - ε) · target + ε/classes
    """

    name = "categorical_cross_entropy"

    axis: int
    label_smoothing: float
    from_logits: bool

    def infer(
        self, prediction: TensorType, target: TensorType, weights: TensorType | None = None
    ) -> TensorType:
        check_alike(prediction=prediction, target=target)
        check_smoothing(self.label_smoothing)
        rows = without_axis(prediction, self.axis)
        check_classes(prediction, self.axis, weights)
        return self.outcome(prediction.dtype, rows)

    def decompose(
        self, prediction: Tensor, target: Tensor, weights: Tensor | None = None
    ) -> Tensor:
        scores, share = widened(prediction), widened(target)
        logs = log_softmax(scores, self.axis) if self.from_logits else clamped_log(scores)
        if self.label_smoothing:
            even = as_tensor(self.label_smoothing, scores.dtype) / scores.shape[self.axis]
            share = (1 - self.label_smoothing) * share + even
        if weights is not None:
            behind = range(1, scores.ndim - self.axis)
            share = share * expand_dims(widened(weights), behind)
        # What has no share may be impossible: 0 log 0 is 0.
        nothing = equal(share, 0) & equal(logs, -math.inf)
        terms = share * where(nothing, 0, logs)
        return self.reduced(-sum(terms, self.axis), prediction.dtype)

    cases = tuple(
        Case(
            *operands, reduce=reduce, axis=axis, label_smoothing=smoothing, from_logits=from_logits
        )
        for *operands, reduce, axis, smoothing, from_logits in (
            (f32["n", 4], Within(f32["n", 4], 0.1, 1), "mean", 1, 0.0, True),
            (f64["n", 3, 2], Within(f64["n", 3, 2], 0.1, 1), "none", 1, 0.2, True),
            (f64[3, 2], Within(f64[3, 2], 0.1, 1), Within(f64[3], 0.3, 2), "mean", 0, 0.1, True),
            (Within(f32["n", 4], 0.1, 1), Within(f32["n", 4], 0, 1), "sum", 1, 0.0, False),
            ([[1e3, 0.0], [-1e3, 1e3]], [[0.0, 1.0], [0.0, 1.0]], "mean", 1, 0.0, True),
            ([[0.5, 0.5], [0.1, 0.9]], [[0.0, 1.0], [1.0, 0.0]], [0.5, 2.0], "sum", 1, 0.0, False),
        )
    ) + tuple(
        Case(
            scores,
            [[0.0, 1.0]],
            reduce="none",
            axis=1,
            label_smoothing=0.0,
            from_logits=from_logits,
            smooth=False,
        )
        for scores, from_logits in (
            ([[-math.inf, 1.0]], True),
            ([[1.0, -math.inf]], True),
            ([[1.0, 0.0]], False),
        )
    )
    rejects = tuple(
        Reject(
            *types, reduce=reduce, axis=axis, label_smoothing=smoothing, from_logits=True, message=m
        )
        for *types, reduce, axis, smoothing, m in (
            (f32[2, 3], f32[2, 1], "mean", 1, 0.0, "shapes [2,3] and [2,1] differ"),
            (f32[2, 3], f64[2, 3], "mean", 1, 0.0, "dtypes differ: f32 and f64"),
            (i32[2, 3], i32[2, 3], "mean", 1, 0.0, "needs floating inputs, got i32"),
            (f32[2, 3], f32[2, 3], "mean", 2, 0.0, "axis 2 is out of range for rank 2"),
            (f32[2, 3], f32[2, 3], "mean", 1, -0.5, "label smoothing must be from 0 to 1"),
            (f32[2, 0], f32[2, 0], "mean", 1, 0.0, "there are no classes"),
            (f32[2, 3], f32[2, 3], f32[2], "mean", 1, 0.0, "weights have shape [2], not [3]"),
            (f32[2, 3], f32[2, 3], "max", 1, 0.0, "the reduction is 'max'"),
        )
    )


@register
class CategoricalFocal(LabelLoss):
    """The cross-entropy of labels, turned down where they are predicted well.

    loss = -weights[label] (1 - p)^γ log p, where p = softmax(logits)[label]; γ = 0 gives
           cross-entropy
    Source: Lin, Goyal, Girshick, He and Dollár, Focal loss for dense object detection, 2017,
    https://arxiv.org/abs/1708.02002, eq. 5.
    """

    name = "categorical_focal"

    gamma: float

    def infer(
        self, logits: TensorType, labels: TensorType, weights: TensorType | None = None
    ) -> TensorType:
        check_number("gamma", self.gamma, 0)
        return super().infer(logits, labels, weights)

    def rows(self, scores: Tensor, found: Found) -> Tensor:
        logs = found.score(log_softmax(scores, self.axis))
        if not self.gamma:
            return -logs * found.factor
        # Of what is certain there is no loss; the power may have no derivative there.
        doubt = -expm1(logs)
        certain = doubt <= 0
        focus = where(certain, 0, power(where(certain, 1, doubt), self.gamma))
        return -focus * logs * found.factor

    cases = (
        *label_cases(gamma=2.0),
        *label_cases(gamma=0.0)[:2],
        *label_cases(gamma=0.5)[:2],
        Case([[1e3, 0.0]], [0], reduce="mean", axis=1, ignored=(), gamma=0.5, smooth=False),
    )
    rejects = (
        *label_rejects(gamma=2.0),
        Reject(
            f32[2, 3],
            i32[2],
            reduce="mean",
            axis=1,
            ignored=(),
            gamma=-1.0,
            message="gamma must be a number at least 0, got -1",
        ),
    )


@register
class MultiMargin(LabelLoss):
    """The multi-class hinge: what other classes lack to stay `margin` below the label's score.

    loss = weights[label]/classes · Σ max(0, margin - scores[label] + scores[j])ᵖ over j ≠ label
    Source: Crammer and Singer, On the algorithmic implementation of multiclass kernel-based vector
    machines, 2001; the sum as in Weston and Watkins, 1999.
    """

    name = "multi_margin"
    scores = "scores"

    p: int
    margin: float

    def infer(
        self, scores: TensorType, labels: TensorType, weights: TensorType | None = None
    ) -> TensorType:
        if self.p not in (1, 2):
            raise AttributeValueError(f"p must be 1 or 2, got {self.p}")
        check_number("margin", self.margin, 0)
        return super().infer(scores, labels, weights)

    def rows(self, scores: Tensor, found: Found) -> Tensor:
        lead = scores - expand_dims(found.score(scores), self.axis)
        hinges = maximum(lead + self.margin, 0)
        powers = hinges if self.p == 1 else hinges * hinges
        # The label itself stays behind itself by 0.
        others = sum(powers, self.axis) - self.margin**self.p
        return others * found.factor / scores.shape[self.axis]

    cases = (
        *label_cases(p=1, margin=4.0),
        *label_cases(p=2, margin=1.5),
        Case([[0.1, 0.5, -3.0]], [1], reduce="mean", axis=1, ignored=(), p=1, margin=1.0),
    )
    rejects = (
        *label_rejects(p=1, margin=1.0),
        *(
            Reject(
                f32[2, 3], i32[2], reduce="mean", axis=1, ignored=(), p=p, margin=margin, message=m
            )
            for p, margin, m in (
                (3, 1.0, "p must be 1 or 2, got 3"),
                (1, -1.0, "margin must be a number at least 0, got -1"),
            )
        ),
    )


@builder
def categorical_cross_entropy(
    prediction: TensorLike,
    target: TensorLike,
    weights: TensorLike | None = None,
    *,
    from_logits: bool = False,
    axis: int = -1,
    label_smoothing: float = 0.0,
    reduction: Reduce = "mean",
) -> Tensor:
    """The cross-entropy of soft or one-hot targets; see `CategoricalCrossEntropy`.

    prediction:      probabilities, or logits (`from_logits`), of the classes along `axis`
    target:          shares of the classes, of the shape of the prediction
    weights:         how much each class counts: [classes]
    label_smoothing: the share of the target that is spread over all classes
    reduction:       "mean" of the rows, "sum" or "none"
    """
    tensors = operands(weights, prediction, target)
    smoothing = float(label_smoothing)
    place = class_axis(axis, tensors[0])
    return CategoricalCrossEntropy(reduction, place, smoothing, from_logits)(*tensors)


@builder
def categorical_focal(
    logits: TensorLike,
    labels: TensorLike,
    weights: TensorLike | None = None,
    *,
    gamma: float = 2.0,
    axis: int = -1,
    ignore_index: int | Sequence[int] | None = None,
    reduction: Reduce = "mean",
) -> Tensor:
    """Cross-entropy times (1 - p)^gamma; see `CategoricalFocal`, and `cross_entropy` for the rest.

    weights: how much each class counts: the α of the paper
    """
    tensors = label_operands(logits, labels, weights)
    place = class_axis(axis, tensors[0])
    return CategoricalFocal(reduction, place, as_labels(ignore_index), float(gamma))(*tensors)


@builder
def multi_margin(
    scores: TensorLike,
    labels: TensorLike,
    weights: TensorLike | None = None,
    *,
    p: int = 1,
    margin: float = 1.0,
    axis: int = -1,
    ignore_index: int | Sequence[int] | None = None,
    reduction: Reduce = "mean",
) -> Tensor:
    """The multi-class hinge; see `MultiMargin`, and `cross_entropy` for the other parameters.

    p: 1, or 2 for the squares of what is lacking
    """
    tensors = label_operands(scores, labels, weights)
    place = class_axis(axis, tensors[0])
    return MultiMargin(reduction, place, as_labels(ignore_index), p, float(margin))(*tensors)
