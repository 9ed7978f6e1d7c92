"""Losses of regression: how far numbers are from what they should be."""

from __future__ import annotations

import math

from graphwright.graph.operator import register
from graphwright.graph.tensor import Tensor, TensorLike
from graphwright.graph.types import TensorType
from graphwright.ops.activation import softplus
from graphwright.ops.arithmetic import abs, square
from graphwright.ops.case import Case, Reject, Within, f16, f32, f64
from graphwright.ops.convert import builder
from graphwright.ops.exponential import log1p
from graphwright.ops.extremum import clip
from graphwright.ops.loss import (
    ElementLoss,
    Reduce,
    check_number,
    extended,
    operands,
)
from graphwright.ops.selection import where
from graphwright.ops.trigonometric import sinh


@register
class MeanSquaredError(ElementLoss):
    """(prediction - target)².

    d/dprediction = 2 (prediction - target)
    """

    name = "mse"

    def each(self, prediction: Tensor, target: Tensor) -> Tensor:
        difference = prediction - target
        return difference * difference

    cases = (
        Case(f32["n", 3], f32["n", 3], reduce="mean"),
        Case(f64[2], f64[2], reduce="sum"),
        Case(f64[()], f64[()], reduce="mean"),
        Case(f64["n", 3], f64["n", 3], reduce="none"),
        Case(f32["n", 3], f32["n", 3], Within(f32["n", 1], 0.1, 2), reduce="mean"),
        Case(f64[2, 3], f64[2, 3], f64[3], reduce="sum"),
        Case(f64[2], f64[2], f64[()], reduce="none"),
        Case(Within(f16[3], 300, 400), Within(f16[3], 0, 100), reduce="mean", smooth=False),
    )


@register
class MeanAbsoluteError(ElementLoss):
    """|prediction - target|.

    d/dprediction = sign(prediction - target), 0 where they are equal
    """

    name = "mae"

    def each(self, prediction: Tensor, target: Tensor) -> Tensor:
        return abs(prediction - target)

    cases = (
        Case(Within(f32["n", 3], 1, 2), Within(f32["n", 3], -2, 1), reduce="mean"),
        Case([1.0, -2.0, 0.5], [1.5, 2.0, -3.0], reduce="sum"),
        Case([1.0, 2.0], [1.0, 2.0], reduce="none", smooth=False),
        Case([1.0, -2.0], [1.5, 2.0], [0.5, 2.0], reduce="mean"),
    )


@register
class Huber(ElementLoss):
    """Half the squared difference up to δ, a straight line from there on.

    loss = d²/2 where |d| ≤ δ, else δ (|d| - δ/2), with d = prediction - target
    d/dprediction = d, limited to [-δ, δ]
    Source: Huber, Robust estimation of a location parameter, 1964.
    """

    name = "huber"

    delta: float

    def infer(
        self, prediction: TensorType, target: TensorType, weights: TensorType | None = None
    ) -> TensorType:
        check_number("delta", self.delta, 0, open=True)
        return super().infer(prediction, target, weights)

    def each(self, prediction: Tensor, target: Tensor) -> Tensor:
        difference = prediction - target
        near = clip(difference, -self.delta, self.delta)
        return 0.5 * square(near) + self.delta * abs(difference - near)

    cases = (
        Case(f32["n", 3], f32["n", 3], reduce="mean", delta=5.0),
        Case([1.0, -2.0, 0.5], [1.5, 2.0, -3.0], reduce="sum", delta=1.5),
        Case([1.0, 2.0, 1e300], [1.0, 3.0, -1e300], reduce="none", delta=1.0, smooth=False),
        Case([1.0, -2.0], [1.5, 2.0], [0.5, 2.0], reduce="mean", delta=0.25),
    )
    rejects = (
        *extended(ElementLoss.rejects, delta=1.0),
        Reject(f32[2], f32[2], reduce="mean", delta=0.0, message="delta must be a number greater"),
        Reject(f32[2], f32[2], reduce="mean", delta=math.inf, message="delta must be a number"),
    )


@register
class SmoothL1(ElementLoss):
    """The absolute difference, rounded off by a parabola where it is less than β.

    loss = d²/(2β) where |d| < β, else |d| - β/2, with d = prediction - target; |d| for β = 0
    d/dprediction = d/β, limited to [-1, 1]; sign(d) for β = 0
    Source: Girshick, Fast R-CNN, 2015, https://arxiv.org/abs/1504.08083 (β = 1).
    """

    name = "smooth_l1"

    beta: float

    def infer(
        self, prediction: TensorType, target: TensorType, weights: TensorType | None = None
    ) -> TensorType:
        check_number("beta", self.beta, 0)
        return super().infer(prediction, target, weights)

    def each(self, prediction: Tensor, target: Tensor) -> Tensor:
        difference = prediction - target
        if not self.beta:
            return abs(difference)
        near = clip(difference, -self.beta, self.beta)
        return square(near) * (0.5 / self.beta) + abs(difference - near)

    cases = (
        Case(f32["n", 3], f32["n", 3], reduce="mean", beta=5.0),
        Case([1.0, -2.0, 0.5], [1.5, 2.0, -3.0], reduce="sum", beta=1.5),
        Case([1.0, -2.0, 0.5], [1.5, 2.0, -3.0], reduce="none", beta=0.0),
        Case([1.0, -2.0], [1.5, 2.0], [0.5, 2.0], reduce="mean", beta=0.25),
    )
    rejects = (
        *extended(ElementLoss.rejects, beta=1.0),
        Reject(f32[2], f32[2], reduce="mean", beta=-1.0, message="beta must be a number at least"),
    )


@register
class LogCosh(ElementLoss):
    """log cosh(prediction - target): like half the square near 0, and like |d| - log 2 far away.

    d/dprediction = tanh(prediction - target)
    """

    name = "log_cosh"

    def each(self, prediction: Tensor, target: Tensor) -> Tensor:
        difference = prediction - target
        size = abs(difference)
        # cosh d = 1 + 2 sinh²(d/2) loses nothing near 0, and would overflow far from it.
        small = size < 1
        near = log1p(2 * square(sinh(0.5 * where(small, difference, 0))))
        return where(small, near, size + softplus(-2 * size) - math.log(2))

    cases = (
        Case(f32["n", 3], f32["n", 3], reduce="mean"),
        Case([1.0, -2.0, 1e-5, 0.0], [1.5, 2.0, 0.0, 0.0], reduce="none"),
        Case([1e4, -1e300], [-1e4, 1e300], reduce="sum", smooth=False),
        Case([1.0, -2.0], [1.5, 2.0], [0.5, 2.0], reduce="mean"),
    )


@builder
def mse(
    prediction: TensorLike,
    target: TensorLike,
    weights: TensorLike | None = None,
    *,
    reduction: Reduce = "mean",
) -> Tensor:
    """The mean squared error, of two tensors of one shape; see `MeanSquaredError`.

    weights:   how much each element counts, broadcast: the mean is Σ weight·loss / Σ weight
    reduction: "mean", "sum" or "none"
    """
    return MeanSquaredError(reduction)(*operands(weights, prediction, target))


@builder
def mae(
    prediction: TensorLike,
    target: TensorLike,
    weights: TensorLike | None = None,
    *,
    reduction: Reduce = "mean",
) -> Tensor:
    """The mean absolute error; see `MeanAbsoluteError`, and `mse` for the parameters."""
    return MeanAbsoluteError(reduction)(*operands(weights, prediction, target))


@builder
def huber(
    prediction: TensorLike,
    target: TensorLike,
    weights: TensorLike | None = None,
    *,
    delta: float = 1.0,
    reduction: Reduce = "mean",
) -> Tensor:
    """Squares up to `delta`, a straight line beyond; see `Huber`, and `mse` for the parameters."""
    return Huber(reduction, float(delta))(*operands(weights, prediction, target))


@builder
def smooth_l1(
    prediction: TensorLike,
    target: TensorLike,
    weights: TensorLike | None = None,
    *,
    beta: float = 1.0,
    reduction: Reduce = "mean",
) -> Tensor:
    """`huber` with delta = beta, divided by beta; see `SmoothL1`, and `mse` for the parameters."""
    return SmoothL1(reduction, float(beta))(*operands(weights, prediction, target))


@builder
def log_cosh(
    prediction: TensorLike,
    target: TensorLike,
    weights: TensorLike | None = None,
    *,
    reduction: Reduce = "mean",
) -> Tensor:
    """log cosh of the difference; see `LogCosh`, and `mse` for the parameters."""
    return LogCosh(reduction)(*operands(weights, prediction, target))
