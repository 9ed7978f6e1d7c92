"""Views of what is hard to draw: hostile names, and graphs that are folded until they fit."""

import itertools
import re

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.diagrams import read_dot, read_mermaid
from support.random_graphs import graphs
from support.view_graphs import blocks, ones

import graphwright as gw
from graphwright import ops
from graphwright.graph.graph import Graph
from graphwright.viz.builder import view_of
from graphwright.viz.dot import dot
from graphwright.viz.fold import fitted, folded
from graphwright.viz.mermaid import CHARACTERS, EDGES, mermaid
from graphwright.viz.text import text

# Hostile names.

LABELS = st.from_regex(r"[A-Za-z_][A-Za-z0-9_./:-]{0,12}", fullmatch=True)
SCOPES = st.text(min_size=1, max_size=16).filter(
    lambda name: name.isprintable() and name.replace("/", "").strip()
)
HOSTILE = ["end", "subgraph", "o", "x", "node", "edge", "digraph", "strict", "style", "class"]


@given(
    st.lists(LABELS | st.sampled_from(HOSTILE), min_size=2, max_size=2, unique=True),
    SCOPES | st.sampled_from(["$$x$$", "#35;", "<b>&lt;", "]", "\\N", "`x`", "1. x", "- x"]),
)
@settings(deadline=None)
def test_names_and_scopes_are_read_back_as_they_were(names, scope):
    if not all(_valid(name) for name in names):
        return
    x, w = gw.input(names[0], (4,)), gw.parameter(names[1], ones(4))
    with gw.scope(scope):
        y = ops.exp(x) + w
    view = view_of(Graph([x], [y]))
    parts = [part for part in scope.split("/") if part]
    for diagram in (read_dot(dot(view)), read_mermaid(mermaid(view))):
        assert [part.replace("\u200b", "") for part in diagram.path("exp")] == parts
        lines = {line for v in diagram.vertices.values() for line in v["label"].split("\n")}
        assert set(names) <= lines


def _valid(name):
    try:
        gw.input(name, ())
    except gw.AttributeValueError:
        return False
    return True


# Large graphs.


def test_folding_keeps_the_phases_the_flow_and_the_counts():
    whole = view_of(blocks(3, 5))
    assert folded(whole, whole.depth) is whole
    small = folded(whole, 1)
    assert small.depth == 1 and small.summary == whole.summary and small.phases == whole.phases
    vertices = {(v.scope, v.phase): v.detail for v in small.vertices.values() if v.role == "folded"}
    assert vertices == {
        (f"block_{i}/inner", phase): detail
        for i in range(3)
        for phase, detail in [
            ("forward", "6 operations, 1 parameter"),
            ("backward", "1 operation"),
        ]
    }
    forward = [v.key for v in small.vertices.values() if v.phase == "forward"]
    assert [(e.tail, e.head) for e in small.edges if e.head in forward] == list(
        itertools.pairwise(forward)
    )
    assert "folded to 1 level of boxes" in text(small) and "folded to" in dot(small)
    assert {v.title for v in folded(whole, 0).vertices.values()} >= {"block_0", "block_1"}
    read_dot(dot(small)), read_mermaid(mermaid(small))


def test_a_view_is_folded_no_more_than_needed():
    whole = view_of(blocks(3, 5))
    sizes = [len(folded(whole, depth).vertices) for depth in (2, 1, 0)]
    assert sizes[0] > sizes[1] >= sizes[2]
    assert fitted(whole, lambda view: len(view.vertices) <= sizes[0]) is whole
    assert fitted(whole, lambda view: len(view.vertices) < sizes[0]) == folded(whole, 1)
    assert fitted(whole, lambda view: False) == folded(whole, 0)


@given(graphs(steps=12), st.integers(0, 2))
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
def test_what_a_fold_of_scopes_hides_is_reached_as_before(graph, depth):
    view = folded(view_of(graph), depth)
    assert view.depth <= depth
    assert all(edge.tail in view.vertices and edge.head in view.vertices for edge in view.edges)


def test_mermaid_stays_within_its_limits_and_says_so():
    written = mermaid(view_of(blocks(60, 10)))
    diagram = read_mermaid(written)
    assert len(diagram.edges) <= EDGES and len(written) <= CHARACTERS
    assert diagram.notes[0] == "Folded to keep within Mermaid's limits"
    assert "folded to 1 level of boxes" in diagram.notes
    assert not any("Mermaid" in note for note in read_mermaid(mermaid(view_of(blocks(2, 3)))).notes)


def test_mermaid_that_can_not_be_folded_says_which_limits_to_raise():
    x = gw.input("x", (4,))
    y = x
    for _ in range(EDGES + 10):
        y = ops.exp(y)
    written = mermaid(view_of(Graph([x], [y])))
    edges, characters = re.search(r"maxEdges: (\d+), maxTextSize: (\d+)", written).groups()
    assert int(edges) == EDGES + 11 and int(characters) >= len(written)
