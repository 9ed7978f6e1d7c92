"""Convolutions as they are called: along one, two, three or any number of axes."""

from __future__ import annotations

from collections.abc import Sequence

from graphwright.graph.dim import Size
from graphwright.graph.errors import AttributeValueError, ShapeError
from graphwright.graph.tensor import Tensor, TensorLike
from graphwright.graph.types import Shape
from graphwright.ops.convert import as_tensor, builder, promoted
from graphwright.ops.convolution import Conv, ConvTranspose, ConvWeightGradient
from graphwright.ops.movement import reshape
from graphwright.ops.shapes import ShapeLike, as_shape, shape_text
from graphwright.ops.spatial import (
    Numbers,
    Padding,
    Pairs,
    channels_to_back,
    channels_to_front,
    numbers,
    pairs,
    span,
    spatial_rank,
)


@builder
def conv(
    x: TensorLike,
    w: TensorLike,
    bias: TensorLike | None = None,
    stride: Numbers = 1,
    padding: Padding = 0,
    dilation: Numbers = 1,
    groups: int = 1,
    channels_last: bool = False,
) -> Tensor:
    """The convolution of `x` with the weights `w` along any number of spatial axes; see `Conv`.

    x:        [examples, channels, *sizes]; [examples, *sizes, channels] with `channels_last`,
              and then the result too
    w:        [new channels, channels / groups, *window], whichever way the channels of `x` are
    bias:     [new channels], added to all elements of a channel
    stride:   from one window to the next: a number for all axes, or one for each
    padding:  zeros around `x`: a number for all sides, a number or a pair (before, after) for each
              axis, "valid" for none, or "same" for ⌈size / stride⌉ windows along each axis
    dilation: from one element of a window to the next
    groups:   the channels are split into so many groups, of which each has weights of its own

    Raises ShapeError when channels differ or a window does not fit in, DTypeError for booleans,
    AttributeValueError for numbers out of their range.
    """
    return _conv(x, w, bias, stride, padding, dilation, groups, channels_last, None)


@builder
def conv1d(
    x: TensorLike,
    w: TensorLike,
    bias: TensorLike | None = None,
    stride: Numbers = 1,
    padding: Padding = 0,
    dilation: Numbers = 1,
    groups: int = 1,
    channels_last: bool = False,
) -> Tensor:
    """The convolution of `x`, [examples, channels, length], with `w`; see `conv`."""
    return _conv(x, w, bias, stride, padding, dilation, groups, channels_last, 1)


@builder
def conv2d(
    x: TensorLike,
    w: TensorLike,
    bias: TensorLike | None = None,
    stride: Numbers = 1,
    padding: Padding = 0,
    dilation: Numbers = 1,
    groups: int = 1,
    channels_last: bool = False,
) -> Tensor:
    """The convolution of `x`, [examples, channels, height, width], with `w`; see `conv`."""
    return _conv(x, w, bias, stride, padding, dilation, groups, channels_last, 2)


@builder
def conv3d(
    x: TensorLike,
    w: TensorLike,
    bias: TensorLike | None = None,
    stride: Numbers = 1,
    padding: Padding = 0,
    dilation: Numbers = 1,
    groups: int = 1,
    channels_last: bool = False,
) -> Tensor:
    """The convolution of `x`, [examples, channels, depth, height, width], with `w`; see `conv`."""
    return _conv(x, w, bias, stride, padding, dilation, groups, channels_last, 3)


def _conv(
    x: TensorLike,
    w: TensorLike,
    bias: TensorLike | None,
    stride: Numbers,
    padding: Padding,
    dilation: Numbers,
    groups: int,
    channels_last: bool,
    rank: int | None,
) -> Tensor:
    images, weights, count = _operands(x, w, channels_last, rank)
    strides, dilations = numbers(stride, count, "stride"), numbers(dilation, count, "dilation")
    around = pairs(padding, images.shape[2:], weights.shape[2:], strides, dilations)
    out = Conv(strides, around, dilations, groups)(images, weights)
    return _finished(out, bias, channels_last)


@builder
def conv_transpose(
    x: TensorLike,
    w: TensorLike,
    bias: TensorLike | None = None,
    stride: Numbers = 1,
    padding: Padding = 0,
    output_padding: Numbers = 0,
    dilation: Numbers = 1,
    groups: int = 1,
    channels_last: bool = False,
) -> Tensor:
    """The transpose of `conv` along any number of spatial axes; see `ConvTranspose`.

    x:              [examples, channels, *counts]; [examples, *counts, channels] with
                    `channels_last`, and then the result too
    w:              [channels, new channels / groups, *window]
    padding:        what is cut off the result, as in `conv`; with "same" it has the sizes
                    count · stride
    output_padding: how much larger the result is at the end than the smallest from which `conv`
                    makes as many counts: (count - 1)·stride + dilation·(window - 1) + 1 - padding;
                    less than the stride

    Other arguments and errors are those of `conv`.
    """
    return _conv_transpose(
        x, w, bias, stride, padding, output_padding, dilation, groups, channels_last, None
    )


@builder
def conv_transpose1d(
    x: TensorLike,
    w: TensorLike,
    bias: TensorLike | None = None,
    stride: Numbers = 1,
    padding: Padding = 0,
    output_padding: Numbers = 0,
    dilation: Numbers = 1,
    groups: int = 1,
    channels_last: bool = False,
) -> Tensor:
    """The transpose of `conv1d`; see `conv_transpose`."""
    return _conv_transpose(
        x, w, bias, stride, padding, output_padding, dilation, groups, channels_last, 1
    )


@builder
def conv_transpose2d(
    x: TensorLike,
    w: TensorLike,
    bias: TensorLike | None = None,
    stride: Numbers = 1,
    padding: Padding = 0,
    output_padding: Numbers = 0,
    dilation: Numbers = 1,
    groups: int = 1,
    channels_last: bool = False,
) -> Tensor:
    """The transpose of `conv2d`; see `conv_transpose`."""
    return _conv_transpose(
        x, w, bias, stride, padding, output_padding, dilation, groups, channels_last, 2
    )


@builder
def conv_transpose3d(
    x: TensorLike,
    w: TensorLike,
    bias: TensorLike | None = None,
    stride: Numbers = 1,
    padding: Padding = 0,
    output_padding: Numbers = 0,
    dilation: Numbers = 1,
    groups: int = 1,
    channels_last: bool = False,
) -> Tensor:
    """The transpose of `conv3d`; see `conv_transpose`."""
    return _conv_transpose(
        x, w, bias, stride, padding, output_padding, dilation, groups, channels_last, 3
    )


def _conv_transpose(
    x: TensorLike,
    w: TensorLike,
    bias: TensorLike | None,
    stride: Numbers,
    padding: Padding,
    output_padding: Numbers,
    dilation: Numbers,
    groups: int,
    channels_last: bool,
    rank: int | None,
) -> Tensor:
    images, weights, count = _operands(x, w, channels_last, rank)
    strides, dilations = numbers(stride, count, "stride"), numbers(dilation, count, "dilation")
    more = numbers(output_padding, count, "output_padding")
    counts, window = images.shape[2:], weights.shape[2:]
    if isinstance(padding, str) and padding == "same":
        if any(more):
            raise AttributeValueError('output_padding can\'t go with padding="same"')
        sizes = tuple(n * step for n, step in zip(counts, strides, strict=True))
        around = pairs(padding, sizes, window, strides, dilations)
    else:
        around = pairs(padding, counts, window, strides, dilations)
        sizes = _transposed_sizes(counts, window, strides, around, more, dilations)
    out = ConvTranspose(strides, around, dilations, groups, sizes)(images, weights)
    return _finished(out, bias, channels_last)


def _transposed_sizes(
    counts: Shape,
    window: Shape,
    strides: Sequence[int],
    padding: Pairs,
    more: Sequence[int],
    dilations: Sequence[int],
) -> Shape:
    """The sizes of what a transposed convolution gives."""
    sizes: list[Size] = []
    for axis, count in enumerate(counts):
        before, after = padding[axis]
        if not 0 <= more[axis] < max(strides[axis], 1):
            raise AttributeValueError(
                f"output_padding {more[axis]} must be from 0 to less than the stride, "
                f"{strides[axis]}",
                hint="it chooses among the sizes that a convolution of this stride brings to one",
            )
        reach = span(window[axis], dilations[axis])
        size = (count - 1) * strides[axis] + reach + more[axis] - before - after
        if isinstance(size, int) and size < 1:
            raise ShapeError(
                f"nothing is left of spatial axis {axis}: {count} windows that span {reach}, "
                f"without the padding of {before} and {after}",
                hint="give less padding",
            )
        sizes.append(size)
    return tuple(sizes)


def _operands(
    x: TensorLike, w: TensorLike, channels_last: bool, rank: int | None
) -> tuple[Tensor, Tensor, int]:
    """Both with channels second and of one dtype, and the number of spatial axes."""
    images, weights = promoted(x, w)
    count = spatial_rank(images, rank)
    if weights.ndim != images.ndim:
        raise ShapeError(
            f"weights for {count} spatial axes have rank {count + 2}, got {weights.type}",
            hint="two axes of channels, then the sizes of the window",
        )
    return channels_to_front(images) if channels_last else images, weights, count


def _finished(out: Tensor, bias: TensorLike | None, channels_last: bool) -> Tensor:
    if bias is not None:
        added, channels = as_tensor(bias), out.shape[1]
        if added.shape != (channels,):
            raise ShapeError(
                f"the bias is {added.type}, where the shape {shape_text((channels,))} is needed",
                hint="one number for each of the new channels",
            )
        out = out + reshape(added, (channels, *(1,) * (out.ndim - 2)))
    return channels_to_back(out) if channels_last else out


@builder
def conv_weight_gradient(
    x: TensorLike,
    y: TensorLike,
    window: ShapeLike,
    stride: Numbers = 1,
    padding: Padding = 0,
    dilation: Numbers = 1,
    groups: int = 1,
) -> Tensor:
    """The gradient of conv(x, w) by weights `w` of size `window`, from that of its result, `y`.

    x: [examples, channels, *sizes]
    y: [examples, new channels, *counts], as many as `conv` finds windows in the sizes

    See `ConvWeightGradient`; other arguments and errors are those of `conv`.
    """
    images, gradients = promoted(x, y)
    count, shape = spatial_rank(images), as_shape(window)
    strides, dilations = numbers(stride, count, "stride"), numbers(dilation, count, "dilation")
    if len(shape) != count:
        raise AttributeValueError(f"a window of {count} sizes is needed, got {shape_text(shape)}")
    around = pairs(padding, images.shape[2:], shape, strides, dilations)
    return ConvWeightGradient(strides, around, dilations, groups, shape)(images, gradients)
