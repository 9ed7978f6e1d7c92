"""Activations: the elementwise functions between the layers of a network.

Most are composites: a name, and other operators that they are made of.
"""

from __future__ import annotations

import math
import numbers
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from graphwright.graph.errors import AttributeValueError
from graphwright.graph.operator import register
from graphwright.graph.tensor import Tensor, TensorLike
from graphwright.graph.types import TensorType
from graphwright.ops.arithmetic import abs, square
from graphwright.ops.case import Case, Reject, f32, i32
from graphwright.ops.composite import Composite
from graphwright.ops.elementwise import Real, Unary, in_single_precision
from graphwright.ops.error_function import erfc
from graphwright.ops.exponential import expm1, sigmoid
from graphwright.ops.extremum import clip, maximum
from graphwright.ops.selection import where
from graphwright.ops.trigonometric import tanh


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


@dataclass(frozen=True, eq=False, repr=False)
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
    rejects = (
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
class Elu(Sloped):
    """The exponential linear unit: x where x > 0, else α (exp(x) - 1).

    d/dx = 1 where x > 0, else α exp(x) (at 0 too), which is the value + α
    Source: Clevert, Unterthiner and Hochreiter, Fast and accurate deep network learning by
    exponential linear units, 2016, https://arxiv.org/abs/1511.07289.
    """

    name = "elu"

    def decompose(self, x: Tensor) -> Tensor:
        # Nothing positive reaches expm1, so that no overflow waits in the branch not taken.
        return where(x > 0, x, self.alpha * expm1(where(x > 0, 0, x)))

    def gradient(self, x: Tensor, out: Tensor, g: Tensor) -> Tensor:
        return where(x > 0, g, g * (where(x > 0, 0, out) + self.alpha))


@register
class Selu(Activation):
    """The scaled exponential linear unit λ elu(x, α), with 1.0507… for λ and 1.6732… for α.

    These keep mean 0 and variance 1 from layer to layer.
    Source: Klambauer, Unterthiner, Mayr and Hochreiter, Self-normalizing neural networks, 2017,
    https://arxiv.org/abs/1706.02515.
    """

    name = "selu"

    def decompose(self, x: Tensor) -> Tensor:
        return 1.0507009873554805 * elu(x, 1.6732632423543772)

    cases = Case(f32["n", 4]), Case([-30.0, -0.1, 0.1, 2.0]), Case([0.0, np.inf, np.nan])


@register
class Softplus(Real):
    """log(1 + exp(x)), without overflow.

    d/dx = σ(x)
    Source: Dugas, Bengio, Bélisle, Nadeau and Garcia, Incorporating second-order functional
    knowledge for better option pricing, 2001.
    """

    name = "softplus"

    @in_single_precision
    def kernel(self, x: NDArray[Any]) -> Any:
        return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))

    def gradient(self, x: Tensor, out: Tensor, g: Tensor) -> Tensor:
        return g * sigmoid(x)

    cases = (
        Case(f32["n", 4]),
        Case([-700.0, -40.0, 0.0, 40.0, 1e3]),
        Case([-np.inf, np.inf, np.nan]),
    )


@register
class LogSigmoid(Activation):
    """log σ(x) = -softplus(-x), without overflow.

    d/dx = σ(-x)
    """

    name = "log_sigmoid"

    def decompose(self, x: Tensor) -> Tensor:
        return -softplus(-x)

    cases = Case(f32["n", 4]), Case([-1e3, -40.0, 0.0, 700.0]), Case([-np.inf, np.inf, np.nan])


@register
class Softsign(Activation):
    """x/(1 + |x|).

    d/dx = 1/(1 + |x|)²
    Source: Turian, Bergstra and Bengio, Quadratic features and deep architectures for chunking,
    2009.
    """

    name = "softsign"

    def decompose(self, x: Tensor) -> Tensor:
        return x / (1 + abs(x))

    def gradient(self, x: Tensor, out: Tensor, g: Tensor) -> Tensor:
        return g / square(1 + abs(x))

    cases = Case(f32["n", 4]), Case([-1e10, 1e-10, 3.0]), Case([0.0, np.nan], smooth=False)


@register
class Silu(Activation):
    """The sigmoid linear unit x σ(x), also called swish.

    Source: Elfwing, Uchibe and Doya, Sigmoid-weighted linear units for neural network function
    approximation in reinforcement learning, 2018, https://arxiv.org/abs/1702.03118.
    """

    name = "silu"

    def decompose(self, x: Tensor) -> Tensor:
        return x * sigmoid(x)

    cases = Case(f32["n", 4]), Case([-700.0, -30.0, 0.0, 1e3]), Case([np.inf, np.nan])


@register
class Mish(Activation):
    """x tanh(softplus(x)).

    Source: Misra, Mish: a self regularized non-monotonic activation function, 2019,
    https://arxiv.org/abs/1908.08681.
    """

    name = "mish"

    def decompose(self, x: Tensor) -> Tensor:
        return x * tanh(softplus(x))

    cases = Case(f32["n", 4]), Case([-700.0, -30.0, 0.0, 1e3]), Case([np.inf, np.nan])


@register
class Gelu(Activation):
    """The Gaussian error linear unit x Φ(x), Φ being the normal distribution function.

    approximate: "none" for Φ(x) = erfc(-x/√2)/2 itself, or "tanh" for
                 Φ(x) ≈ (1 + tanh(z))/2 = σ(2z), where z = √(2/π) (x + 0.044715 x³)

    Source: Hendrycks and Gimpel, Gaussian error linear units, 2016,
    https://arxiv.org/abs/1606.08415.
    """

    name = "gelu"

    approximate: Literal["none", "tanh"]

    def infer(self, x: TensorType) -> TensorType:
        if self.approximate not in ("none", "tanh"):
            raise AttributeValueError(
                f'approximate must be "none" or "tanh", got {self.approximate!r}'
            )
        return self.typed(x)

    def decompose(self, x: Tensor) -> Tensor:
        # By erfc and σ, where 1 + erf and 1 + tanh would cancel for negative x.
        if self.approximate == "none":
            return 0.5 * x * erfc(-math.sqrt(0.5) * x)
        z = x * (1 + 0.044715 * square(x))
        return x * sigmoid(math.sqrt(8 / math.pi) * z)

    cases = (
        Case(f32["n", 4], approximate="none"),
        Case([-2.0, 0.0, 30.0], approximate="none"),
        Case([np.inf, np.nan], approximate="none"),
        Case(f32["n", 4], approximate="tanh"),
        Case([-2.0, 0.0, 30.0], approximate="tanh"),
    )
    rejects = (
        Reject(i32[3], approximate="none", message="needs a floating input, got i32[3]"),
        Reject(f32[3], approximate="erf", message='must be "none" or "tanh", got \'erf\''),
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
selu = Selu()
softplus = Softplus()
log_sigmoid = LogSigmoid()
softsign = Softsign()
silu = Silu()
mish = Mish()
hard_sigmoid = HardSigmoid()
hard_swish = HardSwish()


def leaky_relu(x: TensorLike, alpha: float = 0.01) -> Tensor:
    """x where x > 0, else alpha · x; see `LeakyRelu`."""
    return LeakyRelu(alpha)(x)


def elu(x: TensorLike, alpha: float = 1.0) -> Tensor:
    """x where x > 0, else alpha · (exp(x) - 1); see `Elu`."""
    return Elu(alpha)(x)


def gelu(x: TensorLike, approximate: Literal["none", "tanh"] = "none") -> Tensor:
    """x times the normal distribution function of x, exactly or by tanh; see `Gelu`."""
    return Gelu(approximate)(x)
