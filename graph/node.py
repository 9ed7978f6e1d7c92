"""The node: one application of an operator, frozen, with where it comes from."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Literal, NamedTuple

from graphwright.graph.errors import AttributeValueError
from graphwright.graph.source import NOWHERE, Source, here
from graphwright.graph.tensor import Tensor

if TYPE_CHECKING:
    from graphwright.graph.operator import Operator
    from graphwright.graph.types import TensorType

Phase = Literal["forward", "backward"]


class Origin(NamedTuple):
    """Where a node comes from: enclosing blocks, the user's lines, and who wrote it down."""

    scope: str = ""
    """The path of enclosing blocks, `encoder/layer_3`; empty at the top."""
    source: Source = NOWHERE
    phase: Phase = "forward"
    """`backward` for what differentiation made, `forward` for what the user did."""

    def __or__(self, other: Origin) -> Origin:
        """For a node that replaces several: the first one's place, the lines of all."""
        return self._replace(source=self.source | other.source)


_serials = itertools.count()

_scope: ContextVar[str] = ContextVar("scope", default="")
_derived: ContextVar[Origin | None] = ContextVar("derived", default=None)


class Node:
    """`outputs = op(inputs)`. Frozen; compared by identity; `Graph` compares structure.

    scope:  the path of enclosing blocks in which it was made
    source: the user's line that made it, or the lines of all the nodes that it replaces
    phase:  forward or backward
    serial: grows from node to node as they are made: tells what a function made while it ran
    """

    __slots__ = ("__weakref__", "inputs", "op", "origin", "outputs", "serial")

    op: Operator
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    origin: Origin
    serial: int

    def __init__(
        self,
        op: Operator,
        inputs: Sequence[Tensor],
        types: Sequence[TensorType],
        tensor_class: type[Tensor] = Tensor,
        origin: Origin | None = None,
    ) -> None:
        fix = object.__setattr__
        fix(self, "op", op)
        fix(self, "inputs", tuple(inputs))
        fix(self, "serial", next(_serials))
        fix(self, "origin", origin or _derived.get() or Origin(_scope.get(), here()))
        fix(self, "outputs", tuple(tensor_class(self, i, kind) for i, kind in enumerate(types)))

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"nodes are frozen: {name} can't be set")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"nodes are frozen: {name} can't be deleted")

    @property
    def scope(self) -> str:
        return self.origin.scope

    @property
    def source(self) -> Source:
        return self.origin.source

    @property
    def phase(self) -> Phase:
        return self.origin.phase

    def __repr__(self) -> str:
        types = ", ".join(str(tensor.type) for tensor in self.outputs)
        return f"<{self.op!r}: {types}>"


def next_serial() -> int:
    """Less than the serial of every node made from now on, and more than that of every other."""
    return next(_serials)


@contextmanager
def scope(name: str) -> Iterator[None]:
    """Nodes made inside belong to the block `name`, within the blocks already open.

    >>> with scope("encoder"), scope("layer_1"):
    ...     pass  # nodes made here have the scope encoder/layer_1

    Raises AttributeValueError when `name` is empty or not made of printable characters.
    """
    if not isinstance(name, str) or not name.strip("/") or not name.isprintable():
        raise AttributeValueError(f"{name!r} can't name a scope", hint="use a short printable name")
    outer = _scope.get()
    token = _scope.set(f"{outer}/{name.strip('/')}" if outer else name.strip("/"))
    try:
        yield
    finally:
        _scope.reset(token)


class derived:
    """Nodes made inside come from `origin`: how passes hand provenance on.

    A class, since generators take three times as long to enter and to leave, which passes do all
    the time.
    """

    __slots__ = ("_origin", "_token")

    def __init__(self, origin: Origin) -> None:
        self._origin = origin

    def __enter__(self) -> None:
        self._token = _derived.set(self._origin)

    def __exit__(self, *_: object) -> None:
        _derived.reset(self._token)
