"""The graphs that a file of the compiler shows in its docstring."""

from __future__ import annotations

import re
from textwrap import dedent
from types import ModuleType

from graphwright.graph.graph import Graph
from graphwright.graph.parse import parse

_SHOWN = re.compile(r"^(?:before|after)[^\n]*::\n\n((?:    [^\n]*\n|\n)+)", re.MULTILINE)


def documented(module: ModuleType) -> list[Graph]:
    """The graphs before and after, as its docstring shows them."""
    return [parse(dedent(text)) for text in _SHOWN.findall(module.__doc__ or "")]
