"""Operands of a step: where their elements lie, as far as that is known before sizes are."""

from __future__ import annotations

from dataclasses import dataclass

from graphwright.compiler.native.kernel import Address, Arguments
from graphwright.compiler.native.values import Pointer
from graphwright.graph.dim import Size
from graphwright.graph.placement import dense_placement
from graphwright.graph.types import Shape, TensorType


@dataclass(frozen=True)
class Operand:
    """A value of the plan as a step reads or writes it.

    value:   its number in the plan
    type:    its dtype and shape
    offset:  elements from the start of the value's memory to its first element
    strides: elements from one index to the next, for each axis; 0 where it is broadcast, less
             than 0 where it runs backward
    """

    value: int
    type: TensorType
    offset: Size
    strides: tuple[Size, ...]

    @property
    def shape(self) -> Shape:
        return self.type.shape

    @property
    def dense(self) -> bool:
        """True when its elements follow one another in the order of their indices."""
        return self.strides == dense_placement(self.shape).strides

    def pointer(self, arguments: Arguments) -> Pointer:
        """Its first element, from a slot of its own."""
        offset = self.offset * self.type.dtype.itemsize
        return arguments.pointer(Address(self.value, offset), self.type.dtype)


def dense_operand(value: int, type: TensorType) -> Operand:
    """A value that lies in memory as it is computed."""
    return Operand(value, type, *dense_placement(type.shape))
