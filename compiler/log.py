"""The why-log: what a pass did to which nodes, and what it declined to do and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from graphwright.graph.node import Node


@dataclass(frozen=True)
class Event:
    """One rewrite made, or one declined.

    rule:    the name of the rule or of the decision, `log_of_softmax`, `fuse_rows`
    what:    a sentence for the user: what happened, or the reason why it did not
    nodes:   the nodes concerned, as they were before
    applied: made, or declined
    """

    rule: str
    what: str
    nodes: tuple[Node, ...]
    applied: bool


class Log:
    """Collects the events of one run of one pass.

    limit: how many rewrites the pass may make; None for all. The runner finds the rewrite that
           broke a graph by running the pass again under lower limits.
    """

    def __init__(self, limit: int | None = None) -> None:
        self.events: list[Event] = []
        self.limit = limit
        self._count = 0

    def applied(self, rule: str, what: str, nodes: Sequence[Node]) -> bool:
        """Ask to make a rewrite: True means recorded, go ahead; False means leave it."""
        if self.limit is not None and self._count >= self.limit:
            return False
        self._count += 1
        self.events.append(Event(rule, what, tuple(nodes), applied=True))
        return True

    def declined(self, rule: str, what: str, nodes: Sequence[Node]) -> None:
        """Record a rewrite that was considered and not made, with the reason."""
        self.events.append(Event(rule, what, tuple(nodes), applied=False))

    @property
    def rewrites(self) -> int:
        """How many rewrites were made."""
        return self._count
