"""Iteration spaces: what an operator loops over, and along which of its axes each input lies.

A space is a shape without its axes of size 1, which are no loops: `f32[n,1,10]` and `f32[n,10]`
have the space `(n, 10)`. Broadcasting and reshapes that only insert or drop axes of size 1 move
nothing between indices, so reads go through them: in::

    %0: f32[10] = exp(b)
    %1: f32[1,10] = reshape(%0, shape=(1, 10))
    %2: f32[n,10] = broadcast_to(%1, shape=(n, 10))
    %3: f32[n,10] = add(x, %2)

`%3` loops over `(n, 10)` and reads `%0` along axis 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TypeAlias, cast

from graphwright.graph.dim import Size
from graphwright.graph.node import Node
from graphwright.graph.tensor import Tensor
from graphwright.graph.types import Shape

Space: TypeAlias = tuple[Size, ...]
Axes: TypeAlias = tuple[int, ...]


@dataclass(frozen=True)
class Loop:
    """What an operator loops over.

    folded: the axes of `space` that a reduction folds away; None for elementwise operators
    """

    space: Space
    folded: Axes | None

    @cached_property
    def full(self) -> Axes:
        """All axes."""
        return tuple(range(len(self.space)))

    @cached_property
    def rows(self) -> Axes:
        """The axes that are not folded."""
        return tuple(axis for axis in self.full if axis not in (self.folded or ()))

    @cached_property
    def row_space(self) -> Space:
        return tuple(self.space[axis] for axis in self.rows)


@dataclass(frozen=True)
class Read:
    """An input, looked at through broadcasts and reshapes.

    tensor: what is read in the end
    axes:   for each axis of its space, the axis of the reader's space that it lies along
    """

    tensor: Tensor
    axes: Axes


# A graph has few shapes, and passes ask for the spaces of all its tensors again and again.
@lru_cache(maxsize=4096)
def space_of(shape: Shape) -> Space:
    """The sizes other than 1. A symbolic size is an axis, whatever it turns out to be."""
    return tuple(size for size in shape if size != 1)


def loop_of(node: Node) -> Loop | str:
    """What `node` loops over; or, for an operator that can't share a loop, the reason."""
    op = node.op
    if len(node.outputs) != 1:
        return f"{op.name} gives several values"
    if op.elementwise:
        return Loop(space_of(node.outputs[0].shape), None)
    if not op.reduction or len(node.inputs) != 1:
        return f"{op.name} is neither elementwise nor a reduction"
    shape = node.inputs[0].shape
    axes = cast("tuple[int, ...]", op.attributes["axes"])
    loops = [axis for axis, size in enumerate(shape) if size != 1]
    folded = tuple(place for place, axis in enumerate(loops) if axis in axes)
    return Loop(space_of(shape), folded) if folded else f"{op.name} folds no axis larger than 1"


def transparent(node: Node) -> bool:
    """True for broadcasts, and for reshapes that only insert or drop axes of size 1."""
    if len(node.inputs) != 1 or len(node.outputs) != 1:
        return False
    if node.op.broadcasting:
        return True
    # A dense view of all elements keeps their order.
    before, after = node.inputs[0].type, node.outputs[0].type
    same = before.dtype == after.dtype and space_of(before.shape) == space_of(after.shape)
    return node.op.view == "dense" and same


@lru_cache(maxsize=4096)
def alignment(shape: Shape, onto: Shape) -> Axes:
    """For each axis of the space of `shape`, that of `onto` on which broadcasting puts it."""
    axes: list[int] = []
    place = 0
    for position, size in enumerate(onto, len(shape) - len(onto)):
        if size != 1:
            if position >= 0 and shape[position] != 1:
                axes.append(place)
            place += 1
    return tuple(axes)


def reads_through(nodes: Sequence[Node]) -> dict[Tensor, Read]:
    """For each output of a transparent one among `nodes`, in order, what reading it reads."""
    found: dict[Tensor, Read] = {}
    for node in nodes:
        if transparent(node):
            (source,), (output,) = node.inputs, node.outputs
            found[output] = look(found, source, output.shape if node.op.broadcasting else None)
    return found


def look(through: dict[Tensor, Read], tensor: Tensor, onto: Shape | None) -> Read:
    """What is read when `tensor` is broadcast onto a shape (None: index by index, as it is)."""
    read = through.get(tensor)
    if onto is None:
        return read or Read(tensor, tuple(range(len(space_of(tensor.shape)))))
    places = alignment(tensor.shape, onto)
    return Read(read.tensor, tuple(places[i] for i in read.axes)) if read else Read(tensor, places)
