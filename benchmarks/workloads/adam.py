"""Adam for the frameworks that have none of their own, each in its own words.

The formula is that of `graphwright.nn.Adam` and `torch.optim.Adam`: Kingma and Ba, Adam: A Method
for Stochastic Optimization, ICLR 2015, algorithm 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

RATE = 1e-3
BETA1, BETA2 = 0.9, 0.999
EPSILON = 1e-8


def torch_update(
    parameters: Sequence[Any],
    gradients: Sequence[Any],
    means: Sequence[Any],
    squares: Sequence[Any],
    count: Any,
) -> None:
    """In place, on tensors without autograd, for a compiler that fuses it."""
    count.add_(1)
    rate = RATE / (1 - BETA1**count)
    scale = (1 - BETA2**count).rsqrt()
    for p, g, m, v in zip(parameters, gradients, means, squares, strict=True):
        m.mul_(BETA1).add_(g, alpha=1 - BETA1)
        v.mul_(BETA2).addcmul_(g, g, value=1 - BETA2)
        p.sub_(rate * m / (v.sqrt() * scale + EPSILON))


def jax_update(jax: Any, state: Any, gradients: Any) -> Any:
    """The next (parameters, means, squares, count), to be traced within a jitted step."""
    parameters, means, squares, count = state
    each = jax.tree.map
    count = count + 1
    rate = RATE / (1 - BETA1**count)
    scale = 1 / jax.numpy.sqrt(1 - BETA2**count)
    means = each(lambda m, g: BETA1 * m + (1 - BETA1) * g, means, gradients)
    squares = each(lambda v, g: BETA2 * v + (1 - BETA2) * g * g, squares, gradients)
    parameters = each(
        lambda p, m, v: p - rate * m / (jax.numpy.sqrt(v) * scale + EPSILON),
        parameters,
        means,
        squares,
    )
    return parameters, means, squares, count


def jax_state(jax: Any, parameters: Any) -> Any:
    """What the optimizer starts with."""

    def zeros() -> Any:
        return jax.tree.map(jax.numpy.zeros_like, parameters)

    return parameters, zeros(), zeros(), jax.numpy.zeros((), jax.numpy.float32)


def pytensor_updates(pytensor: Any, parameters: Sequence[Any], gradients: Sequence[Any]) -> Any:
    """The updates of shared variables, for `pytensor.function`."""
    tensor, f32 = pytensor.tensor, np.float32
    count = pytensor.shared(np.zeros((), np.int64))
    exact = (count + 1).astype("float64")
    rate = (RATE / (1 - BETA1**exact)).astype("float32")
    scale = (1 / tensor.sqrt(1 - BETA2**exact)).astype("float32")
    updates = [(count, count + 1)]
    for p, g in zip(parameters, gradients, strict=True):
        mean, square = (pytensor.shared(np.zeros_like(p.get_value())) for _ in range(2))
        m = f32(BETA1) * mean + f32(1 - BETA1) * g
        v = f32(BETA2) * square + f32(1 - BETA2) * g * g
        step = rate * m / (tensor.sqrt(v) * scale + f32(EPSILON))
        updates += [(mean, m), (square, v), (p, p - step)]
    return updates


class NumpyAdam:
    """In place, without temporaries: what a careful hand would write."""

    def __init__(self, parameters: Sequence[NDArray[Any]]) -> None:
        self.parameters = parameters
        self.means = [np.zeros_like(p) for p in parameters]
        self.squares = [np.zeros_like(p) for p in parameters]
        self.spare = [(np.empty_like(p), np.empty_like(p)) for p in parameters]
        self.count = 0

    def update(self, gradients: Sequence[NDArray[Any]]) -> None:
        """Change the parameters."""
        self.count += 1
        rate = RATE / (1 - BETA1**self.count)
        scale = (1 - BETA2**self.count) ** -0.5
        state = zip(self.parameters, gradients, self.means, self.squares, self.spare, strict=True)
        for p, g, m, v, (a, b) in state:
            np.multiply(g, 1 - BETA1, out=a)
            m *= BETA1
            m += a
            np.multiply(g, g, out=a)
            a *= 1 - BETA2
            v *= BETA2
            v += a
            np.sqrt(v, out=a)
            a *= scale
            a += EPSILON
            np.multiply(m, rate, out=b)
            b /= a
            p -= b
