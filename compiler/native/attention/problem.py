"""What attention computes, as its kernels see it: sizes, and how every operand lies."""

from __future__ import annotations

import math
from dataclasses import dataclass

from graphwright.compiler.native.operand import Operand
from graphwright.compiler.native.traversal import Strides
from graphwright.graph.dim import Size
from graphwright.graph.dtype import DType
from graphwright.graph.types import Shape
from graphwright.ops.attention_forward import Attention
from graphwright.ops.attention_heads import heads_of


@dataclass(frozen=True)
class Rows:
    """An operand as a matrix for each head; strides count elements.

    operand: where the first matrix starts
    heads:   along the axes of the heads of the keys
    group:   to the next head of the query that shares keys with the one before
    row:     to the next query or key
    column:  to the next feature; of a mask, to the next key
    """

    operand: Operand
    heads: Strides
    group: Size
    row: Size
    column: Size


@dataclass(frozen=True)
class Problem:
    """The sizes of attention.

    heads:    sizes of the axes of the heads of the keys
    groups:   heads of the query for each of those
    features: of query and key
    width:    features of a value
    """

    op: Attention
    dtype: DType
    heads: Shape
    groups: Size
    queries: Size
    keys: Size
    features: Size
    width: Size

    @classmethod
    def of(cls, op: Attention, query: Operand, key: Operand, value: Operand) -> Problem:
        """That of these operands."""
        found = heads_of(query.type, key.type, value.type)
        sizes = found.queries, found.keys, query.shape[-1], value.shape[-1]
        return cls(op, query.type.dtype, found.shared, found.groups, *sizes)

    @property
    def scale(self) -> float | None:
        """What scores are multiplied by; None for 1/√features, not known yet."""
        if self.op.scale is not None:
            return self.op.scale
        if not isinstance(self.features, int):
            return None
        return 1 / math.sqrt(self.features or 1)

    @property
    def reach(self) -> Size:
        """The number of the last key that the first query attends to, if it is causal."""
        return self.keys - self.queries if self.op.causal == "bottom_right" else 0

    def of_queries(self, operand: Operand) -> Rows:
        """An operand with a row for each query."""
        return self._rows(operand, operand.strides[:-2], *operand.strides[-2:])

    def of_keys(self, operand: Operand) -> Rows:
        """An operand with a row for each key."""
        *heads, row, column = operand.strides
        return Rows(operand, tuple(heads), 0, row, column)

    def of_numbers(self, operand: Operand) -> Rows:
        """An operand with a number for each query: rows of one column."""
        return self._rows(operand, operand.strides[:-1], operand.strides[-1], 0)

    def of_mask(self, operand: Operand) -> Rows:
        """A mask, which broadcasts."""
        missing = len(self.heads) + 2 - len(operand.shape)
        strides = [
            0 if size == 1 else step
            for size, step in zip(operand.shape, operand.strides, strict=True)
        ]
        *heads, row, column = [0] * missing + strides
        return self._rows(operand, tuple(heads), row, column)

    def _rows(self, operand: Operand, heads: Strides, row: Size, column: Size) -> Rows:
        """The last of the heads is that of the query: so many groups make one of the keys."""
        if not heads:
            return Rows(operand, (), 0, row, column)
        *outer, last = heads
        return Rows(operand, (*outer, last * self.groups), last, row, column)
