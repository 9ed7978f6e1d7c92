"""Who computes something else is not compared: all must give the same numbers first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.subject import Step

STEPS = 5
TOLERANCE = 1e-4


class Disagreement(Exception):
    """Two frameworks compute different things."""


def as_array(value: Any) -> NDArray[np.float64]:
    """A framework's result as NumPy's, in float64."""
    if hasattr(value, "detach"):
        value = value.detach()
    return np.asarray(value, np.float64)


def first_steps(step: Step) -> list[NDArray[np.float64]]:
    """What the first steps give: losses, in training."""
    # Copied, because the memory of a result may be a later step's too.
    return [as_array(step()).copy() for _ in range(STEPS)]


def check_agreement(subject: str, values: Mapping[str, list[NDArray[np.float64]]]) -> None:
    """All must be as the first: to a part in 10⁴ of the largest element of each result.

    Raises Disagreement, which names who differs and shows what both computed.
    """
    (reference, expected), *others = values.items()
    for name, found in others:
        for number, (one, other) in enumerate(zip(expected, found, strict=True), 1):
            if one.shape != other.shape:
                raise Disagreement(
                    f"{subject}, step {number}: {name} gives {other.shape}, {reference} {one.shape}"
                )
            largest = np.abs(one).max(initial=0)
            off = np.abs(one - other).max(initial=0)
            if not off <= TOLERANCE * largest:  # nan is no agreement
                raise Disagreement(
                    f"{subject}, step {number}: {name} is off {reference} by {off:.3g}, where "
                    f"{largest:.3g} is the largest: {_shown(found)} != {_shown(expected)}"
                )


def _shown(values: list[NDArray[np.float64]]) -> str:
    """The first element of each step's result: the loss."""
    return str([float(f"{value.flat[0]:.6g}") for value in values if value.size])
