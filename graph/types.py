"""The type of a tensor: an element type and a shape, either known as far as the sizes are."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

from graphwright.graph.dim import Dim, Size, Sizes, evaluate, product
from graphwright.graph.dtype import DType, short_name

Shape: TypeAlias = tuple[Size, ...]


@dataclass(frozen=True)
class TensorType:
    """`TensorType(float32, (batch, 784))`, printed `f32[batch,784]`."""

    dtype: DType
    shape: Shape

    @property
    def rank(self) -> int:
        return len(self.shape)

    @cached_property
    def size(self) -> Size:
        """The number of elements."""
        return product(self.shape)

    @cached_property
    def nbytes(self) -> Size:
        """The bytes a dense array of this type takes."""
        return self.size * self.dtype.itemsize

    @cached_property
    def static(self) -> bool:
        """True when every size is a number."""
        return not any(isinstance(size, Dim) for size in self.shape)

    def with_shape(self, shape: Shape) -> TensorType:
        return TensorType(self.dtype, shape)

    def with_dtype(self, dtype: DType) -> TensorType:
        return TensorType(dtype, self.shape)

    def bind(self, sizes: Sizes) -> TensorType:
        """The same type with the named dimensions replaced by numbers."""
        return self if self.static else self.with_shape(evaluate(self.shape, sizes))

    def __str__(self) -> str:
        return f"{short_name(self.dtype)}[{','.join(map(str, self.shape))}]"

    __repr__ = __str__
