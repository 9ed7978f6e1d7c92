"""Optimal transport by Sinkhorn's iteration in a `while_loop`, and its derivatives.

Held against the same by NumPy in numbers instead of logarithms. Of the least cost the derivatives
are known without the way to it (Danskin): the plan by the costs, the potentials by the masses.
Source: Cuturi, Sinkhorn distances: lightspeed computation of optimal transport, 2013.
"""

from __future__ import annotations

import numpy as np
from support.program_checks import assert_close, assert_gradients, compiled

import graphwright as gw

SOFTNESS, BOUND, ENOUGH = 0.5, 100, 1e-14


def sinkhorn(a, b, costs):
    """The plan that moves masses a [n] to b [m] at the least cost minus `SOFTNESS` times its
    entropy; that cost; and the steps that were made."""

    def softened(potential, axis):
        return -SOFTNESS * gw.ops.logsumexp((potential - costs) / SOFTNESS, axis=axis)

    def moves(state):
        _, _, change, _ = state
        return change > ENOUGH

    def step(state):
        f, _, _, count = state
        g = SOFTNESS * gw.ops.log(b) + softened(f[:, None], 0)
        new = SOFTNESS * gw.ops.log(a) + softened(g, 1)
        return new, g, gw.ops.max(gw.ops.abs(new - f)), count + 1

    zeros = [gw.ops.zeros_like(mass) for mass in (a, b)]
    start = *zeros, gw.ops.full((), np.inf, a.dtype), gw.ops.zeros((), "int64")
    f, g, _, count = gw.while_loop(moves, step, start, bound=BOUND)
    plan = gw.ops.exp((f[:, None] + g - costs) / SOFTNESS)
    return plan, (plan * costs).sum() + SOFTNESS * (plan * (gw.ops.log(plan) - 1)).sum(), count


def by_hand(a, b, costs):
    kernel = np.exp(-costs / SOFTNESS)
    u = np.ones(len(a))
    for _ in range(BOUND):
        v = b / (kernel.T @ u)
        u = a / (kernel @ v)
    plan = u[:, None] * kernel * v
    return plan, u, v


def test_the_plan_and_derivatives_through_the_iteration():
    a, b = gw.input("a", ("n",), "float64"), gw.input("b", ("m",), "float64")
    costs = gw.input("costs", ("n", "m"), "float64")
    masses = [gw.ops.softmax(x) for x in (a, b)]
    plan, least, count = sinkhorn(*masses, costs)
    price = (plan * costs).sum()
    gradients = [gw.grad(least, [*masses, costs]), gw.grad(price, [a, b, costs])]
    run = compiled([a, b, costs], [plan, count, gradients])
    random = np.random.default_rng(13)
    for n, m in ((4, 3), (2, 5)):
        given = random.normal(size=n), random.normal(size=m), random.uniform(size=(n, m))
        p, q = (np.exp(x) / np.exp(x).sum() for x in given[:2])
        found, steps, (of_least, of_price) = run(*given)
        wanted, u, v = by_hand(p, q, given[2])
        assert_close(found, wanted)
        assert 1 < steps < BOUND
        # Potentials are known up to a number that goes from one side to the other.
        for slope, side in zip(of_least, (u, v), strict=False):
            potential = SOFTNESS * np.log(side)
            assert_close(slope - slope.mean(), potential - potential.mean(), 1e-8)
        assert_close(of_least[2], wanted)

        def paid(x, y, costs):
            x, y = (np.exp(z) / np.exp(z).sum() for z in (x, y))
            return (by_hand(x, y, costs)[0] * costs).sum()

        assert_gradients(paid, given, of_price)
