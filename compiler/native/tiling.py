"""Walking a grid of tiles, and a loop in vectors."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager

from graphwright.compiler.native.kernel import Frame
from graphwright.compiler.native.nest import Loop
from graphwright.compiler.native.site import Memory, Site
from graphwright.compiler.native.values import Index, Value
from graphwright.graph.dim import Size, ceildiv
from graphwright.graph.dtype import int32
from graphwright.graph.tensor import Tensor


@contextmanager
def each_tile(
    frame: Frame, memory: Memory, loops: Sequence[Loop], chunks: Size
) -> Iterator[tuple[Mapping[Loop, Index], Index]]:
    """The tiles of a call: the rounds of `loops`, each in so many chunks.

    Gives the indices of the loops, and the number of the chunk.
    """
    b = frame.b
    with b.loop(frame.first, frame.last, name="tile") as tile:
        chunk: Index = 0
        rest = tile
        if chunks != 1:
            count = memory.number(chunks)
            chunk = b.remainder(tile, count) if loops else tile
            rest = tile / count if loops else tile
        yield indices_of(memory, rest, loops), chunk


def indices_of(memory: Memory, number: Value, loops: Sequence[Loop]) -> dict[Loop, Index]:
    """The indices of nested loops in their so-manieth round, the last one the fastest."""
    indices: dict[Loop, Index] = {}
    for position, loop in reversed(list(enumerate(loops))):
        size = memory.number(loop.size)
        indices[loop] = memory.b.remainder(number, size) if position else number
        if position:
            number = number / size
    return {loop: indices[loop] for loop in loops}


def chunk_bounds(memory: Memory, chunk: Index, length: int, size: Index) -> tuple[Value, Value]:
    """The first index of a chunk of a loop, and the one past its last."""
    b = memory.b
    start = b.index(chunk) * length
    return start, b.intrinsic("smin", start + length, size)


def vectors(
    site: Site,
    loop: Loop,
    start: Index,
    stop: Index,
    lanes: int,
    keeps: Collection[Tensor] = (),
) -> Iterator[Site]:
    """Sites that walk a loop in vectors: first whole ones, then what is left, masked.

    Each is to be written to once, before the next is asked for. keeps: as for `Site`
    """
    b, memory = site.b, site.memory
    if isinstance(start, int) and isinstance(stop, int):
        count = stop - start
        whole: Index = start + count - count % lanes
        some, rest = count >= lanes, count % lanes > 0
    else:
        length = b.index(stop) - start
        whole = length - b.remainder(length, lanes) + start
        some = rest = True
    if some:
        # Loops of several rounds that differ in nothing but their number share their code.
        end = memory.value(whole) if isinstance(whole, int) and whole > lanes else whole
        with b.loop(start, end, lanes, name="vector") as index:
            yield Site(memory, {loop: index}, site, along=loop, lanes=lanes, keeps=keeps)
    if not rest:
        return
    mask = lane_mask(site, whole, stop, lanes)
    tail = Site(memory, {loop: whole}, site, along=loop, lanes=lanes, mask=mask, keeps=keeps)
    if isinstance(whole, int):
        yield tail
    else:
        with b.when(whole < stop, name="rest"):
            yield tail


def lane_mask(site: Site, first: Index, stop: Index, lanes: int) -> Value | None:
    """Which lanes from index `first` on lie below `stop`; for one lane, None."""
    if lanes == 1:
        return None
    b = site.b
    left = b.convert(b.index(stop) - first, int32)
    return b.lane_numbers(lanes, int32) < left


def rounds(size: Size, length: int) -> Size:
    """How many chunks of a length a loop has."""
    return min(size, 1) if isinstance(size, int) and size <= length else ceildiv(size, length)
