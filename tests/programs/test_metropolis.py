"""A Metropolis sampler: keys carried through a `scan`, chains side by side by `vmap`.

Held against a NumPy loop over the same random numbers, and against the distribution itself.
Source: Metropolis et al., Equation of state calculations by fast computing machines, 1953.
"""

from __future__ import annotations

import numpy as np
from support.program_checks import assert_close, compiled

import graphwright as gw

WIDTH = 1.5


def energy(x, middle, precision):
    """-log of a normal density, up to a constant."""
    off = x - middle
    return off @ precision @ off / 2


def chain(key, start, middle, precision, steps):
    """The places [steps, 2] of a walk, and how many of its proposals it took."""

    def step(state, _):
        key, x, taken = state
        key, for_move, for_choice = gw.ops.unstack(gw.random.split(key, 3))
        other = x + WIDTH * gw.random.normal(for_move, x.shape, dtype=x.dtype)
        ratio = energy(x, middle, precision) - energy(other, middle, precision)
        goes = gw.ops.log(gw.random.uniform(for_choice, (), dtype=x.dtype)) < ratio
        x = gw.ops.where(goes, other, x)
        return (key, x, taken + goes), x

    taken = gw.ops.zeros((), "int64")
    (_, _, taken), places = gw.scan(step, (key, start, taken), length=steps)
    return places, taken


def draws(key, steps):
    """The random numbers of a chain, one step after another."""
    k = gw.input("key", (2,), "uint64")
    after, for_move, for_choice = gw.ops.unstack(gw.random.split(k, 3))
    numbers = gw.random.normal(for_move, (2,), dtype="float64")
    run = gw.compile(k, [after, numbers, gw.random.uniform(for_choice, (), dtype="float64")])
    for _ in range(steps):
        key, move, choice = run(key)
        yield move, choice


def chain_by_hand(key, x, middle, precision, steps):
    places, taken = [], 0
    for move, choice in draws(key, steps):
        other = x + WIDTH * move
        likes = [np.exp(-(y - middle) @ precision @ (y - middle) / 2) for y in (other, x)]
        if choice < likes[0] / likes[1]:
            x, taken = other, taken + 1
        places.append(x)
    return np.array(places), taken


def program(steps):
    """Many chains, each from its own key and place, to one distribution."""
    keys, starts = (
        gw.input("keys", ("chains", 2), "uint64"),
        gw.input("x", ("chains", 2), "float64"),
    )
    middle, precision = gw.input("middle", (2,), "float64"), gw.input("p", (2, 2), "float64")
    walk = gw.vmap(lambda key, x: chain(key, x, middle, precision, steps))
    return compiled([keys, starts, middle, precision], walk(keys, starts))


def test_the_same_chains_as_by_hand():
    steps = 12
    run = program(steps)
    random = np.random.default_rng(16)
    middle, precision = np.array([1.0, -2.0]), np.array([[1.5, 0.8], [0.8, 1.0]])
    for chains in (3, 1):
        keys = random.integers(2**32, size=(chains, 2), dtype=np.uint64)
        starts = random.normal(size=(chains, 2))
        places, taken = run(keys, starts, middle, precision)
        for k in range(chains):
            wanted, count = chain_by_hand(keys[k], starts[k], middle, precision, steps)
            assert_close(places[k], wanted)
            assert taken[k] == count
        assert 0 < taken.sum() < chains * steps


def test_the_chains_forget_where_they_began():
    chains, steps = 500, 100
    run = program(steps)
    middle, precision = np.array([1.0, -2.0]), np.array([[1.5, 0.8], [0.8, 1.0]])
    keys = np.random.default_rng(17).integers(2**32, size=(chains, 2), dtype=np.uint64)
    places, taken = run(keys, np.zeros((chains, 2)), middle, precision)
    late = places[:, 40::4].reshape(-1, 2)  # 7500 places that hardly depend on one another
    np.testing.assert_allclose(late.mean(0), middle, atol=0.1)
    np.testing.assert_allclose(np.cov(late.T), np.linalg.inv(precision), atol=0.15)
    assert 0.2 < taken.mean() / steps < 0.7
