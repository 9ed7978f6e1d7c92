"""Gathering: elements, or whole rows, of a table at computed indices."""

from __future__ import annotations

from graphwright.compiler.native.choice import NOTHING_CHOSEN, Choice, Reader
from graphwright.compiler.native.copy import (
    Region,
    copied,
    copy_row,
    gathers,
    whole_number_pointer,
)
from graphwright.compiler.native.generators import Kernels, Operands, generates
from graphwright.compiler.native.kernel import Context, Frame, Kernel, kernel_function
from graphwright.compiler.native.operand import Operand
from graphwright.compiler.native.traversal import (
    PICOSECONDS_PER_BYTE,
    TILE_BYTES,
    Tiling,
    along,
    merged,
    rows_of,
)
from graphwright.compiler.native.values import Index, Pointer, Value
from graphwright.ops.gather import Take
from graphwright.ops.gather_nd import GatherNd


@generates(Take)
def take(op: Take, inputs: Operands, outputs: Operands, context: Context) -> Kernels:
    """What lies at indices along an axis."""
    (x, indices), (out,) = inputs, outputs
    return _gathered(Choice.along(x, indices, out, op.axis), x, indices, out, context, op.name)


@generates(GatherNd)
def gather_nd(op: GatherNd, inputs: Operands, outputs: Operands, context: Context) -> Kernels:
    """What lies at tuples of indices."""
    (x, indices), (out,) = inputs, outputs
    choice = Choice.by_tuples(x, indices, out, op.batch_dims)
    if not choice.keys:  # then a tuple chooses all of `x`
        everything = Operand(x.value, out.type, x.offset, choice.table)
        return copied([Region(out, everything)], context, op.name)
    return _gathered(choice, x, indices, out, context, op.name)


def _gathered(
    choice: Choice, x: Operand, indices: Operand, out: Operand, context: Context, name: str
) -> Kernels:
    if out.type.size == 0 != indices.type.size:
        return NOTHING_CHOSEN
    space = merged(choice.shape, choice.chosen, choice.table, choice.indices)
    tiling = Tiling.of(space, TILE_BYTES // out.type.dtype.itemsize)
    module = context.module()
    with kernel_function(module) as frame:
        pointers = [whole_number_pointer(frame, operand) for operand in (out, x)]
        reader = Reader.of(frame, choice, indices)
        write = _rows if space.steps[2] == 0 else _elements
        write(frame, tiling, pointers[0], pointers[1], reader)
    work = out.type.nbytes * PICOSECONDS_PER_BYTE
    return [Kernel(name, module.text, frame.arguments.slots, tiling.tiles, work)]


def _rows(frame: Frame, tiling: Tiling, out: Pointer, table: Pointer, reader: Reader) -> None:
    """One index for all elements of a row."""
    b = frame.b
    with rows_of(frame, tiling) as row:
        place, fine = reader.read(row.offsets[2])
        with b.when(fine, "copy"):
            begin = b.shifted(table, place + row.offsets[1])
            steps = tiling.space.steps[:2]
            copy_row(frame, b.shifted(out, row.offsets[0]), begin, row.length, steps)


def _elements(frame: Frame, tiling: Tiling, out: Pointer, table: Pointer, reader: Reader) -> None:
    """An index for each element of a row."""
    b = frame.b
    steps = [frame.arguments.number(size) for size in tiling.space.steps]
    # Indices take 8 bytes in registers.
    target = b.module.target
    lanes = target.lanes(8) if gathers(target, out.dtype) else 1
    with rows_of(frame, tiling) as row:

        def gather(i: Index, lanes: int, mask: Value | None) -> None:
            at = row.offsets[2] + i * steps[2]
            place, fine = reader.read(at, lanes, steps[2], mask)
            place = place + row.offsets[1] + (b.lane_numbers(lanes) + i) * steps[1]
            start = b.shifted(out, row.offsets[0] + i * steps[0])
            if lanes == 1:
                with b.when(fine, "copy"):
                    b.store(start, 0, b.load(table, place))
                return
            value = b.load(table, 0, lanes, stride=place, mask=fine)
            b.store(start, 0, value, stride=steps[0], mask=fine)

        along(b, row.length, lanes, gather)
