"""Activation functions by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from graphwright import ops
from graphwright.graph.tensor import Tensor
from graphwright.nn.choose import choose
from graphwright.nn.module import Module

Function: TypeAlias = Callable[[Tensor], Tensor]


def linear(x: Tensor) -> Tensor:
    """x itself."""
    return x


BY_NAME: dict[str, Function] = {
    "linear": linear,
    "relu": ops.relu,
    "leaky_relu": ops.leaky_relu,
    "elu": ops.elu,
    "selu": ops.selu,
    "gelu": ops.gelu,
    "silu": ops.silu,
    "softplus": ops.softplus,
    "sigmoid": ops.sigmoid,
    "tanh": ops.tanh,
    "softmax": ops.softmax,
    "log_softmax": ops.log_softmax,
}


def activation(choice: str | Function | None) -> Function:
    """The function of that name, `choice` itself when it is a function, `linear` for None.

    Raises AttributeValueError for an unknown name.
    """
    return linear if choice is None else choose("activation", choice, BY_NAME)


class Activation(Module):
    """An activation function as a layer: `Activation("relu")`, or any function of a tensor."""

    def __init__(self, function: str | Function, *, name: str = "") -> None:
        self.function = activation(function)
        self.name = name
        self._chosen = function

    @property
    def default_name(self) -> str:
        """The function's name."""
        if isinstance(self._chosen, str):
            return self._chosen
        known = getattr(self.function, "__name__", "")
        return known if known.isidentifier() else "activation"

    def forward(self, x: Tensor, training: bool) -> Tensor:
        return self.function(x)
