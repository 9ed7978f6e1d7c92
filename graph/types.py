"""The type of a tensor: an element type and a shape, either known as far as the sizes are."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

from graphwright.graph.dim import Dim, Size, Sizes, evaluate, names_of, product
from graphwright.graph.dtype import DType, short_name
from graphwright.graph.errors import ShapeError

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

    @property
    def symbolic(self) -> bool:
        """True when a size is not a number."""
        return not self.static

    def with_shape(self, shape: Shape) -> TensorType:
        return TensorType(self.dtype, shape)

    def with_dtype(self, dtype: DType) -> TensorType:
        return TensorType(dtype, self.shape)

    def bind(self, sizes: Sizes) -> TensorType:
        """The same type with the named dimensions replaced by numbers.

        Raises ShapeError when a name is missing, or when a size would be less than 0.
        """
        if self.static:
            return self
        shape = evaluate(self.shape, sizes)
        for size, number in zip(self.shape, shape, strict=True):
            if number < 0:
                names = ", ".join(f"{name} = {sizes[name]}" for name in sorted(names_of([size])))
                raise ShapeError(f"{self}: the size {size} is {number} where {names}")
        return self.with_shape(shape)

    def __str__(self) -> str:
        return f"{short_name(self.dtype)}[{','.join(map(str, self.shape))}]"

    __repr__ = __str__
