"""Do attributes read from text have the types that an operator's fields declare?"""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Mapping
from functools import cache
from typing import Any, Literal, Union, cast

import numpy as np

from graphwright.graph.errors import AttributeValueError, ShapeError
from graphwright.graph.operator import Operator


def check_arguments(
    operator: type[Operator], inputs: int, attributes: Mapping[str, object]
) -> None:
    """Raise unless `operator` takes that many inputs, and exactly these attributes.

    Raises ShapeError for the inputs, AttributeValueError for an attribute that is missing, that
    is not the operator's, or that is of another type than its field declares.
    """
    signature = inspect.signature(operator.infer)
    try:
        signature.bind(None, *range(inputs))
    except TypeError:
        takes = ", ".join(list(signature.parameters)[1:]) or "none"
        raise ShapeError(f"{operator.name} takes the inputs: {takes}; {inputs} are given") from None
    if attributes.keys() != set(operator.attribute_names):
        takes = ", ".join(operator.attribute_names) or "none"
        given = ", ".join(attributes) or "none"
        raise AttributeValueError(f"{operator.name} takes the attributes: {takes}; not: {given}")
    for name, expected in _declared(cast(Any, operator)).items():
        if not admits(expected, attributes[name]):
            raise AttributeValueError(
                f"{operator.name}: {name} can't be of the type {type(attributes[name]).__name__}"
            )


@cache
def _declared(operator: type[Operator]) -> dict[str, Any]:
    """The types of an operator's fields; none when they can't be told."""
    try:
        hints = typing.get_type_hints(operator)
    except NameError:  # a class defined in a function, with names from there
        return {}
    return {name: hints[name] for name in operator.attribute_names}


def admits(expected: Any, value: object) -> bool:
    """True when `value` is of the type `expected`, and where that can't be told.

    A bool is no int, and an int will do for a float.
    """
    origin, arguments = typing.get_origin(expected), typing.get_args(expected)
    if origin in (Union, types.UnionType):
        return any(admits(choice, value) for choice in arguments)
    if origin is Literal:
        return any(type(choice) is type(value) and choice == value for choice in arguments)
    if origin is tuple:
        if not isinstance(value, tuple):
            return False
        if len(arguments) == 2 and arguments[1] is ...:
            return all(admits(arguments[0], item) for item in value)
        return len(value) == len(arguments) and all(map(admits, arguments, value))
    if origin is np.dtype:
        return isinstance(value, np.dtype)
    if expected in (int, float) and isinstance(value, bool):
        return False
    if expected is float:
        return isinstance(value, int | float)
    if expected is Any or not isinstance(expected, type):
        return True
    return isinstance(value, expected)
