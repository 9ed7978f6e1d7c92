"""Diagrams: plain text, Mermaid, DOT, and what `dot` makes of it: SVG, PNG, PDF.

Reading order: `view` (what there is to draw), `wiring`, `flow` and `builder` (from a graph to a
view), `style`, `text`, `mermaid`, `layout`, `dot` (from a view to a language), `fold`, `draw`.
"""

from graphwright.viz.builder import view_of
from graphwright.viz.draw import draw
from graphwright.viz.notebook import mimebundle
from graphwright.viz.view import GraphView

__all__ = ["GraphView", "draw", "mimebundle", "view_of"]
