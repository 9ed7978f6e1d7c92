"""Writes docs/operators.md: every operator in a row, from what the classes say of themselves.

.venv/bin/python scripts/operators.py            write the file
.venv/bin/python scripts/operators.py --check    exit with 1 where it is not up to date
"""

from __future__ import annotations

import importlib
import inspect
import re
import sys
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

import graphwright as gw
from graphwright.graph.errors import GraphwrightError
from graphwright.graph.graph import Graph
from graphwright.graph.operator import Operator, operators
from graphwright.testing.example import Example
from graphwright.testing.precision import converted_operator

PAGE = Path(__file__).parents[1] / "docs" / "operators.md"

HEAD = """\
# Operators

{count} operators, {composites} of them composites. Each is one class, which says all of this
itself, and more in its docstring: attributes, formulas, what it refuses. Call them as
`gw.ops.name(...)`; the methods of tensors, and the names that `gw` itself has too, are the same
functions. This page is made by `scripts/operators.py`.

- **Takes**: what the first input may be; inputs are brought to one dtype where NumPy does so too.
- **Gradient**: whether `gw.grad` goes through it, in as many orders as wanted, and if not, why.
- **Batches**: how `gw.vmap` applies it to many inputs at once: *broadcasts* for an elementwise
  operator, by a *rule* of its own, by its *parts* for a composite. None of them runs a loop.
- **Made of**: the operators of a composite that the compiler sees in its place.
- **Source**: where the formula is from; the class says it in full.

{families}
"""
COLUMNS = ("Operator", "What it is", "Takes", "Gradient", "Batches", "Made of", "Source")

# The modules of each family; those that are in none get a family of their own, at the end.
FAMILIES = {
    "Arithmetic and functions of each element": (
        "arithmetic exponential trigonometric error_function normal_quantile rounding extremum "
        "floating"
    ),
    "Comparisons, logic, bits and choices": "comparison logical bitwise selection nonzero",
    "Activations": "rectifier activation gating",
    "Reductions and running reductions": "reduction statistics norm median cumulative recurrence",
    "Making tensors": "creation linspace convert leaf",
    "Shape and movement": "movement slicing joining repetition padding triangle rearrange",
    "Elements by index, and order": "gather along_axis gather_nd scatter sorting",
    "Products and linear algebra": (
        "linear einsum tensor_products product distance solve determinant decomposition singular "
        "least_squares matrix_functions"
    ),
    "Convolutions, windows, pools and images": (
        "convolution window unfold pooling adaptive_pooling unpooling resize grid_sample"
    ),
    "Normalization": "normalization batch_norm group_norm",
    "Attention, embeddings and recurrent cells": (
        "attention attention_forward attention_gradient multi_head_attention embedding position "
        "recurrent_cells"
    ),
    "Losses": (
        "regression_loss binary_loss classification_loss multiclass_loss likelihood_loss "
        "embedding_loss ctc"
    ),
    "Random numbers": "keys philox random sampling dropout",
    "Signals": "fourier spectrogram",
    "Control flow and derivatives": "cond scan while_loop custom_gradient checkpoint fused",
}
FAMILY = {module: family for family, all in FAMILIES.items() for module in all.split()}

# Of an operator that is no function of the vocabulary, how to come by it.
CALLS = {
    "input": "gw.input(name, shape=(), dtype=float32)",
    "parameter": "gw.parameter(name, value, dtype=None)",
    "constant": "gw.constant(value, dtype=None)",
    "fused": "made by the compiler",
}
# Too plain to say what a composite is made of.
PLAIN = {"constant", "size", "cast", "reshape", "broadcast_to"}
PARTS = 7


def page() -> str:
    """The whole file."""
    own = [op for op in operators.values() if op.__module__.startswith("graphwright.")]
    places = {module: place for place, module in enumerate(FAMILY)}
    own.sort(key=lambda op: (places.get(module(op), len(places)), module(op)))
    families = [(title, list(members)) for title, members in groupby(own, heading)]
    head = HEAD.format(
        count=len(own),
        composites=sum(op.composite for op in own),
        families="\n".join(f"- [{title}](#{anchor(title)})" for title, _ in families),
    )
    return "\n".join([head, *(part for family in families for part in section(*family))])


def section(title: str, members: list[type[Operator]]) -> Iterator[str]:
    yield f"## {title}\n"
    yield from ("| " + " | ".join(COLUMNS) + " |", "|---" * len(COLUMNS) + "|")
    for op in members:
        cells = [
            f"[`{call(op)}`](../{path(op)})",
            plain(meaning(op)),
            takes(op),
            gradient(op),
            batches(op),
            made_of(op),
            source(op),
        ]
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
    yield ""


def module(op: type[Operator]) -> str:
    return op.__module__.split(".")[-1]


def path(op: type[Operator]) -> str:
    """Its file, in the repository."""
    return "/".join(op.__module__.split(".")[1:]) + ".py"


def heading(op: type[Operator]) -> str:
    """The family."""
    return FAMILY.get(module(op)) or module(op).replace("_", " ").capitalize()


def anchor(title: str) -> str:
    """What GitHub makes of a heading."""
    return re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-")


def call(op: type[Operator]) -> str:
    """The function that users call, without types."""
    function = getattr(gw.ops, op.name, None)
    if op.name in CALLS or function is None:
        return CALLS.get(op.name, op.name)
    words: list[str] = []
    starred = False
    for parameter in inspect.signature(function).parameters.values():
        kind, text = parameter.kind, parameter.name
        if kind is parameter.VAR_KEYWORD:
            continue
        if kind is parameter.KEYWORD_ONLY and not starred:
            words.append("*")
        starred = starred or kind in (parameter.KEYWORD_ONLY, parameter.VAR_POSITIONAL)
        if kind is parameter.VAR_POSITIONAL:
            text = f"*{text}"
        elif parameter.default is not parameter.empty:
            text += f"={written(parameter.default)}"
        words.append(text)
    return f"{op.name}({', '.join(words)})"


def written(value: Any) -> str:
    if isinstance(value, np.dtype) or (isinstance(value, type) and issubclass(value, np.generic)):
        return np.dtype(value).name
    return repr(value)


def paragraphs(op: type[Operator]) -> list[str]:
    return [" ".join(p.split()) for p in inspect.cleandoc(op.__doc__ or "").split("\n\n")]


def meaning(op: type[Operator]) -> str:
    """The first sentence."""
    return re.split(r"(?<=[.:])\s", paragraphs(op)[0])[0].rstrip(".:")


def plain(text: str) -> str:
    """As Markdown that shows the text as it is."""
    parts = text.split("`")  # every other one is code, which needs no escapes
    parts[::2] = [re.sub(r"([*_<>\[\]~])", r"\\\1", part) for part in parts[::2]]
    return "`".join(parts)


def takes(op: type[Operator]) -> str:
    """Which kinds of dtype the first input may have: those with which a case still has a type."""
    if op.leaf or not any(case.operands for case in op.cases):
        return ""
    kinds = {"floats": np.float64, "integers": np.int64, "booleans": np.bool_}
    accepted = [kind for kind, dtype in kinds.items() if accepts(op, np.dtype(dtype))]
    return "anything" if len(accepted) == len(kinds) else ", ".join(accepted)


def accepts(op: type[Operator], dtype: np.dtype) -> bool:
    return any(accepts_in(Example(op, case), dtype) for case in op.cases)


def accepts_in(example: Example, dtype: np.dtype) -> bool:
    if not example.types or op_holds_graphs(example):
        return bool(example.types) and example.types[0].dtype.kind == dtype.kind
    first = example.types[0].dtype
    types = [t.with_dtype(dtype) if t.dtype == first else t for t in example.types]
    try:
        converted_operator(example.op, dtype if dtype.kind == "f" else first).infer(*types)
    except (GraphwrightError, TypeError):
        return False
    return True


def op_holds_graphs(example: Example) -> bool:
    return example.operator.higher_order or example.op.body is not None


def gradient(op: type[Operator]) -> str:
    if op.leaf or not any(case.operands for case in op.cases):
        return ""
    if op.differentiable:
        return "yes"
    text = " ".join(paragraphs(op))
    sentences = re.split(r"(?<=[.:;])\s", text)
    why = next((s for s in sentences if re.search("(derivative|gradient) (is|are)", s)), "")
    return f"no: {plain(why[0].lower() + why[1:].rstrip('.:;'))}" if why else "no"


def batches(op: type[Operator]) -> str:
    if op.batch is not Operator.batch:
        return "rule"
    if op.composite:
        return "parts"
    return "broadcasts" if op.elementwise is True else ""


def made_of(op: type[Operator]) -> str:
    if not op.composite or op.higher_order:
        return ""
    names: dict[str, None] = {}
    for case in op.cases[:1]:
        example = Example(op, case)
        xs = example.inputs()
        answer = example.op.decompose(*xs)
        graph = Graph(xs, answer if isinstance(answer, tuple) else (answer,))
        names.update(dict.fromkeys(node.op.name for node in graph.operations))
    shown = [name for name in names if name not in PLAIN] or list(names)
    return ", ".join(shown[:PARTS]) + ", …" * (len(shown) > PARTS)


def source(op: type[Operator]) -> str:
    """First author and year of each, with the link where there is one."""
    text = " ".join(paragraphs(op))
    told = re.search(r"Sources?: (.*)", text)
    named = told or re.search(r"\(([A-Z][^()]*\b(?:18|19|20)\d\d[^()]*)\)", text)
    if not named:
        return ""
    found = []
    for part in named[1].split("; "):
        who = re.match(r"(.+?)(?:,| and | et al|\.$)", part)
        year = re.search(r"\b(?:18|19|20)\d\d\b", part)
        if who and year:
            link = re.search(r"https?://[^\s,;)]*[^\s,;).]", part)
            name = f"{who[1]} {year[0]}"
            found.append(f"[{name}]({link[0]})" if link else name)
        elif who and told:
            found.append(who[1].removeprefix("the "))
    return "; ".join(found)


def main(arguments: list[str]) -> int:
    text = page()
    if "--check" in arguments:
        current = PAGE.read_text(encoding="utf-8") if PAGE.exists() else ""
        if current != text:
            print("docs/operators.md is not up to date: run scripts/operators.py", file=sys.stderr)
        return int(current != text)
    PAGE.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    importlib.import_module("graphwright.compiler.fused")
    sys.exit(main(sys.argv[1:]))
