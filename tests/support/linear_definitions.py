"""What sums of products mean, by loops over every label. See structural_definitions.py."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np

from support.structural_definitions import built, item, total


def einsum(*operands: np.ndarray, equation: str) -> np.ndarray:
    """Over all values of all labels at once. An ellipsis is as many capital Greek letters."""
    left, right = equation.split("->")
    most = max(
        x.ndim - len(t.replace(".", "")) for x, t in zip(operands, left.split(","), strict=True)
    )
    unnamed = "ΑΒΓΔΕΖΗΘ"[: max(most, 0)]

    def written_out(term: str, rank: int) -> str:
        count = rank - len(term.replace(".", ""))
        return term.replace("...", unnamed[len(unnamed) - count :])

    terms = [written_out(t, x.ndim) for t, x in zip(left.split(","), operands, strict=True)]
    output = right.replace("...", unnamed)
    sizes: dict[str, int] = {}
    for term, x in zip(terms, operands, strict=True):
        for label, size in zip(term, x.shape, strict=True):
            sizes[label] = size if sizes.get(label, 1) == 1 else sizes[label]
    summed = [label for label in sizes if label not in output]

    def element(index: tuple[int, ...]) -> Any:
        values = []
        for inner in product(*(range(sizes[label]) for label in summed)):
            at = dict(zip([*output, *summed], [*index, *inner], strict=True))
            factors = [
                item(x, tuple(at[k] if n > 1 else 0 for k, n in zip(term, x.shape, strict=True)))
                for term, x in zip(terms, operands, strict=True)
            ]
            values.append(math.prod(factors))
        return total(values)

    return built(tuple(sizes[label] for label in output), element)


def kron(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Block by block, by quotient and remainder of each index."""
    rank = max(x.ndim, y.ndim)
    first = (1,) * (rank - x.ndim) + x.shape
    second = (1,) * (rank - y.ndim) + y.shape

    def element(index: tuple[int, ...]) -> Any:
        at = [divmod(i, m) for i, m in zip(index, second, strict=True)]
        left = tuple(quotient for quotient, _ in at)[rank - x.ndim :]
        right = tuple(remainder for _, remainder in at)[rank - y.ndim :]
        return item(x, left) * item(y, right)

    return built(tuple(m * n for m, n in zip(first, second, strict=True)), element)


def cross(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Σ ε(i, j, k) x[j] y[k], with the sign ε of the permutation (i, j, k)."""
    shape = np.broadcast_shapes(x.shape, y.shape)
    left, right = np.broadcast_to(x, shape), np.broadcast_to(y, shape)

    def element(index: tuple[int, ...]) -> Any:
        *outer, i = index
        terms = [
            (i - j) * (j - k) * (k - i) // 2 * item(left, (*outer, j)) * item(right, (*outer, k))
            for j, k in product(range(3), range(3))
        ]
        return total(terms)

    return built(shape, element)


definitions: dict[str, Callable[..., Any]] = {
    "cross": cross,
    "einsum": einsum,
    "kron": kron,
}
