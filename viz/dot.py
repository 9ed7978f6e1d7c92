"""Write a view in DOT, the language of Graphviz."""

from __future__ import annotations

import html
from collections.abc import Iterator
from typing import Literal

from graphwright.viz import style
from graphwright.viz.layout import Line, arrange, stacked
from graphwright.viz.view import Cluster, GraphView, Vertex

Direction = Literal["down", "right"]

_PAIRS = 16  # more constraints between two boxes than these meet in a point


def dot(view: GraphView, direction: Direction = "down", dpi: int | None = None) -> str:
    """The view as DOT.

    direction: where values flow, `down` or to the `right`; gradients flow back beside them
    dpi:       dots per inch, for bitmaps

    What users named stands in HTML-like labels and in quoted tooltips, escaped for each.
    """
    return "\n".join(
        [
            "digraph graphwright {",
            *_settings(view, direction, dpi),
            *_members(view),
            *_lines(view),
            "}",
            "",
        ]
    )


def _settings(view: GraphView, direction: Direction, dpi: int | None) -> Iterator[str]:
    font = f'fontname="{style.FONT}"'
    rank = "TB" if direction == "down" else "LR"
    resolution = f" dpi={dpi}" if dpi else ""
    # Without newrank, lines between boxes are mere wishes, and boxes drift apart sideways.
    yield f"  graph [rankdir={rank} newrank=true nodesep=0.25 ranksep=0.4 pad=0.25{resolution}"
    yield f'    bgcolor="white" {font} fontsize=10 fontcolor="{style.QUIET}"'
    yield f"    labelloc=b labeljust=l label=<{_legend(view)}>]"
    yield f'  node [{font} fontsize=11 fontcolor="{style.TEXT}" shape=box penwidth=1.2'
    yield '    margin="0.13,0.06" height=0.32 width=0.3]'
    yield f'  edge [{font} fontsize=8.5 fontcolor="{style.QUIET}" arrowsize=0.6 penwidth=1.2]'


def _members(view: GraphView) -> Iterator[str]:
    around = 0
    for depth, member in view.walk():
        yield from _closing(around, depth)
        around = depth
        indent = "  " * (depth + 1)
        if isinstance(member, Cluster):
            around += 1
            yield f"{indent}subgraph cluster_{member.key} {{"
            yield f"{indent}  graph [{_cluster(member, depth)}]"
        else:
            yield f"{indent}{member.key} [{_vertex(member)}]"
    yield from _closing(around, 0)


def _closing(around: int, depth: int) -> Iterator[str]:
    return ("  " * level + "}" for level in range(around, depth, -1))


def _vertex(vertex: Vertex) -> str:
    look = style.look(vertex)
    label = html.escape(vertex.title)
    if vertex.detail:
        detail = html.escape(vertex.detail)
        label += f'<BR/><FONT POINT-SIZE="8.5" COLOR="{look.quiet}">{detail}</FONT>'
    words = [
        f"label=<{label}>",
        f'style="rounded,filled,{look.line}"',
        f'color="{look.ink}" fillcolor="{look.fill}" fontcolor="{look.text}"',
        f"tooltip={_quoted(_tooltip(vertex))}",
    ]
    if vertex.role == "parameter":
        words.append('fontsize=9 margin="0.09,0.045" height=0.2 penwidth=0.9')
    elif vertex.role == "constant":
        words.append('fontsize=9 margin="0.07,0.03" height=0.18 penwidth=0.7')
    elif vertex.role in ("input", "output"):
        words.append('margin="0.2,0.06"')
    elif vertex.role == "folded":
        words.append("peripheries=2")
    return " ".join(words)


def _tooltip(vertex: Vertex) -> str:
    values = zip(vertex.names, vertex.types, strict=True)
    named = ", ".join(f"{name}: {type}" for name, type in values)
    return _joined(named, vertex.scope, vertex.source)


def _joined(*parts: str) -> str:
    return "\n".join(part for part in parts if part)


def _cluster(cluster: Cluster, depth: int) -> str:
    title = html.escape(cluster.title)
    tooltip = f"tooltip={_quoted(_joined(cluster.path, cluster.source))}"
    place = 'labeljust=l labelloc=t style="rounded,filled"'
    if cluster.role == "fused":
        return (
            f'label=<{title}> {place} fontsize=9.5 color="{style.GROUP_INK}" '
            f'fillcolor="{style.GROUP_FILL}" fontcolor="{style.GROUP_INK}" penwidth=2.2 '
            f"margin=10 {tooltip}"
        )
    return (
        f'label=<{title}> {place} fontsize=11 color="{style.SCOPE_INK}" '
        f'fillcolor="{style.SCOPE_FILLS[depth % 2]}" penwidth=1 margin=12 {tooltip}'
    )


def _lines(view: GraphView) -> Iterator[str]:
    lines = arrange(view)
    for line in lines:
        yield f"  {line.upper} -> {line.lower} [{_line(line, view)}]"
    for number, (upper, lower) in enumerate(stacked(view, lines)):
        above, below = f"{{{' '.join(upper)}}}", f"{{{' '.join(lower)}}}"
        if len(upper) * len(lower) > _PAIRS:
            yield f"  s{number} [shape=point style=invis width=0 height=0]"
            above = f"{above} -> s{number}"
        yield f"  {above} -> {below} [style=invis weight=0]"


def _line(line: Line, view: GraphView) -> str:
    edge = line.edge
    tail = view.vertices[edge.tail]
    look = style.LOOKS[edge.phase]
    words = [f'color="{look.ink}" style={look.line}']
    if edge.kind == "update":
        words.append(f'label="update" fontcolor="{look.ink}" penwidth=1.6')
    elif tail.badge:
        words.append("arrowsize=0.4 penwidth=0.9")
    else:
        words.append(f"label=< {html.escape(edge.label)}>")
    if line.gap == 0:
        words.append("minlen=0" if tail.badge or edge.kind == "update" else "minlen=0 weight=0")
    if line.upward:
        words.append("dir=back")
    return " ".join(words)


def _legend(view: GraphView) -> str:
    cells = [
        f'<TD BORDER="1" STYLE="{look.line}" COLOR="{look.ink}" BGCOLOR="{look.fill}" '
        f'FIXEDSIZE="TRUE" WIDTH="22" HEIGHT="10"></TD><TD>{phase}  </TD>'
        for phase, look in style.LOOKS.items()
        if phase in view.phases
    ]
    words = html.escape(_joined(view.summary, view.note).replace("\n", "; "))
    return (
        '<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="4" CELLPADDING="1">'
        f"<TR>{''.join(cells)}<TD>{words}</TD></TR></TABLE>"
    )


def _quoted(text: str) -> str:
    r"""A quoted string; `\n` in it becomes a line break."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
