"""Write a view as a Mermaid flowchart, which GitHub, GitLab and many editors draw by themselves.

Mermaid refuses more than 500 edges or 50,000 characters, and its limits can be raised only by the
page that shows a diagram, not by the diagram (they are `secure` keys). A larger view is folded
until it fits; where folding is not enough, the first line says which limits to raise.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from graphwright.viz import style
from graphwright.viz.fold import fitted
from graphwright.viz.view import Cluster, Edge, GraphView, Role, Vertex

EDGES = 500
CHARACTERS = 50_000

_ARROWS = {
    "solid": ("-->", "--->"),
    "dashed": ("-.->", "-..->"),
    "dotted": ("==>", "===>"),
}
"""Each line's arrow, and a longer one. There is no dotted arrow: dots are set by `linkStyle`."""
_DASHES = {"solid": "", "dashed": ",stroke-dasharray:5 3", "dotted": ",stroke-dasharray:2 3"}
_SHAPES: dict[Role, tuple[str, str]] = {
    "input": ("([", "])"),
    "output": ("([", "])"),
    "operation": ("[", "]"),
    "parameter": ("[(", ")]"),
    "constant": ("(", ")"),
    "port": ("(", ")"),
    "folded": ("[[", "]]"),
}
_PLAIN = set(" _.,:/=%()[]-")


def mermaid(view: GraphView, direction: Literal["down", "right"] = "down") -> str:
    """The view as a Mermaid flowchart, folded where it is too large for Mermaid.

    direction: where values flow, `down` or to the `right`
    """

    def written(view: GraphView) -> str:
        return "\n".join([*_lines(view, direction), ""])

    small = fitted(view, lambda v: len(v.edges) <= EDGES and len(written(v)) <= CHARACTERS)
    text = written(small)
    if len(small.edges) > EDGES or len(text) > CHARACTERS:
        return (
            "%% Too large for Mermaid's defaults: show it on a page that calls mermaid.initialize("
            f"{{maxEdges: {len(small.edges)}, maxTextSize: {len(text) + 1000}}})\n{text}"
        )
    return text if small is view else f"%% Folded to keep within Mermaid's limits\n{text}"


def _lines(view: GraphView, direction: Literal["down", "right"]) -> Iterator[str]:
    yield f"%% {view.summary}"
    if view.note:
        yield f"%% {view.note}"
    yield f"flowchart {'TB' if direction == 'down' else 'LR'}"
    yield from (f"  {key}" for key in _starts(view))
    yield from _members(view)
    badged = frozenset(edge.head for edge in view.edges if view.vertices[edge.tail].badge)
    for edge in view.edges:
        yield f"  {_edge(edge, view, badged)}"
    yield from _legend(view)
    yield from _looks(view)


def _starts(view: GraphView) -> Iterator[str]:
    """Where loops begin, the later ones first.

    Mermaid turns round one edge of each cycle, and looks for cycles from the vertices that are
    mentioned first: so that it is mostly the edge to the next step.
    """
    held = {m.key for _, m in view.walk() if isinstance(m, Cluster) and m.role == "held"}
    again = {edge.head for edge in view.edges if edge.kind == "next"}
    loops: dict[str, list[str]] = {}
    for key, around in view.around.items():
        if key in again:
            loops.setdefault(next((box for box in around if box in held), ""), []).append(key)
    for keys in reversed(loops.values()):
        yield from keys


def _members(view: GraphView) -> Iterator[str]:
    around = 0
    for depth, member in view.walk():
        yield from _closing(around, depth)
        around = depth
        indent = "  " * (depth + 1)
        if isinstance(member, Cluster):
            around += 1
            yield f'{indent}subgraph {member.key}["{_text(member.title)}"]'
        else:
            yield f"{indent}{_vertex(member)}"
    yield from _closing(around, 0)


def _closing(around: int, depth: int) -> Iterator[str]:
    return ("  " * level + "end" for level in range(around, depth, -1))


def _vertex(vertex: Vertex) -> str:
    left, right = _SHAPES[vertex.role]
    text = _text(vertex.title)
    if vertex.detail:
        text += f"<br/>{_text(vertex.detail)}"
    return f'{vertex.key}{left}"{text}"{right}:::{_kind(vertex)}'


def _kind(vertex: Vertex) -> str:
    """The class of a vertex: its role where that decides its look, else its phase."""
    if vertex.badge or vertex.role == "port":
        return vertex.role
    if vertex.role in ("input", "output"):
        return f"{vertex.phase}Terminal"
    return vertex.phase


def _edge(edge: Edge, view: GraphView, badged: frozenset[str]) -> str:
    enters = edge.head in badged and view.around[edge.tail] != view.around[edge.head]
    # Badges stand above their reader: a longer arrow leaves room for the box around both.
    arrow = _ARROWS[style.LOOKS[edge.phase].line][enters]
    if edge.kind == "next":
        return f'{edge.tail} -->|"next"| {edge.head}'
    if edge.kind == "update":
        return f'{edge.tail} {arrow}|"update"| {edge.head}'
    if view.vertices[edge.tail].badge:
        return f"{edge.tail} {arrow} {edge.head}"
    return f'{edge.tail} {arrow}|"{_text(edge.label)}"| {edge.head}'


def _legend(view: GraphView) -> Iterator[str]:
    if len(view.phases) > 1:
        yield '  subgraph legend["legend"]'
        yield "    direction LR"
        for phase in view.phases:
            yield f'    legend{phase}["{phase}"]:::{phase}'
        yield "  end"
        yield f"  style legend fill:#FFFFFF,stroke:{style.SCOPE_INK}"


def _looks(view: GraphView) -> Iterator[str]:
    """Colours and line styles, by class for boxes and by number for edges."""
    kinds = {_kind(vertex): style.look(vertex) for vertex in view.vertices.values()}
    if len(view.phases) > 1:
        kinds |= {phase: style.LOOKS[phase] for phase in view.phases}
    for kind, look in sorted(kinds.items()):
        dashes = _DASHES[look.line]
        yield f"  classDef {kind} fill:{look.fill},stroke:{look.ink},color:{look.text}{dashes}"
    clusters = [(depth, m) for depth, m in view.walk() if isinstance(m, Cluster)]
    for depth, cluster in clusters:
        if cluster.role == "fused":
            fill, ink, width = style.GROUP_FILL, style.GROUP_INK, 3
        elif cluster.role == "held":
            fill, ink, width = style.HELD_FILLS[depth % 2], style.HELD_INK, 2
        else:
            fill, ink, width = style.SCOPE_FILLS[depth % 2], style.SCOPE_INK, 1
        yield f"  style {cluster.key} fill:{fill},stroke:{ink},stroke-width:{width}px"
    strokes = {phase: f"{look.ink}{_DASHES[look.line]}" for phase, look in style.LOOKS.items()}
    groups: dict[str, list[str]] = {}
    for number, edge in enumerate(view.edges):
        stroke = (
            f"{style.HELD_INK},stroke-width:2px" if edge.kind == "next" else strokes[edge.phase]
        )
        groups.setdefault(stroke, []).append(str(number))
    for stroke, numbers in groups.items():
        yield f"  linkStyle {','.join(numbers)} stroke:{stroke}"


def _text(text: str) -> str:
    """Text for a quoted label: what could mean something to Mermaid or HTML becomes `#35;`.

    `1. x` and `- x` would be lists, and `$$x$$` would be set as mathematics.
    """
    text = text.replace("$$", "$\u200b$")
    safe = "".join(c if c.isalnum() or c in _PLAIN else f"#{ord(c)};" for c in text)
    if safe.startswith("-"):
        return f"#45;{safe[1:]}"
    number, stop, rest = safe.partition(". ")
    return f"{number}#46; {rest}" if stop and number.isdigit() else safe
