"""How a product is cut into tiles, and what of it is packed: by its sizes and strides alone.

The number of threads has no say, so neither has it in the result. There should be enough tiles to
share, and each should be worth being shared. What lies well is read where it lies. A factor is
packed if something is computed of it, if its elements are narrower than what they are multiplied
in, or if its strides don't suit the routine: the rows of the right one don't run along vectors, or
a step along k goes so far that each finds itself in another page of memory.

Tiles pack panels of the right factor, each when it comes to it: then they are in the second-level
cache. That costs the same for few rows as for many, so such tiles have many. Parts of the left
factor are needed by all tiles of the same rows, so what is far there is packed once, before.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from graphwright.compiler.native.contraction.orientation import as_dots
from graphwright.compiler.native.contraction.panel import (
    masked,
    thin_vectors,
    tile_rows,
    tile_vectors,
)
from graphwright.compiler.native.contraction.product import Factor, Product
from graphwright.compiler.native.target import Target
from graphwright.graph.dim import Size, ceildiv, minimum
from graphwright.graph.dtype import DType

# Rows of the buffer that an epilogue reads, whole tiles of 8, 6 or 4: with 3 vectors of 64 bytes,
# 9 KiB.
BUFFER_ROWS = 48

# Rows of a tile for which it pays to pack what could be read as it lies.
ROWS_WORTH_PACKING = 64

_LEAST_WORK, _MOST_WORK = 500_000, 8_000_000  # floating-point operations in a tile
_TILES = 64  # as many as there may be, as long as each has work enough
_UNKNOWN = 256  # stands for symbolic sizes where work is guessed
_WORTH_PACKING = 30_000_000  # floating-point operations of a product of which parts are packed once
_FAR = 1024  # bytes that a step along k may go before that counts as far
_MOST_SHARED = 1 << 26  # bytes of what is packed once, at most
_FEW_TILES = 12  # as many there should be, even of those that pack
_READ_BY_TILE = 1 << 18  # bytes of the right factor: where k are few, and by `dots`
_SHALLOW = 128  # k that are few
_FEW_LINES = 6  # are gathered sooner than squares of them are transposed
_MOST_ROWS = 1024  # in a tile


class Source(Enum):
    """Where the routine reads a factor."""

    DIRECT = "as it lies"
    TILE = "packed by each tile"
    ONCE = "packed once"


@dataclass(frozen=True)
class Blocking:
    """How the kernels of a product go about it.

    row_tiles:     tiles of the rows of each matrix of the stack
    column_tiles:  tiles of its columns: of whole panels
    single:        whether it is known now that there is one tile
    few_rows:      the rows, if they are so few that they have a routine of their own; else 0
    panel_vectors: the most vectors of columns that the routine takes at once
    panel_columns: the most columns
    left, right:   where the factors are read
    left_once:     whether the left factor is packed once, as a size: 1, or 0 where there turn out
                   to be too few columns
    left_computed: whether more than a copy is packed
    by_columns:    whether the left factor's columns are what follows one another in memory
    by_squares:    whether it is packed the other way round: for `dots`
    by_rows:       whether the right factor's columns are: panels are transposed while packed
    left_line:     elements from one row of what a tile packs of the left factor to the next, or
                   from one column
    right_must:    whether the right factor can't be read as it lies: else a tile of few rows does
    dots:          whether each element is computed as a sum of its own, by the routine `dots`
    buffered:      whether an epilogue does something to the product, before or instead of storing
    left_at …:     where the packed elements and the buffer are in a thread's own memory, or in
                   shared memory if packed once: elements
    scratch:       how much there is of the former: bytes
    shared:        of the latter
    """

    row_tiles: Size
    column_tiles: Size
    single: bool
    few_rows: int
    panel_vectors: int
    panel_columns: int
    left: Source
    right: Source
    left_once: Size
    left_computed: bool
    right_computed: bool
    by_columns: bool
    by_squares: bool
    by_rows: bool
    left_line: Size
    right_must: bool
    dots: bool
    buffered: bool
    left_at: Size
    right_at: Size
    scratch: Size
    shared: Size

    def widths(self, columns: Size, lanes: int) -> tuple[int, ...]:
        """How many vectors the panels of so many columns have, which is known."""
        assert isinstance(columns, int)
        vectors = -(-columns // lanes)
        panels = -(-vectors // self.panel_vectors)
        return tuple(sorted({vectors // panels, -(-vectors // panels)}))


def blocking(product: Product, target: Target) -> Blocking:
    """How to go about a product."""
    return _Choice(product, target).blocking()


class _Choice:
    """Makes the choices, one from another."""

    def __init__(self, product: Product, target: Target) -> None:
        self.product = product
        self.target = target
        self.dtype = product.dtype
        self.height = tile_rows(target)
        self.lanes = target.lanes(self.dtype.itemsize)
        self.rows, self.columns, self.depth, self.count = (
            max(size, 1) if isinstance(size, int) else _UNKNOWN
            for size in (product.rows, product.columns, product.depth, _count(product))
        )
        # Whether vectors may reach beyond the last column, and be masked there.
        self.dots = as_dots(product)
        few = 0 < self.rows < self.height and not self.dots and self.columns >= 4 * self.lanes
        known = isinstance(product.rows, int) and isinstance(product.columns, int)
        self.thin = self.rows if few and known else 0
        self.vectors = thin_vectors(self.thin, target) if self.thin else tile_vectors(target)
        self.panel = self.vectors * self.lanes
        vectors = masked(self.dtype, target) or _multiple(product.columns, self.lanes)
        self.whole = self.dots or vectors
        total = 2 * self.rows * self.columns * self.depth
        self.heavy = total >= _WORTH_PACKING and not product.batch and self.depth >= 2 * self.lanes
        self.wanted = min(max(total * self.count // _TILES, _LEAST_WORK), _MOST_WORK)

    def blocking(self) -> Blocking:
        product, left, right = self.product, self.left(), self.right()
        most_rows, most_columns = self.tile(left, right)
        row_tiles = ceildiv(product.rows, most_rows)
        column_tiles = ceildiv(product.columns, most_columns)
        depth = self.lanes * ceildiv(product.depth, self.lanes)
        line: Size = most_rows + self.lanes
        lines: Size = depth
        if not self.by_columns or self.dots:
            line, lines = depth + self.lanes, self.lanes * ceildiv(most_rows, self.lanes)
        left_size = line * lines
        left_once = self.height * ceildiv(product.rows, self.height) * depth
        buffer = self.panel * BUFFER_ROWS if self.buffered else 0
        own = buffer + (left_size if left is Source.TILE else 0)
        return Blocking(
            row_tiles=row_tiles,
            column_tiles=column_tiles,
            single=row_tiles == 1 and column_tiles == 1 and not product.batch,
            few_rows=self.rows if self.dots else self.thin,
            panel_vectors=self.vectors,
            panel_columns=self.panel,
            left=left,
            right=right,
            left_once=_if_many(product.columns, self.left_must),
            left_computed=self.left_must,
            right_computed=_computed(product.right, self.dtype),
            by_columns=self.by_columns,
            by_squares=self.by_columns and self.dots and self.rows > _FEW_LINES,
            by_rows=product.right.first.row == 1 and product.right.first.column != 1,
            left_line=line,
            right_must=self.right_must,
            dots=self.dots,
            buffered=self.buffered,
            left_at=0 if left is Source.ONCE else buffer,
            right_at=own,
            scratch=(own + (self.panel * depth if right is Source.TILE else 0))
            * self.dtype.itemsize,
            shared=(left_once if left is Source.ONCE else 0) * self.dtype.itemsize,
        )

    @property
    def by_columns(self) -> bool:
        first = self.product.left.first
        return first.row == 1 and first.column != 1

    @property
    def left_must(self) -> bool:
        """Whether the left factor can't be read as it lies."""
        along = self.product.left.first.column == 1 or not self.dots
        return _computed(self.product.left, self.dtype) or not along

    @property
    def right_must(self) -> bool:
        if self.dots:
            return False
        along = self.product.right.first.column == 1 or self.product.columns == 1
        return _computed(self.product.right, self.dtype) or not along or not self.whole

    @property
    def buffered(self) -> bool:
        out = self.product.out.matrices[0]
        plain = self.product.out.begin is None and out.operand.type.dtype == self.dtype
        return not (plain and self.whole and (out.column == 1 or self.product.columns == 1))

    def left(self) -> Source:
        many = self.columns >= 2 * self.panel and self.worth(self.rows)
        far = self.left_must or self.far(self.product.left.first.column)
        if self.by_columns and many and far:
            return Source.ONCE
        return Source.TILE if self.left_must else Source.DIRECT

    def right(self) -> Source:
        far = self.worth(self.columns) and self.far(self.product.right.first.row)
        far = far and self.depth > _SHALLOW
        return Source.TILE if self.right_must or far else Source.DIRECT

    def worth(self, lines: int) -> bool:
        """Whether it may pay to pack what need not be packed, in so many lines along k."""
        small = lines * self.depth * self.dtype.itemsize <= _MOST_SHARED
        return self.heavy and small and self.rows >= 16 * self.height

    def far(self, step: Size) -> bool:
        """Whether a step along k goes far."""
        return not isinstance(step, int) or abs(step) * self.dtype.itemsize >= _FAR

    @property
    def widest(self) -> int:
        """Columns of a tile that reads the right factor as it lies.

        With few k, storing the result takes much of the time: it goes in long lines then.
        """
        if self.depth > _SHALLOW:
            return 3 * self.panel
        fit = _READ_BY_TILE // (self.depth * self.dtype.itemsize)
        return max(fit // self.panel * self.panel, self.panel)

    def tile(self, left: Source, right: Source) -> tuple[int, int]:
        """The most rows and columns of a tile."""
        height, panel = self.height, self.panel
        if self.dots:
            share = _READ_BY_TILE // (self.depth * self.dtype.itemsize)
            share *= 4 if left is Source.TILE else 1
            return -(-self.rows // height) * height, max(share // panel * panel, panel)
        if right is Source.TILE:
            parts = -(-_FEW_TILES // -(-self.columns // panel))
            high = max(-(-self.rows // parts), 16 * height)
            return -(-min(high, _MOST_ROWS) // height) * height, panel
        least = 2 * height
        wide = _shares(self.columns, self.widest, panel)
        high = max(self.wanted // (2 * wide * self.depth) // height * height, least)
        if isinstance(self.product.rows, int):
            high = min(high, -(-self.rows // height) * height)
        while wide > panel and high * wide * self.depth > self.wanted:
            wide = max(wide // 2 // panel * panel, panel)
        return high, wide


def _count(product: Product) -> Size:
    """How many matrices the stack has."""
    count: Size = 1
    for size in product.batch:
        count = count * size
    return count


def _multiple(size: Size, of: int) -> bool:
    return isinstance(size, int) and size % of == 0


def _computed(factor: Factor, dtype: DType) -> bool:
    return factor.compute is not None or factor.dtype != dtype


def _if_many(size: Size, must: bool) -> Size:
    """1 if there are enough rows or columns of the other factor to pack this one; 1 if it must."""
    return 1 if must or isinstance(size, int) else minimum(size // 64, 1)


def _shares(size: int, most: int, unit: int) -> int:
    """How large parts of a size are if none is larger than `most`, in whole units."""
    parts = -(-size // most)
    return -(-size // parts // unit) * unit
