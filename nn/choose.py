"""Names for functions, as users write them: `"relu"`, `"he_normal"`."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from graphwright.graph.errors import AttributeValueError
from graphwright.graph.source import here

Function = TypeVar("Function", bound=Callable[..., Any])


def choose(kind: str, choice: str | Function, known: Mapping[str, Function]) -> Function:
    """The function of that name, or `choice` itself when it is a function.

    Raises AttributeValueError for an unknown name, with the nearest one in the hint.
    """
    if isinstance(choice, str) and choice in known:
        return known[choice]
    if not isinstance(choice, str) and callable(choice):
        return choice
    near = difflib.get_close_matches(str(choice), known, 1)
    meant = f"did you mean {near[0]!r}? " if near else ""
    raise AttributeValueError(
        f"{choice!r} is no {kind}",
        source=here(),
        hint=f"{meant}a function, or one of {', '.join(known)}",
    )
