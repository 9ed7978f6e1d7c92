"""Nested clusters while they are being filled: scopes, fused groups, branches and loops."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from graphwright.viz.flow import Flow, Step
from graphwright.viz.view import BoxRole, Cluster, Member, Vertex
from graphwright.viz.words import places_text

Path = tuple[str, ...]


@dataclass(eq=False)
class Box:
    """A cluster that is still being filled. It stands in its parent from its first vertex on."""

    key: str
    role: BoxRole
    title: str
    path: Path
    parent: Box | None
    source: str = ""
    members: list[Vertex | Box] = field(default_factory=list)

    def add(self, vertex: Vertex) -> None:
        member: Vertex | Box = vertex
        box = self
        while box.parent is not None and not box.members:
            box.members.append(member)
            member, box = box, box.parent
        box.members.append(member)


class Boxes:
    """The boxes of a flow: one for each group, and in each graph one for each scope, wherever its
    nodes stand."""

    def __init__(self, flow: Flow, operations: Sequence[bool]) -> None:
        """operations: which steps decide where the box of their group stands"""
        self.root = Box("c0", "graph", "", (), None)
        self._all = [self.root]
        self._scopes: dict[tuple[Box, Path], Box] = {}
        self._groups: list[Box] = []
        paths = _group_paths(flow, operations)
        for group, path in zip(flow.groups, paths, strict=True):  # parents come first
            around = self.root if group.parent is None else self._groups[group.parent]
            box = self._new(group.kind, group.title, path, self._scope(around, path))
            box.source = places_text(group.node.source)
            self._groups.append(box)

    def of(self, step: Step) -> Box:
        """The box that a step belongs to."""
        group = self.root if step.group is None else self._groups[step.group]
        return group if step.port else self._scope(group, scope_path(step.node.scope))

    def beside(self, step: Step, reader: Box) -> Box:
        """Where a badge of `step` goes for a reader in `reader`: there, but not into a fused group
        that `step` is not part of."""
        own = None if step.group is None else self._groups[step.group]
        while reader.role == "fused" and reader is not own and reader.parent is not None:
            reader = reader.parent
        return reader

    def _scope(self, box: Box, path: Path) -> Box:
        """The box of a scope within that of a graph, made with those around it when it is first
        asked for. The operations of a fused group are not told apart by scope."""
        if box.role == "fused":
            return box
        start = _common(box.path, path)
        for end in range(len(start) + 1, len(path) + 1):
            known = self._scopes.get((box, path[:end]))
            if known is None:
                known = self._new("scope", path[end - 1], path[:end], box)
                self._scopes[box, path[:end]] = known
            box = known
        return box

    def frozen(self) -> Cluster:
        """The root, with all that it holds."""
        done: dict[Box, Cluster] = {}
        for box in reversed(self._all):  # inner boxes were made after those around them
            members: list[Member] = [m if isinstance(m, Vertex) else done[m] for m in box.members]
            path = "/".join(box.path)
            done[box] = Cluster(box.key, box.role, box.title, path, tuple(members), box.source)
        return done[self.root]

    def _new(self, role: BoxRole, title: str, path: Path, parent: Box) -> Box:
        box = Box(f"c{len(self._all)}", role, title, path, parent)
        self._all.append(box)
        return box


def scope_path(scope: str) -> Path:
    """The parts of a scope: `encoder/layer_1` is (encoder, layer_1)."""
    return tuple(part for part in scope.split("/") if part)


def _group_paths(flow: Flow, operations: Sequence[bool]) -> list[Path]:
    """The scope of each group: of a fused one, the deepest around all its operations."""
    paths: list[Path | None] = [None] * len(flow.groups)
    for step, operation in zip(flow.steps, operations, strict=True):
        group = step.group
        while group is not None and flow.groups[group].kind == "fused" and operation:
            path, known = scope_path(step.node.scope), paths[group]
            paths[group] = path if known is None else _common(known, path)
            group = flow.groups[group].parent
    return [
        scope_path(group.node.scope) if path is None else path
        for group, path in zip(flow.groups, paths, strict=True)
    ]


def _common(left: Path, right: Path) -> Path:
    same = 0
    while same < min(len(left), len(right)) and left[same] == right[same]:
        same += 1
    return left[:same]
