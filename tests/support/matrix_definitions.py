"""What operators on matrices mean: in exact arithmetic, or by Jacobi's rotations.

A matrix is a list of rows. See structural_definitions.py for the form of a definition.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np

Matrix = list[list[Any]]


def each_matrix(define: Callable[..., Any]) -> Callable[..., Any]:
    """A definition for one matrix (of one or two inputs), for all matrices of arrays."""

    def all_of(*arrays: np.ndarray, **attributes: Any) -> Any:
        batch = np.broadcast_shapes(*(x.shape[:-2] for x in arrays))
        whole = [np.broadcast_to(x, (*batch, *x.shape[-2:])) for x in arrays]
        results = []
        for index in np.ndindex(*batch):
            result = define(*(Exact(x[index]) for x in whole), **attributes)
            results.append(result if isinstance(result, tuple) else (result,))
        if not results:
            result = define(
                *(Exact(np.zeros(x.shape[-2:]) + np.eye(*x.shape[-2:])) for x in arrays),
                **attributes,
            )
            several = result if isinstance(result, tuple) else (result,)
            outputs = tuple(np.zeros((*batch, *as_array(one).shape)) for one in several)
        else:
            outputs = tuple(
                np.array([as_array(one) for one in column]).reshape(
                    (*batch, *as_array(column[0]).shape)
                )
                for column in zip(*results, strict=True)
            )
        return outputs if len(outputs) > 1 else outputs[0]

    return all_of


class Exact:
    """A matrix of fractions that knows its shape, also where it is empty."""

    def __init__(self, values: Any, shape: tuple[int, int] | None = None) -> None:
        self.shape = values.shape if shape is None else shape
        rows = values.tolist() if isinstance(values, np.ndarray) else values
        self.rows: Matrix = [[Fraction(v) for v in row] for row in rows]

    def __matmul__(self, other: Exact) -> Exact:
        columns = other.T.rows
        rows = [
            [sum(a * b for a, b in zip(row, c, strict=True)) for c in columns] for row in self.rows
        ]
        return Exact(rows, (self.shape[0], other.shape[1]))

    @property
    def T(self) -> Exact:
        m, n = self.shape
        return Exact([[self.rows[i][j] for i in range(m)] for j in range(n)], (n, m))

    def map(self, f: Callable[[int, int, Fraction], Any]) -> Exact:
        return Exact(
            [[f(i, j, v) for j, v in enumerate(r)] for i, r in enumerate(self.rows)], self.shape
        )


def as_array(result: Any) -> np.ndarray:
    if isinstance(result, Exact):
        return np.array([[float(v) for v in row] for row in result.rows]).reshape(result.shape)
    return np.asarray(result, np.float64)


def identity(n: int) -> Exact:
    return Exact([[int(i == j) for j in range(n)] for i in range(n)], (n, n))


# Elimination.


def reduced(a: Exact) -> tuple[Exact, list[int], Fraction]:
    """The reduced echelon form, the columns of its pivots, and the product of the pivots."""
    rows, (m, n) = [row[:] for row in a.rows], a.shape
    pivots: list[int] = []
    product = Fraction(1)
    for j in range(n):
        top = len(pivots)
        found = next((i for i in range(top, m) if rows[i][j]), None)
        if found is None:
            continue
        if found != top:
            rows[top], rows[found] = rows[found], rows[top]
            product = -product
        product *= rows[top][j]
        rows[top] = [v / rows[top][j] for v in rows[top]]
        for i in range(m):
            if i != top:
                factor = rows[i][j]
                rows[i] = [v - factor * w for v, w in zip(rows[i], rows[top], strict=True)]
        pivots.append(j)
    return Exact(rows, a.shape), pivots, product


def solve(a: Exact, b: Exact) -> Exact:
    beside = [left + right for left, right in zip(a.rows, b.rows, strict=True)]
    n = a.shape[0]
    form, pivots, _ = reduced(Exact(beside, (n, n + b.shape[1])))
    assert pivots[:n] == list(range(n))
    return Exact([row[n:] for row in form.rows], b.shape)


def inverse(a: Exact) -> Exact:
    return solve(a, identity(a.shape[0]))


def triangular_solve(a: Exact, b: Exact, lower_triangle: bool, unit_diagonal: bool) -> Exact:
    def element(i: int, j: int, value: Fraction) -> Any:
        if i == j and unit_diagonal:
            return 1
        return value if i == j or (i > j) == lower_triangle else 0

    return solve(a.map(element), b)


def determinant(a: Exact) -> Fraction:
    _, pivots, product = reduced(a)
    return product if len(pivots) == a.shape[0] else Fraction(0)


def sign_and_logarithm(a: Exact) -> tuple[float, float]:
    value = determinant(a)
    return float((value > 0) - (value < 0)), logarithm(abs(value))


def logarithm(value: Fraction) -> float:
    if value <= 0:
        return -math.inf if value == 0 else math.nan
    return math.log(value.numerator) - math.log(value.denominator)


def pseudo_inverse(a: Exact, rtol: float | None = None) -> Exact:
    """By full-rank factors (MacDuffee): a = b c has the inverse cᵀ (c cᵀ)⁻¹ (bᵀ b)⁻¹ bᵀ."""
    form, pivots, _ = reduced(a)
    m, n = a.shape
    rank = len(pivots)
    b = Exact([[a.rows[i][j] for j in pivots] for i in range(m)], (m, rank))
    c = Exact(form.rows[:rank], (rank, n))
    return c.T @ inverse(c @ c.T) @ inverse(b.T @ b) @ b.T


def power(a: Exact, exponent: int) -> Exact:
    base = a if exponent >= 0 else inverse(a)
    result = identity(a.shape[0])
    for _ in range(abs(exponent)):
        result = result @ base
    return result


def exponential(a: Exact) -> Exact:
    """Σ aᵏ/k!, to where no term counts, in numbers of 200 bits after the point."""
    unit = 2**200
    total = term = identity(a.shape[0])
    for k in range(1, 150):
        term = (term @ a).map(lambda i, j, v, k=k: Fraction(round(v * unit / k), unit))
        total = total.map(lambda i, j, v, term=term: v + term.rows[i][j])
    return total


# Factors.


def symmetric(a: Exact) -> Exact:
    return a.map(lambda i, j, v: (v + a.rows[j][i]) / 2)


def cholesky(a: Exact) -> np.ndarray:
    """Row by row (Banachiewicz)."""
    rows, n = symmetric(a).rows, a.shape[0]
    out = np.zeros((n, n))
    for i in range(n):
        for j in range(i + 1):
            rest = math.fsum([float(rows[i][j]), *(-out[i, k] * out[j, k] for k in range(j))])
            out[i, j] = math.sqrt(rest) if i == j else rest / out[j, j]
    return out


def qr(a: Exact) -> tuple[np.ndarray, np.ndarray]:
    """By Gram and Schmidt, exactly; only lengths are rounded."""
    m, n = a.shape
    columns, rank = a.T.rows, min(m, n)
    across: Matrix = []
    for column in columns[:rank]:
        rest = column
        for u in across:
            factor = dot(u, column) / dot(u, u)
            rest = [v - factor * w for v, w in zip(rest, u, strict=True)]
        across.append(rest)
    lengths = [root(dot(u, u)) for u in across]
    q = [[float(v) / length for v in u] for u, length in zip(across, lengths, strict=True)]
    r = [
        [float(dot(u, c)) / length if j >= i else 0.0 for j, c in enumerate(columns)]
        for i, (u, length) in enumerate(zip(across, lengths, strict=True))
    ]
    return np.array(q).reshape(rank, m).T, np.array(r).reshape(rank, n)


def dot(x: list[Fraction], y: list[Fraction]) -> Fraction:
    return sum((a * b for a, b in zip(x, y, strict=True)), Fraction(0))


def root(value: Fraction) -> float:
    """The square root, to 60 digits before it is rounded."""
    return float(Fraction(math.isqrt(int(value * 10**120)), 10**60))


def eigh(a: Exact) -> tuple[np.ndarray, np.ndarray]:
    """By Jacobi's rotations in the plane of two axes (1846), each making one element 0."""
    x, n = as_array(symmetric(a)), a.shape[0]
    vectors = np.eye(n)
    for _ in range(30):
        for p in range(n):
            for q in range(p + 1, n):
                if x[p, q]:
                    angle = math.atan2(2 * x[p, q], x[q, q] - x[p, p]) / 2
                    turn = np.eye(n)
                    turn[p, p] = turn[q, q] = math.cos(angle)
                    turn[p, q], turn[q, p] = math.sin(angle), -math.sin(angle)
                    x, vectors = turn.T @ x @ turn, vectors @ turn
    values = np.diagonal(x)
    order = sorted(range(n), key=lambda i: values[i])
    vectors = vectors[:, order]
    return values[order], vectors * signs(vectors)


def svd(a: Exact) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """By rotations that bring columns to right angles (Hestenes, 1958)."""
    m, n = a.shape
    if m < n:
        left, values, right = svd(a.T)
        flip = signs(right.T)
        return right.T * flip, values, left.T * flip[:, None]
    x, turns = as_array(a), np.eye(n)
    for _ in range(30):
        for p in range(n):
            for q in range(p + 1, n):
                skew = float(x[:, p] @ x[:, q])
                angle = math.atan2(2 * skew, float(x[:, q] @ x[:, q] - x[:, p] @ x[:, p])) / 2
                turn = np.eye(n)
                turn[p, p] = turn[q, q] = math.cos(angle)
                turn[p, q], turn[q, p] = math.sin(angle), -math.sin(angle)
                x, turns = x @ turn, turns @ turn
    lengths = [math.sqrt(math.fsum(v * v for v in column)) for column in x.T]
    order = sorted(range(n), key=lambda i: -lengths[i])
    values = np.array([lengths[i] for i in order])
    left, right = x[:, order] / np.where(values, values, 1), turns[:, order]
    flip = signs(left)
    return left * flip, values, (right * flip).T


def signs(vectors: np.ndarray) -> np.ndarray:
    """For each column, the sign that makes the first of its largest elements positive."""
    result = []
    for column in vectors.T:
        size = max(map(abs, column), default=0.0)
        first = next((v for v in column if abs(v) > 0.9 * size), 1.0)
        result.append(-1.0 if first < 0 else 1.0)
    return np.array(result)


# Sizes.


def rank(a: Exact, rtol: float | None) -> int:
    """The exact one, or how many singular values stand out."""
    if rtol is None:
        return len(reduced(a)[1])
    values = svd(a)[1]
    return sum(bool(v > rtol * values[0]) for v in values)


def norm(a: Exact, ord: str, keepdims: bool) -> Any:
    rows = as_array(a).tolist()
    sums = {
        "inf": [math.fsum(map(abs, row)) for row in rows],
        "1": [math.fsum(map(abs, column)) for column in zip(*rows, strict=True)],
    }
    if ord == "fro":
        value = math.hypot(*(v for row in rows for v in row))
    elif ord == "nuc":
        value = math.fsum(svd(a)[1])
    else:
        values = sums.get(ord.lstrip("-")) or list(svd(a)[1])
        value = min(values) if ord.startswith("-") else max(values)
    return [[value]] if keepdims else value


definitions: dict[str, Callable[..., Any]] = {
    "cholesky": each_matrix(cholesky),
    "det": each_matrix(lambda a: float(determinant(a))),
    "eigh": each_matrix(eigh),
    "eigvalsh": each_matrix(lambda a: eigh(a)[0]),
    "expm": each_matrix(exponential),
    "inv": each_matrix(inverse),
    "logdet": each_matrix(lambda a: logarithm(determinant(a))),
    "lstsq": each_matrix(lambda a, b, rtol: pseudo_inverse(a) @ b),
    "matrix_norm": each_matrix(norm),
    "matrix_power": each_matrix(power),
    "matrix_rank": each_matrix(rank),
    "pinv": each_matrix(pseudo_inverse),
    "qr": each_matrix(qr),
    "slogdet": each_matrix(sign_and_logarithm),
    "solve": each_matrix(solve),
    "svd": each_matrix(svd),
    "svdvals": each_matrix(lambda a: svd(a)[1]),
    "triangular_solve": each_matrix(triangular_solve),
}
