"""Convolution and the two operators that it is transposed into: by its input, by its weights."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from graphwright.graph.dim import Size, dim, product
from graphwright.graph.errors import ShapeError
from graphwright.graph.operator import register
from graphwright.graph.tensor import Tensor
from graphwright.graph.types import Shape, TensorType
from graphwright.ops.case import Case, Reject, bool_, f16, f32, f64, i32
from graphwright.ops.convolution_kernel import convolve, convolve_transposed, correlate
from graphwright.ops.shapes import check_sizes, shape_text
from graphwright.ops.spatial import check_rank
from graphwright.ops.trilinear import EXAMPLES, Trilinear, check_channels, plain


@register
class Conv(Trilinear):
    """Convolution, as neural networks mean it: each window of `x` times the weights, added up.

    x:   [examples, channels, *sizes]
    w:   [new channels, channels / groups, *window]
    out: [examples, new channels, *counts],
         counts = ⌊(size + padding - dilation·(window - 1) - 1) / stride⌋ + 1

    out[n, o, i] = Σ x[n, c, i·stride + k·dilation - padding] w[o, c, k] over c and k: the
    cross-correlation of signal processing (Dumoulin and Visin, A guide to convolution arithmetic
    for deep learning, 2016). With groups, the channels and the new channels are split evenly, and
    each group sees its own. 16-bit floats are computed in float32.
    d/dx = conv_transpose(g, w), d/dw = conv_weight_gradient(x, g)
    """

    name = "conv"
    folds = {
        (True, False): ((EXAMPLES, EXAMPLES), EXAMPLES),
        (False, True): ((EXAMPLES, (0, True)), (1, True)),
        (True, True): (((1, False), (0, False)), (1, False)),
    }

    def infer(self, x: TensorType, w: TensorType) -> TensorType:
        self.check(x, w, w.shape[2:])
        check_rank(x.rank, len(self.strides))
        check_channels(x.shape[1], w, self.groups, x)
        self.per_group(w.shape[0])
        return x.with_shape((x.shape[0], w.shape[0], *self.counts(x.shape[2:], w.shape[2:])))

    def kernel_into(self, out: NDArray[Any], x: NDArray[Any], w: NDArray[Any]) -> None:
        self.counts(x.shape[2:], w.shape[2:])
        convolve(out, x, w, self.geometry(w.shape[2:], out.shape[2:]))

    def gradient(self, x: Tensor, w: Tensor, out: Tensor, g: Tensor) -> tuple[Tensor, Tensor]:
        shared = (self.strides, self.padding, self.dilations, self.groups)
        to_x = ConvTranspose(*shared, sizes=x.shape[2:])(g, w)
        return to_x, ConvWeightGradient(*shared, window=w.shape[2:])(x, g)

    def flops(self, x: TensorType, w: TensorType) -> Size:
        """A multiplication and an addition for each of the terms of each element."""
        return 2 * self.infer(x, w).size * product(w.shape[1:])

    cases = (
        Case(f32["n", 2, 5], f32[3, 2, 3], **plain(padding=((1, 1),))),
        Case(
            f64[2, 2, dim("h") + 1, 5],
            f64[2, 2, 2, 3],
            **plain(strides=(2, 1), padding=((0, 1), (2, 0)), dilations=(1, 2)),
        ),
        Case(
            f64[1, 4, 3, 4],
            f64[6, 2, 2, 1],
            **plain(strides=(1, 3), padding=((0, 0), (0, 0)), dilations=(2, 1), groups=2),
        ),
        Case(f64[2, 3, 4], f64[3, 1, 2], **plain(padding=((1, 0),), dilations=(2,), groups=3)),
        Case(
            f64[1, 1, 2, 3, 2],
            f64[2, 1, 2, 2, 1],
            **plain(strides=(1, 1, 1), padding=((0, 0), (0, 1), (0, 0)), dilations=(1, 1, 1)),
        ),
        Case(f16[2, 2, 3], f16[1, 2, 2], smooth=False, **plain()),
        Case(i32[1, 2, 4], i32[2, 1, 2], **plain(groups=2)),
        Case(f64[0, 2, 3], f64[2, 2, 2], **plain()),
        Case(f64[2, 0, 3], f64[2, 0, 2], **plain()),
    )
    rejects = (
        Reject(
            f32["n", 3, 8],
            f32[4, 2, 3],
            **plain(),
            message="x f32[n,3,8] has 3 channels, but weights [4,2,3] take 2",
        ),
        Reject(
            f32["n", 4, 8],
            f32[3, 2, 3],
            **plain(groups=2),
            message="3 channels don't divide into 2 groups",
        ),
        Reject(
            f32["n", 3, 2],
            f32[4, 3, 5],
            **plain(padding=((1, 1),)),
            message="a window that spans 5 does not fit in an axis of size 4 (2 and its padding)",
        ),
        Reject(
            f32[3, 8],
            f32[4, 3, 3],
            **plain(),
            message="1 spatial axes need an input of rank 3, got rank 2",
        ),
        Reject(f32[1, 3, 8], f64[4, 3, 3], **plain(), message="dtypes differ: f32 and f64"),
        Reject(bool_[1, 3, 8], bool_[4, 3, 3], **plain(), message="needs number inputs, got bool"),
        Reject(
            f32[1, 3, 8],
            f32[4, 3, 3],
            **plain(groups=0),
            message="there must be 1 or more groups, got 0",
        ),
        Reject(
            f32[1, 3, 8],
            f32[4, 3, 3],
            **plain(strides=(1, 1)),
            message="2 strides for 1 spatial axes",
        ),
    )


@register
class ConvTranspose(Trilinear):
    """The transpose of `conv` by its input: each element of `x` times the weights, overlapping.

    x:   [examples, channels, *counts], as many as `conv` finds windows in `sizes`
    w:   [channels, new channels / groups, *window]
    out: [examples, new channels, *sizes]

    out[n, c, j] = Σ x[n, o, i] w[o, c, k] over o, and i·stride + k·dilation - padding = j
    (Zeiler et al., Deconvolutional networks, 2010). 16-bit floats are computed in float32.
    d/dx = conv(g, w), d/dw = conv_weight_gradient(g, x)
    """

    name = "conv_transpose"
    folds = {
        (True, False): ((EXAMPLES, EXAMPLES), EXAMPLES),
        (False, True): ((EXAMPLES, (1, False)), (1, True)),
        (True, True): (((1, False), (0, False)), (1, False)),
    }

    sizes: Shape

    def infer(self, x: TensorType, w: TensorType) -> TensorType:
        check_sizes(self.sizes)
        self.check(x, w, w.shape[2:])
        check_rank(x.rank, len(self.strides))
        if x.shape[1] != w.shape[0]:
            raise ShapeError(
                f"x {x} has {x.shape[1]} channels, but weights {shape_text(w.shape)} take "
                f"{w.shape[0]}",
                hint="weights are [channels, new channels / groups, *window]; channels of x come "
                "second, or last with channels_last=True",
            )
        self.per_group(w.shape[0])
        self.fitting(self.sizes, w.shape[2:], x)
        return x.with_shape((x.shape[0], w.shape[1] * self.groups, *self.sizes))

    def kernel_into(self, out: NDArray[Any], x: NDArray[Any], w: NDArray[Any]) -> None:
        self.counts(out.shape[2:], w.shape[2:])
        convolve_transposed(out, x, w, self.geometry(w.shape[2:], x.shape[2:]))

    def gradient(self, x: Tensor, w: Tensor, out: Tensor, g: Tensor) -> tuple[Tensor, Tensor]:
        shared = (self.strides, self.padding, self.dilations, self.groups)
        return Conv(*shared)(g, w), ConvWeightGradient(*shared, window=w.shape[2:])(g, x)

    def flops(self, x: TensorType, w: TensorType) -> Size:
        """A multiplication and an addition for each element of x and each weight it meets."""
        return 2 * x.size * product(w.shape[1:])

    cases = (
        Case(f32["n", 2, 5], f32[2, 3, 3], sizes=(5,), **plain(padding=((1, 1),))),
        Case(
            f64[2, 2, dim("h") + 1, 3],
            f64[2, 2, 2, 3],
            sizes=(2 * dim("h") + 2, 5),
            **plain(strides=(2, 1), padding=((0, 1), (2, 0)), dilations=(1, 2)),
        ),
        Case(
            f64[1, 4, 1, 2],
            f64[4, 3, 2, 1],
            sizes=(3, 6),
            **plain(strides=(1, 3), padding=((0, 0), (0, 0)), dilations=(2, 1), groups=2),
        ),
        Case(
            f64[2, 3, 3],
            f64[3, 1, 2],
            sizes=(4,),
            **plain(padding=((1, 0),), dilations=(2,), groups=3),
        ),
        Case(f16[2, 2, 2], f16[2, 1, 2], sizes=(3,), smooth=False, **plain()),
        Case(i32[1, 2, 2], i32[2, 1, 2], sizes=(5,), **plain(strides=(2,), groups=2)),
    )
    rejects = (
        Reject(
            f32[1, 3, 4],
            f32[2, 3, 3],
            sizes=(6,),
            **plain(),
            message="x f32[1,3,4] has 3 channels, but weights [2,3,3] take 2",
        ),
        Reject(
            f32[1, 2, 4],
            f32[2, 3, 3],
            sizes=(7,),
            **plain(),
            message="sizes [7] have [5] windows of [3], but f32[1,2,4] has [4]",
        ),
        Reject(
            f32[1, 3, 4],
            f32[3, 3, 3],
            sizes=(6,),
            **plain(groups=2),
            message="3 channels don't divide into 2 groups",
        ),
        Reject(
            f32[1, 3, 1],
            f32[3, 3, 1],
            sizes=(-1,),
            **plain(padding=((1, 1),)),
            message="a size can't be negative, got -1",
        ),
    )


@register
class ConvWeightGradient(Trilinear):
    """The transpose of `conv` by its weights: what each weight met, added up.

    x:   [examples, channels, *sizes]
    y:   [examples, new channels, *counts], as many as `conv` finds windows in the sizes
    out: [new channels, channels / groups, *window]

    out[o, c, k] = Σ x[n, c, i·stride + k·dilation - padding] y[n, o, i] over n and i: the gradient
    of conv(x, w) by w, where y is that of its result. 16-bit floats are computed in float32.
    d/dx = conv_transpose(y, g), d/dy = conv(x, g)
    """

    name = "conv_weight_gradient"
    folds = {
        (True, False): (((1, True), EXAMPLES), (1, False)),
        (False, True): ((EXAMPLES, (1, True)), (0, True)),
        (True, True): (((1, False), (1, False)), (0, False)),
    }

    window: Shape

    def infer(self, x: TensorType, y: TensorType) -> TensorType:
        self.check(x, y, self.window)
        check_rank(x.rank, len(self.strides))
        check_rank(y.rank, len(self.strides))
        if x.shape[0] != y.shape[0]:
            raise ShapeError(f"x {x} and y {y} are not equally many examples")
        each = self.per_group(x.shape[1])
        self.per_group(y.shape[1])
        self.fitting(x.shape[2:], self.window, y)
        return x.with_shape((y.shape[1], each, *self.window))

    def kernel_into(self, out: NDArray[Any], x: NDArray[Any], y: NDArray[Any]) -> None:
        self.counts(x.shape[2:], out.shape[2:])
        correlate(out, x, y, self.geometry(out.shape[2:], y.shape[2:]))

    def gradient(self, x: Tensor, y: Tensor, out: Tensor, g: Tensor) -> tuple[Tensor, Tensor]:
        shared = (self.strides, self.padding, self.dilations, self.groups)
        return ConvTranspose(*shared, sizes=x.shape[2:])(y, g), Conv(*shared)(x, g)

    def flops(self, x: TensorType, y: TensorType) -> Size:
        """A multiplication and an addition for each element of y and each weight it meets."""
        return 2 * y.size * product(self.infer(x, y).shape[1:])

    cases = (
        Case(f32["n", 2, 5], f32["n", 3, 5], window=(3,), **plain(padding=((1, 1),))),
        Case(
            f64[2, 2, 2 * dim("h") + 2, 5],
            f64[2, 2, dim("h") + 1, 3],
            window=(2, 3),
            **plain(strides=(2, 1), padding=((0, 1), (2, 0)), dilations=(1, 2)),
        ),
        Case(
            f64[1, 4, 3, 6],
            f64[1, 6, 1, 2],
            window=(2, 1),
            **plain(strides=(1, 3), padding=((0, 0), (0, 0)), dilations=(2, 1), groups=2),
        ),
        Case(
            f64[2, 3, 4],
            f64[2, 3, 3],
            window=(2,),
            **plain(padding=((1, 0),), dilations=(2,), groups=3),
        ),
        Case(i32[1, 2, 4], i32[1, 2, 3], window=(2,), **plain(groups=2)),
    )
    rejects = (
        Reject(
            f32[1, 3, 4],
            f32[2, 3, 2],
            window=(3,),
            **plain(),
            message="x f32[1,3,4] and y f32[2,3,2] are not equally many examples",
        ),
        Reject(
            f32[1, 3, 4],
            f32[1, 2, 2],
            window=(3,),
            **plain(groups=2),
            message="3 channels don't divide into 2 groups",
        ),
        Reject(
            f32[1, 3, 4],
            f32[1, 3, 4],
            window=(3,),
            **plain(),
            message="sizes [4] have [2] windows of [3], but f32[1,3,4] has [4]",
        ),
        Reject(
            f32[1, 3, 4],
            f32[1, 3, 4],
            window=(0,),
            **plain(),
            message="window must be 1 or more, got (0,)",
        ),
    )
