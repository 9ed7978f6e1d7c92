"""Losses of classification: how probable the classes are that integer labels name."""

from __future__ import annotations

from collections.abc import Sequence

from graphwright.graph.operator import register
from graphwright.graph.tensor import Tensor, TensorLike
from graphwright.graph.types import TensorType
from graphwright.ops.case import Case, Reject, Within, f32, f64, i32, i64, u8
from graphwright.ops.comparison import equal
from graphwright.ops.convert import builder
from graphwright.ops.label_loss import (
    Found,
    LabelLoss,
    as_labels,
    check_smoothing,
    class_axis,
    label_cases,
    label_operands,
    label_rejects,
)
from graphwright.ops.loss import Reduce, clamped_log
from graphwright.ops.normalization import log_softmax
from graphwright.ops.reduction import sum
from graphwright.ops.selection import where


@register
class Nll(LabelLoss):
    """The negative log likelihood of each label, by the logs of the classes' probabilities.

    loss = -weights[label] · log_probabilities[label]
    d/dlog_probabilities = -weights[label] at the label
    """

    name = "nll"
    scores = "log_probabilities"

    def infer(
        self, log_probabilities: TensorType, labels: TensorType, weights: TensorType | None = None
    ) -> TensorType:
        return super().infer(log_probabilities, labels, weights)

    def rows(self, scores: Tensor, found: Found) -> Tensor:
        return -found.score(scores) * found.factor

    cases = label_cases()
    rejects = label_rejects()


class _Smoothed(LabelLoss):
    """Cross-entropy with smoothed labels."""

    label_smoothing: float

    def infer(
        self, scores: TensorType, labels: TensorType, weights: TensorType | None = None
    ) -> TensorType:
        check_smoothing(self.label_smoothing)
        return super().infer(scores, labels, weights)

    def log_probabilities(self, scores: Tensor) -> Tensor:
        """The logs of the classes' probabilities."""
        raise self._incomplete("log_probabilities")

    def rows(self, scores: Tensor, found: Found) -> Tensor:
        logs = self.log_probabilities(scores)
        losses = -found.score(logs) * found.factor
        if not self.label_smoothing:
            return losses
        shares = sum(logs if found.classes is None else logs * found.classes, self.axis)
        even = where(equal(found.counted, 0), 0, -shares * found.counted)
        part = self.label_smoothing
        return (1 - part) * losses + part * even / scores.shape[self.axis]

    cases = (*label_cases(label_smoothing=0.0), *label_cases(label_smoothing=0.1))
    rejects = (
        *label_rejects(label_smoothing=0.0),
        Reject(
            f32[2, 3],
            i32[2],
            reduce="mean",
            axis=1,
            ignored=(),
            label_smoothing=1.5,
            message="label smoothing must be from 0 to 1, got 1.5",
        ),
    )


_SURE = [[1e3, 0.0], [-1e3, 1e3]]


@register
class CrossEntropy(_Smoothed):
    """-log softmax(logits)[label], over an axis of the logits.

    label_smoothing: the share ε of the target that is spread over all classes: 1 - ε + ε/classes
                     for the label and ε/classes for the others, each class with its own weight
    d/dlogits = softmax(logits) - one_hot(labels), for each row (Bishop, Pattern Recognition and
    Machine Learning, 2006, eq. 4.109)
    Source of smoothing: Szegedy et al., Rethinking the Inception architecture for computer vision,
    2016, https://arxiv.org/abs/1512.00567.
    """

    name = "cross_entropy"

    def infer(
        self, logits: TensorType, labels: TensorType, weights: TensorType | None = None
    ) -> TensorType:
        return super().infer(logits, labels, weights)

    def log_probabilities(self, scores: Tensor) -> Tensor:
        return log_softmax(scores, self.axis)

    cases = (
        *_Smoothed.cases,
        Case(_SURE, [0, 0], reduce="mean", axis=1, ignored=(), label_smoothing=0.0),
        Case(_SURE, [0, 1], reduce="none", axis=1, ignored=(), label_smoothing=0.5),
    )


@register
class SparseCategoricalCrossEntropy(_Smoothed):
    """-log of the probability of each label, the classes having probabilities along an axis.

    The log is -100 at least, where the gradient is 0; nan for probabilities below 0.
    label_smoothing: see `CrossEntropy`
    """

    name = "sparse_categorical_cross_entropy"
    scores = "probabilities"

    def infer(
        self, probabilities: TensorType, labels: TensorType, weights: TensorType | None = None
    ) -> TensorType:
        return super().infer(probabilities, labels, weights)

    def log_probabilities(self, scores: Tensor) -> Tensor:
        return clamped_log(scores)

    cases = (
        Case(
            Within(f32["n", 4], 0.05, 1),
            Within(i64["n"], 0, 4),
            reduce="mean",
            axis=1,
            ignored=(),
            label_smoothing=0.0,
        ),
        Case(
            Within(f64[4, "n"], 0.05, 1),
            Within(u8["n"], 0, 4),
            Within(f64[4], 0.5, 2),
            reduce="mean",
            axis=0,
            ignored=(2,),
            label_smoothing=0.2,
        ),
        Case(
            [[1.0, 0.0], [0.0, 1.0], [-0.5, 1.5]],
            [0, 0, 0],
            reduce="none",
            axis=1,
            ignored=(),
            label_smoothing=0.0,
            smooth=False,
        ),
    )


@builder
def nll(
    log_probabilities: TensorLike,
    labels: TensorLike,
    weights: TensorLike | None = None,
    *,
    axis: int = -1,
    ignore_index: int | Sequence[int] | None = None,
    reduction: Reduce = "mean",
) -> Tensor:
    """-log of each label's probability, the logs being given; see `Nll`.

    The parameters are those of `cross_entropy`.
    """
    tensors = label_operands(log_probabilities, labels, weights)
    place = class_axis(axis, tensors[0])
    return Nll(reduction, place, as_labels(ignore_index))(*tensors)


@builder
def cross_entropy(
    logits: TensorLike,
    labels: TensorLike,
    weights: TensorLike | None = None,
    *,
    axis: int = -1,
    label_smoothing: float = 0.0,
    ignore_index: int | Sequence[int] | None = None,
    reduction: Reduce = "mean",
) -> Tensor:
    """The mean cross-entropy of integer class labels under softmax(logits); see `CrossEntropy`.

    logits:          not yet through softmax, with the classes along `axis`
    labels:          of the shape of the logits without that axis
    weights:         how much each class counts: [classes]; the mean is Σ weight·loss / Σ weight
    label_smoothing: the share of the target that is spread over all classes
    ignore_index:    a label that does not count, or several
    reduction:       "mean", "sum" or "none"
    """
    tensors = label_operands(logits, labels, weights)
    place = class_axis(axis, tensors[0])
    smoothing = float(label_smoothing)
    return CrossEntropy(reduction, place, as_labels(ignore_index), smoothing)(*tensors)


@builder
def sparse_categorical_cross_entropy(
    prediction: TensorLike,
    labels: TensorLike,
    weights: TensorLike | None = None,
    *,
    from_logits: bool = False,
    axis: int = -1,
    label_smoothing: float = 0.0,
    ignore_index: int | Sequence[int] | None = None,
    reduction: Reduce = "mean",
) -> Tensor:
    """The cross-entropy of integer labels; see `SparseCategoricalCrossEntropy`, `CrossEntropy`.

    prediction: probabilities, or logits (`from_logits`), of the classes along `axis`
    The other parameters are those of `cross_entropy`.
    """
    tensors = label_operands(prediction, labels, weights)
    place = class_axis(axis, tensors[0])
    smoothing = float(label_smoothing)
    operator = CrossEntropy if from_logits else SparseCategoricalCrossEntropy
    return operator(reduction, place, as_labels(ignore_index), smoothing)(*tensors)
