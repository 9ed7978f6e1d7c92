"""Readers of DOT and Mermaid, as far as our diagrams go, written from their grammars.

https://graphviz.org/doc/info/lang.html, https://mermaid.js.org/syntax/flowchart.html
"""

from __future__ import annotations

import html
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from dataclasses import dataclass, field

_DOT_TOKEN = re.compile(r'"(?:\\.|[^"\\])*"|->|[{}\[\]=:]|[\w.#-]+', re.ASCII | re.DOTALL)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)

_SHAPES = {("(", ")"), ("([", "])"), ("[", "]"), ("[(", ")]"), ("[[", "]]")}
_BOX = re.compile(r'subgraph (\w+)\["([^"]*)"\]')
_VERTEX = re.compile(r'(\w+)([\[(]+)"([^"]*)"([\])]+):::(\w+)')
_EDGE = re.compile(r'(\w+) (-{2,3}>|-\.{1,2}->|={2,3}>)(?:\|"([^"]*)"\|)? (\w+)')
_KEY = re.compile(r"n\d+")
_ENTITY = re.compile(r"#(\w+);")


@dataclass
class Diagram:
    """What a diagram holds: vertices and boxes with their attributes, edges, and what is where."""

    vertices: dict[str, dict[str, str]] = field(default_factory=dict)
    boxes: dict[str, dict[str, str]] = field(default_factory=dict)
    edges: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    around: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """The boxes around each vertex and box, outermost first."""
    notes: list[str] = field(default_factory=list)

    def titles(self) -> list[str]:
        """The first line of each vertex."""
        return [vertex["label"].split("\n")[0] for vertex in self.vertices.values()]

    def find(self, title: str) -> str:
        """The one vertex that has `title` among its lines."""
        (key,) = [k for k, v in self.vertices.items() if title in v["label"].split("\n")]
        return key

    def path(self, title: str) -> list[str]:
        """The titles of the boxes around the vertex that has `title` among its lines."""
        return [self.boxes[box]["label"] for box in self.around[self.find(title)]]


def read_dot(source: str) -> Diagram:
    """Read DOT. Labels lose their markup: each cell and each line is a line."""
    tokens = list(_dot_tokens(source))
    diagram = Diagram()
    assert tokens[0] == "digraph" and tokens[2] == "{"
    path: list[str] = []
    i = 3
    while i < len(tokens):
        if tokens[i] == "}":
            if path:
                path.pop()
            i += 1
        elif tokens[i] == "subgraph":
            assert tokens[i + 2] == "{"
            diagram.around[tokens[i + 1]] = tuple(path)
            path.append(tokens[i + 1])
            i += 3
        else:
            ends, i = _dot_ends(tokens, i)
            attributes: dict[str, str] = {}
            if i < len(tokens) and tokens[i] == "[":
                attributes, i = _dot_attributes(tokens, i + 1)
            _enter(diagram, path, ends, attributes)
    assert not path
    return diagram


def _dot_tokens(source: str) -> Iterator[str]:
    i = 0
    while i < len(source):
        if source[i].isspace():
            i += 1
        elif source[i] == "<":  # an HTML-like string: XML within balanced angle brackets
            depth, start = 0, i
            while depth or i == start:
                depth += {"<": 1, ">": -1}.get(source[i], 0)
                i += 1
            yield _ESCAPE.sub(_unescape, _plain(source[start + 1 : i - 1]))
        else:
            match = _DOT_TOKEN.match(source, i)
            assert match, source[i : i + 40]
            i = match.end()
            quoted = match[0].startswith('"')
            yield html.unescape(_ESCAPE.sub(_unescape, match[0][1:-1])) if quoted else match[0]


def _unescape(match: re.Match[str]) -> str:
    return {"n": "\n", '"': '"', "\\": "\\"}[match[1]]


def _plain(markup: str) -> str:
    texts = ElementTree.fromstring(f"<label>{markup}</label>").itertext()
    return "\n".join(texts)


def _dot_ends(tokens: list[str], i: int) -> tuple[list[list[str]], int]:
    """`a:o:e -> {b c} -> d`: [[a], [b, c], [d]]."""
    ends: list[list[str]] = []
    while True:
        if tokens[i] == "{":
            close = tokens.index("}", i)
            ends.append(tokens[i + 1 : close])
            i = close + 1
        else:
            ends.append([tokens[i]])
            i += 1
            while tokens[i] == ":":  # a cell of it, a side of that
                i += 2
        if tokens[i] != "->":
            return ends, i
        i += 1


def _dot_attributes(tokens: list[str], i: int) -> tuple[dict[str, str], int]:
    attributes = {}
    while tokens[i] != "]":
        assert tokens[i + 1] == "=", tokens[i : i + 3]
        attributes[tokens[i]] = tokens[i + 2]
        i += 3
    return attributes, i + 1


def _enter(
    diagram: Diagram, path: list[str], ends: list[list[str]], attributes: dict[str, str]
) -> None:
    if len(ends) > 1:
        if attributes.get("style") != "invis":
            (tail,), (head,) = ends
            tail, head = (head, tail) if attributes.get("dir") == "back" else (tail, head)
            diagram.edges.append((tail, head, attributes))
    elif ends[0][0] == "graph" and path:
        diagram.boxes[path[-1]] = attributes
    elif ends[0][0] == "graph":
        diagram.notes.append(attributes["label"])
    elif ends[0][0] not in ("node", "edge") and attributes.get("style") != "invis":
        diagram.vertices[ends[0][0]] = attributes
        diagram.around[ends[0][0]] = tuple(path)


def read_mermaid(source: str) -> Diagram:
    """Read a Mermaid flowchart. Labels are decoded as a browser would show them."""
    diagram = Diagram()
    looks: dict[str, str] = {}
    classes: dict[str, str] = {}
    mentioned: set[str] = set()
    path: list[str] = []
    for line in source.splitlines():
        line = line.strip()
        if box := _BOX.fullmatch(line):
            diagram.around[box[1]] = tuple(path)
            diagram.boxes[box[1]] = {"label": _decoded(box[2])}
            path.append(box[1])
        elif line == "end":
            path.pop()
        elif vertex := _VERTEX.fullmatch(line):
            assert (vertex[2], vertex[4]) in _SHAPES
            diagram.vertices[vertex[1]] = {"label": _decoded(vertex[3]), "shape": vertex[2]}
            diagram.around[vertex[1]] = tuple(path)
            classes[vertex[1]] = vertex[5]
        elif edge := _EDGE.fullmatch(line):
            attributes = {"arrow": edge[2][1], "label": _decoded(edge[3] or "")}
            diagram.edges.append((edge[1], edge[4], attributes))
        elif line.startswith("classDef "):
            _, name, look = line.split(" ", 2)
            looks[name] = look
        elif line.startswith("style "):
            _, name, look = line.split(" ", 2)
            diagram.boxes[name]["style"] = look
        elif line.startswith("linkStyle "):
            _, numbers, look = line.split(" ", 2)
            for number in numbers.split(","):
                diagram.edges[int(number)][2]["style"] = look
        elif line.startswith("%% "):
            diagram.notes.append(line[3:])
        elif _KEY.fullmatch(line):  # only to be met early: it is described later
            mentioned.add(line)
        else:
            assert line in ("flowchart TB", "flowchart LR", "direction LR"), line
    assert not path and mentioned <= diagram.vertices.keys()
    for key, name in classes.items():
        diagram.vertices[key]["style"] = looks[name]
    return diagram


def _decoded(label: str) -> str:
    assert not set(label.replace("<br/>", "")) & set("`<>&")
    text = _ENTITY.sub(lambda match: chr(int(match[1])), label.replace("<br/>", "\n"))
    assert "$$" not in text  # it would be set as mathematics
    return text
