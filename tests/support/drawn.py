"""Arrays drawn at random, of the kinds that losses and other functions take."""

from __future__ import annotations

import numpy as np

RANDOM = np.random.default_rng(11)


def floats(*shape):
    """Normal numbers."""
    return RANDOM.normal(size=shape)


def shares(*shape):
    """Rows of positive numbers that add up to 1."""
    powers = RANDOM.uniform(0.1, 1, shape)
    return powers / powers.sum(-1, keepdims=True)


def labels(count, classes):
    """One of so many classes for each of `count` rows."""
    return RANDOM.integers(0, classes, count)


def chances(*shape):
    """Probabilities, none near 0 or 1."""
    return RANDOM.uniform(0.05, 0.95, shape)


def signs(*shape):
    """-1 or 1 each."""
    return RANDOM.choice([-1.0, 1.0], shape)
