"""Normalization by groups of channels, of each example for itself; and across channels."""

from __future__ import annotations

import math
from functools import reduce
from operator import add

from graphwright.graph.dim import exact_quotient
from graphwright.graph.errors import AttributeValueError, ShapeError
from graphwright.graph.operator import register
from graphwright.graph.tensor import Tensor, TensorLike
from graphwright.graph.types import Shape, TensorType
from graphwright.ops.arithmetic import power, square
from graphwright.ops.batch_norm import ByChannel
from graphwright.ops.case import Case, Reject, f16, f32, f64, i32
from graphwright.ops.checks import check_floating
from graphwright.ops.composite import Composite
from graphwright.ops.convert import as_floating, builder, cast
from graphwright.ops.movement import reshape
from graphwright.ops.normalization import Standardized, across, weight
from graphwright.ops.padding import pad
from graphwright.ops.reduction import sum
from graphwright.ops.shapes import check_axis, normalize_axis
from graphwright.ops.slicing import Slice
from graphwright.ops.statistics import widened


class _ByExample(ByChannel):
    """Group and instance normalization: axis 0 of x holds examples, each normalized for itself."""

    def checked(self, x: TensorType, **vectors: TensorType) -> TensorType:
        super().checked(x, **vectors)
        if self.axis == 0:
            raise AttributeValueError(
                "axis 0 holds the examples, not the channels", hint="name the axis of the channels"
            )
        return x

    def infer(self, x: TensorType, scale: TensorType, shift: TensorType) -> TensorType:
        return self.checked(x, scale=scale, shift=shift)

    def grouped(self, shape: Shape) -> Shape:
        """The shape in which axis 0 and the channels' axis count what is normalized for itself."""
        return shape

    @property
    def channel_axes(self) -> tuple[int, ...]:
        """The axes of that shape on which the channels are."""
        return (self.axis,)

    def decompose(self, x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
        normal = self._standardized(x).normal
        out = normal * self._over_groups(scale, normal) + self._over_groups(shift, normal)
        return cast(reshape(out, x.shape), x.dtype)

    def gradient(
        self, x: Tensor, scale: Tensor, shift: Tensor, out: Tensor, g: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        standard = self._standardized(x)
        wide = widened(reshape(g, standard.normal.shape))
        to_x = standard.gradient(wide * self._over_groups(scale, wide))
        others = tuple(i for i in range(wide.ndim) if i not in self.channel_axes)
        to_weights = sum(wide * standard.normal, others), sum(wide, others)
        to_scale, to_shift = (cast(reshape(t, scale.shape), x.dtype) for t in to_weights)
        return cast(reshape(to_x, x.shape), x.dtype), to_scale, to_shift

    def _standardized(self, x: Tensor) -> Standardized:
        groups = reshape(x, self.grouped(x.shape))
        axes = tuple(i for i in range(1, groups.ndim) if i != self.axis)
        return Standardized.of(groups, axes, self.epsilon)

    def _over_groups(self, vector: Tensor, groups: Tensor) -> Tensor:
        """A number for each channel, along the channels of x in groups."""
        axes = self.channel_axes
        return across(reshape(vector, tuple(groups.shape[i] for i in axes)), groups, axes)


@register
class InstanceNorm(_ByExample):
    """Each channel of each example brought to mean 0 and variance 1, then scaled and shifted.

    out = scale · x̂ + shift, where x̂ = (x - mean) / √(variance + epsilon), over all axes but the
    first and that of the channels; there is at least one

    scale, shift: a number for each channel
    16-bit floats are normalized as float32.
    Source: Ulyanov, Vedaldi and Lempitsky, Instance normalization, 2016,
    https://arxiv.org/abs/1607.08022.
    """

    name = "instance_norm"

    def infer(self, x: TensorType, scale: TensorType, shift: TensorType) -> TensorType:
        self.checked(x, scale=scale, shift=shift)
        if x.rank < 3:
            raise ShapeError(
                f"x is {x}: a channel is a single number",
                hint="it takes examples, channels, and other axes; or use layer_norm",
            )
        return x

    cases = (
        Case(f32["n", 2, 3], f32[2], f32[2], axis=1, epsilon=1e-3),
        Case(f64[2, 2, 2, "c"], f64["c"], f64["c"], axis=3, epsilon=1e-2),
        Case(f64[2, 3, "n"], f64[3], f64[3], axis=1, epsilon=0.5),
        Case(f16[2, 1, 3], f16[1], f16[1], axis=1, epsilon=1e-3),
    )
    rejects = (
        Reject(f32[4, 3], f32[3], f32[3], axis=1, epsilon=0.0, message="a single number"),
        Reject(f32[4, 3, 2], f32[2], f32[3], axis=1, epsilon=0.0, message="scale is f32[2], not"),
        Reject(f32[4, 3, 2], f32[3], f32[2], axis=1, epsilon=0.0, message="shift is f32[2], not"),
        Reject(f32[4, 3, 2], f32[4], f32[4], axis=0, epsilon=0.0, message="holds the examples"),
        Reject(f32[4, 3, 2], f32[3], f32[3], axis=3, epsilon=0.0, message="out of range"),
        Reject(f32[4, 3, 2], f32[3], f32[3], axis=1, epsilon=-1.0, message="can't be negative"),
        Reject(i32[4, 3, 2], i32[3], i32[3], axis=1, epsilon=0.0, message="needs a floating"),
    )


@register
class GroupNorm(_ByExample):
    """Channels in groups of neighbours: each brought to mean 0 and variance 1, scaled, shifted.

    out = scale · x̂ + shift, where x̂ = (x - mean) / √(variance + epsilon), over the channels of a
    group and all other axes but the first

    groups:       how many; they divide the channels
    scale, shift: a number for each channel
    16-bit floats are normalized as float32.
    Source: Wu and He, Group normalization, 2018, https://arxiv.org/abs/1803.08494.
    """

    name = "group_norm"

    groups: int

    def infer(self, x: TensorType, scale: TensorType, shift: TensorType) -> TensorType:
        self.checked(x, scale=scale, shift=shift)
        self.grouped(x.shape)
        return x

    def grouped(self, shape: Shape) -> Shape:
        if self.groups < 1:
            raise AttributeValueError(f"there must be at least one group, got {self.groups}")
        channels = shape[self.axis]
        each = exact_quotient(channels, self.groups)
        if each is None:
            raise ShapeError(
                f"{channels} channels don't divide into {self.groups} groups",
                hint="the number of groups must divide that of the channels",
            )
        return (*shape[: self.axis], self.groups, each, *shape[self.axis + 1 :])

    @property
    def channel_axes(self) -> tuple[int, ...]:
        return self.axis, self.axis + 1

    cases = (
        Case(f32["n", 4, 3], f32[4], f32[4], axis=1, epsilon=1e-3, groups=2),
        Case(f64[2, "n", 6], f64[6], f64[6], axis=2, epsilon=1e-2, groups=3),
        Case(f64[2, 4], f64[4], f64[4], axis=1, epsilon=0.5, groups=1),
        Case(f16[2, 4, 2], f16[4], f16[4], axis=1, epsilon=1e-3, groups=2),
    )
    rejects = (
        Reject(
            f32[4, 3], f32[3], f32[3], axis=1, epsilon=0.0, groups=2, message="3 channels don't"
        ),
        Reject(
            f32[4, "c"],
            f32["c"],
            f32["c"],
            axis=1,
            epsilon=0.0,
            groups=2,
            message="c channels don't divide into 2 groups",
        ),
        Reject(
            f32[4, 3], f32[3], f32[3], axis=1, epsilon=0.0, groups=0, message="at least one group"
        ),
        Reject(
            f32[4, 3], f32[4], f32[4], axis=0, epsilon=0.0, groups=1, message="holds the examples"
        ),
        Reject(
            f32[4, 3], f32[4], f32[3], axis=1, epsilon=0.0, groups=1, message="scale is f32[4], not"
        ),
    )


@register
class LocalResponseNorm(Composite):
    """Each element divided by a power of the squares of its neighbours on the channels' axis.

    out = x / (bias + alpha/size · Σ x²)^beta; the sum goes from floor((size - 1)/2) channels before
    to ceil((size - 1)/2) after, as far as there are any (the definition of ONNX; for an even size,
    others take one more before, and one less after)

    axis: that of the channels, counted from the front
    16-bit floats are normalized as float32.
    Source: Krizhevsky, Sutskever and Hinton, ImageNet classification with deep convolutional neural
    networks, 2012, §3.3.
    """

    name = "local_response_norm"

    axis: int
    size: int
    alpha: float
    beta: float
    bias: float

    def infer(self, x: TensorType) -> TensorType:
        check_floating(x)
        check_axis(self.axis, x.rank)
        if self.size < 1:
            raise AttributeValueError(f"the size must be at least 1, got {self.size}")
        if not all(map(math.isfinite, (self.alpha, self.beta, self.bias))):
            raise AttributeValueError(
                f"alpha, beta and bias must be finite, got {self.alpha}, {self.beta}, {self.bias}"
            )
        return x

    def decompose(self, x: Tensor) -> Tensor:
        wide = widened(x)
        before = (self.size - 1) // 2
        after = self.size - 1 - before
        channels = x.shape[self.axis]
        if isinstance(channels, int):  # there are no others
            before, after = min(before, channels), min(after, channels)
        widths = [(0, 0)] * x.ndim
        widths[self.axis] = before, after
        squares = pad(square(wide), widths)
        shifted = [self._from(squares, start, x.shape) for start in range(before + after + 1)]
        near = self.bias + self.alpha / self.size * reduce(add, shifted)
        return cast(wide * power(near, -self.beta), x.dtype)

    def _from(self, padded: Tensor, start: int, shape: Shape) -> Tensor:
        starts = tuple(start if i == self.axis else 0 for i in range(len(shape)))
        return Slice(starts, shape, (1,) * len(shape))(padded)

    cases = (
        Case(f32["n", 7, 2], axis=1, size=5, alpha=0.5, beta=0.75, bias=1.0),
        Case(f64[2, "c"], axis=1, size=4, alpha=1.0, beta=0.5, bias=2.0),
        Case(f64[3, 2], axis=0, size=1, alpha=1.0, beta=2.0, bias=0.5),
        Case(f16[3], axis=0, size=3, alpha=1e-4, beta=0.75, bias=1.0),
    )
    rejects = (
        Reject(i32[3], axis=0, size=3, alpha=1.0, beta=1.0, bias=1.0, message="needs a floating"),
        Reject(f32[3], axis=1, size=3, alpha=1.0, beta=1.0, bias=1.0, message="out of range"),
        Reject(f32[3], axis=-1, size=3, alpha=1.0, beta=1.0, bias=1.0, message="from the front"),
        Reject(f32[3], axis=0, size=0, alpha=1.0, beta=1.0, bias=1.0, message="at least 1, got 0"),
    )


@builder
def instance_norm(
    x: TensorLike,
    scale: TensorLike | None = None,
    shift: TensorLike | None = None,
    axis: int = 1,
    epsilon: float = 1e-5,
) -> Tensor:
    """Each channel of each example of `x` normalized, scaled and shifted; see `InstanceNorm`.

    scale, shift: a number for each channel, those of `axis`; 1 and 0 unless given
    epsilon:      added to the variance
    """
    tensor = as_floating(x)
    channel = normalize_axis(axis, tensor.ndim)
    shape = (tensor.shape[channel],)
    weights = weight(scale, 1, tensor, shape), weight(shift, 0, tensor, shape)
    return InstanceNorm(channel, epsilon)(tensor, *weights)


@builder
def group_norm(
    x: TensorLike,
    groups: int,
    scale: TensorLike | None = None,
    shift: TensorLike | None = None,
    axis: int = 1,
    epsilon: float = 1e-5,
) -> Tensor:
    """The channels of `x` normalized in groups, scaled and shifted; see `GroupNorm`.

    groups:       how many; they divide the channels
    scale, shift: a number for each channel, those of `axis`; 1 and 0 unless given
    epsilon:      added to the variance
    """
    tensor = as_floating(x)
    channel = normalize_axis(axis, tensor.ndim)
    shape = (tensor.shape[channel],)
    weights = weight(scale, 1, tensor, shape), weight(shift, 0, tensor, shape)
    return GroupNorm(channel, epsilon, groups)(tensor, *weights)


@builder
def local_response_norm(
    x: TensorLike,
    size: int,
    alpha: float = 1e-4,
    beta: float = 0.75,
    bias: float = 1.0,
    axis: int = 1,
) -> Tensor:
    """`x` divided by a power of the squares of `size` neighbouring channels.

    See `LocalResponseNorm`.
    """
    tensor = as_floating(x)
    channel = normalize_axis(axis, tensor.ndim)
    return LocalResponseNorm(channel, size, float(alpha), float(beta), float(bias))(tensor)
