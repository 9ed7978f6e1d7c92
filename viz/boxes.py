"""Nested clusters while they are being filled: scopes, and fused groups within them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from graphwright.viz.flow import Flow, Step
from graphwright.viz.view import Cluster, Member, Vertex
from graphwright.viz.words import places_text

Path = tuple[str, ...]


@dataclass(eq=False)
class Box:
    """A cluster that is still being filled. It stands in its parent from its first vertex on."""

    key: str
    role: Literal["graph", "scope", "fused"]
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
    """The boxes of a flow: one for each scope, wherever its nodes stand, one for each group."""

    def __init__(self, flow: Flow, operations: Sequence[bool]) -> None:
        """operations: which steps decide where the box of their group stands"""
        self.root = Box("c0", "graph", "", (), None)
        self._all = [self.root]
        self._scopes: dict[Path, Box] = {(): self.root}
        self._groups: list[Box] = []
        paths = _group_paths(flow, operations)
        for group, path in zip(flow.groups, paths, strict=True):  # parents come first
            parent = self.scope(path) if group.parent is None else self._groups[group.parent]
            kind = group.node.op.attributes.get("kind")
            box = self._new("fused", f"fused {kind}" if kind else "fused", path, parent)
            box.source = places_text(group.node.source)
            self._groups.append(box)

    def of(self, step: Step) -> Box:
        """The box that a step belongs to."""
        return (
            self.scope(scope_path(step.node.scope))
            if step.group is None
            else self._groups[step.group]
        )

    def beside(self, step: Step, reader: Box) -> Box:
        """Where a badge of `step` goes for a reader in `reader`: there, but not into a fused group
        that `step` is not part of."""
        own = None if step.group is None else self._groups[step.group]
        while reader.role == "fused" and reader is not own and reader.parent is not None:
            reader = reader.parent
        return reader

    def scope(self, path: Path) -> Box:
        """The box of a scope, made with those around it when it is first asked for."""
        if path in self._scopes:
            return self._scopes[path]
        box = self.root
        for end in range(1, len(path) + 1):
            inner = self._scopes.get(path[:end])
            if inner is None:
                inner = self._new("scope", path[end - 1], path[:end], box)
                self._scopes[path[:end]] = inner
            box = inner
        return box

    def frozen(self) -> Cluster:
        """The root, with all that it holds."""
        done: dict[Box, Cluster] = {}
        for box in reversed(self._all):  # inner boxes were made after those around them
            members: list[Member] = [m if isinstance(m, Vertex) else done[m] for m in box.members]
            path = "/".join(box.path)
            done[box] = Cluster(box.key, box.role, box.title, path, tuple(members), box.source)
        return done[self.root]

    def _new(self, role: Literal["scope", "fused"], title: str, path: Path, parent: Box) -> Box:
        box = Box(f"c{len(self._all)}", role, title, path, parent)
        self._all.append(box)
        return box


def scope_path(scope: str) -> Path:
    """The parts of a scope: `encoder/layer_1` is (encoder, layer_1)."""
    return tuple(part for part in scope.split("/") if part)


def _group_paths(flow: Flow, operations: Sequence[bool]) -> list[Path]:
    """The deepest scope around all operations of each group."""
    paths: list[Path | None] = [None] * len(flow.groups)
    for step, operation in zip(flow.steps, operations, strict=True):
        group = step.group
        while group is not None and operation:
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
