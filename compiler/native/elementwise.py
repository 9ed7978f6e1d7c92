"""Elementwise groups: one loop over a space, in vectors.

The axes that all operands walk as one are one loop. The innermost loop is walked in vectors, the
last of which is masked; it is cut into chunks, and each chunk of each round of the loops around it
is a tile.
"""

from __future__ import annotations

from collections.abc import Mapping

from graphwright.compiler.group import Group
from graphwright.compiler.native.kernel import Context, Kernel, kernel_function
from graphwright.compiler.native.nest import Loop, loops_over
from graphwright.compiler.native.operand import Operand
from graphwright.compiler.native.site import Memory, Site
from graphwright.compiler.native.tiling import chunk_bounds, each_tile, rounds, vectors
from graphwright.compiler.native.values import Index
from graphwright.compiler.native.work import vector_lanes, work_of
from graphwright.graph.dim import product
from graphwright.graph.tensor import Tensor

CHUNK = 16384
"""Elements of a tile at most: some microseconds of work."""


def elementwise_kernel(
    name: str,
    group: Group,
    inputs: Mapping[Tensor, Operand],
    outputs: list[Operand],
    context: Context,
) -> Kernel:
    """The kernel of a group that folds nothing."""
    module = context.module()
    lanes = vector_lanes(group, context.target)
    with kernel_function(module) as frame:
        memory = Memory(frame.b, frame.arguments, group, inputs, outputs)
        loops = loops_over(group.full, group.space, memory.walks()) or [Loop((), 1)]
        *around, inner = loops
        chunks = rounds(inner.size, CHUNK)
        # The length of a dense loop comes from a slot even when it is known, so that loops that
        # differ in nothing else share their code.
        size = memory.number(inner.size) if around else frame.arguments.value(inner.size)
        outside = Site(memory, {})
        with each_tile(frame, memory, around, chunks) as (indices, chunk):
            site = Site(memory, indices, outside)
            start: Index = 0
            stop = size
            if chunks != 1:
                start, stop = chunk_bounds(memory, chunk, CHUNK, size)
            for vector in vectors(site, inner, start, stop, lanes):
                # All is read before anything is written: an output may lie where an input does.
                values = [vector.value(ref) for ref in group.outputs]
                for position, value in enumerate(values):
                    vector.store(position, value)
    return Kernel(
        name,
        module.text,
        frame.arguments.slots,
        tiles=product(loop.size for loop in around) * chunks,
        work=work_of(group, lanes),
    )
