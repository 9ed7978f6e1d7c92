"""Rectifiers: the activations made of straight lines, all of them composites."""

from __future__ import annotations

import math
import numbers
from typing import ClassVar

import numpy as np

from graphwright.graph.errors import AttributeValueError
from graphwright.graph.operator import register
from graphwright.graph.tensor import Tensor, TensorLike
from graphwright.graph.types import TensorType
from graphwright.ops.arguments import AnyFloat
from graphwright.ops.case import Case, Reject, f32, f64, i32
from graphwright.ops.composite import Composite
from graphwright.ops.convert import builder
from graphwright.ops.elementwise import Binary, Real, Unary
from graphwright.ops.extremum import clip, maximum
from graphwright.ops.selection import where


@register
class Relu(Composite, Unary):
    """The rectifier max(x, 0).

    d/dx = 1 where x > 0, else 0 (at 0 too)
    Source: Nair and Hinton, Rectified linear units improve restricted Boltzmann machines, 2010.
    """

    name = "relu"
    idempotent = True

    def infer(self, x: TensorType) -> TensorType:
        return self.typed(x)

    def decompose(self, x: Tensor) -> Tensor:
        return maximum(x, 0)

    def gradient(self, x: Tensor, out: Tensor, g: Tensor) -> Tensor:
        # Of the output, which is kept for the next layer anyway: x need not be.
        return where(out > 0, g, 0)

    cases = (
        Case(f32["n", 4], smooth=False),
        Case([-1.5, -0.1, 0.1, 2.0]),
        Case([-0.0, 0.0, -np.inf, np.nan], smooth=False),
        Case(i32[3]),
    )


class Activation(Composite, Real):
    """A composite of one floating input."""

    def infer(self, x: TensorType) -> TensorType:
        return self.typed(x)


@register
class Relu6(Activation):
    """min(max(x, 0), 6).

    d/dx = 1 where 0 < x < 6, else 0 (at 0 and 6 too)
    Source: Krizhevsky, Convolutional deep belief networks on CIFAR-10, 2010.
    """

    name = "relu6"
    idempotent = True

    def decompose(self, x: Tensor) -> Tensor:
        return clip(x, 0, 6)

    def gradient(self, x: Tensor, out: Tensor, g: Tensor) -> Tensor:
        return where((x > 0) & (x < 6), g, 0)

    cases = Case(f32["n", 4], smooth=False), Case([-1.5, 0.1, 5.9, 7.0]), Case([np.nan, np.inf])


class Sloped(Activation):
    """An activation with a number `alpha`, which is its slope below 0 or what that tends to."""

    alpha: float

    def __post_init__(self) -> None:
        if isinstance(self.alpha, numbers.Real):
            object.__setattr__(self, "alpha", float(self.alpha))

    def infer(self, x: TensorType) -> TensorType:
        if not isinstance(self.alpha, float) or not math.isfinite(self.alpha):
            raise AttributeValueError(f"alpha must be a finite number, got {self.alpha!r}")
        return self.typed(x)

    cases = (
        Case(f32["n", 4], alpha=0.3),
        Case([-30.0, -0.1, 0.1, 2.0], alpha=1),
        Case([-0.0, 0.0, np.inf, np.nan], alpha=0.5),
    )
    rejects: ClassVar[tuple[Reject, ...]] = (
        Reject(i32[3], alpha=0.5, message="needs a floating input, got i32[3]"),
        Reject(f32[3], alpha=math.inf, message="alpha must be a finite number, got inf"),
        Reject(f32[3], alpha="x", message="alpha must be a finite number, got 'x'"),
    )


@register
class LeakyRelu(Sloped):
    """x where x > 0, else α x.

    d/dx = 1 where x > 0, else α (at 0 too)
    Source: Maas, Hannun and Ng, Rectifier nonlinearities improve neural network acoustic models,
    2013.
    """

    name = "leaky_relu"

    def decompose(self, x: Tensor) -> Tensor:
        return where(x > 0, x, self.alpha * x)

    def gradient(self, x: Tensor, out: Tensor, g: Tensor) -> Tensor:
        return where(x > 0, g, self.alpha * g)


@register
class Prelu(Composite, Binary):
    """x where x > 0, else slope · x, with slopes that are learned; the two broadcast.

    d/dx = 1 where x > 0, else the slope; d/dslope = 0 where x > 0, else x
    Source: He, Zhang, Ren and Sun, Delving deep into rectifiers, 2015,
    https://arxiv.org/abs/1502.01852.
    """

    name = "prelu"
    takes = "floating"

    def __call__(self, x: TensorLike, slope: TensorLike) -> Tensor:
        return super().__call__(x, slope)

    def infer(self, x: TensorType, slope: TensorType) -> TensorType:
        return self.typed(x, slope)

    def decompose(self, x: Tensor, slope: Tensor) -> Tensor:
        return where(x > 0, x, slope * x)

    def gradient(self, x: Tensor, slope: Tensor, out: Tensor, g: Tensor) -> tuple[Tensor, Tensor]:
        return where(x > 0, g, slope * g), where(x > 0, 0, x * g)

    cases = (
        Case(f32["n", 4], f32[4]),
        Case(f64[2, 3], f64[()]),
        Case([-3.0, -0.5, 0.5, 2.0], [0.25, -1.0, 3.0, 0.0]),
        Case([-0.0, 0.0, np.inf, np.nan, -1.0], [1.0, 2.0, 0.5, 0.0, np.nan], smooth=False),
    )
    rejects = (
        *Binary.misfits,
        Reject(i32[3], i32[3], message="needs a floating input, got i32[3]"),
    )


@register
class Threshold(Activation):
    """x where x > threshold, else the number `value`; nan for nan.

    d/dx = 1 where x > threshold, else 0
    """

    name = "threshold"

    threshold: float
    value: float

    def decompose(self, x: Tensor) -> Tensor:
        return where(x <= self.threshold, self.value, x)  # so that nan stays nan

    cases = (
        Case(f32["n", 4], threshold=-3.0, value=0.0),
        Case([-1.0, 0.49, 0.5, 0.51, 2.0], threshold=0.5, value=-7.0, smooth=False),
        Case([-1.0, 2.0, 3.0], threshold=1.5, value=20.0),
        Case([np.nan, np.inf, -np.inf], threshold=0.0, value=math.inf),
    )
    rejects = (
        Reject(i32[3], threshold=0.0, value=0.0, message="needs a floating input, got i32[3]"),
    )


@register
class HardTanh(Activation):
    """min(max(x, low), high).

    d/dx = 1 where low < x < high, else 0 (at the bounds too)
    Source: Collobert, Large scale machine learning, 2004.
    """

    name = "hard_tanh"
    idempotent = True

    low: float
    high: float

    def infer(self, x: TensorType) -> TensorType:
        if not self.low <= self.high:
            raise AttributeValueError(f"low must not exceed high, got {self.low} and {self.high}")
        return self.typed(x)

    def decompose(self, x: Tensor) -> Tensor:
        return clip(x, self.low, self.high)

    def gradient(self, x: Tensor, out: Tensor, g: Tensor) -> Tensor:
        return where((x > self.low) & (x < self.high), g, 0)

    cases = (
        Case(f32["n", 4], low=-1.0, high=1.0, smooth=False),
        Case([-1.5, 0.1, 0.9, 7.0], low=-1, high=1),
        Case([np.nan, np.inf, -np.inf, 2.0], low=-0.5, high=2.0, smooth=False),
    )
    rejects = (
        Reject(i32[3], low=-1.0, high=1.0, message="needs a floating input, got i32[3]"),
        Reject(f32[3], low=1.0, high=0.5, message="low must not exceed high, got 1.0 and 0.5"),
    )


@register
class HardSigmoid(Activation):
    """relu6(x + 3)/6, made of straight lines: 0 up to -3, 1 from 3 on.

    Source: Howard et al., Searching for MobileNetV3, 2019, https://arxiv.org/abs/1905.02244.
    """

    name = "hard_sigmoid"

    def decompose(self, x: Tensor) -> Tensor:
        return relu6(x + 3) / 6

    cases = Case(f32["n", 4]), Case([-4.0, -2.5, 0.0, 3.5]), Case([-3.0, 3.0, np.inf, np.nan])


@register
class HardSwish(Activation):
    """x relu6(x + 3)/6: silu with straight lines for its sigmoid.

    Source: Howard et al., Searching for MobileNetV3, 2019, https://arxiv.org/abs/1905.02244.
    """

    name = "hard_swish"

    def decompose(self, x: Tensor) -> Tensor:
        return x * hard_sigmoid(x)

    cases = (
        Case(f32["n", 4]),
        Case([-4.0, -2.5, 0.0, 3.5]),
        Case([-3.0, 3.0, np.inf, np.nan], smooth=False),
    )


relu = Relu()
relu6 = Relu6()
prelu = Prelu()
hard_sigmoid = HardSigmoid()
hard_swish = HardSwish()


@builder
def leaky_relu(x: TensorLike, alpha: float = 0.01) -> Tensor:
    """x where x > 0, else alpha · x; see `LeakyRelu`."""
    return LeakyRelu(alpha)(x)


@builder
def threshold(x: TensorLike, threshold: float, value: AnyFloat = 0.0) -> Tensor:
    """x where x > threshold, else `value`; see `Threshold`."""
    return Threshold(float(threshold), float(value))(x)


@builder
def hard_tanh(x: TensorLike, low: float = -1.0, high: float = 1.0) -> Tensor:
    """`x` limited to values from `low` to `high`; see `HardTanh`."""
    return HardTanh(float(low), float(high))(x)
