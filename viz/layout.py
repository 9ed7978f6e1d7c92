"""How a layered drawing of a view is best arranged: hints for `dot`, which lays it out.

Gradients flow back *up* beside the computation that they belong to, so that each scope stays one
compact box, and boxes between which values flow stand below each other.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from graphwright.viz.view import Edge, GraphView, Phase


@dataclass(frozen=True, slots=True)
class Line:
    """One edge as it is ranked: `upper` stands above `lower`, whichever way the arrow points.

    gap: how many ranks lower at least; with 0 they may stand side by side, `upper` on the left
    """

    edge: Edge
    upper: str
    lower: str
    gap: int

    @property
    def upward(self) -> bool:
        """True when the value flows from `lower` to `upper`."""
        return self.edge.tail == self.lower


def arrange(view: GraphView) -> tuple[Line, ...]:
    """How each edge of the view is ranked.

    A badge stands beside its reader, a second one on the other side, and more above it; a
    parameter that is updated stands below what reads and writes it.
    """
    mirrored = _mirrors(view)
    written = {edge.head for edge in view.edges if edge.kind == "update"}
    readers = Counter(edge.tail for edge in view.edges)
    beside: Counter[str] = Counter()
    lines = []
    for edge in view.edges:
        tail, head = edge.tail, edge.head
        level = view.around[tail] == view.around[head]
        if edge.kind == "data" and tail in written:
            lines.append(Line(edge, head, tail, 1))
        elif view.vertices[tail].badge and edge.kind == "data":
            beside[head] += level
            right = level and beside[head] == 2 and readers[tail] == 1
            above = 0 if level and beside[head] <= 2 else 1
            lines.append(Line(edge, head, tail, 0) if right else Line(edge, tail, head, above))
        elif mirrored and _is(view, head, "backward") and _is(view, tail, "backward"):
            lines.append(Line(edge, head, tail, 1))
        elif mirrored and _is(view, head, "backward"):
            lines.append(Line(edge, tail, head, 0 if level else 1))
        else:
            lines.append(Line(edge, tail, head, 1))
    return tuple(lines)


def _is(view: GraphView, key: str, phase: Phase) -> bool:
    """Whether the vertex belongs to the phase; outputs are where values leave, in no phase."""
    return view.vertices[key].phase == phase and view.vertices[key].role != "output"


def _mirrors(view: GraphView) -> bool:
    """True when gradients can flow up.

    Not when something forward reads a gradient: it would have to stand in two places.
    """
    return not any(
        edge.kind == "data"
        and view.vertices[edge.tail].phase == "backward"
        and view.vertices[edge.head].phase == "forward"
        for edge in view.edges
    )


def stacked(view: GraphView, lines: Sequence[Line]) -> Iterator[tuple[list[str], list[str]]]:
    """Pairs of sets of vertices, the first all above the second, that keep boxes from overlapping.

    Where lines run from one box to a later one beside it, and none back, the lowest vertices of
    the first stand above the highest of the second.
    """
    badges = {key for key, vertex in view.vertices.items() if vertex.badge}
    lowest: dict[str, dict[str, None]] = {}  # ordered sets
    highest: dict[str, dict[str, None]] = {}
    for key, around in view.around.items():
        for box in around if key not in badges else ():
            lowest.setdefault(box, {})[key] = None
            highest.setdefault(box, {})[key] = None
    pairs: dict[tuple[str, str], None] = {}
    for line in lines:
        if line.upper in badges or line.lower in badges:
            continue
        shared = _shared(view.around[line.upper], view.around[line.lower])
        for box in shared if line.gap else ():
            lowest[box].pop(line.upper, None)
            highest[box].pop(line.lower, None)
        upper = view.around[line.upper][len(shared) :]
        lower = view.around[line.lower][len(shared) :]
        if upper and lower:
            pairs[upper[0], lower[0]] = None
    position = {box: i for i, box in enumerate(lowest)}
    for first, second in pairs:
        if position[first] < position[second] and (second, first) not in pairs:
            yield list(lowest[first]), list(highest[second])


def _shared(left: tuple[str, ...], right: tuple[str, ...]) -> tuple[str, ...]:
    """The clusters around both."""
    same = 0
    while same < min(len(left), len(right)) and left[same] == right[same]:
        same += 1
    return left[:same]
