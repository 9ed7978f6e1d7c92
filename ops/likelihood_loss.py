"""Losses that are negative log likelihoods of numbers, or compare distributions."""

from __future__ import annotations

import math

from graphwright.graph.operator import register
from graphwright.graph.tensor import Tensor, TensorLike
from graphwright.graph.types import TensorType
from graphwright.ops.arithmetic import square
from graphwright.ops.case import Case, Reject, Within, f32, f64
from graphwright.ops.comparison import equal
from graphwright.ops.convert import builder
from graphwright.ops.exponential import exp, log
from graphwright.ops.extremum import maximum
from graphwright.ops.loss import (
    ElementLoss,
    Loss,
    Reduce,
    check_alike,
    check_number,
    extended,
    operands,
    without_axis,
)
from graphwright.ops.reduction import sum
from graphwright.ops.selection import where
from graphwright.ops.shapes import normalize_axis
from graphwright.ops.statistics import widened


@register
class PoissonNll(ElementLoss):
    """The negative log likelihood of counts, up to a constant, for a predicted rate.

    loss = exp(prediction) - target · prediction, where the prediction is the log of the rate
           (`log_input`), else prediction - target · log(prediction + ε)
    full: adds Stirling's target · log target - target + ½ log(2π target) for log(target!), where
          the target is greater than 1
    """

    name = "poisson_nll"

    log_input: bool
    full: bool
    epsilon: float

    def infer(
        self, prediction: TensorType, target: TensorType, weights: TensorType | None = None
    ) -> TensorType:
        check_number("epsilon", self.epsilon, 0)
        return super().infer(prediction, target, weights)

    def each(self, prediction: Tensor, target: Tensor) -> Tensor:
        if self.log_input:
            losses = exp(prediction) - target * prediction
        else:
            losses = prediction - target * log(prediction + self.epsilon)
        if not self.full:
            return losses
        count = where(target > 1, target, 1)
        stirling = count * log(count) - count + 0.5 * log(2 * math.pi * count)
        return losses + where(target > 1, stirling, 0)

    cases = (
        Case(
            f32["n", 3],
            Within(f32["n", 3], 0, 0.9),
            reduce="mean",
            log_input=True,
            full=True,
            epsilon=1e-8,
        ),
        Case(
            Within(f64["n", 3], 0.1, 4),
            Within(f64["n", 3], 1.1, 5),
            reduce="none",
            log_input=False,
            full=True,
            epsilon=1e-8,
        ),
        Case(
            Within(f64[2], 0.1, 4),
            Within(f64[2], 0, 5),
            [0.5, 1.5],
            reduce="mean",
            log_input=False,
            full=False,
            epsilon=0.0,
        ),
    )
    rejects = (
        *extended(ElementLoss.rejects, log_input=True, full=False, epsilon=0.0),
        Reject(
            f32[2],
            f32[2],
            reduce="mean",
            log_input=False,
            full=False,
            epsilon=-1.0,
            message="epsilon must be a number at least 0, got -1.0",
        ),
    )


@register
class GaussianNll(Loss):
    """The negative log likelihood under normal distributions of predicted mean and variance.

    loss = ½ (log v + (prediction - target)²/v), where v = max(variance, ε)
    full: adds the constant ½ log 2π
    Source: Nix and Weigend, Estimating the mean and variance of the target probability
    distribution, 1994.
    """

    name = "gaussian_nll"

    full: bool
    epsilon: float

    def infer(
        self,
        prediction: TensorType,
        target: TensorType,
        variance: TensorType,
        weights: TensorType | None = None,
    ) -> TensorType:
        check_alike(prediction=prediction, target=target, variance=variance)
        check_number("epsilon", self.epsilon, 0)
        return self.outcome(prediction.dtype, prediction.shape, weights)

    def decompose(
        self,
        prediction: Tensor,
        target: Tensor,
        variance: Tensor,
        weights: Tensor | None = None,
    ) -> Tensor:
        difference = widened(prediction) - widened(target)
        spread = maximum(widened(variance), self.epsilon)
        losses = 0.5 * (log(spread) + square(difference) / spread)
        if self.full:
            losses = losses + 0.5 * math.log(2 * math.pi)
        return self.weighed(losses, weights, prediction.dtype)

    cases = (
        Case(
            f32["n", 3],
            f32["n", 3],
            Within(f32["n", 3], 0.3, 2),
            reduce="mean",
            full=True,
            epsilon=1e-6,
        ),
        Case([1.0, 2.0], [1.5, 0.5], [1e-9, 0.5], reduce="none", full=False, epsilon=0.1),
        Case([1.0, 2.0], [1.5, 0.5], [2.0, 0.5], [1.0, 3.0], reduce="sum", full=False, epsilon=0.0),
    )
    rejects = (
        Reject(
            f32[2],
            f32[2],
            f32[1],
            reduce="mean",
            full=False,
            epsilon=0.0,
            message="shapes [2] and [2] and [1] differ",
        ),
        Reject(
            f32[2],
            f32[2],
            f32[2],
            reduce="mean",
            full=False,
            epsilon=-1.0,
            message="epsilon must be a number at least 0",
        ),
    )


@register
class KlDivergence(Loss):
    """The Kullback-Leibler divergence of the target from the prediction, along an axis.

    loss = Σ target · (log target - prediction), where 0 log 0 = 0
    prediction: logs of probabilities
    target:     probabilities, or their logs (`log_target`)
    The gradient by a target probability of 0 is 0, where the derivative has no value.
    Source: Kullback and Leibler, On information and sufficiency, 1951.
    """

    name = "kl_divergence"

    axis: int
    log_target: bool

    def infer(
        self, prediction: TensorType, target: TensorType, weights: TensorType | None = None
    ) -> TensorType:
        check_alike(prediction=prediction, target=target)
        return self.outcome(prediction.dtype, without_axis(prediction, self.axis), weights)

    def decompose(
        self, prediction: Tensor, target: Tensor, weights: Tensor | None = None
    ) -> Tensor:
        predicted, wanted = widened(prediction), widened(target)
        if self.log_target:
            terms = exp(wanted) * (wanted - predicted)
            nothing = equal(wanted, -math.inf)
        else:
            nothing = equal(wanted, 0)
            terms = wanted * (log(where(nothing, 1, wanted)) - predicted)
        losses = sum(where(nothing, 0, terms), self.axis)
        return self.weighed(losses, weights, prediction.dtype)

    cases = (
        Case(f32["n", 3], Within(f32["n", 3], 0.1, 1), reduce="mean", axis=1, log_target=False),
        Case(f64["n", 3], f64["n", 3], reduce="sum", axis=0, log_target=True),
        Case(
            [[-1.0, -2.0], [-math.inf, 0.0]],
            [[0.5, 0.5], [0.0, 1.0]],
            reduce="none",
            axis=1,
            log_target=False,
            smooth=False,
        ),
        Case(
            [[-1.0, -2.0]], [[-math.inf, 0.0]], reduce="none", axis=1, log_target=True, smooth=False
        ),
        Case(
            f64[2, 3],
            Within(f64[2, 3], 0.1, 1),
            [0.5, 2.0],
            reduce="mean",
            axis=1,
            log_target=False,
        ),
    )
    rejects = (
        *extended(ElementLoss.rejects[:4], axis=0, log_target=False),
        Reject(
            f32[2],
            f32[2],
            reduce="mean",
            axis=-1,
            log_target=False,
            message="axis -1 must be counted from the front",
        ),
        Reject(
            f32[2, 3],
            f32[2, 3],
            f32[3],
            reduce="mean",
            axis=1,
            log_target=False,
            message="weights have shape [3], and the losses [2]",
        ),
    )


@builder
def poisson_nll(
    prediction: TensorLike,
    target: TensorLike,
    weights: TensorLike | None = None,
    *,
    log_input: bool = True,
    full: bool = False,
    epsilon: float = 1e-8,
    reduction: Reduce = "mean",
) -> Tensor:
    """The Poisson negative log likelihood of counts; see `PoissonNll`, and `mse` for the rest.

    log_input: the prediction is the log of the rate
    full:      add Stirling's approximation of log(target!)
    """
    op = PoissonNll(reduction, log_input, full, float(epsilon))
    return op(*operands(weights, prediction, target))


@builder
def gaussian_nll(
    prediction: TensorLike,
    target: TensorLike,
    variance: TensorLike,
    weights: TensorLike | None = None,
    *,
    full: bool = False,
    epsilon: float = 1e-6,
    reduction: Reduce = "mean",
) -> Tensor:
    """The normal negative log likelihood; see `GaussianNll`, and `mse` for the parameters.

    full:    add the constant ½ log 2π
    epsilon: the least variance
    """
    op = GaussianNll(reduction, full, float(epsilon))
    return op(*operands(weights, prediction, target, variance))


@builder
def kl_divergence(
    prediction: TensorLike,
    target: TensorLike,
    weights: TensorLike | None = None,
    *,
    axis: int = -1,
    log_target: bool = False,
    reduction: Reduce = "mean",
) -> Tensor:
    """How far the target distributions along `axis` are from the predicted; see `KlDivergence`.

    prediction: logs of probabilities, as from log_softmax
    target:     probabilities, or their logs where `log_target` is True
    weights:    one for each distribution
    reduction:  "mean" of the distributions' divergences, "sum" or "none"
    """
    tensors = operands(weights, prediction, target)
    return KlDivergence(reduction, normalize_axis(axis, tensors[0].ndim), log_target)(*tensors)
