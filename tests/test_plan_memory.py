"""The memory plan: views, work in place, reuse, and what it is worth."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import combinations, pairwise
from textwrap import dedent

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import graphwright as gw
from graphwright.compiler import plan_memory as plan_memory_module
from graphwright.compiler.log import Log
from graphwright.compiler.plan import ALIGNMENT, Buffer, Plan, collisions
from graphwright.compiler.plan_memory import plan_memory
from graphwright.compiler.report import stage_text
from graphwright.compiler.schedule import Schedule
from graphwright.graph.graph import Graph
from graphwright.graph.parse import parse
from graphwright.runtime.execute import Program


def planned(inputs, outputs, updates=None) -> Plan:
    graph = Graph(inputs, outputs, updates)
    return plan_memory(Schedule(graph, graph.operations), Log())


def arena(plan: Plan) -> list[Buffer]:
    return [buffer for buffer in plan.buffers if buffer.kind == "arena"]


def test_a_chain_of_elementwise_steps_works_in_one_buffer():
    x = gw.input("x", ("n",))
    y = x
    for _ in range(20):
        y = gw.ops.exp(-y)
    plan = planned([x], [y.sum()])
    assert len(arena(plan)) == 1
    assert plan.layout({"n": 1000}).peak == 4032  # 4000 bytes, rounded up to a multiple of 64
    assert plan.layout({"n": 1000}).total == 40 * 4032


def test_a_result_is_computed_in_its_own_fresh_memory_from_the_start():
    x = gw.input("x", (100,))
    plan = planned([x], [gw.ops.exp(-x) + 1])
    assert arena(plan) == []
    assert [buffer.kind for buffer in plan.buffers].count("result") == 1


def test_inputs_parameters_and_constants_are_never_written_over():
    x = gw.input("x", (3,))
    w = gw.parameter("w", np.ones(3, np.float32))
    c = gw.constant(np.full(3, 2, np.float32))
    plan = planned([x], [(x + 1).sum() + (w * 2).sum() + (c - 1).sum()])
    array = np.zeros(3, np.float32)
    program = Program(plan, {})
    assert program.run([array])[0] == program.run([array])[0] == 12
    np.testing.assert_array_equal(array, np.zeros(3))
    np.testing.assert_array_equal(w.value, np.ones(3))


def test_a_value_with_another_reader_later_is_not_written_over():
    x = gw.input("x", (4,))
    y = gw.ops.exp(x)
    z = -y
    plan = planned([x], [(z * y).sum()])
    assert len(arena(plan)) == 2


def test_a_view_keeps_what_it_views_alive_and_takes_no_memory():
    x = gw.input("x", (4, 6))
    y = gw.ops.exp(x)
    seen = y.reshape(6, 4)
    z = -y
    plan = planned([x], [(z.reshape(6, 4) + seen).sum()])
    assert [step.view for step in plan.steps].count(True) == 2
    assert len(arena(plan)) == 2
    array = np.arange(24, dtype=np.float32).reshape(4, 6) / 10
    np.testing.assert_allclose(Program(plan, {}).run([array])[0], 0, atol=1e-4)


def test_nothing_is_written_over_while_another_view_of_it_is_read_in_the_same_step():
    x = gw.input("x", (3, 3))
    y = gw.ops.exp(x)
    plan = planned([x], [(y + y.T).sum(axis=0)])
    array = np.arange(9, dtype=np.float32).reshape(3, 3) / 9
    expected = (np.exp(array) + np.exp(array).T).sum(axis=0)
    np.testing.assert_allclose(Program(plan, {}).run([array])[0], expected, rtol=1e-6)
    # The very same value twice is no hindrance.
    assert len(arena(planned([x], [(y + y).sum()]))) == 1


def test_a_reshape_of_what_is_not_contiguous_is_a_copy():
    x = gw.input("x", (2, 3))
    y = gw.ops.exp(x).T.reshape(6)
    plan = planned([x], [(y * 2).sum(), y])
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    total, flat = Program(plan, {}).run([array])
    np.testing.assert_allclose(flat, np.exp(array).T.reshape(6), rtol=1e-6)
    np.testing.assert_allclose(total, 2 * np.exp(array).sum(), rtol=1e-6)


def test_results_that_are_leaves_views_or_twice_the_same_are_copies():
    x = gw.input("x", (2, 2))
    y = gw.ops.exp(x)
    plan = planned([x], [x, y, y, y.T, x.T])
    array = np.arange(4, dtype=np.float32).reshape(2, 2)
    results = Program(plan, {}).run([array])
    for i, left in enumerate(results):
        assert left.flags.owndata or left.base is not None
        assert not np.shares_memory(left, array)
        assert not any(np.shares_memory(left, right) for right in results[i + 1 :])
    np.testing.assert_allclose(results[3], np.exp(array).T, rtol=1e-6)
    np.testing.assert_array_equal(results[4], array.T)


def test_offsets_are_aligned_and_sizes_follow_the_batch():
    x = gw.input("x", ("n", 5))
    y = gw.ops.exp(x) @ np.ones((5, 7), np.float32)
    plan = planned([x], [(y.sum(axis=1) * gw.ops.exp(x).sum(axis=1)).sum()])
    for n in (0, 1, 3, 100):
        layout = plan.layout({"n": n})
        assert all(offset % ALIGNMENT == 0 for offset in layout.offsets.values())
        assert list(collisions(plan, layout)) == []
    assert Program(plan, {"n": 3}).arena.ctypes.data % ALIGNMENT == 0
    assert plan.layout({"n": 200}).peak > 1.9 * plan.layout({"n": 100}).peak


def test_collisions_are_found():
    x = gw.input("x", (100,))
    y = gw.ops.exp(x)
    plan = planned([x], [(-y * y).sum()])
    layout = plan.layout({})
    assert list(collisions(plan, layout)) == []
    layout.offsets.update(dict.fromkeys(layout.offsets, 0))
    assert len(list(collisions(plan, layout))) == 1


@given(st.data())
@settings(max_examples=100, deadline=None)
def test_collisions_are_found_wherever_they_are(data):
    numbers = st.integers(0, 6)
    rows = data.draw(st.lists(st.tuples(numbers, numbers, numbers, numbers), max_size=7))
    buffers = tuple(Buffer("arena", size, first, first + lasts) for first, lasts, _, size in rows)
    plan = replace(planned([gw.input("x", ())], []), buffers=buffers)
    offsets = {i: row[2] for i, row in enumerate(rows)}
    sizes = {i: row[3] for i, row in enumerate(rows)}
    layout = replace(plan.layout({}), offsets=offsets, sizes=sizes)
    by_hand = {
        (i, k)
        for i, k in combinations(range(len(rows)), 2)
        if buffers[i].first <= buffers[k].last
        and buffers[k].first <= buffers[i].last
        and max(offsets[i], offsets[k]) < min(offsets[i] + sizes[i], offsets[k] + sizes[k])
    }
    found = {(min(pair), max(pair)) for pair in collisions(plan, layout)}
    assert found <= by_hand and bool(found) == bool(by_hand)


def test_what_is_empty_collides_with_nothing():
    x = gw.input("x", (100,))
    y = gw.ops.exp(x)
    plan = planned([x], [(-y * y).sum()])
    layout = plan.layout({})
    first, second = layout.offsets
    layout.offsets[second] = layout.offsets[first] + ALIGNMENT
    assert list(collisions(plan, layout)) == [(first, second)]
    layout.sizes[second] = 0
    assert list(collisions(plan, layout)) == []


@pytest.mark.parametrize("batch", [256, 1024])
def test_a_training_step_of_a_four_layer_network_needs_half_the_memory(batch):
    x = gw.input("x", ("batch", 784))
    labels = gw.input("labels", ("batch",), dtype=gw.int64)
    sizes = [784, 256, 128, 64, 10]
    parameters, h = [], x
    for i, (fan_in, fan_out) in enumerate(pairwise(sizes)):
        w = gw.parameter(f"w{i}", gw.init.he_normal((fan_in, fan_out), seed=i))
        b = gw.parameter(f"b{i}", np.zeros(fan_out, np.float32))
        parameters += [w, b]
        h = h @ w + b
        h = gw.ops.relu(h) if i < 3 else h
    loss = gw.ops.cross_entropy(h, labels)
    gradients = gw.grad(loss, parameters)
    step = gw.compile(
        [x, labels],
        loss,
        updates={p: p - 0.1 * g for p, g in zip(parameters, gradients, strict=True)},
    )
    layout = step.plan.layout({"batch": batch})
    needed, unshared = layout.peak + layout.results, layout.total + layout.results
    assert needed <= unshared / 2
    assert layout.peak <= 1.25 * layout.lower_bound


def test_a_copied_view_that_is_handed_out_keeps_nothing_alive():
    x = gw.input("x", (100,))
    y = gw.ops.exp(x)
    seen = y.reshape(10, 10)
    later = gw.ops.sin(gw.ops.cos(x) + 1).sum() + (seen * 2).sum()
    plan = planned([x], [seen, later])
    (first, *_) = [number for number, step in enumerate(plan.steps) if step.op.name == "reshape"]
    home = plan.buffers[plan.values[plan.steps[first].inputs[0]].buffer]
    assert home.last == first


def test_the_docstring_shows_what_is_planned():
    shown = plan_memory_module.__doc__
    graph, plan = (dedent(block) for block in re.findall(r"::\n\n((?:    .*\n)+)", shown))
    schedule = parse(graph)
    made = plan_memory(Schedule(schedule, schedule.operations), Log())
    assert stage_text(made) + "\n" == plan


@pytest.mark.parametrize("backend", ["numpy", "native"])
def test_a_result_is_not_written_over_a_piece_of_something_larger(backend):
    x = gw.input("x", (6, 4))
    first, second = gw.ops.split(gw.ops.sort(x, 0), (2, 4), 0)
    run = gw.compile(x, [gw.ops.exp(first * first), second.sum()], backend=backend)
    array = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)
    result, _ = run(array)
    np.testing.assert_allclose(result, np.exp(np.sort(array, 0)[:2] ** 2), rtol=1e-6)
    for number in run.plan.results:
        value = run.plan.values[number]
        assert run.plan.buffers[value.buffer].nbytes == value.type.nbytes
