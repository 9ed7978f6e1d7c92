"""Write a view as plain text: a tree of scopes with a line for each operation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from graphwright.viz.view import BoxRole, Cluster, Edge, GraphView, Phase, Vertex

_SIGNS: dict[Phase, str] = {"forward": "→", "backward": "←", "update": "↻"}
_RAILS: dict[BoxRole, tuple[str, str]] = {"fused": ("┏ ", "┃ "), "held": ("╔ ", "║ ")}
_WIDTH = 76  # a longer operation is cut short

Row = tuple[str, str, str]
"""What it is, its type, the user's line."""


def text(view: GraphView) -> str:
    """The view as text::

    1 input, 1 parameter, 2 operations, 1 fused group, 1 output

    x                            f32[batch,784]
    w                            f32[784,10]
    layer_1
    │ → %0 = matmul(x, w)        f32[batch,10]    train.py:14
    │ ┏ fused elementwise
    │ ┃ → %1 = exp(%0)           f32[batch,10]    train.py:15
    output = %1                  f32[batch,10]

    Branches and the bodies of loops stand in double lines::

    ╔ scan: step                               train.py:20
    ║ → %2.x0 = carried(%1, then %2.0)         f32[10]
    ║ → %2.x1 = slice(x)                       f32[10]
    ║ → %2.0 = add(%2.x0, %2.x1)               f32[10]         train.py:18
    ║ → %2 = scan(%2.x0, length=batch)         f32[10]         train.py:20
    """
    rows = [*_leaves(view), *_tree(view), *_results(view)]
    widths = [max((len(row[column]) for row in rows), default=0) for column in (0, 1)]
    lines = [f"{a:<{widths[0]}}  {b:<{widths[1]}}  {c}".rstrip() for a, b, c in rows]
    head = [line for line in (view.summary, view.note, _legend(view)) if line]
    return "\n".join([*head, "", *lines, ""])


def _legend(view: GraphView) -> str:
    several = len(view.phases) > 1
    return "  ".join(f"{_SIGNS[phase]} {phase}" for phase in view.phases) if several else ""


def _leaves(view: GraphView) -> Iterator[Row]:
    """The inputs, then the parameters, each once."""
    vertices = list(view.vertices.values())
    for role in ("input", "parameter"):
        first: dict[str, Vertex] = {}
        for vertex in vertices:
            if vertex.role == role:
                first.setdefault(vertex.names[0], vertex)
        for name, vertex in first.items():
            yield name, vertex.types[0], vertex.source


def _tree(view: GraphView) -> Iterator[Row]:
    """The boxes, and a line for each operation."""
    operands: dict[str, list[str]] = {}
    for edge in view.edges:
        operands.setdefault(edge.head, []).append(_argument(edge, view))
    rails: list[str] = []
    for depth, member in view.walk():
        del rails[depth:]
        indent = "".join(rails)
        if isinstance(member, Cluster):
            corner, rail = _RAILS.get(member.role, ("", "│ "))
            yield f"{indent}{corner}{member.title}", "", member.source
            rails.append(rail)
        elif member.role in ("operation", "port", "folded"):
            what = _operation(member, operands.get(member.key, []))
            yield f"{indent}{_SIGNS[member.phase]} {what}", ", ".join(member.types), member.source


def _operation(vertex: Vertex, operands: Sequence[str]) -> str:
    """`%1 = sum(%0, axes=(0,))`."""
    if vertex.role == "folded":
        return f"{vertex.title} ({vertex.detail})"
    detail = "" if vertex.role == "port" else vertex.detail  # its type has a column
    arguments = ", ".join([*operands, detail] if detail else operands)
    call = f"{', '.join(vertex.names)} = {vertex.title}({arguments})"
    return call if len(call) <= _WIDTH else f"{call[: _WIDTH - 2]}…)"


def _results(view: GraphView) -> Iterator[Row]:
    """The outputs, then the updates."""
    for edge in view.edges:
        head = view.vertices[edge.head]
        if head.role == "output":
            yield f"{head.title} = {_operand(edge, view)}", edge.type, ""
    for edge in view.edges:
        if edge.kind == "update":
            head = view.vertices[edge.head]
            yield (
                f"update {', '.join(head.names) or head.title} = {_operand(edge, view)}",
                edge.type,
                "",
            )


def _argument(edge: Edge, view: GraphView) -> str:
    """An operand in the line of the operation that reads it; what it is to it, if need be."""
    operand = _operand(edge, view)
    if edge.kind == "next":
        return f"then {operand}"
    return f"{edge.note}={operand}" if edge.note else operand


def _operand(edge: Edge, view: GraphView) -> str:
    """How an operation's line calls one of its operands."""
    tail = view.vertices[edge.tail]
    return tail.title if tail.role == "constant" else edge.name or tail.title
