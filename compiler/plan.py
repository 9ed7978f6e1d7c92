"""The plan: steps in order, and for every value the stretch of memory that holds it.

A plan is symbolic in the named dimensions. `Plan.layout` gives the offsets for concrete sizes;
nothing else about it depends on them, so one plan serves every batch size.
"""

from __future__ import annotations

import heapq
from bisect import bisect_left, insort
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Literal

from graphwright.graph.array import FrozenArray
from graphwright.graph.dim import Size, Sizes, evaluate
from graphwright.graph.graph import Graph
from graphwright.graph.node import Node
from graphwright.graph.operator import Operator
from graphwright.graph.placement import Placement
from graphwright.graph.types import TensorType

ALIGNMENT = 64
"""Bytes: a cache line, and the widest vector register."""

BufferKind = Literal["arena", "result", "input", "parameter", "constant"]


@dataclass(frozen=True)
class Buffer:
    """A stretch of memory that one or several values share.

    kind:   `arena` for what a run needs in between; `result` for what it hands out, which is fresh
            memory each time; the others lie outside
    nbytes: its size, symbolic
    first:  the index of the first step that touches it
    last:   the index of the last one; both included
    """

    kind: BufferKind
    nbytes: Size
    first: int
    last: int


@dataclass(frozen=True)
class Value:
    """A tensor at run time: its type, the buffer that holds it, and where in it (as a view)."""

    type: TensorType
    buffer: int
    name: str
    place: Placement


@dataclass(frozen=True)
class Step:
    """One kernel call, on values by number.

    node: the node of the scheduled graph that it belongs to: several steps for a fused one
    view: nothing is computed, the output is a NumPy view of the first input
    """

    op: Operator
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    node: Node
    view: bool = False


@dataclass(frozen=True)
class Layout:
    """Where the arena's buffers lie for concrete sizes. All figures are bytes.

    offsets:     for each arena buffer by number, its offset
    sizes:       for each arena buffer by number, its size, rounded up to the alignment
    peak:        the size of the arena
    total:       what it would be if no memory were used twice
    lower_bound: the most that is live at one step: no layout can need less
    results:     the fresh memory handed out to the caller, beside the arena
    """

    offsets: dict[int, int]
    sizes: dict[int, int]
    peak: int
    total: int
    lower_bound: int
    results: int


@dataclass(frozen=True)
class Plan:
    """What `plan_memory` makes and the runtime executes."""

    graph: Graph
    steps: tuple[Step, ...]
    values: tuple[Value, ...]
    buffers: tuple[Buffer, ...]
    inputs: tuple[int, ...]
    parameters: tuple[int, ...]
    constants: tuple[tuple[int, FrozenArray], ...]
    results: tuple[int, ...]
    unshared: tuple[Size, ...]
    """The bytes of every value that a step computes: what memory would be with no reuse at all."""

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The named dimensions that its sizes depend on, sorted."""
        sizes = [size for value in self.values for size in value.type.shape]
        return tuple(
            sorted({name for size in sizes if not isinstance(size, int) for name in size.names})
        )

    def layout(self, sizes: Sizes) -> Layout:
        """The offsets for concrete sizes: the better of two classic greedy strategies."""
        rounded = {
            number: _rounded(evaluate(buffer.nbytes, sizes))
            for number, buffer in enumerate(self.buffers)
            if buffer.kind == "arena"
        }
        results = sum(
            _rounded(evaluate(buffer.nbytes, sizes))
            for buffer in self.buffers
            if buffer.kind == "result"
        )
        total = sum(_rounded(evaluate(nbytes, sizes)) for nbytes in self.unshared) - results
        candidates = [_place_in_order(self.buffers, rounded)]
        if len(rounded) <= _QUADRATIC:
            candidates.append(_place_largest_first(self.buffers, rounded))
        offsets = min(candidates, key=lambda offsets: _end(offsets, rounded))
        return Layout(
            offsets,
            rounded,
            peak=_end(offsets, rounded),
            total=max(total, 0),
            lower_bound=_most_live(self.buffers, rounded),
            results=results,
        )


_QUADRATIC = 2000  # arena buffers up to which a quadratic strategy is affordable


def _rounded(nbytes: int) -> int:
    return -(-nbytes // ALIGNMENT) * ALIGNMENT


def _end(offsets: dict[int, int], sizes: dict[int, int]) -> int:
    return max((offset + sizes[number] for number, offset in offsets.items()), default=0)


def _most_live(buffers: tuple[Buffer, ...], sizes: dict[int, int]) -> int:
    changes: dict[int, int] = {}
    for number, nbytes in sizes.items():
        changes[buffers[number].first] = changes.get(buffers[number].first, 0) + nbytes
        changes[buffers[number].last + 1] = changes.get(buffers[number].last + 1, 0) - nbytes
    live = most = 0
    for step in sorted(changes):
        live += changes[step]
        most = max(most, live)
    return most


def _place_in_order(buffers: tuple[Buffer, ...], sizes: dict[int, int]) -> dict[int, int]:
    """Best fit over a free list, in order of first use."""
    offsets: dict[int, int] = {}
    free: list[tuple[int, int]] = []  # (offset, size), sorted by offset, never adjacent
    ending: list[tuple[int, int]] = []  # (last step, buffer)
    end = 0
    for number in sorted(sizes, key=lambda number: (buffers[number].first, -sizes[number])):
        while ending and ending[0][0] < buffers[number].first:
            _, dead = heapq.heappop(ending)
            _release(free, offsets[dead], sizes[dead])
        size = sizes[number]
        fits = [(hole, offset) for offset, hole in free if hole >= size]
        if fits:
            hole, offset = min(fits)
            free.remove((offset, hole))
            if hole > size:
                insort(free, (offset + size, hole - size))
        elif free and free[-1][0] + free[-1][1] == end:
            offset, hole = free.pop()  # grow the hole at the end
            end = offset + size
        else:
            offset, end = end, end + size
        offsets[number] = offset
        if size:
            heapq.heappush(ending, (buffers[number].last, number))
    return offsets


def _release(free: list[tuple[int, int]], offset: int, size: int) -> None:
    for neighbour in [
        hole for hole in free if hole[0] + hole[1] == offset or hole[0] == offset + size
    ]:
        free.remove(neighbour)
        offset, size = min(offset, neighbour[0]), size + neighbour[1]
    insort(free, (offset, size))


def _place_largest_first(buffers: tuple[Buffer, ...], sizes: dict[int, int]) -> dict[int, int]:
    """Each buffer, the largest first, at the lowest offset free during its life.

    Greedy by size: Pisarchyk and Lee, "Efficient Memory Management for Deep Neural Net
    Inference", 2020, section 5.
    """
    offsets: dict[int, int] = {}
    placed: list[tuple[int, int]] = []  # (offset, buffer), sorted
    for number in sorted(sizes, key=lambda number: (-sizes[number], buffers[number].first)):
        offset, best, best_gap = 0, None, None
        for start, other in placed:
            if not overlap(buffers[number], buffers[other]):
                continue
            gap = start - offset
            if gap >= sizes[number] and (best_gap is None or gap < best_gap):
                best, best_gap = offset, gap
            offset = max(offset, start + sizes[other])
        offsets[number] = offset if best is None else best
        if sizes[number]:
            insort(placed, (offsets[number], number))
    return offsets


def overlap(left: Buffer, right: Buffer) -> bool:
    """True when both are live at some step."""
    return left.first <= right.last and right.first <= left.last


def collisions(plan: Plan, layout: Layout) -> Iterator[tuple[int, int]]:
    """Pairs of arena buffers that are live together and share bytes: none, in a right layout.

    In a wrong one not all are found, but one at least.
    """
    taken = [number for number, size in layout.sizes.items() if size]  # an empty one shares none
    live: list[tuple[int, int]] = []  # offsets and numbers, in order
    ends: list[tuple[int, tuple[int, int]]] = []  # a heap of the last steps of those
    for number in sorted(taken, key=lambda number: plan.buffers[number].first):
        buffer, offset = plan.buffers[number], layout.offsets[number]
        end, entry = offset + layout.sizes[number], (offset, number)
        while ends and ends[0][0] < buffer.first:
            del live[bisect_left(live, heapq.heappop(ends)[1])]
        place = bisect_left(live, entry)
        # As long as none collide, only the last one before can reach this far.
        for start, other in islice(live, max(place - 1, 0), None):
            if start >= end:
                break
            if offset < start + layout.sizes[other]:
                yield other, number
        live.insert(place, entry)
        heapq.heappush(ends, (buffer.last, entry))
