"""Windows as columns of a matrix, and back: im2col and col2im."""

from __future__ import annotations

from graphwright.graph.dim import dim, product
from graphwright.graph.errors import ShapeError
from graphwright.graph.operator import register
from graphwright.graph.tensor import Tensor, TensorLike
from graphwright.graph.types import Shape, TensorType
from graphwright.ops.case import Case, Reject, f32, f64, i32
from graphwright.ops.composite import Composite
from graphwright.ops.convert import as_tensor, builder
from graphwright.ops.movement import reshape, transpose
from graphwright.ops.shapes import ShapeLike, as_shape, check_sizes, shape_text
from graphwright.ops.spatial import (
    Numbers,
    Padding,
    Pairs,
    check_rank,
    check_windows,
    numbers,
    padded_with,
    pairs,
    spatial_rank,
    window_counts,
    without,
)
from graphwright.ops.window import OverlapAdd, Windows


@register
class Unfold(Composite):
    """Every window of the padded spatial axes as a column (im2col).

    x:   [examples, channels, *spatial]
    out: [examples, channels · elements of a window, windows], both products in C order

    The gradient is `fold`.
    """

    name = "unfold"

    window: Shape
    strides: tuple[int, ...]
    padding: Pairs
    dilations: tuple[int, ...]

    def infer(self, x: TensorType) -> TensorType:
        check_windows(self.window, self.strides, self.dilations, self.padding)
        check_rank(x.rank, len(self.window))
        counts = window_counts(x.shape[2:], self.window, self.strides, self.padding, self.dilations)
        return x.with_shape((x.shape[0], x.shape[1] * product(self.window), product(counts)))

    def decompose(self, x: Tensor) -> Tensor:
        padded = padded_with(x, self.padding, 0)
        seen = Windows(self.window, self.strides, self.dilations)(padded)
        count = len(self.window)
        order = (0, 1, *range(2 + count, 2 + 2 * count), *range(2, 2 + count))
        columns = (x.shape[0], x.shape[1] * product(self.window))
        return reshape(transpose(seen, order), (*columns, product(seen.shape[2 : 2 + count])))

    cases = (
        Case(f32["n", 2, 5], window=(3,), strides=(1,), padding=((1, 1),), dilations=(1,)),
        Case(
            f64[2, 2, dim("h") + 2, 4],
            window=(2, 3),
            strides=(2, 1),
            padding=((0, 1), (2, 0)),
            dilations=(1, 2),
        ),
        Case(i32[1, 1, 2], window=(2,), strides=(1,), padding=((0, 0),), dilations=(1,)),
    )
    rejects = (
        Reject(
            f32[2, 3, 4],
            window=(5,),
            strides=(1,),
            padding=((0, 0),),
            dilations=(1,),
            message="a window that spans 5 does not fit in an axis of size 4",
        ),
        Reject(
            f32[3, 4],
            window=(2,),
            strides=(1,),
            padding=((0, 0),),
            dilations=(1,),
            message="1 spatial axes need an input of rank 3, got rank 2",
        ),
        Reject(
            f32[2, 3, 4],
            window=(2,),
            strides=(1,),
            padding=((-1, 0),),
            dilations=(1,),
            message="padding can't be negative",
        ),
    )


@builder
def unfold(
    x: TensorLike,
    window: Numbers,
    stride: Numbers = 1,
    padding: Padding = 0,
    dilation: Numbers = 1,
) -> Tensor:
    """Every window of the spatial axes of `x` as a column: [examples, channels · window, windows].

    See `Unfold`; `padding` is as in `conv`.
    """
    tensor = as_tensor(x)
    sizes = tensor.shape[2:]
    count = spatial_rank(tensor)
    shape, strides = numbers(window, count, "the window"), numbers(stride, count, "stride")
    dilations = numbers(dilation, count, "dilation")
    around = pairs(padding, sizes, shape, strides, dilations)
    return Unfold(shape, strides, around, dilations)(tensor)


@register
class Fold(Composite):
    """Columns added up where their windows lie, without the padding (col2im): `unfold` transposed.

    x:   [examples, channels · elements of a window, windows]
    out: [examples, channels, *sizes]

    The gradient is `unfold`.
    """

    name = "fold"

    sizes: Shape
    window: Shape
    strides: tuple[int, ...]
    padding: Pairs
    dilations: tuple[int, ...]

    def infer(self, x: TensorType) -> TensorType:
        check_sizes(self.sizes)
        check_windows(self.window, self.strides, self.dilations, self.padding)
        counts = window_counts(self.sizes, self.window, self.strides, self.padding, self.dilations)
        elements = product(self.window)
        if x.rank != 3 or x.shape[2] != product(counts) or x.shape[1] % elements != 0:
            raise ShapeError(
                f"needs a shape [examples,channels·{elements},{product(counts)}], got {x}",
                hint=f"sizes {shape_text(self.sizes)} have {shape_text(counts)} windows of "
                f"{elements} elements",
            )
        return x.with_shape((x.shape[0], x.shape[1] // elements, *self.sizes))

    def decompose(self, x: Tensor) -> Tensor:
        shape, count = self.infer(x.type).shape, len(self.sizes)
        counts = window_counts(self.sizes, self.window, self.strides, self.padding, self.dilations)
        apart = reshape(x, (*shape[:2], *self.window, *counts))
        order = (0, 1, *range(2 + count, 2 + 2 * count), *range(2, 2 + count))
        around = tuple(
            size + before + after
            for size, (before, after) in zip(self.sizes, self.padding, strict=True)
        )
        whole = OverlapAdd(around, self.strides, self.dilations)(transpose(apart, order))
        return without(whole, self.padding)

    cases = (
        Case(
            f32["n", 6, 5],
            sizes=(5,),
            window=(3,),
            strides=(1,),
            padding=((1, 1),),
            dilations=(1,),
        ),
        Case(
            f64[2, 12, 4 * dim("h") + 4],
            sizes=(2 * dim("h") + 2, 6),
            window=(2, 3),
            strides=(2, 1),
            padding=((0, 1), (2, 0)),
            dilations=(1, 2),
        ),
    )
    rejects = (
        Reject(
            f32[2, 6, 4],
            sizes=(5,),
            window=(3,),
            strides=(1,),
            padding=((0, 0),),
            dilations=(1,),
            message="needs a shape [examples,channels·3,3], got f32[2,6,4]",
        ),
        Reject(
            f32[2, 5, 3],
            sizes=(5,),
            window=(3,),
            strides=(1,),
            padding=((0, 0),),
            dilations=(1,),
            message="needs a shape [examples,channels·3,3], got f32[2,5,3]",
        ),
    )


@builder
def fold(
    x: TensorLike,
    sizes: ShapeLike,
    window: Numbers,
    stride: Numbers = 1,
    padding: Padding = 0,
    dilation: Numbers = 1,
) -> Tensor:
    """The columns of `x`, [examples, channels · window, windows], added up in axes of `sizes`.

    See `Fold`; with the same numbers, `unfold` takes the columns that `fold` adds.
    """
    tensor, shape = as_tensor(x), as_shape(sizes)
    count = len(shape)
    window_sizes, strides = numbers(window, count, "the window"), numbers(stride, count, "stride")
    dilations = numbers(dilation, count, "dilation")
    around = pairs(padding, shape, window_sizes, strides, dilations)
    return Fold(shape, window_sizes, strides, around, dilations)(tensor)
