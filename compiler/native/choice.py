"""Elements of a table chosen by computed indices: what gathering and scattering share.

Indices count from the front, or, if negative, from the end. One out of range is a fault: it is
noted in the program's error cell, and nothing is read or written in its place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from graphwright.compiler.native.ir import Builder
from graphwright.compiler.native.kernel import Fault, Frame
from graphwright.compiler.native.operand import Operand
from graphwright.compiler.native.traversal import Strides
from graphwright.compiler.native.values import Index, Pointer, Value
from graphwright.graph.dim import Size
from graphwright.graph.dtype import int64, uint64
from graphwright.graph.types import Shape

NOTHING_CHOSEN = "nothing is chosen, but the indices must be in range all the same"
"""Why there is no kernel where each index chooses no elements."""


@dataclass(frozen=True)
class Key:
    """One of the indices that make a tuple.

    place:  elements of the indices from the first of a tuple to it
    size:   of the axis of the table that it counts along
    stride: of that axis
    """

    place: Size
    size: Size
    stride: Size


@dataclass(frozen=True)
class Choice:
    """For each index of the tensor of chosen elements, where they lie in the table.

    shape:    of the chosen elements: axes in front, axes of the indices, axes of what each chooses
    front:    how many axes are in front
    indexed:  how many axes are those of the indices
    chosen:   strides of the chosen elements
    table:    strides of the table; 0 along the axes of the indices
    indices:  strides of the indices; 0 along the axes of what each chooses
    keys:     the indices of a tuple
    """

    shape: Shape
    front: int
    indexed: int
    chosen: Strides
    table: Strides
    indices: Strides
    keys: tuple[Key, ...]

    @classmethod
    def along(cls, table: Operand, indices: Operand, chosen: Operand, axis: int) -> Choice:
        """One index each, along an axis of the table."""
        rank = indices.type.rank
        behind = table.strides[axis + 1 :]
        return cls(
            chosen.shape,
            axis,
            rank,
            chosen.strides,
            (*table.strides[:axis], *(0,) * rank, *behind),
            (*(0,) * axis, *indices.strides, *(0,) * len(behind)),
            (Key(0, table.shape[axis], table.strides[axis]),),
        )

    @classmethod
    def by_tuples(cls, table: Operand, indices: Operand, chosen: Operand, batch: int) -> Choice:
        """Tuples along the last axis of the indices, for the axes behind those of the batch."""
        depth = indices.shape[-1]
        assert isinstance(depth, int)
        indexed = indices.type.rank - 1 - batch
        behind = table.strides[batch + depth :]
        keys = [
            Key(j * indices.strides[-1], table.shape[batch + j], table.strides[batch + j])
            for j in range(depth)
        ]
        return cls(
            chosen.shape,
            batch,
            indexed,
            chosen.strides,
            (*table.strides[:batch], *(0,) * indexed, *behind),
            (*indices.strides[:-1], *(0,) * len(behind)),
            tuple(keys),
        )


@dataclass(frozen=True)
class Reader:
    """Reads indices in generated code, and notes those out of range.

    keys: of each the place, size and stride, in numbers known now or from slots
    """

    b: Builder
    indices: Pointer
    keys: Sequence[tuple[Index, Index, Index]]
    fault: Pointer

    @classmethod
    def of(cls, frame: Frame, choice: Choice, indices: Operand) -> Reader:
        arguments = frame.arguments
        keys = [
            (arguments.number(key.place), arguments.number(key.size), arguments.number(key.stride))
            for key in choice.keys
        ]
        fault = Fault(indices.value, tuple(key.size for key in choice.keys))
        return cls(frame.b, indices.pointer(arguments), keys, arguments.pointer(fault, int64))

    def read(
        self, at: Index, lanes: int = 1, stride: Index = 1, mask: Value | None = None
    ) -> tuple[Value, Value]:
        """Where the tuples at these places of the indices lead, and which of them are in range.

        Gives elements of the table from the first one, and a mask; lanes that are masked out are
        not in range. Code that notes a fault is written too.
        """
        b = self.b
        total = b.splat(b.constant(0, int64), lanes)
        fine: Value | None = None
        for place, size, step in self.keys:
            index = b.load(self.indices, b.index(at) + place, lanes, stride=stride, mask=mask)
            counted = b.convert(index, int64)
            if index.signed:
                counted = b.select(counted < 0, counted + size, counted)
            # Whatever is less than 0 even so is a large number without a sign.
            inside = b.typed(counted, uint64, lanes) < b.typed(b.index(size), uint64)
            total = total + counted * step
            fine = inside if fine is None else fine & inside
        assert fine is not None, "tuples of no indices choose nothing"
        return total, self._noted(fine, mask)

    def _noted(self, fine: Value, mask: Value | None) -> Value:
        b = self.b
        # Lanes that are masked out are 0: only along an empty axis is that out of range.
        with b.when(b.any_lane(~fine), "fault"):
            b.store(self.fault, 0, b.constant(1, int64))
        return fine if mask is None else fine & mask
