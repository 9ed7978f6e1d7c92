"""How good a model is: symbolic, so that metrics compile like anything else."""

from __future__ import annotations

from graphwright import ops
from graphwright.graph.dtype import float32, is_integer
from graphwright.graph.errors import DTypeError, ShapeError
from graphwright.graph.source import here
from graphwright.graph.tensor import Tensor, TensorLike
from graphwright.ops.convert import as_tensor


def accuracy(logits: TensorLike, labels: TensorLike) -> Tensor:
    """The share of rows whose largest logit stands at the label, from 0 to 1.

    logits: [..., classes]
    labels: integers [...], the right class of each row

    f32[]; of equal logits the first counts; nan when there are no rows.
    Raises DTypeError for labels that are no integers, ShapeError when the shapes do not fit.
    """
    scores, right = as_tensor(logits), as_tensor(labels)
    details = [("logits", scores.describe()), ("labels", right.describe())]
    if not is_integer(right.dtype):
        raise DTypeError(
            f"accuracy: labels must be integers, got {right.type}", details=details, source=here()
        )
    if not scores.shape or right.shape != scores.shape[:-1]:
        raise ShapeError(
            f"accuracy: one label per row is needed: {right.type} for {scores.type}",
            details=details,
            source=here(),
            hint="labels have the shape of logits without the last axis",
        )
    return ops.cast(ops.argmax(scores, -1) == right, float32).mean()
