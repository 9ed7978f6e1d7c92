"""What attention means: query by query, key by key, leaving out what is not attended to."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from support.structural_definitions import Index, built, item, total


def scaled_dot_product_attention(
    query: np.ndarray,
    key: np.ndarray,
    value: np.ndarray,
    mask: np.ndarray | None = None,
    *,
    causal: str,
    scale: float | None,
    softcap: float,
) -> np.ndarray:
    *leading, queries, features = query.shape
    keys = key.shape[-2]
    by = scale if scale is not None else 1 / math.sqrt(features or 1)
    scores = (*leading, queries, keys)
    added = np.broadcast_to(0.0 if mask is None else mask, scores)

    def of_keys(where: Index) -> Index:
        """The leading index of the keys for that of a query: its head, or the one it shares."""
        if not where:
            return ()
        return (*where[:-1], where[-1] * key.shape[-3] // query.shape[-3])

    def score(where: Index, i: int, j: int) -> float:
        """-inf where query i does not attend to key j."""
        bias = item(added, (*where, i, j))
        last = {"no": keys, "top_left": i, "bottom_right": i + keys - queries}[causal]
        if bias is False or bias == -math.inf or j > last:
            return -math.inf
        inner = [
            item(query, (*where, i, d)) * item(key, (*of_keys(where), j, d))
            for d in range(features)
        ]
        dot = by * total(inner)
        capped = softcap * math.tanh(dot / softcap) if softcap else dot
        return capped if bias is True else capped + bias

    def element(index: Index) -> float:
        *outer, i, e = index
        where = tuple(outer)
        weights = [math.exp(score(where, i, j)) for j in range(keys)]
        parts = [w * item(value, (*of_keys(where), j, e)) for j, w in enumerate(weights)]
        return total(parts) / total(weights) if any(weights) else 0.0

    return built((*query.shape[:-1], value.shape[-1]), element)


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
    "multi_head_attention": multi_head_attention,
    "scaled_dot_product_attention": scaled_dot_product_attention,
}
