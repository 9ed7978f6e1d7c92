"""A directed acyclic graph cut into groups, which form an acyclic graph again.

Groups merge in pairs. Two may merge when no path leads from one to the other through a third:
the merged group would need that one's result before it runs, and have to run before it. The
groups are kept in a topological order, by a linked list with positions, so that a search for
such a path can stay between the two (as in Pearce and Kelly, "A Dynamic Topological Sort
Algorithm for Directed Acyclic Graphs", 2006); it runs from both ends at once and gives up after a
fixed number of edges, which bounds the work for any graph.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

REACH = 256
"""Edges that a search for a path follows at most, from each end."""

_END = -1


@dataclass(frozen=True)
class Blocked:
    """Why two groups did not merge: a path through a third, or (None) too long a search."""

    through: int | None


class Partition:
    """Groups of the nodes 0, 1, … `count` - 1, each alone at first.

    edges: from lower to higher numbers; repeats don't matter

    A group goes by the number of one of its nodes.
    """

    def __init__(self, count: int, edges: Iterable[tuple[int, int]]) -> None:
        self.successors: list[dict[int, None]] = [{} for _ in range(count)]
        self.predecessors: list[dict[int, None]] = [{} for _ in range(count)]
        for start, end in edges:
            self.successors[start][end] = None
            self.predecessors[end][start] = None
        self._into = list(range(count))
        # The order: a list linked both ways through a head, which has the number `count`.
        self._head = count
        self._position = [float(i + 1) for i in range(count)] + [0.0]
        self._next = [*range(1, count + 1), 0]
        self._previous = [count, *range(count)]

    def group(self, node: int) -> int:
        """The group that `node` is in."""
        root = node
        while self._into[root] != root:
            root = self._into[root]
        while self._into[node] != root:
            self._into[node], node = root, self._into[node]
        return root

    def order(self) -> list[int]:
        """The groups, each after those it needs."""
        groups = []
        group = self._next[self._head]
        while group != self._head:
            groups.append(group)
            group = self._next[group]
        return groups

    def position(self, group: int) -> float:
        """A number that grows along the order."""
        return self._position[group]

    def merge(self, one: int, other: int) -> int | Blocked:
        """Make one group of two; its number, or what stands in the way."""
        first, last = sorted((one, other), key=self.position)
        forward = self._walk(first, last, self.successors)
        backward = self._walk(last, first, self.predecessors)
        after: list[int] = []
        ahead: list[int] = []
        for _ in range(REACH):
            # Whichever search ends first has seen all that must move aside: what needs `first`
            # goes behind both, or what `last` needs goes ahead of both.
            for walk, seen in ((forward, after), (backward, ahead)):
                step = next(walk, _END)
                if isinstance(step, Blocked):
                    return step
                if step == _END:
                    return self._merged(first, last, after if walk is forward else None, ahead)
                if step is not None:
                    seen.append(step)
        return Blocked(None)

    def _walk(
        self, start: int, goal: int, neighbours: list[dict[int, None]]
    ) -> Iterator[int | Blocked | None]:
        """Go on from `start` to all that lies between it and `goal` in the order.

        Yields once per edge: a group newly reached, None, or Blocked when `goal` is reached by way
        of another group.
        """
        low, high = sorted((self._position[start], self._position[goal]))
        seen: set[int] = set()
        stack = [start]
        while stack:
            group = stack.pop()
            for near in neighbours[group]:
                if near == goal and group != start:
                    yield Blocked(group)
                elif near in seen or not low < self._position[near] < high:
                    yield None
                else:
                    seen.add(near)
                    stack.append(near)
                    yield near

    def _merged(self, first: int, last: int, after: list[int] | None, ahead: list[int]) -> int:
        """Merge, with the groups `after` moved behind `last`, or those `ahead` before `first`."""
        weight = [len(self.successors[g]) + len(self.predecessors[g]) for g in (first, last)]
        kept, gone = (first, last) if weight[0] >= weight[1] else (last, first)
        place = first if after is None else last
        if after is not None:
            self._move(after, last)
        else:
            self._move(ahead, self._previous[first])
        if place == gone and self._previous[gone] != kept:
            self._move([kept], self._previous[gone])
        self._unlink(gone)
        for neighbours, back in (
            (self.successors, self.predecessors),
            (self.predecessors, self.successors),
        ):
            for near in neighbours[gone]:
                del back[near][gone]
                if near != kept:
                    back[near][kept] = None
                    neighbours[kept][near] = None
            neighbours[gone] = {}
        self._into[gone] = kept
        return kept

    def _move(self, groups: list[int], behind: int) -> None:
        """Put `groups`, in their present order, right behind the group `behind`."""
        groups = sorted(groups, key=self._position.__getitem__)
        for group in groups:
            self._unlink(group)
        following = self._next[behind]
        for left, right in pairwise((behind, *groups, following)):
            self._next[left], self._previous[right] = right, left
        low = self._position[behind]
        high = self._position[following] if following != self._head else low + len(groups) + 1
        gap = (high - low) / (len(groups) + 1)
        for count, group in enumerate(groups, 1):
            self._position[group] = low + gap * count
        if gap < 1e-9:
            for count, group in enumerate(self.order(), 1):
                self._position[group] = float(count)

    def _unlink(self, group: int) -> None:
        left, right = self._previous[group], self._next[group]
        self._next[left], self._previous[right] = right, left
