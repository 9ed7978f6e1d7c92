"""What is told of compiled functions with branches and loops."""

import re

import numpy as np

import graphwright as gw
from graphwright import ops
from graphwright.graph.text import nested_names
from graphwright.ops.checkpoint import Checkpoint


def recurrent():
    """A scan with a matrix product and a fused group in its step."""
    x, h = gw.input("x", ("time", 3)), gw.input("h", (3,))
    w = gw.constant(np.eye(3, dtype=np.float32))
    last, _ = gw.scan(lambda h, row: (ops.tanh(h @ w + row), None), h, x)
    return gw.compile([x, h], last)


def test_the_summary_lists_the_kernels_of_each_step_below_the_loop():
    table = recurrent().summary(time=10).split("\n\n")[0].splitlines()[2:]
    names = [re.match(r" *[a-z_]+( \(\d+\))?", line)[0] for line in table]
    assert names == ["scan", "  step", "    matmul", "    fused (3)"]
    flops = [int(re.search(r" (\d+) +\d+ B", line)[1]) for line in table]
    # 3 × 3 products and sums.
    assert flops[2] == 2 * 3 * 3
    assert flops[1] == flops[2] + flops[3]
    assert flops[0] == 10 * flops[1]


def test_kernels_of_bodies_are_not_counted_again():
    compiled = recurrent()
    assert "kernels     1 (" in compiled.summary(time=10)
    once, twice = (re.search(r"work +(\d+) FLOP", compiled.summary(time=n))[1] for n in (1, 2))
    assert int(once) == 2 * 3 * 3 + 2 * 3
    assert int(twice) == 2 * int(once)


def test_the_summary_says_that_bodies_take_memory_of_their_own_where_there_are_any():
    x = gw.input("x", (3,))
    assert "bodies" in recurrent().summary(time=10)
    assert "bodies" not in gw.compile(x, ops.exp(x)).summary()


def test_both_branches_are_listed():
    x = gw.input("x", (4,))
    choice = gw.cond(x.sum() > 0, lambda: ops.exp(x), lambda: ops.sin(ops.sin(x)))
    summary = gw.compile(x, choice).summary()
    for words in ("\ncond ", "\n  then ", "\n    exp ", "\n  otherwise ", "\n    fused (2) "):
        assert words in summary


def test_what_is_within_the_body_of_a_loop_is_listed_in_it():
    x = gw.input("x", (5, 4))

    def step(h, row):
        return gw.cond(row.sum() > 0, lambda: ops.exp(h), lambda: row @ row * h), None

    summary = gw.compile(x, gw.scan(step, ops.zeros((4,)), x)[0]).summary()
    for words in ("\nscan ", "\n  step ", "\n    cond ", "\n      then ", "\n        matmul "):
        assert words in summary


def test_a_graph_that_several_nodes_hold_is_called_after_the_first():
    x, a = gw.input("x", (4,)), gw.input("a", (4,))
    block = Checkpoint(gw.Graph([a], [ops.exp(a)]))
    graph = gw.Graph([x], [block(block(x))])
    assert set(nested_names(graph).values()) == {"x", "%0", "%1", "%0.a", "%0.0"}


def test_the_why_log_names_what_is_inside_as_the_printed_stages_number_it():
    compiled = recurrent()
    text = compiled.explain()
    (line,) = (line for line in text.splitlines() if "matmul is neither" in line)
    (name,) = re.findall(r"\((%[\d.]+)\)", line)
    found = {called: tensor for tensor, called in nested_names(compiled.stages["laid_out"]).items()}
    assert found[name].node.op.name == "matmul"


def test_names_within_say_which_of_several_graphs():
    x = gw.input("x", (4,))
    choice = gw.cond(x.sum() > 0, lambda: ops.exp(ops.exp(x)), lambda: ops.sin(x))
    names = set(nested_names(gw.Graph([x], [choice])).values())
    assert {"x", "%0", "%3", "%3.then.0", "%3.then.1", "%3.otherwise.0"} <= names


def test_the_graphs_of_a_plan_are_indented_under_their_step():
    lines = recurrent().text("planned").splitlines()
    (start,) = (i for i, line in enumerate(lines) if "= scan(" in line)
    inside = lines[start + 1 : next(i for i in range(start, len(lines)) if "carried=1" in lines[i])]
    assert len(inside) > 3
    assert all(line.startswith(" " * 12) for line in inside)
    assert lines[0] == "plan {" and lines[-1] == "}"
