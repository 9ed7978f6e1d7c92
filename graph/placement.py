"""Where the elements of a tensor lie in memory: what a view changes, and nothing else of it."""

from __future__ import annotations

from typing import NamedTuple

from graphwright.graph.dim import Size
from graphwright.graph.types import Shape


class Placement(NamedTuple):
    """Elements of one tensor in a stretch of memory; all numbers count elements.

    offset:  from the start of the memory to the first element
    strides: for each axis, from one index to the next; 0 where it is broadcast, less than 0 where
             it runs backward
    """

    offset: Size
    strides: tuple[Size, ...]

    def dense(self, shape: Shape) -> bool:
        """True when elements of this shape follow one another, from the start of the memory."""
        return self == dense_placement(shape)


def dense_placement(shape: Shape) -> Placement:
    """That of a C-contiguous array."""
    strides: list[Size] = []
    step: Size = 1
    for size in reversed(shape):
        strides.append(step)
        step = step * size
    return Placement(0, tuple(reversed(strides)))
