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


definitions: dict[str, Callable[..., Any]] = {
    "l2_normalize": l2_normalize,
    "rms_norm": rms_norm,
}
