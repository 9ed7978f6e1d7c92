"""Loads and stores: of one element, of a run, of elements some stride apart, or of masked lanes.

In a module that is `checked`, each looks first whether it stays within the memory behind its
pointer. If not, it notes the pointer's argument, and goes to other memory instead.
"""

from __future__ import annotations

from typing import NamedTuple

from graphwright.compiler.native.instructions import Instructions
from graphwright.compiler.native.types import memory_type, register_type, suffix
from graphwright.compiler.native.values import Bounds, Index, Pointer, Value
from graphwright.graph.dtype import DType, uint64

REFUGE_BYTES = 4096
"""Bytes of memory for what would go astray."""


class Guard(NamedTuple):
    """What checked loads and stores need, as pointers.

    stray:  an int64 to note in what went astray: 2 × the argument's number + 1 when it is read,
            and 1 more when it is written
    refuge: memory of REFUGE_BYTES to go to instead
    """

    stray: str
    refuge: str


class Memory(Instructions):
    """Adds what touches memory."""

    guard: Guard | None = None

    def address(self, base: Pointer, index: Index) -> str:
        """The address of an element."""
        if isinstance(index, int) and index == 0:
            return base.text
        offset = index.text if isinstance(index, Value) else str(index)
        kind = memory_type(base.dtype)
        # Not `inbounds`: on the way to an element an address may lie before its operand's first.
        return self.emit(f"getelementptr {kind}, ptr {base.text}, i64 {offset}")

    def shifted(self, base: Pointer, index: Index) -> Pointer:
        """A pointer to a later element of the same operand."""
        return Pointer(self.address(base, index), base.dtype, base.bounds)

    def prefetch(self, base: Pointer, index: Index, lanes: int) -> None:
        """Have a run of elements brought near, to be read soon. They may lie past the end."""
        each = 64 // base.dtype.itemsize
        kind = memory_type(base.dtype)
        self.module.declare("llvm.prefetch.p0", "void", ["ptr", *["i32 immarg"] * 3])
        for first in range(0, lanes, each):
            place = (self.index(index) + first).text
            where = self.emit(f"getelementptr {kind}, ptr {base.text}, i64 {place}")
            # To read, for all caches, as data.
            self.line(f"call void @llvm.prefetch.p0(ptr {where}, i32 0, i32 3, i32 1)")

    def load(
        self,
        base: Pointer,
        index: Index,
        lanes: int = 1,
        *,
        stride: Index = 1,
        mask: Value | None = None,
    ) -> Value:
        """Elements index, index + stride …; lanes whose mask is false are not read, and 0."""
        if isinstance(stride, int) and stride == 0:
            return self.splat(self.load(base, index), lanes)
        if lanes > 1 and not (isinstance(stride, int) and stride == 1):
            return self._from_memory(
                self._gather(base, index, lanes, stride, mask), base.dtype, lanes
            )
        kind = memory_type(base.dtype, lanes)
        where = self._checked(base, index, lanes, mask, writes=False)
        align = 1 if base.dtype.kind == "b" else base.dtype.itemsize
        if mask is None:
            text = self.emit(f"load {kind}, ptr {where}, align {align}")
        else:
            full = f"llvm.masked.load.{_memory_suffix(base.dtype, lanes)}.p0"
            masks = f"<{lanes} x i1>"
            self.module.declare(full, kind, ["ptr", "i32 immarg", masks, kind])
            given = f"ptr {where}, i32 {align}, {masks} {mask.text}, {kind} zeroinitializer"
            text = self.emit(f"call {kind} @{full}({given})")
        return self._from_memory(text, base.dtype, lanes)

    def _gather(
        self, base: Pointer, index: Index, lanes: int, stride: Index, mask: Value | None
    ) -> str:
        kind, masks = memory_type(base.dtype, lanes), f"<{lanes} x i1>"
        addresses = self._addresses(base, index, lanes, stride, mask, writes=False)
        full = f"llvm.masked.gather.{_memory_suffix(base.dtype, lanes)}.v{lanes}p0"
        self.module.declare(full, kind, [f"<{lanes} x ptr>", "i32 immarg", masks, kind])
        chosen = mask.text if mask is not None else "splat (i1 true)"
        given = f"<{lanes} x ptr> {addresses}, i32 {_alignment(base.dtype)}, {masks} {chosen}"
        return self.emit(f"call {kind} @{full}({given}, {kind} zeroinitializer)")

    def _addresses(
        self,
        base: Pointer,
        index: Index,
        lanes: int,
        stride: Index,
        mask: Value | None,
        *,
        writes: bool,
    ) -> str:
        """The addresses of lanes `stride` elements apart; a vector of strides: each its own."""
        if isinstance(stride, Value) and stride.lanes > 1:
            places = self.splat(self.index(index), lanes) + stride
        else:
            steps = self.lane_numbers(lanes) * self.splat(self.index(stride), lanes)
            places = self.splat(self.index(index), lanes) + steps
        kind = memory_type(base.dtype)
        found = self.emit(f"getelementptr {kind}, ptr {base.text}, {places.type} {places.text}")
        return self._checked_lanes(base, found, lanes, mask, writes)

    def store(
        self,
        base: Pointer,
        index: Index,
        value: Value,
        *,
        stride: Index = 1,
        mask: Value | None = None,
    ) -> None:
        """The reverse of `load`: lanes whose mask is false are not written."""
        assert value.dtype == base.dtype, f"{value.dtype} stored as {base.dtype}"
        lanes = value.lanes
        kind, masks = memory_type(base.dtype, lanes), f"<{lanes} x i1>"
        text = value.text
        if base.dtype.kind == "b":
            text = self.emit(f"zext {value.type} {value.text} to {kind}")
        align = _alignment(base.dtype)
        chosen = f"{masks} {mask.text if mask is not None else 'splat (i1 true)'}"
        if lanes > 1 and not (isinstance(stride, int) and stride == 1):
            addresses = self._addresses(base, index, lanes, stride, mask, writes=True)
            full = f"llvm.masked.scatter.{_memory_suffix(base.dtype, lanes)}.v{lanes}p0"
            self.module.declare(full, "void", [kind, f"<{lanes} x ptr>", "i32 immarg", masks])
            given = f"{kind} {text}, <{lanes} x ptr> {addresses}, i32 {align}, {chosen}"
            self.line(f"call void @{full}({given})")
            return
        where = self._checked(base, index, lanes, mask, writes=True)
        if mask is None:
            self.line(f"store {kind} {text}, ptr {where}, align {align}")
            return
        full = f"llvm.masked.store.{_memory_suffix(base.dtype, lanes)}.p0"
        self.module.declare(full, "void", [kind, "ptr", "i32 immarg", masks])
        self.line(f"call void @{full}({kind} {text}, ptr {where}, i32 {align}, {chosen})")

    def _from_memory(self, text: str, dtype: DType, lanes: int) -> Value:
        if dtype.kind == "b":
            kind = memory_type(dtype, lanes)
            text = self.emit(f"trunc {kind} {text} to {register_type(dtype, lanes)}")
        return Value(self, text, dtype, lanes)

    # Checks. They branch nowhere, so that they can be written wherever a load can.

    def _checked(
        self, base: Pointer, index: Index, lanes: int, mask: Value | None, *, writes: bool
    ) -> str:
        """The address of a run of elements, or of the refuge."""
        where, guard = self.address(base, index), self.guard
        if guard is None:
            return where
        assert base.bounds is not None, "a pointer to memory of which no bounds are known"
        size = base.dtype.itemsize
        first = Value(self, self.emit(f"ptrtoint ptr {where} to i64"), uint64)
        if mask is None:
            outside = self._outside(base.bounds, first, lanes * size)
        else:
            each = self.splat(first, lanes) + self.lane_numbers(lanes, uint64) * size
            outside = self.any_lane(self._outside(base.bounds, each, size) & mask)
        self._note(guard, outside, base.bounds.slot, writes)
        return self.emit(f"select i1 {outside.text}, ptr {guard.refuge}, ptr {where}")

    def _checked_lanes(
        self, base: Pointer, addresses: str, lanes: int, mask: Value | None, writes: bool
    ) -> str:
        """Addresses, each that of the refuge where it would lead astray."""
        guard = self.guard
        if guard is None:
            return addresses
        assert base.bounds is not None, "a pointer to memory of which no bounds are known"
        kind = f"<{lanes} x ptr>"
        numbers = self.emit(f"ptrtoint {kind} {addresses} to {register_type(uint64, lanes)}")
        outside = self._outside(
            base.bounds, Value(self, numbers, uint64, lanes), base.dtype.itemsize
        )
        if mask is not None:
            outside = outside & mask
        self._note(guard, self.any_lane(outside), base.bounds.slot, writes)
        one = self.emit(f"insertelement {kind} poison, ptr {guard.refuge}, i32 0")
        order = f"<{lanes} x i32> zeroinitializer"
        refuge = self.emit(f"shufflevector {kind} {one}, {kind} poison, {order}")
        given = f"{outside.type} {outside.text}, {kind} {refuge}, {kind} {addresses}"
        return self.emit(f"select {given}")

    def _outside(self, bounds: Bounds, first: Value, nbytes: int) -> Value:
        return (first < bounds.first) | (first + nbytes > bounds.end)

    def _note(self, guard: Guard, outside: Value, slot: Index, writes: bool) -> None:
        chosen = f"ptr {guard.stray}, ptr {guard.refuge}"
        cell = self.emit(f"select i1 {outside.text}, {chosen}")
        code = self.index(2 * slot + 1 + writes)
        self.line(f"store i64 {code.text}, ptr {cell}, align 8")


def _alignment(dtype: DType) -> int:
    return dtype.itemsize


def _memory_suffix(dtype: DType, lanes: int) -> str:
    name = "i8" if dtype.kind == "b" else suffix(dtype, 1)
    return name if lanes == 1 else f"v{lanes}{name}"
