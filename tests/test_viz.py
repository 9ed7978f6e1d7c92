"""Views of graphs, and the languages they are written in."""

import re
from collections import Counter
from pathlib import Path

import networkx
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from support.diagrams import read_dot, read_mermaid
from support.random_graphs import graphs
from support.view_graphs import ones

import graphwright as gw
from graphwright import ops
from graphwright.compiler.fused import Fused
from graphwright.graph.graph import Graph
from graphwright.graph.node import Origin, derived
from graphwright.viz.builder import view_of
from graphwright.viz.dot import dot
from graphwright.viz.flow import lay_open, phases
from graphwright.viz.mermaid import mermaid
from graphwright.viz.text import text
from graphwright.viz.view import Cluster

GOLDEN = Path(__file__).parent / "golden"
WRITERS = {"txt": text, "mmd": mermaid, "dot": dot}


def training():
    """Scopes within each other, a gradient, an update, a parameter read in three phases."""
    x = gw.input("x", ("batch", 4))
    w = gw.parameter("w", ones(4))
    with gw.scope("encoder"), gw.scope("layer_1"):
        y = ops.exp(x * w)
    with gw.scope("loss"):
        loss = y.sum()
    with derived(Origin("encoder/layer_1", phase="backward")):
        gradient = (x * y * w).sum(axis=0)
    with gw.scope("sgd"):
        new = w - 0.5 * gradient
    return Graph([x], [loss], {w: new})


def fused():
    """A fused group of two operations, on an input and a parameter."""
    x, w = gw.input("x", (4,)), gw.parameter("w", ones(4))
    a, b = gw.input("a", (4,)), gw.input("b", (4,))
    with gw.scope("block"):
        inner = Graph([a, b], [ops.exp(a) * b])
        y = Fused("elementwise", inner)(x - 1.0, w)
    return Graph([x], [y + 2.0])


@pytest.mark.parametrize("language", WRITERS)
@pytest.mark.parametrize("graph", [training, fused])
def test_small_graphs_are_written_as_their_golden_files_say(graph, language):
    written = WRITERS[language](view_of(graph()))
    written = re.sub(r"test_viz\.py:\d+", "test_viz.py:0", written)
    assert written == (GOLDEN / f"{graph.__name__}.{language}").read_text()


@pytest.mark.parametrize("language", WRITERS)
def test_the_same_graph_is_written_in_the_same_bytes(language):
    # Made on one line, so that the sources are the same too.
    first, second = (view_of(training()) for _ in range(2))
    assert first == second
    assert WRITERS[language](first) == WRITERS[language](second)


@pytest.mark.parametrize("language", WRITERS)
def test_no_folder_of_the_users_machine_is_written_down(language):
    assert str(Path(__file__).parent) not in WRITERS[language](view_of(training()))


# Phases.


def test_phases_differ_in_colour_and_in_line_style_in_every_language():
    view = view_of(training())
    diagram = read_dot(dot(view))
    boxes = {
        diagram.vertices[diagram.find(title)]["style"]: diagram.vertices[diagram.find(title)]
        for title in ("exp", "axes=(0,)", "subtract")
    }
    assert {style.split(",")[-1] for style in boxes} == {"solid", "dashed", "dotted"}
    assert len({box["color"] for box in boxes.values()}) == 3
    edges = Counter((edge["color"], edge["style"]) for _, _, edge in diagram.edges)
    assert len(edges) == len({color for color, _ in edges}) == len({line for _, line in edges}) == 3

    drawn = {(edge["arrow"], edge["style"]) for _, _, edge in read_mermaid(mermaid(view)).edges}
    assert {arrow for arrow, _ in drawn} == {"-", ".", "="}
    assert len({re.search("stroke:(#......)", look)[1] for _, look in drawn}) == 3

    signs = {name: sign for sign, name in re.findall(r"([→←↻]) (%\d) =", text(view))}
    assert (signs["%1"], signs["%6"], signs["%8"]) == ("→", "←", "↻")


def test_a_legend_tells_phases_only_where_there_are_several():
    one, three = view_of(fused()), view_of(training())
    assert "backward" not in dot(one) + mermaid(one) + text(one)
    assert read_dot(dot(three)).notes[0].split()[:3] == ["forward", "backward", "update"]
    assert "legend" in read_mermaid(mermaid(three)).boxes
    assert "→ forward  ← backward  ↻ update" in text(three)


@given(graphs(steps=10))
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
def test_the_update_is_what_only_updates_need_and_no_gradient_does(graph):
    flow = lay_open(graph)
    edges = networkx.DiGraph()
    edges.add_nodes_from(range(len(flow.steps)))
    for position, step in enumerate(flow.steps):
        edges.add_edges_from((value.step, position) for value in step.inputs)
        edges.add_edges_from((following.step, position) for following, _ in step.returns)
    outputs = {value.step for value in flow.outputs}
    for position, phase in enumerate(phases(flow)):
        after = networkx.descendants(edges, position) | {position}
        backward = {i for i in after if flow.steps[i].backward}
        if position in backward:
            assert phase == "backward"
        else:
            assert (phase == "update") == (not backward and not after & outputs)


def test_what_an_update_shares_with_the_output_is_forward():
    x, w = gw.input("x", (4,)), gw.parameter("w", ones(4))
    mean = ops.exp(x)
    view = view_of(Graph([x], [mean * 2.0], {w: w * 0.9 + mean * 0.1}))
    found = {(v.title, v.phase) for v in view.vertices.values() if v.role == "operation"}
    assert ("exp", "forward") in found and ("add", "update") in found


def test_what_only_a_gradient_reads_is_forward_though_only_an_update_needs_it():
    x, w = gw.input("x", (4,)), gw.parameter("w", ones(4))
    saved = ops.exp(x)
    with derived(Origin(phase="backward")):
        gradient = ops.negative(saved)
    view = view_of(Graph([x], [x], {w: w - gradient}))
    found = {v.title: v.phase for v in view.vertices.values() if v.role == "operation"}
    assert found == {"exp": "forward", "negative": "backward", "subtract": "update"}


# Boxes.


def test_a_scope_is_one_box_however_often_it_is_entered():
    x = gw.input("x", (4,))
    y = x
    for _ in range(3):
        with gw.scope("a"):
            y = ops.exp(y)
        with gw.scope("b/c"):
            y = ops.negative(y)
    view = view_of(Graph([x], [y]))
    boxes = [member.path for _, member in view.walk() if isinstance(member, Cluster)]
    assert boxes == ["a", "b", "b/c"]
    for diagram in (read_dot(dot(view)), read_mermaid(mermaid(view))):
        titles = [diagram.boxes[box]["label"] for box in diagram.boxes]
        assert titles == ["a", "b", "c"]
        paths = [
            [diagram.boxes[box]["label"] for box in diagram.around[key]] for key in diagram.vertices
        ]
        assert Counter(map(tuple, paths)) == {(): 2, ("a",): 3, ("b", "c"): 3}


def test_a_fused_group_is_an_outlined_box_with_its_operations_inside():
    view = view_of(fused())
    diagram = read_dot(dot(view))
    assert diagram.path("exp") == diagram.path("multiply") == ["block", "fused elementwise"]
    assert diagram.path("subtract") == ["block"]
    (group,) = (box for box in diagram.boxes.values() if box["label"].startswith("fused"))
    (scope,) = (box for box in diagram.boxes.values() if box["label"] == "block")
    assert float(group["penwidth"]) >= 2 * float(scope["penwidth"])
    assert group["color"] != scope["color"]
    # Edges run to and from what is inside: no vertex stands for the group.
    ends = {
        (diagram.vertices[a]["label"], diagram.vertices[b]["label"]) for a, b, _ in diagram.edges
    }
    assert ("1.0\nsubtract", "exp") in ends and ("exp", "w\nf32[4]\nmultiply") in ends
    assert not any("fused" in vertex["label"] for vertex in diagram.vertices.values())

    marked = read_mermaid(mermaid(view))
    assert marked.path("exp") == marked.path("multiply") == ["block", "fused elementwise"]
    (group,) = (box for box in marked.boxes.values() if box["label"].startswith("fused"))
    assert "stroke-width:3px" in group["style"]
    assert "│ ┏ fused elementwise" in text(view) and "│ ┃ → %2.0 = exp(%1)" in text(view)


def test_a_group_of_several_scopes_stands_in_the_scope_around_them():
    x, a = gw.input("x", (4,)), gw.input("a", (4,))
    with gw.scope("net/first"):
        inside = ops.exp(a)
    with gw.scope("net/second"):
        inside = ops.negative(inside)
    y = Fused("elementwise", Graph([a], [inside]))(x)
    assert read_dot(dot(view_of(Graph([x], [y])))).path("exp") == ["net", "fused elementwise"]


def test_groups_within_groups_are_boxes_within_boxes():
    x, a, b = (gw.input(name, (4,)) for name in "xab")
    inner = Fused("elementwise", Graph([a], [ops.exp(a)]))
    outer = Fused("elementwise", Graph([b], [ops.negative(inner(b))]))
    view = view_of(Graph([x], [outer(x)]))
    assert read_dot(dot(view)).path("exp") == ["fused elementwise"] * 2
    assert "┃ ┃ → %0.0 = exp(x)" in text(view)


def test_ten_thousand_nodes_and_a_thousand_scopes_within_each_other_are_written():
    x = gw.input("x", (4,))
    y = x
    for _ in range(10_000):
        y = ops.negative(y)
    with gw.scope("/".join("s" * 1000)):
        y = ops.exp(y)
    view = view_of(Graph([x], [y]))
    assert dot(view).count("label=<negative>") == 10_000
    assert view.depth == 1000 and dot(view).count("subgraph") == 1000
    assert text(view).count("negative") == 10_000
    assert "exp" not in mermaid(view)


# Vertices and edges.


def test_constants_and_parameters_are_badges_of_each_reader():
    x, w = gw.input("x", ("n", 4)), gw.parameter("w", ones(4))
    half = gw.constant(np.float32(0.5))
    y = ops.exp(x * half) * half + w
    view = view_of(Graph([x], [y * x.shape[0] + w + gw.constant(ones(2, 4)).sum()]))
    badges = [v for v in view.vertices.values() if v.badge]
    titles = Counter((badge.role, badge.title) for badge in badges)
    assert titles == {
        ("constant", "0.5"): 2,
        ("constant", "n"): 1,
        ("constant", "f32[2,4]"): 1,
        ("parameter", "w"): 2,
    }
    read = Counter(edge.tail for edge in view.edges)
    assert {read[badge.key] for badge in badges} == {1}
    labels = [vertex["label"] for vertex in read_dot(dot(view)).vertices.values()]
    assert "0.5\nmultiply" in labels and "w\nf32[4]\nadd" in labels
    assert "multiply(x, 0.5)" in text(view) and text(view).count("\nw ") == 1


def test_a_parameter_in_the_box_that_it_is_named_after_is_called_by_the_rest_of_its_name():
    x, w = gw.input("x", (4,)), gw.parameter("block/inner/w", ones(4))
    with gw.scope("block/inner"):
        y = x * w
    view = view_of(Graph([x], [y + w], {w: w * 2.0}))
    named = {(v.scope, v.title, v.names) for v in view.vertices.values() if v.role == "parameter"}
    assert {title for _, title, _ in named} == {"w", "block/inner/w"}
    assert {names for _, _, names in named} == {("block/inner/w",)}
    assert text(view).count("block/inner/w  ") == 1
    assert "multiply(x, block/inner/w)" in text(view) and "update block/inner/w =" in text(view)
    assert "block/inner/w: " in dot(view)


def test_an_update_flows_back_into_the_parameter_that_it_reads():
    view = view_of(training())
    for diagram in (read_dot(dot(view)), read_mermaid(mermaid(view))):
        labels = {key: vertex["label"].split("\n") for key, vertex in diagram.vertices.items()}
        (update,) = (edge for edge in diagram.edges if "update" in edge[2].get("label", ""))
        assert (labels[update[0]][-1], labels[update[1]][0]) == ("subtract", "w")
        assert (update[1], update[0]) in [edge[:2] for edge in diagram.edges]
    assert "update w = %8  f32[4]" in re.sub(" +", " ", text(view)).replace(" f32[4]", "  f32[4]")


def test_an_update_to_what_is_no_operation_is_drawn_too():
    x, v, w = gw.input("x", (4,)), gw.parameter("v", ones(4)), gw.parameter("w", ones(4))
    view = view_of(Graph([x], [x], {w: v, v: x}))
    ends = [
        (view.vertices[edge.tail].title, view.vertices[edge.head].title)
        for edge in view.edges
        if edge.kind == "update"
    ]
    assert ends == [("v", "w"), ("x", "v")]
    assert len(read_dot(dot(view)).edges) == 3


def test_edges_say_type_and_the_output_of_several():
    x = gw.input("x", ("batch", 6))
    first, second = ops.split(x, (2, 4), axis=1)
    view = view_of(Graph([x], [ops.exp(second), first]))
    for diagram in (read_dot(dot(view)), read_mermaid(mermaid(view))):
        labels = {edge[2].get("label", "").strip() for edge in diagram.edges}
        assert labels == {"f32[batch,6]", "1: f32[batch,4]", "f32[batch,4]", "0: f32[batch,2]"}
    assert "%0, %1 = split(x, axis=1" in text(view)


def test_attributes_are_told_unless_the_type_tells_them():
    x = gw.input("x", (2, 3))
    y = ops.reshape(x, (6,)).astype("f64").sum(axis=0, keepdims=True)
    details = {v.title: v.detail for v in view_of(Graph([x], [y])).vertices.values()}
    assert details["reshape"] == details["cast"] == ""
    assert details["sum"] == "axes=(0,), keepdims=True"


def test_vertices_say_where_they_were_made_and_by_which_line():
    x = gw.input("x", (4,))
    y = ops.exp(x)  # this very line
    view = view_of(Graph([x], [y]))
    (vertex,) = (v for v in view.vertices.values() if v.title == "exp")
    assert re.fullmatch(r"test_viz\.py:\d+", vertex.source)
    assert vertex.code == "y = ops.exp(x)  # this very line"
    diagram = read_dot(dot(view))
    assert diagram.vertices[diagram.find("exp")]["tooltip"].endswith(": " + vertex.code)


def test_gradients_flow_back_up_beside_what_they_belong_to_unless_something_forward_reads_them():
    def backward_lines(graph):
        return [line for line in dot(view_of(graph)).splitlines() if "dir=back" in line]

    x = gw.input("x", (4,))
    with derived(Origin(phase="backward")):
        gradient = ops.exp(ops.exp(x))
    assert len(backward_lines(Graph([x], [gradient]))) == 1
    assert backward_lines(Graph([x], [ops.negative(gradient)])) == []


def operations_within(graph):
    """Those of a graph, of its branches, and of the bodies of its loops."""
    for node in graph.operations:
        for inner in node.op.graphs.values():
            yield from operations_within(inner)
        if node.op.name not in ("constant", "size"):
            yield node


def operands_within(graph):
    """How many there are, with what enters and leaves branches and bodies."""
    count = 0
    for node in graph.operations:
        inner = node.op.graphs.values()
        carried = getattr(node.op, "carried", 0)
        count += sum(operands_within(each) + len(each.outputs) for each in inner)
        # A carried value enters, and leaves; that it goes on to the next step is counted above.
        count += 2 * carried + getattr(node.op, "slices", 0) if inner else len(node.inputs)
        count += node.op.name == "cond"
    return count


@given(graphs(steps=10))
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
def test_every_operation_and_every_operand_of_a_graph_is_drawn(graph):
    view = view_of(graph)
    drawn = Counter(v.title for v in view.vertices.values() if v.role == "operation")
    assert drawn == Counter(node.op.name for node in operations_within(graph))
    assert len(view.edges) == operands_within(graph) + len(graph.results)
    assert all(edge.tail in view.vertices and edge.head in view.vertices for edge in view.edges)
    marked = read_mermaid(mermaid(view))
    assert len(marked.edges) == len(view.edges)
    attached = len(view.vertices) - len(read_dot(dot(view)).vertices)
    assert len(read_dot(dot(view)).edges) == len(view.edges) - attached
