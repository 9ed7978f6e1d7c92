"""Losses: composites that say how far a prediction is from what it should be."""

from __future__ import annotations

import numpy as np

from graphwright.graph.dim import Size
from graphwright.graph.dtype import is_floating, is_integer, short_name
from graphwright.graph.errors import DTypeError, ShapeError
from graphwright.graph.operator import register
from graphwright.graph.tensor import Tensor, TensorLike
from graphwright.graph.types import TensorType
from graphwright.ops.case import Case, Reject, Within, f32, f64, i32, i64, u8
from graphwright.ops.composite import Composite
from graphwright.ops.convert import as_floating, as_tensor, builder, cast, promoted
from graphwright.ops.gather import one_hot
from graphwright.ops.movement import expand_dims
from graphwright.ops.normalization import log_softmax, softmax
from graphwright.ops.selection import where
from graphwright.ops.shapes import shape_text


@register
class CrossEntropy(Composite):
    """The mean over the batch of -log softmax(logits)[label], over the last axis of the logits.

    logits: floating, [..., classes]
    labels: integers from 0 to classes - 1, [...]; where one is outside, the loss and the
            gradient of its row are nan
    d/dlogits = (softmax(logits) - one_hot(labels)) / batch (Bishop, Pattern Recognition and
    Machine Learning, 2006, eq. 4.109)
    """

    name = "cross_entropy"

    def infer(self, logits: TensorType, labels: TensorType) -> TensorType:
        if not is_floating(logits.dtype):
            raise DTypeError(f"needs floating logits, got {short_name(logits.dtype)}")
        if not is_integer(labels.dtype):
            raise DTypeError(
                f"labels must be integers, got {short_name(labels.dtype)}",
                hint="labels are class numbers; argmax(rows, axis=-1) makes them of one-hot rows",
            )
        if not logits.rank:
            raise ShapeError("needs logits with an axis of classes, got rank 0")
        if logits.shape[:-1] != labels.shape:
            raise ShapeError(
                f"labels have shape {shape_text(labels.shape)}, "
                f"not {shape_text(logits.shape[:-1])}",
                hint="one label for each row of logits",
            )
        if logits.shape[-1] == 0:
            raise ShapeError("there are no classes: the last axis of the logits is empty")
        return logits.with_shape(())

    def decompose(self, logits: Tensor, labels: Tensor) -> Tensor:
        classes = logits.shape[-1]
        chosen = one_hot(labels, classes, bool)
        picked = where(chosen, log_softmax(logits), 0).sum(-1)
        # A wrong label is to be seen, not to pass for a perfect prediction.
        return -where(_are_classes(labels, classes), picked, np.nan).mean()

    def gradient(
        self, logits: Tensor, labels: Tensor, out: Tensor, g: Tensor
    ) -> tuple[Tensor, None]:
        classes = logits.shape[-1]
        error = softmax(logits) - one_hot(labels, classes, logits.dtype)
        weight = where(_are_classes(labels, classes), g / labels.size, np.nan)
        return error * expand_dims(weight, -1), None

    cases = (
        Case(f32["n", 4], Within(i64["n"], 0, 4)),
        Case(f64[2, 3, 5], Within(u8[2, 3], 0, 5)),
        Case(f64[3], Within(i32[()], 0, 3)),
        Case([[1e3, 0.0], [-1e3, 1e3]], [0, 0]),
        Case([[1.0, 2.0], [3.0, 4.0]], [1, 2], smooth=False),
        Case([[1.0, 2.0], [3.0, 4.0]], [-1, 0], smooth=False),
    )
    rejects = (
        Reject(f32[2, 3], f32[2], message="labels must be integers, got f32"),
        Reject(i32[2, 3], i32[2], message="needs floating logits, got i32"),
        Reject(f32[2, 3], i32[2, 3], message="labels have shape [2,3], not [2]"),
        Reject(f32["n", 3], i32["m"], message="labels have shape [m], not [n]"),
        Reject(f32[()], i32[()], message="needs logits with an axis of classes"),
        Reject(f32[2, 0], i32[2], message="there are no classes"),
    )


def _are_classes(labels: Tensor, classes: Size) -> Tensor:
    """Which labels are numbers of classes."""
    number = cast(labels, np.int64)
    return (number >= 0) & (number < classes)


@builder
def cross_entropy(logits: TensorLike, labels: TensorLike) -> Tensor:
    """The mean cross-entropy of integer class labels under softmax(logits); see `CrossEntropy`.

    logits: [..., classes], not yet through softmax; labels: [...]
    """
    return CrossEntropy()(as_floating(logits), as_tensor(labels))


@register
class MeanSquaredError(Composite):
    """The mean of (prediction - target)² over all elements.

    d/dprediction = 2 (prediction - target) / size
    """

    name = "mse"

    def infer(self, prediction: TensorType, target: TensorType) -> TensorType:
        if prediction.dtype != target.dtype:
            names = f"{short_name(prediction.dtype)} and {short_name(target.dtype)}"
            raise DTypeError(f"dtypes differ: {names}", hint="cast one to the other's dtype")
        if not is_floating(prediction.dtype):
            raise DTypeError(f"needs floating inputs, got {short_name(prediction.dtype)}")
        if prediction.shape != target.shape:
            shapes = f"{shape_text(prediction.shape)} and {shape_text(target.shape)}"
            raise ShapeError(
                f"shapes {shapes} differ",
                hint="prediction and target do not broadcast; reshape one of them",
            )
        return prediction.with_shape(())

    def decompose(self, prediction: Tensor, target: Tensor) -> Tensor:
        difference = prediction - target
        return (difference * difference).mean()

    cases = (
        Case(f32["n", 3], f32["n", 3]),
        Case(f64[2], f64[2]),
        Case(f64[()], f64[()]),
    )
    rejects = (
        Reject(f32["n", 1], f32["n"], message="shapes [n,1] and [n] differ"),
        Reject(f32[2], f64[2], message="dtypes differ: f32 and f64"),
        Reject(i32[2], i32[2], message="needs floating inputs, got i32"),
    )


@builder
def mse(prediction: TensorLike, target: TensorLike) -> Tensor:
    """The mean squared error, of two tensors of one shape; see `MeanSquaredError`."""
    first, second = promoted(prediction, target)
    return MeanSquaredError()(as_floating(first), as_floating(second))
