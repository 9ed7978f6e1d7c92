"""The tiles of a product while its kernel is written: where each starts, panel by panel."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from graphwright.compiler.native.contraction.blocking import Blocking
from graphwright.compiler.native.contraction.panel import tile_rows
from graphwright.compiler.native.contraction.product import Matrix, Place, Product
from graphwright.compiler.native.ir import Builder
from graphwright.compiler.native.kernel import Arguments, Frame
from graphwright.compiler.native.values import Index, Value


@dataclass(frozen=True)
class Stack:
    """A stack of matrices: where the first is, and elements from one to the next."""

    place: Place
    steps: tuple[Value, ...]

    def at(self, b: Builder, numbers: tuple[Index, ...]) -> Place:
        """One of the matrices."""
        if not numbers:
            return self.place
        index = b.index(0)
        for number, step in zip(numbers, self.steps, strict=True):
            index = b.index(number) * step + index
        return replace(self.place, pointer=b.shifted(self.place.pointer, index))


def stacks(arguments: Arguments, matrices: tuple[Matrix, ...]) -> tuple[Stack, ...]:
    """Where operands are, from their slots."""
    return tuple(_stack(arguments, given) for given in matrices)


def _stack(arguments: Arguments, given: Matrix) -> Stack:
    """Strides along columns are part of the text where they are 0 or 1: what loads, and how."""
    column = given.column
    known = column if isinstance(column, int) and column in (0, 1) else None
    place = Place(
        given.operand.pointer(arguments),
        arguments.value(given.row),
        known if known is not None else arguments.value(column),
    )
    return Stack(place, tuple(arguments.value(step) for step in given.batch))


@dataclass(frozen=True)
class Tile:
    """A tile of the product.

    batch:       which matrix of the stack, along each axis
    row, rows:   its first row, and how many
    first, last: its first panel, and the one past its last
    """

    batch: tuple[Index, ...]
    row: Value
    rows: Value
    first: Value
    last: Value


class Panels:
    """How columns are cut into panels: whole vectors, as many as in the others or one less."""

    def __init__(self, b: Builder, columns: Value, lanes: int, most: int) -> None:
        self.b = b
        self.columns = columns
        self.lanes = lanes
        self.vectors = (columns + (lanes - 1)) / lanes
        self.count = (self.vectors + (most - 1)) / most

    def bounds(self, number: Value) -> tuple[Value, Value]:
        """The first column of a panel, and how many it has."""
        start = number * self.vectors / self.count * self.lanes
        stop = (number + 1) * self.vectors / self.count * self.lanes
        return start, self.b.intrinsic("smin", stop, self.columns) - start


class Grid:
    """Walks the tiles of a call."""

    def __init__(self, frame: Frame, product: Product, blocks: Blocking) -> None:
        self.frame = frame
        self.b = frame.b
        self.single = blocks.single
        arguments, dtype = frame.arguments, product.dtype
        self.rows = arguments.value(product.rows)
        lanes = self.b.module.target.lanes(dtype.itemsize)
        self.panels = Panels(self.b, arguments.value(product.columns), lanes, blocks.panel_vectors)
        if not blocks.single:
            self.row_tiles = arguments.value(blocks.row_tiles)
            self.column_tiles = arguments.value(blocks.column_tiles)
            self.batch = [arguments.value(size) for size in product.batch]

    @contextmanager
    def tiles(self) -> Iterator[Tile]:
        """Write what is done for each tile."""
        b = self.b
        if self.single:
            zero = b.index(0)
            yield Tile((), zero, self.rows, zero, self.panels.count)
            return
        with b.loop(self.frame.first, self.frame.last, name="tile") as number:
            b.comment("the tile's columns, its rows, and its matrix of the stack")
            batch, row_tile, column_tile = self._digits(number)
            height = tile_rows(b.module.target)
            blocks = (self.rows + (height - 1)) / height
            first, last = share(row_tile, self.row_tiles, blocks)
            stop = b.intrinsic("smin", last * height, self.rows)
            panels = share(column_tile, self.column_tiles, self.panels.count)
            yield Tile(batch, first * height, stop - first * height, *panels)

    def _digits(self, number: Value) -> tuple[tuple[Value, ...], Value, Value]:
        """Which matrix of the stack, and which tile of its rows and of its columns."""
        b = self.b
        digits = []
        for base in (self.column_tiles, self.row_tiles, *reversed(self.batch[1:])):
            digits.append(b.remainder(number, base))
            number = number / base
        column_tile, row_tile, *stack = digits
        return (number, *reversed(stack)) if self.batch else (), row_tile, column_tile


def share(part: Value, parts: Value, whole: Value) -> tuple[Value, Value]:
    """The first of a share and the one past its last: as many as in the others, or one more."""
    return part * whole / parts, (part + 1) * whole / parts
