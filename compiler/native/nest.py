"""Loop nests: axes that can be walked as one become one, and where that leaves the strides."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from graphwright.compiler.iteration import Axes, Space
from graphwright.compiler.native.operand import Operand
from graphwright.graph.dim import Size, product


@dataclass(frozen=True)
class Walk:
    """How an operand is walked: elements from one index to the next, for each axis of a space that
    it lies along."""

    strides: tuple[tuple[int, Size], ...]

    def stride(self, axis: int) -> Size:
        return next((stride for at, stride in self.strides if at == axis), 0)


def walk(operand: Operand, axes: Axes) -> Walk:
    """The walk of an operand whose axes, but those of size 1, lie along `axes` of a space."""
    moving = [
        stride for size, stride in zip(operand.shape, operand.strides, strict=True) if size != 1
    ]
    return Walk(tuple(zip(axes, moving, strict=True)))


@dataclass(frozen=True)
class Loop:
    """One loop of a nest.

    axes: the axes of the space that it walks, as one
    size: how many rounds
    """

    axes: Axes
    size: Size

    def stride(self, moves: Walk) -> Size:
        """Elements of an operand from one round to the next."""
        return moves.stride(self.axes[-1]) if self.axes else 0


def loops_over(axes: Sequence[int], space: Space, walks: Iterable[Walk]) -> list[Loop]:
    """A loop for each axis, but one for neighbours that all operands walk as one.

    Two axes are one when a step along the outer is as long as all steps along the inner.
    """
    walks = list(walks)
    loops: list[Loop] = []
    for axis in axes:
        last = loops[-1].axes[-1] if loops else None
        if last is not None and all(
            moves.stride(last) == moves.stride(axis) * space[axis] for moves in walks
        ):
            merged = (*loops[-1].axes, axis)
            loops[-1] = Loop(merged, product(space[i] for i in merged))
        else:
            loops.append(Loop((axis,), space[axis]))
    return loops
