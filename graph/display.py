"""How notebooks show tensors, graphs and compiled functions.

The language does not import its diagrams: `graphwright.viz` puts its formatter here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

formatter: Callable[[Any], dict[str, str]] | None = None
"""From an object to what it looks like, by MIME type."""


class Displayed:
    """Shown as a diagram by Jupyter and IPython."""

    __slots__ = ()

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        """IPython's protocol; it picks what it needs of the bundle itself."""
        return {"text/plain": repr(self)} if formatter is None else formatter(self)
