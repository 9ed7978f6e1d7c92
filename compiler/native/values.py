"""Values of generated code, with Python's operators; pointers; variables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from graphwright.compiler.native.types import register_type
from graphwright.graph.dtype import DType, is_floating

if TYPE_CHECKING:
    from graphwright.compiler.native.instructions import Instructions, Mark

Number: TypeAlias = float | int | bool
Operand: TypeAlias = "Value | float | int | bool"
Index: TypeAlias = "Value | int"


class Value:
    """The result of an instruction, or a constant: `text` stands for it.

    uniform: of a vector, where all its lanes are known to be one value throughout a long loop
    """

    __slots__ = ("builder", "dtype", "lanes", "text", "uniform")

    def __init__(self, builder: Instructions, text: str, dtype: DType, lanes: int = 1) -> None:
        self.builder = builder
        self.text = text
        self.dtype = dtype
        self.lanes = lanes
        self.uniform: Uniform | None = None

    @property
    def type(self) -> str:
        return register_type(self.dtype, self.lanes)

    @property
    def floating(self) -> bool:
        return is_floating(self.dtype)

    @property
    def signed(self) -> bool:
        return self.dtype.kind == "i"

    def __add__(self, other: Operand) -> Value:
        return self.builder.arithmetic("add", self, other)

    def __radd__(self, other: Number) -> Value:
        return self.builder.arithmetic("add", self, other)

    def __sub__(self, other: Operand) -> Value:
        return self.builder.arithmetic("sub", self, other)

    def __rsub__(self, other: Number) -> Value:
        return self.builder.arithmetic("sub", self.like(other), self)

    def __mul__(self, other: Operand) -> Value:
        return self.builder.arithmetic("mul", self, other)

    def __rmul__(self, other: Number) -> Value:
        return self.builder.arithmetic("mul", self, other)

    def __truediv__(self, other: Operand) -> Value:
        return self.builder.arithmetic("div", self, other)

    def __rtruediv__(self, other: Number) -> Value:
        return self.builder.arithmetic("div", self.like(other), self)

    def __neg__(self) -> Value:
        if self.floating:
            return self.builder.unary("fneg", self)
        return self.builder.arithmetic("sub", self.like(0), self)

    def __and__(self, other: Operand) -> Value:
        return self.builder.binary("and", self, other)

    def __or__(self, other: Operand) -> Value:
        return self.builder.binary("or", self, other)

    def __xor__(self, other: Operand) -> Value:
        return self.builder.binary("xor", self, other)

    def __invert__(self) -> Value:
        return self.builder.binary("xor", self, True if self.dtype.kind == "b" else -1)

    def __lshift__(self, other: Operand) -> Value:
        return self.builder.binary("shl", self, other)

    def __rshift__(self, other: Operand) -> Value:
        """Arithmetic for signed integers, logical for unsigned ones."""
        return self.builder.binary("ashr" if self.signed else "lshr", self, other)

    def __lt__(self, other: Operand) -> Value:
        return self.builder.compare("lt", self, other)

    def __le__(self, other: Operand) -> Value:
        return self.builder.compare("le", self, other)

    def __gt__(self, other: Operand) -> Value:
        return self.builder.compare("gt", self, other)

    def __ge__(self, other: Operand) -> Value:
        return self.builder.compare("ge", self, other)

    def equals(self, other: Operand) -> Value:
        """Elementwise; nan equals nothing. (`==` compares Values as Python objects.)"""
        return self.builder.compare("eq", self, other)

    def differs(self, other: Operand) -> Value:
        """Elementwise; nan differs from everything."""
        return self.builder.compare("ne", self, other)

    def like(self, number: Number) -> Value:
        """A constant of this dtype and number of lanes."""
        return self.builder.constant(number, self.dtype, self.lanes)


@dataclass(frozen=True, eq=False)
class Uniform:
    """The one value in all lanes of a vector.

    value: of one lane
    mark:  outside the loop, where what follows from it alone can be written, to be computed once
    """

    value: Value
    mark: Mark


@dataclass(frozen=True, eq=False)
class Bounds:
    """Where the memory behind a pointer lies, in a module that is `checked`.

    first: the address of its first byte
    end:   the one past its last
    slot:  the number of the kernel's argument that the pointer comes from
    """

    first: Value
    end: Value
    slot: Index


@dataclass(frozen=True, eq=False)
class Pointer:
    """The address of elements of one dtype. Indices into it count elements.

    bounds: in a module that is `checked`, where it may lead
    """

    text: str
    dtype: DType
    bounds: Bounds | None = None


class Variable:
    """A place for a value that changes."""

    __slots__ = ("builder", "dtype", "lanes", "text")

    def __init__(self, builder: Instructions, text: str, dtype: DType, lanes: int) -> None:
        self.builder = builder
        self.text = text
        self.dtype = dtype
        self.lanes = lanes

    @property
    def value(self) -> Value:
        kind = register_type(self.dtype, self.lanes)
        text = self.builder.emit(f"load {kind}, ptr {self.text}")
        return Value(self.builder, text, self.dtype, self.lanes)

    @value.setter
    def value(self, new: Value) -> None:
        assert (new.dtype, new.lanes) == (self.dtype, self.lanes)
        self.builder.line(f"store {new.type} {new.text}, ptr {self.text}")
