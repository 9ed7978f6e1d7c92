"""Where the elements of a tensor lie in memory: what a view changes, and nothing else of it."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

from graphwright.graph.dim import Size, exact_quotient, product
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


def reshaped(place: Placement, shape: Shape, new: Shape) -> Placement | None:
    """Where the elements of `shape`, in their order, have their place in the shape `new`.

    None when no strides say that: when axes become one that do not follow one another in memory.
    """
    if place.dense(shape):
        return dense_placement(new)
    if any(size == 0 for size in (*shape, *new)):
        return None
    old = [pair for pair in zip(shape, place.strides, strict=True) if pair[0] != 1]
    strides: list[Size | None] = [0 if size == 1 else None for size in new]
    rest = [axis for axis, size in enumerate(new) if size != 1]
    while old and rest:
        group, axes = [old.pop(0)], [rest.pop(0)]
        while (have := product(size for size, _ in group)) != (
            want := product(new[axis] for axis in axes)
        ):
            if rest and exact_quotient(have, want) is not None:
                axes.append(rest.pop(0))
            elif old:
                group.append(old.pop(0))
            else:
                return None
        if any(outer != size * step for (_, outer), (size, step) in pairwise(group)):
            return None
        step = group[-1][1]
        for axis in reversed(axes):
            strides[axis] = step
            step = step * new[axis]
    if old or rest:
        return None
    return Placement(place.offset, tuple(step for step in strides if step is not None))
