"""Branches and loops: what passes make of them."""

from __future__ import annotations

import numpy as np
from support.loops import rnn, rnn_inputs, value

import graphwright as gw
from graphwright.compiler.join import join
from graphwright.compiler.log import Log
from graphwright.compiler.prune import prune
from graphwright.compiler.simplify import simplify
from graphwright.graph.graph import Graph


def operations(graph):
    return [node.op.name for node in graph.operations]


def test_loops_over_constants_are_not_run_while_compiling():
    x = gw.input("x", (), "float64")
    endless = lambda: gw.while_loop(lambda s: True, lambda s: s + 1, np.float64(0))  # noqa: E731
    f = gw.compile(x, gw.cond(x > 0, endless, lambda: x))
    assert f(-1.0) == -1


def test_one_loop_runs_for_the_value_and_the_gradient():
    inputs = rnn_inputs()
    last, rows = rnn(*inputs)
    graph = Graph(inputs, [rows, *gw.grad(last.sum(), inputs[2:])])
    assert operations(graph).count("scan") == 3  # the user's, that which writes more, and back
    joined = join(simplify(graph, Log()), Log())
    assert operations(joined).count("scan") == 2


def test_what_nobody_uses_is_not_computed():
    inputs = rnn_inputs()
    last, _ = rnn(*inputs)
    graph = join(Graph(inputs, [gw.grad(last.sum(), inputs[3])]), Log())
    *_, back = [node for node in prune(graph, Log()).operations if node.op.name == "scan"]
    before = [node for node in graph.operations if node.op.name == "scan"][-1]
    # The gradients by x and w go, and so do the sums that they are carried in; x is not read.
    assert len(back.outputs) == 2 < len(before.outputs) == 4
    assert inputs[0] not in set(back.inputs)


def test_pruning_leaves_alone_what_the_condition_needs():
    x = gw.input("x", (3,), "float64")
    _, total, _ = gw.while_loop(
        lambda s: s[0] < 3, lambda s: (s[0] + 1, s[1] + x, s[2] * 2), (np.int64(0), x, x)
    )
    graph = prune(Graph([x], [total]), Log())
    (loop,) = [node for node in graph.operations if node.op.name == "while_loop"]
    assert [str(tensor.type) for tensor in loop.outputs] == ["i64[]", "f64[3]"]
    np.testing.assert_array_equal(value(total, {x: [1.0, 2.0, 3.0]}), [4, 8, 12])


def test_passes_see_inner_graphs():
    x = gw.input("x", (3,), "float64")
    y = gw.cond(x.sum() > 0, lambda: gw.ops.softmax(x * 1, 0), lambda: x + 0)
    f = gw.compile(x, y, check=True)
    (node,) = [node for node in f.stages["simplified"].operations if node.op.name == "cond"]
    assert "softmax" not in operations(node.op.then) and "exp" in operations(node.op.then)
    assert operations(node.op.otherwise) == []
    (node,) = [node for node in f.stages["fused"].operations if node.op.name == "cond"]
    assert operations(node.op.then) == ["fused"]


def test_graphs_within_graphs_are_printed_and_read_back():
    inputs = rnn_inputs()
    last, _ = rnn(*inputs)
    graph = Graph(inputs, gw.grad(last.sum(), inputs))
    assert gw.parse(gw.text(graph)) == graph
