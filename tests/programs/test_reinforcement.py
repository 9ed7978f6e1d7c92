"""Losses of agents that learn by trying: PPO's, and that of a double deep Q-network.

Held against NumPy, one moment of one run at a time. Sources: Schulman et al., Proximal policy
optimization algorithms, 2017, and High-dimensional continuous control using generalized advantage
estimation, 2016; Mnih et al., Human-level control through deep reinforcement learning, 2015; van
Hasselt, Guez and Silver, Deep reinforcement learning with double Q-learning, 2016.
"""

from __future__ import annotations

import numpy as np
from support.program_checks import assert_close, assert_gradients, compiled

import graphwright as gw

SIGHT, UNITS, ACTIONS = 4, 5, 3
DISCOUNT, TRACE, CLIP, VALUE_WEIGHT, ENTROPY_WEIGHT = 0.97, 0.9, 0.2, 0.5, 0.01


# PPO, as a program.


def advantages(rewards, values, done, after):
    """Generalized: Aₜ = δₜ + γλ Aₜ₊₁ within an episode, δₜ = rₜ + γ V(sₜ₊₁) - V(sₜ)."""
    alive = 1 - done.astype(values.dtype)

    def step(state, slices):
        advantage, next_value = state
        reward, value, on = slices
        surprise = reward + DISCOUNT * next_value * on - value
        advantage = surprise + DISCOUNT * TRACE * on * advantage
        return (advantage, value), advantage

    start = gw.ops.zeros_like(after), after
    return gw.scan(step, start, (rewards, values, alive), reverse=True)[1]


def ppo(model, sights, actions, old_logs, old_values, rewards, done, after):
    """The loss of runs side by side, [time, runs], and its three parts."""
    inner, to_actions, to_value = model
    advantage = advantages(rewards, old_values, done, after)
    returns = gw.ops.stop_gradient(advantage + old_values)
    advantage = (advantage - advantage.mean()) / (advantage.std() + 1e-8)
    h = gw.ops.tanh(sights @ inner)
    logs = gw.ops.log_softmax(h @ to_actions)
    chosen = gw.ops.take_along_axis(logs, actions[..., None])[..., 0]
    ratio = gw.ops.exp(chosen - old_logs)
    held = gw.ops.clip(ratio, 1 - CLIP, 1 + CLIP)
    policy = -gw.ops.minimum(ratio * advantage, held * advantage).mean()
    values = h @ to_value
    near = old_values + gw.ops.clip(values - old_values, -CLIP, CLIP)
    errors = gw.ops.maximum((values - returns) ** 2, (near - returns) ** 2)
    value = errors.mean() / 2
    entropy = -(gw.ops.exp(logs) * logs).sum(-1).mean()
    return policy + VALUE_WEIGHT * value - ENTROPY_WEIGHT * entropy, [policy, value, entropy]


# PPO by hand.


def advantages_by_hand(rewards, values, done, after):
    """By the definition: the sum of discounted surprises up to the end of the episode."""
    time, runs = rewards.shape
    following = np.concatenate([values[1:], after[None]])
    out = np.zeros((time, runs))
    for t, k in np.ndindex(time, runs):
        weight = 1.0
        for s in range(t, time):
            ahead = 0.0 if done[s, k] else following[s, k]
            out[t, k] += weight * (rewards[s, k] + DISCOUNT * ahead - values[s, k])
            weight *= DISCOUNT * TRACE
            if done[s, k]:
                break
    return out


def ppo_by_hand(model, sights, actions, old_logs, old_values, rewards, done, after):
    inner, to_actions, to_value = model
    advantage = advantages_by_hand(rewards, old_values, done, after)
    scaled = (advantage - advantage.mean()) / (advantage.std() + 1e-8)
    policy = value = entropy = 0.0
    sides = set()
    for place in np.ndindex(*rewards.shape):
        h = np.tanh(sights[place] @ inner)
        likes = np.exp(h @ to_actions)
        chances = likes / likes.sum()
        ratio = chances[actions[place]] / np.exp(old_logs[place])
        held = ratio
        if abs(ratio.real - 1) > CLIP:
            held = 1 + CLIP if ratio.real > 1 else 1 - CLIP
        ways = [ratio * scaled[place], held * scaled[place]]
        policy -= min(ways, key=lambda way: way.real)
        own, old = h @ to_value, old_values[place]
        near = own if abs(own.real - old) < CLIP else old + CLIP * np.sign(own.real - old)
        errors = [(v - advantage[place] - old) ** 2 / 2 for v in (own, near)]
        value += max(errors, key=lambda error: error.real)
        entropy -= (chances * np.log(chances)).sum()
        sides.add((held is ratio, ways[0].real <= ways[1].real, near is own))
    count = rewards.size
    loss = (policy + VALUE_WEIGHT * value - ENTROPY_WEIGHT * entropy) / count
    return loss, [policy / count, value / count, entropy / count], sides


def test_ppo():
    shapes = [(SIGHT, UNITS), (UNITS, ACTIONS), (UNITS,)]
    model = [gw.input(f"w{i}", shape, "float64") for i, shape in enumerate(shapes)]
    runs = ("time", "runs")
    given = [
        gw.input("sights", (*runs, SIGHT), "float64"),
        gw.input("actions", runs, "int64"),
        *(gw.input(name, runs, "float64") for name in ("old_logs", "old_values", "rewards")),
        gw.input("done", runs, "bool"),
        gw.input("after", ("runs",), "float64"),
    ]
    loss, parts = ppo(model, *given)
    run = compiled([*model, *given], [loss, parts, gw.grad(loss, model)])
    random = np.random.default_rng(8)
    seen = set()
    for time, runs in ((9, 4), (2, 1)):
        size = (time, runs)
        weights = [random.normal(size=shape) / 2 for shape in shapes]
        arrays = [
            random.normal(size=(*size, SIGHT)),
            random.integers(ACTIONS, size=size),
            np.log(random.uniform(0.2, 0.5, size=size)),
            random.normal(size=size) / 3,
            random.normal(size=size),
            random.uniform(size=size) < 0.3,
            random.normal(size=runs),
        ]
        value, pieces, gradients = run(*weights, *arrays)
        wanted, wanted_pieces, sides = ppo_by_hand(weights, *arrays)
        assert_close([value, pieces], [wanted, wanted_pieces])
        assert_gradients(lambda *w, a=arrays: ppo_by_hand(w, *a)[0], weights, gradients)
        seen |= sides
    # Ratios within bounds and beyond them, on the side that counts and on the other; values too.
    assert {side[:2] for side in seen} == {(True, True), (False, True), (False, False)}
    assert {side[2] for side in seen} == {True, False}


# A double deep Q-network: what the loss is, and how the slow copy follows.


def q_values(model, sights):
    inner, out = model
    return gw.ops.relu(sights @ inner) @ out


def test_a_step_of_a_double_deep_q_network():
    shapes = {"inner": (SIGHT, UNITS), "out": (UNITS, ACTIONS)}
    random = np.random.default_rng(9)
    start, slow_start = ([random.normal(size=s) for s in shapes.values()] for _ in range(2))
    fast = [gw.parameter(name, w) for name, w in zip(shapes, start, strict=True)]
    slow = [gw.parameter("slow/" + n, w) for n, w in zip(shapes, slow_start, strict=True)]
    before, after = (gw.input(name, ("n", SIGHT), "float64") for name in ("before", "after"))
    actions = gw.input("actions", ("n",), "int64")
    rewards, over = gw.input("rewards", ("n",), "float64"), gw.input("over", ("n",), "bool")
    choice = q_values(fast, after).argmax(-1)
    ahead = gw.ops.take_along_axis(q_values(slow, after), choice[:, None])[:, 0]
    target = gw.ops.stop_gradient(rewards + DISCOUNT * gw.ops.where(over, 0.0, ahead))
    own = (q_values(fast, before) * gw.ops.one_hot(actions, ACTIONS, "float64")).sum(-1)
    loss = gw.ops.huber(own, target)
    moved = [w - 0.1 * g for w, g in zip(fast, gw.grad(loss, fast), strict=True)]
    followed = [0.9 * s + 0.1 * w for s, w in zip(slow, moved, strict=True)]
    updates = dict(zip([*fast, *slow], [*moved, *followed], strict=True))
    inputs = [before, actions, rewards, after, over]
    run = gw.compile(inputs, [loss, target], updates, check=True)

    def by_hand(inner, out, targets, arrays):
        total = 0.0
        for sight, action, target in zip(arrays[0], arrays[1], targets, strict=True):
            h = sight @ inner
            error = (np.where(h.real > 0, h, 0) @ out)[action] - target
            small = abs(error.real) <= 1
            total += error**2 / 2 if small else error * np.sign(error.real) - 0.5
        return total / len(targets)

    weights, slow_weights = start, slow_start
    for n in (7, 7, 1):
        arrays = [
            random.normal(size=(n, SIGHT)),
            random.integers(ACTIONS, size=n),
            random.normal(size=n),
            random.normal(size=(n, SIGHT)),
            random.uniform(size=n) < 0.4,
        ]
        found, targets = run(*arrays)
        wanted = arrays[2].copy()
        for k, sight in enumerate(arrays[3]):
            best = np.argmax(np.maximum(sight @ weights[0], 0) @ weights[1])
            if not arrays[4][k]:
                there = np.maximum(sight @ slow_weights[0], 0) @ slow_weights[1]
                wanted[k] += DISCOUNT * there[best]
        assert_close([found, targets], [by_hand(*weights, wanted, arrays), wanted])
        steps = [(w - p.value) / 0.1 for w, p in zip(weights, fast, strict=True)]
        assert_gradients(lambda a, b, t=wanted, r=arrays: by_hand(a, b, t, r), weights, steps)
        weights = [p.value for p in fast]
        slow_weights = [0.9 * s + 0.1 * w for s, w in zip(slow_weights, weights, strict=True)]
        assert_close([p.value for p in slow], slow_weights)
