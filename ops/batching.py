"""What batching rules share: see `Operator.batch`."""

from __future__ import annotations

from collections.abc import Sequence

from graphwright.graph.batch import batch_size, repeated
from graphwright.graph.tensor import Tensor


def in_front(mapped: Sequence[bool], inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """The inputs, all with the axis in front: those that lack it are broadcast."""
    size = batch_size(mapped, inputs)
    return tuple(
        x if has_axis else repeated(x, size) for x, has_axis in zip(inputs, mapped, strict=True)
    )
