"""What builders take besides tensors, read off their annotations.

`groups: int` is a whole number and nothing else: no boolean, no 2.0. What NumPy makes of numbers
and booleans becomes Python's own. Only the annotations named here say something; tensors, shapes
and axes have checks of their own.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple, TypeAlias, get_args, get_origin

import numpy as np

from graphwright.graph.dim import Dim
from graphwright.graph.errors import AttributeValueError

AnyFloat: TypeAlias = float
"""As an annotation: a number, and nan is one. `float` has no nan."""

_LONGEST = 60
_NOT = object()
"""What a kind gives for a value that is not of it."""


class Declared:
    """The arguments of a builder that have a kind, which is what their annotations say."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._parameters = inspect.signature(function).parameters
        names = function.__globals__
        kinds = {name: _kind(p.annotation, names) for name, p in self._parameters.items()}
        self._kinds = {name: kind for name, kind in kinds.items() if kind is not None}
        positional = [
            p.name for p in self._parameters.values() if p.kind is p.POSITIONAL_OR_KEYWORD
        ]
        pairs = enumerate(positional)
        self._places = [(i, name) for i, name in pairs if name in self._kinds]

    def __bool__(self) -> bool:
        return bool(self._kinds)

    def checked(
        self, given: Sequence[Any], named: Mapping[str, Any]
    ) -> tuple[list[Any], dict[str, Any]]:
        """The same arguments. Raises AttributeValueError for one that is not of its kind."""
        arguments, attributes = list(given), dict(named)
        for place, name in self._places:
            if place < len(arguments):
                arguments[place] = self._checked(name, arguments[place])
        for name in attributes.keys() & self._kinds.keys():
            attributes[name] = self._checked(name, attributes[name])
        return arguments, attributes

    def _checked(self, name: str, value: Any) -> Any:
        kind = self._kinds[name]
        own = kind.convert(value)
        if own is _NOT:
            raise AttributeValueError(
                f"{name} must be {kind.words}, got {shown(value)}",
                hint=f'it is declared as "{_declared(self._parameters[name])}"',
            )
        return own


def shown(value: object) -> str:
    """`value` in a few words, for messages: what users give may be of any length."""
    if isinstance(value, int) and value.bit_length() > 4 * _LONGEST:
        return f"a number of {value.bit_length()} bits"
    words = " ".join(repr(value).split())
    return words if len(words) <= _LONGEST else f"{words[:_LONGEST]}…"


def _declared(parameter: inspect.Parameter) -> str:
    default = "" if parameter.default is parameter.empty else f" = {parameter.default!r}"
    return f"{parameter.name}: {parameter.annotation}{default}"


class _Kind(NamedTuple):
    """convert: a value of this kind to Python's own, another to `_NOT`."""

    words: str
    convert: Callable[[Any], Any]


def _whole(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        return _NOT
    return int(value) if abs(int(value)) < 2**63 else _NOT


def _any_float(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
        return _NOT
    if isinstance(value, int | np.integer):
        return int(value) if abs(int(value)) < 2**1023 else _NOT
    return float(value)


def _float(value: Any) -> Any:
    number = _any_float(value)
    return _NOT if isinstance(number, float) and math.isnan(number) else number


def _boolean(value: Any) -> Any:
    return bool(value) if isinstance(value, bool | np.bool_) else _NOT


def _size(value: Any) -> Any:
    return value if isinstance(value, Dim) else _whole(value)


def _instance(kind: type) -> Callable[[Any], Any]:
    return lambda value: value if isinstance(value, kind) else _NOT


_KINDS = {
    "int": _Kind("a whole number", _whole),
    "float": _Kind("a number", _float),
    "AnyFloat": _Kind("a number", _any_float),
    "bool": _Kind("True or False", _boolean),
    "str": _Kind("a string", _instance(str)),
    "Size": _Kind("a size", _size),
    "None": _Kind("None", _instance(type(None))),
}


_ANY = _Kind("element", lambda value: value)  # is checked elsewhere
_TENSOR = _Kind("tensor", lambda value: value)


def _kind(annotation: object, names: Mapping[str, object]) -> _Kind | None:
    """What an annotation says, in the module of these names; None where that is not known here."""
    parts = [_part(part, names) for part in str(annotation).split(" | ")]
    known = [part for part in parts if part is not None]
    if len(known) < len(parts):
        return None
    return known[0] if len(known) == 1 else _Kind(_joined(known), _first(known))


def _part(part: str, names: Mapping[str, object]) -> _Kind | None:
    alias = names.get(part)
    words = get_args(alias) if get_origin(alias) is Literal else ()
    if part.startswith("Literal['") or any(isinstance(word, str) for word in words):
        return _KINDS["str"]  # which one is for the operator to say
    if part.startswith("Sequence[") and part.endswith("]"):
        element = part[len("Sequence[") : -1]
        inner = _TENSOR if element == "TensorLike" else _kind(element, names) or _ANY
        return _Kind(f"a list of {inner.words.removeprefix('a ')}s", _each(inner))
    return _KINDS.get(part)


def _each(kind: _Kind) -> Callable[[Any], Any]:
    def convert(value: Any) -> Any:
        if isinstance(value, np.ndarray) and value.ndim == 1:
            value = tuple(value)
        if isinstance(value, str | bytes) or not isinstance(value, Sequence):
            return _NOT
        own = [kind.convert(item) for item in value]
        return _NOT if any(item is _NOT for item in own) else own

    return convert


def _first(kinds: Sequence[_Kind]) -> Callable[[Any], Any]:
    def convert(value: Any) -> Any:
        return next((own for kind in kinds if (own := kind.convert(value)) is not _NOT), _NOT)

    return convert


def _joined(kinds: Sequence[_Kind]) -> str:
    words = list(dict.fromkeys(kind.words for kind in kinds))
    return f"{', '.join(words[:-1])} or {words[-1]}" if len(words) > 1 else words[0]
