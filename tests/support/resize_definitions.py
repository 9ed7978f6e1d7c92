"""What resizing and sampling mean: see `structural_definitions` for the form."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from itertools import product
from typing import Any

import numpy as np

from support.structural_definitions import Index, built, item

HALF = Fraction(1, 2)


def coordinate(i: int, before: int, after: int, scale: float | None, coordinates: str) -> Fraction:
    step = Fraction(before, after) if scale is None else 1 / Fraction(scale)
    if coordinates == "half_pixel":
        return (i + HALF) * step - HALF
    if coordinates == "asymmetric":
        return i * step
    return Fraction(i * (before - 1), after - 1) if after > 1 else Fraction(0)


def nearest(c: Fraction, rounding: str) -> int:
    if rounding in ("floor", "ceil"):
        return math.floor(c) if rounding == "floor" else math.ceil(c)
    below = math.floor(c)
    if c - below == HALF:
        return below if rounding == "round_prefer_floor" else below + 1
    return below if c - below < HALF else below + 1


def cubic(d: float, a: float) -> float:
    """Keys' kernel, as written in the paper."""
    d = abs(d)
    if d <= 1:
        return (a + 2) * d**3 - (a + 3) * d**2 + 1
    return a * d**3 - 5 * a * d**2 + 8 * a * d - 4 * a if d < 2 else 0.0


def read(c: Fraction, size: int, mode: str, rounding: str, a: float) -> list[tuple[int, float]]:
    """The elements of an axis that are read at a coordinate, with their weights."""
    if mode == "nearest":
        found = [(nearest(c, rounding), 1)]
    else:
        reach = 1 if mode == "linear" else 2
        around = range(math.floor(c) - reach + 1, math.floor(c) + reach + 1)
        weigh = (lambda d: 1 - abs(d)) if mode == "linear" else (lambda d: cubic(d, a))
        found = [(place, weigh(float(c - place))) for place in around]
    return [(min(max(place, 0), size - 1), weight) for place, weight in found]


def resize(
    x: np.ndarray,
    axes: Index,
    sizes: Index,
    scales: tuple[float, ...],
    mode: str,
    coordinates: str,
    rounding: str,
    cubic_coefficient: float,
) -> np.ndarray:
    after, scale = dict(zip(axes, sizes, strict=True)), dict(zip(axes, scales, strict=False))

    def element(index: Index) -> Any:
        reads = []
        for axis, i in enumerate(index):
            if axis in after:
                c = coordinate(i, x.shape[axis], after[axis], scale.get(axis), coordinates)
                reads.append(read(c, x.shape[axis], mode, rounding, cubic_coefficient))
            else:
                reads.append([(i, 1)])
        terms = []
        for chosen in product(*reads):
            places, weights = zip(*chosen, strict=True) if chosen else ((), ())
            terms.append((item(x, places), math.prod(weights)))
        return terms[0][0] if len(terms) == 1 else math.fsum(v * w for v, w in terms)

    return built(tuple(after.get(i, n) for i, n in enumerate(x.shape)), element, x.dtype)


def bounced(place: float, low: float, high: float) -> float:
    """A coordinate reflected at both ends until it is between them."""
    while low < high and not low <= place <= high:
        place = 2 * low - place if place < low else 2 * high - place
    return place if low < high else low


def grid_sample(
    x: np.ndarray, grid: np.ndarray, mode: str, padding_mode: str, align_corners: bool
) -> np.ndarray:
    sizes = x.shape[2:]

    def place(coordinate: float, size: int) -> float:
        first, last = (0, size - 1) if align_corners else (-0.5, size - 0.5)
        at = first + (last - first) * (coordinate + 1) / 2
        if padding_mode == "reflection":
            at = bounced(at, first, last)
        return at if padding_mode == "zeros" else min(max(at, 0), size - 1)

    def around(at: float) -> list[tuple[int, float]]:
        if mode == "nearest":
            below = math.floor(at)
            up = at - below > 0.5 or (at - below == 0.5 and below % 2 == 1)
            return [(below + up, 1.0)]
        return [(math.floor(at), 1 - at % 1), (math.floor(at) + 1, at % 1)]

    def element(index: Index) -> float:
        coordinates = [item(grid, (index[0], *index[2:], k)) for k in range(len(sizes))][::-1]
        if not all(map(math.isfinite, coordinates)):
            return math.nan
        reads = [around(place(c, n)) for c, n in zip(coordinates, sizes, strict=True)]
        total = 0.0
        for chosen in product(*reads):
            places, weights = zip(*chosen, strict=True)
            if all(0 <= p < n for p, n in zip(places, sizes, strict=True)):
                total += item(x, (*index[:2], *places)) * math.prod(weights)
        return total

    return built((*x.shape[:2], *grid.shape[1:-1]), element, x.dtype)


def affine_grid(theta: np.ndarray, sizes: Index, align_corners: bool) -> np.ndarray:
    def coordinate(i: int, size: int) -> float:
        if align_corners:
            return -1 + 2 * i / (size - 1) if size > 1 else 0.0
        return -1 + (2 * i + 1) / size

    def element(index: Index) -> float:
        n, *place, row = index
        point = [coordinate(i, size) for i, size in zip(place, sizes, strict=True)][::-1]
        factors = [item(theta, (n, row, k)) for k in range(len(sizes) + 1)]
        return math.fsum(f * p for f, p in zip(factors, [*point, 1.0], strict=True))

    return built((len(theta), *sizes, len(sizes)), element, theta.dtype)


definitions: dict[str, Callable[..., Any]] = {
    "resize": resize,
    "grid_sample": grid_sample,
    "affine_grid": affine_grid,
}
