"""Square blocks of elements transposed in registers.

A block of n rows of n elements, each a vector: log2 n times, row i and row i + n/2 are interleaved
to rows 2i and 2i + 1. Each time the uppermost bit of the row's number and that of the column's
change places, so that in the end rows are columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from graphwright.compiler.native.instructions import Instructions
from graphwright.compiler.native.ir import Builder
from graphwright.compiler.native.kernel import Frame
from graphwright.compiler.native.target import Target
from graphwright.compiler.native.traversal import (
    Space,
    digits,
    first_lanes,
    least,
    numbers,
    offset,
)
from graphwright.compiler.native.values import Index, Pointer, Value
from graphwright.graph.dim import Size, ceildiv, product

_SIDE = 64  # of the square that a tile is


def block_side(target: Target, itemsize: int) -> int:
    """How many elements a side of a block has: at most 16, so that the block fits in registers."""
    return min(target.lanes(itemsize), 16)


def transposed(b: Instructions, rows: Sequence[Value]) -> list[Value]:
    """The columns of a block, given its rows: as many vectors as each has lanes, a power of two."""
    side = len(rows)
    block = list(rows)
    low = [place for i in range(side // 2) for place in (i, side + i)]
    high = [place + side // 2 for place in low]
    for _ in range(side.bit_length() - 1):
        pairs = zip(block[: side // 2], block[side // 2 :], strict=True)
        block = [shuffled(b, x, y, order) for x, y in pairs for order in (low, high)]
    return block


def interleaved(b: Instructions, x: Value, y: Value) -> Value:
    """Lane 0 of `x`, lane 0 of `y`, lane 1 of `x` and so on: a vector twice as long."""
    return shuffled(b, x, y, [place for i in range(x.lanes) for place in (i, x.lanes + i)])


def shuffled(b: Instructions, x: Value, y: Value, places: Sequence[int]) -> Value:
    """A vector of lanes of two others: place i is lane i of `x`, place lanes + i that of `y`."""
    kind, lanes = x.type, len(places)
    order = ", ".join(f"i32 {place}" for place in places)
    text = b.emit(f"shufflevector {kind} {x.text}, {kind} {y.text}, <{lanes} x i32> <{order}>")
    return Value(b, text, x.dtype, lanes)


@dataclass(frozen=True)
class BlockTiling:
    """A copy whose rows are neighbours in the output, and whose columns are in the source.

    space:    of the output and the source; the last axis has stride 1 in the output
    across:   the axis that has stride 1 in the source
    together: how many squares a tile has, of different rows of the other axes
    side:     of the blocks that are transposed in registers
    """

    space: Space
    across: int
    together: int
    side: int

    @classmethod
    def of(cls, space: Space, side: int) -> BlockTiling | None:
        """For a space of an output and a source; None if copying by rows is as good."""
        out, source = space.strides
        if out[-1] != 1 or source[-1] in (0, 1) or 1 not in source[:-1]:
            return None
        across = source.index(1)
        size = space.shape[across]
        if isinstance(size, int) and size < max(side // 2, 2):
            return None
        sides = [n for n in (space.row, size) if isinstance(n, int)]
        square = min(sides[0], _SIDE) * min(sides[1], _SIDE) if len(sides) == 2 else _SIDE**2
        return cls(space, across, max(_SIDE**2 // max(square, 1), 1), side)

    @property
    def others(self) -> list[int]:
        """The axes that are neither of the two."""
        return [axis for axis in range(len(self.space.shape) - 1) if axis != self.across]

    @property
    def squares(self) -> tuple[Size, Size, Size]:
        """How many along the other axes, along `across` and along the last one."""
        shape = self.space.shape
        outer = ceildiv(product(shape[axis] for axis in self.others), self.together)
        return outer, ceildiv(shape[self.across], _SIDE), ceildiv(shape[-1], _SIDE)

    @property
    def tiles(self) -> Size:
        return product(self.squares)


def blocks_of(frame: Frame, tiling: BlockTiling, out: Pointer, source: Pointer) -> None:
    """The loops over the tiles of a kernel that copies `source` to `out` by blocks."""
    b, number = frame.b, frame.arguments.number
    shape, axes = tiling.space.shape, tiling.others
    others = numbers(frame.arguments, [shape[axis] for axis in axes])
    strides = [
        numbers(frame.arguments, [each[axis] for axis in axes]) for each in tiling.space.strides
    ]
    width, length = number(shape[tiling.across]), number(shape[-1])
    steps = number(tiling.space.strides[0][tiling.across]), number(tiling.space.strides[1][-1])
    count = number(product(shape[axis] for axis in axes))
    with b.loop(frame.first, frame.last, name="tile") as tile:
        group, column, row = digits(b, tile, numbers(frame.arguments, tiling.squares))
        column, row = column * _SIDE, row * _SIDE
        begin = group * tiling.together
        with b.loop(begin, least(b, begin + tiling.together, count), name="square") as other:
            places = digits(b, other, others)
            to = b.shifted(out, offset(places, strides[0]))
            come = b.shifted(source, offset(places, strides[1]))
            block = _Block(b, to, come, steps, (width, length), tiling.side)
            with (
                b.loop(row, least(b, row + _SIDE, length), tiling.side, "rows") as i,
                b.loop(column, least(b, column + _SIDE, width), tiling.side, "columns") as j,
            ):
                block.write(j, i)


@dataclass(frozen=True)
class _Block:
    """out[j, i] = source[i, j] for a block of i and j.

    steps: the stride of j in the output, and that of i in the source; the others are 1
    sizes: how many j and how many i there are
    """

    b: Builder
    out: Pointer
    source: Pointer
    steps: tuple[Index, Index]
    sizes: tuple[Index, Index]
    side: int

    def write(self, j: Value, i: Value) -> None:
        """The block that begins at (j, i): in registers, where it is whole or the CPU has masks."""
        known = all(isinstance(n, int) and n % self.side == 0 for n in self.sizes)
        if known:
            self._whole(j, i)
            return
        width, length = self.sizes[0] - j, self.sizes[1] - i
        whole = ~((width < self.side) | (length < self.side))
        with self.b.when(whole, "block"):
            self._whole(j, i)
        with self.b.when(~whole, "edge"):
            if self.b.module.target.masked:
                self._masked(j, i, width, length)
            else:
                self._single(j, i, width, length)

    def _whole(self, j: Value, i: Value) -> None:
        b = self.b
        loads = [b.load(self.source, self._from(i + k, j), self.side) for k in range(self.side)]
        for k, column in enumerate(transposed(b, loads)):
            b.store(self.out, self._to(j + k, i), column)

    def _masked(self, j: Value, i: Value, width: Value, length: Value) -> None:
        b = self.b
        wide, long = first_lanes(b, width, self.side), first_lanes(b, length, self.side)
        loads = [
            b.load(self.source, self._from(i + k, j), self.side, mask=wide & (length > k))
            for k in range(self.side)
        ]
        for k, column in enumerate(transposed(b, loads)):
            b.store(self.out, self._to(j + k, i), column, mask=long & (width > k))

    def _single(self, j: Value, i: Value, width: Value, length: Value) -> None:
        b = self.b
        with (
            b.loop(0, least(b, width, self.side)) as k,
            b.loop(0, least(b, length, self.side)) as m,
        ):
            value = b.load(self.source, self._from(i + m, j + k))
            b.store(self.out, self._to(j + k, i + m), value)

    def _from(self, i: Value, j: Value) -> Value:
        return i * self.steps[1] + j

    def _to(self, j: Value, i: Value) -> Value:
        return j * self.steps[0] + i
