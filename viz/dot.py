"""Write a view in DOT, the language of Graphviz."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal, TypeAlias

from graphwright.viz import style
from graphwright.viz.layout import Line, arrange, attached, closed, stacked
from graphwright.viz.view import Cluster, GraphView, Vertex

Direction = Literal["down", "right"]
Badges: TypeAlias = Mapping[str, Sequence[Vertex]]

_LONE_BRACKET = re.compile(r"(?<![\w\[])\]")  # dot 2.43 takes a `]` alone for a syntax error
_PAIRS = 16  # more constraints between two boxes than these meet in a point


def dot(view: GraphView, direction: Direction = "down", dpi: int | None = None) -> str:
    """The view as DOT.

    direction: where values flow, `down` or to the `right`; gradients flow back beside them
    dpi:       dots per inch, for bitmaps

    What users named stands in HTML-like labels and in quoted tooltips, escaped for each.
    """
    badges = attached(view)
    return "\n".join(
        [
            "digraph graphwright {",
            *_settings(view, direction, dpi),
            *_members(view, direction, badges),
            *_lines(view, direction, badges),
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


def _members(view: GraphView, direction: Direction, badges: Badges) -> Iterator[str]:
    hidden = {badge.key for own in badges.values() for badge in own}
    around = 0
    for depth, member in view.walk():
        yield from _closing(around, depth)
        around = depth
        indent = "  " * (depth + 1)
        if isinstance(member, Cluster):
            around += 1
            yield f"{indent}subgraph cluster_{member.key} {{"
            yield f"{indent}  graph [{_cluster(member, depth)}]"
        elif member.key in badges:
            yield f"{indent}{member.key} [{_badged(member, badges[member.key], direction)}]"
        elif member.key not in hidden:
            yield f"{indent}{member.key} [{_vertex(member)}]"
    yield from _closing(around, 0)


def _closing(around: int, depth: int) -> Iterator[str]:
    return ("  " * level + "}" for level in range(around, depth, -1))


def _vertex(vertex: Vertex) -> str:
    look = style.look(vertex)
    words = [
        f"label=<{_label(vertex)}>",
        f'style="rounded,filled,{look.line}"',
        f'color="{look.ink}" fillcolor="{look.fill}" fontcolor="{look.text}"',
        f"tooltip={_quoted(_tooltip(vertex))}",
    ]
    if vertex.badge:
        words.append('fontsize=9 margin="0.09,0.045" height=0.2 penwidth=0.9')
    elif vertex.role in ("input", "output"):
        words.append('margin="0.2,0.06"')
    elif vertex.role == "port":
        words.append('fontsize=9.5 margin="0.12,0.05"')
    elif vertex.role == "folded":
        words.append("peripheries=2")
    return " ".join(words)


def _badged(vertex: Vertex, badges: Sequence[Vertex], direction: Direction) -> str:
    """A vertex with its badges where values come from: on its left, or above it."""
    cells = [_cell(badge) for badge in badges]
    own = _cell(vertex)
    if direction == "down":
        left = "".join(f"<TR>{cell}</TR>" for cell in cells)
        rows = f'<TR><TD>{_table(left)}</TD><TD PORT="o">{_table(f"<TR>{own}</TR>")}</TD></TR>'
    else:
        above = _table(f"<TR>{''.join(cells)}</TR>")
        rows = f'<TR><TD>{above}</TD></TR><TR><TD PORT="o">{_table(f"<TR>{own}</TR>")}</TD></TR>'
    tooltip = _quoted(_tooltip(vertex, badges))
    return f"label=<{_table(rows)}> shape=plain tooltip={tooltip}"


def _table(rows: str) -> str:
    return f'<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="0" CELLPADDING="1">{rows}</TABLE>'


def _cell(vertex: Vertex) -> str:
    look = style.look(vertex)
    padding, size = (2, ' POINT-SIZE="9"') if vertex.badge else (4, "")
    return (
        f'<TD><TABLE BORDER="1" CELLBORDER="0" CELLSPACING="0" CELLPADDING="{padding}" '
        f'STYLE="rounded,{look.line}" COLOR="{look.ink}" BGCOLOR="{look.fill}"><TR><TD>'
        f'<FONT COLOR="{look.text}"{size}>{_label(vertex)}</FONT></TD></TR></TABLE></TD>'
    )


def _label(vertex: Vertex) -> str:
    label = _html(vertex.title)
    if not vertex.detail:
        return label
    quiet, size = style.look(vertex).quiet, 8 if vertex.badge else 8.5
    return f'{label}<BR/><FONT POINT-SIZE="{size}" COLOR="{quiet}">{_html(vertex.detail)}</FONT>'


def _tooltip(vertex: Vertex, badges: Sequence[Vertex] = ()) -> str:
    values = zip(vertex.names, vertex.types, strict=True)
    named = ", ".join(f"{name}: {type}" for name, type in values)
    place = f"{vertex.source}: {vertex.code}" if vertex.code else vertex.source
    parameters = [
        f"{badge.names[0]}: {badge.source}" for badge in badges if badge.role == "parameter"
    ]
    return _joined(named, vertex.scope, place, *parameters)


def _joined(*parts: str) -> str:
    return "\n".join(part for part in parts if part)


def _cluster(cluster: Cluster, depth: int) -> str:
    title = _html(cluster.title)
    tooltip = f"tooltip={_quoted(_joined(cluster.path, cluster.source))}"
    place = 'labeljust=l labelloc=t style="rounded,filled"'
    if cluster.role == "fused":
        return (
            f'label=<{title}> {place} fontsize=9.5 color="{style.GROUP_INK}" '
            f'fillcolor="{style.GROUP_FILL}" fontcolor="{style.GROUP_INK}" penwidth=2.2 '
            f"margin=10 {tooltip}"
        )
    if cluster.role == "held":
        return (
            f'label=<{title}> {place} fontsize=10 color="{style.HELD_INK}" '
            f'fillcolor="{style.HELD_FILLS[depth % 2]}" fontcolor="{style.HELD_INK}" penwidth=1.4 '
            f"margin=12 {tooltip}"
        )
    return (
        f'label=<{title}> {place} fontsize=11 color="{style.SCOPE_INK}" '
        f'fillcolor="{style.SCOPE_FILLS[depth % 2]}" fontcolor="{style.QUIET}" penwidth=1 '
        f"margin=12 {tooltip}"
    )


def _lines(view: GraphView, direction: Direction, badges: Badges) -> Iterator[str]:
    hidden = {badge.key for own in badges.values() for badge in own}
    lines = arrange(view, [edge for edge in view.edges if edge.tail not in hidden])
    for line in lines:
        # What goes back to the next step leaves and enters at the side, along the flow of the rest.
        side = ("e" if direction == "down" else "s") if line.edge.kind == "next" else ""
        upper, lower = (_end(key, badges, side) for key in (line.upper, line.lower))
        yield f"  {upper} -> {lower} [{_line(line, view)}]"
    for upper, lower in closed(view, lines):
        yield f"  {upper} -> {lower} [style=invis weight=0]"
    for number, (first, second) in enumerate(stacked(view, lines)):
        above, below = f"{{{' '.join(first)}}}", f"{{{' '.join(second)}}}"
        if len(first) * len(second) > _PAIRS:
            yield f"  s{number} [shape=point style=invis width=0 height=0]"
            above = f"{above} -> s{number}"
        yield f"  {above} -> {below} [style=invis weight=0]"


def _end(key: str, badges: Badges, side: str) -> str:
    return ":".join(word for word in (key, "o" if key in badges else "", side) if word)


def _line(line: Line, view: GraphView) -> str:
    edge = line.edge
    look = style.LOOKS[edge.phase]
    words = [f'color="{look.ink}" style={look.line}']
    if edge.kind == "update":
        words.append(f'label=" update" fontcolor="{look.ink}" penwidth=1.6')
    elif edge.kind == "next":
        words = [f'color="{style.HELD_INK}" penwidth=1.6 style=solid']
        words.append(f'label=" next" fontcolor="{style.HELD_INK}"')
    elif view.vertices[edge.tail].badge:
        words.append("arrowsize=0.4 penwidth=0.9")
    else:
        words.append(f"label=< {_html(edge.label)}>")
    if line.upward:
        words.append("dir=back")
    return " ".join(words)


def _legend(view: GraphView) -> str:
    cells = [
        f'<TD BORDER="1" STYLE="{look.line}" COLOR="{look.ink}" BGCOLOR="{look.fill}" '
        f'FIXEDSIZE="TRUE" WIDTH="22" HEIGHT="10"></TD><TD>{phase}  </TD>'
        for phase, look in style.LOOKS.items()
        if len(view.phases) > 1 and phase in view.phases
    ]
    words = _html(_joined(view.summary, view.note).replace("\n", "; "))
    return (
        '<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="4" CELLPADDING="1">'
        f"<TR>{''.join(cells)}<TD>{words}</TD></TR></TABLE>"
    )


def _html(text: str) -> str:
    r"""Text for an HTML-like label. dot reads `\N` and the like even there."""
    safe = html.escape(text).replace("\\", "\\\\")
    return _LONE_BRACKET.sub("&#93;", safe)


def _quoted(text: str) -> str:
    r"""A quoted string of lines, for a tooltip, in which dot reads entities for SVG.

    It reads `\N` and the like there too, once or twice by version: `∖` stands for a backslash.
    """
    safe = text.replace("&", "&amp;").replace("\\", "∖").replace('"', '\\"')
    return '"' + safe.replace("\n", "\\n") + '"'
