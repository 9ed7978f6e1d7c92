"""Patterns: what an expression must look like, as data, and how to find it at a node.

A pattern is read off an expression written down with operators on placeholders:
`log(1 + x)` becomes `Call(log, [Call(add, [Number(1), Variable(0)])])`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from graphwright.graph.dtype import DType, is_boolean, is_floating
from graphwright.graph.leaf import Constant
from graphwright.graph.node import Node
from graphwright.graph.operator import Operator
from graphwright.graph.tensor import Tensor

Pattern: TypeAlias = "Variable | Number | Call"


@dataclass(frozen=True)
class Variable:
    """Any tensor; the same one wherever the same variable stands."""

    index: int


@dataclass(frozen=True)
class Number:
    """A constant whose elements all have this value, in whatever dtype."""

    value: Any


@dataclass(frozen=True)
class Call:
    """An operator on operands; of a commutative one, in either order."""

    op: Operator
    operands: tuple[Pattern, ...]

    @property
    def weight(self) -> int:
        """How much it asks for: calls and numbers, counted. Larger patterns are tried first."""
        return 1 + sum(
            operand.weight if isinstance(operand, Call) else isinstance(operand, Number)
            for operand in self.operands
        )

    @cached_property
    def inner(self) -> frozenset[type[Operator]]:
        """The classes of the operators that its operands must be computed by."""
        return frozenset(type(x.op) for x in self.operands if isinstance(x, Call))


class Found(NamedTuple):
    """The tensors that the variables stand for, and the nodes that the calls stand for."""

    tensors: Mapping[int, Tensor]
    nodes: tuple[Node, ...]


def pattern_of(tensor: Tensor, variables: Sequence[Tensor]) -> Pattern:
    """The expression of `tensor` in terms of `variables`, as a pattern."""
    for index, variable in enumerate(variables):
        if tensor is variable:
            return Variable(index)
    if isinstance(tensor.node.op, Constant):
        return Number(tensor.node.op.value.array.item())
    operands = tuple(pattern_of(operand, variables) for operand in tensor.node.inputs)
    return Call(tensor.node.op, operands)


def find(pattern: Call, node: Node) -> Iterator[Found]:
    """Every way in which `pattern` describes the output of `node`."""
    if not pattern.inner <= {type(tensor.node.op) for tensor in node.inputs}:
        return iter(())
    return _find_call(pattern, node, Found({}, ()))


def uniform_value(tensor: Tensor) -> Any | None:
    """The one value, a NumPy scalar, that a constant has everywhere; None for what has none.

    Sees constants of one element, and what is broadcast from them.
    """
    node = tensor.node
    while node.op.broadcasting:
        node = node.inputs[0].node
    if isinstance(node.op, Constant) and node.op.value.array.size == 1:
        return node.op.value.array.reshape(())[()]
    return None


def has_value(tensor: Tensor, value: bool | float) -> bool:
    """True for a constant that is `value` everywhere, rounded to its dtype if that is floating.

    True and False are values of booleans only, and numbers of numbers.
    """
    found = uniform_value(tensor)
    if found is None or isinstance(value, bool) != is_boolean(tensor.dtype):
        return False
    if not is_floating(tensor.dtype):
        return bool(found == value)
    return bool(found == _rounded(value, tensor.dtype))


@lru_cache(maxsize=1024)
def _rounded(value: bool | float, dtype: DType) -> Any:
    """A number in a dtype, as a NumPy scalar."""
    with np.errstate(over="ignore"):
        return np.asarray(value).astype(dtype)[()]


def _find(pattern: Pattern, tensor: Tensor, found: Found) -> Iterator[Found]:
    if isinstance(pattern, Call):
        if type(tensor.node.op) is type(pattern.op) and len(tensor.node.outputs) == 1:
            yield from _find_call(pattern, tensor.node, found)
    elif isinstance(pattern, Number):
        if has_value(tensor, pattern.value):
            yield found
    elif found.tensors.get(pattern.index, tensor) is tensor:
        yield Found({**found.tensors, pattern.index: tensor}, found.nodes)


def _find_call(pattern: Call, node: Node, found: Found) -> Iterator[Found]:
    if node.op != pattern.op:
        return
    found = Found(found.tensors, (*found.nodes, node))
    yield from _find_all(pattern.operands, node.inputs, found)
    if node.op.commutative and len(node.inputs) == 2:
        yield from _find_all(pattern.operands, node.inputs[::-1], found)


def _find_all(
    patterns: Sequence[Pattern], tensors: Sequence[Tensor], found: Found
) -> Iterator[Found]:
    if not patterns:
        yield found
        return
    for first in _find(patterns[0], tensors[0], found):
        yield from _find_all(patterns[1:], tensors[1:], first)
