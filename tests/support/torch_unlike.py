"""What the tables of torch's counterparts share: the way to say that torch has none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

Index = tuple[int, ...]
Pairs = tuple[tuple[int, int], ...]
Table = dict[str, Callable[..., Any]]


class Unlike(Exception):
    """Torch can't do this with these inputs and attributes, or does something else on purpose."""


def dtype_of(dtype: np.dtype) -> torch.dtype:
    """Torch's dtype for NumPy's."""
    return torch.from_numpy(np.empty(0, dtype)).dtype


def floating(*tensors: torch.Tensor) -> None:
    """Raise Unlike for integers and booleans, with which torch's functions often do nothing."""
    if not all(x.is_floating_point() for x in tensors):
        raise Unlike("torch has it for floats only")


def wrapped(indices: torch.Tensor, size: int) -> torch.Tensor:
    """Indices as torch takes them: int64, counted from the front."""
    return indices.long() % max(size, 1)


def different(places: torch.Tensor, axis: int) -> None:
    """Raise Unlike where a place is named twice along an axis: what torch puts there is open."""
    if (places.sort(axis).values.diff(dim=axis) == 0).any():
        raise Unlike("the order in which torch writes to one place is undefined")


def padded(x: torch.Tensor, padding: Pairs, value: float = 0.0) -> torch.Tensor:
    """The last axes padded, by (before, after) for each; less than 0 cuts off."""
    widths = [width for pair in reversed(padding) for width in pair]
    return torch.nn.functional.pad(x, widths, value=value)


def by_rank(name: str, rank: int) -> Callable[..., Any]:
    """The function of `torch.nn.functional` for so many spatial axes."""
    if not 1 <= rank <= 3:
        raise Unlike(f"torch has no {name} of {rank} axes")
    return getattr(torch.nn.functional, f"{name}{rank}d")


def alike(padding: Pairs) -> Index | None:
    """The widths of a padding that is the same on both sides, or None."""
    return tuple(a for a, _ in padding) if all(a == b for a, b in padding) else None
