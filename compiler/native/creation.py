"""Tensors made of sizes and numbers alone, by their operators' own meaning at an index."""

from __future__ import annotations

from graphwright.compiler.native.copy import row_lanes
from graphwright.compiler.native.generators import Kernels, Operands, generates
from graphwright.compiler.native.kernel import Context, Kernel, kernel_function
from graphwright.compiler.native.traversal import (
    PICOSECONDS_PER_BYTE,
    Space,
    Tiling,
    along,
    rows_of,
    tile_elements,
)
from graphwright.compiler.native.values import Index, Value
from graphwright.graph.dim import Size
from graphwright.graph.dtype import int64
from graphwright.ops.convert import SizeValue
from graphwright.ops.creation import Arange


@generates(Arange, SizeValue)
def created(
    op: Arange | SizeValue, inputs: Operands, outputs: Operands, context: Context
) -> Kernels:
    """Each element from its index, if there is one."""
    (out,) = outputs
    space = Space(out.shape or (1,), (out.strides or (1,),))
    tiling = Tiling.of(space, tile_elements(8))
    module = context.module()
    with kernel_function(module) as frame:
        b, arguments = frame.b, frame.arguments
        goal, step = out.pointer(arguments), arguments.number(space.steps[0])
        start = b.mark()

        def number(size: Size) -> Value:
            with b.at(start):
                return b.index(arguments.number(size))

        with rows_of(frame, tiling) as row:
            begin = b.shifted(goal, row.offsets[0])

            def write(i: Index, lanes: int, mask: Value | None) -> None:
                index = b.lane_numbers(lanes, int64) + (b.index(row.start) + i)
                value = op.lower_at(b, [index] if out.shape else [], number)
                b.store(begin, i * step, b.splat(value, lanes), stride=step, mask=mask)

            along(b, row.length, row_lanes(frame, out.type.dtype, space.steps), write)
    work = out.type.nbytes * PICOSECONDS_PER_BYTE
    return [Kernel(op.name, module.text, frame.arguments.slots, tiling.tiles, work)]
