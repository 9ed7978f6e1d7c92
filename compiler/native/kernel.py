"""What a generator gives: the text of a kernel, and what its arguments and its grid are.

A kernel is a module of LLVM IR that defines::

    void @kernel(ptr %arguments, i64 %first, i64 %last, ptr %scratch)

which computes the tiles `first` to `last - 1` of its grid, in any order and on any thread: no
tile may read what another one writes. `arguments` is a table of 8-byte slots, filled by whoever
binds the kernel to memory and to concrete sizes. Nothing in the text depends on those, so one
object serves every batch size; equal texts are compiled once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TypeAlias

from graphwright.compiler.native.ir import Builder, Function, Module
from graphwright.compiler.native.memory import Guard
from graphwright.compiler.native.target import Target
from graphwright.compiler.native.values import Bounds, Pointer, Value
from graphwright.graph.dim import Size
from graphwright.graph.dtype import DType, int64, uint64


@dataclass(frozen=True)
class Address:
    """The slot holds where a value of the plan lies, `offset` bytes on.

    value:  its number in the plan
    offset: bytes, for views that start later than what they view
    """

    value: int
    offset: Size = 0


@dataclass(frozen=True)
class Number:
    """The slot holds an int64: a size, a stride."""

    size: Size


@dataclass(frozen=True)
class Shared:
    """The slot holds the address of memory that the kernels of a step share.

    offset: bytes from its start; a multiple of 64
    """

    offset: Size = 0


@dataclass(frozen=True)
class Routine:
    """The slot holds the address of another function, by the text of its module."""

    text: str


@dataclass(frozen=True)
class Fault:
    """The slot holds the address of an int64, 0 at first: native code sets it to 1 for bad input.

    What is wrong, an index out of range say, is for the NumPy kernel to find again and to report:
    the step runs once more, on NumPy, before anything is committed. Until then the native kernel
    must have touched no memory but its operands'; what it left in its outputs is lost.

    value: the number in the plan of the indices that are looked at, if that is what is wrong
    below: the sizes that they must be in the range of; those that were found to be once are
           known to be, as long as they are the same
    """

    value: int = -1
    below: tuple[Size, ...] = ()


@dataclass(frozen=True)
class Limit:
    """In checked code: the slot holds where memory begins, or with `end`, where it has ended.

    of: the memory of all elements of a value, or that which the kernels of the step share
    """

    of: Address | Shared
    end: bool


@dataclass(frozen=True)
class Room:
    """In checked code: the slot holds how many bytes of memory each thread has for itself."""


@dataclass(frozen=True)
class Stray:
    """In checked code: the slot holds the address of an int64 for what goes astray."""


@dataclass(frozen=True)
class Refuge:
    """In checked code: the slot holds the address of memory to go to instead."""


Argument: TypeAlias = Address | Number | Shared | Routine | Fault | Limit | Room | Stray | Refuge


@dataclass(frozen=True)
class Kernel:
    """Native code, and what it is called with.

    name:      for people: `softmax rows`, `matmul 14x32`
    text:      the module
    arguments: what each slot of the table holds
    tiles:     how many tiles its grid has
    work:      picoseconds of one core for all tiles together, about: decides whether threads
               share it
    scratch:   bytes of memory that each thread needs for itself, its content lost between tiles
    shared:    bytes of memory that the kernels of the step share
    nonzero:   sizes for which it is not made to be 0: then the step runs on NumPy, which has an
               error for that
    """

    name: str
    text: str
    arguments: tuple[Argument, ...]
    tiles: Size
    work: Size
    scratch: Size = 0
    shared: Size = 0
    nonzero: tuple[Size, ...] = ()

    def on(self, values: Sequence[int]) -> Kernel:
        """The same on other values: `values[n]` in place of the value numbered n."""
        return replace(self, arguments=tuple(_on(values, slot) for slot in self.arguments))


def _on(values: Sequence[int], slot: Argument) -> Argument:
    if isinstance(slot, Address):
        return Address(values[slot.value], slot.offset)
    if isinstance(slot, Fault) and slot.value >= 0:
        return Fault(values[slot.value], slot.below)
    if isinstance(slot, Limit) and isinstance(slot.of, Address):
        return Limit(Address(values[slot.of.value], slot.of.offset), slot.end)
    return slot


class Arguments:
    """The slots of a kernel in the making: each is added when generated code first asks for it."""

    def __init__(self, builder: Builder, table: str) -> None:
        self._builder = builder
        self._table = Pointer(table, int64)
        self._slots: list[Argument] = []
        if builder.module.checked:
            builder.guard = Guard(self._read(Stray(), "ptr"), self._read(Refuge(), "ptr"))

    @property
    def slots(self) -> tuple[Argument, ...]:
        return tuple(self._slots)

    def pointer(self, argument: Argument, dtype: DType) -> Pointer:
        """An address from its slot."""
        slot = len(self._slots)
        text = self._read(argument, "ptr")
        return Pointer(text, dtype, self._bounds(argument, slot, text))

    def own(self, scratch: str, dtype: DType) -> Pointer:
        """The thread's own memory."""
        if not self._builder.module.checked:
            return Pointer(scratch, dtype)
        slot = len(self._slots)
        first = self._place(scratch)
        end = first + self._number(self._read(Room(), "i64"))
        return Pointer(scratch, dtype, Bounds(first, end, slot))

    def number(self, size: Size) -> Value | int:
        """A size: itself when it is known now, else from its slot."""
        if isinstance(size, int):
            return size
        return self.value(size)

    def value(self, size: Size) -> Value:
        """A size from its slot, even when it is known now."""
        return Value(self._builder, self._read(Number(size), "i64"), int64)

    def _read(self, argument: Argument, kind: str) -> str:
        """What the next slot holds."""
        where = self._builder.address(self._table, len(self._slots))
        self._slots.append(argument)
        return self._builder.emit(f"load {kind}, ptr {where}")

    def _bounds(self, argument: Argument, slot: int, text: str) -> Bounds | None:
        if isinstance(argument, Routine) or not self._builder.module.checked:
            return None
        if isinstance(argument, Fault):
            first = self._place(text)
            return Bounds(first, first + 8, slot)
        assert isinstance(argument, Address | Shared), f"{argument} is not walked"
        first, end = (self._number(self._read(Limit(argument, e), "i64")) for e in (False, True))
        return Bounds(first, end, slot)

    def _place(self, pointer: str) -> Value:
        """An address as a number."""
        return self._number(self._builder.emit(f"ptrtoint ptr {pointer} to i64"))

    def _number(self, text: str) -> Value:
        return Value(self._builder, text, uint64)


@dataclass(frozen=True)
class Frame:
    """What the body of a kernel is written with.

    b:         the builder
    arguments: the slots
    first:     the first tile
    last:      the one past the last
    scratch:   memory of this thread's own; a pointer to bytes
    """

    b: Builder
    arguments: Arguments
    first: Value
    last: Value
    scratch: str

    def own(self, dtype: DType) -> Pointer:
        """The thread's own memory, to be walked in elements of a dtype."""
        return self.arguments.own(self.scratch, dtype)


@contextmanager
def kernel_function(module: Module) -> Iterator[Frame]:
    """Write the function `kernel` of a module."""
    with module.function("kernel", ["ptr", "i64", "i64", "ptr"]) as (b, (table, first, last, own)):
        yield Frame(b, Arguments(b, table.text), first, last, own.text)


Library: TypeAlias = Mapping[str, Function]


@dataclass(frozen=True)
class Context:
    """What generators are told besides their step.

    target:    the CPU
    functions: vector functions by name
    checked:   whether loads and stores are checked to lie within their operands
    """

    target: Target
    functions: Library
    checked: bool = False

    def module(self) -> Module:
        """An empty module."""
        return Module(self.target, self.functions, self.checked)
