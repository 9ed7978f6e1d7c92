"""The kernel of a product: which block comes next, and what is packed for it.

The rows and columns of each matrix of the stack are cut into tiles of about equal size. A tile goes
panel by panel of its columns: where the right factor can't be read as it lies, a panel of it is
packed; then the routine `panel` multiplies. The result lands in its place; or, where an epilogue
has to do, in a small buffer that the epilogue reads while it is in the first-level cache.

All sizes and strides come from argument slots: products that are cut and packed alike share one
text, whatever their sizes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from graphwright.compiler.native.contraction.blocking import (
    BUFFER_ROWS,
    ROWS_WORTH_PACKING,
    Blocking,
    Source,
    blocking,
)
from graphwright.compiler.native.contraction.dots import dots
from graphwright.compiler.native.contraction.grid import Grid, Tile, stacks
from graphwright.compiler.native.contraction.packing import (
    Packing,
    pack_lines,
    pack_panel,
    vector_loop,
)
from graphwright.compiler.native.contraction.panel import panel, thin_panel, tile_rows
from graphwright.compiler.native.contraction.prepack import left_once
from graphwright.compiler.native.contraction.product import (
    Line,
    LineWriter,
    Place,
    Product,
    Write,
)
from graphwright.compiler.native.ir import Builder
from graphwright.compiler.native.kernel import (
    Context,
    Frame,
    Kernel,
    Routine,
    Shared,
    kernel_function,
)
from graphwright.compiler.native.routine import call_routine
from graphwright.compiler.native.values import Bounds, Pointer, Value
from graphwright.graph.dim import Size
from graphwright.graph.dim import product as size_product

PICOSECONDS = 14
"""What a multiplication and an addition take on one core, about."""


def contraction(product: Product, context: Context) -> list[Kernel]:
    """The kernels of a product, the last of which multiplies."""
    blocks = blocking(product, context.target)
    module = context.module()
    with kernel_function(module) as frame:
        _Driver(frame, product, blocks).write()
    count = size_product(product.batch)
    kernel = Kernel(
        name="matrix product",
        text=module.text,
        arguments=frame.arguments.slots,
        tiles=count * blocks.row_tiles * blocks.column_tiles,
        work=count * product.rows * product.columns * product.depth * PICOSECONDS,
        scratch=blocks.scratch,
    )
    if blocks.left is not Source.ONCE:
        return [kernel]
    kernels = [left_once(product, blocks, context), kernel]
    return [replace(kernel, shared=blocks.shared) for kernel in kernels]


@dataclass(frozen=True)
class _Left:
    """Rows of the left factor as the routine reads them.

    block:  elements from the rows of one of its tiles to those of the next
    row:    elements from one row to the next in a tile
    column: elements to the next k
    """

    pointer: Pointer
    block: Value
    row: Value
    column: Value


class _Driver:
    """Writes the kernel that multiplies."""

    def __init__(self, frame: Frame, product: Product, blocks: Blocking) -> None:
        self.frame = frame
        self.b = b = frame.b
        self.product = product
        self.blocks = blocks
        self.dtype = product.dtype
        self.height = tile_rows(b.module.target)
        arguments = frame.arguments
        self.routine = arguments.pointer(Routine(self._text()), self.dtype)
        self.grid = Grid(frame, product, blocks)
        self.depth = arguments.value(product.depth)
        self.left, self.right, self.out = (
            stacks(arguments, part.matrices) for part in (product.left, product.right, product.out)
        )
        self.left_pack = self._memory(blocks.left, blocks.left_at)
        self.right_pack = self._memory(blocks.right, blocks.right_at)
        self.left_line = self._slot(blocks.left is Source.TILE, blocks.left_line)
        self.left_is_packed = self._slot(blocks.left is Source.ONCE, blocks.left_once)
        self.line_writer = (product.out.begin or _store)(frame)

    def _text(self) -> str:
        """The routine that multiplies."""
        blocks, target, checked = self.blocks, self.b.module.target, self.b.module.checked
        if blocks.dots:
            return dots(self.dtype, target, blocks.few_rows, checked)
        if not blocks.few_rows:
            return panel(self.dtype, target, checked)
        widths = blocks.widths(self.product.columns, target.lanes(self.dtype.itemsize))
        return thin_panel(self.dtype, target, blocks.few_rows, widths, checked)

    def _slot(self, needed: bool, size: Size) -> Value:
        return self.frame.arguments.value(size) if needed else self.b.index(0)

    def _memory(self, source: Source, offset: Size) -> Pointer:
        """Where a factor is packed."""
        if source is Source.ONCE:
            where = Shared(offset * self.dtype.itemsize)
            return self.frame.arguments.pointer(where, self.dtype)
        base = self.frame.own(self.dtype)
        if source is Source.DIRECT or offset == 0:
            return base
        return self.b.shifted(base, self.frame.arguments.value(offset))

    def write(self) -> None:
        b = self.b
        with self.grid.tiles() as tile:
            left_places = [stack.at(b, tile.batch).at(b, tile.row, 0) for stack in self.left]
            right_places = [stack.at(b, tile.batch) for stack in self.right]
            out_places = [stack.at(b, tile.batch).at(b, tile.row, 0) for stack in self.out]
            left = self._left(tuple(left_places), tile)
            with b.loop(tile.first, tile.last, name="panel") as number:
                start, columns = self.grid.panels.bounds(number)
                right = tuple(place.at(b, 0, start) for place in right_places)
                source, line = self._right(right, tile, columns)
                out = tuple(place.at(b, 0, start) for place in out_places)
                self._multiply(tile, left, source, line, out, start, columns)

    def _multiply(
        self,
        tile: Tile,
        left: _Left,
        right: Pointer,
        right_line: Value,
        out: tuple[Place, ...],
        start: Value,
        columns: Value,
    ) -> None:
        """Multiply for a panel of columns."""
        b, width = self.b, self.blocks.panel_columns
        sizes = [columns, self.depth, left.block, left.row, left.column, right_line]
        if not self.blocks.buffered:
            pointers = [left.pointer, right, out[0].pointer]
            call_routine(b, self.routine, pointers, [tile.rows, *sizes, out[0].row])
            return
        with b.loop(0, tile.rows, BUFFER_ROWS, "chunk") as row:
            rows = b.intrinsic("smin", tile.rows - row, BUFFER_ROWS)
            rows_from = b.shifted(left.pointer, row / self.height * left.block)
            buffer = self.frame.own(self.dtype)
            call_routine(b, self.routine, [rows_from, right, buffer], [rows, *sizes, width])
            b.comment("the epilogue")
            with b.loop(0, rows, name="line") as number:
                places = tuple(place.at(b, row + number, 0) for place in out)
                line = Line(places, tile.batch, tile.row + row + number, start)
                self._finish(line, b.shifted(buffer, number * width), columns)

    def _finish(self, line: Line, source: Pointer, columns: Value) -> None:
        """The epilogue of a line of the buffer."""
        b = self.b
        write = self.line_writer(line)
        lanes = b.module.target.lanes(self.dtype.itemsize)
        for index, count, mask in vector_loop(b, columns, lanes, self.dtype):
            write(index, b.load(source, index, count, mask=mask), mask)

    # The factors, as the routine reads them.

    def _left(self, places: tuple[Place, ...], tile: Tile) -> _Left:
        """Rows of the left factor."""
        b, height, line = self.b, self.height, self.left_line
        place, one = places[0], b.index(1)
        direct = _Left(place.pointer, place.row * height, place.row, b.index(place.column))
        if self.blocks.left is Source.TILE:
            b.comment("pack the left factor")
            self._pack_left(places, tile)
            if self.blocks.by_columns and not self.blocks.dots:
                return _Left(self.left_pack, b.index(height), one, line)
            return _Left(self.left_pack, line * height, line, one)
        if self.blocks.left is Source.DIRECT:
            return direct
        block = self.depth * height
        pointer = b.shifted(self.left_pack, tile.row / height * block)
        packed = _Left(pointer, block, one, b.index(height))
        if self.blocks.left_once == 1:
            return packed
        which = self.left_is_packed.differs(0)
        return _Left(
            _either(b, which, packed.pointer, direct.pointer),
            b.select(which, packed.block, direct.block),
            b.select(which, packed.row, direct.row),
            b.select(which, packed.column, direct.column),
        )

    def _pack_left(self, places: tuple[Place, ...], tile: Tile) -> None:
        blocks, lines, length = self.blocks, tile.rows, self.depth
        if blocks.by_columns and not blocks.dots:
            places = tuple(_transposed(self.b, place) for place in places)
            lines, length = length, lines
        goal = Place(self.left_pack, self.left_line, 1)
        packing = Packing(places, self.product.left.compute, goal, lines, length)
        if blocks.by_squares:
            pack_panel(self.frame, packing, 0, by_rows=True)
        else:
            pack_lines(self.b, packing)

    def _right(
        self, places: tuple[Place, ...], tile: Tile, columns: Value
    ) -> tuple[Pointer, Value]:
        """A panel of the right factor, and elements from one row of it to the next."""
        b, width = self.b, self.blocks.panel_columns
        direct, line = places[0].pointer, places[0].row
        if self.blocks.dots:
            return direct, b.index(places[0].column)
        if self.blocks.right is Source.DIRECT:
            return direct, line
        b.comment("pack a panel of the right factor")
        goal = Place(self.right_pack, b.index(width), 1)
        packing = Packing(places, self.product.right.compute, goal, self.depth, columns)
        if self.blocks.right_must:
            pack_panel(self.frame, packing, width, self.blocks.by_rows)
            return self.right_pack, b.index(width)
        many = tile.rows >= ROWS_WORTH_PACKING
        with b.when(many, "many"):
            pack_panel(self.frame, packing, width, self.blocks.by_rows)
        return _either(b, many, self.right_pack, direct), b.select(many, width, line)


def _either(b: Builder, which: Value, yes: Pointer, no: Pointer) -> Pointer:
    """One of two pointers."""
    text = b.emit(f"select i1 {which.text}, ptr {yes.text}, ptr {no.text}")
    return Pointer(text, yes.dtype, _either_bounds(b, which, yes.bounds, no.bounds))


def _either_bounds(
    b: Builder, which: Value, yes: Bounds | None, no: Bounds | None
) -> Bounds | None:
    if yes is None or no is None:
        return None
    slot = b.select(which, b.index(yes.slot), no.slot)
    return Bounds(b.select(which, yes.first, no.first), b.select(which, yes.end, no.end), slot)


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
