"""Writing instructions: constants, arithmetic, comparisons, conversions, variables."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeAlias

from graphwright.compiler.native.types import constant_text, is_bfloat, register_type, suffix
from graphwright.compiler.native.values import Index, Number, Operand, Value, Variable
from graphwright.graph.dtype import DType, boolean, float32, int64, is_floating, uint16, uint32

if TYPE_CHECKING:
    from graphwright.compiler.native.ir import Module


Mark: TypeAlias = list[Any]
"""Lines, and marks among them."""


class Instructions:
    """Writes values, one instruction after the other."""

    def __init__(self, module: Module) -> None:
        self.module = module
        self._lines: list[Any] = []
        self._allocas: list[str] = []
        self._count = 0
        self._block = "entry"

    # The text.

    def text_lines(self) -> list[str]:
        """The function's body; what was written `at` a mark, at that mark."""
        return ["entry:", *self._allocas, *_flat(self._lines)]

    def mark(self) -> Mark:
        """This place in the code: straight-line code can be written `at` it later."""
        place: Mark = []
        self._lines.append(place)
        return place

    @contextmanager
    def at(self, mark: Mark) -> Iterator[None]:
        """Write what follows at a mark: values that are known there, for all that comes after."""
        here, self._lines = self._lines, mark
        yield
        self._lines = here

    def line(self, text: str) -> None:
        self._lines.append(f"  {text}")

    def comment(self, text: str) -> None:
        """A line for the reader of the generated code."""
        self._lines.append(f"  ; {text}")

    def emit(self, text: str) -> str:
        """An instruction that gives a value: the name of it."""
        name = self.fresh()
        self._lines.append(f"  {name} = {text}")
        return name

    def fresh(self) -> str:
        self._count += 1
        return f"%v{self._count}"

    def _label(self, what: str) -> str:
        self._count += 1
        return f"{what}{self._count}"

    def _start(self, label: str) -> None:
        self._lines.append(f"{label}:")
        self._block = label

    # Values.

    def constant(self, number: Number, dtype: DType, lanes: int = 1) -> Value:
        text = constant_text(number, dtype)
        if lanes > 1:
            text = f"splat ({register_type(dtype, 1)} {text})"
        return Value(self, text, dtype, lanes)

    def index(self, number: Index) -> Value:
        """An int64 of one lane."""
        return number if isinstance(number, Value) else self.constant(number, int64)

    def typed(self, value: Value, dtype: DType, lanes: int = 1) -> Value:
        """The same name, known to be of another dtype: for parameters of functions."""
        return Value(self, value.text, dtype, lanes)

    def splat(self, value: Value, lanes: int) -> Value:
        """A vector of one value, `lanes` times."""
        if value.lanes == lanes:
            return value
        assert value.lanes == 1, f"{value.lanes} lanes can't become {lanes}"
        if not value.text.startswith("%"):
            text = f"splat ({value.type} {value.text})"
            return Value(self, text, value.dtype, lanes)
        kind = register_type(value.dtype, lanes)
        one = self.emit(f"insertelement {kind} poison, {value.type} {value.text}, i32 0")
        text = self.emit(
            f"shufflevector {kind} {one}, {kind} poison, <{lanes} x i32> zeroinitializer"
        )
        return Value(self, text, value.dtype, lanes)

    def lane_numbers(self, lanes: int, dtype: DType = int64) -> Value:
        """0, 1, 2 … as a vector."""
        if lanes == 1:
            return self.constant(0, dtype)
        kind = register_type(dtype, 1)
        text = "<" + ", ".join(f"{kind} {constant_text(i, dtype)}" for i in range(lanes)) + ">"
        return Value(self, text, dtype, lanes)

    def lanes_of(self, x: Value, first: int, count: int) -> Value:
        """`count` lanes of a vector, from `first` on."""
        if count == 1:
            text = self.emit(f"extractelement {x.type} {x.text}, i32 {first}")
            return Value(self, text, x.dtype)
        chosen = ", ".join(f"i32 {lane}" for lane in range(first, first + count))
        mask = f"<{count} x i32> <{chosen}>"
        text = self.emit(f"shufflevector {x.type} {x.text}, {x.type} poison, {mask}")
        return Value(self, text, x.dtype, count)

    def matched(self, x: Value, y: Operand) -> tuple[Value, Value]:
        """Two operands with the same number of lanes; numbers take the dtype of the other."""
        other = y if isinstance(y, Value) else x.like(y)
        assert x.dtype == other.dtype, f"{x.dtype} meets {other.dtype}"
        lanes = max(x.lanes, other.lanes)
        return self.splat(x, lanes), self.splat(other, lanes)

    def binary(self, instruction: str, x: Value, y: Operand) -> Value:
        """An LLVM instruction of two operands, by its name."""
        left, right = self.matched(x, y)
        text = self.emit(f"{instruction} {left.type} {left.text}, {right.text}")
        return Value(self, text, left.dtype, left.lanes)

    def unary(self, instruction: str, x: Value) -> Value:
        if is_bfloat(x.dtype):
            return self.convert(self.unary(instruction, self.convert(x, float32)), x.dtype)
        return Value(self, self.emit(f"{instruction} {x.type} {x.text}"), x.dtype, x.lanes)

    def arithmetic(self, what: str, x: Value, y: Operand) -> Value:
        """`add`, `sub`, `mul`, `div` by the dtype; integers wrap, and divide toward zero."""
        if is_bfloat(x.dtype):
            return self.convert(self.arithmetic(what, *self._widened(x, y)), x.dtype)
        if x.floating:
            return self.binary("f" + what, x, y)
        # Index arithmetic is full of these.
        if not isinstance(y, Value) and x.lanes == 1 and (what, y) in _NEUTRAL:
            return x
        if what == "div":
            return self.binary("sdiv" if x.signed else "udiv", x, y)
        return self.binary(what, x, y)

    def _widened(self, x: Value, y: Operand) -> tuple[Value, Operand]:
        """Two bfloat16 as float32."""
        return self.convert(x, float32), self.convert(y, float32) if isinstance(y, Value) else y

    def remainder(self, x: Value, y: Operand) -> Value:
        """C's: the sign of the dividend."""
        if x.floating:
            return self.binary("frem", x, y)
        return self.binary("srem" if x.signed else "urem", x, y)

    def compare(self, what: str, x: Value, y: Operand) -> Value:
        """`eq ne lt le gt ge`; a comparison with nan is false, but for `ne`."""
        if is_bfloat(x.dtype):
            return self.compare(what, *self._widened(x, y))
        left, right = self.matched(x, y)
        if left.floating:
            kind = f"fcmp {'une' if what == 'ne' else 'o' + what}"
        else:
            sign = "" if what in ("eq", "ne") else "s" if left.signed else "u"
            kind = f"icmp {sign}{what}"
        text = self.emit(f"{kind} {left.type} {left.text}, {right.text}")
        return Value(self, text, boolean, left.lanes)

    def select(self, condition: Value, x: Operand, y: Operand) -> Value:
        """x where the condition holds, else y; one of the two may be a number."""
        if not isinstance(x, Value):
            assert isinstance(y, Value)
            x = y.like(x)
        left, right = self.matched(x, y)
        lanes = max(condition.lanes, left.lanes)
        left, right = self.splat(left, lanes), self.splat(right, lanes)
        chosen = f"{condition.type} {condition.text}"
        text = self.emit(f"select {chosen}, {left.type} {left.text}, {right.type} {right.text}")
        return Value(self, text, left.dtype, lanes)

    def bits(self, x: Value, dtype: DType) -> Value:
        """The same bits as another dtype of the same width."""
        kind = register_type(dtype, x.lanes)
        return Value(self, self.emit(f"bitcast {x.type} {x.text} to {kind}"), dtype, x.lanes)

    def convert(self, x: Value, dtype: DType) -> Value:
        """By value: floats round to nearest even, or toward zero to integers; bools are 0 and 1.

        A float beyond the range of an integer dtype gives no particular value.
        """
        if x.dtype == dtype:
            return x
        if dtype.kind == "b":
            return x.differs(0)
        if is_bfloat(x.dtype):
            upper = self.bits(self.convert(self.bits(x, uint16), uint32) << 16, float32)
            return self.convert(upper, dtype)
        if is_bfloat(dtype):
            return self._to_bfloat(self.convert(x, float32), dtype)
        kind = register_type(dtype, x.lanes)
        text = self.emit(f"{_conversion(x.dtype, dtype)} {x.type} {x.text} to {kind}")
        return Value(self, text, dtype, x.lanes)

    def _to_bfloat(self, x: Value, dtype: DType) -> Value:
        """The upper half of float32s: rounded to nearest even, nan as a quiet nan."""
        bits = self.bits(x, uint32)
        rounded = bits + ((bits >> 16 & 1) + 0x7FFF)
        rounded = self.select(x.differs(x), bits | 0x400000, rounded)
        return self.bits(self.convert(rounded >> 16, uint16), dtype)

    def intrinsic(self, name: str, *operands: Operand) -> Value:
        """An LLVM intrinsic overloaded on its operands' one type: `fma`, `sqrt`, `maximum` …"""
        first = next(x for x in operands if isinstance(x, Value))
        lanes = max(x.lanes for x in operands if isinstance(x, Value))
        values = [self.splat(x if isinstance(x, Value) else first.like(x), lanes) for x in operands]
        kind = register_type(first.dtype, lanes)
        full = f"llvm.{name}.{suffix(first.dtype, lanes)}"
        self.module.declare(full, kind, [kind] * len(values))
        listed = ", ".join(f"{kind} {x.text}" for x in values)
        return Value(self, self.emit(f"call {kind} @{full}({listed})"), first.dtype, lanes)

    def any_lane(self, mask: Value) -> Value:
        """True if any lane of a mask is."""
        if mask.lanes == 1:
            return mask
        name = f"llvm.vector.reduce.or.v{mask.lanes}i1"
        self.module.declare(name, "i1", [mask.type])
        return Value(self, self.emit(f"call i1 @{name}({mask.type} {mask.text})"), mask.dtype)

    def fma(self, x: Value, y: Operand, z: Operand) -> Value:
        """x y + z, rounded once."""
        return self.intrinsic("fma", x, y, z)

    def multiply_add(self, x: Value, y: Operand, z: Operand) -> Value:
        """x y + z by an `fma` where the CPU has one, else rounded twice."""
        return self.fma(x, y, z) if self.module.target.fma else x * y + z

    def variable(self, initial: Value) -> Variable:
        """A place that holds a value, at first the initial one."""
        name = self.fresh()
        self._allocas.append(f"  {name} = alloca {initial.type}")
        variable = Variable(self, name, initial.dtype, initial.lanes)
        variable.value = initial
        return variable


def _flat(lines: Mark) -> Iterator[str]:
    for line in lines:
        if isinstance(line, str):
            yield line
        else:
            yield from _flat(line)


_NEUTRAL = {("add", 0), ("sub", 0), ("mul", 1), ("div", 1)}


def _conversion(source: DType, to: DType) -> str:
    """The instruction that converts by value."""
    if is_floating(source) and is_floating(to):
        return "fpext" if to.itemsize > source.itemsize else "fptrunc"
    if is_floating(source):
        return "fptosi" if to.kind == "i" else "fptoui"
    signed = source.kind == "i"
    if is_floating(to):
        return "sitofp" if signed else "uitofp"
    bits = 1 if source.kind == "b" else 8 * source.itemsize
    if 8 * to.itemsize == bits:
        return "bitcast"
    if 8 * to.itemsize < bits:
        return "trunc"
    return "sext" if signed else "zext"
