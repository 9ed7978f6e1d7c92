"""What attention means: query by query, key by key, leaving out what is not attended to."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from support.structural_definitions import Index, built, item, total


def scores(
    query: np.ndarray,
    key: np.ndarray,
    mask: np.ndarray | None = None,
    *,
    causal: str,
    scale: float | None,
    softcap: float,
) -> np.ndarray:
    """[..., Tq, Tk]: -inf where a query does not attend to a key."""
    *leading, queries, features = query.shape
    keys = key.shape[-2]
    by = scale if scale is not None else 1 / math.sqrt(features or 1)
    shape = (*leading, queries, keys)
    added = np.broadcast_to(0.0 if mask is None else mask, shape)

    def score(index: Index) -> float:
        *where, i, j = index
        bias = item(added, index)
        last = {"no": keys, "top_left": i, "bottom_right": i + keys - queries}[causal]
        if bias is False or bias == -math.inf or j > last:
            return -math.inf
        own = of_keys(tuple(where), query, key)
        inner = [item(query, (*where, i, d)) * item(key, (*own, j, d)) for d in range(features)]
        dot = by * total(inner)
        capped = softcap * math.tanh(dot / softcap) if softcap else dot
        return capped if bias is True else capped + bias

    return built(shape, score).astype(float)


def of_keys(where: Index, query: np.ndarray, key: np.ndarray) -> Index:
    """The leading index of the keys for that of a query: its head, or the one it shares."""
    return (*where[:-1], where[-1] * key.shape[-3] // query.shape[-3]) if where else ()


def weights(all_scores: np.ndarray) -> np.ndarray:
    """What each key counts for a query: nothing, if the query attends to none."""
    powers = np.exp(all_scores)
    sums = powers.sum(-1, keepdims=True)
    return powers / np.where(sums == 0, 1, sums)


def scaled_dot_product_attention(
    query: np.ndarray,
    key: np.ndarray,
    value: np.ndarray,
    mask: np.ndarray | None = None,
    **attributes: Any,
) -> np.ndarray:
    shares = weights(scores(query, key, mask, **attributes))

    def element(index: Index) -> float:
        *where, i, e = index
        own = of_keys(tuple(where), query, value)
        return total(
            [share * item(value, (*own, j, e)) for j, share in enumerate(shares[(*where, i)])]
        )

    return built((*query.shape[:-1], value.shape[-1]), element)


def attention_forward(
    query: np.ndarray, key: np.ndarray, value: np.ndarray, *mask: np.ndarray, **attributes: Any
) -> tuple[np.ndarray, np.ndarray]:
    all_scores = scores(query, key, *mask, **attributes)
    with np.errstate(divide="ignore"):
        sums = np.log(np.exp(all_scores).sum(-1))
    return scaled_dot_product_attention(query, key, value, *mask, **attributes), sums


def score_gradients(
    query: np.ndarray,
    key: np.ndarray,
    value: np.ndarray,
    gradient: np.ndarray,
    *mask: np.ndarray,
    **attributes: Any,
) -> np.ndarray:
    """Of the scores, as they are when the mask is added: [..., Tq, Tk].

    An output moves with its share of what a value differs from the mean.
    """
    shares = weights(scores(query, key, *mask, **attributes))
    out = scaled_dot_product_attention(query, key, value, *mask, **attributes).astype(float)

    def element(index: Index) -> float:
        *where, i, j = index
        own = of_keys(tuple(where), query, value)
        moved = (value[(*own, j)] - out[(*where, i)]) * gradient[(*where, i)]
        return item(shares, index) * total([float(x) for x in moved])

    return built(shares.shape, element).astype(float)


def attention_gradient(
    query: np.ndarray,
    key: np.ndarray,
    value: np.ndarray,
    out: np.ndarray,
    logsumexp: np.ndarray,
    gradient: np.ndarray,
    *mask: np.ndarray,
    **attributes: Any,
) -> tuple[np.ndarray, ...]:
    """Pair by pair of a query and a key."""
    shares = weights(scores(query, key, *mask, **attributes))
    to_scores = score_gradients(query, key, value, gradient, *mask, **attributes)
    given, softcap = attributes["scale"], attributes["softcap"]
    scale = given if given is not None else 1 / math.sqrt(query.shape[-1] or 1)
    gradients = [np.zeros(x.shape) for x in (query, key, value)]
    for index in np.ndindex(shares.shape):
        *where, i, j = index
        own = (*of_keys(tuple(where), query, key), j)
        row = (*where, i)
        dot = scale * (query[row] * key[own]).sum()
        slope = 1 - np.tanh(dot / softcap) ** 2 if softcap else 1.0
        gradients[0][row] += scale * slope * to_scores[index] * key[own]
        gradients[1][own] += scale * slope * to_scores[index] * query[row]
        gradients[2][own] += shares[index] * gradient[row]
    return tuple(gradients)


def attention_mask_gradient(
    query: np.ndarray,
    key: np.ndarray,
    value: np.ndarray,
    gradient: np.ndarray,
    mask: np.ndarray,
    **attributes: Any,
) -> np.ndarray:
    to_scores = score_gradients(query, key, value, gradient, mask, **attributes)
    result = np.zeros(mask.shape)
    for index in np.ndindex(to_scores.shape):
        own = index[len(index) - mask.ndim :]
        result[tuple(min(i, size - 1) for i, size in zip(own, mask.shape, strict=True))] += (
            to_scores[index]
        )
    return result


def multi_head_attention(
    query: np.ndarray,
    key: np.ndarray,
    value: np.ndarray,
    mask: np.ndarray | None = None,
    *,
    heads: int,
    shared: int,
    **attributes: Any,
) -> np.ndarray:
    """Head by head, each with the features that are its own or shared."""

    def part(x: np.ndarray, number: int, count: int) -> np.ndarray:
        size = x.shape[-1] // count
        return x[..., number * size : (number + 1) * size]

    outs = []
    for head in range(heads):
        own = None
        if mask is not None:
            own = mask[..., min(head, mask.shape[-3] - 1), :, :] if mask.ndim > 2 else mask
        parts = (
            part(query, head, heads),
            *(part(x, head * shared // heads, shared) for x in (key, value)),
        )
        outs.append(scaled_dot_product_attention(*parts, own, **attributes))
    return np.concatenate(outs, -1)


definitions: dict[str, Callable[..., Any]] = {
    "attention_forward": attention_forward,
    "attention_gradient": attention_gradient,
    "attention_mask_gradient": attention_mask_gradient,
    "multi_head_attention": multi_head_attention,
    "scaled_dot_product_attention": scaled_dot_product_attention,
}
