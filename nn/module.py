"""What a layer is: a callable that makes nodes in a scope of its own, and owns its parameters."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from functools import cached_property
from typing import Any, NamedTuple

from numpy.typing import ArrayLike

from graphwright.graph import leaf
from graphwright.graph.dtype import DType, float32
from graphwright.graph.errors import GraphError, ShapeError
from graphwright.graph.leaf import Parameter
from graphwright.graph.node import scope
from graphwright.graph.source import here
from graphwright.graph.tensor import Tensor, TensorLike
from graphwright.graph.types import Shape
from graphwright.nn.init import Initializer
from graphwright.ops.convert import as_tensor
from graphwright.ops.keys import process_seed


class _Place(NamedTuple):
    """Where in the tree of modules the present call is."""

    path: str
    seed: int
    training: bool


_current: ContextVar[_Place | None] = ContextVar("place", default=None)


class Module:
    """A layer, or a model made of layers.

    A subclass defines `forward(x, training)`. It keeps other modules as attributes (or in lists)
    and gets its own parameters from `self.parameter(...)`, which makes each one on the first call,
    when the sizes are known; later calls use the same ones, so that a training graph and an
    evaluation graph of the same object share them.

    name: the scope of its nodes and the first part of its parameters' names. Unless it is set,
          modules within others take the attribute's name, the outermost one its class's
    seed: where the initial values of all parameters inside come from; each parameter's own seed
          follows from this one and its name. That of `gw.random.seed` unless set

    >>> class Classifier(Module):
    ...     def __init__(self):
    ...         self.hidden = Dense(128, "relu")
    ...         self.output = Dense(10)
    ...
    ...     def forward(self, x, training):
    ...         return self.output(self.hidden(x))
    """

    name: str = ""
    seed: int | None = None
    _called: bool = False

    def forward(self, *inputs: Any, **_: Any) -> Tensor:
        """The output tensor for input tensors; `training` (a bool) comes by keyword."""
        raise GraphError(
            f"{type(self).__name__} has no forward",
            source=here(),
            hint=f"define forward(self, x, training) in class {type(self).__name__}",
        )

    def __call__(self, *inputs: TensorLike, training: bool | None = None) -> Tensor:
        """Make the nodes of this module on `inputs`.

        training: True gives the graph to train with (dropout drops), False the one to use; None
                  does as the module around it does, and is False for the outermost
        """
        for label, child in self.children:
            child.name = child.name or label
        name, outer = self._name, _current.get() or _Place("", process_seed(), False)
        place = _Place(
            path=f"{outer.path}/{name}".strip("/"),
            seed=outer.seed if self.seed is None else self.seed,
            training=outer.training if training is None else bool(training),
        )
        token = _current.set(place)
        try:
            with scope(name):
                result = self.forward(*map(as_tensor, inputs), training=place.training)
        finally:
            _current.reset(token)
        self._called = True
        return result

    @property
    def children(self) -> Iterator[tuple[str, Module]]:
        """The modules kept as attributes, in the order in which they were set, with their names."""
        for label, value in vars(self).items():
            if isinstance(value, Module):
                yield label, value
            elif isinstance(value, list | tuple):
                for position, item in enumerate(value):
                    if isinstance(item, Module):
                        yield f"{label}_{position}", item

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """What training changes: its own parameters, then its children's, each once.

        Raises GraphError before the first call, which makes them.
        """
        if not self._called:
            raise GraphError(
                f"{self._name} has no parameters yet: their sizes are known on the first call",
                source=here(),
                hint="call it first: y = model(x)",
            )
        found = dict.fromkeys(self._trainable.values())
        for _, child in self.children:
            if child._called:
                found.update(dict.fromkeys(child.parameters))
        return tuple(found)

    @property
    def updates(self) -> dict[Parameter, Tensor]:
        """The next values of state that changes by being called in training (dropout's counters).

        Give them to `gw.compile` beside the optimizer's:
        `updates={**optimizer.updates(loss, model.parameters), **model.updates}`.
        """
        found = dict(self._next)
        for _, child in self.children:
            found.update(child.updates)
        return found

    def parameter(
        self, name: str, shape: Shape, initializer: Initializer, dtype: DType = float32
    ) -> Parameter:
        """The trainable parameter `name` of this module, made on the first call; for `forward`.

        Raises ShapeError when a later call needs another shape.
        """
        made = self._trainable.get(name)
        if made is None:
            made = self._make(name, lambda seed: initializer(shape, seed=seed, dtype=dtype))
            self._trainable[name] = made
        if made.shape != shape or made.dtype != dtype:
            raise ShapeError(
                f"{self._name}: {name} was made as {made.type} by an earlier call, "
                f"but this input needs {made.type.with_shape(shape).with_dtype(dtype)}",
                details=[(name, made.describe())],
                source=here(),
                hint="one layer takes inputs of one size; make another layer for the others",
            )
        return made

    def state(self, name: str, value: ArrayLike) -> Parameter:
        """The parameter `name` that no optimizer changes, at first `value`; for `forward`."""
        made = self._state.get(name)
        if made is None:
            made = self._state[name] = self._make(name, lambda seed: value)
        return made

    def update(self, state: Parameter, value: Tensor) -> None:
        """Make `value` the next value of a state of this module; for `forward`."""
        self._next[state] = value

    def latest(self, state: Parameter) -> Tensor:
        """The value that earlier calls leave a state in: the last one given to `update`."""
        return self._next.get(state, state)

    @property
    def derived_seed(self) -> int:
        """This module's own seed: from the model's and the path of names; for `forward`."""
        place = self._place
        return _seed(place.seed, place.path)

    def _make(self, name: str, value: Callable[[int], ArrayLike]) -> Parameter:
        place = self._place
        path = f"{place.path}/{name}"
        return leaf.parameter(path, value(_seed(place.seed, path)))

    @property
    def default_name(self) -> str:
        """Its name when nobody gives it one: the class's, in lower case."""
        return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", type(self).__name__).lower()

    @property
    def _name(self) -> str:
        return self.name or self.default_name

    @property
    def _place(self) -> _Place:
        place = _current.get()
        if place is None:
            raise GraphError(
                f"{self._name}: parameters are made while the module is called",
                source=here(),
                hint="use self.parameter and self.state in forward",
            )
        return place

    # Made when first asked for, so that subclasses need not call super().__init__().

    @cached_property
    def _trainable(self) -> dict[str, Parameter]:
        return {}

    @cached_property
    def _state(self) -> dict[str, Parameter]:
        return {}

    @cached_property
    def _next(self) -> dict[Parameter, Tensor]:
        return {}


def _seed(seed: int, path: str) -> int:
    """A seed for each path: by a hash, so that it depends on nothing else in the model."""
    digest = hashlib.blake2b(f"{seed}:{path}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1  # an int64, as attributes are
