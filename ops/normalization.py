"""Composites that bring values to a common scale: softmax and its kin, normalization over axes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from graphwright.graph.operator import register
from graphwright.graph.tensor import Axis, Tensor, TensorLike
from graphwright.graph.types import Shape, TensorType
from graphwright.ops.arithmetic import square
from graphwright.ops.case import Case, Reject, Within, f16, f32, f64, i32
from graphwright.ops.checks import check_epsilon, check_fits, check_floating
from graphwright.ops.composite import Composite
from graphwright.ops.convert import as_floating, as_tensor, builder, cast
from graphwright.ops.creation import full
from graphwright.ops.exponential import exp, log, rsqrt
from graphwright.ops.extremum import maximum
from graphwright.ops.movement import expand_dims
from graphwright.ops.reduction import max, refuse_empty, sum
from graphwright.ops.shapes import behind, check_axes, normalize_axes, normalize_axis
from graphwright.ops.statistics import mean, widened


class _AlongAxes(Composite):
    """Softmax and log_softmax: floating in, the same type out; 16-bit floats as float32."""

    axes: tuple[int, ...]

    def infer(self, x: TensorType) -> TensorType:
        check_axes(self.axes, x.rank)
        check_floating(x)
        refuse_empty(self.name, x.shape, self.axes)
        return x

    def batch(self, mapped: Sequence[bool], x: Tensor) -> Tensor:
        return replace(self, axes=behind(self.axes))(x)

    cases = (
        Case(f32["n", 4], axes=(1,)),
        Case(f64[2, 3, 2], axes=(0, 2)),
        Case(f64[3], axes=(0,)),
        Case(f64[2, 3], axes=()),
        Case([[1e3, 0.0, -1e3], [88.0, 89.0, 90.0]], axes=(1,)),
        Case([[0.0, -np.inf, 1.0]], axes=(1,), smooth=False),
        Case(f16[2, 3], axes=(1,)),
    )
    rejects = (
        Reject(f32[2, 3], axes=(2,), message="axis 2 is out of range for rank 2"),
        Reject(i32[3], axes=(0,), message="needs a floating input, got i32[3]"),
        Reject(f32[2, 0], axes=(1,), message="axis 1 is empty: it has no"),
    )


@register
class Softmax(_AlongAxes):
    """exp(x) / Σ exp(x) over the axes: positive numbers that add up to 1, without overflow.

    Computed from x - max(x), as the value is the same for x + c (Goodfellow, Bengio and
    Courville, Deep Learning, 2016, §4.1).
    d/dx = out · (g - Σ g·out)
    """

    name = "softmax"

    def decompose(self, x: Tensor) -> Tensor:
        wide = widened(x)
        powers = exp(wide - max(wide, self.axes, keepdims=True))
        return cast(powers / sum(powers, self.axes, keepdims=True), x.dtype)

    def gradient(self, x: Tensor, out: Tensor, g: Tensor) -> Tensor:
        shares, flow = widened(out), widened(g)
        return cast(shares * (flow - sum(flow * shares, self.axes, keepdims=True)), x.dtype)


@register
class LogSoftmax(_AlongAxes):
    """log(softmax(x)), exact where softmax itself rounds to 0.

    out = x - max(x) - log Σ exp(x - max(x))
    d/dx = g - exp(out) · Σ g
    """

    name = "log_softmax"

    def decompose(self, x: Tensor) -> Tensor:
        wide = widened(x)
        shifted = wide - max(wide, self.axes, keepdims=True)
        return cast(shifted - log(sum(exp(shifted), self.axes, keepdims=True)), x.dtype)

    def gradient(self, x: Tensor, out: Tensor, g: Tensor) -> Tensor:
        flow = widened(g)
        total = sum(flow, self.axes, keepdims=True)
        return cast(flow - exp(widened(out)) * total, x.dtype)


class Standardized(NamedTuple):
    """x̂ = (x - mean) / √(variance + epsilon), and what it is made of; at least in float32.

    mean, variance: over the axes, which they have with size 1
    inverse:        1 / √(variance + epsilon)
    """

    normal: Tensor
    mean: Tensor
    variance: Tensor
    inverse: Tensor
    axes: tuple[int, ...]

    @classmethod
    def of(cls, x: Tensor, axes: tuple[int, ...], epsilon: float) -> Standardized:
        wide = widened(x)
        middle = mean(wide, axes, keepdims=True)
        centered = wide - middle
        variance = mean(square(centered), axes, keepdims=True)
        inverse = rsqrt(variance + epsilon)
        return cls(centered * inverse, middle, variance, inverse, axes)

    def gradient(self, g: Tensor) -> Tensor:
        """That of x from that of x̂: (g - mean(g) - x̂ · mean(g·x̂)) / √(variance + epsilon)."""
        along = self.normal * mean(g * self.normal, self.axes, keepdims=True)
        return self.inverse * (g - mean(g, self.axes, keepdims=True) - along)


def across(vector: Tensor, x: Tensor, axes: tuple[int, ...]) -> Tensor:
    """A tensor of the shape that `x` has on `axes`, with axes of size 1 for the others."""
    return widened(expand_dims(vector, [i for i in range(x.ndim) if i not in axes]))


class _Scaled(Composite):
    """Layer and RMS normalization: over axes, then scaled by weights of the shape of these."""

    axes: tuple[int, ...]
    epsilon: float

    def _checked(self, x: TensorType, **weights: TensorType) -> TensorType:
        check_axes(self.axes, x.rank)
        check_floating(x)
        check_epsilon(self.epsilon)
        shape = tuple(x.shape[axis] for axis in self.axes)
        for label, kind in weights.items():
            check_fits(label, kind, x, shape, f"it has the sizes of x on axes {self.axes}")
        return x

    def _others(self, x: Tensor) -> tuple[int, ...]:
        return tuple(i for i in range(x.ndim) if i not in self.axes)


@register
class LayerNorm(_Scaled):
    """Elements brought to mean 0 and variance 1 over the axes, then scaled and shifted.

    out = scale · x̂ + shift, where x̂ = (x - mean(x)) / √(var(x) + epsilon)
    d/dx = (h - mean(h) - x̂ · mean(h·x̂)) / √(var(x) + epsilon), where h = g · scale

    scale, shift: of the shape that x has on the axes
    16-bit floats are normalized as float32.
    Source: Ba, Kiros and Hinton, Layer normalization, 2016, https://arxiv.org/abs/1607.06450.
    """

    name = "layer_norm"

    def infer(self, x: TensorType, scale: TensorType, shift: TensorType) -> TensorType:
        return self._checked(x, scale=scale, shift=shift)

    def decompose(self, x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
        normal = Standardized.of(x, self.axes, self.epsilon).normal
        scaled = normal * across(scale, x, self.axes) + across(shift, x, self.axes)
        return cast(scaled, x.dtype)

    def gradient(
        self, x: Tensor, scale: Tensor, shift: Tensor, out: Tensor, g: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        standard = Standardized.of(x, self.axes, self.epsilon)
        wide, others = widened(g), self._others(x)
        return (
            cast(standard.gradient(wide * across(scale, x, self.axes)), x.dtype),
            cast(sum(wide * standard.normal, others), x.dtype),
            cast(sum(wide, others), x.dtype),
        )

    cases = (
        Case(f32["n", 4], f32[4], f32[4], axes=(1,), epsilon=1e-5),
        Case(f64[3, "n"], f64["n"], f64["n"], axes=(1,), epsilon=0.5),
        Case(f64[2, 3, 2], f64[2, 2], f64[2, 2], axes=(0, 2), epsilon=1e-3),
        Case(f64[3], f64[3], f64[3], axes=(0,), epsilon=1e-5),
        Case(f16[2, 3], f16[3], f16[3], axes=(1,), epsilon=1e-5),
    )
    rejects = (
        Reject(f32[2, 3], f32[2], f32[3], axes=(1,), epsilon=0.0, message="scale is f32[2], not"),
        Reject(f32[2, 3], f32[3], f32[1], axes=(1,), epsilon=0.0, message="shift is f32[1], not"),
        Reject(f32[2], f64[2], f32[2], axes=(0,), epsilon=0.0, message="scale is f64[2], but x is"),
        Reject(i32[2], i32[2], i32[2], axes=(0,), epsilon=0.0, message="needs a floating input"),
        Reject(f32[2], f32[2], f32[2], axes=(0,), epsilon=-1.0, message="can't be negative"),
        Reject(f32[2], f32[2], f32[2], axes=(1,), epsilon=0.0, message="axis 1 is out of range"),
    )


@register
class RmsNorm(_Scaled):
    """Elements divided by the root of their mean square over the axes, then scaled.

    out = scale · x̂, where x̂ = x / √(mean(x²) + epsilon)
    d/dx = (h - x̂ · mean(h·x̂)) / √(mean(x²) + epsilon), where h = g · scale

    scale: of the shape that x has on the axes
    16-bit floats are normalized as float32.
    Source: Zhang and Sennrich, Root mean square layer normalization, 2019,
    https://arxiv.org/abs/1910.07467.
    """

    name = "rms_norm"

    def infer(self, x: TensorType, scale: TensorType) -> TensorType:
        return self._checked(x, scale=scale)

    def decompose(self, x: Tensor, scale: Tensor) -> Tensor:
        normal = widened(x) * self._inverse(x)
        return cast(normal * across(scale, x, self.axes), x.dtype)

    def _inverse(self, x: Tensor) -> Tensor:
        """1 / √(mean(x²) + epsilon)."""
        return rsqrt(mean(square(widened(x)), self.axes, keepdims=True) + self.epsilon)

    def gradient(self, x: Tensor, scale: Tensor, out: Tensor, g: Tensor) -> tuple[Tensor, Tensor]:
        inverse, wide = self._inverse(x), widened(g)
        normal, scaled = widened(x) * inverse, wide * across(scale, x, self.axes)
        along = normal * mean(scaled * normal, self.axes, keepdims=True)
        return (
            cast(inverse * (scaled - along), x.dtype),
            cast(sum(wide * normal, self._others(x)), x.dtype),
        )

    cases = (
        Case(f32["n", 4], f32[4], axes=(1,), epsilon=1e-6),
        Case(f64[3, "n"], f64["n"], axes=(1,), epsilon=0.5),
        Case(f64[2, 3, 2], f64[2, 2], axes=(0, 2), epsilon=1e-3),
        Case(f64[2], f64[()], axes=(), epsilon=1e-2),
        Case(f16[2, 3], f16[3], axes=(1,), epsilon=1e-5),
        Case(Within(f16[2], 500, 600), f16[2], axes=(0,), epsilon=0.0),
    )
    rejects = (
        Reject(f32[2, 3], f32[2], axes=(1,), epsilon=0.0, message="scale is f32[2], not f32[3]"),
        Reject(f32[2], f64[2], axes=(0,), epsilon=0.0, message="scale is f64[2], but x is"),
        Reject(i32[2], i32[2], axes=(0,), epsilon=0.0, message="needs a floating input"),
        Reject(f32[2], f32[2], axes=(0,), epsilon=np.nan, message="can't be negative, got nan"),
        Reject(f32[2], f32[2], axes=(1,), epsilon=0.0, message="axis 1 is out of range"),
    )


@register
class L2Normalize(Composite):
    """Vectors along the axes brought to length 1: x / max(‖x‖, epsilon), where ‖x‖ = √Σ x².

    A vector shorter than epsilon is divided by that, so that 0 stays 0, with a finite derivative.
    16-bit floats are normalized as float32.
    d/dx = (g - out · Σ g·out) / ‖x‖; g / epsilon where ‖x‖ < epsilon
    """

    name = "l2_normalize"

    axes: tuple[int, ...]
    epsilon: float

    def infer(self, x: TensorType) -> TensorType:
        check_axes(self.axes, x.rank)
        check_floating(x)
        check_epsilon(self.epsilon)
        return x

    def decompose(self, x: Tensor) -> Tensor:
        wide = widened(x)
        squares = sum(square(wide), self.axes, keepdims=True)
        return cast(wide * rsqrt(maximum(squares, self.epsilon**2)), x.dtype)

    cases = (
        Case(f32["n", 4], axes=(1,), epsilon=1e-12),
        Case(f64[2, 3, "n"], axes=(0, 2), epsilon=1e-3),
        Case(f64[3], axes=(), epsilon=0.0),
        Case(f16[2, 3], axes=(1,), epsilon=1e-5),
        Case([[3.0, 4.0], [0.0, 0.0], [3e-3, -4e-3]], axes=(1,), epsilon=0.5),
    )
    rejects = (
        Reject(i32[2], axes=(0,), epsilon=0.0, message="needs a floating input, got i32[2]"),
        Reject(f32[2], axes=(0,), epsilon=-1.0, message="epsilon can't be negative, got -1.0"),
        Reject(f32[2], axes=(1,), epsilon=0.0, message="axis 1 is out of range for rank 1"),
    )


@builder
def softmax(x: TensorLike, axis: Axis = -1) -> Tensor:
    """exp(x) / Σ exp(x) over `axis`; integers become float64. See `Softmax`."""
    tensor = as_floating(x)
    return Softmax(normalize_axes(axis, tensor.ndim))(tensor)


@builder
def log_softmax(x: TensorLike, axis: Axis = -1) -> Tensor:
    """log(softmax(x)) over `axis`; integers become float64. See `LogSoftmax`."""
    tensor = as_floating(x)
    return LogSoftmax(normalize_axes(axis, tensor.ndim))(tensor)


@builder
def layer_norm(
    x: TensorLike,
    scale: TensorLike | None = None,
    shift: TensorLike | None = None,
    axis: Axis = -1,
    epsilon: float = 1e-5,
) -> Tensor:
    """`x` brought to mean 0 and variance 1 over `axis`, then scaled and shifted; see `LayerNorm`.

    scale, shift: of the shape that `x` has on `axis`; 1 and 0 unless given
    epsilon:      added to the variance, so that constant rows become zeros
    """
    tensor = as_floating(x)
    axes = normalize_axes(axis, tensor.ndim)
    shape = tuple(tensor.shape[i] for i in axes)
    weights = weight(scale, 1, tensor, shape), weight(shift, 0, tensor, shape)
    return LayerNorm(axes, epsilon)(tensor, *weights)


@builder
def rms_norm(
    x: TensorLike, scale: TensorLike | None = None, axis: Axis = -1, epsilon: float = 1e-6
) -> Tensor:
    """`x` divided by the root of its mean square over `axis`, then scaled; see `RmsNorm`.

    scale:   of the shape that `x` has on `axis`; 1 unless given
    epsilon: added to the mean square, so that zeros stay zeros
    """
    tensor = as_floating(x)
    axes = normalize_axes(axis, tensor.ndim)
    shape = tuple(tensor.shape[i] for i in axes)
    return RmsNorm(axes, epsilon)(tensor, weight(scale, 1, tensor, shape))


@builder
def l2_normalize(x: TensorLike, axis: Axis = -1, epsilon: float = 1e-12) -> Tensor:
    """`x` divided by its length √Σ x² over `axis`, or by `epsilon` if that is more.

    See `L2Normalize`.
    """
    tensor = as_floating(x)
    return L2Normalize(normalize_axes(axis, tensor.ndim), epsilon)(tensor)


@builder
def weight_norm(direction: TensorLike, magnitude: TensorLike, axis: int = 0) -> Tensor:
    """Weights by direction and length: magnitude · direction / ‖direction‖, for each row of `axis`.

    direction: floating, of any shape; its length is that over all the other axes
    magnitude: one length for each row: a vector of the size of `axis`
    Raises ShapeError for another shape than that.
    Source: Salimans and Kingma, Weight normalization, 2016, https://arxiv.org/abs/1602.07868.
    """
    tensor = as_floating(direction)
    kept = normalize_axis(axis, tensor.ndim)
    lengths = as_tensor(magnitude, tensor.dtype)
    check_fits("magnitude", lengths.type, tensor.type, (tensor.shape[kept],), "one per row of axis")
    others = tuple(i for i in range(tensor.ndim) if i != kept)
    return l2_normalize(tensor, others) * expand_dims(lengths, others)


def weight(value: TensorLike | None, default: int, x: Tensor, shape: Shape) -> Tensor:
    """`value` in the dtype of `x`, or `default` in that shape when there is none."""
    return full(shape, default, x.dtype) if value is None else as_tensor(value, x.dtype)
