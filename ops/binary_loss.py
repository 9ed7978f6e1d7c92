"""Losses of yes and no: each element of a prediction against 0 or 1, or against -1 or 1."""

from __future__ import annotations

from graphwright.graph.operator import register
from graphwright.graph.tensor import Axis, Tensor, TensorLike
from graphwright.graph.types import TensorType
from graphwright.ops.activation import softplus
from graphwright.ops.arithmetic import square
from graphwright.ops.case import Case, Reject, Within, f16, f32, f64
from graphwright.ops.convert import builder
from graphwright.ops.exponential import exp
from graphwright.ops.extremum import maximum
from graphwright.ops.loss import (
    ElementLoss,
    Loss,
    Reduce,
    check_alike,
    check_number,
    check_weights,
    clamped_log,
    clamped_log_of_rest,
    extended,
    operands,
)
from graphwright.ops.reduction import sum
from graphwright.ops.shapes import check_axes, normalize_axes
from graphwright.ops.statistics import widened


@register
class BinaryCrossEntropy(ElementLoss):
    """-target · log p - (1 - target) · log(1 - p), for predicted probabilities p.

    The logs are -100 at least, and where they are that, p being 0 or 1, the gradient is 0; nan
    where p is no probability. From logits nothing is lost: `binary_cross_entropy_with_logits`.
    d/dp = (p - target) / (p (1 - p))
    """

    name = "binary_cross_entropy"

    def each(self, prediction: Tensor, target: Tensor) -> Tensor:
        hit, miss = clamped_log(prediction), clamped_log_of_rest(prediction)
        return -(target * hit) - (1 - target) * miss

    cases = (
        Case(Within(f32["n", 3], 0.1, 0.9), Within(f32["n", 3], 0, 1), reduce="mean"),
        Case(Within(f64[3], 0.1, 0.9), [0.0, 1.0, 1.0], [1.0, 0.5, 2.0], reduce="mean"),
        Case([0.0, 1.0, 0.0, 1.0], [0.0, 1.0, 1.0, 0.0], reduce="none", smooth=False),
        Case([-0.1, 1.1, 1e-20], [0.0, 0.0, 0.5], reduce="none", smooth=False),
        Case(Within(f16[3], 0.1, 0.9), Within(f16[3], 0, 1), reduce="sum"),
    )


@register
class BinaryCrossEntropyWithLogits(Loss):
    """Binary cross-entropy of p = σ(logits), without overflow or loss of digits.

    loss = pos_weight · target · softplus(-logits) + (1 - target) · softplus(logits)
    pos_weight: optionally, how much the target 1 counts against the target 0; broadcast. It is not
                part of what the mean is divided by
    d/dlogits = p - target, for pos_weight = 1
    """

    name = "binary_cross_entropy_with_logits"

    def infer(
        self,
        logits: TensorType,
        target: TensorType,
        pos_weight: TensorType | None = None,
        weights: TensorType | None = None,
    ) -> TensorType:
        check_alike(logits=logits, target=target)
        if pos_weight is not None:
            check_weights(logits.dtype, logits.shape, pos_weight, "positive weights")
        return self.outcome(logits.dtype, logits.shape, weights)

    def decompose(
        self,
        logits: Tensor,
        target: Tensor,
        pos_weight: Tensor | None = None,
        weights: Tensor | None = None,
    ) -> Tensor:
        scores, wanted = widened(logits), widened(target)
        hit, miss = wanted * softplus(-scores), (1 - wanted) * softplus(scores)
        if pos_weight is not None:
            hit = hit * widened(pos_weight)
        return self.weighed(hit + miss, weights, logits.dtype)

    cases = (
        Case(f32["n", 3], Within(f32["n", 3], 0, 1), reduce="mean"),
        Case(f64[2, 3], Within(f64[2, 3], 0, 1), Within(f64[3], 0.3, 3), reduce="none"),
        Case(f64[2], [0.0, 1.0], Within(f64[()], 0.3, 3), [0.5, 2.0], reduce="mean"),
        Case([1e3, -1e3, 40.0, -40.0], [0.0, 1.0, 1.0, 0.0], reduce="none"),
    )
    rejects = (
        *(each for each in ElementLoss.rejects if len(each.operands) == 2),
        *(
            Reject(
                *each.operands[:2], f32[()], each.operands[2], reduce="sum", message=each.message
            )
            for each in ElementLoss.rejects
            if len(each.operands) == 3
        ),
        Reject(
            f32[2, 3], f32[2, 3], f32[2], reduce="sum", message="positive weights have shape [2],"
        ),
    )


@register
class Focal(ElementLoss):
    """Binary cross-entropy of p = σ(logits), turned down where the prediction is good.

    loss = -β₁ · target · (1 - p)^γ · log p - β₀ · (1 - target) · p^γ · log(1 - p)
    balance: (β₁, β₀), the weights of the targets 1 and 0: α and 1 - α in the source
    Source: Lin, Goyal, Girshick, He and Dollár, Focal loss for dense object detection, 2017,
    https://arxiv.org/abs/1708.02002, eq. 5.
    """

    name = "focal"

    gamma: float
    balance: tuple[float, float]

    def infer(
        self, logits: TensorType, target: TensorType, weights: TensorType | None = None
    ) -> TensorType:
        check_number("gamma", self.gamma, 0)
        for share in self.balance:
            check_number("a share of the balance", share, 0)
        return super().infer(logits, target, weights)

    def each(self, prediction: Tensor, target: Tensor) -> Tensor:
        # -log p and -log(1 - p); powers of probabilities are made of these, so that nothing
        # underflows before it is multiplied.
        hit, miss = softplus(-prediction), softplus(prediction)
        yes = target * exp(-self.gamma * miss) * hit
        no = (1 - target) * exp(-self.gamma * hit) * miss
        return self.balance[0] * yes + self.balance[1] * no

    cases = (
        Case(
            f32["n", 3], Within(f32["n", 3], 0, 1), reduce="mean", gamma=2.0, balance=(0.25, 0.75)
        ),
        Case(f64[3], [0.0, 1.0, 1.0], reduce="none", gamma=0.5, balance=(1.0, 1.0)),
        Case(f64[2], [0.0, 1.0], [0.5, 2.0], reduce="mean", gamma=0.0, balance=(0.5, 0.5)),
        Case([1e3, -1e3], [0.0, 1.0], reduce="sum", gamma=2.0, balance=(0.25, 0.75)),
        Case([1e3, -1e3], [1.0, 0.0], reduce="sum", gamma=2.0, balance=(0.25, 0.75)),
    )
    rejects = (
        *extended(ElementLoss.rejects, gamma=2.0, balance=(0.25, 0.75)),
        Reject(
            f32[2],
            f32[2],
            reduce="mean",
            gamma=-1.0,
            balance=(1.0, 1.0),
            message="gamma must be a number at least 0, got -1.0",
        ),
        Reject(
            f32[2],
            f32[2],
            reduce="mean",
            gamma=2.0,
            balance=(1.5, -0.5),
            message="a share of the balance must be a number at least 0, got -0.5",
        ),
    )


@register
class Hinge(ElementLoss):
    """max(0, 1 - target · prediction), for targets -1 and 1.

    d/dprediction = -target where target · prediction < 1, half of it at 1, else 0
    Source: Cortes and Vapnik, Support-vector networks, 1995.
    """

    name = "hinge"

    def each(self, prediction: Tensor, target: Tensor) -> Tensor:
        return maximum(1 - target * prediction, 0)

    cases = (
        Case(Within(f32["n", 3], -0.9, 0.9), Within(f32["n", 3], -1, 1), reduce="mean"),
        Case([2.0, -0.5, -2.0, 0.5], [1.0, 1.0, 1.0, -1.0], reduce="none"),
        Case([2.0, -0.5], [1.0, 1.0], [0.5, 1.5], reduce="mean"),
        Case([1.0, -1.0], [1.0, -1.0], reduce="sum", smooth=False),
    )


@register
class SquaredHinge(ElementLoss):
    """max(0, 1 - target · prediction)², for targets -1 and 1.

    d/dprediction = -2 target · max(0, 1 - target · prediction)
    """

    name = "squared_hinge"

    def each(self, prediction: Tensor, target: Tensor) -> Tensor:
        return square(maximum(1 - target * prediction, 0))

    cases = Hinge.cases


@register
class Dice(Loss):
    """How little two sets overlap, given by memberships from 0 to 1 of the elements over `axes`.

    loss = 1 - (2 Σ prediction · target + ε) / (Σ prediction + Σ target + ε)
    One loss for each index of the other axes.
    Source: Dice, Measures of the amount of ecologic association between species, 1945; as a loss,
    Milletari, Navab and Ahmadi, V-Net, 2016, https://arxiv.org/abs/1606.04797, whose sums are of
    squares.
    """

    name = "dice"

    axes: tuple[int, ...]
    epsilon: float

    def infer(
        self, prediction: TensorType, target: TensorType, weights: TensorType | None = None
    ) -> TensorType:
        check_alike(prediction=prediction, target=target)
        check_axes(self.axes, prediction.rank)
        check_number("epsilon", self.epsilon, 0)
        kept = tuple(size for i, size in enumerate(prediction.shape) if i not in self.axes)
        return self.outcome(prediction.dtype, kept, weights)

    def decompose(
        self, prediction: Tensor, target: Tensor, weights: Tensor | None = None
    ) -> Tensor:
        mine, wanted = widened(prediction), widened(target)
        both = sum(mine * wanted, self.axes)
        either = sum(mine, self.axes) + sum(wanted, self.axes)
        overlap = (2 * both + self.epsilon) / (either + self.epsilon)
        return self.weighed(1 - overlap, weights, prediction.dtype)

    cases = (
        Case(
            Within(f32["n", 3], 0.1, 1),
            Within(f32["n", 3], 0, 1),
            reduce="mean",
            axes=(1,),
            epsilon=1.0,
        ),
        Case(
            Within(f64[2, 3, 2], 0.1, 1),
            Within(f64[2, 3, 2], 0, 1),
            reduce="none",
            axes=(0, 2),
            epsilon=0.0,
        ),
        Case(
            Within(f64[2, 3], 0.1, 1),
            Within(f64[2, 3], 0, 1),
            [1.0, 3.0],
            reduce="mean",
            axes=(1,),
            epsilon=1e-3,
        ),
    )
    rejects = (
        *extended(ElementLoss.rejects[:4], axes=(0,), epsilon=1.0),
        Reject(
            f32[2], f32[2], reduce="mean", axes=(1,), epsilon=1.0, message="axis 1 is out of range"
        ),
        Reject(
            f32[2],
            f32[2],
            reduce="mean",
            axes=(0,),
            epsilon=-1.0,
            message="epsilon must be a number",
        ),
    )


@builder
def binary_cross_entropy(
    prediction: TensorLike,
    target: TensorLike,
    weights: TensorLike | None = None,
    *,
    reduction: Reduce = "mean",
) -> Tensor:
    """Binary cross-entropy from probabilities; see `BinaryCrossEntropy`, and `mse` for the rest."""
    return BinaryCrossEntropy(reduction)(*operands(weights, prediction, target))


@builder
def binary_cross_entropy_with_logits(
    logits: TensorLike,
    target: TensorLike,
    weights: TensorLike | None = None,
    *,
    pos_weight: TensorLike | None = None,
    reduction: Reduce = "mean",
) -> Tensor:
    """Binary cross-entropy from logits; see `BinaryCrossEntropyWithLogits`, and `mse` for the rest.

    pos_weight: how much targets of 1 count against targets of 0
    """
    if weights is not None and pos_weight is None:
        pos_weight = 1
    others = (target,) if pos_weight is None else (target, pos_weight)
    return BinaryCrossEntropyWithLogits(reduction)(*operands(weights, logits, *others))


@builder
def focal(
    logits: TensorLike,
    target: TensorLike,
    weights: TensorLike | None = None,
    *,
    gamma: float = 2.0,
    alpha: float | None = 0.25,
    reduction: Reduce = "mean",
) -> Tensor:
    """The focal loss of targets 0 and 1; see `Focal`, and `mse` for the other parameters.

    alpha: the share of the targets 1, that of the targets 0 being 1 - alpha; None leaves both alone
    """
    share = 1.0 if alpha is None else float(alpha)
    balance = (share, 1.0 if alpha is None else 1 - share)
    op = Focal(reduction, float(gamma), balance)
    return op(*operands(weights, logits, target))


@builder
def hinge(
    prediction: TensorLike,
    target: TensorLike,
    weights: TensorLike | None = None,
    *,
    reduction: Reduce = "mean",
) -> Tensor:
    """The hinge loss for targets -1 and 1; see `Hinge`, and `mse` for the parameters."""
    return Hinge(reduction)(*operands(weights, prediction, target))


@builder
def squared_hinge(
    prediction: TensorLike,
    target: TensorLike,
    weights: TensorLike | None = None,
    *,
    reduction: Reduce = "mean",
) -> Tensor:
    """The square of the hinge loss; see `SquaredHinge`, and `mse` for the parameters."""
    return SquaredHinge(reduction)(*operands(weights, prediction, target))


@builder
def dice(
    prediction: TensorLike,
    target: TensorLike,
    weights: TensorLike | None = None,
    *,
    axis: Axis = None,
    epsilon: float = 1.0,
    reduction: Reduce = "mean",
) -> Tensor:
    """1 - the Dice coefficient over `axis`, one or several or None for all; see `Dice`.

    weights: one for each of the losses, of which there is one for each index of the other axes
    epsilon: added to what is above and below the line, so that empty sets agree
    """
    tensors = operands(weights, prediction, target)
    axes = normalize_axes(axis, tensors[0].ndim)
    return Dice(reduction, axes, float(epsilon))(*tensors)
