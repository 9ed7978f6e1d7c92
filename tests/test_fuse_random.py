"""Fusion of graphs drawn at random, and of large ones: values stay, work is in proportion."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.fusion import SIZES, arrays, check_values, contents, fused, groups, mixing

import graphwright as gw
from graphwright.compiler import grouping
from graphwright.compiler.fuse import fuse
from graphwright.compiler.fused import Fused
from graphwright.compiler.log import Log
from graphwright.compiler.partition import Partition
from graphwright.graph.evaluate import evaluate_graph
from graphwright.graph.graph import Graph
from graphwright.graph.node import Node
from graphwright.graph.parse import parse
from graphwright.graph.text import text

# Random graphs.


@st.composite
def random_graphs(draw, square=False):
    """A graph of elementwise operations, reductions, broadcasts, unit reshapes and mixing."""
    rows = 4 if square else gw.dim("n")
    shapes = [(rows, 4), (rows, 4), (4,), (rows, 1), ()]
    values = [gw.input(f"x{i}", shape) for i, shape in enumerate(shapes)]
    inputs = list(values)
    kinds = ["unary", "binary", "binary", "sum", "spread", "wide", "unit", "mixing"]
    for _ in range(draw(st.integers(1, 30))):
        x = values[-1 - draw(st.integers(0, min(len(values) - 1, 6)))]
        kind = draw(st.sampled_from(kinds))
        if kind == "unary":
            values.append(gw.ops.abs(x) if draw(st.booleans()) else -x)
        elif kind == "binary":
            fitting = [y for y in values if fits(x.shape, y.shape)]
            y = fitting[draw(st.integers(0, len(fitting) - 1))]
            values.append(gw.ops.maximum(x, y) if draw(st.booleans()) else x - y)
        elif kind == "sum" and x.ndim:
            values.append(x.sum(draw(st.integers(0, x.ndim - 1)), keepdims=draw(st.booleans())))
        elif kind == "spread" and x.ndim:
            values.append(x - x.sum(draw(st.integers(0, x.ndim - 1)), keepdims=True))
        elif kind == "wide" and x.ndim < 3 and fits(x.shape, (rows, 4)):
            values.append(gw.ops.broadcast_to(x, (rows, 4)))
        elif kind == "unit":
            values.append(gw.ops.expand_dims(x, draw(st.integers(0, x.ndim))) if x.ndim < 3 else -x)
        elif kind == "mixing":
            values.append(mixing(x))
    results = draw(st.lists(st.sampled_from(values[len(inputs) - 1 :]), min_size=1, max_size=4))
    return Graph(inputs, results)


def fits(left, right) -> bool:
    pairs = zip(reversed(left), reversed(right), strict=False)
    return all(a == 1 or b == 1 or a == b for a, b in pairs)


def computing(graph: Graph) -> list[str]:
    """The names of the operations that compute, those in groups as well, sorted."""
    free = {"constant", "size", "broadcast_to", "reshape", "expand_dims", "squeeze", "fused"}
    inner = [n for node in groups(graph) for n in node.op.body.operations]
    return sorted(n.op.name for n in (*graph.operations, *inner) if n.op.name not in free)


@settings(max_examples=200, deadline=None)
@given(random_graphs())
def test_random_graphs_compute_the_same_and_nothing_twice(graph):
    after = fused(graph)
    check_values(graph, after, *SIZES)
    assert computing(after) == computing(graph)
    assert parse(text(after)) == after
    assert all(len(content.split()) > 2 for content in contents(after))
    for node in groups(after):
        folds = any(inner.op.reduction for inner in node.op.body.operations)
        assert node.op.kind == ("rows" if folds else "elementwise")


@settings(max_examples=200, deadline=None)
@given(random_graphs(square=True) | random_graphs())
def test_no_element_of_a_group_depends_on_what_another_iteration_reads(graph):
    for node in groups(fused(graph)):
        check_locality(node.op.bind({"n": 4}))


def check_locality(op: Fused) -> None:
    """Change one element of one input: only values of the same iteration may change.

    Only inputs and outputs of the whole 4 × 4 space are compared, where an index is an iteration.
    """
    if any(tensor.size > 16 for node in op.body.operations for tensor in node.outputs):
        return  # a space of three axes, in which 4 × 4 may lie in several ways
    values = arrays(op.body, {})
    before = evaluate_graph(op.body, values, {})
    folded = {axes for n in op.body.operations if n.op.reduction and (axes := folded_axes(n))}
    assert len(folded) <= 1
    rows = [axis for axis in (0, 1) if axis not in next(iter(folded), ())]
    for tensor in op.body.inputs:
        if np.squeeze(values[tensor]).shape != (4, 4):
            continue
        changed = values[tensor].copy()
        changed.reshape(4, 4)[1, 2] += 5
        after = evaluate_graph(op.body, {**values, tensor: changed}, {})
        for old, new in zip(map(np.squeeze, before), map(np.squeeze, after), strict=True):
            if old.shape == (4, 4):
                for index in np.argwhere(old != new):
                    assert all(index[axis] == (1, 2)[axis] for axis in rows)


def folded_axes(node: Node) -> tuple[int, ...]:
    """Which of the two axes of size 4 a reduction folds; none for an input with one such axis."""
    large = [axis for axis, size in enumerate(node.inputs[0].shape) if size == 4]
    return tuple(i for i, axis in enumerate(large) if axis in node.op.axes and len(large) == 2)


# Large graphs.


def chain(count: int) -> Graph:
    x = gw.input("x", ("n", 10))
    y = x
    for i in range(count):
        y = y + x if i % 2 else gw.ops.exp(y)
    return Graph([x], [y])


def wide(count: int) -> Graph:
    x = gw.input("x", ("n", 10))
    e = gw.ops.exp(x)
    values = [mixing(gw.ops.exp(e * float(i))) for i in range(count // 5)]
    while len(values) > 1:
        odd = values[-1:] if len(values) % 2 else []
        values = [a + b for a, b in zip(values[::2], values[1::2], strict=False)] + odd
    return Graph([x], values)


def tangled(count: int) -> Graph:
    generator = random.Random(0)
    x = gw.input("x", ("n", 10))
    values = [x]
    while len(values) < count:
        a, b = generator.choice(values), generator.choice(values)
        kind = generator.random()
        if kind < 0.15:
            values.append(mixing(a))
        elif kind < 0.3:
            values.append(a - a.sum(generator.randrange(2), keepdims=True))
        else:
            values.append(gw.ops.exp(a) if kind < 0.6 else a + b)
    read = {tensor for value in values for tensor in value.node.inputs}
    return Graph([x], [value for value in values if value not in read])


@pytest.mark.parametrize("make", [chain, wide, tangled])
def test_work_grows_with_the_size_of_the_graph_and_no_faster(make, monkeypatch):
    steps = 0

    def counted(function):
        def counting(*args):
            nonlocal steps
            steps += 1
            return function(*args)

        return counting

    # The inner loops: pairs looked at, and edges followed.
    monkeypatch.setattr(grouping.Grouping, "_joined", counted(grouping.Grouping._joined))
    walk = Partition._walk

    def walking(*args):
        nonlocal steps
        for step in walk(*args):
            steps += 1
            yield step

    monkeypatch.setattr(Partition, "_walk", walking)
    work, events = [], []
    for count in (1_000, 10_000):
        steps = 0
        log = Log()
        graph = make(count)
        fuse(graph, log)
        work.append(steps / len(graph.operations))
        events.append(len(log.events) / len(graph.operations))
    assert work[1] < 200
    assert events[1] < 2 * events[0] + 0.1 < 4
