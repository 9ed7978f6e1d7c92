"""What torch has for the losses: see `test_torch`.

Weights count here as often as they say: the mean is Σ weight · loss / Σ weight, where torch divides
by the number of losses. So torch gives each loss, and they are reduced by that rule. Other
deliberate differences: torch refuses labels out of range; the gradient of its ctc is meant for
probabilities that add up to 1, and is made the true one here; a variance that is replaced by a
least one has no gradient here, in torch it keeps its own, so that the least is taken before.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from support.torch_linear import cosine_similarity, pairwise_distance
from support.torch_unlike import Index, Table, Unlike


def reduced(losses: Tensor, weights: Tensor | None, reduce: str) -> Tensor:
    if weights is not None:
        weights = torch.broadcast_to(weights, losses.shape)
        losses = losses * weights
    if reduce == "none":
        return losses
    total = losses.sum()
    return (
        total if reduce == "sum" else total / (losses.numel() if weights is None else weights.sum())
    )


def each(function: Any, count: int = 2) -> Callable[..., Tensor]:
    """Of a function that gives the losses of `count` tensors, one by one."""

    def counterpart(*tensors: Tensor, reduce: str, **attributes: Any) -> Tensor:
        weights = tensors[count] if len(tensors) > count else None
        return reduced(function(*tensors[:count], **attributes), weights, reduce)

    return counterpart


def of_torch(function: Any, count: int = 2) -> Callable[..., Tensor]:
    return each(lambda *tensors, **how: function(*tensors, reduction="none", **how), count)


def with_gradient(losses: Tensor, formula: Tensor) -> Tensor:
    """The losses, with the gradient of a formula added to their own."""
    return losses + (formula - formula.detach())


# Regression.


def poisson_nll(p: Tensor, t: Tensor, log_input: bool, full: bool, epsilon: float) -> Tensor:
    return F.poisson_nll_loss(p, t, log_input, full, eps=epsilon, reduction="none")


def gaussian_nll(p: Tensor, t: Tensor, v: Tensor, full: bool, epsilon: float) -> Tensor:
    """Torch's own least variance keeps the gradient of what it replaces."""
    return F.gaussian_nll_loss(p, t, v.clamp(min=epsilon), full, epsilon, reduction="none")


def log_cosh(p: Tensor, t: Tensor) -> Tensor:
    """Torch has none; log((eᵈ + e⁻ᵈ)/2)."""
    return torch.logaddexp(p - t, t - p) - math.log(2)


def kl_divergence(p: Tensor, t: Tensor, axis: int, log_target: bool) -> Tensor:
    return F.kl_div(p, t, reduction="none", log_target=log_target).sum(axis)


# Yes and no.


def binary_cross_entropy(p: Tensor, t: Tensor) -> Tensor:
    if ((p < 0) | (p > 1)).any():
        raise Unlike("torch refuses what is no probability")
    return F.binary_cross_entropy(p, t, reduction="none")


def with_logits(
    logits: Tensor, target: Tensor, positive: Tensor | None = None, *weights: Tensor, reduce: str
) -> Tensor:
    """Torch has no gradient by the weight of the positive."""
    loss = F.binary_cross_entropy_with_logits
    if positive is None:
        losses = loss(logits, target, reduction="none")
    else:
        losses = loss(logits, target, pos_weight=positive.detach(), reduction="none")
        hits = (target * F.logsigmoid(logits)).detach()
        losses = with_gradient(losses, -positive * hits)
    return reduced(losses, weights[0] if weights else None, reduce)


def focal(x: Tensor, t: Tensor, gamma: float, balance: tuple[float, float]) -> Tensor:
    """Torch has none; by logs of probabilities and their powers."""
    p = torch.sigmoid(x)
    hit, miss = (1 - p) ** gamma * F.logsigmoid(x), p**gamma * F.logsigmoid(-x)
    return -balance[0] * t * hit - balance[1] * (1 - t) * miss


def hinge(p: Tensor, t: Tensor) -> Tensor:
    return F.relu(1 - t * p)


def dice(p: Tensor, t: Tensor, axes: Index, epsilon: float) -> Tensor:
    above, below = (2 * p * t).sum(axes), (p + t).sum(axes)
    return 1 - (above + epsilon) / (below + epsilon)


# Classes.


def labelled(function: Any) -> Callable[..., Tensor]:
    """Of losses for [rows, classes] and labels of the rows: what is ignored counts 0."""

    def counterpart(
        scores: Tensor,
        labels: Tensor,
        weights: Tensor | None = None,
        *,
        reduce: str,
        axis: int,
        ignored: Index,
        **attributes: Any,
    ) -> Tensor:
        rows = scores.movedim(axis, -1).reshape(-1, scores.shape[axis])
        flat = labels.long().flatten()
        kept = ~torch.isin(flat, torch.tensor(ignored, dtype=torch.long))
        if ((flat < 0) | (flat >= rows.shape[1]))[kept].any():
            raise Unlike("torch refuses labels out of range")
        chosen = torch.where(kept, flat, -1)
        losses = function(rows, chosen, weights, **attributes).reshape(labels.shape)
        if reduce == "none":
            return losses
        heavy = rows.new_ones(rows.shape[1]) if weights is None else weights
        total = heavy[flat[kept]].sum()
        return losses.sum() / total if reduce == "mean" else losses.sum()

    return counterpart


def plain(logs: Tensor, labels: Tensor) -> Tensor:
    return F.nll_loss(logs, labels, ignore_index=-1, reduction="none")


def nll(rows: Tensor, labels: Tensor, weights: Tensor | None) -> Tensor:
    """Torch has no gradient by the weights."""
    if weights is None:
        return plain(rows, labels)
    losses = F.nll_loss(rows, labels, weights.detach(), ignore_index=-1, reduction="none")
    return with_gradient(losses, plain(rows.detach() * weights, labels))


def cross_entropy(
    rows: Tensor, labels: Tensor, weights: Tensor | None, label_smoothing: float
) -> Tensor:
    """Torch has no gradient by the weights."""
    how = {"ignore_index": -1, "reduction": "none", "label_smoothing": label_smoothing}
    if weights is None:
        return F.cross_entropy(rows, labels, **how)
    losses = F.cross_entropy(rows, labels, weights.detach(), **how)
    logs = F.log_softmax(rows.detach(), 1)
    return with_gradient(losses, smoothed(logs * weights, labels, label_smoothing))


def smoothed(logs: Tensor, labels: Tensor, label_smoothing: float) -> Tensor:
    even = torch.where(labels >= 0, -logs.mean(1), 0)
    return (1 - label_smoothing) * plain(logs, labels) + label_smoothing * even


def sparse_categorical(
    rows: Tensor, labels: Tensor, weights: Tensor | None, label_smoothing: float
) -> Tensor:
    logs = torch.log(rows).clamp(min=-100)
    return smoothed(logs if weights is None else logs * weights, labels, label_smoothing)


def categorical_cross_entropy(
    prediction: Tensor,
    target: Tensor,
    weights: Tensor | None = None,
    *,
    reduce: str,
    axis: int,
    label_smoothing: float,
    from_logits: bool,
) -> Tensor:
    """Torch has logits only; the classes are the second axis."""
    rows, shares = (x.movedim(axis, -1) for x in (prediction, target))
    if from_logits:
        flat = (x.reshape(-1, x.shape[-1]) for x in (rows, shares))
        how = {"label_smoothing": label_smoothing, "reduction": "none"}
        return reduced(
            F.cross_entropy(*flat, weights, **how).reshape(rows.shape[:-1]), None, reduce
        )
    mixed = shares * (1 - label_smoothing) + label_smoothing / rows.shape[-1]
    logs = torch.log(rows).clamp(min=-100)
    terms = mixed * logs if weights is None else mixed * logs * weights
    return reduced(-terms.sum(-1), None, reduce)


def categorical_focal(rows: Tensor, labels: Tensor, weights: Tensor | None, gamma: float) -> Tensor:
    """Torch has none; by logs of probabilities and their powers."""
    logs = F.log_softmax(rows, 1)
    down = (1 - logs.exp()) ** gamma * logs
    return plain(down if weights is None else down * weights, labels)


def multi_margin(
    rows: Tensor, labels: Tensor, weights: Tensor | None, p: int, margin: float
) -> Tensor:
    """Torch ignores no label, and has no gradient by the weights."""
    classes = labels.clamp(min=0)
    losses = F.multi_margin_loss(rows, classes, p, margin, reduction="none")
    if weights is not None:
        formula = losses.detach() * weights[classes]
        heavy = weights.detach()
        losses = F.multi_margin_loss(rows, classes, p, margin, heavy, reduction="none")
        losses = with_gradient(losses, formula)
    return torch.where(labels >= 0, losses, 0)


# Embeddings.


def cosine_embedding(x: Tensor, y: Tensor, target: Tensor, axis: int, margin: float) -> Tensor:
    near = cosine_similarity(x, y, 1e-8, axis)
    return torch.where(target > 0, 1 - near, F.relu(near - margin))


def contrastive(x: Tensor, y: Tensor, target: Tensor, axis: int, margin: float) -> Tensor:
    apart = pairwise_distance(x, y, 2.0, 0.0, axis)
    return (target * apart**2 + (1 - target) * F.relu(margin - apart) ** 2) / 2


def triplet_margin(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    axis: int,
    margin: float,
    epsilon: float,
    **how: Any,
) -> Tensor:
    if not margin:
        raise Unlike("torch wants some margin")
    last = (x.movedim(axis, -1) for x in (anchor, positive, negative))
    return F.triplet_margin_loss(*last, margin, eps=epsilon, reduction="none", **how)


# Alignments.


def ctc_nll(
    log_probabilities: Tensor,
    targets: Tensor,
    inputs: Tensor,
    labels: Tensor,
    blank: int,
    zero_infinity: bool = False,
) -> Tensor:
    """Torch's gradient adds exp(log p) at each time that counts, which is taken off again."""
    classes = log_probabilities.shape[-1]
    counted = torch.arange(targets.shape[1]) < labels.unsqueeze(1)
    if not torch.where(counted, (targets >= 0) & (targets < classes), True).all():
        raise Unlike("torch refuses labels out of range")
    lengths = inputs.long(), labels.long()
    how = {"reduction": "none", "zero_infinity": zero_infinity}
    losses = F.ctc_loss(log_probabilities, targets.long(), *lengths, blank, **how)
    if not zero_infinity and losses.isinf().any():
        raise Unlike("torch's gradient of what is impossible is nan")
    times = torch.arange(len(log_probabilities)).unsqueeze(1) < inputs
    if zero_infinity:
        times = times & (losses.detach() != 0)
    powers = torch.where(times.unsqueeze(2), log_probabilities.exp(), 0)
    return losses - (powers - powers.detach()).sum((0, 2))


def ctc(
    log_probabilities: Tensor,
    targets: Tensor,
    inputs: Tensor,
    labels: Tensor,
    *,
    reduce: str,
    **how: Any,
) -> Tensor:
    losses = ctc_nll(log_probabilities, targets, inputs, labels, **how)
    if reduce == "mean":
        return (losses / labels.clamp(min=1)).mean()
    return reduced(losses, None, reduce)


counterparts: Table = {
    "mse": of_torch(F.mse_loss),
    "mae": of_torch(F.l1_loss),
    "huber": of_torch(F.huber_loss),
    "smooth_l1": of_torch(F.smooth_l1_loss),
    "log_cosh": each(log_cosh),
    "poisson_nll": each(poisson_nll),
    "gaussian_nll": each(gaussian_nll, 3),
    "kl_divergence": each(kl_divergence),
    "binary_cross_entropy": each(binary_cross_entropy),
    "binary_cross_entropy_with_logits": with_logits,
    "focal": each(focal),
    "hinge": each(hinge),
    "squared_hinge": each(lambda p, t: hinge(p, t) ** 2),
    "dice": each(dice),
    "nll": labelled(nll),
    "cross_entropy": labelled(cross_entropy),
    "sparse_categorical_cross_entropy": labelled(sparse_categorical),
    "categorical_cross_entropy": categorical_cross_entropy,
    "categorical_focal": labelled(categorical_focal),
    "multi_margin": labelled(multi_margin),
    "cosine_embedding": each(cosine_embedding, 3),
    "contrastive": each(contrastive, 3),
    "triplet_margin": each(triplet_margin, 3),
    "margin_ranking": of_torch(F.margin_ranking_loss, 3),
    "ctc_nll": ctc_nll,
    "ctc": ctc,
}
