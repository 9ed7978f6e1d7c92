"""What convolution and its transposes share.

They are the three derivatives of one trilinear form, Σ x w y over all that fit together, so that
the derivatives of each are the other two.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar, TypeAlias

import numpy as np
from numpy.typing import NDArray

from graphwright.graph.batch import batch_size
from graphwright.graph.dim import Size, evaluate, exact_quotient
from graphwright.graph.errors import AttributeValueError, ShapeError
from graphwright.graph.operator import Operator
from graphwright.graph.tensor import Tensor
from graphwright.graph.types import Shape, TensorType
from graphwright.ops.checks import check_numbers
from graphwright.ops.convolution_kernel import Geometry
from graphwright.ops.movement import moveaxis, reshape
from graphwright.ops.shapes import shape_text
from graphwright.ops.spatial import Pairs, check_windows, window_counts

Fold: TypeAlias = tuple[int, bool]
"""An axis that a batch is folded into, and whether within each group of it (else around all)."""

EXAMPLES: Fold = 0, False


class Trilinear(Operator):
    """One of x, w and y by the other two:

    x: [examples, channels of x, *sizes]
    w: [channels of y, channels of x / groups, *window]
    y: [examples, channels of y, *counts], as many as there are windows in the padded sizes
    """

    folds: ClassVar[dict[tuple[bool, ...], tuple[tuple[Fold, ...], Fold]]]
    """Batching: for which inputs have the axis in front, what each folds it into, and where the
    output holds it then."""

    strides: tuple[int, ...]
    padding: Pairs
    dilations: tuple[int, ...]
    groups: Size

    def check(self, first: TensorType, second: TensorType, window: Shape) -> None:
        """Raise unless dtypes, ranks and attributes are in order."""
        check_windows(window, self.strides, self.dilations, self.padding)
        if isinstance(self.groups, int) and self.groups < 1:
            raise AttributeValueError(f"there must be 1 or more groups, got {self.groups}")
        check_numbers(first, second)

    def counts(self, sizes: Shape, window: Shape) -> Shape:
        return window_counts(sizes, window, self.strides, self.padding, self.dilations)

    def per_group(self, channels: Size) -> Size:
        """How many of the channels are in each group."""
        each = exact_quotient(channels, self.groups)
        if each is None:
            raise ShapeError(
                f"{channels} channels don't divide into {self.groups} groups",
                hint="the channels of both sides must be multiples of the number of groups",
            )
        return each

    def fitting(self, sizes: Shape, window: Shape, y: TensorType) -> None:
        """Raise unless `y` has as many places as there are windows."""
        counts = self.counts(sizes, window)
        if y.shape[2:] != counts:
            raise ShapeError(
                f"sizes {shape_text(sizes)} have {shape_text(counts)} windows of "
                f"{shape_text(window)}, but {y} has {shape_text(y.shape[2:])}",
                hint="the spatial sizes must be those that conv gives",
            )

    def geometry(self, window: Sequence[int], counts: Sequence[int]) -> Geometry:
        """The numbers for the kernels; called when all sizes are known."""
        attributes: Any = (self.strides, self.padding, self.dilations, self.groups)
        return Geometry(tuple(window), tuple(counts), *attributes)

    def kernel(self, first: NDArray[Any], second: NDArray[Any]) -> NDArray[Any]:
        types = (TensorType(array.dtype, array.shape) for array in (first, second))
        inferred: TensorType = self.infer(*types)  # type: ignore[assignment]
        out = np.empty(evaluate(inferred.shape, {}), first.dtype)
        self.kernel_into(out, first, second)
        return out

    def batch(self, mapped: Sequence[bool], *inputs: Tensor) -> Tensor:
        size = batch_size(mapped, inputs)
        places, (axis, grouped) = self.folds[tuple(mapped)]
        folded = [
            _fold_in(x, to, self.groups if by_group else 1) if has_axis else x
            for x, (to, by_group), has_axis in zip(inputs, places, mapped, strict=True)
        ]
        op = replace(self, groups=size * self.groups) if all(mapped) else self
        return _take_out(op(*folded), axis, self.groups if grouped else 1, size)


def _fold_in(x: Tensor, axis: int, groups: Size) -> Tensor:
    """[batch, ..., groups · n, ...] as [..., groups · batch · n, ...]; `axis` counts without it."""
    batch, *shape = x.shape
    each = exact_quotient(shape[axis], groups)
    assert each is not None  # inferred once without the batch
    apart = reshape(x, (batch, *shape[:axis], groups, each, *shape[axis + 1 :]))
    merged = (*shape[:axis], groups * batch * each, *shape[axis + 1 :])
    return reshape(moveaxis(apart, 0, axis + 1), merged)


def _take_out(x: Tensor, axis: int, groups: Size, batch: Size) -> Tensor:
    """[..., groups · batch · n, ...] as [batch, ..., groups · n, ...]."""
    shape = x.shape
    each = exact_quotient(shape[axis], groups * batch)
    assert each is not None  # it was folded in
    apart = reshape(x, (*shape[:axis], groups, batch, each, *shape[axis + 1 :]))
    rest = (*shape[:axis], groups * each, *shape[axis + 1 :])
    return reshape(moveaxis(apart, axis + 1, 0), (batch, *rest))


def check_channels(channels: Size, w: TensorType, groups: Size, x: TensorType) -> None:
    """Raise ShapeError unless the weights `w` are for so many channels of `x`."""
    taken = w.shape[1] * groups
    if channels != taken:
        times = "" if groups == 1 else f" ({w.shape[1]} in each of {groups} groups)"
        raise ShapeError(
            f"x {x} has {channels} channels, but weights {shape_text(w.shape)} take {taken}{times}",
            hint="weights are [new channels, channels / groups, *window]; channels of x come "
            "second, or last with channels_last=True",
        )


def plain(**changes: Any) -> dict[str, Any]:
    """Attributes for cases: one axis, nothing out of the ordinary but the `changes`."""
    return {"strides": (1,), "padding": ((0, 0),), "dilations": (1,), "groups": 1, **changes}
