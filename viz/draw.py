"""`gw.draw`: a diagram of tensors, of a graph, or of a stage of a compiled function, in a file."""

from __future__ import annotations

import importlib
import os
import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from graphwright.graph.errors import AttributeValueError, RenderError
from graphwright.graph.graph import Graph, ancestors
from graphwright.graph.leaf import Parameter
from graphwright.graph.source import here
from graphwright.graph.structure import flatten
from graphwright.graph.tensor import Tensor
from graphwright.runtime.compiled import CompiledFunction
from graphwright.viz.builder import view_of
from graphwright.viz.dot import dot
from graphwright.viz.fold import fitted
from graphwright.viz.mermaid import mermaid
from graphwright.viz.text import text
from graphwright.viz.view import GraphView

Direction = Literal["down", "right"]

_DPI = 144
_INSTALL = (
    "install Graphviz: apt-get install graphviz, brew install graphviz, or "
    "conda install -c conda-forge graphviz; .mmd and .txt need no program"
)


def draw(
    what: Any,
    path: str | os.PathLike[str],
    *,
    stage: str | None = None,
    direction: Direction = "down",
    max_nodes: int | None = 1000,
) -> Path:
    """Draw a diagram and write it to a file; the path of the file.

    what:      a tensor, tensors in tuples, lists and dicts, a `Graph`, or a compiled function
    path:      its ending says the format: `.svg`, `.png` and `.pdf` need the program `dot` of
               Graphviz; `.dot`, `.mmd` (Mermaid) and `.txt` need no program
    stage:     of a compiled function, which of its `stages` to draw: `"built"`, …; `"fused"`
               unless given
    direction: where values flow, `"down"` or to the `"right"`
    max_nodes: of a larger graph, whole scopes are drawn as single nodes; None draws everything.
               Text always tells everything.

    Scopes are boxes, fused groups have a heavy outline; branches and the bodies of loops have a
    colour of their own, and an edge back to the next step. Forward, backward and update differ in
    colour and in line style. An existing file is replaced as a whole, or left as it was when
    anything fails.

    Raises AttributeValueError for what can't be drawn, an ending, a stage or a direction that does
    not exist; RenderError when `dot` is missing or fails, or the file can't be written.
    """
    target = _target(path)
    if max_nodes is not None and max_nodes < 1:
        raise AttributeValueError(
            f"draw: max_nodes must be 1 or more, got {max_nodes}", source=here(), hint="None: all"
        )
    if direction not in ("down", "right"):
        raise AttributeValueError(
            f"draw: there is no direction {direction!r}", source=here(), hint='"down" or "right"'
        )
    view = view_of(graph_of(what, stage))
    if max_nodes is not None and target.suffix.lower() != ".txt":
        view = fitted(view, lambda smaller: len(smaller.vertices) <= max_nodes)
    _write(target, _FORMATS[target.suffix.lower()](view, direction))
    return target


def graph_of(what: Any, stage: str | None = None) -> Graph:
    """The graph that a drawing of `what` shows; see `draw`."""
    if isinstance(what, CompiledFunction):
        return _stage(what, stage)
    if stage is not None:
        raise AttributeValueError(
            "draw: only compiled functions have stages",
            source=here(),
            hint="compile it first, or leave stage out",
        )
    if isinstance(what, Graph):
        return what
    tensors = flatten(what)
    if not tensors or not all(isinstance(tensor, Tensor) for tensor in tensors):
        wrong = next((item for item in tensors if not isinstance(item, Tensor)), what)
        raise AttributeValueError(
            f"draw: {type(wrong).__name__} can't be drawn",
            source=here(),
            hint="give tensors, a gw.Graph, or a function made by gw.compile",
        )
    leaves = [node.outputs[0] for node in ancestors(tensors) if node.op.leaf]
    return Graph([leaf for leaf in leaves if not isinstance(leaf, Parameter)], tensors)


def _stage(compiled: CompiledFunction, stage: str | None) -> Graph:
    stages = compiled.stages
    name = "fused" if stage is None else stage
    if name not in stages:
        raise AttributeValueError(
            f"draw: there is no stage {name!r}", source=here(), hint=f"one of {', '.join(stages)}"
        )
    return stages[name]


def render(source: str, format: str) -> bytes:
    """DOT source laid out by the program `dot`, as svg, png or pdf.

    Raises RenderError when the program is missing, with the commands that install it, and when it
    fails.
    """
    graphviz = importlib.import_module("graphviz")  # loaded when used
    try:
        data: bytes = graphviz.backend.pipe("dot", format, source.encode(), quiet=True)
    except graphviz.ExecutableNotFound:
        raise RenderError(
            f"draw: .{format} needs the program dot, which is not installed",
            source=here(),
            hint=_INSTALL,
        ) from None
    except graphviz.CalledProcessError as error:
        words = error.stderr.decode(errors="replace").strip().splitlines() or ["it did not say why"]
        raise RenderError(
            f"draw: dot failed: {words[0]}",
            source=here(),
            hint="draw to .mmd or .txt, which need no program",
        ) from None
    # The date would make each file differ; blanks of the same length keep the PDF's offsets right.
    return re.sub(rb"/CreationDate \([^)]*\)", lambda date: b" " * len(date[0]), data)


def _target(path: str | os.PathLike[str]) -> Path:
    """The file to write, checked as far as can be before the work is done."""
    if not isinstance(path, str | os.PathLike):
        raise AttributeValueError(
            f"draw: the path must be a string or a path, got {type(path).__name__}",
            source=here(),
            hint='gw.draw(what, "diagram.svg")',
        )
    target = Path(os.path.realpath(path))  # a link stays a link, to a new file
    if target.suffix.lower() not in _FORMATS:
        raise AttributeValueError(
            f"draw: {str(path)!r} ends in no format that can be drawn",
            source=here(),
            hint=f"end it in {', '.join(_FORMATS)}",
        )
    if not target.parent.is_dir():
        raise RenderError(
            f"draw: the folder of {str(path)!r} does not exist", source=here(), hint="make it first"
        )
    return target


def _write(target: Path, data: bytes) -> None:
    """Write the whole file, or leave what is there."""
    unfinished = target.with_name(f".{target.name}.{os.getpid()}-{threading.get_ident()}")
    try:
        unfinished.write_bytes(data)
        unfinished.replace(target)
    except OSError as error:
        raise RenderError(
            f"draw: {target.name} can't be written: {error.strerror}", source=here()
        ) from None
    finally:
        unfinished.unlink(missing_ok=True)


_FORMATS: dict[str, Callable[[GraphView, Direction], bytes]] = {
    ".svg": lambda view, direction: render(dot(view, direction), "svg"),
    ".png": lambda view, direction: render(dot(view, direction, _DPI), "png"),
    ".pdf": lambda view, direction: render(dot(view, direction), "pdf"),
    ".dot": lambda view, direction: dot(view, direction).encode(),
    ".mmd": lambda view, direction: mermaid(view, direction).encode(),
    ".txt": lambda view, direction: text(view).encode(),
}
