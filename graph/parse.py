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
from typing import Any

import numpy as np

from graphwright.graph.array import FrozenArray
from graphwright.graph.attribute import check_arguments
from graphwright.graph.dim import Dim, Size, dim, floordiv, maximum
from graphwright.graph.dtype import (
    SHORT_NAMES,
    DType,
    as_dtype,
    float64,
    is_boolean,
    is_floating,
    is_integer,
    short_name,
)
from graphwright.graph.errors import ParseError
from graphwright.graph.graph import Graph
from graphwright.graph.leaf import Parameter, input, unset_parameter
from graphwright.graph.node import Origin, derived
from graphwright.graph.operator import operators
from graphwright.graph.tensor import Tensor
from graphwright.graph.tokens import Tokens
from graphwright.graph.types import TensorType

_REAL = re.compile(r"-?\s*(\d+\.\d+(e[+-]?\d+)?|\d+e[+-]?\d+|inf\b|nan\b)", re.ASCII)
_SHORT = set(SHORT_NAMES.values())
_HIGHEST_RANK = 64  # NumPy's
_INTEGER_DIGITS = 20
_LARGEST_SIZE = 2**63 - 1
_LONGEST_SIZE = 1000  # characters


def parse(text: str, parameters: Iterable[Parameter] = ()) -> Graph:
    """The graph that `text` describes.

    parameters: those that the text may name; others are made without a value
    Raises ParseError for text that is cut off, malformed, of wrong types, or that names an
    operator nobody registered.
    """
    if not isinstance(text, str):
        raise ParseError(f"a graph is parsed from text, got {type(text).__name__}")
    parser = _Parser(text, {str(parameter.name): parameter for parameter in parameters})
    with derived(Origin()):
        graph = parser.graph()
    parser.expect_end()
    return graph


class _Parser(Tokens):
    """Recursive descent over the tokens of one text."""

    def __init__(self, text: str, parameters: dict[str, Parameter]) -> None:
        self.parameters = parameters
        super().__init__(text)

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
            self.expect(":", hint="a space follows the name: names may hold : - . and /")
            kind = self.type()
            with self.refusing(at):
                inputs.append(input(label, kind.shape, kind.dtype))
            self.define(names, label, inputs[-1], at)
            if not self.at(")"):
                self.expect(",")
        self.expect("{")
        while self.skip("parameter"):
            self.parameter(names)
        while self.kind == "value":
            self.node(names)
        self.expect("return")
        some = self.kind in ("value", "name") and not self.at("update")
        outputs = self.references(names) if some else []
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
        with self.refusing(start):
            return Graph(inputs, outputs, updates)

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
        if known is None:
            with self.refusing(at):
                known = self.parameters[label] = unset_parameter(label, kind)
        if known.type != kind:
            self.fail(f"parameter {label} is {kind} here, and {known.type} elsewhere", at)
        self.define(names, label, known, at)

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
        if operator.leaf:
            self.fail(f"{op_name} is no operation: it is declared above", at)
        inputs, attributes = self.arguments(names)
        with self.refusing(at):
            check_arguments(operator, len(inputs), attributes)
            outputs = operator(**attributes).apply(*inputs)
            types = [tensor.type for tensor in outputs]
            wrong = [kind for _, kind, _ in defined] != types
            gives = f"{op_name} gives {', '.join(map(str, types))} here"
        if wrong:
            self.fail(gives, defined[0][2])
        for (name, _, start), tensor in zip(defined, outputs, strict=True):
            self.define(names, name, tensor, start)

    def arguments(self, names: dict[str, Tensor]) -> tuple[list[Tensor], dict[str, Any]]:
        inputs: list[Tensor] = []
        attributes: dict[str, Any] = {}
        self.expect("(")
        while not self.skip(")"):
            if self.kind == "name" and self.followed_by("="):
                at, name = self.start, self.advance()
                self.expect("=")
                if name in attributes:
                    self.fail(f"{name} is given twice", at)
                attributes[name] = self.value()
            else:
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
        dtype = self.dtype()
        shape: list[Size] = []
        self.expect("[")
        while not self.skip("]"):
            at = self.start
            size = self.size()
            if isinstance(size, int) and not 0 <= size <= _LARGEST_SIZE:
                self.fail(f"a size is a number from 0 to {_LARGEST_SIZE}", at)
            shape.append(size)
            if len(shape) > _HIGHEST_RANK:
                self.fail(f"a rank of more than {_HIGHEST_RANK}", at)
            if not self.at("]"):
                self.expect(",")
        return TensorType(dtype, tuple(shape))

    def dtype(self) -> DType:
        if self.token not in _SHORT:
            self.fail(f"expected a type such as f32[2,3], found {self.found()}")
        with self.refusing(self.start):
            return as_dtype(self.advance())

    def size(self) -> Size:
        """sum := ['-'] term (('+' | '-') term)*;  term := factor ('*' factor)*"""
        self.nest()
        at = self.start
        with self.refusing(at):
            total = -self.term() if self.skip("-") else self.term()
            while self.at("+", "-"):
                total = total + self.term() if self.advance() == "+" else total - self.term()
                if self.position - at > _LONGEST_SIZE:
                    self.fail(f"a size of more than {_LONGEST_SIZE} characters", at)
        if isinstance(total, Dim) and any(abs(c) > _LARGEST_SIZE for _, c in total.terms):
            self.fail(f"a size holds a number of more than {_LARGEST_SIZE}", at)
        self.depth -= 1
        return total

    def term(self) -> Size:
        at = self.start
        result = self.factor()
        while self.skip("*"):
            result = result * self.factor()
            if self.position - at > _LONGEST_SIZE:
                self.fail(f"a size of more than {_LONGEST_SIZE} characters", at)
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
        with self.refusing(at):
            return dim(name)

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
        if _REAL.match(self.text, self.start):
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
        at = self.start
        number = float(self.expect_kind("number", "a number"))
        if math.isinf(number):
            self.fail("a number out of the range of f64", at)
        return sign * number

    def typed(self) -> Any:
        """A dtype `f32`, a type `f32[2]`, or an array `f32[2]{1.0, 2.0}` or `f32[2]"base64"`."""
        at = self.start
        if not self.followed_by("["):
            return self.dtype()
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
            given = np.array(items, dtype=float64 if is_floating(kind.dtype) else kind.dtype)
        except OverflowError:
            self.fail(f"an element is out of the range of {short_name(kind.dtype)}", at)
        with np.errstate(over="ignore"):
            values = given.astype(kind.dtype)
        if is_floating(kind.dtype) and (np.isinf(values) & ~np.isinf(given)).any():
            self.fail(f"an element is out of the range of {short_name(kind.dtype)}", at)
        return FrozenArray(values.reshape(kind.shape))

    def element(self, kind: TensorType) -> bool | int | float:
        if is_boolean(kind.dtype):
            if not self.at("True", "False"):
                self.fail(f"expected True or False, found {self.found()}")
            return self.advance() == "True"
        if is_integer(kind.dtype):
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
