"""Print a graph in a language that `parse` reads back.

::

    graph(x: f32[batch,784]) {
      parameter w: f32[784,10]
      %0: f32[batch,10] = matmul(x, w)
      %1: f32[10] = sum(%0, axes=(0,), keepdims=False)
      return %1
      update w = %7
    }

Numbers follow the graph's order, so that equal graphs print alike.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from graphwright.graph.array import FrozenArray
from graphwright.graph.dtype import is_floating, short_name

if TYPE_CHECKING:
    from graphwright.graph.graph import Graph
    from graphwright.graph.node import Node
    from graphwright.graph.tensor import Tensor

_INLINE = 64  # elements of a constant that are written out; more become base64
_ELIDED = 8  # elements of a constant that are shown when elision is asked for


def text(graph: Graph, *, sources: bool = False, elide: bool = False) -> str:
    """The graph in the printed language.

    sources: end each line with the scope and the user's lines, as a comment
    elide:   shorten long constants to `…`; such text is for reading and does not parse
    """
    return "\n".join(_graph_lines(graph, sources, elide))


def tensor_names(graph: Graph) -> dict[Tensor, str]:
    """How each tensor of the graph is printed: its own name, or `%` and a number."""
    names: dict[Tensor, str] = {}
    for tensor in (*graph.inputs, *graph.parameters):
        names[tensor] = str(tensor.name)
    number = 0
    for node in graph.operations:
        for tensor in node.outputs:
            names[tensor] = f"%{number}"
            number += 1
    return names


def inner_names(
    node: Node, inner: Graph, names: Mapping[Tensor, str], part: str = ""
) -> dict[Tensor, str]:
    """What the tensors of a graph within `node` are called from outside: `%5.2`, for its `%2`.

    names: those of the graph around it
    part:  what the graph is to a node that holds several: `%5.then.2`
    """
    prefix = ".".join(word for word in (names[node.outputs[0]], part) if word)
    return {x: f"{prefix}.{name.removeprefix('%')}" for x, name in tensor_names(inner).items()}


def nested_names(graph: Graph) -> dict[Tensor, str]:
    """How each tensor of the graph is called, and each of the graphs within it."""
    found: dict[Tensor, str] = {}
    known = [(graph, tensor_names(graph))]
    for around, names in known:  # which grows
        for tensor, name in names.items():
            found.setdefault(tensor, name)
        for node in around.operations:
            held = {"": node.op.body} if node.op.body is not None else node.op.graphs
            for part, inner in held.items():
                known.append(
                    (inner, inner_names(node, inner, names, part if len(held) > 1 else ""))
                )
    return found


def _graph_lines(graph: Graph, sources: bool, elide: bool) -> list[str]:
    names = tensor_names(graph)
    inputs = ", ".join(f"{tensor.name}: {tensor.type}" for tensor in graph.inputs)
    lines = [f"graph({inputs}) {{"]
    lines += [f"  parameter {tensor.name}: {tensor.type}" for tensor in graph.parameters]
    for node in graph.operations:
        outputs = ", ".join(f"{names[tensor]}: {tensor.type}" for tensor in node.outputs)
        line = f"  {outputs} = {operation_text(node, names, elide)}"
        lines.append(line + _provenance(node) if sources else line)
    lines.append("  return " + ", ".join(names[tensor] for tensor in graph.outputs))
    lines += [f"  update {p.name} = {names[tensor]}" for p, tensor in graph.updates.items()]
    return [line.rstrip() for line in [*lines, "}"]]


def operation_text(node: Node, names: dict[Tensor, str], elide: bool = True) -> str:
    """`sum(%0, axes=(0,), keepdims=False)`."""
    arguments = [names[tensor] for tensor in node.inputs]
    for name, value in node.op.attributes.items():
        arguments.append(f"{name}={value_text(value, elide)}")
    return f"{node.op.name}({', '.join(arguments)})"


def value_text(value: Any, elide: bool = False) -> str:
    """An attribute's value in the printed language."""
    if isinstance(value, tuple):
        items = ", ".join(value_text(item, elide) for item in value)
        return f"({items},)" if len(value) == 1 else f"({items})"
    if isinstance(value, str):
        return json.dumps(value)
    if isinstance(value, np.dtype):
        return short_name(value)
    if isinstance(value, FrozenArray):
        return _array_text(value, elide)
    if hasattr(value, "operations"):  # a graph within a graph
        # Lines may be several themselves, where graphs hold graphs.
        return "\n".join(_graph_lines(value, sources=False, elide=elide)).replace("\n", "\n  ")
    return str(value)


def _array_text(value: FrozenArray, elide: bool) -> str:
    array = value.array
    if elide and array.size > _ELIDED:
        return f"{value.type}{{…}}"
    if array.size <= _INLINE:
        items = [_element_text(element) for element in array.ravel()]
        if is_floating(array.dtype):
            again = np.array([float(item) for item in items]).astype(array.dtype)
            exact = again.tobytes() == array.tobytes()
        else:
            exact = True
        if exact:
            return f"{value.type}{{{', '.join(items)}}}"
    return f'{value.type}"{base64.b64encode(array.tobytes()).decode()}"'


def _element_text(element: Any) -> str:
    if isinstance(element, np.bool_ | np.integer):
        return str(element.item())
    return repr(float(str(element)))  # short: 0.1 for float32, not 0.10000000149011612


def _provenance(node: Node) -> str:
    words = [word for word in (node.scope, str(node.source)) if word]
    return "  # " + "  ".join(words) if words else ""
