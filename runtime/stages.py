"""Which kernels run at the same time, and which of them threads share.

Kernels of a plan run in its order. Neighbours that touch nothing of one another's form a stage,
whose tiles threads take as they are free; what is too small to share is run by the caller alone.
Both depend on sizes and on estimates of work, never on what a tile computes: results are the same
bits on any number of threads.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
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
    """A kernel on its arguments, and what the order of calls depends on.

    work: picoseconds on one core, about
    """

    kernel: KernelCall
    work: int
    reads: Sequence[Span]
    writes: Sequence[Span]

    def waits_for(self, other: Call) -> bool:
        """True when one of the two writes what the other touches."""
        return (
            _meet(self.writes, other.writes)
            or _meet(self.writes, other.reads)
            or _meet(self.reads, other.writes)
        )


def _meet(one: Sequence[Span], other: Sequence[Span]) -> bool:
    return any(a.meets(b) for a in one for b in other)


def stages(calls: Iterable[Call]) -> list[Stage]:
    """The calls, in order, as stages."""
    found: list[list[Call]] = []
    for call in calls:
        last = found[-1] if found else []
        if last and _fit([*last, call]):
            last.append(call)
        else:
            found.append([call])
    return [_stage(group) for group in found]


def _fit(calls: Sequence[Call]) -> bool:
    """Whether the last of the calls can be in the stage that the others are."""
    *others, call = calls
    if not _shared(call) or not _shared(others[0]):
        return _shared(call) == _shared(others[0])
    chunk = _chunk(calls)
    pieces = (chunk * each.work // each.kernel.tiles for each in calls)
    return min(pieces) >= SMALLEST_PIECE and not any(call.waits_for(other) for other in others)


def _shared(call: Call) -> bool:
    """Whether threads share a call."""
    return call.kernel.tiles > 1 and call.work >= SHARED


def _stage(calls: Sequence[Call]) -> Stage:
    kernels = [call.kernel for call in calls]
    return Stage(kernels, _chunk(calls) if _shared(calls[0]) else 0)


def _chunk(calls: Sequence[Call]) -> int:
    """How many tiles threads take at a time: as many of the largest as make a piece."""
    piece = sum(call.work for call in calls) // PIECES
    largest = max(call.work // call.kernel.tiles for call in calls)
    return max(1, piece // max(largest, 1))
