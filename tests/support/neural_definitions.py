"""What normalizations, embeddings and recurrent cells mean, element by element.

As in `structural_definitions`: arrays serve as storage, elements are Python's own numbers.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from support.structural_definitions import Index, built, item, mean, over_axes, total, variance


def root_mean_square(values: list[float], epsilon: float) -> float:
    return math.sqrt(mean([v * v for v in values]) + epsilon)


def rms_norm(x: np.ndarray, scale: np.ndarray, axes: Index, epsilon: float) -> np.ndarray:
    normal = over_axes(x, axes, lambda v, group: v / root_mean_square(group, epsilon))
    return built(
        x.shape, lambda index: normal[index] * item(scale, tuple(index[axis] for axis in axes))
    )


def l2_normalize(x: np.ndarray, axes: Index, epsilon: float) -> np.ndarray:
    return over_axes(x, axes, lambda v, group: v / max(math.hypot(*group), epsilon))


# By channels.


def channels(x: np.ndarray, axis: int) -> list[list[float]]:
    """The elements of each channel."""
    return [
        [item(x, index) for index in np.ndindex(*x.shape) if index[axis] == channel]
        for channel in range(x.shape[axis])
    ]


def batch_norm(
    x: np.ndarray, scale: np.ndarray, shift: np.ndarray, axis: int, epsilon: float
) -> tuple[np.ndarray, ...]:
    means = np.array([mean(values) for values in channels(x, axis)])
    variances = np.array([variance(values, 0) for values in channels(x, axis)])
    out = batch_norm_inference(x, scale, shift, means, variances, axis, epsilon)
    return out, means, variances


def batch_norm_inference(
    x: np.ndarray,
    scale: np.ndarray,
    shift: np.ndarray,
    means: np.ndarray,
    variances: np.ndarray,
    axis: int,
    epsilon: float,
) -> np.ndarray:
    def element(index: Index) -> float:
        c = (index[axis],)
        normal = (item(x, index) - item(means, c)) / math.sqrt(item(variances, c) + epsilon)
        return normal * item(scale, c) + item(shift, c)

    return built(x.shape, element)


def group_norm(
    x: np.ndarray, scale: np.ndarray, shift: np.ndarray, axis: int, epsilon: float, groups: int
) -> np.ndarray:
    each = x.shape[axis] // groups

    def element(index: Index) -> float:
        c = (index[axis],)
        group = [
            item(x, other)
            for other in np.ndindex(*x.shape)
            if other[0] == index[0] and other[axis] // each == index[axis] // each
        ]
        normal = (item(x, index) - mean(group)) / math.sqrt(variance(group, 0) + epsilon)
        return normal * item(scale, c) + item(shift, c)

    return built(x.shape, element)


def instance_norm(
    x: np.ndarray, scale: np.ndarray, shift: np.ndarray, axis: int, epsilon: float
) -> np.ndarray:
    return group_norm(x, scale, shift, axis, epsilon, groups=max(x.shape[axis], 1))


def local_response_norm(
    x: np.ndarray, axis: int, size: int, alpha: float, beta: float, bias: float
) -> np.ndarray:
    def element(index: Index) -> float:
        first = max(index[axis] - math.floor((size - 1) / 2), 0)
        last = min(index[axis] + math.ceil((size - 1) / 2), x.shape[axis] - 1)
        near = [
            item(x, (*index[:axis], c, *index[axis + 1 :])) ** 2 for c in range(first, last + 1)
        ]
        return item(x, index) / (bias + alpha / size * total(near)) ** beta

    return built(x.shape, element)


# Rows by number, and what is made of positions.


def embedding(indices: np.ndarray, table: np.ndarray, padding_index: int | None) -> np.ndarray:
    shape = (*indices.shape, *table.shape[1:])
    at = indices.ndim
    return built(
        shape, lambda k: item(table, (item(indices, k[:at]) % table.shape[0], *k[at:])), float
    )


def sinusoidal_encoding(
    positions: np.ndarray, features: int, base: float, dtype: Any
) -> np.ndarray:
    def element(index: Index) -> float:
        *where, k = index
        angle = item(positions, tuple(where)) / base ** (2 * (k // 2) / features)
        return math.cos(angle) if k % 2 else math.sin(angle)

    return built((*positions.shape, features), element)


def rotary_embedding(
    x: np.ndarray,
    positions: np.ndarray,
    features: int,
    base: float,
    scaling: float,
    interleaved: bool,
) -> np.ndarray:
    """Each pair as a complex number, multiplied by e^(i·angle)."""
    rows = np.broadcast_to(positions, x.shape[:-1])
    out = built(x.shape, lambda index: item(x, index), float)
    for where in np.ndindex(*x.shape[:-1]):
        for i in range(features // 2):
            a, b = (2 * i, 2 * i + 1) if interleaved else (i, i + features // 2)
            angle = item(rows, where) / scaling / base ** (2 * i / features)
            turned = complex(x[(*where, a)], x[(*where, b)]) * complex(
                math.cos(angle), math.sin(angle)
            )
            out[(*where, a)], out[(*where, b)] = turned.real, turned.imag
    return out


# As the paper's program prints them.
SLOPES = {
    1: [2**-8],
    4: [2**-2, 2**-4, 2**-6, 2**-8],
    6: [2**-2, 2**-4, 2**-6, 2**-8, 2**-1, 2**-3],
}


def alibi_bias(queries: np.ndarray, keys: np.ndarray, heads: int, dtype: Any) -> np.ndarray:
    def element(index: Index) -> float:
        head, i, j = index
        return -SLOPES[heads][head] * abs(item(queries, (i,)) - item(keys, (j,)))

    return built((heads, *queries.shape, *keys.shape), element)


def swiglu(x: float, y: float) -> float:
    return x * y if x == math.inf else x / (1 + math.exp(-x)) * y


definitions: dict[str, Callable[..., Any]] = {
    "alibi_bias": alibi_bias,
    "batch_norm": batch_norm,
    "batch_norm_inference": batch_norm_inference,
    "embedding": embedding,
    "group_norm": group_norm,
    "instance_norm": instance_norm,
    "l2_normalize": l2_normalize,
    "local_response_norm": local_response_norm,
    "rms_norm": rms_norm,
    "rotary_embedding": rotary_embedding,
    "sinusoidal_encoding": sinusoidal_encoding,
    "swiglu": swiglu,
}
