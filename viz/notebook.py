"""How notebooks show tensors, graphs and compiled functions."""

from __future__ import annotations

from typing import Any

from graphwright.graph import display
from graphwright.graph.errors import GraphwrightError, RenderError
from graphwright.graph.tensor import Tensor
from graphwright.viz.builder import view_of
from graphwright.viz.dot import dot
from graphwright.viz.draw import graph_of, render
from graphwright.viz.fold import fitted
from graphwright.viz.mermaid import mermaid
from graphwright.viz.text import text

NODES = 250
"""Of a graph with more, whole scopes are shown as single nodes, so that a cell is not held up."""


def mimebundle(what: Any) -> dict[str, str]:
    """What `gw.draw` can draw, by MIME type, for Jupyter and IPython.

    `text/plain` always: one line for a tensor, the graph as text for the others. `image/svg+xml`
    where the program `dot` is installed, else `text/vnd.mermaid`, which JupyterLab draws. Never
    raises a GraphwrightError: displaying is no place for one.
    """
    plain = repr(what)
    try:
        whole = view_of(graph_of(what))
        if not isinstance(what, Tensor):
            plain = text(whole)
        view = fitted(whole, lambda smaller: len(smaller.vertices) <= NODES)
        try:
            picture = {"image/svg+xml": render(dot(view), "svg").decode()}
        except RenderError:
            picture = {"text/vnd.mermaid": mermaid(view)}
    except GraphwrightError:
        picture = {}
    return {"text/plain": plain, **picture}


display.formatter = mimebundle
