"""Loads and stores: of one element, of a run, of elements some stride apart, or of masked lanes."""

from __future__ import annotations

from graphwright.compiler.native.instructions import Instructions
from graphwright.compiler.native.types import memory_type, register_type, suffix
from graphwright.compiler.native.values import Index, Pointer, Value
from graphwright.graph.dtype import DType


class Memory(Instructions):
    """Adds what touches memory."""

    def address(self, base: Pointer, index: Index) -> str:
        """The address of an element."""
        if isinstance(index, int) and index == 0:
            return base.text
        offset = index.text if isinstance(index, Value) else str(index)
        kind = memory_type(base.dtype)
        return self.emit(f"getelementptr inbounds {kind}, ptr {base.text}, i64 {offset}")

    def shifted(self, base: Pointer, index: Index) -> Pointer:
        """A pointer to a later element of the same operand."""
        return Pointer(self.address(base, index), base.dtype, base.bounds)

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
        where = self._checked(base, index, lanes, mask)
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
        addresses = self._addresses(base, index, lanes, stride, mask)
        full = f"llvm.masked.gather.{_memory_suffix(base.dtype, lanes)}.v{lanes}p0"
        self.module.declare(full, kind, [f"<{lanes} x ptr>", "i32 immarg", masks, kind])
        chosen = mask.text if mask is not None else "splat (i1 true)"
        given = f"<{lanes} x ptr> {addresses}, i32 {_alignment(base.dtype)}, {masks} {chosen}"
        return self.emit(f"call {kind} @{full}({given}, {kind} zeroinitializer)")

    def _addresses(
        self, base: Pointer, index: Index, lanes: int, stride: Index, mask: Value | None
    ) -> str:
        """The addresses of lanes `stride` elements apart; a vector of strides: each its own."""
        if isinstance(stride, Value) and stride.lanes > 1:
            places = self.splat(self.index(index), lanes) + stride
        else:
            steps = self.lane_numbers(lanes) * self.splat(self.index(stride), lanes)
            places = self.splat(self.index(index), lanes) + steps
        places = self._checked_places(base, places, mask)
        kind = memory_type(base.dtype)
        return self.emit(f"getelementptr {kind}, ptr {base.text}, {places.type} {places.text}")

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
            addresses = self._addresses(base, index, lanes, stride, mask)
            full = f"llvm.masked.scatter.{_memory_suffix(base.dtype, lanes)}.v{lanes}p0"
            self.module.declare(full, "void", [kind, f"<{lanes} x ptr>", "i32 immarg", masks])
            given = f"{kind} {text}, <{lanes} x ptr> {addresses}, i32 {align}, {chosen}"
            self.line(f"call void @{full}({given})")
            return
        where = self._checked(base, index, lanes, mask)
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

    def _checked(self, base: Pointer, index: Index, lanes: int, mask: Value | None) -> str:
        """The address of a run of elements."""
        return self.address(base, index)

    def _checked_places(self, base: Pointer, places: Value, mask: Value | None) -> Value:
        return places


def _alignment(dtype: DType) -> int:
    return dtype.itemsize


def _memory_suffix(dtype: DType, lanes: int) -> str:
    name = "i8" if dtype.kind == "b" else suffix(dtype, 1)
    return name if lanes == 1 else f"v{lanes}{name}"
