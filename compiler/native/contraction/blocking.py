"""How a product is cut into tiles, and what of it is packed: by its sizes and strides alone.

The number of threads has no say, so neither has it in the result. There should be enough tiles to
share, and each should be worth being shared. What lies well is read where it lies; a tile packs

- the left factor, if something is computed of it or its elements are narrower than what they are
  multiplied in;
- panels of the right factor, in these cases too, and where its rows don't run along vectors.

Packing costs the same for few rows as for many, so tiles that pack have more rows.
"""

from __future__ import annotations

from dataclasses import dataclass

from graphwright.compiler.native.contraction.panel import (
    masked,
    panel_columns,
    tile_rows,
    tile_vectors,
)
from graphwright.compiler.native.contraction.product import Factor, Product
from graphwright.compiler.native.target import Target
from graphwright.graph.dim import Size, ceildiv
from graphwright.graph.dtype import DType

# Rows of the buffer that an epilogue reads: with 3 vectors of 64 bytes, 12 KiB.
BUFFER_ROWS = 64

_LEAST_WORK, _MOST_WORK = 500_000, 8_000_000  # floating-point operations in a tile
_TILES = 64  # as many as there may be, as long as each has work enough
_UNKNOWN = 256  # stands for symbolic sizes where work is guessed


@dataclass(frozen=True)
class Blocking:
    """How the kernel of a product goes about it.

    row_tiles:     tiles of the rows of each matrix of the stack
    column_tiles:  tiles of its columns
    single:        whether it is known now that there is one tile
    panel_vectors: the most vectors of columns that the routine takes at once
    panel_columns: the columns of so many vectors
    pack_left:     whether tiles pack the left factor, `left_by_columns` with whole columns
                   following one another, else rows; one starts `left_line` elements after another
    pack_right:    whether panels of the right factor are packed, `transposed` if its columns are
                   what follows one another; `right_computed` if not just copied
    buffered:      whether an epilogue does something to the product, before or instead of storing
    left_at …:     where the packed elements and the buffer are in the scratch memory: elements
    scratch:       how much there is of that: bytes
    """

    row_tiles: Size
    column_tiles: Size
    single: bool
    panel_vectors: int
    panel_columns: int
    pack_left: bool
    left_by_columns: bool
    left_line: Size
    pack_right: bool
    right_computed: bool
    transposed: bool
    buffered: bool
    left_at: Size
    right_at: Size
    buffer_at: Size
    scratch: Size


def blocking(product: Product, target: Target) -> Blocking:
    """How to go about a product."""
    dtype = product.dtype
    panel = panel_columns(dtype, target)
    whole = masked(dtype, target) or _multiple(product.columns, target.lanes(dtype.itemsize))
    right = product.right.first
    pack_left = _computed(product.left, dtype)
    along = right.column == 1 or product.columns == 1
    right_computed = _computed(product.right, dtype)
    pack_right = right_computed or not along or not whole
    out = product.out.matrices[0]
    plain = product.out.begin is None and out.operand.type.dtype == dtype
    buffered = not (plain and whole and (out.column == 1 or product.columns == 1))
    most_rows, most_columns = _tile(product, panel, tile_rows(target), pack_right)
    row_tiles = ceildiv(product.rows, most_rows)
    column_tiles = ceildiv(product.columns, most_columns)
    left_by_columns = product.left.first.row == 1 and product.left.first.column != 1
    left_line = (most_rows if left_by_columns else product.depth) + 16
    left = left_line * (product.depth if left_by_columns else most_rows) if pack_left else 0
    left = 16 * ceildiv(left, 16)
    right_size = panel * (product.depth + 15) if pack_right else 0
    buffer = panel * BUFFER_ROWS if buffered else 0
    return Blocking(
        row_tiles=row_tiles,
        column_tiles=column_tiles,
        single=row_tiles == 1 and column_tiles == 1 and not product.batch,
        panel_vectors=tile_vectors(target),
        panel_columns=panel,
        pack_left=pack_left,
        left_by_columns=left_by_columns,
        left_line=left_line,
        pack_right=pack_right,
        right_computed=right_computed,
        transposed=right.row == 1 and right.column != 1,
        buffered=buffered,
        left_at=buffer,
        right_at=buffer + left,
        buffer_at=0,
        scratch=(buffer + left + right_size) * dtype.itemsize,
    )


def _multiple(size: Size, of: int) -> bool:
    return isinstance(size, int) and size % of == 0


def _computed(factor: Factor, dtype: DType) -> bool:
    return factor.compute is not None or factor.dtype != dtype


def _tile(product: Product, panel: int, height: int, packs: bool) -> tuple[int, int]:
    """The most rows and columns of a tile."""
    rows, columns, depth, *batch = (
        max(size, 1) if isinstance(size, int) else _UNKNOWN
        for size in (product.rows, product.columns, product.depth, *product.batch)
    )
    total = 2 * rows * columns * depth
    for size in batch:
        total *= size
    wanted = min(max(total // _TILES, _LEAST_WORK), _MOST_WORK)
    least = 16 * height if packs else 2 * height
    wide = _shares(columns, 3 * panel, panel)
    high = max(wanted // (2 * wide * depth) // height * height, least)
    high = min(high, -(-rows // height) * height) if isinstance(product.rows, int) else high
    while wide > panel and 2 * high * wide * depth > 2 * wanted:
        wide = max(wide // 2 // panel * panel, panel)
    return high, wide


def _shares(size: int, most: int, unit: int) -> int:
    """How large parts of a size are if none is larger than `most`, in whole units."""
    parts = -(-size // most)
    return -(-size // parts // unit) * unit
