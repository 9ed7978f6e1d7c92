"""How a layered drawing of a view is best arranged: hints for `dot`, which lays it out.

Gradients flow back *up* beside the computation that they belong to, so that each scope stays one
compact box, and boxes between which values flow stand below each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from graphwright.viz.view import Cluster, Edge, GraphView, Phase, Vertex


@dataclass(frozen=True, slots=True)
class Line:
    """One edge as it is ranked: `upper` stands above `lower`, whichever way the arrow points."""

    edge: Edge
    upper: str
    lower: str

    @property
    def upward(self) -> bool:
        """True when the value flows from `lower` to `upper`."""
        return self.edge.tail == self.lower


def attached(view: GraphView) -> dict[str, list[Vertex]]:
    """The badges that are drawn as a part of their only reader, by the reader's key."""
    apart = {edge.head for edge in view.edges if edge.kind == "update"}
    # What a loop starts with and what it goes on with are told apart by their edges.
    apart |= {edge.tail for edge in view.edges if edge.kind == "next"}
    readers: dict[str, list[str]] = {}
    for edge in view.edges:
        if view.vertices[edge.tail].badge and edge.tail not in apart:
            readers.setdefault(edge.tail, []).append(edge.head)
    found: dict[str, list[Vertex]] = {}
    for badge, heads in readers.items():
        if len(heads) == 1 and not view.vertices[heads[0]].badge:
            found.setdefault(heads[0], []).append(view.vertices[badge])
    return found


def arrange(view: GraphView, edges: Iterable[Edge]) -> tuple[Line, ...]:
    """How `edges` are ranked. A parameter that is updated stands below what reads and writes it.

    What a loop hands to its next step goes against the flow of all else.
    """
    mirrored = _mirrors(view)
    written = {edge.head for edge in view.edges if edge.kind == "update"}
    lines = []
    for edge in edges:
        tail, head = edge.tail, edge.head
        back = mirrored and _is(view, tail, "backward") and _is(view, head, "backward")
        if back != (edge.kind == "next") or (edge.kind == "data" and tail in written):
            lines.append(Line(edge, head, tail))
        else:
            lines.append(Line(edge, tail, head))
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


def closed(view: GraphView, lines: Iterable[Line]) -> Iterator[tuple[str, str]]:
    """Pairs of vertices, the first above the second, that keep what leaves a loop behind its steps.

    What is carried leaves from where it comes in, so that nothing else would.
    """
    last = {m.key: m.members[-1] for _, m in view.walk() if isinstance(m, Cluster)}
    for line in lines:
        if line.edge.kind == "next" and view.around[line.edge.head]:
            step, leaves = line.edge.tail, last[view.around[line.edge.head][-1]]
            if isinstance(leaves, Vertex) and leaves.key != step:
                yield (step, leaves.key) if line.upward else (leaves.key, step)


def stacked(view: GraphView, lines: Sequence[Line]) -> Iterator[tuple[list[str], list[str]]]:
    """Pairs of sets of vertices, the first all above the second, that keep boxes from overlapping.

    Where lines run from one box to a later one beside it, and none back, the lowest vertices of
    the first stand above the highest of the second. Of several such first ones, the nearest does.
    """
    lowest: dict[str, dict[str, None]] = {}  # ordered sets
    highest: dict[str, dict[str, None]] = {}
    hidden = {badge.key for badges in attached(view).values() for badge in badges}
    for key, around in view.around.items():
        for box in around if key not in hidden else ():
            lowest.setdefault(box, {})[key] = None
            highest.setdefault(box, {})[key] = None
    pairs: dict[tuple[str, str], None] = {}
    for line in lines:
        shared = _shared(view.around[line.upper], view.around[line.lower])
        for box in shared:
            lowest[box].pop(line.upper, None)
            highest[box].pop(line.lower, None)
        upper = view.around[line.upper][len(shared) :]
        lower = view.around[line.lower][len(shared) :]
        if upper and lower and not _is(view, line.edge.head, "update"):
            pairs[upper[0], lower[0]] = None
    position = {box: i for i, box in enumerate(lowest)}
    nearest: dict[str, str] = {}  # the others follow, mostly, and each costs dot time
    for first, second in pairs:
        known = nearest.get(second)
        if (
            position[first] < position[second]
            and (second, first) not in pairs
            and (known is None or position[known] < position[first])
        ):
            nearest[second] = first
    for second, first in nearest.items():
        yield list(lowest[first]), list(highest[second])


def _shared(left: tuple[str, ...], right: tuple[str, ...]) -> tuple[str, ...]:
    """The clusters around both."""
    same = 0
    while same < min(len(left), len(right)) and left[same] == right[same]:
        same += 1
    return left[:same]
