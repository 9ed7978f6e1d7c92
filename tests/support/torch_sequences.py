"""What torch has for attention, embeddings and recurrent cells: see `test_torch`.

Of some it has only what they are made of, which is put together here otherwise than in the
library: rotations as products of complex numbers, a softcap before its own softmax.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from support.torch_unlike import Table, Unlike, wrapped

# Attention.


def allowed(queries: int, keys: int, causal: str) -> Tensor | None:
    """Which keys each query attends to."""
    if causal == "no":
        return None
    shift = keys - queries if causal == "bottom_right" else 0
    return torch.ones(queries, keys, dtype=torch.bool).tril(shift)


def scaled_dot_product_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None = None,
    *,
    causal: str,
    scale: float | None,
    softcap: float,
) -> Tensor:
    before = allowed(query.shape[-2], key.shape[-2], causal)
    if query.ndim > 2:
        times = query.shape[-3] // key.shape[-3]
        key, value = (x.repeat_interleave(times, -3) for x in (key, value))
    if softcap:
        return capped(query, key, value, mask, before, scale, softcap)
    if before is not None and mask is not None:
        floats = mask.is_floating_point()
        mask = torch.where(before, mask, -math.inf) if floats else before & mask
    elif mask is None:
        mask = before
    if mask is not None:
        mask = torch.broadcast_to(mask, (*query.shape[:-1], key.shape[-2]))
    return F.scaled_dot_product_attention(query, key, value, mask, scale=scale)


def capped(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None,
    before: Tensor | None,
    scale: float | None,
    softcap: float,
) -> Tensor:
    """Torch has softcaps in its own language of attention only, without a gradient here."""
    by = scale if scale is not None else 1 / math.sqrt(query.shape[-1])
    scores = softcap * torch.tanh(by * query @ key.mT / softcap)
    for each in (mask, before):
        if each is not None:
            floats = each.is_floating_point()
            scores = scores + each if floats else torch.where(each, scores, -math.inf)
    return torch.softmax(scores, -1) @ value


def multi_head_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None = None,
    *,
    heads: int,
    shared: int,
    **how: Any,
) -> Tensor:
    split = [
        x.unflatten(-1, (count, x.shape[-1] // count)).movedim(-2, -3)
        for x, count in ((query, heads), (key, shared), (value, shared))
    ]
    out = scaled_dot_product_attention(*split, mask, **how)
    return out.movedim(-3, -2).flatten(-2)


# Embeddings.


def embedding(indices: Tensor, table: Tensor, padding_index: int | None) -> Tensor:
    if table.ndim != 2 or len(table) <= (padding_index or 0):
        raise Unlike("torch has rows of one axis, and one for the padding")
    return F.embedding(wrapped(indices, len(table)), table, padding_index)


def sinusoidal_encoding(positions: Tensor, features: int, base: float, dtype: Any) -> Tensor:
    """The waves as real and imaginary parts of exp(i·angle)."""
    if dtype != "float64":
        raise Unlike("compared in float64 only")
    rates = base ** (-torch.arange(0, features, 2, dtype=torch.float64) / features)
    angles = positions.unsqueeze(-1) * rates
    waves = torch.polar(torch.ones_like(angles), angles)
    return torch.stack([waves.imag, waves.real], -1).flatten(-2)


def rotary_embedding(
    x: Tensor,
    positions: Tensor,
    features: int,
    base: float,
    scaling: float,
    interleaved: bool,
) -> Tensor:
    """Each pair as a complex number, times exp(i·angle)."""
    if not features:
        return x.clone()
    rates = base ** (-torch.arange(0, features, 2, dtype=torch.float64) / features)
    angles = (positions / scaling).unsqueeze(-1) * rates
    turned, rest = x[..., :features], x[..., features:]
    pairs = turned.unflatten(-1, (-1, 2) if interleaved else (2, -1))
    first, second = pairs.unbind(-1 if interleaved else -2)
    out = torch.complex(first, second) * torch.complex(angles.cos(), angles.sin())
    back = torch.stack([out.real, out.imag], -1 if interleaved else -2)
    return torch.cat([back.flatten(-2), rest], -1)


# Cells.


def rows(x: Tensor) -> Tensor:
    """Torch's cells take a matrix."""
    return x.reshape(-1, x.shape[-1])


def rnn_cell(x: Tensor, h: Tensor, *weights: Tensor, nonlinearity: str) -> Tensor:
    function = {"tanh": torch.rnn_tanh_cell, "relu": torch.rnn_relu_cell}[nonlinearity]
    return function(rows(x), rows(h), *weights).reshape(h.shape)


def lstm_cell(x: Tensor, h: Tensor, c: Tensor, *weights: Tensor) -> tuple[Tensor, ...]:
    found = torch.lstm_cell(rows(x), (rows(h), rows(c)), *weights)
    return tuple(each.reshape(h.shape) for each in found)


def gru_cell(x: Tensor, h: Tensor, *weights: Tensor, reset_after: bool) -> Tensor:
    """Torch resets after the product only; before it, the new state is put together from parts."""
    if reset_after:
        return torch.gru_cell(rows(x), rows(h), *weights).reshape(h.shape)
    w, u, *biases = weights
    b, d = biases or (None, None)
    reset, keep, _ = torch.sigmoid(F.linear(x, w, b) + F.linear(h, u, d)).chunk(3, -1)
    units = h.shape[-1]
    last = [None if each is None else each[-units:] for each in (b, d)]
    back = F.linear(reset * h, u[-units:], last[1])
    new = torch.tanh(F.linear(x, w[-units:], last[0]) + back)
    return (1 - keep) * new + keep * h


counterparts: Table = {
    "scaled_dot_product_attention": scaled_dot_product_attention,
    "multi_head_attention": multi_head_attention,
    "embedding": embedding,
    "sinusoidal_encoding": sinusoidal_encoding,
    "rotary_embedding": rotary_embedding,
    "rnn_cell": rnn_cell,
    "lstm_cell": lstm_cell,
    "gru_cell": gru_cell,
}
