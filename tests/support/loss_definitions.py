"""What losses mean: naive loops over elements and rows, by the formulas as they are printed.

See `structural_definitions` for the form. Each loss is a function on Python's own numbers, or on
lists of them; `elementwise` and `reduced` do the rest.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

inf, nan = math.inf, math.nan


def reduced(losses: Any, weights: Any, reduce: str) -> Any:
    """The mean, the sum or all of the losses; with weights, each multiplied by its weight."""
    losses = np.asarray(losses, object)
    heavy = np.broadcast_to(1.0 if weights is None else weights, losses.shape)
    products = [loss * w for loss, w in zip(losses.flat, heavy.flat, strict=True)]
    if reduce == "none":
        return np.array(products, np.float64).reshape(losses.shape)
    total = added(products)
    return total if reduce == "sum" else quotient(total, added(heavy.flat))


def added(values: Iterable[float]) -> float:
    """The sum, exactly rounded where it is finite."""
    terms = [float(value) for value in values]
    finite = all(map(math.isfinite, terms)) and sum(map(abs, terms)) < inf
    return math.fsum(terms) if finite else sum(terms)


def quotient(x: float, y: float) -> float:
    return x / y if y else nan if not x or x != x else math.copysign(inf, x)


def elementwise(loss: Callable[..., float], count: int = 2) -> Callable[..., Any]:
    """The definition of a loss of `count` tensors of one shape, and perhaps weights."""

    def define(*arrays: np.ndarray, reduce: str, **attributes: Any) -> Any:
        own, weights = arrays[:count], arrays[count] if len(arrays) > count else None
        losses = np.empty(own[0].shape, object)
        for index in np.ndindex(*own[0].shape):
            losses[index] = loss(*(x[index].item() for x in own), **attributes)
        return reduced(losses, weights, reduce)

    return define


def rows(x: np.ndarray, axis: int) -> dict[tuple[int, ...], list[float]]:
    """The lists of elements along an axis, by the index of the others."""
    last = np.moveaxis(x, axis, -1)
    return {index: last[index].tolist() for index in np.ndindex(*last.shape[:-1])}


def by_rows(loss: Callable[..., float], count: int = 2) -> Callable[..., Any]:
    """The definition of a loss of `count` tensors with one loss for each row along `axis`."""

    def define(*arrays: np.ndarray, reduce: str, axis: int, **attributes: Any) -> Any:
        own, weights = arrays[:count], arrays[count] if len(arrays) > count else None
        found = [rows(x, axis) for x in own]
        losses = np.empty(np.moveaxis(own[0], axis, -1).shape[:-1], object)
        for index in np.ndindex(*losses.shape):
            losses[index] = loss(*(each[index] for each in found), **attributes)
        return reduced(losses, weights, reduce)

    return define


# Regression.


def huber(p: float, t: float, delta: float) -> float:
    d = abs(p - t)
    return 0.5 * d * d if d <= delta else delta * (d - 0.5 * delta)


def smooth_l1(p: float, t: float, beta: float) -> float:
    d = abs(p - t)
    return 0.5 * d * d / beta if d < beta else d - 0.5 * beta


def log_cosh(p: float, t: float) -> float:
    d = abs(p - t)
    if d < 1e-2:  # its series at 0
        return d**2 / 2 - d**4 / 12 + d**6 / 45 - 17 * d**8 / 2520
    return math.log(math.cosh(d)) if d < 20 else d - math.log(2)


def poisson_nll(p: float, t: float, log_input: bool, full: bool, epsilon: float) -> float:
    loss = math.exp(p) - t * p if log_input else p - t * math.log(p + epsilon)
    stirling = t * math.log(t) - t + math.log(2 * math.pi * t) / 2 if full and t > 1 else 0
    return loss + stirling


def gaussian_nll(p: float, t: float, v: float, full: bool, epsilon: float) -> float:
    """-log of the density; the constant only in full."""
    v = max(v, epsilon)
    density = math.exp(-((p - t) ** 2) / (2 * v)) / math.sqrt(v)
    return -math.log(density / math.sqrt(2 * math.pi) if full else density)


def kl_divergence(p: list[float], t: list[float], log_target: bool) -> float:
    wanted = [math.exp(v) for v in t] if log_target else t
    return added(w * (math.log(w) - q) for q, w in zip(p, wanted, strict=True) if w)


# Classification.


def log_softmax(row: list[float]) -> list[float]:
    top = max(row)
    total = math.fsum(math.exp(v - top) for v in row)
    return [v - top - math.log(total) for v in row]


def log(p: float) -> float:
    return nan if p < 0 else max(math.log(p), -100) if p else -100


def logs(row: list[float]) -> list[float]:
    return [log(p) for p in row]


def labelled(loss: Callable[..., float]) -> Callable[..., Any]:
    """The definition of a loss of rows of scores with labels: Σ weight·loss / Σ weight.

    loss: of a row, the label and the weights of the classes; times the weight of the label
    """

    def define(
        scores: np.ndarray,
        labels: np.ndarray,
        weights: np.ndarray | None = None,
        *,
        reduce: str,
        axis: int,
        ignored: tuple[int, ...],
        **attributes: Any,
    ) -> Any:
        heavy = [1.0] * scores.shape[axis] if weights is None else weights.tolist()
        found = rows(scores, axis)
        losses, total = np.zeros(labels.shape), []
        for index in np.ndindex(*labels.shape):
            label = labels[index].item()
            if label in ignored:
                continue
            right = 0 <= label < len(heavy)
            losses[index] = loss(found[index], label, heavy, **attributes) if right else nan
            total.append(heavy[label] if right else nan)
        if reduce == "none":
            return losses
        return quotient(added(losses.flat), added(total)) if reduce == "mean" else losses.sum()

    return define


def nll(row: list[float], label: int, weights: list[float]) -> float:
    return -weights[label] * row[label]


def smoothed(to_logs: Callable[[list[float]], list[float]]) -> Callable[..., float]:
    """-Σ weight · target · log probability, the target being partly even."""

    def loss(row: list[float], label: int, weights: list[float], label_smoothing: float) -> float:
        even = label_smoothing / len(row)
        target = [even + (1 - label_smoothing) * (i == label) for i in range(len(row))]
        terms = zip(target, weights, to_logs(row), strict=True)
        return -added(t * w * value for t, w, value in terms if t)

    return loss


def categorical_cross_entropy(
    prediction: np.ndarray,
    target: np.ndarray,
    weights: np.ndarray | None = None,
    *,
    reduce: str,
    axis: int,
    label_smoothing: float,
    from_logits: bool,
) -> Any:
    heavy = [1.0] * prediction.shape[axis] if weights is None else weights.tolist()

    def loss(scores: list[float], shares: list[float]) -> float:
        values = log_softmax(scores) if from_logits else logs(scores)
        even = label_smoothing / len(scores)
        mixed = [share - label_smoothing * share + even for share in shares]
        return -added(m * w * v for m, w, v in zip(mixed, heavy, values, strict=True) if m)

    return by_rows(loss)(prediction, target, reduce=reduce, axis=axis)


def categorical_focal(row: list[float], label: int, weights: list[float], gamma: float) -> float:
    """By the probabilities of the others, which add up to 1 - p."""
    powers = [math.exp(v - max(row)) for v in row]
    others = math.fsum(powers[:label] + powers[label + 1 :]) / math.fsum(powers)
    return -weights[label] * others**gamma * log_softmax(row)[label]


def multi_margin(
    row: list[float], label: int, weights: list[float], p: int, margin: float
) -> float:
    gaps = [margin - row[label] + v for i, v in enumerate(row) if i != label]
    return weights[label] * added(gap**p for gap in gaps if gap > 0) / len(row)


# Yes and no.


def binary_cross_entropy(p: float, t: float) -> float:
    if not 0 <= p <= 1:
        return nan
    return -t * log(p) - (1 - t) * max(math.log1p(-p) if p < 1 else -100, -100)


def bits(x: float) -> tuple[float, float]:
    """-log σ(x) and -log(1 - σ(x))."""
    small = math.log1p(math.exp(-abs(x)))
    return small + max(-x, 0), small + max(x, 0)


def with_logits(
    logits: np.ndarray,
    target: np.ndarray,
    pos_weight: np.ndarray | None = None,
    *weights: np.ndarray,
    reduce: str,
) -> Any:
    heavy = np.broadcast_to(1.0 if pos_weight is None else pos_weight, logits.shape)

    def loss(x: float, t: float, w: float) -> float:
        return w * t * bits(x)[0] + (1 - t) * bits(x)[1]

    return elementwise(loss, 3)(logits, target, heavy, *weights, reduce=reduce)


def focal(x: float, t: float, gamma: float, balance: tuple[float, float]) -> float:
    p = 1 / (1 + math.exp(-x)) if x > -700 else 0.0
    q = 1 / (1 + math.exp(x)) if x < 700 else 0.0
    hit, miss = bits(x)
    return balance[0] * t * q**gamma * hit + balance[1] * (1 - t) * p**gamma * miss


def dice(
    prediction: np.ndarray,
    target: np.ndarray,
    weights: np.ndarray | None = None,
    *,
    reduce: str,
    axes: tuple[int, ...],
    epsilon: float,
) -> Any:
    kept = [i for i in range(prediction.ndim) if i not in axes]
    shape = tuple(prediction.shape[i] for i in kept)
    sums: dict[tuple[int, ...], list[list[float]]] = {k: [[], []] for k in np.ndindex(*shape)}
    for index in np.ndindex(*prediction.shape):
        p, t = prediction[index].item(), target[index].item()
        above, below = sums[tuple(index[i] for i in kept)]
        above.append(2 * p * t)
        below += [p, t]
    losses = np.empty(shape, object)
    for index, (above, below) in sums.items():
        losses[index] = 1 - quotient(added(above) + epsilon, added(below) + epsilon)
    return reduced(losses, weights, reduce)


definitions: dict[str, Callable[..., Any]] = {
    "binary_cross_entropy": elementwise(binary_cross_entropy),
    "binary_cross_entropy_with_logits": with_logits,
    "categorical_cross_entropy": categorical_cross_entropy,
    "categorical_focal": labelled(categorical_focal),
    "cross_entropy": labelled(smoothed(log_softmax)),
    "dice": dice,
    "focal": elementwise(focal),
    "gaussian_nll": elementwise(gaussian_nll, 3),
    "hinge": elementwise(lambda p, t: max(0.0, 1 - t * p)),
    "huber": elementwise(huber),
    "kl_divergence": by_rows(kl_divergence),
    "log_cosh": elementwise(log_cosh),
    "mae": elementwise(lambda p, t: abs(p - t)),
    "mse": elementwise(lambda p, t: (p - t) ** 2),
    "multi_margin": labelled(multi_margin),
    "nll": labelled(nll),
    "poisson_nll": elementwise(poisson_nll),
    "smooth_l1": elementwise(smooth_l1),
    "sparse_categorical_cross_entropy": labelled(smoothed(logs)),
    "squared_hinge": elementwise(lambda p, t: max(0.0, 1 - t * p) ** 2),
}
