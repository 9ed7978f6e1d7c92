"""Where values enter a graph: inputs, parameters and constants."""

from __future__ import annotations

import re
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from operator import attrgetter, is_
from typing import Any, cast

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from graphwright.graph.array import FrozenArray, coerce, dense
from graphwright.graph.dim import Dim, Size, dim
from graphwright.graph.dtype import as_dtype, float32
from graphwright.graph.errors import (
    AttributeValueError,
    GraphwrightError,
    InputError,
    ShapeError,
)
from graphwright.graph.node import Node
from graphwright.graph.operator import Operator, register
from graphwright.graph.source import here
from graphwright.graph.tensor import Tensor
from graphwright.graph.types import Shape, TensorType

state = threading.RLock()
"""Held by who reads or replaces values of parameters, and by functions that work in their memory.
Parameters may be shared between functions, so there is one lock, not one each."""

_LABEL = re.compile(r"[A-Za-z_](?:[\w./-]|:(?=[\w./-]))*\Z", re.ASCII)
_KEYWORDS = {"graph", "parameter", "return", "update", "from"}


@register
class Input(Operator):
    """An array that the caller gives."""

    name = "input"
    leaf = True

    label: str
    type: TensorType

    def infer(self) -> TensorType:
        return self.type


@register
class ParameterLeaf(Operator):
    """Named state that lives outside the graph; see `Parameter`."""

    name = "parameter"
    leaf = True

    label: str
    type: TensorType

    def infer(self) -> TensorType:
        return self.type


@register
class Constant(Operator):
    """An array known while the graph is built. Takes any array."""

    name = "constant"

    value: FrozenArray

    def infer(self) -> TensorType:
        return self.value.type

    def kernel(self) -> NDArray[Any]:
        return self.value.array

    def flops(self) -> Size:
        return 0


class Parameter(Tensor):
    """A tensor whose value is state: it stays between calls, and `updates` give its next value.

    Made by `gw.parameter`. An array read from `value` stays as it was: a compiled function writes
    a next value over the present one only when nobody else holds that.
    """

    __slots__ = ("_value",)

    _value: NDArray[Any] | None

    def __init__(self, node: Node, index: int, type: TensorType) -> None:
        super().__init__(node, index, type)
        self._value = None

    @property
    def value(self) -> NDArray[Any]:
        """The present value, a read-only array. Raises InputError when none was given yet."""
        with state:  # not while a function is at work in it
            value = self._value
        if value is None:
            raise InputError(
                f"parameter {self.name!r} has no value",
                source=self.node.source,
                hint="set its value: parameter.value = array",
            )
        return value

    @value.setter
    def value(self, value: ArrayLike) -> None:
        try:
            array = coerce(value, self.dtype, f"parameter {self.name!r}")
        except InputError as error:
            error.source = here()
            raise
        if array.shape != self.shape:
            raise InputError(
                f"parameter {self.name!r}: expected shape {self.shape}, got {array.shape}",
                source=here(),
                hint="a parameter keeps its shape; make another one for another",
            )
        self.replace(np.array(array, order="C"))

    def replace(self, array: NDArray[Any]) -> None:
        """Make `array`, of the right type and nobody else's, the value. Not checked."""
        array.flags.writeable = False
        with state:
            self._value = array

    @property
    def has_value(self) -> bool:
        return self._value is not None


_VALUE = attrgetter("_value")
_is_none = partial(is_, None)


def present(parameters: Sequence[Parameter]) -> list[NDArray[Any]]:
    """The values of parameters at one moment. Raises InputError for one that has none."""
    with state:
        values = list(map(_VALUE, parameters))
    if any(map(_is_none, values)):
        return [parameter.value for parameter in parameters]  # raises
    return cast(list[NDArray[Any]], values)


def replacing(
    parameters: Sequence[Parameter], arrays: Sequence[NDArray[Any]]
) -> Callable[[], object]:
    """What replaces the values of parameters, all or none: no signal handler, such as that of
    Ctrl-C, runs in between, because nothing of it is Python code."""
    for array in arrays:
        array.flags.writeable = False
    setter = Parameter.__dict__["_value"].__set__
    return partial(deque, map(setter, parameters, arrays), 0)


def input(name: str, shape: Sequence[Size | str] = (), dtype: DTypeLike = float32) -> Tensor:
    """An input of the graph: an array that each call brings.

    name:  letters, digits and `_ . / : -`; unique in a graph
    shape: a size each: a number, or a name (`"batch"`) for any number, or arithmetic on
           `gw.dim`s; equal names mean equal sizes
    dtype: float32 unless given

    >>> x = gw.input("x", ("batch", 784))

    Raises AttributeValueError for a bad name, ShapeError for a bad size, DTypeError for a bad
    dtype.
    """
    label = _checked_label(name)
    return Node(Input(label, kind := _type(label, shape, dtype)), (), (kind,)).outputs[0]


def parameter(name: str, value: ArrayLike, dtype: DTypeLike | None = None) -> Parameter:
    """Named state with a NumPy value, which compiled functions read and update.

    name:  letters, digits and `_ . / : -`; unique in a graph
    value: any array (or what NumPy makes one of); it is copied
    dtype: the array's own unless given; Python floats and lists of them become float32

    Raises AttributeValueError for a bad name, DTypeError or InputError for what is no array.
    """
    label = _checked_label(name)
    try:
        array = dense(value, None if dtype is None else as_dtype(dtype))
    except GraphwrightError as error:
        raise error.located(f"parameter {name!r}", (), here()) from None
    made = unset_parameter(label, TensorType(array.dtype, array.shape))
    made.replace(array)
    return made


def unset_parameter(name: str, type: TensorType) -> Parameter:
    """A parameter that has no value yet, as the parser makes them."""
    label = _checked_label(name)
    if type.symbolic:
        raise ShapeError(f"parameter {label!r} has a symbolic size: {type}", source=here())
    node = Node(ParameterLeaf(label, type), (), (type,), Parameter)
    return cast(Parameter, node.outputs[0])


def constant(value: object, dtype: DTypeLike | None = None) -> Tensor:
    """The array `value` as a tensor; Python floats and lists of them become float32.

    Raises DTypeError for object arrays and the like, InputError for what is no array.
    """
    try:
        frozen = FrozenArray(value, None if dtype is None else as_dtype(dtype))
    except GraphwrightError as error:
        raise error.located("constant", (), here()) from None
    return Constant(frozen)()


def _checked_label(name: object) -> str:
    if not isinstance(name, str) or not _LABEL.match(name) or name in _KEYWORDS:
        raise AttributeValueError(
            f"{name!r} can't name an input or a parameter",
            source=here(),
            hint="start with a letter or _, then letters, digits and _ . / - (and : between them)",
        )
    return name


def _type(label: str, shape: Sequence[Size | str], dtype: DTypeLike) -> TensorType:
    try:
        if isinstance(shape, str) or not isinstance(shape, Iterable):
            raise ShapeError(
                f"the shape is a tuple of sizes, got {shape!r}", hint=f"write ({shape!r},)"
            )
        return TensorType(as_dtype(dtype), _sizes(shape))
    except GraphwrightError as error:
        raise error.located(f"input {label!r}", (), here()) from None


def _sizes(shape: Sequence[Size | str]) -> Shape:
    sizes: list[Size] = []
    for size in shape:
        if isinstance(size, str):
            size = dim(size)
        elif isinstance(size, np.integer):
            size = int(size)
        if isinstance(size, bool) or not isinstance(size, int | Dim):
            raise ShapeError(
                f"{size!r} is not a size", hint='a number, a name such as "batch", or a gw.dim'
            )
        if isinstance(size, int) and size < 0:
            raise ShapeError(f"a size can't be negative, got {size}", hint='use a name: ("batch",)')
        sizes.append(size)
    return tuple(sizes)
