"""The kernel that packs the left factor for all tiles of a product, in memory that kernels share.

Where the factor's columns are what follows one another in memory, and one is far from the next.
Panel after panel of as many rows as the routine's tile has, all k of one following one another.
"""

from __future__ import annotations

from dataclasses import replace

from graphwright.compiler.native.contraction.blocking import Blocking
from graphwright.compiler.native.contraction.grid import share, stacks
from graphwright.compiler.native.contraction.packing import Packing, pack_panel
from graphwright.compiler.native.contraction.panel import tile_rows
from graphwright.compiler.native.contraction.product import Place, Product
from graphwright.compiler.native.kernel import Context, Frame, Kernel, Shared, kernel_function
from graphwright.compiler.native.values import Value
from graphwright.graph.dim import ceildiv

_CHUNK = 256  # columns in a tile
_COLUMNS = 32  # of them are copied for one panel before the next: so many pages are in use at once
_GROUP = 16  # panels in a tile
_WORK = 400  # picoseconds for an element


def left_once(product: Product, blocks: Blocking, context: Context) -> Kernel:
    """The kernel."""
    height = tile_rows(context.target)
    groups = ceildiv(ceildiv(product.rows, height), _GROUP)
    chunks = ceildiv(product.depth, _CHUNK)
    module = context.module()
    with kernel_function(module) as frame:
        b, arguments = frame.b, frame.arguments
        rows = arguments.value(product.rows)
        whole = _packing(frame, product, blocks, height)
        group_count = arguments.value(groups)
        with b.loop(frame.first, frame.last, name="tile") as number:
            panels = (rows + (height - 1)) / height
            first, last = share(b.remainder(number, group_count), group_count, panels)
            chunk = number / group_count * _CHUNK
            stop = b.intrinsic("smin", chunk + _CHUNK, whole.lines)
            with b.loop(chunk, stop, _COLUMNS, "column") as column, b.loop(first, last) as panel:
                part = _panel(frame, whole, panel * height, rows)
                columns = b.intrinsic("smin", stop - column, _COLUMNS)
                pack_panel(frame, part.part(b, column, columns), height, by_rows=False)
    return Kernel(
        "pack the left factor",
        module.text,
        arguments.slots,
        tiles=groups * chunks * blocks.left_once,
        work=product.depth * product.rows * _WORK,
    )


def _packing(frame: Frame, product: Product, blocks: Blocking, height: int) -> Packing:
    """All columns, as the lines that are packed, and the first panel of rows."""
    b, arguments = frame.b, frame.arguments
    factor, dtype = product.left.transposed, product.dtype
    places = tuple(stack.place for stack in stacks(arguments, factor.matrices))
    where = arguments.pointer(Shared(blocks.left_at * dtype.itemsize), dtype)
    goal = Place(where, b.index(height), 1)
    return Packing(places, factor.compute, goal, arguments.value(product.depth), b.index(height))


def _panel(frame: Frame, whole: Packing, row: Value, rows: Value) -> Packing:
    """The panel of rows that starts at a row."""
    b = frame.b
    places = tuple(place.at(b, 0, row) for place in whole.places)
    pointer = b.shifted(whole.goal.pointer, row * whole.lines)
    length = b.intrinsic("smin", rows - row, whole.length)
    goal = replace(whole.goal, pointer=pointer)
    return replace(whole, places=places, goal=goal, length=length)
