"""A Kalman filter and smoother by `scan`.

Held against the filter's textbook loop, and against the Gaussian that states and observations of
all times are together. Source: Kalman, A new approach to linear filtering and prediction problems,
1960; Rauch, Tung and Striebel, Maximum likelihood estimates of linear dynamic systems, 1965.
"""

from __future__ import annotations

import math

import numpy as np
from support.program_checks import assert_close, assert_gradients, compiled

import graphwright as gw

STATES, SEEN = 3, 2


def noise(scales):
    """A covariance from logarithms of variances."""
    return gw.ops.diag(gw.ops.exp(scales))


def filtered(y, model):
    """The log-likelihood of y [time, SEEN], and the mean and covariance at each time, of what was
    known before it and with it."""
    move, show, start, by_move, by_show = model
    q, r = noise(by_move), noise(by_show)

    def step(state, seen):
        mean, cov = state
        before = move @ mean, move @ cov @ move.T + q
        mean, cov = before
        spread = show @ cov @ show.T + r
        surprise = seen - show @ mean
        factor = gw.ops.cholesky(spread)
        white = gw.ops.triangular_solve(factor, surprise[:, None])
        density = -0.5 * (
            (white**2).sum()
            + 2 * gw.ops.log(gw.ops.diagonal(factor)).sum()
            + SEEN * math.log(2 * math.pi)
        )
        gain = gw.ops.solve(spread, show @ cov).T
        after = mean + gain @ surprise, cov - gain @ show @ cov
        return after, (density, before, after)

    _, (densities, before, after) = gw.scan(step, (start, gw.ops.eye(STATES, dtype=start.dtype)), y)
    return densities.sum(), before, after


def smoothed(move, before, after):
    """The means and covariances given all that was seen, from the last time to the first."""

    def step(state, slices):
        later, (ahead, ahead_cov), (mean, cov) = state, *slices
        # The last time has nothing later: what is known with it is all there is to know.
        is_last, later_mean, later_cov, next_mean, next_cov = later
        back = gw.ops.solve(next_cov, move @ cov).T
        own = mean + back @ (later_mean - next_mean), cov + back @ (later_cov - next_cov) @ back.T
        own = tuple(gw.ops.where(is_last, a, b) for a, b in zip((mean, cov), own, strict=True))
        return (gw.constant(False), *own, ahead, ahead_cov), own

    zeros, eye = gw.ops.zeros_like(before[0][0]), gw.ops.eye(STATES, dtype=move.dtype)
    start = gw.constant(True), zeros, eye, zeros, eye
    return gw.scan(step, start, (before, after), reverse=True)[1]


def textbook(move, show, start, by_move, by_show, y):
    q, r = np.diag(np.exp(by_move)), np.diag(np.exp(by_show))
    mean, cov = start, np.eye(STATES)
    total, means = 0.0, []
    for seen in y:
        mean, cov = move @ mean, move @ cov @ move.T + q
        inverse = np.linalg.inv(show @ cov @ show.T + r)
        surprise = seen - show @ mean
        determinant = np.linalg.det(inverse)
        total -= 0.5 * (surprise @ inverse @ surprise - np.log(determinant * (2 * np.pi) ** -SEEN))
        gain = cov @ show.T @ inverse
        mean, cov = mean + gain @ surprise, (np.eye(STATES) - gain @ show) @ cov
        means.append(mean)
    return total, np.array(means)


def dense(move, show, start, by_move, by_show, y):
    """The log-density of y, and the mean of the states given it, by one large Gaussian."""
    steps = len(y)
    q, r = np.diag(np.exp(by_move)), np.diag(np.exp(by_show))
    powers = [np.linalg.matrix_power(move, k) for k in range(steps + 1)]

    def covariance(s, t):
        shared = powers[s] @ powers[t].T
        for k in range(1, min(s, t) + 1):
            shared = shared + powers[s - k] @ q @ powers[t - k].T
        return shared

    times = range(1, steps + 1)
    states = np.block([[covariance(s, t) for t in times] for s in times])
    mean = np.concatenate([powers[t] @ start for t in times])
    many = np.kron(np.eye(steps), show)
    spread = many @ states @ many.T + np.kron(np.eye(steps), r)
    off = y.ravel() - many @ mean
    fitted = np.linalg.solve(spread, off)
    sign, size = np.linalg.slogdet(spread)
    density = -0.5 * (off @ fitted + size + np.log(sign) + y.size * np.log(2 * np.pi))
    return density, (mean + states @ many.T @ fitted).reshape(steps, STATES)


def test_filtering_smoothing_and_the_gradient_of_the_likelihood():
    shapes = {
        "move": (STATES, STATES),
        "show": (SEEN, STATES),
        "start": (STATES,),
        "by_move": (STATES,),
        "by_show": (SEEN,),
    }
    model = [gw.input(name, shape, "float64") for name, shape in shapes.items()]
    y = gw.input("y", ("time", SEEN), "float64")
    density, before, after = filtered(y, model)
    means, _ = smoothed(model[0], before, after)
    run = compiled([*model, y], [density, after[0], means, gw.grad(density, [*model, y])])
    random = np.random.default_rng(2)
    for time in (7, 1):
        arrays = [random.normal(size=shape) / 2 for shape in shapes.values()]
        arrays.append(random.normal(size=(time, SEEN)))
        found, forwards, both_ways, gradients = run(*arrays)
        assert_close([found, forwards], textbook(*arrays))
        assert_close([found, both_ways], dense(*arrays))
        assert_gradients(lambda *a: textbook(*a)[0], arrays, gradients)
        assert_gradients(lambda *a: dense(*a)[0], arrays, gradients)


def test_noise_is_found_by_the_likelihood():
    """Ascent along the gradient ends where it is nought, near the noise that made the data."""
    random = np.random.default_rng(3)
    truth = [np.diag([0.9, 0.8, 0.7]), np.eye(SEEN, STATES), np.zeros(STATES)]
    state, seen = np.zeros(STATES), []
    for _ in range(100):
        state = truth[0] @ state + random.normal(size=STATES) * 0.5
        seen.append(truth[1] @ state + random.normal(size=SEEN))
    by_move, by_show = (gw.input(name, (), "float64") for name in ("by_move", "by_show"))
    y = gw.input("y", ("time", SEEN), "float64")
    logs = [gw.ops.full((size,), x) for size, x in ((STATES, by_move), (SEEN, by_show))]
    density, _, _ = filtered(y, [*map(gw.constant, truth), *logs])
    gradient = gw.ops.stack(gw.grad(density, [by_move, by_show]))
    rows = [gw.ops.stack(row) for row in gw.hessian(density, [by_move, by_show])]
    run = gw.compile([by_move, by_show, y], [density, gradient, gw.ops.stack(rows)])
    at = np.array([-1.0, 0.5])
    for _ in range(5):
        _, slope, bend = run(*at, np.array(seen))
        at = at - np.linalg.solve(bend, slope)
    assert np.abs(run(*at, np.array(seen))[1]).max() < 1e-8
    assert np.linalg.eigvalsh(bend).max() < 0
    np.testing.assert_allclose(np.exp(at), [0.25, 1.0], rtol=0.35)
