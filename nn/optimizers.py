"""Optimizers: from a loss to the next value of every parameter, as ordinary tensors."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeAlias

import numpy as np

from graphwright import ops
from graphwright.compiler.differentiate import grad
from graphwright.graph.dtype import DType, float64, is_floating, short_name
from graphwright.graph.errors import AttributeValueError
from graphwright.graph.leaf import Parameter, parameter, unset_parameter
from graphwright.graph.node import scope
from graphwright.graph.source import here
from graphwright.graph.tensor import Tensor

Updates: TypeAlias = dict[Parameter, Tensor]


class Optimizer:
    """What optimizers share. A subclass defines `step`.

    learning_rate: a number, or a `Parameter` of rank 0, whose value can be set between calls
                   without compiling again
    """

    def __init__(self, learning_rate: float | Parameter, name: str) -> None:
        if isinstance(learning_rate, Tensor):
            if learning_rate.shape or not is_floating(learning_rate.dtype):
                raise AttributeValueError(
                    f"{name}: the learning rate must be a floating number, "
                    f"got a tensor of {learning_rate.type}",
                    source=here(),
                )
        elif not float(learning_rate) > 0:
            raise AttributeValueError(
                f"{name}: the learning rate must be above 0, got {learning_rate}", source=here()
            )
        # NumPy's scalars would widen float32 tensors; Python's numbers take the tensor's dtype.
        exact = isinstance(learning_rate, Tensor)
        self.learning_rate = learning_rate if exact else float(learning_rate)
        self.name = name
        self._state: dict[tuple[Parameter, str], Parameter] = {}

    def updates(self, loss: Tensor, parameters: Iterable[Parameter]) -> Updates:
        """The next values of `parameters`, and of the optimizer's own state: for `gw.compile`.

        loss:       a floating tensor of rank 0
        parameters: which ones to train: `model.parameters`

        State is made once for each parameter, so that several graphs share it. Parameters that
        are trained in turns need an optimizer each.
        Raises AttributeValueError when there are no parameters, GradientError when the loss does
        not depend on one.
        """
        trained = list(dict.fromkeys(parameters))
        if not trained or not all(isinstance(item, Parameter) for item in trained):
            raise AttributeValueError(
                f"{self.name}: needs parameters to train, got {trained!r}",
                source=here(),
                hint="give model.parameters, or a list of gw.parameter(...)",
            )
        gradients = grad(loss, trained)
        with scope(self.name):
            return self.step(trained, gradients)

    def step(self, parameters: Sequence[Parameter], gradients: Sequence[Tensor]) -> Updates:
        """The updates, given each parameter's gradient."""
        raise AttributeValueError(
            f"{type(self).__name__} has no step",
            source=here(),
            hint=f"define step(self, parameters, gradients) in class {type(self).__name__}",
        )

    def rate(self, dtype: DType) -> Tensor | float:
        """The learning rate, for arithmetic in `dtype`."""
        rate = self.learning_rate
        return ops.cast(rate, dtype) if isinstance(rate, Tensor) else rate

    def state(self, of: Parameter, name: str) -> Parameter:
        """The state `name` kept beside a parameter; zeros at first."""
        made = self._state.get((of, name))
        if made is None:
            made = unset_parameter(f"{self.name}/{of.name}/{name}", of.type)
            made.replace(np.zeros(of.value.shape, of.dtype))  # no copy: zeros cost no time so far
            self._state[of, name] = made
        return made


class SGD(Optimizer):
    """Stochastic gradient descent, with momentum if asked.

    ::

        g = gradient + weight_decay * p
        v = momentum * v + g
        p = p - learning_rate * (g + momentum * v   if nesterov else   v)

    Sutskever, Martens, Dahl and Hinton, On the importance of initialization and momentum in deep
    learning, ICML 2013, with the learning rate outside the velocity, as in PyTorch: a new rate
    acts at once. `weight_decay` adds weight_decay/2 * |p|² to the loss.

    Raises AttributeValueError for a momentum outside [0, 1), nesterov without momentum, a negative
    weight decay.
    """

    def __init__(
        self,
        learning_rate: float | Parameter,
        momentum: float = 0.0,
        nesterov: bool = False,
        weight_decay: float = 0.0,
        *,
        name: str = "sgd",
    ) -> None:
        super().__init__(learning_rate, name)
        _check(f"{name}: momentum", momentum)
        if nesterov and not momentum:
            raise AttributeValueError(f"{name}: nesterov needs a momentum above 0", source=here())
        if weight_decay < 0:
            raise AttributeValueError(
                f"{name}: weight_decay must be 0 or more, got {weight_decay}", source=here()
            )
        self.momentum = float(momentum)
        self.nesterov = nesterov
        self.weight_decay = float(weight_decay)

    def step(self, parameters: Sequence[Parameter], gradients: Sequence[Tensor]) -> Updates:
        updates: Updates = {}
        for p, gradient in zip(parameters, gradients, strict=True):
            with scope(str(p.name)):
                g = gradient + self.weight_decay * p if self.weight_decay else gradient
                if self.momentum:
                    velocity = self.state(p, "velocity")
                    v = updates[velocity] = self.momentum * velocity + g
                    g = g + self.momentum * v if self.nesterov else v
                updates[p] = p - self.rate(p.dtype) * g
        return updates


class Adam(Optimizer):
    """Adam: steps scaled by running means of the gradient and of its square.

    ::

        t = t + 1
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g²
        p = p - learning_rate * (m / (1 - beta1ᵗ)) / (√(v / (1 - beta2ᵗ)) + epsilon)

    Kingma and Ba, Adam: A Method for Stochastic Optimization, ICLR 2015, algorithm 1. The count t
    is state too; the corrections are computed in float64, because 1 - 0.999ᵗ loses four digits in
    float32.

    Raises AttributeValueError for a beta outside [0, 1), an epsilon that is not above 0 in the
    parameters' dtype.
    """

    def __init__(
        self,
        learning_rate: float | Parameter = 1e-3,
        beta1: float = 0.9,
        beta2: float = 0.999,
        epsilon: float = 1e-8,
        *,
        name: str = "adam",
    ) -> None:
        super().__init__(learning_rate, name)
        _check(f"{name}: beta1", beta1)
        _check(f"{name}: beta2", beta2)
        if epsilon <= 0:
            raise AttributeValueError(
                f"{name}: epsilon must be above 0, got {epsilon}", source=here()
            )
        self.beta1 = float(beta1)
        self.beta2 = float(beta2)
        self.epsilon = float(epsilon)
        self.count = parameter(f"{name}/step", np.zeros((), np.int64))

    def step(self, parameters: Sequence[Parameter], gradients: Sequence[Tensor]) -> Updates:
        count = self.count + 1
        exact = count.astype(float64)
        size = self.rate(float64) / (1 - self.beta1**exact)
        scale = 1 / ops.sqrt(1 - self.beta2**exact)
        updates: Updates = {self.count: count}
        for p, g in zip(parameters, gradients, strict=True):
            self._check_epsilon(p)
            with scope(str(p.name)):
                mean, square = self.state(p, "mean"), self.state(p, "square")
                m = updates[mean] = self.beta1 * mean + (1 - self.beta1) * g
                v = updates[square] = self.beta2 * square + (1 - self.beta2) * ops.square(g)
                deviation = ops.sqrt(v) * scale.astype(p.dtype)
                updates[p] = p - size.astype(p.dtype) * m / (deviation + self.epsilon)
        return updates

    def _check_epsilon(self, p: Parameter) -> None:
        if not np.asarray(self.epsilon).astype(p.dtype):
            raise AttributeValueError(
                f"{self.name}: epsilon {self.epsilon} is 0 in {short_name(p.dtype)}, "
                f"the type of parameter {p.name}",
                source=here(),
                hint="give a larger one: epsilon=1e-4",
            )


def _check(what: str, value: float) -> None:
    if not 0 <= value < 1:
        raise AttributeValueError(f"{what} must be from 0 to below 1, got {value}", source=here())
