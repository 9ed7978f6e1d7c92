"""Losses: composites that say how far a prediction is from what it should be.

Here is what they share: each has a loss for every element or every row, and gives the mean of
them, the sum, or all. The losses themselves are in `regression_loss`, `binary_loss`,
`classification_loss`, `multiclass_loss`, `likelihood_loss`, `embedding_loss` and `ctc`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, ClassVar, Literal, TypeAlias

from graphwright.graph.dtype import DType, is_floating, short_name
from graphwright.graph.errors import AttributeValueError, DTypeError, ShapeError
from graphwright.graph.tensor import Tensor, TensorLike
from graphwright.graph.types import Shape, TensorType
from graphwright.ops.case import Reject, f32, f64, i32
from graphwright.ops.checks import check_same_dtype
from graphwright.ops.composite import Composite
from graphwright.ops.convert import as_floating, as_tensor, cast, common_dtype
from graphwright.ops.exponential import log, log1p
from graphwright.ops.movement import broadcast_to
from graphwright.ops.reduction import sum
from graphwright.ops.selection import where
from graphwright.ops.shapes import broadcast, check_axis, shape_text
from graphwright.ops.statistics import mean, widened

Reduce: TypeAlias = Literal["mean", "sum", "none"]


class Loss(Composite):
    """Losses, and what `reduce` makes of them: their "mean", their "sum", or "none" of these.

    16-bit floats are computed as float32.
    """

    reduce: Reduce

    def outcome(self, dtype: DType, losses: Shape, weights: TensorType | None = None) -> TensorType:
        """For `infer`: the type of the result, for losses of that shape and their weights."""
        if self.reduce not in ("mean", "sum", "none"):
            raise AttributeValueError(
                f"the reduction is {self.reduce!r}", hint='it is "mean", "sum" or "none"'
            )
        if weights is not None:
            check_weights(dtype, losses, weights)
        return TensorType(dtype, losses if self.reduce == "none" else ())

    def weighed(self, losses: Tensor, weights: Tensor | None, dtype: DType) -> Tensor:
        """`losses` reduced; with weights, each counts as often as its weight says."""
        if weights is None:
            return self.reduced(losses, dtype)
        spread = broadcast_to(widened(weights), losses.shape)
        return self.reduced(losses * spread, dtype, spread)

    def reduced(self, losses: Tensor, dtype: DType, weights: Tensor | None = None) -> Tensor:
        """`losses` reduced to `dtype`; `weights`, with which they were multiplied, divide the mean.

        Where all weights are 0 the mean is nan, as that of no losses.
        """
        if self.reduce == "sum":
            losses = sum(losses)
        elif self.reduce == "mean":
            losses = mean(losses) if weights is None else sum(losses) / sum(weights)
        return cast(losses, dtype)


class ElementLoss(Loss):
    """A loss for each pair of elements of two tensors of one shape."""

    def infer(
        self, prediction: TensorType, target: TensorType, weights: TensorType | None = None
    ) -> TensorType:
        check_alike(prediction=prediction, target=target)
        return self.outcome(prediction.dtype, prediction.shape, weights)

    def decompose(
        self, prediction: Tensor, target: Tensor, weights: Tensor | None = None
    ) -> Tensor:
        losses = self.each(widened(prediction), widened(target))
        return self.weighed(losses, weights, prediction.dtype)

    def each(self, prediction: Tensor, target: Tensor) -> Tensor:
        """The losses."""
        raise self._incomplete("each")

    rejects: ClassVar[tuple[Reject, ...]] = (
        Reject(f32["n", 1], f32["n"], reduce="mean", message="shapes [n,1] and [n] differ"),
        Reject(f32[2], f64[2], reduce="mean", message="dtypes differ: f32 and f64"),
        Reject(i32[2], i32[2], reduce="mean", message="needs floating inputs, got i32"),
        Reject(f32[2], f32[2], reduce="max", message="the reduction is 'max'"),
        Reject(f32[2, 3], f32[2, 3], f32[2], reduce="sum", message="weights have shape [2], and"),
        Reject(f32[3], f32[3], f32[2, 3], reduce="sum", message="weights have shape [2,3], and"),
        Reject(f32[2], f32[2], f64[2], reduce="sum", message="dtypes differ: f32 and f64"),
    )


def check_alike(**inputs: TensorType) -> None:
    """For `infer`: raise unless these have one floating dtype and one shape."""
    names, kinds = list(inputs), list(inputs.values())
    check_floating_alike(*kinds)
    if any(kind.shape != kinds[0].shape for kind in kinds):
        shapes = " and ".join(shape_text(kind.shape) for kind in kinds)
        raise ShapeError(
            f"shapes {shapes} differ",
            hint=f"{' and '.join(names)} do not broadcast; reshape one of them",
        )


def check_floating_alike(*kinds: TensorType) -> None:
    """For `infer`: raise DTypeError unless these have one floating dtype."""
    check_same_dtype(*kinds)
    if not is_floating(kinds[0].dtype):
        raise DTypeError(
            f"needs floating inputs, got {short_name(kinds[0].dtype)}",
            hint="convert them with .astype",
        )


def without_axis(x: TensorType, axis: int) -> Shape:
    """For `infer`: the shape of what is left of `x` when an axis is folded."""
    check_axis(axis, x.rank)
    return (*x.shape[:axis], *x.shape[axis + 1 :])


def check_number(name: str, value: float, least: float, open: bool = False) -> None:
    """For `infer`: raise AttributeValueError unless `value` is finite and at least `least`.

    open: it must be greater
    """
    if not math.isfinite(value) or value < least or (open and value == least):
        bound = f"greater than {least:g}" if open else f"at least {least:g}"
        raise AttributeValueError(f"{name} must be a number {bound}, got {value}")


def operands(
    weights: TensorLike | None, prediction: TensorLike, *others: TensorLike
) -> tuple[Tensor, ...]:
    """All as tensors of the dtype that the floating ones promote to, `weights` at the end if any.

    The weights follow the others; integers become float64 where nothing is floating.
    """
    first = as_floating(prediction)
    floating = [x for x in others if isinstance(x, float) or is_floating(common_dtype(x))]
    dtype = common_dtype(first, *floating)
    given = others if weights is None else (*others, weights)
    return cast(first, dtype), *(as_tensor(x, dtype) for x in given)


def clamped_log(probability: Tensor) -> Tensor:
    """log(p), but -100 where p < exp(-100), with the gradient 0 there; nan below 0."""
    return _clamped(log, probability, probability)


def clamped_log_of_rest(probability: Tensor) -> Tensor:
    """log(1 - p), accurate for small p too; clamped like `clamped_log`, nan above 1."""
    return _clamped(log1p, -probability, 1 - probability)


def _clamped(logarithm: Callable[[Tensor], Tensor], x: Tensor, value: Tensor) -> Tensor:
    """`logarithm(x)`, which is log(value), but -100 where `value` is next to 0."""
    tiny = (value >= 0) & (value < math.exp(-100))
    return where(tiny, -100, logarithm(where(tiny, 0.5, x)))


def check_weights(dtype: DType, losses: Shape, weights: TensorType, name: str = "weights") -> None:
    """For `infer`: raise unless `weights` are of that dtype and broadcast to the losses."""
    if weights.dtype != dtype:
        names = f"{short_name(dtype)} and {short_name(weights.dtype)}"
        raise DTypeError(f"dtypes differ: {names}", hint=f"cast the {name} to the other's dtype")
    try:
        fits = broadcast(losses, weights.shape) == losses
    except ShapeError:
        fits = False
    if not fits:
        shapes = f"{shape_text(weights.shape)}, and the losses {shape_text(losses)}"
        raise ShapeError(
            f"{name} have shape {shapes}",
            hint=f"{name} broadcast to the losses; expand_dims adds axes of size 1",
        )


def extended(rejects: tuple[Reject, ...], **attributes: Any) -> tuple[Reject, ...]:
    """`rejects` for an operator with more attributes."""
    return tuple(
        Reject(*each.operands, message=each.message, **{**each.attributes, **attributes})
        for each in rejects
    )
