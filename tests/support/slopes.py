"""Slopes by finite differences, which gradients are held against."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import graphwright as gw
from graphwright.compiler.differentiate import grad
from graphwright.graph.tensor import Tensor
from support.running import value, values

Array = np.ndarray[Any, Any]


def slope(f: Callable[[float], float], h: float = 1e-4) -> tuple[float, float]:
    """df/dt at 0 by central differences, and an estimate of its error (Richardson)."""
    wide, narrow = ((f(step) - f(-step)) / (2 * step) for step in (h, h / 2))
    return (4 * narrow - wide) / 3, abs(narrow - wide)


def assert_is_gradient(
    target: Tensor, variables: Sequence[Tensor], arrays: dict[Tensor, Array], seed: int = 0
) -> None:
    """The gradient along random directions is the slope of the target."""
    random = np.random.default_rng(seed)
    gradients = values(grad(target, variables), arrays)
    for variable, gradient in zip(variables, gradients, strict=True):
        assert gradient.shape == arrays[variable].shape
        direction = random.uniform(-1, 1, gradient.shape)

        def moved(t: float, x: Tensor = variable, d: Array = direction) -> float:
            return float(value(target, {**arrays, x: arrays[x] + t * d}))

        expected, error = slope(moved)
        got = float((gradient * direction).sum())
        assert abs(got - expected) <= 10 * error + 1e-7 * (1 + abs(expected))


def f64(name: str, *shape: Any) -> Tensor:
    """An input of that shape in double precision."""
    return gw.input(name, shape, "float64")
