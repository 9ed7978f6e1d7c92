"""What a diagram says of a node, in few characters."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from graphwright.graph.graph import Graph
from graphwright.graph.leaf import Constant, Input, ParameterLeaf
from graphwright.graph.node import Node
from graphwright.graph.source import Source
from graphwright.graph.text import value_text
from graphwright.ops.convert import SizeValue
from graphwright.viz.view import Role

_DETAIL = 40  # characters that are shown of one attribute
_LINES = 4  # source lines that are listed for one node


def role_of(node: Node) -> Role:
    """What a node is drawn as."""
    if isinstance(node.op, Input):
        return "input"
    if isinstance(node.op, ParameterLeaf):
        return "parameter"
    return "constant" if isinstance(node.op, Constant | SizeValue) else "operation"


def title_of(node: Node) -> str:
    """The name of an input or a parameter, the value or type of a constant, else the operator."""
    op = node.op
    if isinstance(op, Input | ParameterLeaf):
        return op.label
    if isinstance(op, SizeValue):
        return str(op.value)
    if isinstance(op, Constant):
        array = op.value.array
        return str(array.ravel()[0]) if array.size == 1 else str(op.value.type)
    return op.name


def detail_of(node: Node) -> str:
    """The type of an input or a parameter, the attributes of an operator."""
    if node.op.leaf:
        return str(node.outputs[0].type)
    return "" if role_of(node) == "constant" else ", ".join(_attributes(node))


def _attributes(node: Node) -> Iterator[str]:
    """The attributes that say more than the output's type, which stands on the edge, and than the
    graphs of a branch or a loop, which are drawn."""
    type = node.outputs[0].type
    for name, value in node.op.attributes.items():
        told = (isinstance(value, tuple) and value == type.shape) or (
            isinstance(value, np.dtype) and value == type.dtype
        )
        drawn = isinstance(value, Graph) or (name in ("carried", "slices") and node.op.graphs)
        if told or drawn or value is False or value is None:
            continue
        text = value_text(value, elide=True)
        yield f"{name}={text if len(text) <= _DETAIL else text[:_DETAIL] + '…'}"


def places_text(source: Source) -> str:
    """`train.py:14, train.py:15`; a long list is cut short."""
    places = list(dict.fromkeys(str(line) for line in source.lines[:_LINES]))
    if len(source.lines) > _LINES:
        places.append("…")
    return _printable(", ".join(places))


def code_text(source: Source) -> str:
    """The text of the first line, `logits = x @ w`; empty when unknown."""
    return _printable(source.lines[0].text) if source.lines else ""


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text)
