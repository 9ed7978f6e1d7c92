"""Tensors put together, taken apart, extended and moved along: copies of boxes."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, product

from graphwright.compiler.native.copy import Fill, Region, box, copied
from graphwright.compiler.native.generators import Kernels, Operands, generates
from graphwright.compiler.native.kernel import Context
from graphwright.compiler.native.operand import Operand
from graphwright.graph.dim import Size, maximum
from graphwright.graph.types import Shape
from graphwright.ops.joining import Concatenate, Split
from graphwright.ops.padding import Pad
from graphwright.ops.slicing import Roll, Unslice

_MOST_ROLLED = 3  # axes: each doubles the boxes


@generates(Concatenate)
def concatenate(op: Concatenate, inputs: Operands, outputs: Operands, context: Context) -> Kernels:
    """Each input goes to a box of its own."""
    (out,) = outputs
    starts = accumulate((x.shape[op.axis] for x in inputs), initial=0)
    regions = [
        Region(box(out, _at(out, op.axis, start), x.shape), x)
        for x, start in zip(inputs, starts, strict=False)
    ]
    return copied(regions, context, op.name)


@generates(Split)
def split(op: Split, inputs: Operands, outputs: Operands, context: Context) -> Kernels:
    """Each output comes from a box of its own."""
    (x,) = inputs
    starts = accumulate(op.sizes, initial=0)
    regions = [
        Region(out, box(x, _at(x, op.axis, start), out.shape))
        for out, start in zip(outputs, starts, strict=False)
    ]
    return copied(regions, context, op.name)


@generates(Pad)
def pad(op: Pad, inputs: Operands, outputs: Operands, context: Context) -> Kernels:
    """The input in the middle, numbers in the boxes around it."""
    (x,), (out,) = inputs, outputs
    starts = [before for before, _ in op.widths]
    regions = [Region(box(out, starts, x.shape), x), *_around(out, starts, x.shape, op.value)]
    return copied(regions, context, op.name)


@generates(Unslice)
def unslice(op: Unslice, inputs: Operands, outputs: Operands, context: Context) -> Kernels:
    """As for `pad`, unless there are gaps in the middle: then all is 0 first."""
    (x,), (out,) = inputs, outputs
    middle = Region(box(out, op.starts, x.shape, op.steps), x)
    if all(step == 1 for step in op.steps):
        return copied([middle, *_around(out, op.starts, x.shape, 0)], context, op.name)
    return [*copied([Region(out, 0)], context, "zeros"), *copied([middle], context, op.name)]


@generates(Roll)
def roll(op: Roll, inputs: Operands, outputs: Operands, context: Context) -> Kernels:
    """Along each axis two pieces, which change places."""
    (x,), (out,) = inputs, outputs
    if len(op.axes) > _MOST_ROLLED:
        return f"{len(op.axes)} axes are rolled at once"
    pieces: list[list[tuple[Size, Size, Size]]] = [[(0, 0, size)] for size in x.shape]
    for axis, shift in zip(op.axes, op.shifts, strict=True):
        size = x.shape[axis]
        moved = shift % maximum(size, 1)
        # The last ones come first; of none, there are none.
        pieces[axis] = [(size - moved, 0, moved), (0, moved, size - moved)]
    regions = []
    for chosen in product(*pieces):
        come, go, shape = zip(*chosen, strict=True) if chosen else ((), (), ())
        regions.append(Region(box(out, go, shape), box(x, come, shape)))
    return copied(regions, context, op.name)


def _at(operand: Operand, axis: int, start: Size) -> list[Size]:
    return [start if i == axis else 0 for i in range(operand.type.rank)]


def _around(out: Operand, starts: Sequence[Size], shape: Shape, value: Fill) -> list[Region]:
    """What lies around a box in the middle: for each axis what is before it and what is behind."""
    regions: list[Region] = []
    for axis, (start, size, whole) in enumerate(zip(starts, shape, out.shape, strict=True)):
        end = start + size
        for place, length in ((0, start), (end, whole - end)):
            # Of the axes before, the middle: their ends are filled already.
            corner = [*starts[:axis], place, *[0] * (len(shape) - axis - 1)]
            lengths = (*shape[:axis], length, *out.shape[axis + 1 :])
            regions.append(Region(box(out, corner, lengths), value))
    return [region for region in regions if region.out.type.size != 0]
