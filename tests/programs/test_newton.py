"""Newton's method by `while_loop`: of a number, of many at once, and of a system of equations.

The roots are held against NumPy's loops, their derivatives against the implicit function theorem:
where F(x, p) = 0, dx/dp = -(∂F/∂x)⁻¹ ∂F/∂p, however x was found.
"""

from __future__ import annotations

import numpy as np
import pytest
from support.program_checks import assert_close, compiled

import graphwright as gw

BOUND = 60
SMALL = 1e-13


def cubic(x, a):
    return x**3 + a * x - 2


def newton(equation, start, step):
    """Where `equation` is zero, and after how many steps: as long as they get it closer."""

    def goes_on(state):
        x, _ = state
        return gw.ops.max(gw.ops.abs(equation(x))) > SMALL

    def once(state):
        x, count = state
        return x - step(x), count + 1

    return gw.while_loop(goes_on, once, (start, gw.ops.zeros((), "int64")), bound=BOUND)


def root_of_cubic(a, start):
    def step(x):
        value = cubic(x, a)
        return value / gw.grad(value, x)

    return newton(lambda x: cubic(x, a), start, step)


def cubic_by_hand(a, x):
    count = 0
    while abs(cubic(x, a)) > SMALL and count < BOUND:
        x, count = x - cubic(x, a) / (3 * x**2 + a), count + 1
    return x, count


def test_the_root_of_a_cubic_and_how_it_moves():
    a, start = (gw.input(name, (), "float64") for name in ("a", "start"))
    root, count = root_of_cubic(a, start)
    slope = gw.grad(root, a)
    run = compiled([a, start], [root, count, slope, gw.jvp(root, a, 1.0)])
    for at, begin in [(1.0, 4.0), (3.0, 10.0), (0.25, 0.5), (-1.0, 2.0)]:
        x, steps = cubic_by_hand(at, begin)
        moves = -x / (3 * x**2 + at)
        found = run(at, begin)
        assert_close(found, [x, steps, moves, moves])
        assert found[1] > 2


def test_many_roots_at_once_each_take_the_steps_they_need():
    a, start = (gw.input(name, ("n",), "float64") for name in ("a", "start"))
    roots, counts = gw.vmap(root_of_cubic)(a, start)
    run = compiled([a, start], [roots, counts, gw.grad(roots.sum(), a)])
    at, begin = np.array([1.0, 3.0, 0.25, -1.0]), np.array([4.0, 10.0, 0.5, 2.0])
    x, steps = zip(*map(cubic_by_hand, at, begin), strict=True)
    x, steps = np.array(x), np.array(steps)
    assert len(set(steps)) > 1
    for size in (4, 1):
        moves = -x / (3 * x**2 + at)
        own = slice(size)
        assert_close(run(at[own], begin[own]), [x[own], steps[own], moves[own]])


def system(x, a, b):
    """F(x) = x + ½ tanh(A x) - b, which has one root where A is small."""
    return x + gw.ops.tanh(a @ x) / 2 - b


def root_of_system(a, b, mode):
    def step(x):
        value = system(x, a, b)
        return gw.ops.solve(gw.jacobian(value, x, mode), value)

    return newton(lambda x: system(x, a, b), gw.ops.zeros_like(b), step)


def system_by_hand(a, b):
    """The root, the steps, and the Jacobian there."""
    x = np.zeros_like(b)
    count = 0
    while True:
        bent = np.tanh(a @ x)
        value = x + bent / 2 - b
        jacobian = np.eye(len(b)) + (1 - bent**2)[:, None] * a / 2
        if np.abs(value).max() <= SMALL or count == BOUND:
            return x, count, jacobian
        x, count = x - np.linalg.solve(jacobian, value), count + 1


@pytest.mark.parametrize(("size", "mode"), [("n", "reverse"), ("n", "forward"), (3, "auto")])
def test_a_system_by_its_jacobian(size, mode):
    a, b = gw.input("a", (size, size), "float64"), gw.input("b", (size,), "float64")
    weights = gw.input("weights", (size,), "float64")
    root, count = root_of_system(a, b, mode)
    run = compiled(
        [a, b, weights],
        [root, count, gw.jacobian(root, b), gw.grad((root * weights).sum(), [a, b])],
    )
    random = np.random.default_rng(1)
    for n in (3, 1, 5) if size == "n" else (3,):
        given_a, given_b = random.normal(size=(n, n)) / 2, random.normal(size=n)
        given_weights = random.normal(size=n)
        x, steps, jacobian = system_by_hand(given_a, given_b)
        # ∂F/∂b = -1, ∂Fᵢ/∂Aᵢⱼ = ½ (1 - tanh²) xⱼ
        along = np.linalg.solve(jacobian.T, given_weights)
        bent = np.tanh(given_a @ x)
        to_a = -(along * (1 - bent**2) / 2)[:, None] * x
        wanted = [x, steps, np.linalg.inv(jacobian), [to_a, along]]
        assert_close(run(given_a, given_b, given_weights), wanted)
