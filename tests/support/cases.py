"""The operators' cases made concrete: symbolic sizes bound, elements drawn, kernels run."""

from __future__ import annotations

import dataclasses
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

import graphwright as gw
from graphwright.graph.array import FrozenArray
from graphwright.graph.dim import Dim, evaluate, names_of
from graphwright.graph.dtype import is_floating, is_integer
from graphwright.graph.graph import Graph, copy_node
from graphwright.graph.operator import Operator, operators
from graphwright.graph.tensor import Tensor
from graphwright.graph.types import TensorType
from graphwright.ops.case import Case, Within

# Constants are of the language, not of the vocabulary, and can't carry cases themselves.
_CASES_ELSEWHERE = {
    "constant": (
        Case(value=FrozenArray([[1.5, -0.0], [np.inf, np.nan]])),
        Case(value=FrozenArray(np.arange(3, dtype=np.int8))),
        Case(value=FrozenArray(True)),
    )
}


def own_operators() -> list[type[Operator]]:
    """Graphwright's own operators but the leaves, which have no kernel."""
    return [
        operator
        for operator in operators.values()
        if operator.__module__.startswith("graphwright.") and not operator.leaf
    ]


def cases_of(operator: type[Operator]) -> tuple[Case, ...]:
    return tuple(operator.cases) or _CASES_ELSEWHERE.get(operator.name, ())


@dataclass(frozen=True)
class Example:
    """One case of one operator."""

    operator: type[Operator]
    case: Case

    def __str__(self) -> str:
        return f"{self.operator.name}{self.case!r}"

    @property
    def op(self) -> Operator:
        return self.operator(**self.case.attributes)

    @property
    def types(self) -> tuple[TensorType, ...]:
        """The types of the inputs, with symbolic sizes."""
        return tuple(_type_of(operand) for operand in self.case.operands)

    @property
    def sizes(self) -> list[dict[str, int]]:
        """What the symbolic sizes stand for in turn: different numbers, then all 1, then all 0."""
        names = names_of(size for kind in self.types for size in kind.shape)
        names |= names_of(_dims(tuple(self.case.attributes.values())))
        ordered = sorted(names)
        if not ordered:
            return [{}]
        return [
            {name: 3 + 2 * i for i, name in enumerate(ordered)},
            dict.fromkeys(ordered, 1),
            dict.fromkeys(ordered, 0),
        ]

    def arrays(self, sizes: dict[str, int], draw: int = 0) -> list[np.ndarray]:
        """Elements for every input: the same each time for the same example, sizes and draw."""
        random = np.random.default_rng(zlib.crc32(f"{self}{sizes}{draw or ''}".encode()))
        return [_draw(operand, sizes, random) for operand in self.case.operands]

    def inputs(self) -> tuple[Tensor, ...]:
        """Symbolic inputs of a graph, named x0, x1 and so on."""
        return tuple(gw.input(f"x{i}", t.shape, t.dtype) for i, t in enumerate(self.types))

    def converted(self, dtype: Any) -> Example:
        """The same with every floating operand, and every floating attribute, of `dtype`."""
        attributes = {
            name: _converted_attribute(value, np.dtype(dtype))
            for name, value in self.case.attributes.items()
        }
        operands = [_converted(operand, np.dtype(dtype)) for operand in self.case.operands]
        return Example(self.operator, Case(*operands, smooth=self.case.smooth, **attributes))

    @property
    def floating(self) -> bool:
        """True when an input is floating, so that there is something to differentiate by."""
        return any(is_floating(kind.dtype) for kind in self.types)


def examples() -> list[Example]:
    """All cases of all operators."""
    return [Example(op, case) for op in own_operators() for case in cases_of(op)]


def run(op: Operator, arrays: list[np.ndarray]) -> tuple[np.ndarray, ...]:
    """The outputs of a kernel, as arrays."""
    with np.errstate(all="ignore"):
        result = op.kernel(*arrays)
    outputs = result if isinstance(result, tuple) else (result,)
    assert all(isinstance(output, np.ndarray | np.generic) for output in outputs)
    return tuple(np.asarray(output) for output in outputs)


def outputs_of(types: TensorType | tuple[TensorType, ...]) -> tuple[TensorType, ...]:
    """What `infer` answers, as a tuple."""
    return types if isinstance(types, tuple) else (types,)


def _type_of(operand: Any) -> TensorType:
    if isinstance(operand, Within):
        return operand.type
    if isinstance(operand, TensorType):
        return operand
    return TensorType(operand.dtype, operand.shape)


def _draw(operand: Any, sizes: dict[str, int], random: np.random.Generator) -> np.ndarray:
    kind = _type_of(operand)
    if isinstance(operand, np.ndarray):
        return operand.copy()
    shape = evaluate(kind.shape, sizes)
    if isinstance(operand, Within):
        low, high = operand.low, operand.high
    elif is_integer(kind.dtype):
        low, high = (0 if kind.dtype.kind == "u" else -4), 5
    else:
        low, high = (-2, 2) if is_floating(kind.dtype) else (0, 2)
    if is_floating(kind.dtype):
        return random.uniform(low, high, shape).astype(kind.dtype)
    return random.integers(int(low), int(high), shape).astype(kind.dtype)


def _converted(operand: Any, dtype: np.dtype) -> Any:
    kind = _type_of(operand)
    if not is_floating(kind.dtype):
        return operand
    if isinstance(operand, Within):
        return dataclasses.replace(operand, type=kind.with_dtype(dtype))
    if isinstance(operand, TensorType):
        return kind.with_dtype(dtype)
    with np.errstate(over="ignore"):
        return operand.astype(dtype)


def _converted_attribute(value: Any, dtype: np.dtype) -> Any:
    if isinstance(value, Graph):
        kinds = [dtype if is_floating(x.dtype) else x.dtype for x in value.inputs]
        xs = [
            gw.input(str(x.name), x.shape, kind)
            for x, kind in zip(value.inputs, kinds, strict=True)
        ]
        new = dict(zip(value.inputs, xs, strict=True))
        for node in value.operations:
            copy_node(node, new)
        return value.replaced(new, inputs=xs)
    return dtype if isinstance(value, np.dtype) and is_floating(value) else value


def _dims(value: Any) -> Iterator[Dim]:
    """The symbolic sizes in an attribute."""
    if isinstance(value, Dim):
        yield value
    elif isinstance(value, tuple):
        for item in value:
            yield from _dims(item)
