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
from graphwright.compiler.plan_memory import plan_memory
from graphwright.compiler.schedule import (
    TYPICAL_SIZE,
    Schedule,
    peak,
    schedule,
    typical_sizes,
)
from graphwright.compiler.storage import Storage
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
    """By giving every tensor a cell, and looking at every step at all cells that are still needed.

    A cell that holds a result in the end is the result's memory, and counts nothing.
    """
    cell: dict[Tensor, int] = {}  # of tensors outside leaves and constants
    dense: dict[Tensor, bool] = {}
    nbytes: list[int] = []
    live: list[set[int]] = []
    order = list(order)
    for now, node in enumerate(order):
        later = {t for other in order[now + 1 :] for t in other.inputs} | set(graph.results)
        before = {cell[t] for t in node.inputs if t in cell}
        base = node.inputs[0] if node.inputs else None
        for out in node.outputs:
            strided = node.op.view == "strided"
            if isinstance(node.op, Constant):
                continue
            dense[out] = not strided or out in set(graph.results)
            if node.op.view and dense.get(base, True) | strided and out not in set(graph.results):
                if base in cell:
                    cell[out] = cell[base]
                continue
            dense[out] = True
            for t in node.inputs if node.op.elementwise else ():
                shared = [o for o in node.inputs if o is not t and cell.get(o, -1) == cell.get(t)]
                needed = t in cell and any(cell.get(o) == cell[t] for o in later)
                if t in cell and t.type == out.type and dense[t] and not shared and not needed:
                    cell[out] = cell[t]
                    break
            else:
                cell[out] = len(nbytes)
                nbytes.append(int(np.prod(out.type.bind(sizes).shape)) * out.dtype.itemsize)
        made = {t for other in order[: now + 1] for t in other.outputs}
        kept = {cell[t] for t in later & made if t in cell}
        live.append(before | kept | {cell[t] for t in node.outputs if t in cell})
    results = {cell[t] for t in graph.results if t in cell}
    return max((sum(nbytes[c] for c in cells - results) for cells in live), default=0)


# What is counted.


def test_values_count_from_their_step_to_their_last_reader():
    x = gw.input("x", ("n",))
    first = gw.ops.exp(x)
    graph = Graph([x], [gw.ops.exp(first.sum() + gw.ops.cast(first, np.float64).sum())])
    # exp and its copy; the first sum, as float64, lies in the memory of the result already
    assert peak(graph.operations, graph, {"n": 100}) == 400 + 800
    assert peak(graph.operations, graph, {"n": 1}) == 8 + 8  # the copy and its sum
    assert peak(graph.operations, graph, {"n": 0}) == 8


def test_inputs_parameters_constants_and_results_count_nothing():
    x, w = gw.input("x", (100,)), gw.parameter("w", np.ones(100, np.float32))
    constant = gw.constant(np.ones(100, np.float32))
    graph = Graph([x], [x + w, x.sum(), x * constant], {w: w + x})
    assert peak(graph.operations, graph, {}) == 0


def test_what_a_result_is_written_over_lies_in_its_memory_from_the_start():
    x = gw.input("x", (100,))
    graph = Graph([x], [gw.ops.exp(-(x + 1))])
    assert peak(graph.operations, graph, {}) == 0
    other = Graph([x], [gw.ops.exp(-(x + 1)).sum()])
    assert peak(other.operations, other, {}) == 400


def test_a_view_costs_nothing_and_keeps_what_it_views():
    x = gw.input("x", (10, 10))
    y = gw.ops.exp(x)
    view = gw.ops.reshape(y, (100,))
    z = gw.ops.exp(x)
    graph = Graph([x], [z.sum() + view.sum()])
    rest = [node for node in graph.operations if node.op.name in ("sum", "add")]
    assert peak([y.node, view.node, z.node, *rest], graph, {}) == 800
    assert peak([y.node, z.node, view.node, *rest], graph, {}) == 800


def test_the_values_within_a_fused_node_count_while_it_runs():
    x = gw.input("x", (10, 10))
    e = gw.ops.exp(x)
    graph = fuse(Graph([x], [(e / e.sum(1, keepdims=True)).sum(0)]), Log())
    assert [node.op.name for node in graph.operations] == ["fused", "sum"]
    # exp and its sums within the group; the quotient is written over exp
    assert peak(graph.operations, graph, {}) == 440


def test_an_operation_that_writes_over_its_input_needs_no_more():
    x = gw.input("x", (100,))
    e = gw.ops.exp(x)
    once, again = -e, gw.ops.cast(e, np.float64)
    storage = Storage(Graph([x], [once.sum()]), {})
    assert [storage.running(t.node) for t in (e, once)] == [400, 0]
    storage = Storage(Graph([x], [once.sum(), again.sum()]), {})
    assert [storage.running(t.node) for t in (e, once, again)] == [400, 400, 800]


def test_sizes_that_would_be_negative_count_nothing():
    n = gw.dim("n")
    x = gw.input("x", (n,))
    y = gw.input("y", (n - 1000,))
    graph = Graph([x, y], [gw.ops.exp(-y).sum() + gw.ops.exp(x).sum()])
    assert typical_sizes(graph) == {"n": TYPICAL_SIZE}
    assert peak(graph.operations, graph, {"n": TYPICAL_SIZE}) >= 256
    check_order(graph, scheduled(graph).order)


@settings(max_examples=100, deadline=None)
@given(st.integers(2, 40), st.integers(0, 10**6), st.booleans())
def test_what_is_counted_is_what_the_plan_needs(count, seed, fusing):
    graph = tangled(count, seed, width=16)
    graph = Graph(graph.inputs, [gw.ops.exp(tensor) for tensor in graph.outputs])
    graph = fuse(graph, Log()) if fusing else graph
    for order in all_orders(graph):
        plan = plan_memory(Schedule(graph, tuple(order)), Log())
        # Sizes are such that nothing is rounded up.
        assert peak(order, graph, {"n": 16}) <= plan.layout({"n": 16}).lower_bound


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
    graph = Graph([x], [(small - wide.sum(0)).sum()])
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


def test_independent_branches_never_live_together():
    x = gw.input("x", ("n",))
    branches = [gw.ops.exp(x * float(i)).sum() for i in range(20)]
    graph = Graph([x], branches)
    assert peak(scheduled(graph).order, graph, {"n": 1000}) == 4000


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
    graph = Graph([x], [gw.ops.exp(-x).sum()])
    log = Log()
    assert schedule(graph, log).order == graph.operations
    (event,) = log.events
    assert not event.applied
    assert event.what == "the graph's own order is best: peak 256 bytes at n=64"


def test_the_log_can_deny_another_order():
    x = gw.input("x", ("n",))
    wide = gw.ops.exp(gw.ops.broadcast_to(x, (10, *x.shape)))
    graph = Graph([x], [(gw.ops.exp(x) - wide.sum(0)).sum()])
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


def tangled(count: int, seed: int = 0, width: int = 4) -> Graph:
    generator = random.Random(seed)
    x = gw.input("x", ("n", width))
    values: list[Tensor] = [x]
    while len(values) < count:
        recent = values[-30:]
        a, b = generator.choice(recent), generator.choice(recent)
        kind = generator.random()
        if kind < 0.2:
            values.append(gw.ops.reshape(a, (width, x.shape[0])).T)
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
        last = [m for m in storage.reads[node] if set(storage.readers[m]) - done == {node}]
        return cost(storage.writes[node]) - cost(last)

    def backward(node: Node, done: set[Node]) -> int:
        first = [m for m in storage.reads[node] if not done.intersection(storage.readers[m])]
        return cost(first) - cost(storage.writes[node])

    def cost(memories) -> int:
        return sum(storage.nbytes[memory] for memory in memories)

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
@given(st.integers(2, 8), st.integers(0, 10**6))
def test_on_trees_of_equal_sizes_costliest_input_first_is_the_best_of_all(leaves, seed):
    # Sethi and Ullman, 1970, theorem 2.
    generator = random.Random(seed)
    x = gw.input("x", ("n",))
    values = [x] * leaves
    while len(values) > 1:
        a = values.pop(generator.randrange(len(values)))
        b = values.pop(generator.randrange(len(values)))
        values.append((gw.ops.exp(a) if a is x else a) - (gw.ops.exp(b) if b is x else b))
    graph = Graph([x], [values[0].sum()])
    order = module._costliest_input_first(Storage(graph, {"n": 1}))
    assert peak(order, graph, {"n": 1}) == lowest_peak(graph, {"n": 1})


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 5), st.integers(0, 10**6))
def test_on_small_trees_the_best_order_is_near_the_best_of_all(count, seed):
    graph = tree(count, random.Random(seed))
    sizes = typical_sizes(graph)
    assert peak(scheduled(graph).order, graph, sizes) <= 1.25 * lowest_peak(graph, sizes)


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
    return Graph([x], [values[0].sum()])


def lowest_peak(graph: Graph, sizes: dict[str, int]) -> int:
    """Over all orders of a tree: for every set of operations done, the lowest peak on the way."""
    nodes = [node for node in graph.operations if not node.op.view]
    needs = {node: {t.node for t in node.inputs} & set(nodes) for node in nodes}
    results = set(graph.results)

    def size(tensor: Tensor) -> int:
        bound = tensor.type.bind(sizes)
        return 0 if tensor in results else int(np.prod(bound.shape)) * tensor.dtype.itemsize

    def running(node: Node, done: frozenset[Node]) -> int:
        waiting = {t for n in nodes if n not in done for t in n.inputs if t.node in done}
        out = node.outputs[0]
        over = node.op.elementwise and any(t in waiting and t.type == out.type for t in node.inputs)
        return sum(map(size, waiting)) + (0 if over else size(out))

    lowest: dict[frozenset[Node], int] = {frozenset(): 0}
    for _ in nodes:
        longer: dict[frozenset[Node], int] = {}
        for done, most in lowest.items():
            for node in nodes:
                if node not in done and needs[node] <= done:
                    now, after = max(most, running(node, done)), done | {node}
                    longer[after] = min(now, longer.get(after, now))
        lowest = longer
    return min(lowest.values())


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
