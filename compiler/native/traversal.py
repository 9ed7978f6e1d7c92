"""Traversals of the elements of several operands at once: merged axes, cut into tiles of rows.

A `Space` is what is swept over: axes that follow one another in the memory of every operand are one
axis. Its last axis is a row, along which vectors lie. `Tiling` says which rows, and which part of
them, make a tile, and `rows_of` writes the loops over those of a kernel.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeAlias

from graphwright.compiler.native.ir import Builder
from graphwright.compiler.native.kernel import Arguments, Frame
from graphwright.compiler.native.values import Index, Value
from graphwright.graph.dim import Size, ceildiv, maximum, product
from graphwright.graph.dtype import int32, uint64
from graphwright.graph.types import Shape

TILE_BYTES = 1 << 15
"""What a tile of a sweep writes: large beside the cost of handing it out, small beside a cache."""

PICOSECONDS_PER_BYTE = 100
"""What writing a byte costs one core, and reading one for it, with memory at its limit."""

Strides: TypeAlias = tuple[Size, ...]


@dataclass(frozen=True)
class Space:
    """What is swept over.

    shape:   sizes of the axes, at least one
    strides: for each operand, in elements, one for each axis
    """

    shape: Shape
    strides: tuple[Strides, ...]

    @property
    def rows(self) -> Size:
        """How many there are."""
        return product(self.shape[:-1])

    @property
    def row(self) -> Size:
        """The length of one."""
        return self.shape[-1]

    @property
    def steps(self) -> tuple[Size, ...]:
        """For each operand, the stride along a row."""
        return tuple(strides[-1] for strides in self.strides)


def merged(shape: Shape, *strides: Strides) -> Space:
    """The space of this shape, with as few axes as the operands' strides allow.

    Axes of size 1 vanish, and two neighbours become one where in every operand the outer steps
    over exactly all of the inner.
    """
    sizes: list[Size] = []
    steps: list[list[Size]] = [[] for _ in strides]
    for axis in reversed(range(len(shape))):
        if shape[axis] == 1:
            continue
        own = [each[axis] for each in strides]
        if sizes and all(s == inner[-1] * sizes[-1] for s, inner in zip(own, steps, strict=True)):
            sizes[-1] = shape[axis] * sizes[-1]
            continue
        sizes.append(shape[axis])
        for step, inner in zip(own, steps, strict=True):
            inner.append(step)
    if not sizes:  # a single element: a row of one
        return Space((1,), tuple((1,) for _ in strides))
    return Space(tuple(reversed(sizes)), tuple(tuple(reversed(inner)) for inner in steps))


@dataclass(frozen=True)
class Tiling:
    """How the rows of a space make tiles.

    rows:    how many rows a tile has: more than one where rows are short
    columns: how many elements of them: fewer than all where rows are long
    """

    space: Space
    rows: Size
    columns: Size

    @classmethod
    def of(cls, space: Space, elements: Size) -> Tiling:
        """Tiles of about so many elements, at least one."""
        together = elements // maximum(space.row, 1)
        return cls(space, maximum(together, 1) if space.rows != 1 else 1, elements)

    @property
    def pieces(self) -> Size:
        """Into how many pieces a row is cut."""
        return ceildiv(self.space.row, self.columns)

    @property
    def tiles(self) -> Size:
        return ceildiv(self.space.rows, self.rows) * self.pieces


@dataclass(frozen=True)
class Row:
    """A piece of a row, inside the loops.

    number:  of the row
    start:   the piece's first column
    length:  how many columns it has
    offsets: for each operand, elements from its first one to that of the piece
    """

    number: Index
    start: Index
    length: Index
    offsets: tuple[Index, ...]


@contextmanager
def rows_of(frame: Frame, tiling: Tiling) -> Iterator[Row]:
    """Loops over the tiles of a kernel, and in them over their rows; inside is what each does."""
    b, space = frame.b, tiling.space
    number, places = frame.arguments.number, Places.of(frame, space)
    count, together, pieces = (number(n) for n in (space.rows, tiling.rows, tiling.pieces))
    columns = number(tiling.columns)
    with b.loop(frame.first, frame.last, name="tile") as tile:
        block, piece = quotient(b, tile, pieces)
        first = block * together
        start = _times(piece, columns)
        length = piece_length(b, places.shape[-1], start, columns)
        with b.loop(first, least(b, first + together, count), name="row") as row:
            yield Row(row, start, length, tuple(places.of_row(b, row, start)))


@dataclass(frozen=True)
class Places:
    """Where the elements of a space lie in its operands: sizes and strides, known or from slots."""

    shape: tuple[Index, ...]
    strides: tuple[tuple[Index, ...], ...]

    @classmethod
    def of(cls, frame: Frame, space: Space) -> Places:
        number = frame.arguments.number
        strides = [tuple(number(stride) for stride in each) for each in space.strides]
        return cls(tuple(number(size) for size in space.shape), tuple(strides))

    def at(self, b: Builder, number: Index) -> list[Index]:
        """For each operand, elements from its first one to the one of this number, in C order."""
        places = digits(b, number, self.shape)
        return [offset(places, strides) for strides in self.strides]

    def of_row(self, b: Builder, row: Index, column: Index) -> list[Index]:
        """The same, to a column of a row."""
        places = [*digits(b, row, self.shape[:-1]), column]
        return [offset(places, strides) for strides in self.strides]


def piece_length(b: Builder, row: Index, start: Index, columns: Index) -> Index:
    """How many of at most so many columns a row has from `start`, a multiple of them, on."""
    if isinstance(row, int) and isinstance(columns, int):
        if row <= columns:
            return row
        if row % columns == 0:
            return columns
    rest = b.index(row) - start
    return least(b, rest, columns)


def least(b: Builder, x: Index, y: Index) -> Index:
    """The smaller of two indices."""
    if isinstance(x, int) and isinstance(y, int):
        return min(x, y)
    return b.intrinsic("smin", b.index(x), b.index(y))


def most(b: Builder, x: Index, y: Index) -> Index:
    """The larger of two indices."""
    if isinstance(x, int) and isinstance(y, int):
        return max(x, y)
    return b.intrinsic("smax", b.index(x), b.index(y))


def quotient(b: Builder, number: Index, divisor: Index) -> tuple[Index, Index]:
    """The whole quotient of two indices and what is left; neither is less than 0."""
    if isinstance(divisor, int) and divisor == 1:
        return number, 0
    if isinstance(number, int) and isinstance(divisor, int):
        return divmod(number, divisor)
    left = b.typed(b.index(number), uint64)
    right = b.typed(b.index(divisor), uint64)
    whole = b.index(b.typed(left / right, b.index(0).dtype))
    return whole, b.index(number) - whole * divisor


def digits(b: Builder, number: Index, sizes: Sequence[Index]) -> list[Index]:
    """The index along each axis of the element with this number, in C order."""
    found: list[Index] = []
    for size in reversed(sizes[1:]):
        number, digit = quotient(b, number, size)
        found.append(digit)
    return [*([number] if sizes else []), *reversed(found)]


def offset(places: Sequence[Index], strides: Sequence[Index]) -> Index:
    """How far an element lies from the first: the sum of indices times strides."""
    total: Index = 0
    for place, stride in zip(places, strides, strict=True):
        total = _plus(total, _times(place, stride))
    return total


def _times(x: Index, y: Index) -> Index:
    if isinstance(x, int) and x in (0, 1):
        return y if x else 0
    return 0 if isinstance(y, int) and y == 0 else x * y


def _plus(x: Index, y: Index) -> Index:
    return y if isinstance(x, int) and x == 0 else x + y


Body: TypeAlias = Callable[[Index, int, "Value | None"], None]


def along(b: Builder, length: Index, lanes: int, body: Body) -> None:
    """Code for `length` elements, `lanes` at a time: body(first element, lanes, mask or None).

    What is left at the end is one masked vector where the CPU has such instructions, and done
    element by element elsewhere.
    """
    if lanes == 1:
        with b.loop(0, length, name="element") as i:
            body(i, 1, None)
        return
    whole = quotient(b, length, lanes)[0] * lanes
    if not isinstance(whole, int) or whole:
        with b.loop(0, whole, lanes, name="vector") as i:
            body(i, lanes, None)
    if isinstance(length, int) and length == whole:
        return
    if not b.module.target.masked:
        with b.loop(whole, length, name="element") as i:
            body(i, 1, None)
        return
    left = b.index(length) - whole
    with b.when(left > 0, name="tail"):
        body(whole, lanes, first_lanes(b, left, lanes))


def tile_elements(itemsize: int, each: Size = 1) -> Size:
    """How many elements make a tile, if each stands for so many that are read."""
    return maximum(TILE_BYTES // itemsize // maximum(each, 1), 1)


def first_lanes(b: Builder, count: Index, lanes: int) -> Value:
    """A mask of the first `count` lanes."""
    return b.lane_numbers(lanes, int32) < b.convert(b.index(count), int32)


def part(frame: Frame, start: Size, tiles: Size) -> Frame:
    """The same frame for a part of the grid: `tiles` of it from the number `start` on, from 0."""
    b, begin = frame.b, frame.arguments.number(start)
    count = frame.arguments.number(tiles)
    first = most(b, frame.first - begin, 0)
    last = least(b, frame.last - begin, count)
    return Frame(b, frame.arguments, b.index(first), b.index(last), frame.scratch)


def numbers(arguments: Arguments, sizes: Sequence[Size]) -> list[Index]:
    """Each size, known or from its slot."""
    return [arguments.number(size) for size in sizes]
