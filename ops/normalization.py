"""Composites that bring values to a common scale: softmax and its kin, layer normalization."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from graphwright.graph.dtype import is_floating
from graphwright.graph.errors import AttributeValueError, DTypeError, ShapeError
from graphwright.graph.operator import register
from graphwright.graph.tensor import Axis, Tensor, TensorLike
from graphwright.graph.types import TensorType
from graphwright.ops.arithmetic import square
from graphwright.ops.case import Case, Reject, f16, f32, f64, i32
from graphwright.ops.composite import Composite
from graphwright.ops.convert import as_floating, as_tensor, builder, cast
from graphwright.ops.exponential import exp, log, rsqrt
from graphwright.ops.movement import expand_dims
from graphwright.ops.reduction import max, sum
from graphwright.ops.shapes import check_axes, normalize_axes
from graphwright.ops.statistics import mean, widened


@dataclass(frozen=True, eq=False, repr=False)
class _AlongAxes(Composite):
    """Softmax and log_softmax: floating in, the same type out."""

    axes: tuple[int, ...]

    def infer(self, x: TensorType) -> TensorType:
        check_axes(self.axes, x.rank)
        if not is_floating(x.dtype):
            raise DTypeError(f"needs a floating input, got {x}", hint="convert it with .astype")
        for axis in self.axes:
            if x.shape[axis] == 0:
                raise ShapeError(f"axis {axis} is empty: it has no {self.name}")
        return x

    cases = (
        Case(f32["n", 4], axes=(1,)),
        Case(f64[2, 3, 2], axes=(0, 2)),
        Case(f64[3], axes=(0,)),
        Case(f64[2, 3], axes=()),
        Case([[1e3, 0.0, -1e3], [88.0, 89.0, 90.0]], axes=(1,)),
        Case([[0.0, -np.inf, 1.0]], axes=(1,), smooth=False),
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
        powers = exp(x - max(x, self.axes, keepdims=True))
        return powers / sum(powers, self.axes, keepdims=True)

    def gradient(self, x: Tensor, out: Tensor, g: Tensor) -> Tensor:
        return out * (g - sum(g * out, self.axes, keepdims=True))


@register
class LogSoftmax(_AlongAxes):
    """log(softmax(x)), exact where softmax itself rounds to 0.

    out = x - max(x) - log Σ exp(x - max(x))
    d/dx = g - exp(out) · Σ g
    """

    name = "log_softmax"

    def decompose(self, x: Tensor) -> Tensor:
        shifted = x - max(x, self.axes, keepdims=True)
        return shifted - log(sum(exp(shifted), self.axes, keepdims=True))

    def gradient(self, x: Tensor, out: Tensor, g: Tensor) -> Tensor:
        return g - exp(out) * sum(g, self.axes, keepdims=True)


@register
class LayerNorm(Composite):
    """Elements brought to mean 0 and variance 1 over the axes, then scaled and shifted.

    out = scale · x̂ + shift, where x̂ = (x - mean(x)) / √(var(x) + epsilon) (Ba, Kiros and Hinton,
    "Layer normalization", 2016)
    d/dx = (h - mean(h) - x̂ · mean(h·x̂)) / √(var(x) + epsilon), where h = g · scale

    scale, shift: of the shape that x has on the axes
    16-bit floats are normalized as float32.
    """

    name = "layer_norm"

    axes: tuple[int, ...]
    epsilon: float

    def infer(self, x: TensorType, scale: TensorType, shift: TensorType) -> TensorType:
        check_axes(self.axes, x.rank)
        if not is_floating(x.dtype):
            raise DTypeError(f"needs a floating input, got {x}", hint="convert it with .astype")
        if not self.epsilon >= 0:
            raise AttributeValueError(f"epsilon can't be negative, got {self.epsilon}")
        expected = x.with_shape(tuple(x.shape[axis] for axis in self.axes))
        for label, kind in (("scale", scale), ("shift", shift)):
            if kind.dtype != x.dtype:
                raise DTypeError(f"{label} is {kind}, but x is {x}", hint="cast one of them")
            if kind != expected:
                raise ShapeError(
                    f"{label} is {kind}, not {expected}",
                    hint=f"it has the sizes of x on axes {self.axes}",
                )
        return x

    def decompose(self, x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
        normal, _ = self._normalized(x)
        scaled = normal * self._across(scale, x) + self._across(shift, x)
        return cast(scaled, x.dtype)

    def gradient(
        self, x: Tensor, scale: Tensor, shift: Tensor, out: Tensor, g: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        normal, inverse = self._normalized(x)
        wide = widened(g)
        scaled = wide * self._across(scale, x)
        mine = scaled - self._mean(scaled) - normal * self._mean(scaled * normal)
        others = tuple(i for i in range(x.ndim) if i not in self.axes)
        return (
            cast(inverse * mine, x.dtype),
            cast(sum(wide * normal, others), x.dtype),
            cast(sum(wide, others), x.dtype),
        )

    def _normalized(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """x̂, and 1 / √(var(x) + epsilon)."""
        wide = widened(x)
        centered = wide - self._mean(wide)
        inverse = rsqrt(self._mean(square(centered)) + self.epsilon)
        return centered * inverse, inverse

    def _mean(self, x: Tensor) -> Tensor:
        return mean(x, self.axes, keepdims=True)

    def _across(self, vector: Tensor, x: Tensor) -> Tensor:
        """Scale or shift, with axes of size 1 for the others of `x`."""
        others = [i for i in range(x.ndim) if i not in self.axes]
        return widened(expand_dims(vector, others))

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
    scale: TensorLike,
    shift: TensorLike,
    axis: Axis = -1,
    epsilon: float = 1e-5,
) -> Tensor:
    """`x` brought to mean 0 and variance 1 over `axis`, then scaled and shifted; see `LayerNorm`.

    scale, shift: of the shape that `x` has on `axis`
    epsilon:      added to the variance, so that constant rows become zeros
    """
    tensor = as_floating(x)
    dtype = tensor.dtype
    axes = normalize_axes(axis, tensor.ndim)
    return LayerNorm(axes, epsilon)(tensor, as_tensor(scale, dtype), as_tensor(shift, dtype))
