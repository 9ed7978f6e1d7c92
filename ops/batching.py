"""What batching rules share: see `Operator.batch`."""

from __future__ import annotations

from collections.abc import Sequence

from graphwright.graph.dim import Size
from graphwright.graph.tensor import Tensor
from graphwright.ops.movement import broadcast_to


def batch_size(mapped: Sequence[bool], inputs: Sequence[Tensor]) -> Size:
    """The size of the axis that the mapped inputs have in front."""
    return next(x.shape[0] for x, has_axis in zip(inputs, mapped, strict=True) if has_axis)


def in_front(mapped: Sequence[bool], inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """The inputs, all with the axis in front: those that lack it are broadcast."""
    size = batch_size(mapped, inputs)
    return tuple(
        x if has_axis else broadcast_to(x, (size, *x.shape))
        for x, has_axis in zip(inputs, mapped, strict=True)
    )
