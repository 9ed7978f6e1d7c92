"""Losses of classification: scores of classes along an axis, against labels or distributions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from graphwright.graph.dtype import int64, is_floating, is_integer, short_name
from graphwright.graph.errors import AttributeValueError, DTypeError, ShapeError
from graphwright.graph.operator import register
from graphwright.graph.tensor import Tensor, TensorLike
from graphwright.graph.types import TensorType
from graphwright.ops.case import Case, Reject, Within, f16, f32, f64, i32, i64, u8
from graphwright.ops.comparison import equal, not_equal
from graphwright.ops.convert import as_floating, as_tensor, builder, cast
from graphwright.ops.creation import arange
from graphwright.ops.gather import take
from graphwright.ops.loss import (
    Loss,
    Reduce,
    as_number,
    clamped_log,
    extended,
    without_axis,
)
from graphwright.ops.movement import expand_dims
from graphwright.ops.normalization import log_softmax
from graphwright.ops.reduction import sum
from graphwright.ops.selection import where
from graphwright.ops.shapes import normalize_axis, shape_text
from graphwright.ops.statistics import widened


@dataclass(frozen=True, eq=False, repr=False)
class LabelLoss(Loss):
    """A loss for each integer label, by the scores of the classes along `axis`.

    scores:  floating, with an axis of classes
    labels:  integers from 0 to classes - 1, of the shape of the scores without the axis; where one
             is outside, the loss and the gradient of its row are nan
    weights: optionally, how much each class counts: of shape [classes]. The mean is
             Σ weights[label]·loss / Σ weights[label]
    ignored: labels that do not count at all: their loss is 0, and the mean is over the others
    """

    scores: ClassVar[str] = "logits"

    axis: int
    ignored: tuple[int, ...]

    def infer(
        self, scores: TensorType, labels: TensorType, weights: TensorType | None = None
    ) -> TensorType:
        if not is_floating(scores.dtype):
            raise DTypeError(f"needs floating {self.scores}, got {short_name(scores.dtype)}")
        if not is_integer(labels.dtype):
            raise DTypeError(
                f"labels must be integers, got {short_name(labels.dtype)}",
                hint="labels are class numbers; argmax(rows, axis=-1) makes them of one-hot rows",
            )
        if not scores.rank:
            raise ShapeError(f"needs {self.scores} with an axis of classes, got rank 0")
        rows = without_axis(scores, self.axis)
        if rows != labels.shape:
            raise ShapeError(
                f"labels have shape {shape_text(labels.shape)}, not {shape_text(rows)}",
                hint=f"one label for each row of {self.scores}",
            )
        _check_classes(scores, self.axis, weights)
        return self.outcome(scores.dtype, rows)

    def decompose(self, scores: Tensor, labels: Tensor, weights: Tensor | None = None) -> Tensor:
        wide = widened(scores)
        found = _Found.of(self, wide, labels, None if weights is None else widened(weights))
        return self.reduced(self.rows(wide, found), scores.dtype, found.weights)

    def rows(self, scores: Tensor, found: _Found) -> Tensor:
        """The loss of each row, times what it counts."""
        raise self._incomplete("rows")

    cases: ClassVar[tuple[Case, ...]] = (
        Case(
            Within(f32["n", 4], -3, -0.1), Within(i64["n"], 0, 4), reduce="mean", axis=1, ignored=()
        ),
        Case(
            Within(f64[2, 3, 5], -3, -0.1), Within(u8[2, 3], 0, 5), reduce="sum", axis=2, ignored=()
        ),
        Case(Within(f64[3], -3, -0.1), Within(i32[()], 0, 3), reduce="mean", axis=0, ignored=()),
        Case(
            Within(f64["n", 3, 2], -3, -0.1),
            Within(i64["n", 2], 0, 3),
            reduce="none",
            axis=1,
            ignored=(1,),
        ),
        Case(
            Within(f64["n", 3, 2], -3, -0.1),
            Within(i64["n", 2], 0, 3),
            Within(f64[3], 0.3, 2),
            reduce="mean",
            axis=1,
            ignored=(),
        ),
        Case(
            Within(f64[4, 3], -3, -0.1),
            [1, -100, 0, 2],
            Within(f64[3], 0.3, 2),
            reduce="mean",
            axis=1,
            ignored=(-100, 2),
        ),
        Case([[1.0, 2.0], [3.0, 4.0]], [1, 2], reduce="mean", axis=1, ignored=(), smooth=False),
        Case([[1.0, 2.0], [3.0, 4.0]], [-1, 0], reduce="none", axis=1, ignored=(), smooth=False),
        Case(
            [[1.0, 2.0], [3.0, 4.0]],
            [-1, 0],
            [0.5, 1.5],
            reduce="none",
            axis=1,
            ignored=(),
            smooth=False,
        ),
        Case(Within(f16[2, 3], -3, -0.1), [0, 2], f16[3], reduce="sum", axis=1, ignored=(7,)),
    )
    rejects: ClassVar[tuple[Reject, ...]] = tuple(
        Reject(*types, reduce=reduce, axis=axis, ignored=(), message=message)
        for *types, reduce, axis, message in (
            (f32[2, 3], f32[2], "mean", 1, "labels must be integers, got f32"),
            (i32[2, 3], i32[2], "mean", 1, "needs floating "),
            (f32[2, 3], i32[2, 3], "mean", 1, "labels have shape [2,3], not [2]"),
            (f32["n", 3], i32["m"], "mean", 1, "labels have shape [m], not [n]"),
            (f32[()], i32[()], "mean", 0, "with an axis of classes, got rank 0"),
            (f32[2, 0], i32[2], "mean", 1, "there are no classes: axis 1 of"),
            (f32[2, 3], i32[2], "mean", 2, "axis 2 is out of range for rank 2"),
            (f32[2, 3], i32[2], "mean", -1, "axis -1 must be counted from the front"),
            (f32[2, 3], i32[2], "max", 1, "the reduction is 'max'"),
            (f32[2, 3], i32[2], f32[2], "mean", 1, "weights have shape [2], not [3]"),
            (f32[2, 3], i32[2], f64[3], "mean", 1, "dtypes differ: f32 and f64"),
        )
    )


@dataclass(frozen=True)
class _Found:
    """What labels say about rows of scores."""

    axis: int
    chosen: Tensor
    """Like the scores: True at the label's class. In wrong rows it is True everywhere, so that the
    nan of `counted` reaches each score's gradient: a wrong label is to be seen, not to pass for a
    perfect prediction. In ignored rows it is True nowhere."""
    counted: Tensor
    """1 for each row, but nan in wrong rows and 0 in ignored ones."""
    weights: Tensor | None
    """What each row counts in the mean; None where all count the same."""
    classes: Tensor | None
    """The weights of the classes, aligned with the scores."""

    @classmethod
    def of(cls, loss: LabelLoss, scores: Tensor, labels: Tensor, weights: Tensor | None) -> _Found:
        classes, one = scores.shape[loss.axis], as_tensor(1, scores.dtype)
        behind = range(1, scores.ndim - loss.axis)
        number = cast(labels, int64)
        wrong = (number < 0) | (number >= classes)
        heavy = None if weights is None else take(weights, where(wrong, 0, number), 0)
        counted = where(wrong, np.nan, one)
        for label in loss.ignored:
            kept = not_equal(number, label)
            number, wrong = where(kept, number, -1), wrong & kept
            counted = where(kept, counted, 0)
            heavy = where(kept, one if heavy is None else heavy, 0)
        chosen = equal(expand_dims(number, loss.axis), expand_dims(arange(classes), behind))
        chosen = chosen | expand_dims(wrong, loss.axis)
        aligned = None if weights is None else expand_dims(weights, behind)
        return cls(loss.axis, chosen, counted, heavy, aligned)

    @property
    def factor(self) -> Tensor:
        """What the loss of each row is multiplied by."""
        return self.counted if self.classes is None else self.counted * self.weights

    def score(self, scores: Tensor) -> Tensor:
        """The score of each row's label."""
        return sum(where(self.chosen, scores, 0), self.axis)


def _check_classes(scores: TensorType, axis: int, weights: TensorType | None) -> None:
    classes = scores.shape[axis]
    if classes == 0:
        raise ShapeError(f"there are no classes: axis {axis} of {scores} is empty")
    if weights is not None and weights.dtype != scores.dtype:
        names = f"{short_name(scores.dtype)} and {short_name(weights.dtype)}"
        raise DTypeError(f"dtypes differ: {names}", hint="cast the weights to the other's dtype")
    if weights is not None and weights.shape != (classes,):
        raise ShapeError(
            f"weights have shape {shape_text(weights.shape)}, not [{classes}]",
            hint="one weight for each class",
        )


@register
class NllLoss(LabelLoss):
    """The negative log likelihood of each label, by the logs of the classes' probabilities.

    loss = -weights[label] · log_probabilities[label]
    d/dlog_probabilities = -weights[label] at the label
    """

    name = "nll_loss"
    scores = "log_probabilities"

    def infer(
        self, log_probabilities: TensorType, labels: TensorType, weights: TensorType | None = None
    ) -> TensorType:
        return super().infer(log_probabilities, labels, weights)

    def rows(self, scores: Tensor, found: _Found) -> Tensor:
        return -found.score(scores) * found.factor


@dataclass(frozen=True, eq=False, repr=False)
class _Smoothed(LabelLoss):
    """Cross-entropy with smoothed labels."""

    smoothing: float

    def infer(
        self, scores: TensorType, labels: TensorType, weights: TensorType | None = None
    ) -> TensorType:
        check_smoothing(self.smoothing)
        return super().infer(scores, labels, weights)

    def log_probabilities(self, scores: Tensor) -> Tensor:
        """The logs of the classes' probabilities."""
        raise self._incomplete("log_probabilities")

    def rows(self, scores: Tensor, found: _Found) -> Tensor:
        logs = self.log_probabilities(scores)
        losses = -found.score(logs) * found.factor
        if not self.smoothing:
            return losses
        shares = sum(logs if found.classes is None else logs * found.classes, self.axis)
        even = where(equal(found.counted, 0), 0, -shares * found.counted)
        return (1 - self.smoothing) * losses + self.smoothing * even / scores.shape[self.axis]

    cases = tuple(
        Case(*each.operands, smooth=each.smooth, smoothing=smoothing, **each.attributes)
        for each, smoothing in zip(LabelLoss.cases, (0.0, 0.1) * len(LabelLoss.cases), strict=False)
    )
    rejects = (
        *extended(LabelLoss.rejects, smoothing=0.0),
        Reject(
            f32[2, 3],
            i32[2],
            reduce="mean",
            axis=1,
            ignored=(),
            smoothing=1.5,
            message="label smoothing must be from 0 to 1, got 1.5",
        ),
    )


@register
class CrossEntropy(_Smoothed):
    """-log softmax(logits)[label], over an axis of the logits.

    smoothing: the share ε of the target that is spread over all classes: 1 - ε + ε/classes for the
               label and ε/classes for the others, where each class has its own weight
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
        Case([[1e3, 0.0], [-1e3, 1e3]], [0, 0], reduce="mean", axis=1, ignored=(), smoothing=0.0),
        Case([[1e3, 0.0], [-1e3, 1e3]], [0, 1], reduce="none", axis=1, ignored=(), smoothing=0.5),
    )


@register
class SparseCategoricalCrossEntropy(_Smoothed):
    """-log of the probability of each label, the classes having probabilities along an axis.

    The log is -100 at least, where the gradient is 0; nan for probabilities below 0.
    smoothing: see `CrossEntropy`
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
            smoothing=0.0,
        ),
        Case(
            Within(f64[4, "n"], 0.05, 1),
            Within(u8["n"], 0, 4),
            Within(f64[4], 0.5, 2),
            reduce="mean",
            axis=0,
            ignored=(2,),
            smoothing=0.2,
        ),
        Case(
            [[1.0, 0.0], [0.0, 1.0], [-0.5, 1.5]],
            [0, 0, 0],
            reduce="none",
            axis=1,
            ignored=(),
            smoothing=0.0,
            smooth=False,
        ),
    )


def check_smoothing(smoothing: float) -> None:
    """For `infer`: raise AttributeValueError unless it is a share."""
    if not 0 <= smoothing <= 1:
        raise AttributeValueError(f"label smoothing must be from 0 to 1, got {smoothing}")


@builder
def nll_loss(
    log_probabilities: TensorLike,
    labels: TensorLike,
    weights: TensorLike | None = None,
    *,
    axis: int = -1,
    ignore_index: int | Sequence[int] | None = None,
    reduction: Reduce = "mean",
) -> Tensor:
    """-log of each label's probability, the logs being given; see `NllLoss`.

    The parameters are those of `cross_entropy`.
    """
    tensors = label_operands(log_probabilities, labels, weights)
    place = normalize_axis(axis, tensors[0].ndim) if tensors[0].ndim else 0
    return NllLoss(reduction, place, as_labels(ignore_index))(*tensors)


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
    place = normalize_axis(axis, tensors[0].ndim) if tensors[0].ndim else 0
    smoothing = as_number("label smoothing", label_smoothing)
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
    place = normalize_axis(axis, tensors[0].ndim) if tensors[0].ndim else 0
    smoothing = as_number("label smoothing", label_smoothing)
    operator = CrossEntropy if from_logits else SparseCategoricalCrossEntropy
    return operator(reduction, place, as_labels(ignore_index), smoothing)(*tensors)


def label_operands(
    scores: TensorLike, labels: TensorLike, weights: TensorLike | None
) -> tuple[Tensor, ...]:
    """The inputs of a `LabelLoss`; the weights in the dtype of the scores."""
    tensor = as_floating(scores)
    optional = () if weights is None else (as_tensor(weights, tensor.dtype),)
    return tensor, as_tensor(labels), *optional


def as_labels(given: int | Sequence[int] | None) -> tuple[int, ...]:
    """The labels to ignore, as an attribute. Raises AttributeValueError for what is no integer."""
    several = () if given is None else given if isinstance(given, Sequence) else (given,)
    for label in several:
        if isinstance(label, bool) or not isinstance(label, int | np.integer):
            raise AttributeValueError(f"an ignored label is a whole number, got {label!r}")
    return tuple(map(int, several))
