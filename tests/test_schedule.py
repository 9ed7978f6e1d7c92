"""Schedules: whole, in order, and of the lowest peak among several; the peak counted right."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import graphwright as gw
from graphwright.compiler import schedule as module
from graphwright.compiler.differentiate import grad
from graphwright.compiler.fuse import fuse
from graphwright.compiler.log import Log
from graphwright.compiler.schedule import (
    TYPICAL_SIZE,
    Schedule,
    Storage,
    peak,
    schedule,
    typical_sizes,
)
from graphwright.graph.graph import Graph
from graphwright.graph.leaf import Constant
from graphwright.graph.node import Node
from graphwright.graph.tensor import Tensor


def scheduled(graph: Graph) -> Schedule:
    return schedule(graph, Log())


def check_order(graph: Graph, order) -> None:
    assert len(order) == len(graph.operations)
    assert set(order) == set(graph.operations)
    done = {tensor.node for tensor in (*graph.inputs, *graph.parameters)}
    for node in order:
        assert all(tensor.node in done for tensor in node.inputs)
        done.add(node)


def naive_peak(order, graph: Graph, sizes: dict[str, int]) -> int:
    """By looking, at every step, at every value: is it made already, and read later or handed out?

    A view is read when it is itself read; what it views is then read too.
    """
    order = list(order)
    viewed = {t: n.inputs[0] for n in order if n.op.view for t in n.outputs}

    def owner(tensor: Tensor) -> Tensor:
        while tensor in viewed:
            tensor = viewed[tensor]
        return tensor

    results = {owner(tensor) for tensor in graph.results}
    most = 0
    for now, _ in enumerate(order):
        live = 0
        for made, node in enumerate(order[: now + 1]):
            if node.op.view or isinstance(node.op, Constant):
                continue
            for tensor in node.outputs:
                later = any(owner(t) is tensor for n in order[now:] for t in n.inputs)
                if later or tensor in results or made == now:
                    live += int(np.prod(tensor.type.bind(sizes).shape)) * tensor.dtype.itemsize
        most = max(most, live)
    return most


# What is counted.


def test_values_count_from_their_operation_to_their_last_reader():
    x = gw.input("x", ("n",))
    first = gw.ops.exp(x)
    second = -first
    graph = Graph([x], [gw.ops.exp(second.sum() + first.sum())])
    # exp, its negative, and the sum that is made while both are there
    assert peak(graph.operations, graph, {"n": 100}) == 804
    assert peak(graph.operations, graph, {"n": 1}) == 12
    assert peak(graph.operations, graph, {"n": 0}) == 12


def test_inputs_parameters_and_constants_count_nothing():
    x, w = gw.input("x", (100,)), gw.parameter("w", np.ones(100, np.float32))
    constant = gw.constant(np.ones(100, np.float32))
    graph = Graph([x], [(x + w).sum(), (x * constant).sum()])
    assert peak(graph.operations, graph, {}) == 408


def test_a_view_costs_nothing_and_keeps_what_it_views():
    x = gw.input("x", (10, 10))
    y = gw.ops.exp(x)
    view = gw.ops.reshape(y, (100,))
    z = gw.ops.exp(x)
    graph = Graph([x], [z.sum() + view.sum()])
    order = [
        y.node,
        view.node,
        z.node,
        *(n for n in graph.operations if n.op.name in ("sum", "add")),
    ]
    assert peak(order, graph, {}) == 804
    assert peak(order, graph, {}) == naive_peak(order, graph, {})


def test_results_stay_to_the_end_also_behind_views():
    x = gw.input("x", (10, 10))
    y = gw.ops.exp(x)
    graph = Graph([x], [gw.ops.reshape(y, (100,)), gw.ops.exp(-x).sum()])
    assert peak(graph.operations, graph, {}) == 1200


def test_sizes_that_would_be_negative_count_nothing():
    n = gw.dim("n")
    x = gw.input("x", (n,))
    y = gw.input("y", (n - 1000,))
    graph = Graph([x, y], [gw.ops.exp(-y).sum() + gw.ops.exp(x).sum()])
    assert typical_sizes(graph) == {"n": TYPICAL_SIZE}
    assert peak(graph.operations, graph, {"n": TYPICAL_SIZE}) >= 256
    check_order(graph, scheduled(graph).order)


# What is chosen.


def test_of_two_branches_one_is_finished_before_the_other_begins():
    x = gw.input("x", ("n",))
    a, b = gw.ops.exp(x), gw.ops.log(x)
    graph = Graph([x], [gw.ops.maximum(a, 0).sum() * b.sum()])
    order = scheduled(graph).order
    assert peak(order, graph, {"n": 1000}) <= 8008


def test_the_larger_branch_comes_first():
    x = gw.input("x", ("n",))
    wide = gw.ops.exp(gw.ops.broadcast_to(x, (10, *x.shape)))
    small = gw.ops.exp(x)
    graph = Graph([x], [small - wide.sum(0)])
    log = Log()
    order = schedule(graph, log).order
    place = {node: i for i, node in enumerate(order)}
    assert place[wide.node] < place[small.node]
    # The wide value and its sum, rather than these and the small value.
    assert peak(order, graph, {"n": 1000}) == 44_000
    assert peak(graph.operations, graph, {"n": 1000}) == 48_000
    (event,) = log.events
    assert event.applied
    assert event.what.endswith(": peak 3.07 kB → 2.82 kB at n=64")


def test_many_independent_branches_never_live_together():
    x = gw.input("x", ("n",))
    branches = [gw.ops.exp(x * float(i)) for i in range(20)]
    # Stated so that the graph's own order makes all branches before it reads one.
    everything = branches[0]
    for branch in branches[1:]:
        everything = everything + branch
    sums = [branch.sum() for branch in branches]
    graph = Graph([x], [*sums])
    wanted = peak(scheduled(graph).order, graph, {"n": 1000})
    assert wanted <= 8000 + 4 * 20


def test_a_weight_gradient_comes_as_soon_as_what_it_needs_can_go():
    x = gw.input("x", (512, 64))
    weights = [gw.parameter(f"w{i}", np.ones((64, 64), np.float32)) for i in range(4)]
    y = x
    for w in weights:
        y = gw.ops.maximum(y @ w, 0)
    gradients = grad(y.sum(), weights)
    updates = {w: w - 0.1 * g for w, g in zip(weights, gradients, strict=True)}
    graph = fuse(Graph([x], [y.sum()], updates), Log())
    best = scheduled(graph).order
    check_order(graph, best)
    # By the graph's own order, the gradients of all layers' values are live together.
    assert peak(best, graph, {}) < 0.92 * peak(graph.operations, graph, {})


def test_the_graphs_own_order_is_kept_where_none_is_better():
    x = gw.input("x", ("n",))
    graph = Graph([x], [gw.ops.exp(-x)])
    log = Log()
    assert schedule(graph, log).order == graph.operations
    (event,) = log.events
    assert not event.applied
    assert event.what == "the graph's own order is best: peak 512 bytes at n=64"


def test_the_log_can_deny_another_order():
    x = gw.input("x", ("n",))
    wide = gw.ops.exp(gw.ops.broadcast_to(x, (10, *x.shape)))
    graph = Graph([x], [gw.ops.exp(x) - wide.sum(0)])
    assert schedule(graph, Log(limit=0)).order == graph.operations
    assert schedule(graph, Log()).order != graph.operations


def test_a_graph_without_operations_has_an_empty_schedule():
    x = gw.input("x", ("n",))
    assert scheduled(Graph([x], [x])).order == ()


def test_scheduling_is_deterministic():
    first, second = (tangled(300), tangled(300))
    assert first == second
    numbers = [
        [graph.operations.index(node) for node in scheduled(graph).order]
        for graph in (first, second)
    ]
    assert numbers[0] == numbers[1]


@pytest.mark.parametrize(
    ("nbytes", "shown"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1000, "1 kB"),
        (1_840_000, "1.84 MB"),
        (5 * 10**15, "5e+03 TB"),
    ],
)
def test_memory_is_shown_in_powers_of_a_thousand(nbytes, shown):
    assert module._text(nbytes) == shown


# Random graphs.


def tangled(count: int, seed: int = 0) -> Graph:
    generator = random.Random(seed)
    x = gw.input("x", ("n", 4))
    values: list[Tensor] = [x]
    while len(values) < count:
        recent = values[-30:]
        a, b = generator.choice(recent), generator.choice(recent)
        kind = generator.random()
        if kind < 0.2:
            values.append(gw.ops.reshape(a, (4, x.shape[0])).T)
        elif kind < 0.5:
            values.append(a + gw.ops.sum(b, generator.randrange(2), keepdims=True))
        else:
            values.append(gw.ops.exp(a) if kind < 0.75 else a + b)
    read = {tensor for value in values for tensor in value.node.inputs}
    return Graph([x], [value for value in values if value not in read])


def all_orders(graph: Graph) -> list[list[Node]]:
    storage = Storage(graph, typical_sizes(graph))
    return [
        list(graph.operations),
        module._last_result_first(graph),
        module._costliest_input_first(storage),
        module._forward(storage),
        module._backward(storage),
    ]


@settings(max_examples=100, deadline=None)
@given(st.integers(2, 40), st.integers(0, 10**6), st.sampled_from([0, 1, 5]))
def test_every_order_is_whole_and_its_peak_is_the_naive_one(count, seed, n):
    graph = tangled(count, seed)
    for order in all_orders(graph):
        check_order(graph, order)
        assert peak(order, graph, {"n": n}) == naive_peak(order, graph, {"n": n})


@settings(max_examples=50, deadline=None)
@given(st.integers(2, 40), st.integers(0, 10**6))
def test_the_best_order_is_taken(count, seed):
    graph = tangled(count, seed)
    sizes = typical_sizes(graph)
    peaks = [peak(order, graph, sizes) for order in all_orders(graph)]
    assert peak(scheduled(graph).order, graph, sizes) == min(peaks)


@settings(max_examples=50, deadline=None)
@given(st.integers(2, 25), st.integers(0, 10**6))
def test_the_greedy_orders_take_what_adds_least_at_every_step(count, seed):
    graph = tangled(count, seed)
    storage = Storage(graph, typical_sizes(graph))

    def forward(node: Node, done: set[Node]) -> int:
        last = [b for b in storage.reads(node) if set(storage.readers[b]) - done == {node}]
        return cost(storage.writes(node)) - cost(b for b in last if b not in storage.kept)

    def backward(node: Node, done: set[Node]) -> int:
        first = [b for b in storage.reads(node) if not done.intersection(storage.readers[b])]
        return cost(b for b in first if b not in storage.kept) - cost(storage.writes(node))

    def cost(bases) -> int:
        return sum(storage.nbytes[base] for base in bases)

    nodes = graph.operations
    needs = {node: {t.node for t in node.inputs} & set(nodes) for node in nodes}
    feeds = {node: {other for other in nodes if node in needs[other]} for node in nodes}
    check_greedy(module._forward(storage), needs, forward)
    check_greedy(module._backward(storage)[::-1], feeds, backward)


def check_greedy(order, needs, added) -> None:
    done: set[Node] = set()
    for node in order:
        ready = [other for other in needs if other not in done and needs[other] <= done]
        assert node in ready
        assert added(node, done) == min(added(other, done) for other in ready)
        done.add(node)


@settings(max_examples=50, deadline=None)
@given(st.integers(2, 6), st.integers(0, 10**6))
def test_on_trees_of_equal_sizes_costliest_input_first_is_the_best_of_all(leaves, seed):
    # Sethi and Ullman, 1970, theorem 2.
    generator = random.Random(seed)
    x = gw.input("x", ("n",))
    values = [x] * leaves
    while len(values) > 1:
        a = values.pop(generator.randrange(len(values)))
        b = values.pop(generator.randrange(len(values)))
        values.append((gw.ops.exp(a) if a is x else a) - (gw.ops.exp(b) if b is x else b))
    graph = Graph([x], values)
    storage = Storage(graph, {"n": 1})
    order = module._costliest_input_first(storage)
    assert storage.peak(order) == lowest_peak(storage)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 5), st.integers(0, 10**6))
def test_on_small_trees_the_best_order_is_near_the_best_of_all(count, seed):
    graph = tree(count, random.Random(seed))
    storage = Storage(graph, typical_sizes(graph))
    assert storage.peak(scheduled(graph).order) <= 1.25 * lowest_peak(storage)


def tree(count: int, generator: random.Random) -> Graph:
    """Values each read once, of different sizes."""
    x = gw.input("x", ("n", 8))
    values = [gw.ops.exp(x[:, : generator.randrange(1, 9)]) for _ in range(3)]
    while len(values) > 1:
        a = values.pop(generator.randrange(len(values)))
        if generator.random() < 0.4 and count > 0:
            values.append(gw.ops.exp(a))
            count -= 1
        else:
            b = values.pop(generator.randrange(len(values)))
            values.append(a.sum(1, keepdims=True) - b)
    return Graph([x], values)


def lowest_peak(storage: Storage) -> int:
    """Over all orders: for every set of operations that may be done, the lowest peak on the way."""
    nodes = storage.graph.operations
    needs = {node: {t.node for t in node.inputs} & set(nodes) for node in nodes}
    lowest: dict[frozenset[Node], int] = {frozenset(): 0}
    for _ in nodes:
        longer: dict[frozenset[Node], int] = {}
        for done, most in lowest.items():
            for node in nodes:
                if node not in done and needs[node] <= done:
                    now = max(most, live_bytes(storage, done, node))
                    after = done | {node}
                    longer[after] = min(now, longer.get(after, now))
        lowest = longer
    return min(lowest.values())


def live_bytes(storage: Storage, done: frozenset[Node], node: Node) -> int:
    """What is live while `node` runs, after those in `done`."""
    live = sum(storage.nbytes[base] for base in storage.writes(node))
    for base, readers in storage.readers.items():
        if base.node in done and (base in storage.kept or not done.issuperset(readers)):
            live += storage.nbytes[base]
    return live


# Large graphs.


def deep(count: int) -> Graph:
    x = gw.input("x", ("n", 4))
    y = x
    for i in range(count):
        y = y + x if i % 2 else gw.ops.exp(y)
    return Graph([x], [y])


def wide(count: int) -> Graph:
    x = gw.input("x", ("n", 4))
    e = gw.ops.exp(x)
    return Graph([x], [gw.ops.exp(e * float(i)).sum() for i in range(count // 4)])


@pytest.mark.parametrize("make", [deep, wide, tangled])
def test_work_grows_with_the_size_of_the_graph_and_no_faster(make, monkeypatch):
    steps = 0
    push = module.heapq.heappush

    def counted(heap, item):
        nonlocal steps
        steps += 1
        push(heap, item)

    monkeypatch.setattr(module.heapq, "heappush", counted)
    work = []
    for count in (1_000, 10_000):
        steps = 0
        graph = make(count)
        check_order(graph, scheduled(graph).order)
        work.append(steps / len(graph.operations))
    assert work[1] < 1.5 * work[0] + 1
