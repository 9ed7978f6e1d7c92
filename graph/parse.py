"""Read a graph from the printed language, with bounds: text from outside is data.

What it refuses, it refuses with a ParseError that says the line, the column and what was expected.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
import re
from collections.abc import Iterable
from typing import Any, NoReturn

import numpy as np

from graphwright.graph.array import FrozenArray
from graphwright.graph.dim import Size, dim, floordiv, maximum
from graphwright.graph.dtype import SHORT_NAMES, as_dtype
from graphwright.graph.errors import GraphwrightError, ParseError
from graphwright.graph.graph import Graph
from graphwright.graph.leaf import Input, Parameter, unset_parameter
from graphwright.graph.node import Node, Origin, derived
from graphwright.graph.operator import operators
from graphwright.graph.tensor import Tensor
from graphwright.graph.types import TensorType

_TOKEN = re.compile(
    r"""(?P<space>(?:\s|\#[^\n]*)+)
      | (?P<string>"(?:[^"\\\n]|\\.)*")
      | (?P<number>\d+(?:\.\d+)?(?:e[+-]?\d+)?)
      | (?P<value>%\d+)
      | (?P<name>[A-Za-z_](?:[\w./-]|:(?=[\w./-]))*)
      | (?P<mark>[(){}\[\],:=*+-])""",
    re.VERBOSE | re.ASCII,
)
_SHORT = set(SHORT_NAMES.values())
_DEEPEST = 40
_INTEGER_DIGITS = 20


def parse(text: str, parameters: Iterable[Parameter] = ()) -> Graph:
    """The graph that `text` describes.

    parameters: those that the text may name; others are made without a value
    Raises ParseError for text that is cut off, malformed, of wrong types, or that names an
    operator nobody registered.
    """
    parser = _Parser(text, {str(parameter.name): parameter for parameter in parameters})
    with derived(Origin()):
        graph = parser.graph()
    parser.expect_end()
    return graph


class _Parser:
    """Recursive descent over the tokens of one text."""

    def __init__(self, text: str, parameters: dict[str, Parameter]) -> None:
        self.text = text
        self.parameters = parameters
        self.position = 0
        self.depth = 0
        self.kind = self.token = ""
        self.start = 0
        self.advance()

    # Tokens.

    def advance(self) -> str:
        """Step to the next token; the one stepped over."""
        stepped_over = self.token
        while True:
            self.start = self.position
            if self.position == len(self.text):
                self.kind, self.token = "end", ""
                return stepped_over
            match = _TOKEN.match(self.text, self.position)
            if match is None:
                if self.text[self.position] == "…":
                    self.fail("a constant was left out when this text was printed (elide=True)")
                self.fail(f"unexpected character {self.text[self.position]!r}")
            self.position = match.end()
            if match.lastgroup != "space":
                self.kind, self.token = str(match.lastgroup), match.group()
                return stepped_over

    def at(self, *tokens: str) -> bool:
        return self.kind in ("mark", "name") and self.token in tokens

    def skip(self, token: str) -> bool:
        if self.at(token):
            self.advance()
            return True
        return False

    def expect(self, token: str) -> None:
        if not self.skip(token):
            self.fail(f"expected {token!r}, found {self.found()}")

    def expect_kind(self, kind: str, what: str) -> str:
        if self.kind != kind:
            self.fail(f"expected {what}, found {self.found()}")
        return self.advance()

    def expect_end(self) -> None:
        if self.kind != "end":
            self.fail(f"expected the end of the text, found {self.found()}")

    def found(self) -> str:
        return repr(self.token) if self.kind != "end" else "the end of the text"

    def fail(self, what: str, start: int | None = None, hint: str | None = None) -> NoReturn:
        start = self.start if start is None else start
        line = self.text.count("\n", 0, start) + 1
        column = start - (self.text.rfind("\n", 0, start) + 1) + 1
        shown = self.text.splitlines()[line - 1].strip() if self.text else ""
        raise ParseError(
            f"line {line}, column {column}: {what}",
            details=[("line", shown)] if shown else (),
            hint=hint,
        ) from None

    def nest(self) -> None:
        self.depth += 1
        if self.depth > _DEEPEST:
            self.fail(f"nested more than {_DEEPEST} deep")

    # Graphs.

    def graph(self) -> Graph:
        self.nest()
        start = self.start
        self.expect("graph")
        names: dict[str, Tensor] = {}
        inputs: list[Tensor] = []
        self.expect("(")
        while not self.skip(")"):
            at = self.start
            label = self.expect_kind("name", "the name of an input")
            self.expect(":")
            kind = self.type()
            inputs.append(Node(Input(label, kind), (), (kind,)).outputs[0])
            self.define(names, label, inputs[-1], at)
            if not self.at(")"):
                self.expect(",")
        self.expect("{")
        while self.skip("parameter"):
            self.parameter(names)
        while self.kind == "value":
            self.node(names)
        self.expect("return")
        outputs = self.references(names) if self.kind in ("value", "name") else []
        updates: dict[Parameter, Tensor] = {}
        while self.skip("update"):
            at = self.start
            parameter = self.reference(names)
            if not isinstance(parameter, Parameter) or parameter in updates:
                self.fail("expected the name of a parameter not updated yet", at)
            self.expect("=")
            updates[parameter] = self.reference(names)
        self.expect("}")
        self.depth -= 1
        try:
            return Graph(inputs, outputs, updates)
        except GraphwrightError as error:
            self.fail(error.what, start)

    def define(self, names: dict[str, Tensor], name: str, tensor: Tensor, at: int) -> None:
        if name in names:
            self.fail(f"{name} is defined twice", at)
        names[name] = tensor

    def parameter(self, names: dict[str, Tensor]) -> None:
        at = self.start
        label = self.expect_kind("name", "the name of a parameter")
        self.expect(":")
        kind = self.type()
        known = self.parameters.get(label)
        if known is not None and known.type != kind:
            self.fail(f"parameter {label} is {kind} here, but {known.type} was given", at)
        try:
            self.define(names, label, known or unset_parameter(label, kind), at)
        except ParseError:
            raise
        except GraphwrightError as error:
            self.fail(error.what, at)

    def node(self, names: dict[str, Tensor]) -> None:
        defined: list[tuple[str, TensorType, int]] = []
        while True:
            at = self.start
            name = self.expect_kind("value", "a value such as %0")
            self.expect(":")
            defined.append((name, self.type(), at))
            if not self.skip(","):
                break
        self.expect("=")
        at = self.start
        op_name = self.expect_kind("name", "the name of an operator")
        operator = operators.get(op_name)
        if operator is None:
            self.fail(
                f"there is no operator named {op_name!r}",
                at,
                hint="register custom operators (gw.ops.register) before parsing",
            )
        inputs, attributes = self.arguments(names)
        missing = set(operator.attribute_names) - attributes.keys()
        surplus = attributes.keys() - set(operator.attribute_names)
        if operator.leaf or missing or surplus:
            takes = ", ".join(operator.attribute_names) or "none"
            self.fail(f"{op_name} takes the attributes: {takes}", at)
        count = len(operator.input_names(len(inputs)))
        try:
            outputs = operator(**attributes).apply(*inputs)
        except GraphwrightError as error:
            self.fail(error.what, at)
        except (TypeError, ValueError, AttributeError, IndexError, ZeroDivisionError) as error:
            self.fail(f"{op_name} does not take these {count} inputs and attributes: {error}", at)
        if [str(kind) for _, kind, _ in defined] != [str(tensor.type) for tensor in outputs]:
            types = ", ".join(str(tensor.type) for tensor in outputs)
            self.fail(f"{op_name} gives {types} here", defined[0][2])
        for (name, _, start), tensor in zip(defined, outputs, strict=True):
            self.define(names, name, tensor, start)

    def arguments(self, names: dict[str, Tensor]) -> tuple[list[Tensor], dict[str, Any]]:
        inputs: list[Tensor] = []
        attributes: dict[str, Any] = {}
        self.expect("(")
        while not self.skip(")"):
            start, position, kind, token = self.start, self.position, self.kind, self.token
            name = self.token
            self.advance()
            if kind == "name" and self.skip("="):
                if name in attributes:
                    self.fail(f"{name} is given twice", start)
                attributes[name] = self.value()
            else:
                self.start, self.position, self.kind, self.token = start, position, kind, token
                inputs.append(self.reference(names))
            if not self.at(")"):
                self.expect(",")
        return inputs, attributes

    def references(self, names: dict[str, Tensor]) -> list[Tensor]:
        found = [self.reference(names)]
        while self.skip(","):
            found.append(self.reference(names))
        return found

    def reference(self, names: dict[str, Tensor]) -> Tensor:
        if self.kind not in ("value", "name"):
            self.fail(f"expected a value, found {self.found()}")
        if self.token not in names:
            self.fail(f"{self.token} is not defined above")
        return names[self.advance()]

    # Types, sizes and attribute values.

    def type(self) -> TensorType:
        if self.token not in _SHORT:
            self.fail(f"expected a type such as f32[2,3], found {self.found()}")
        dtype = as_dtype(self.advance())
        shape: list[Size] = []
        self.expect("[")
        while not self.skip("]"):
            at = self.start
            size = self.size()
            if isinstance(size, int) and size < 0:
                self.fail("a size can't be negative", at)
            shape.append(size)
            if not self.at("]"):
                self.expect(",")
        return TensorType(dtype, tuple(shape))

    def size(self) -> Size:
        """sum := ['-'] term (('+' | '-') term)*;  term := factor ('*' factor)*"""
        self.nest()
        total = -self.term() if self.skip("-") else self.term()
        while self.at("+", "-"):
            total = total + self.term() if self.advance() == "+" else total - self.term()
        self.depth -= 1
        return total

    def term(self) -> Size:
        result = self.factor()
        while self.skip("*"):
            result = result * self.factor()
        return result

    def factor(self) -> Size:
        at = self.start
        if self.kind == "number":
            return self.integer()
        name = self.expect_kind("name", "a size")
        if name in ("floordiv", "max"):
            self.expect("(")
            left = self.size()
            self.expect(",")
            right = self.size()
            self.expect(")")
            if name == "floordiv" and right == 0:
                self.fail("division by 0", at)
            return floordiv(left, right) if name == "floordiv" else maximum(left, right)
        try:
            return dim(name)
        except GraphwrightError as error:
            self.fail(error.what, at)

    def integer(self) -> int:
        at = self.start
        digits = self.expect_kind("number", "a whole number")
        if not digits.isdigit() or len(digits) > _INTEGER_DIGITS:
            self.fail(f"expected a whole number of at most {_INTEGER_DIGITS} digits", at)
        return int(digits)

    def value(self) -> Any:
        if self.kind == "string":
            at = self.start
            try:
                return json.loads(self.advance())
            except ValueError:
                self.fail("a malformed string", at)
        if self.at("("):
            return self.tuple()
        if self.at("graph"):
            return self.graph()
        for word, meaning in (("True", True), ("False", False), ("None", None)):
            if self.skip(word):
                return meaning
        if self.kind == "name" and self.token in _SHORT:
            return self.typed()
        number = re.compile(r"-?\s*(\d+\.\d+(e[+-]?\d+)?|\d+e[+-]?\d+|inf\b|nan\b)", re.ASCII)
        if number.match(self.text, self.start):
            return self.real()
        return self.size()

    def tuple(self) -> tuple[Any, ...]:
        self.nest()
        items: list[Any] = []
        self.expect("(")
        while not self.skip(")"):
            items.append(self.value())
            if not self.at(")"):
                self.expect(",")
        self.depth -= 1
        return tuple(items)

    def real(self) -> float:
        sign = -1.0 if self.skip("-") else 1.0
        if self.at("inf", "nan"):
            return math.copysign(float(self.advance()), sign)
        return sign * float(self.expect_kind("number", "a number"))

    def typed(self) -> Any:
        """A dtype `f32`, a type `f32[2]`, or an array `f32[2]{1.0, 2.0}` or `f32[2]"base64"`."""
        at = self.start
        saved = self.start, self.position, self.kind, self.token
        self.advance()
        if not self.at("["):
            return as_dtype(saved[3])
        self.start, self.position, self.kind, self.token = saved
        kind = self.type()
        if not self.at("{") and self.kind != "string":
            return kind
        if not kind.static:
            self.fail("an array has numbers for sizes", at)
        if self.kind == "string":
            return self.encoded(kind)
        return self.elements(kind, at)

    def elements(self, kind: TensorType, at: int) -> FrozenArray:
        items: list[bool | int | float] = []
        self.expect("{")
        while not self.skip("}"):
            items.append(self.element(kind))
            if not self.at("}"):
                self.expect(",")
        if len(items) != kind.size:
            self.fail(f"{kind} has {kind.size} elements, found {len(items)}", at)
        try:
            values = np.array(items, dtype=np.float64 if kind.dtype.kind in "fV" else kind.dtype)
        except (OverflowError, ValueError):
            self.fail(f"an element is out of the range of {kind}", at)
        return FrozenArray(values.astype(kind.dtype).reshape(kind.shape))

    def element(self, kind: TensorType) -> bool | int | float:
        if kind.dtype.kind == "b":
            if not self.at("True", "False"):
                self.fail(f"expected True or False, found {self.found()}")
            return self.advance() == "True"
        if kind.dtype.kind in "iu":
            return -self.integer() if self.skip("-") else self.integer()
        return self.real()

    def encoded(self, kind: TensorType) -> FrozenArray:
        at = self.start
        try:
            data = base64.b64decode(self.advance()[1:-1], validate=True)
        except (binascii.Error, ValueError):
            self.fail("malformed base64", at)
        if len(data) != kind.nbytes:
            self.fail(f"{kind} has {kind.nbytes} bytes, found {len(data)}", at)
        return FrozenArray(np.frombuffer(data, dtype=kind.dtype).reshape(kind.shape))
