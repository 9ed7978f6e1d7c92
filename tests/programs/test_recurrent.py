"""An LSTM and a GRU by `scan`: batches of ragged sequences, in both directions.

Held against loops that take each sequence by itself, as long as it is, and walk back by hand.
"""

from __future__ import annotations

import numpy as np
import pytest
from support.program_checks import assert_close, compiled

import graphwright as gw

FEATURES, UNITS = 3, 4
GATES = {"lstm": 4, "gru": 3}


# The programs.


def lstm_by_cell(row, state, weights):
    return gw.ops.lstm_cell(row, *state, *weights)


def lstm_written_out(row, state, weights):
    (h, c), (w, u, b, d) = state, weights
    total = row @ w.T + b + h @ u.T + d
    write, keep, new, read = gw.ops.split(total, 4, axis=-1)
    c = gw.ops.sigmoid(keep) * c + gw.ops.sigmoid(write) * gw.ops.tanh(new)
    return gw.ops.sigmoid(read) * gw.ops.tanh(c), c


def gru_by_cell(row, state, weights):
    return (gw.ops.gru_cell(row, *state, *weights),)


def gru_written_out(row, state, weights):
    (h,), (w, u, b, d) = state, weights
    (r, z, n), (of_r, of_z, of_n) = (
        gw.ops.split(part, 3, axis=-1) for part in (row @ w.T + b, h @ u.T + d)
    )
    r, z = gw.ops.sigmoid(r + of_r), gw.ops.sigmoid(z + of_z)
    return ((1 - z) * gw.ops.tanh(n + r * of_n) + z * h,)


def unrolled(cell, x, lengths, start, weights, reverse):
    """The last state, and all states [time, batch, units]: kept, and not shown, where a sequence
    is over."""
    alive = gw.ops.arange(x.shape[0])[:, None] < lengths

    def step(state, slices):
        row, on = slices
        new = cell(row, state, weights)
        state = tuple(gw.ops.where(on[:, None], a, b) for a, b in zip(new, state, strict=True))
        return state, gw.ops.where(on[:, None], state[0], 0.0)

    return gw.scan(step, start, (x, alive), reverse=reverse)


def program(kind, cell, dtype):
    """The loss and its gradients of a layer that reads both ways."""
    x = gw.input("x", ("time", "batch", FEATURES), dtype)
    lengths = gw.input("lengths", ("batch",), "int64")
    rows = GATES[kind] * UNITS
    shapes = {"w": (rows, FEATURES), "u": (rows, UNITS), "b": (rows,), "d": (rows,)}
    both = [[gw.input(name + way, shape, dtype) for name, shape in shapes.items()] for way in "fb"]
    states = "hc" if kind == "lstm" else "h"
    start = tuple(gw.input(name, ("batch", UNITS), dtype) for name in states)
    seed = gw.input("seed", ("time", "batch", 2 * UNITS), dtype)
    parts = [
        unrolled(cell, x, lengths, start, weights, reverse)
        for weights, reverse in zip(both, (False, True), strict=True)
    ]
    written = gw.ops.concatenate([rows for _, rows in parts], axis=-1)
    last = sum((state**2).sum() for states, _ in parts for state in states)
    loss = (written * seed).sum() + last
    variables = [x, *start, *both[0], *both[1]]
    return variables, [lengths, seed], written, loss


# The same by hand, one sequence at a time.


def logistic(z):
    return 1 / (1 + np.exp(-z))


def lstm_step(x, state, weights):
    (h, c), (w, u, b, d) = state, weights
    i, f, g, o = np.split(w @ x + b + u @ h + d, 4)
    i, f, g, o = logistic(i), logistic(f), np.tanh(g), logistic(o)
    new = f * c + i * g
    return (o * np.tanh(new), new), (x, h, c, i, f, g, o, new)


def lstm_back(moves, kept, weights, sums):
    (dh, dc), (x, h, c, i, f, g, o, new) = moves, kept
    w, u, *_ = weights
    bent = np.tanh(new)
    dc = dc + dh * o * (1 - bent**2)
    inner = np.concatenate(
        [dc * g * i * (1 - i), dc * c * f * (1 - f), dc * i * (1 - g**2), dh * bent * o * (1 - o)]
    )
    for total, part in zip(
        sums, (np.outer(inner, x), np.outer(inner, h), inner, inner), strict=True
    ):
        total += part
    return w.T @ inner, (u.T @ inner, dc * f)


def gru_step(x, state, weights):
    (h,), (w, u, b, d) = state, weights
    (r, z, n), (of_r, of_z, of_n) = np.split(w @ x + b, 3), np.split(u @ h + d, 3)
    r, z = logistic(r + of_r), logistic(z + of_z)
    n = np.tanh(n + r * of_n)
    return ((1 - z) * n + z * h,), (x, h, r, z, n, of_n)


def gru_back(moves, kept, weights, sums):
    (dh,), (x, h, r, z, n, of_n) = moves, kept
    w, u, *_ = weights
    dn = dh * (1 - z) * (1 - n**2)
    dz = dh * (h - n) * z * (1 - z)
    dr = dn * of_n * r * (1 - r)
    outer, inner = np.concatenate([dr, dz, dn]), np.concatenate([dr, dz, dn * r])
    for total, part in zip(
        sums, (np.outer(outer, x), np.outer(inner, h), outer, inner), strict=True
    ):
        total += part
    return w.T @ outer, (u.T @ inner + dh * z,)


BY_HAND = {"lstm": (lstm_step, lstm_back), "gru": (gru_step, gru_back)}


def reference(kind, x, start, both, lengths, seed):
    forward, back = BY_HAND[kind]
    written = np.zeros(seed.shape)
    loss = 0.0
    dx, dstart = np.zeros_like(x), [np.zeros_like(s) for s in start]
    dweights = [[np.zeros_like(w) for w in weights] for weights in both]
    for k, length in enumerate(lengths):
        for way, weights in enumerate(both):
            own = slice(way * UNITS, (way + 1) * UNITS)
            times = range(length)[:: -1 if way else 1]
            state, tape = tuple(s[k] for s in start), []
            for t in times:
                state, kept = forward(x[t, k], state, weights)
                tape.append(kept)
                written[t, k, own] = state[0]
                loss += float((state[0] * seed[t, k, own]).sum())
            loss += sum(float((s**2).sum()) for s in state)
            moves = tuple(2 * s for s in state)
            for t in reversed(times):
                moves = (moves[0] + seed[t, k, own], *moves[1:])
                step, moves = back(moves, tape.pop(), weights, dweights[way])
                dx[t, k] += step
            for total, move in zip(dstart, moves, strict=True):
                total[k] += move
    return [written, loss, [dx, *dstart, *dweights[0], *dweights[1]]]


def drawn(random, kind, lengths, dtype):
    """Arrays for all inputs: the variables, then the rest."""
    time, batch, rows = max(lengths, default=3), len(lengths), GATES[kind] * UNITS
    x = random.normal(size=(time, batch, FEATURES))
    start = [random.normal(size=(batch, UNITS)) for _ in range(2 if kind == "lstm" else 1)]
    shapes = [(rows, FEATURES), (rows, UNITS), (rows,), (rows,)] * 2
    weights = [random.normal(size=shape) / 2 for shape in shapes]
    seed = random.normal(size=(time, batch, 2 * UNITS))
    arrays = [array.astype(dtype) for array in (x, *start, *weights)]
    return arrays, [np.array(lengths, "int64"), seed.astype(dtype)]


CELLS = [
    ("lstm", lstm_by_cell),
    ("lstm", lstm_written_out),
    ("gru", gru_by_cell),
    ("gru", gru_written_out),
]


@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-9), ("float32", 2e-6)])
@pytest.mark.parametrize(("kind", "cell"), CELLS)
def test_ragged_sequences_read_both_ways(kind, cell, dtype, tolerance):
    variables, rest, written, loss = program(kind, cell, dtype)
    run = compiled([*variables, *rest], [written, loss, gw.grad(loss, variables)])
    random = np.random.default_rng(0)
    for lengths in ([6, 3, 0, 1], [2], []):
        arrays, others = drawn(random, kind, lengths, dtype)
        x, *start = (array.astype("float64") for array in arrays[:-8])
        both = [[array.astype("float64") for array in arrays[k:][:4]] for k in (-8, -4)]
        wanted = reference(kind, x, start, both, lengths, others[1].astype("float64"))
        assert_close(run(*arrays, *others), wanted, tolerance)


@pytest.mark.parametrize(("kind", "cell"), CELLS[::2])
def test_second_derivatives_of_both_modes_are_the_same_and_slopes_of_the_first(kind, cell):
    variables, rest, _, loss = program(kind, cell, "float64")
    along = [gw.input(f"along{i}", x.shape, x.dtype) for i, x in enumerate(variables)]
    gradients = gw.grad(loss, variables)
    forward = gw.jvp(gradients, variables, along)
    slope = gw.jvp(loss, variables, along)
    run = compiled([*variables, *rest, *along], [gradients, forward, gw.grad(slope, variables)])
    random = np.random.default_rng(1)
    arrays, others = drawn(random, kind, [3, 1], "float64")
    moves = [random.normal(size=array.shape) for array in arrays]
    _, one, other = run(*arrays, *others, *moves)
    assert_close(one, other)
    ends = [
        run(*(a + step * m for a, m in zip(arrays, moves, strict=True)), *others, *moves)[0]
        for step in (1e-5, -1e-5)
    ]
    assert_close(one, [(a - b) / 2e-5 for a, b in zip(*ends, strict=True)], 1e-6)
