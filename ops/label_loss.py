"""What losses of labels share: scores of classes along an axis, and integers that name classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from graphwright.graph.dtype import int64, is_floating, is_integer, short_name
from graphwright.graph.errors import AttributeValueError, DTypeError, ShapeError
from graphwright.graph.tensor import Tensor, TensorLike
from graphwright.graph.types import TensorType
from graphwright.ops.case import Case, Reject, Within, f16, f32, f64, i32, i64, u8
from graphwright.ops.comparison import equal, not_equal
from graphwright.ops.convert import as_floating, as_tensor, cast
from graphwright.ops.creation import arange
from graphwright.ops.gather import take
from graphwright.ops.loss import (
    Loss,
    without_axis,
)
from graphwright.ops.movement import expand_dims
from graphwright.ops.reduction import sum
from graphwright.ops.selection import where
from graphwright.ops.shapes import normalize_axis, shape_text
from graphwright.ops.statistics import widened


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
            raise DTypeError(
                f"needs floating {self.scores}, got {short_name(scores.dtype)}",
                hint="convert them with .astype; labels are the second input",
            )
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
        check_classes(scores, self.axis, weights)
        return self.outcome(scores.dtype, rows)

    def decompose(self, scores: Tensor, labels: Tensor, weights: Tensor | None = None) -> Tensor:
        wide = widened(scores)
        found = Found.of(self, wide, labels, None if weights is None else widened(weights))
        return self.reduced(self.rows(wide, found), scores.dtype, found.weights)

    def rows(self, scores: Tensor, found: Found) -> Tensor:
        """The loss of each row, times what it counts."""
        raise self._incomplete("rows")


@dataclass(frozen=True)
class Found:
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
    def of(cls, loss: LabelLoss, scores: Tensor, labels: Tensor, weights: Tensor | None) -> Found:
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
        if self.classes is None or self.weights is None:
            return self.counted
        return self.counted * self.weights

    def score(self, scores: Tensor) -> Tensor:
        """The score of each row's label."""
        return sum(where(self.chosen, scores, 0), self.axis)


def check_classes(scores: TensorType, axis: int, weights: TensorType | None) -> None:
    """For `infer`: raise unless there are classes, and a weight for each if any."""
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


def label_cases(**more: Any) -> tuple[Case, ...]:
    """The cases of a `LabelLoss` with more attributes."""
    wide = Within(f64["n", 3, 2], -3, -0.1), Within(i64["n", 2], 0, 3)
    wrong = [[1.0, 2.0], [3.0, 4.0]], [-1, 2]
    weights = Within(f64[3], 0.3, 2)

    def case(
        *operands: Any,
        reduce: str = "mean",
        axis: int = 1,
        ignored: tuple[int, ...] = (),
        smooth: bool = True,
    ) -> Case:
        attributes = {"reduce": reduce, "axis": axis, "ignored": ignored, **more}
        return Case(*operands, smooth=smooth, **attributes)

    return (
        case(Within(f32["n", 4], -3, -0.1), Within(i64["n"], 0, 4)),
        case(Within(f64[2, 3, 5], -3, -0.1), Within(u8[2, 3], 0, 5), reduce="sum", axis=2),
        case(Within(f64[3], -3, -0.1), Within(i32[()], 0, 3), axis=0),
        case(Within(f16[2, 3], -3, -0.1), [0, 2], f16[3], reduce="sum", ignored=(7,)),
        case(*wide, reduce="none", ignored=(1,)),
        case(*wide, weights),
        case(Within(f64[4, 3], -3, -0.1), [1, -100, 0, 2], weights, ignored=(-100, 2)),
        case(*wrong, smooth=False),
        case(*wrong, reduce="none", ignored=(-1,), smooth=False),
        case(*wrong, [0.5, 1.5], reduce="none", smooth=False),
    )


def label_rejects(**more: Any) -> tuple[Reject, ...]:
    """What a `LabelLoss` with more attributes refuses."""
    return tuple(
        Reject(*types, reduce=reduce, axis=axis, ignored=(), message=message, **more)
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


def check_smoothing(smoothing: float) -> None:
    """For `infer`: raise AttributeValueError unless it is a share."""
    if not 0 <= smoothing <= 1:
        raise AttributeValueError(f"label smoothing must be from 0 to 1, got {smoothing}")


def label_operands(
    scores: TensorLike, labels: TensorLike, weights: TensorLike | None
) -> tuple[Tensor, ...]:
    """The inputs of a `LabelLoss`; the weights in the dtype of the scores."""
    tensor = as_floating(scores)
    optional = () if weights is None else (as_tensor(weights, tensor.dtype),)
    return tensor, as_tensor(labels), *optional


def class_axis(axis: int, scores: Tensor) -> int:
    """`axis` counted from the front; of no axes, the operator says what is wrong."""
    return normalize_axis(axis, scores.ndim) if scores.ndim else 0


def as_labels(given: int | Sequence[int] | None) -> tuple[int, ...]:
    """The labels to ignore, as an attribute. Raises AttributeValueError for what is no integer."""
    several = () if given is None else given if isinstance(given, Sequence) else (given,)
    for label in several:
        if isinstance(label, bool) or not isinstance(label, int | np.integer):
            raise AttributeValueError(f"an ignored label is a whole number, got {label!r}")
    return tuple(map(int, several))
