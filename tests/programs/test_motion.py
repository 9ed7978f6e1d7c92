"""Differential equations by Runge and Kutta's fourth-order method in a `scan`.

Held against exact solutions, a NumPy loop, and the adjoint equation, which is solved from the end
to the beginning. Source of the adjoint: Pontryagin et al., The mathematical theory of optimal
processes, 1962; Chen et al., Neural ordinary differential equations, 2018.
"""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from support.program_checks import assert_close, assert_gradients, compiled

import graphwright as gw


def integrated(field, start, times, wrap=lambda step: step):
    """The state at each of the times, of which the first is the start's."""

    @wrap
    def once(state, time, h):
        a = field(state, time)
        b = field(state + h / 2 * a, time + h / 2)
        c = field(state + h / 2 * b, time + h / 2)
        d = field(state + h * c, time + h)
        return state + h / 6 * (a + 2 * b + 2 * c + d)

    def step(state, slices):
        state = once(state, *slices)
        return state, state

    _, rest = gw.scan(step, start, (times[:-1], times[1:] - times[:-1]))
    return gw.ops.concatenate([start[None], rest])


def integrated_by_hand(field, start, times):
    states = [start]
    for time, following in itertools.pairwise(times):
        h, x = following - time, states[-1]
        slopes = [field(x, time)]
        for share in (0.5, 0.5, 1.0):
            slopes.append(field(x + share * h * slopes[-1], time + share * h))
        states.append(x + h * (np.array([1, 2, 2, 1]) @ slopes) / 6)
    return np.array(states)


def hunters(state, rates):
    """Lotka and Volterra's hares and foxes."""
    hares, foxes = state[..., 0], state[..., 1]
    return rates[0] * hares - rates[1] * hares * foxes, rates[2] * hares * foxes - rates[3] * foxes


def plain(step):
    return step


@pytest.mark.parametrize("wrap", [plain, gw.checkpoint], ids=["plain", "checkpointed"])
def test_hares_and_foxes(wrap):
    start, rates = gw.input("start", (2,), "float64"), gw.input("rates", (4,), "float64")
    count = gw.dim("steps") + 1
    times = gw.input("times", (count,), "float64")
    seed = gw.input("seed", (count, 2), "float64")

    def field(state, _):
        return gw.ops.stack(hunters(state, rates), axis=-1)

    path = integrated(field, start, times, wrap)
    loss = (path * seed).sum()
    gradients = gw.grad(loss, [start, rates, times])
    (along,) = gw.jvp([loss], [rates], [gw.ops.ones_like(rates)])
    run = compiled([start, rates, times, seed], [path, gradients, along])
    random = np.random.default_rng(14)
    for count in (25, 2):
        given = [
            random.uniform(0.5, 1.5, size=2),
            random.uniform(0.5, 1.5, size=4),
            np.sort(random.uniform(0, 5, size=count)),
            random.normal(size=(count, 2)),
        ]

        def by_hand(start, rates, times, seed):
            states = integrated_by_hand(lambda x, _: np.array(hunters(x, rates)), start, times)
            return (states * seed).sum(), states

        found, slopes, moves = run(*given)
        assert_close(found, by_hand(*given)[1])
        assert_gradients(lambda *a: by_hand(*a)[0], given, slopes)
        assert_close(moves, slopes[1].sum(keepdims=True)[0])


def test_linear_motion_is_solved_to_the_fourth_order():
    """x' = A x + sin t, whose solution is exp(tA) x₀ and an integral, known by eigenvectors."""
    matrix, start = gw.input("a", (3, 3), "float64"), gw.input("start", (3,), "float64")
    times = gw.input("times", ("times",), "float64")
    path = integrated(lambda x, t: matrix @ x + gw.ops.sin(t), start, times)
    run = compiled([matrix, start, times], path)
    random = np.random.default_rng(15)
    a, x0 = random.normal(size=(3, 3)) / 2, random.normal(size=3)
    values, vectors = np.linalg.eig(a)
    own, forced = np.linalg.solve(vectors, np.array([x0, np.ones(3)]).T).T

    def exact(t):
        # ∫ exp(λ(t - s)) sin s ds = (exp(λt) - cos t - λ sin t) / (1 + λ²)
        pushed = (np.exp(values * t) - np.cos(t) - values * np.sin(t)) / (1 + values**2)
        return (vectors @ (np.exp(values * t) * own + pushed * forced)).real

    errors = []
    for count in (11, 21, 41):
        at = np.linspace(0, 2, count)
        errors.append(np.abs(run(a, x0, at)[-1] - exact(2.0)).max())
    assert 1e-12 < errors[-1] < 1e-5
    for one, other in itertools.pairwise(errors):
        assert 12 < one / other < 20


def test_the_gradient_is_what_the_adjoint_equation_says():
    """λ' = -λ ∂f/∂x backwards from the end, where λ is the loss's derivative; the derivative by
    the rates is the integral of λ ∂f/∂rates."""
    start, rates = gw.input("start", (2,), "float64"), gw.input("rates", (4,), "float64")
    times = gw.input("times", ("times",), "float64")

    def field(state):
        return gw.ops.stack(hunters(state, rates), axis=-1)

    last = integrated(lambda x, _: field(x), start, times)[-1]
    loss = (last**2).sum()

    def adjoint(state, _):
        # Where the state is depends on the rates too: here it is taken as given.
        x, weights = gw.ops.stop_gradient(state[:2]), state[2:4]
        back = gw.vjp(field(x), [x, rates], weights)
        return gw.ops.concatenate([field(x), -back[0], -back[1]])

    end = gw.ops.concatenate([last, 2 * last, gw.ops.zeros_like(rates)])
    answers = integrated(adjoint, end, times[::-1])[-1]
    run = compiled([start, rates, times], [gw.grad(loss, [start, rates]), answers])
    given = np.array([1.2, 0.7]), np.array([0.9, 1.1, 0.8, 1.3])
    gradients, found = run(*given, np.linspace(0, 3, 301))
    assert_close(found[:2], given[0], 1e-8)
    assert_close(found[2:4], gradients[0], 1e-7)
    assert_close(found[4:], gradients[1], 1e-7)
