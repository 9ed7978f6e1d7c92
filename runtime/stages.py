"""Which kernels run at the same time, and which of them threads share.

Kernels of a plan run in its order. Neighbours that touch nothing of one another's form a stage,
whose tiles threads take as they are free; what is too small to share is run by the caller alone.
Both depend on sizes and on estimates of work, never on what a tile computes: results are the same
bits on any number of threads.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from graphwright.runtime.native_program import KernelCall, Stage

SHARED = 5_000_000
"""Picoseconds of work from which on a kernel is shared: waking and waiting take about one."""
SMALLEST_PIECE = 1_000_000
"""Picoseconds of a piece of work that is worth being taken by itself."""
PIECES = 16
"""Into how many pieces a stage is cut at most: enough that threads end at about the same time."""


class Span(NamedTuple):
    """A stretch of memory: bytes `start` to `end - 1` of one of the places that memory comes from.

    place: a number; stretches of different places never meet
    """

    place: int
    start: int
    end: int

    def meets(self, other: Span) -> bool:
        return self.place == other.place and self.start < other.end and other.start < self.end


class Call(NamedTuple):
    """A kernel on its arguments, and what the order of calls depends on: none may run together
    with another that writes what it touches.

    work: picoseconds on one core, about
    """

    kernel: KernelCall
    work: int
    reads: Sequence[Span]
    writes: Sequence[Span]


def stages(calls: Iterable[Call]) -> list[Stage]:
    """The calls, in order, as stages."""
    found: list[_Growing] = []
    for call in calls:
        if not found or not found[-1].takes(call):
            found.append(_Growing(call))
    return [growing.stage() for growing in found]


class _Growing:
    """A stage that the next calls may join.

    shared:   whether threads share its calls
    work:     of all of them
    largest:  the most work in a tile of one
    smallest: the call with the least work in a tile
    reads:    what they read, by place
    writes:   what they write
    """

    def __init__(self, call: Call) -> None:
        self.calls: list[Call] = []
        self.shared = _shared(call)
        self.work = self.largest = 0
        self.smallest = call
        self.reads: dict[int, list[Span]] = defaultdict(list)
        self.writes: dict[int, list[Span]] = defaultdict(list)
        self._add(call)

    def takes(self, call: Call) -> bool:
        """Whether a call can be in this stage; it is then."""
        fits = _shared(call) == self.shared and (not self.shared or self._fits(call))
        if fits:
            self._add(call)
        return fits

    def stage(self) -> Stage:
        """The stage as it is."""
        kernels = [call.kernel for call in self.calls]
        return Stage(kernels, _chunk(self.work, self.largest) if self.shared else 0)

    def _add(self, call: Call) -> None:
        self.calls.append(call)
        self.work += call.work
        self.largest = max(self.largest, call.work // call.kernel.tiles)
        self.smallest = min(self.smallest, call, key=_work_in_tile)
        for span in call.reads:
            self.reads[span.place].append(span)
        for span in call.writes:
            self.writes[span.place].append(span)

    def _fits(self, call: Call) -> bool:
        """Whether all pieces would be worth being taken, and none waits for another."""
        chunk = _chunk(self.work + call.work, max(self.largest, call.work // call.kernel.tiles))
        smallest = min(self.smallest, call, key=_work_in_tile)
        if chunk * smallest.work // smallest.kernel.tiles < SMALLEST_PIECE:
            return False
        return not (
            _meet(call.writes, self.writes)
            or _meet(call.writes, self.reads)
            or _meet(call.reads, self.writes)
        )


def _meet(spans: Sequence[Span], others: Mapping[int, Sequence[Span]]) -> bool:
    return any(span.meets(other) for span in spans for other in others.get(span.place, ()))


def _shared(call: Call) -> bool:
    """Whether threads share a call."""
    return call.kernel.tiles > 1 and call.work >= SHARED


def _work_in_tile(call: Call) -> float:
    return call.work / call.kernel.tiles


def _chunk(work: int, largest: int) -> int:
    """How many tiles threads take at a time: as many of the largest as make a piece."""
    return max(1, work // PIECES // max(largest, 1))
