"""Values of operators' attributes: numbers, names, dtypes, sizes, graphs, and tuples of these."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from typing import Any

from graphwright.graph.dim import Dim, Sizes, evaluate


def bind_attribute(value: Any, sizes: Sizes) -> Any:
    """An attribute value with its symbolic sizes replaced by numbers."""
    if isinstance(value, Dim):
        return evaluate(value, sizes)
    if isinstance(value, tuple):
        return tuple(bind_attribute(item, sizes) for item in value)
    bind: Callable[[Sizes], Any] | None = getattr(value, "bind", None)
    return bind(sizes) if bind is not None else value


def is_symbolic(value: Any) -> bool:
    """True when a size in it is not a number."""
    if isinstance(value, tuple):
        return any(is_symbolic(item) for item in value)
    return isinstance(value, Dim) or bool(getattr(value, "symbolic", False))


def frozen(value: Any) -> Any:
    """The value as something to compare and to hash by: floats by their bits, but nan is nan."""
    if isinstance(value, float):
        return "float", struct.pack("<d", math.nan if math.isnan(value) else value)
    if isinstance(value, bool):
        return "bool", value
    if isinstance(value, tuple):
        return tuple(frozen(item) for item in value)
    return value
