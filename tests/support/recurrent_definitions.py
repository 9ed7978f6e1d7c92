"""What a step of a recurrent network means, unit by unit."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from support.structural_definitions import Index, built, item, total

Weights = np.ndarray
Biases = np.ndarray | None


def dot(matrix: Weights, row: int, vector: list[float], bias: Biases) -> float:
    """One row of W v + b."""
    terms = [item(matrix, (row, k)) * v for k, v in enumerate(vector)]
    return total(terms) + (0.0 if bias is None else item(bias, (row,)))


def vector_of(x: np.ndarray, where: Index) -> list[float]:
    return [item(x, (*where, k)) for k in range(x.shape[-1])]


def logistic(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def rnn_cell(
    x: np.ndarray,
    h: np.ndarray,
    w: Weights,
    u: Weights,
    b: Biases = None,
    d: Biases = None,
    *,
    nonlinearity: str,
) -> np.ndarray:
    def element(index: Index) -> float:
        *where, unit = index
        inputs, state = vector_of(x, tuple(where)), vector_of(h, tuple(where))
        value = dot(w, unit, inputs, b) + dot(u, unit, state, d)
        return math.tanh(value) if nonlinearity == "tanh" else max(value, 0.0)

    return built(h.shape, element, float)


def lstm_cell(
    x: np.ndarray,
    h: np.ndarray,
    c: np.ndarray,
    w: Weights,
    u: Weights,
    b: Biases = None,
    d: Biases = None,
) -> tuple[np.ndarray, np.ndarray]:
    units = h.shape[-1]

    def gate(number: int, index: Index) -> float:
        *where, unit = index
        row = number * units + unit
        inputs, state = vector_of(x, tuple(where)), vector_of(h, tuple(where))
        return dot(w, row, inputs, b) + dot(u, row, state, d)

    def memory(index: Index) -> float:
        kept = logistic(gate(1, index)) * item(c, index)
        return kept + logistic(gate(0, index)) * math.tanh(gate(2, index))

    def state(index: Index) -> float:
        return logistic(gate(3, index)) * math.tanh(memory(index))

    return built(h.shape, state, float), built(h.shape, memory, float)


def gru_cell(
    x: np.ndarray,
    h: np.ndarray,
    w: Weights,
    u: Weights,
    b: Biases = None,
    d: Biases = None,
    *,
    reset_after: bool,
) -> np.ndarray:
    units = h.shape[-1]

    def element(index: Index) -> float:
        *outer, unit = index
        where = tuple(outer)
        inputs, state = vector_of(x, where), vector_of(h, where)

        def gate(number: int, of: int) -> float:
            row = number * units + of
            return logistic(dot(w, row, inputs, b) + dot(u, row, state, d))

        row = 2 * units + unit
        if reset_after:
            back = gate(0, unit) * dot(u, row, state, d)
        else:
            back = dot(u, row, [gate(0, k) * v for k, v in enumerate(state)], d)
        new = math.tanh(dot(w, row, inputs, b) + back)
        keep = gate(1, unit)
        return (1 - keep) * new + keep * state[unit]

    return built(h.shape, element, float)


definitions: dict[str, Callable[..., Any]] = {
    "gru_cell": gru_cell,
    "lstm_cell": lstm_cell,
    "rnn_cell": rnn_cell,
}
