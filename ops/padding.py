"""Tensors with more elements around them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graphwright.graph.dim import Dim, Size, dim, evaluate
from graphwright.graph.dtype import is_boolean, is_floating, short_name
from graphwright.graph.errors import AttributeValueError, DTypeError
from graphwright.graph.operator import Operator, register
from graphwright.graph.tensor import Tensor, TensorLike
from graphwright.graph.types import TensorType
from graphwright.ops.case import Case, Reject, bool_, f32, f64, i32, u8
from graphwright.ops.convert import as_tensor, builder
from graphwright.ops.slicing import Slice


@register
class Pad(Operator):
    """`x` with `widths` (before, after) more elements on each axis, all of them `value`.

    The gradient is that of the middle.
    """

    name = "pad"

    widths: tuple[tuple[Size, Size], ...]
    value: bool | int | float

    def infer(self, x: TensorType) -> TensorType:
        if len(self.widths) != x.rank:
            raise AttributeValueError(
                f"{len(self.widths)} pairs of widths for rank {x.rank}",
                hint="one pair (before, after) for each axis",
            )
        for width in (width for pair in self.widths for width in pair):
            if isinstance(width, int) and width < 0:
                raise AttributeValueError(
                    f"a width can't be negative, got {width}", hint="cut with x[1:] instead"
                )
        _check_fill(self.value, x)
        return x.with_shape(
            tuple(
                before + size + after
                for size, (before, after) in zip(x.shape, self.widths, strict=True)
            )
        )

    def kernel(self, x: NDArray[Any]) -> NDArray[Any]:
        shape = self.infer(TensorType(x.dtype, x.shape)).shape
        out = np.empty(evaluate(shape, {}), x.dtype)
        self.kernel_into(out, x)
        return out

    def kernel_into(self, out: NDArray[Any], x: NDArray[Any]) -> None:
        out[...] = self.value
        pairs = zip(self.widths, x.shape, strict=True)
        out[tuple(slice(before, before + size) for (before, _), size in pairs)] = x

    def flops(self, x: TensorType) -> Size:
        return 0

    def gradient(self, x: Tensor, out: Tensor, g: Tensor) -> Tensor:
        return Slice(tuple(before for before, _ in self.widths), x.shape, (1,) * x.ndim)(g)

    def batch(self, mapped: Sequence[bool], x: Tensor) -> Tensor:
        return Pad(((0, 0), *self.widths), self.value)(x)

    cases = (
        Case(f32["n", 2], widths=((1, 2), (0, 3)), value=0.0),
        Case(f64[2], widths=((2, dim("n")),), value=-1.5),
        Case(i32[2, 1], widths=((0, 0), (1, 1)), value=7),
        Case(bool_[2], widths=((1, 0),), value=True),
        Case(f64[()], widths=(), value=0.0),
        Case(f64[0, 2], widths=((1, 1), (0, 0)), value=float("-inf")),
    )
    rejects = (
        Reject(f32[2], widths=((-1, 0),), value=0.0, message="a width can't be negative, got -1"),
        Reject(f32[2, 2], widths=((1, 0),), value=0.0, message="1 pairs of widths for rank 2"),
        Reject(i32[2], widths=((1, 0),), value=0.5, message="0.5 is no i32"),
        Reject(u8[2], widths=((1, 0),), value=-1, message="-1 is no u8"),
    )


def _check_fill(value: object, x: TensorType) -> None:
    """Raise unless `value` is a number of the kind and in the range of the dtype of `x`."""
    if is_boolean(x.dtype):
        fits = isinstance(value, bool)
    elif is_floating(x.dtype):
        fits = isinstance(value, int | float)
    else:
        limits = np.iinfo(x.dtype)
        fits = isinstance(value, int) and limits.min <= value <= limits.max
    if not fits:
        raise DTypeError(f"the value {value!r} is no {short_name(x.dtype)}")


@builder
def pad(
    x: TensorLike,
    widths: int | Sequence[Size] | Sequence[Sequence[Size]],
    value: bool | int | float = 0,
) -> Tensor:
    """`x` with more elements around it, all of them `value`.

    widths: (before, after) for each axis, or one pair for all axes, or one number for all sides
    """
    tensor = as_tensor(x)
    pairs: Sequence[Any] = (widths, widths) if isinstance(widths, int | Dim) else widths
    if pairs and not isinstance(pairs[0], Sequence):
        pairs = (pairs,) * tensor.ndim
    for pair in pairs:
        if not isinstance(pair, Sequence) or len(pair) != 2:
            raise AttributeValueError(
                f"widths are pairs (before, after), one for each axis, got {pair!r}"
            )
    kind = bool if is_boolean(tensor.dtype) else float if is_floating(tensor.dtype) else None
    number = value if kind is None or isinstance(value, float) else kind(value)
    if all(width == 0 for pair in pairs for width in pair) and len(pairs) == tensor.ndim:
        return tensor
    return Pad(tuple((before, after) for before, after in pairs), number)(tensor)
