"""The kernel of a product: which block comes next, and what is packed for it.

The rows and columns of each matrix of the stack are cut into tiles of about equal size. A tile goes
panel by panel of its columns: where the right factor can't be read as it lies, a panel of it is
packed; then the routine `panel` multiplies. The result lands in its place; or, where an epilogue
has to do, in a small buffer that the epilogue reads while it is in the first-level cache.

All sizes and strides come from argument slots: products that are cut and packed alike share one
text, whatever their sizes.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from graphwright.compiler.native.contraction.blocking import BUFFER_ROWS, Blocking, blocking
from graphwright.compiler.native.contraction.packing import (
    Packing,
    call_transposing,
    pack_lines,
    pack_transposed,
    transposing,
    vector_loop,
)
from graphwright.compiler.native.contraction.panel import call_panel, panel, tile_rows
from graphwright.compiler.native.contraction.product import (
    Line,
    LineWriter,
    Matrix,
    Place,
    Product,
    Write,
)
from graphwright.compiler.native.ir import Builder
from graphwright.compiler.native.kernel import Context, Frame, Kernel, Routine, kernel_function
from graphwright.compiler.native.values import Index, Pointer, Value
from graphwright.graph.dim import Size
from graphwright.graph.dim import product as size_product

PICOSECONDS = 14
"""What a multiplication and an addition take on one core, about."""


def contraction(product: Product, context: Context) -> Kernel:
    """The kernel of a product."""
    blocks = blocking(product, context.target)
    module = context.module()
    with kernel_function(module) as frame:
        _Driver(frame, product, blocks, Routine(panel(product.dtype, context.target))).write()
    return Kernel(
        name="matrix product",
        text=module.text,
        arguments=frame.arguments.slots,
        tiles=size_product(product.batch) * blocks.row_tiles * blocks.column_tiles,
        work=PICOSECONDS
        * size_product(product.batch)
        * product.rows
        * product.columns
        * product.depth,
        scratch=blocks.scratch,
    )


@dataclass(frozen=True)
class _Stack:
    """A matrix of each of a stack: where the first is, and elements from one to the next."""

    place: Place
    steps: tuple[Value, ...]


@dataclass(frozen=True)
class _Tile:
    """A tile of the product: where it starts in each matrix and in the product, and its sizes."""

    left: tuple[Place, ...]
    right: tuple[Place, ...]
    out: tuple[Place, ...]
    batch: tuple[Index, ...]
    row: Value
    column: Value
    rows: Value
    columns: Value


class _Driver:
    """Writes the kernel."""

    def __init__(self, frame: Frame, product: Product, blocks: Blocking, routine: Routine) -> None:
        self.frame = frame
        self.b = b = frame.b
        self.product = product
        self.blocks = blocks
        self.dtype = product.dtype
        self.height = tile_rows(b.module.target)
        self.lanes = b.module.target.lanes(self.dtype.itemsize)
        arguments = frame.arguments
        self.routine = arguments.pointer(routine, self.dtype)
        self.rows, self.columns, self.depth = (
            arguments.value(size) for size in (product.rows, product.columns, product.depth)
        )
        self.left, self.right, self.out = (
            tuple(self._stack(m) for m in part.matrices)
            for part in (product.left, product.right, product.out)
        )
        if not blocks.single:
            self.row_tiles = arguments.value(blocks.row_tiles)
            self.column_tiles = arguments.value(blocks.column_tiles)
            self.batch = [arguments.value(size) for size in product.batch]
        self.left_pack = self._scratch(blocks.left_at)
        self.right_pack = self._scratch(blocks.right_at)
        self.buffer = self._scratch(blocks.buffer_at)
        if blocks.pack_left:
            self.left_line = arguments.value(blocks.left_line)
        self.transposing: Pointer | None = None
        if blocks.pack_right and blocks.transposed and not blocks.right_computed:
            text = transposing(self.dtype, b.module.target)
            self.transposing = arguments.pointer(Routine(text), self.dtype)
        self.line_writer = (product.out.begin or _store)(frame)

    def _stack(self, given: Matrix) -> _Stack:
        """Strides along columns are part of the text where they are 0 or 1: what loads, and how."""
        arguments = self.frame.arguments
        column = given.column
        known = column if isinstance(column, int) and column in (0, 1) else None
        place = Place(
            given.operand.pointer(arguments),
            arguments.value(given.row),
            known if known is not None else arguments.value(column),
        )
        return _Stack(place, tuple(arguments.value(step) for step in given.batch))

    def _scratch(self, offset: Size) -> Pointer:
        base = Pointer(self.frame.scratch, self.dtype)
        if isinstance(offset, int) and offset == 0:
            return base
        return self.b.shifted(base, self.frame.arguments.value(offset))

    def write(self) -> None:
        with self._tiles() as tile:
            if self.blocks.pack_left:
                self._pack_left(tile)
            with self._panels(tile.columns) as (start, stop):
                self._panel(tile, start, stop - start)

    # Which tile.

    @contextmanager
    def _tiles(self) -> Iterator[_Tile]:
        b, parts = self.b, (self.left, self.right, self.out)
        if self.blocks.single:
            left, right, out = ([stack.place for stack in part] for part in parts)
            places = tuple(left), tuple(right), tuple(out)
            yield _Tile(*places, (), b.index(0), b.index(0), self.rows, self.columns)
            return
        with b.loop(self.frame.first, self.frame.last, name="tile") as number:
            b.comment("the tile's columns, its rows, and its matrix of the stack")
            batch, row_tile, column_tile = self._digits(number)
            row, rows = self._share(row_tile, self.row_tiles, self.rows, self.height)
            column, columns = self._share(column_tile, self.column_tiles, self.columns, self.lanes)
            left, right, out = ([self._matrix(stack, batch) for stack in part] for part in parts)
            yield _Tile(
                tuple(place.at(b, row, 0) for place in left),
                tuple(place.at(b, 0, column) for place in right),
                tuple(place.at(b, row, column) for place in out),
                batch,
                row,
                column,
                rows,
                columns,
            )

    def _digits(self, number: Value) -> tuple[tuple[Value, ...], Value, Value]:
        """Which matrix of the stack, and which tile of its rows and of its columns."""
        b = self.b
        digits = []
        for base in (self.column_tiles, self.row_tiles, *reversed(self.batch[1:])):
            digits.append(b.remainder(number, base))
            number = number / base
        column_tile, row_tile, *stack = digits
        return (number, *reversed(stack)) if self.batch else (), row_tile, column_tile

    def _share(self, part: Value, parts: Value, size: Value, unit: int) -> tuple[Value, Value]:
        """Where a tile starts along an axis, and its size: whole units, as many as in the others
        or one more or less."""
        units = (size + (unit - 1)) / unit
        first = part * units / parts * unit
        last = (part + 1) * units / parts * unit
        return first, self.b.intrinsic("smin", last, size) - first

    def _matrix(self, stack: _Stack, batch: tuple[Value, ...]) -> Place:
        """The matrix of a stack."""
        place = stack.place
        if not batch:
            return place
        index = self.b.index(0)
        for number, step in zip(batch, stack.steps, strict=True):
            index = number * step + index
        return replace(place, pointer=self.b.shifted(place.pointer, index))

    # What is done for it.

    @contextmanager
    def _panels(self, columns: Value) -> Iterator[tuple[Value, Value]]:
        """First and last column of each panel: as wide as the others, or one vector more."""
        b, most = self.b, self.blocks.panel_vectors
        vectors = (columns + (self.lanes - 1)) / self.lanes
        panels = (vectors + (most - 1)) / most
        start = b.variable(b.index(0))
        with b.loop(0, panels, name="panel") as number:
            stop = (number + 1) * vectors / panels * self.lanes
            yield start.value, b.intrinsic("smin", stop, columns)
            start.value = stop

    def _panel(self, tile: _Tile, start: Value, columns: Value) -> None:
        """Multiply for a panel of columns."""
        b, blocks = self.b, self.blocks
        right = tuple(place.at(b, 0, start) for place in tile.right)
        source, source_line = right[0].pointer, right[0].row
        if blocks.pack_right:
            self._pack_right(right, columns)
            source, source_line = self.right_pack, b.index(blocks.panel_columns)
        left = self._left(tile.left[0])
        out = tuple(place.at(b, 0, start) for place in tile.out)
        sizes = [columns, self.depth, left.row, left.column, source_line]
        if not blocks.buffered:
            pointers = [left.pointer, source, out[0].pointer]
            call_panel(b, self.routine, pointers, [tile.rows, *sizes, out[0].row])
            return
        with b.loop(0, tile.rows, BUFFER_ROWS, "chunk") as row:
            rows = b.intrinsic("smin", tile.rows - row, BUFFER_ROWS)
            pointers = [left.at(b, row, 0).pointer, source, self.buffer]
            call_panel(b, self.routine, pointers, [rows, *sizes, blocks.panel_columns])
            b.comment("the epilogue")
            with b.loop(0, rows, name="line") as number:
                places = tuple(place.at(b, row + number, 0) for place in out)
                line = Line(places, tile.batch, tile.row + row + number, tile.column + start)
                self._finish(line, number, columns)

    def _finish(self, line: Line, number: Value, columns: Value) -> None:
        """The epilogue of a line of the buffer."""
        b = self.b
        write = self.line_writer(line)
        source = b.shifted(self.buffer, number * self.blocks.panel_columns)
        for index, lanes, mask in vector_loop(b, columns, self.lanes, self.dtype):
            write(index, b.load(source, index, lanes, mask=mask), mask)

    # Packing.

    def _left(self, place: Place) -> Place:
        """The left factor as the routine reads it."""
        b = self.b
        if not self.blocks.pack_left:
            return replace(place, column=b.index(place.column))
        one, line = b.index(1), self.left_line
        strides = (one, line) if self.blocks.left_by_columns else (line, one)
        return Place(self.left_pack, *strides)

    def _pack_left(self, tile: _Tile) -> None:
        self.b.comment("pack the left factor")
        places, lines, length = tile.left, tile.rows, self.depth
        if self.blocks.left_by_columns:
            places = tuple(_transposed(self.b, place) for place in places)
            lines, length = length, lines
        goal = Place(self.left_pack, self.left_line, 1)
        pack_lines(self.b, Packing(places, self.product.left.compute, goal, lines, length))

    def _pack_right(self, places: tuple[Place, ...], columns: Value) -> None:
        b = self.b
        b.comment("pack a panel of the right factor")
        goal = Place(self.right_pack, b.index(self.blocks.panel_columns), 1)
        packing = Packing(places, self.product.right.compute, goal, self.depth, columns)
        if self.transposing is not None:
            call_transposing(b, self.transposing, packing)
        elif self.blocks.transposed:
            pack_transposed(b, packing)
        else:
            pack_lines(b, packing)


def _transposed(b: Builder, place: Place) -> Place:
    """Rows for columns; a step of one is known as such."""
    return Place(place.pointer, b.index(place.column), 1)


def _store(frame: Frame) -> LineWriter:
    """The epilogue that just stores."""

    def writer(line: Line) -> Write:
        b, place = frame.b, line.places[0]

        def write(index: Value, value: Value, mask: Value | None) -> None:
            given = b.convert(value, place.pointer.dtype)
            where = index * place.column
            b.store(place.pointer, where, given, stride=place.column, mask=mask)

        return write

    return writer
