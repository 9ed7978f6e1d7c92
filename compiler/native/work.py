"""What operations cost, roughly: for vector widths, and for deciding what is worth a thread."""

from __future__ import annotations

from functools import cache

from graphwright.compiler.group import Group
from graphwright.compiler.native.ir import Module
from graphwright.compiler.native.math import FUNCTIONS
from graphwright.compiler.native.target import Target
from graphwright.compiler.native.values import Value
from graphwright.graph.dim import Size, product
from graphwright.graph.dtype import DType
from graphwright.graph.node import Node
from graphwright.graph.operator import Operator

INSTRUCTION = 300
"""Picoseconds that a vector instruction takes, about."""
FUNCTION = 15
"""Instructions of a call of a vector function, about."""


def vector_lanes(group: Group, target: Target) -> int:
    """Elements that are computed at once: a vector of the widest dtype in the group."""
    tensors = [ref.tensor for refs in group.reads.values() for ref in refs if ref.axes]
    tensors += [ref.tensor for ref in group.outputs]
    widest = max(tensor.dtype.itemsize for tensor in tensors) if tensors else 4
    return max(target.vector_bytes // widest, 1)


def work_of(group: Group, lanes: int) -> Size:
    """Picoseconds of one core for the whole group."""
    touched = len({ref for refs in group.reads.values() for ref in refs}) + len(group.outputs)
    instructions = touched + sum(FUNCTION if expensive(node) else 1 for node in group.operations)
    each = max(instructions * INSTRUCTION // lanes, 1)
    return product(group.space) * each


def expensive(node: Node) -> bool:
    """True for an elementwise operation that is dearer to compute twice than to keep."""
    if not node.op.elementwise or not node.inputs:
        return False
    return _expensive(node.op, tuple(tensor.dtype for tensor in node.inputs))


@cache
def _expensive(op: Operator, dtypes: tuple[DType, ...]) -> bool:
    """By the code that it writes: does it call a function, divide, or take a root?"""
    module = Module(Target.host(), FUNCTIONS)
    with module.function("probe", ["i64"]) as (b, _):
        op.lower(b, *(Value(b, f"%x{i}", dtype) for i, dtype in enumerate(dtypes)))
        text = "\n".join(b.text_lines())
    return any(word in text for word in (" call ", "div ", "rem "))
