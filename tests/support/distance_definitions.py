"""What distances and the losses of embeddings mean: naive loops over vectors.

See `structural_definitions` for the form.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from support.loss_definitions import added, elementwise, reduced, rows

Vector = list[float]


def norm(x: Vector, p: float) -> float:
    if p == 0:
        return sum(v != 0 for v in x)
    if p == math.inf:
        return max(map(abs, x))
    return added(abs(v) ** p for v in x) ** (1 / p)


def distance(x: Vector, y: Vector, p: float, epsilon: float = 0.0) -> float:
    return norm([a - b + epsilon for a, b in zip(x, y, strict=True)], p)


def cosine(x: Vector, y: Vector, epsilon: float) -> float:
    lengths = [max(math.hypot(*v), epsilon) for v in (x, y)]
    return added(a * b for a, b in zip(x, y, strict=True)) / lengths[0] / lengths[1]


def of_vectors(measure: Callable[..., float]) -> Callable[..., Any]:
    """The definition of a measure of two vectors along an axis of the broadcast shape."""

    def define(x: np.ndarray, y: np.ndarray, axis: int, **attributes: Any) -> Any:
        first, second = np.broadcast_arrays(x, y)
        one, other = rows(first, axis), rows(second, axis)
        values = [measure(one[index], other[index], **attributes) for index in one]
        shape = first.shape[:axis] + first.shape[axis + 1 :]
        return np.array(values, np.float64).reshape(shape)

    return define


def cdist(x: np.ndarray, y: np.ndarray, p: float) -> Any:
    batch = np.broadcast_shapes(x.shape[:-2], y.shape[:-2])
    left = np.broadcast_to(x, (*batch, *x.shape[-2:]))
    right = np.broadcast_to(y, (*batch, *y.shape[-2:]))
    out = np.empty((*batch, x.shape[-2], y.shape[-2]))
    for *outer, i, j in np.ndindex(*out.shape):
        one, other = left[(*outer, i)].tolist(), right[(*outer, j)].tolist()
        out[(*outer, i, j)] = distance(one, other, p)
    return out


def pair_loss(loss: Callable[..., float]) -> Callable[..., Any]:
    """The definition of a loss of two vectors and a target."""

    def define(
        x: np.ndarray,
        y: np.ndarray,
        target: np.ndarray,
        weights: np.ndarray | None = None,
        *,
        reduce: str,
        axis: int,
        margin: float,
    ) -> Any:
        one, other = rows(x, axis), rows(y, axis)
        losses = np.empty(target.shape, object)
        for index in np.ndindex(*target.shape):
            losses[index] = loss(one[index], other[index], target[index].item(), margin)
        return reduced(losses, weights, reduce)

    return define


def cosine_embedding(x: Vector, y: Vector, target: float, margin: float) -> float:
    near = cosine(x, y, 1e-8)
    return 1 - near if target > 0 else max(0.0, near - margin)


def contrastive(x: Vector, y: Vector, target: float, margin: float) -> float:
    apart = distance(x, y, 2)
    return (target * apart**2 + (1 - target) * max(0.0, margin - apart) ** 2) / 2


def triplet_margin(
    anchor: np.ndarray,
    positive: np.ndarray,
    negative: np.ndarray,
    weights: np.ndarray | None = None,
    *,
    reduce: str,
    axis: int,
    margin: float,
    p: float,
    epsilon: float,
    swap: bool,
) -> Any:
    anchors, near, far = rows(anchor, axis), rows(positive, axis), rows(negative, axis)
    losses = np.empty(anchor.shape[:axis] + anchor.shape[axis + 1 :], object)
    for k in anchors:
        apart = distance(anchors[k], far[k], p, epsilon)
        if swap:
            apart = min(apart, distance(near[k], far[k], p, epsilon))
        losses[k] = max(0.0, distance(anchors[k], near[k], p, epsilon) - apart + margin)
    return reduced(losses, weights, reduce)


def margin_ranking(x: float, y: float, target: float, margin: float) -> float:
    return max(0.0, -target * (x - y) + margin)


definitions: dict[str, Callable[..., Any]] = {
    "cdist": cdist,
    "contrastive": pair_loss(contrastive),
    "cosine_embedding": pair_loss(cosine_embedding),
    "cosine_similarity": of_vectors(cosine),
    "margin_ranking": elementwise(margin_ranking, 3),
    "pairwise_distance": of_vectors(distance),
    "triplet_margin": triplet_margin,
}
