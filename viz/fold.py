"""Draw less of a large view: whole clusters as single vertices."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from graphwright.viz.view import PHASES, Cluster, Edge, GraphView, Member, Vertex, counted


def fitted(view: GraphView, fits: Callable[[GraphView], bool]) -> GraphView:
    """The least folded form of the view that fits; the most folded one when none does."""
    if fits(view):
        return view
    best = folded(view, 0)
    low, high = 0, view.depth - 1
    while low <= high:  # less folded is larger, so the depths can be halved
        depth = (low + high) // 2
        smaller = folded(view, depth)
        if fits(smaller):
            best, low = smaller, depth + 1
        else:
            high = depth - 1
    return best


def folded(view: GraphView, depth: int) -> GraphView:
    """The view with at most `depth` clusters within each other: the deeper ones are vertices.

    A folded cluster becomes one vertex for each phase in it, so that values still flow forward and
    gradients back. Edges within it vanish, and edges that become alike are drawn once. The same
    view when it is no deeper.
    """
    if depth >= view.depth:
        return view
    shown: dict[str, tuple[Member, ...]] = {}  # what stands in the place of each cluster
    moved: dict[str, str] = {}
    clusters = [(level, member) for level, member in view.walk() if isinstance(member, Cluster)]
    for level, cluster in reversed(clusters):
        members = _members(cluster, shown)
        if level < depth:
            shown[cluster.key] = (replace(cluster, members=members),)
        elif level == depth:
            shown[cluster.key] = tuple(_stand_ins(cluster, members, moved))
        else:
            shown[cluster.key] = members
    return replace(
        view,
        root=replace(view.root, members=_members(view.root, shown)),
        edges=tuple(_joined(view.edges, moved)),
        note=f"folded to {counted(depth, 'level')} of boxes" if depth else "all boxes are folded",
    )


def _members(cluster: Cluster, shown: dict[str, tuple[Member, ...]]) -> tuple[Member, ...]:
    return tuple(
        part
        for member in cluster.members
        for part in (shown[member.key] if isinstance(member, Cluster) else (member,))
    )


def _stand_ins(
    cluster: Cluster, members: Sequence[Member], moved: dict[str, str]
) -> Iterator[Vertex]:
    """A vertex for each phase in a cluster; enters in `moved` what it stands for."""
    for phase in PHASES:
        own = [m for m in members if isinstance(m, Vertex) and m.phase == phase]
        if own:
            key = f"{cluster.key}{phase}"
            moved.update((vertex.key, key) for vertex in own)
            operations = sum(vertex.role == "operation" for vertex in own)
            parameters = len({vertex.names for vertex in own if vertex.role == "parameter"})
            counts = (counted(operations, "operation"), counted(parameters, "parameter"))
            yield Vertex(
                key,
                "folded",
                cluster.title,
                ", ".join(count for count in counts if count),
                phase,
                scope=cluster.path,
                source=cluster.source,
            )


def _joined(edges: Sequence[Edge], moved: dict[str, str]) -> Iterator[Edge]:
    """The edges between the vertices that are left, each of those that were moved once."""
    seen: set[Edge] = set()
    for edge in edges:
        tail, head = moved.get(edge.tail, edge.tail), moved.get(edge.head, edge.head)
        if (tail, head) == (edge.tail, edge.head):
            yield edge
            continue
        new = replace(edge, tail=tail, head=head, name="", output=None)
        if tail != head and new not in seen:
            seen.add(new)
            yield new
