"""The one data model behind every diagram: what there is to draw, and nothing of how.

A `GraphView` is frozen and made of plain values (strings, numbers, tuples), in a deterministic
order. `graphwright.viz.builder` makes one from a graph; the emitters (`dot`, `mermaid`, `text`)
turn one into text and know nothing of graphs; `fold` makes a smaller one of a larger one.
Meaning is kept (`phase="backward"`, `role="parameter"`), looks are not: those are `style`'s.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, TypeAlias

Phase = Literal["forward", "backward", "update"]
"""`forward`: computes what the user wrote; `backward`: made by differentiation;
`update`: needed only for the next values of parameters."""

PHASES: tuple[Phase, ...] = ("forward", "backward", "update")

Role = Literal["input", "output", "operation", "parameter", "constant", "port", "folded"]
"""`port`: where values enter the body of a loop; `folded`: a whole cluster, drawn as one vertex."""

BoxRole = Literal["graph", "scope", "fused", "held"]
EdgeKind = Literal["data", "update", "next"]

Member: TypeAlias = "Vertex | Cluster"


@dataclass(frozen=True, slots=True)
class Vertex:
    """One thing drawn. Constants and busy parameters are drawn once for each consumer.

    key:    unique in the view, made of letters and digits alone, so that it is safe everywhere
    title:  what it is: the operator, the name of an input or a parameter (without the path of the
            cluster around it), a constant's value; of a port `carried`, `slice` or `received`
    detail: more of that in few characters: attributes, a type
    names:  how the printed language calls its outputs, `("%3",)`
    types:  the types of its outputs, `("f32[batch,784]",)`
    scope:  the path of enclosing blocks in which it was made
    source: the user's lines, `train.py:14, train.py:15`
    code:   the text of the first of them, `logits = x @ w`
    """

    key: str
    role: Role
    title: str
    detail: str = ""
    phase: Phase = "forward"
    names: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    scope: str = ""
    source: str = ""
    code: str = ""

    @property
    def badge(self) -> bool:
        """True for what is drawn small, beside its consumer."""
        return self.role in ("parameter", "constant")


@dataclass(frozen=True, slots=True)
class Edge:
    """A value on its way from one vertex to another, or into a parameter.

    tail, head: the keys of the vertices
    kind:       `data` for an operand, `update` for the next value of a parameter, `next` for what
                a loop carries from one step to the next
    type:       the type of the value
    name:       how the printed language calls the value
    output:     which output of the tail it is; None when the tail has only one
    note:       what it is to the head, of several: `then`, `condition`
    """

    tail: str
    head: str
    kind: EdgeKind
    phase: Phase
    type: str
    name: str
    output: int | None = None
    note: str = ""

    @property
    def label(self) -> str:
        """`f32[batch,784]`, or `1: f32[batch,784]` for output 1 of several; a note is before it."""
        number = "" if self.output is None else str(self.output)
        return ": ".join(word for word in (self.note, number, self.type) if word)


@dataclass(frozen=True, slots=True)
class Cluster:
    """A box around its members: the whole graph, a scope, a fused group, or a graph that an
    operator holds (`held`): a branch, the body of a loop, or several of one operator.

    title: the last part of a scope's path; a fused group's kind; `scan: step`
    path:  the whole path of a scope; for a group, that of the scope around it
    """

    key: str
    role: BoxRole
    title: str
    path: str
    members: tuple[Member, ...] = field(repr=False)
    source: str = ""


@dataclass(frozen=True)
class GraphView:
    """Everything that a diagram shows.

    root:    the outermost cluster, which is the graph itself and is not drawn as a box
    summary: the graph in a line, `1 input, 4 parameters, 12 operations, 1 output`
    note:    what a reader should know of the diagram; empty for nothing
    """

    root: Cluster
    edges: tuple[Edge, ...]
    summary: str = ""
    note: str = ""

    def walk(self) -> Iterator[tuple[int, Member]]:
        """Every vertex and cluster below the root with its depth, clusters before their members.

        What the root holds has depth 0.
        """
        rest = [iter(self.root.members)]
        while rest:
            for member in rest[-1]:
                yield len(rest) - 1, member
                if isinstance(member, Cluster):
                    rest.append(iter(member.members))
                    break
            else:
                rest.pop()

    @cached_property
    def vertices(self) -> dict[str, Vertex]:
        """Every vertex by its key, in the order of `walk`."""
        return {member.key: member for _, member in self.walk() if isinstance(member, Vertex)}

    @cached_property
    def around(self) -> dict[str, tuple[str, ...]]:
        """The keys of the clusters around each vertex, outermost first, the root left out."""
        found: dict[str, tuple[str, ...]] = {}
        path: tuple[str, ...] = ()
        for depth, member in self.walk():
            path = path[:depth]
            if isinstance(member, Cluster):
                path = (*path, member.key)
            else:
                found[member.key] = path
        return found

    @cached_property
    def depth(self) -> int:
        """How many clusters lie within each other, the root not counted."""
        return max(
            (depth + 1 for depth, member in self.walk() if isinstance(member, Cluster)), default=0
        )

    @cached_property
    def phases(self) -> tuple[Phase, ...]:
        """The phases that occur, in their order."""
        present = {vertex.phase for vertex in self.vertices.values()}
        present.update(edge.phase for edge in self.edges)
        return tuple(phase for phase in PHASES if phase in present)


def counted(number: int, word: str) -> str:
    """`1 input`, `2 inputs`; empty for none."""
    return f"{number} {word}{'' if number == 1 else 's'}" if number else ""
