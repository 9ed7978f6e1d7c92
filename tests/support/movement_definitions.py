"""What operators that choose and move elements mean: see `structural_definitions` for the form."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from support.structural_definitions import Index, built, item

# Indices.


def places(x: np.ndarray, indices: np.ndarray, batch_dims: int) -> dict[Index, Index]:
    """For each tuple of indices, by where it stands, the place in `x` that it names."""
    found: dict[Index, Index] = {}
    for where in np.ndindex(*indices.shape[:-1]):
        place = where[:batch_dims]
        for j in range(indices.shape[-1]):
            place += (item(indices, (*where, j)) % x.shape[len(place)],)
        found[where] = place
    return found


def gather_nd(x: np.ndarray, indices: np.ndarray, batch_dims: int) -> np.ndarray:
    lead, depth = indices.shape[:-1], indices.shape[-1]
    chosen = places(x, indices, batch_dims)
    shape = (*lead, *x.shape[batch_dims + depth :])
    return built(
        shape, lambda index: item(x, (*chosen[index[: len(lead)]], *index[len(lead) :])), x.dtype
    )


def scatter_nd(
    x: np.ndarray, indices: np.ndarray, updates: np.ndarray, batch_dims: int, mode: str
) -> np.ndarray:
    out = built(x.shape, lambda index: item(x, index), x.dtype)
    chosen = places(x, indices, batch_dims)
    lead = indices.ndim - 1
    for index in np.ndindex(*updates.shape):
        place = (*chosen[index[:lead]], *index[lead:])
        out[place] = UPDATED[mode](item(out, place), item(updates, index))
    return out


UPDATED: dict[str, Callable[[Any, Any], Any]] = {
    "set": lambda old, new: new,
    "add": lambda old, new: old + new,
    "mul": lambda old, new: old * new,
    "max": lambda old, new: old if old > new or old != old else new,
    "min": lambda old, new: old if old < new or old != old else new,
}


definitions: dict[str, Callable[..., Any]] = {
    "gather_nd": gather_nd,
    "scatter_nd": scatter_nd,
}
