"""Branches and loops in diagrams: what they hold is drawn inside them."""

import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from support.diagrams import read_dot, read_mermaid

import graphwright as gw
from graphwright import ops
from graphwright.graph.graph import Graph
from graphwright.graph.node import Origin, derived
from graphwright.ops.scan import Scan
from graphwright.viz.builder import view_of
from graphwright.viz.dot import dot
from graphwright.viz.fold import folded
from graphwright.viz.mermaid import mermaid
from graphwright.viz.text import text

GOLDEN = Path(__file__).parent / "golden"
WRITERS = {"txt": text, "mmd": mermaid, "dot": dot}


def recurrent():
    """A scan in a scope, whose body has a scope of its own and reads a parameter."""
    x = gw.input("x", ("time", 2))
    with gw.scope("rnn"):
        w = gw.parameter("rnn/w", np.ones(2, np.float32))

        def step(h, row):
            with gw.scope("cell"):
                h = ops.tanh(h * w + row)
            return h, -h

        last, written = gw.scan(step, ops.zeros((2,)), x)
    return Graph([x], [last, written])


def newton():
    """A while loop in a branch."""
    a = gw.input("a", ())
    root = gw.cond(
        a > 0,
        lambda: gw.while_loop(lambda x: x * x - a > 1e-3, lambda x: (x + a / x) / 2, a, bound=9),
        lambda: a,
    )
    return Graph([a], [root])


def diagrams(graph):
    view = view_of(graph)
    return read_dot(dot(view)), read_mermaid(mermaid(view))


def edges(diagram, tail, head, label):
    """How many edges there are between vertices with these titles."""
    words = {key: vertex["label"].split("\n") for key, vertex in diagram.vertices.items()}
    return sum(
        tail in words[a] and head in words[b] and edge.get("label", "").strip() == label
        for a, b, edge in diagram.edges
    )


@pytest.mark.parametrize("language", WRITERS)
@pytest.mark.parametrize("graph", [recurrent, newton])
def test_small_graphs_are_written_as_their_golden_files_say(graph, language):
    written = WRITERS[language](view_of(graph()))
    written = re.sub(r"test_viz_control_flow\.py:\d+", "test_viz_control_flow.py:0", written)
    assert written == (GOLDEN / f"{graph.__name__}.{language}").read_text()


def test_a_loop_is_a_box_with_its_body_and_the_scopes_in_it():
    for diagram in diagrams(recurrent()):
        assert diagram.path("carried") == diagram.path("slice") == ["rnn", "scan: step"]
        assert diagram.path("scan") == ["rnn", "scan: step"]
        assert diagram.path("tanh") == ["rnn", "scan: step", "cell"]
        assert diagram.path("broadcast_to") == ["rnn"]


def test_what_is_carried_comes_in_goes_round_and_leaves():
    for diagram in diagrams(recurrent()):
        assert edges(diagram, "broadcast_to", "carried", "f32[2]") == 1
        assert edges(diagram, "x", "slice", "f32[time,2]") == 1
        assert edges(diagram, "tanh", "carried", "next") == 1
        assert edges(diagram, "carried", "scan", "f32[2]") == 1
        assert edges(diagram, "negative", "scan", "written: f32[2]") == 1
        assert edges(diagram, "scan", "output 1", "1: f32[time,2]") == 1


def test_an_edge_to_the_next_step_has_a_look_of_its_own():
    view = view_of(recurrent())
    for diagram, key in ((read_dot(dot(view)), "color"), (read_mermaid(mermaid(view)), "style")):
        looks = {edge[key]: edge.get("label", "").strip() == "next" for *_, edge in diagram.edges}
        assert sorted(looks.values()) == [False, True]


def test_mermaid_meets_the_beginning_of_later_loops_first():
    # Its layout turns round the edges that close cycles as it finds them.
    x = gw.input("x", (3, 2))

    def outer(h, row):
        inner = gw.while_loop(lambda v: v.sum() > 1, lambda v: v / 2, row, bound=3)
        return h + inner, h

    _, first = gw.scan(outer, ops.zeros((2,)), x)
    _, second = gw.scan(lambda h, row: (h + row, h), ops.zeros((2,)), first)
    written = mermaid(view_of(Graph([x], [second])))
    diagram = read_mermaid(written)
    early = re.findall(r"^  (n\d+)$", written, re.MULTILINE)
    paths = [[diagram.boxes[box]["label"] for box in diagram.around[key]] for key in early]
    assert paths == [["scan: step"], ["scan: step"], ["scan: step", "while_loop"]]
    assert diagram.around[early[1]] == diagram.around[early[2]][:1] != diagram.around[early[0]]


def test_branches_are_boxes_and_what_they_give_is_told_apart():
    for diagram in diagrams(newton()):
        inside = ["cond", "then", "while_loop"]
        assert diagram.path("while_loop") == diagram.path("carried") == inside
        assert diagram.path("add") == [*inside, "step"]
        assert diagram.path("subtract") == [*inside, "condition"]
        assert edges(diagram, "while_loop", "cond", "then: f32[]") == 1
        assert edges(diagram, "a", "cond", "otherwise: f32[]") == 1
        assert edges(diagram, "greater", "cond", "condition: bool[]") == 1
        assert edges(diagram, "greater", "while_loop", "condition: bool[]") == 1
        # What is the same in each step and each branch comes from where it is.
        assert edges(diagram, "a", "divide", "f32[]") == 1
        assert edges(diagram, "a", "subtract", "f32[]") == 1


def test_text_tells_what_is_carried_and_what_is_what():
    written = text(view_of(recurrent()))
    assert "│ ║ → %2.x0 = carried(%1, then %2.2) " in written
    assert "│ ║ → %2.x1 = slice(x) " in written
    assert "│ ║ │ → %2.2 = tanh(%2.1) " in written
    assert "│ ║ → %2, %3 = scan(%2.x0, written=%2.3, length=time) " in written
    assert "cond(condition=%1, then=%2.then.0, otherwise=a)" in text(view_of(newton()))


def test_no_vertex_holds_the_text_of_a_graph():
    for graph in (recurrent(), newton()):
        for vertex in view_of(graph).vertices.values():
            assert not re.search("graph|carried=|slices=", vertex.detail)


def test_a_parameter_is_a_badge_inside_the_loop_that_reads_it():
    view = view_of(recurrent())
    (key,) = (v.key for v in view.vertices.values() if v.role == "parameter")
    titles = {m.key: m.title for _, m in view.walk()}
    assert [titles[box] for box in view.around[key]] == ["rnn", "scan: step", "cell"]


def test_a_function_with_its_own_gradient_shows_both_graphs():
    @gw.custom_gradient
    def clipped(x):
        return x * 2.0, lambda g: ops.clip(g, -1, 1)

    x = gw.input("x", (2,))
    for diagram in diagrams(Graph([x], [clipped(x)])):
        assert diagram.path("multiply") == ["custom_gradient", "forward"]
        assert diagram.path("clip") == ["custom_gradient", "backward"]
        assert edges(diagram, "received", "clip", "f32[2]") == 1
        assert edges(diagram, "clip", "custom_gradient", "backward: f32[2]") == 1


def test_a_checkpoint_is_one_box():
    x = gw.input("x", (2,))
    graph = Graph([x], [gw.checkpoint(lambda v: ops.exp(ops.sin(v)))(x)])
    for diagram in diagrams(graph):
        assert diagram.path("exp") == diagram.path("checkpoint") == ["checkpoint"]
        assert edges(diagram, "exp", "checkpoint", "f32[2]") == 1


def test_fused_groups_stand_inside_the_bodies_of_loops():
    graph = recurrent()
    compiled = gw.compile(graph.inputs, list(graph.outputs))
    for diagram in diagrams(compiled.stages["fused"]):
        assert diagram.path("tanh") == ["rnn", "scan: step", "fused elementwise"]


def test_all_that_a_backward_loop_runs_is_backward():
    graph = recurrent()
    (x,) = graph.inputs
    loss = graph.outputs[1].sum()
    compiled = gw.compile(x, (loss, gw.grad(loss, x)))
    view = view_of(compiled.stages["fused"])
    (loop,) = (v for v in view.vertices.values() if "reverse" in v.detail)
    box = view.around[loop.key][-1]
    body = [v for v in view.vertices.values() if box in view.around[v.key]]
    assert len(body) > 5 and {v.phase for v in body} == {"backward"}
    # Gradients flow up; what goes to the next step flows against them, down.
    written = [line.split() for line in dot(view).splitlines() if " next" in line]
    down = {words[2].partition(":")[0] for words in written if "dir=back]" not in words}
    assert down == {e.head for e in view.edges if e.kind == "next" and e.phase == "backward"}
    assert len(written) > len(down) > 0


def test_what_a_gradient_computes_again_is_backward_too():
    x = gw.input("x", (2,))
    y = gw.cond(x.sum() > 0, lambda: ops.exp(ops.sin(x)).sum(), lambda: x.sum())
    view = view_of(Graph([x], [y, gw.grad(y, x)]))
    found = Counter((v.title, v.phase) for v in view.vertices.values())
    assert found["sin", "forward"] == found["sin", "backward"] == 1


def test_each_of_several_states_goes_on_to_itself():
    x = gw.input("x", (2,))
    (a, b), _ = gw.scan(lambda s, row: ((s[0] + row, s[1] * row), None), (x.sum(), x.mean()), x)
    written = text(view_of(Graph([x], [a, b])))
    added, times = (
        re.search(rf"(%\d+\.\d+) = {name}\(", written)[1] for name in ("add", "multiply")
    )
    assert re.search(rf"x0 = carried\(%\d, then {added}\)", written)
    assert re.search(rf"x1 = carried\(%\d, then {times}\)", written)


def test_ports_stand_in_their_loop_wherever_its_graph_was_made():
    with gw.scope("elsewhere"):
        h, row = gw.input("h", (2,)), gw.input("row", (2,))
        step = Graph([h, row], [h + row])
    x = gw.input("x", (3, 2))
    last = Scan(step, carried=1, slices=1, length=3, reverse=False)(ops.zeros((2,)), x)
    for diagram in diagrams(Graph([x], [last])):
        assert diagram.path("carried") == diagram.path("scan") == ["scan: step"]
        assert diagram.path("add") == ["scan: step", "elsewhere"]


def test_what_only_the_next_step_needs_is_forward_when_the_result_is():
    x = gw.input("x", ())
    y = gw.while_loop(lambda v: v < 1, lambda v: ops.exp(v), x, bound=3)
    view = view_of(Graph([x], [y]))
    assert view.phases == ("forward",)


def test_large_bodies_are_folded_by_depth():
    view = view_of(newton())
    assert view.depth == 4
    small = folded(view, 2)
    assert {(v.title, v.detail) for v in small.vertices.values() if v.role == "folded"} == {
        ("while_loop", "7 operations")
    }
    titles = {v.title for v in folded(view, 0).vertices.values()}
    assert titles == {"a", "greater", "0.0", "cond", "output"}
    three = folded(view, 3)
    assert [e.kind for e in three.edges].count("next") == 1
    for each in (small, three):
        read_dot(dot(each)), read_mermaid(mermaid(each))


def test_a_state_that_stays_as_it_is_goes_round_all_the_same():
    x = gw.input("x", (2,))
    _, y = gw.scan(lambda h, row: (h, h * row), x.sum(), x)
    for diagram in diagrams(Graph([x], [y])):
        assert edges(diagram, "carried", "carried", "next") == 1


def test_a_constant_that_a_loop_goes_on_with_is_told_from_what_it_starts_with():
    x = gw.input("x", (2,))
    one, two = gw.constant(np.float32(1)), gw.constant(np.float32(2))
    _, y = gw.scan(lambda h, row: (two, h * row), one, x)
    for diagram in diagrams(Graph([x], [y])):
        assert edges(diagram, "2.0", "carried", "next") == 1
        assert edges(diagram, "1.0", "carried", "next") == 0


@pytest.mark.parametrize("phase", ["forward", "backward"])
def test_what_leaves_a_loop_stands_behind_its_steps(phase):
    x = gw.input("x", (3, 2))
    with derived(Origin(phase=phase)):
        last, _ = gw.scan(lambda h, row: (ops.exp(h) * row, None), ops.zeros((2,)), x)
    written = dot(view_of(Graph([x], [last])))
    diagram = read_dot(written)
    step, leaves = diagram.find("multiply"), diagram.find("scan")
    upper, lower = (step, leaves) if phase == "forward" else (leaves, step)
    assert f"  {upper} -> {lower} [style=invis" in written


@gw.ops.register
class Twice(ops.Operator):
    """Runs a graph on its input, and once more on what that gives."""

    name = "twice"
    higher_order = True

    function: Graph

    def infer(self, x):
        return x


def test_an_operator_of_ones_own_that_holds_a_graph_is_drawn():
    x, a = gw.input("x", (2,)), gw.input("a", (2,))
    graph = Graph([x], [Twice(Graph([a], [ops.exp(a)]))(x)])
    for diagram in diagrams(graph):
        assert diagram.path("exp") == diagram.path("twice") == ["twice: function"]
        assert edges(diagram, "x", "exp", "f32[2]") == 1
