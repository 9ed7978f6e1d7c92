"""Writing LLVM IR: values with Python's operators, loads and stores, loops, functions.

A `Module` is a text in the making; a `Builder` writes one function of it, from top to bottom::

    module = Module(Target.host())
    with module.function("double", ["ptr", "i64"]) as (b, (data, count)):
        x = Pointer(data.text, float32)
        with b.loop(0, count) as i:
            b.store(x, i, b.load(x, i) * 2.0)

A `Value` has a dtype and a number of lanes: one, or as many as the vector that it is. Python
numbers, and values of one lane, become vectors where they meet one. What changes from round to
round of a loop is a `Variable`, which LLVM keeps in a register.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeAlias

from graphwright.compiler.native.division import Divisor, quotients
from graphwright.compiler.native.memory import Memory
from graphwright.compiler.native.types import suffix
from graphwright.compiler.native.values import Index, Operand, Value
from graphwright.graph.dtype import float32, float64, int64

if TYPE_CHECKING:
    from graphwright.compiler.native.target import Target


class NoFunction(LookupError):
    """There is no vector function of this name."""


Function: TypeAlias = Callable[..., Value]
"""Writes the body of a function: takes the builder and the arguments, gives the value."""


class Module:
    """LLVM IR in the making.

    target:    the CPU that it is for
    functions: what `Builder.call` finds by name: each is written into the module when it is first
               called with a dtype and a number of lanes
    checked:   whether every load and store is checked to lie within its operand
    """

    def __init__(
        self, target: Target, functions: Mapping[str, Function] | None = None, checked: bool = False
    ) -> None:
        self.target = target
        self.functions = functions or {}
        self.checked = checked
        self._texts: dict[str, str] = {}
        self._declared: dict[str, str] = {}

    @contextmanager
    def function(
        self, name: str, parameters: Sequence[str], *, returns: str = "void", local: bool = False
    ) -> Iterator[tuple[Builder, tuple[Value, ...]]]:
        """Write a function; `local` ones are inlined where they are called.

        parameters: their types: `i64`, `ptr`, `<16 x float>` …
        Gives the builder, and the parameters as values; the dtype is int64 for those that are not
        known here: give them their own with `Builder.typed`.
        """
        builder = Builder(self)
        names = [f"%a{i}" for i in range(len(parameters))]
        self._texts[name] = ""  # keeps its place: those that it calls come after
        yield builder, tuple(Value(builder, text, int64) for text in names)
        listed = ", ".join(f"{kind} {text}" for kind, text in zip(parameters, names, strict=True))
        head = f"define {'internal ' if local else ''}{returns} @{name}({listed})"
        head += " alwaysinline {" if local else " nounwind {"
        end = ["  ret void"] if returns == "void" else []
        self._texts[name] = "\n".join([head, *builder.text_lines(), *end, "}"])

    def declare(self, name: str, returns: str, parameters: Sequence[str]) -> None:
        """Declare a function that LLVM, or the loader, knows."""
        self._declared[name] = f"declare {returns} @{name}({', '.join(parameters)})"

    def add(self, name: str, text: str) -> None:
        """Functions and constants written by hand, once for all who ask for them by this name."""
        self._texts.setdefault(name, text)

    def has(self, name: str) -> bool:
        return name in self._texts

    @property
    def text(self) -> str:
        """All of it."""
        return "\n\n".join([*self._texts.values(), "\n".join(self._declared.values())]) + "\n"


class Builder(Memory):
    """Writes one function: besides instructions, calls and control flow."""

    def __init__(self, module: Module) -> None:
        super().__init__(module)
        self._divisors: dict[tuple[str, int], Divisor] = {}

    def call(self, name: str, *operands: Value) -> Value:
        """One of the module's `functions` on operands of one dtype: `b.call("exp", x)`.

        Raises NoFunction for a name that none has.
        """
        if name not in self.module.functions:
            raise NoFunction(name)
        lanes = max(x.lanes for x in operands)
        values = [self.splat(x, lanes) for x in operands]
        return self._inlined(name, self.module.functions[name], values)

    def _inlined(self, name: str, function: Function, values: Sequence[Value]) -> Value:
        """A function of its own, which may have branches; gives what is like its first operand."""
        first = values[0]
        full = f"{name}.{suffix(first.dtype, first.lanes)}"
        if not self.module.has(full):
            kinds = [x.type for x in values]
            with self.module.function(full, kinds, returns=first.type, local=True) as (b, given):
                pairs = zip(given, values, strict=True)
                result = function(b, *(b.typed(v, x.dtype, x.lanes) for v, x in pairs))
                assert result.type == first.type, f"{name} gives {result.type}, not {first.type}"
                b.line(f"ret {first.type} {result.text}")
        listed = ", ".join(f"{x.type} {x.text}" for x in values)
        text = self.emit(f"call {first.type} @{full}({listed})")
        return Value(self, text, first.dtype, first.lanes)

    def arithmetic(self, what: str, x: Value, y: Operand) -> Value:
        """As `Instructions` does, but for quotients by what is the same throughout a loop."""
        uniform = y.uniform if what == "div" and isinstance(y, Value) else None
        if uniform is None or not self.module.target.fma or x.dtype not in (float32, float64):
            return super().arithmetic(what, x, y)
        key = (uniform.value.text, id(uniform.mark))
        if key not in self._divisors:
            with self.at(uniform.mark):
                self._divisors[key] = Divisor.of(self, uniform.value)
        return self._inlined("divided", quotients, [x, *self._divisors[key]])

    @contextmanager
    def loop(
        self, start: Index, stop: Index, step: Index = 1, name: str = "loop"
    ) -> Iterator[Value]:
        """Rounds for start, start + step … below stop; none when start is not below stop."""
        first, last = self.index(start), self.index(stop)
        head, body, end = self._label(name), self._label(f"{name}.body"), self._label(f"{name}.end")
        before = self._block
        self.line(f"br label %{head}")
        self._start(head)
        counter = self.fresh()
        place = len(self._lines)
        self._lines.append("")  # the phi, once it is known where the rounds end
        again = self.emit(f"icmp slt i64 {counter}, {last.text}")
        self.line(f"br i1 {again}, label %{body}, label %{end}")
        self._start(body)
        yield Value(self, counter, int64)
        following = self.emit(f"add nsw i64 {counter}, {self.index(step).text}")
        comes = f"[{first.text}, %{before}], [{following}, %{self._block}]"
        self._lines[place] = f"  {counter} = phi i64 {comes}"
        self.line(f"br label %{head}")
        self._start(end)

    @contextmanager
    def when(self, condition: Value, name: str = "when") -> Iterator[None]:
        """What is written inside runs only if the condition (of one lane) holds."""
        inside, end = self._label(name), self._label(f"{name}.end")
        self.line(f"br i1 {condition.text}, label %{inside}, label %{end}")
        self._start(inside)
        yield
        self.line(f"br label %{end}")
        self._start(end)
