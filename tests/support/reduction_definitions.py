"""What operators along axes mean, but for the plain reductions, on Python's numbers.

Each definition takes arrays and attributes, as those of `structural_definitions` do.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from support.structural_definitions import Index, built, item


def along(index: Index, axis: int, position: int) -> Index:
    """`index` with another position on one axis."""
    return (*index[:axis], position, *index[axis + 1 :])


def glu(x: np.ndarray, axis: int) -> np.ndarray:
    """a / (1 + e^-b), where b is half an axis behind a."""
    half = x.shape[axis] // 2

    def element(index: Index) -> float:
        gate = item(x, along(index, axis, index[axis] + half))
        return item(x, index) / (1 + math.exp(-gate)) if gate > -700 else item(x, index) * 0.0

    return built((*x.shape[:axis], half, *x.shape[axis + 1 :]), element)


definitions: dict[str, Callable[..., Any]] = {
    "glu": glu,
}
