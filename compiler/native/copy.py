"""Copies: dense ones, of strided and broadcast views, and transposes in square blocks.

A `Region` is a box of an output with what goes there: the elements of a view, or one number. What
is joined, padded or rolled is a few of them, in one kernel. Elements are moved as whole numbers of
their width, so the dtypes of a width share their code.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from graphwright.compiler.native.generators import Kernels, Operands, generates
from graphwright.compiler.native.kernel import Context, Frame, Kernel, kernel_function
from graphwright.compiler.native.operand import Operand
from graphwright.compiler.native.target import Target
from graphwright.compiler.native.transpose import BlockTiling, block_side, blocks_of
from graphwright.compiler.native.traversal import (
    PICOSECONDS_PER_BYTE,
    TILE_BYTES,
    Tiling,
    along,
    merged,
    part,
    rows_of,
)
from graphwright.compiler.native.values import Index, Pointer, Value
from graphwright.graph.dim import Size
from graphwright.graph.dtype import DType
from graphwright.graph.operator import Operator
from graphwright.graph.placement import Placement, dense_placement
from graphwright.graph.types import Shape
from graphwright.ops.checkpoint import Barrier
from graphwright.ops.movement import BroadcastTo, ExpandDims, Reshape, Squeeze, Transpose
from graphwright.ops.selection import StopGradient
from graphwright.ops.slicing import Slice
from graphwright.ops.window import Windows

_MOST_REGIONS = 8  # in one kernel; others make further kernels

Fill: TypeAlias = bool | int | float


@dataclass(frozen=True)
class Region:
    """A box of an output, and what goes there.

    out:    the box
    source: elements in the shape of the box, or a number for all of them
    """

    out: Operand
    source: Operand | Fill


def box(
    operand: Operand, starts: Sequence[Size], shape: Shape, steps: Sequence[int] | None = None
) -> Operand:
    """The elements of an operand from `starts` on, every `steps`-th, so many along each axis."""
    place = operand.offset
    for start, stride in zip(starts, operand.strides, strict=True):
        place = place + start * stride
    strides = operand.strides
    if steps is not None:
        strides = tuple(step * stride for step, stride in zip(steps, strides, strict=True))
    return Operand(operand.value, operand.type.with_shape(shape), place, strides)


@generates(Transpose, BroadcastTo, Slice, Windows, Barrier)
def strided_view(op: Operator, inputs: Operands, outputs: Operands, context: Context) -> Kernels:
    """A view with strides of its own, copied."""
    x, (out,) = inputs[0], outputs
    place = op.placed(Placement(x.offset, x.strides), x.type, out.type)
    if place is None:
        return "the elements of the view have no strides"
    return copied([Region(out, Operand(x.value, out.type, *place))], context, op.name)


@generates(Reshape, ExpandDims, Squeeze, StopGradient)
def dense_view(op: Operator, inputs: Operands, outputs: Operands, context: Context) -> Kernels:
    """The same elements in the same order under another shape: copied in the shape of the input."""
    (x,), (out,) = inputs, outputs
    if not out.dense:
        return "the output is not dense"
    strides = dense_placement(x.shape).strides
    target = Operand(out.value, out.type.with_shape(x.shape), out.offset, strides)
    return copied([Region(target, x)], context, op.name)


def copied(regions: Sequence[Region], context: Context, name: str) -> list[Kernel]:
    """Kernels that fill regions; those of the same output must not overlap."""
    filled = [_Part.of(region, context.target) for region in regions]
    wanted = [each for each in filled if each.tiling.tiles != 0]
    groups = [wanted[i : i + _MOST_REGIONS] for i in range(0, len(wanted), _MOST_REGIONS)]
    return [_kernel(group, context, name) for group in groups]


def _kernel(parts: Sequence[_Part], context: Context, name: str) -> Kernel:
    module = context.module()
    tiles: Size = 0
    work: Size = 0
    with kernel_function(module) as frame:
        for each in parts:
            own = frame if len(parts) == 1 else part(frame, tiles, each.tiling.tiles)
            each.write(own)
            tiles = tiles + each.tiling.tiles
            work = work + each.region.out.type.nbytes * PICOSECONDS_PER_BYTE
    return Kernel(name, module.text, frame.arguments.slots, tiles, work)


@dataclass(frozen=True)
class _Part:
    """A region, and how it is swept over: by rows, or by square blocks."""

    region: Region
    tiling: Tiling | BlockTiling

    @classmethod
    def of(cls, region: Region, target: Target) -> _Part:
        out, source = region.out, region.source
        if not isinstance(source, Operand):
            space = merged(out.shape, out.strides)
        else:
            space = merged(out.shape, out.strides, source.strides)
            blocks = BlockTiling.of(space, block_side(target, _width(out).itemsize))
            if blocks is not None:
                return cls(region, blocks)
        return cls(region, Tiling.of(space, TILE_BYTES // _width(out).itemsize))

    def write(self, frame: Frame) -> None:
        """The loops over the tiles of this region."""
        out = whole_number_pointer(frame, self.region.out)
        source = self.region.source
        if isinstance(self.tiling, BlockTiling):
            assert isinstance(source, Operand)
            frame.b.comment("a transpose, by square blocks")
            blocks_of(frame, self.tiling, out, whole_number_pointer(frame, source))
        elif isinstance(source, Operand):
            self._copy_rows(frame, out, whole_number_pointer(frame, source), self.tiling)
        else:
            number = np.asarray(source, self.region.out.type.dtype).view(out.dtype)
            self._fill_rows(frame, out, frame.b.constant(int(number), out.dtype), self.tiling)

    def _copy_rows(self, frame: Frame, out: Pointer, source: Pointer, tiling: Tiling) -> None:
        b = frame.b
        with rows_of(frame, tiling) as row:
            start, begin = b.shifted(out, row.offsets[0]), b.shifted(source, row.offsets[1])
            copy_row(frame, start, begin, row.length, tiling.space.steps)

    def _fill_rows(self, frame: Frame, out: Pointer, number: Value, tiling: Tiling) -> None:
        b = frame.b
        (to,) = (frame.arguments.number(size) for size in tiling.space.steps)
        with rows_of(frame, tiling) as row:
            start = b.shifted(out, row.offsets[0])

            def fill(i: Index, lanes: int, mask: Value | None) -> None:
                b.store(start, i * to, b.splat(number, lanes), stride=to, mask=mask)

            along(b, row.length, row_lanes(frame, out.dtype, tiling.space.steps), fill)


def copy_row(
    frame: Frame, out: Pointer, source: Pointer, length: Index, steps: Sequence[Size]
) -> None:
    """Copy so many elements, `steps` apart in the output and in the source."""
    b = frame.b
    to, step = (frame.arguments.number(size) for size in steps)

    def move(i: Index, lanes: int, mask: Value | None) -> None:
        value = b.load(source, i * step, lanes, stride=step, mask=mask)
        b.store(out, i * to, value, stride=to, mask=mask)

    along(b, length, row_lanes(frame, out.dtype, steps), move)


def row_lanes(frame: Frame, dtype: DType, steps: Sequence[Size]) -> int:
    """How many elements of rows to do at a time, `steps` apart in the operands.

    Elements that are not neighbours are gathered and scattered where the CPU can do so with those
    of their width, and else done one by one.
    """
    target = frame.b.module.target
    near = all(isinstance(step, int) and step in (0, 1) for step in steps)
    return target.lanes(dtype.itemsize) if near or gathers(target, dtype) else 1


def gathers(target: Target, dtype: DType) -> bool:
    """Whether the CPU loads and stores elements that are no neighbours in one instruction."""
    return target.masked and dtype.itemsize >= 4


def _width(operand: Operand) -> DType:
    """Whole numbers as wide as the elements."""
    return np.dtype(f"u{operand.type.dtype.itemsize}")


def whole_number_pointer(frame: Frame, operand: Operand) -> Pointer:
    """The first element of an operand, as a whole number of its width."""
    typed = operand.pointer(frame.arguments)
    return Pointer(typed.text, _width(operand), typed.bounds)
