"""Activations: the elementwise functions between the layers of a network.

Most are composites: a name, and other operators that they are made of.
"""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from graphwright.graph.errors import AttributeValueError
from graphwright.graph.operator import register
from graphwright.graph.tensor import Tensor, TensorLike
from graphwright.graph.types import TensorType
from graphwright.ops.arithmetic import abs, square
from graphwright.ops.case import Case, Reject, f32, i32
from graphwright.ops.convert import builder
from graphwright.ops.elementwise import Real, in_single_precision
from graphwright.ops.error_function import erfc
from graphwright.ops.exponential import exp, expm1, sigmoid
from graphwright.ops.rectifier import Activation, Sloped
from graphwright.ops.selection import where
from graphwright.ops.trigonometric import tanh


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
class Celu(Sloped):
    """The elu whose slope is continuous whatever α is: x where x > 0, else α (exp(x/α) - 1).

    d/dx = 1 where x > 0, else exp(x/α) (at 0 too)
    Source: Barron, Continuously differentiable exponential linear units, 2017,
    https://arxiv.org/abs/1704.07483.
    """

    name = "celu"

    def infer(self, x: TensorType) -> TensorType:
        kind = super().infer(x)
        if not self.alpha > 0:
            raise AttributeValueError(f"alpha must be positive, got {self.alpha}")
        return kind

    def decompose(self, x: Tensor) -> Tensor:
        return where(x > 0, x, self.alpha * expm1(where(x > 0, 0, x) / self.alpha))

    def gradient(self, x: Tensor, out: Tensor, g: Tensor) -> Tensor:
        return where(x > 0, g, g * exp(where(x > 0, 0, x) / self.alpha))

    rejects = (
        *Sloped.rejects,
        Reject(f32[3], alpha=0.0, message="alpha must be positive, got 0.0"),
    )


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

    def lower(self, b: Any, x: Any) -> Any:
        return b.call("softplus", x)

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


selu = Selu()
softplus = Softplus()
log_sigmoid = LogSigmoid()
softsign = Softsign()
silu = Silu()
mish = Mish()


@builder
def elu(x: TensorLike, alpha: float = 1.0) -> Tensor:
    """x where x > 0, else alpha · (exp(x) - 1); see `Elu`."""
    return Elu(alpha)(x)


@builder
def celu(x: TensorLike, alpha: float = 1.0) -> Tensor:
    """x where x > 0, else alpha · (exp(x/alpha) - 1); see `Celu`."""
    return Celu(alpha)(x)


@builder
def gelu(x: TensorLike, approximate: Literal["none", "tanh"] = "none") -> Tensor:
    """x times the normal distribution function of x, exactly or by tanh; see `Gelu`."""
    return Gelu(approximate)(x)
