"""Write a folder from which what went wrong can be studied, and run again."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graphwright.compiler.settings import settings
from graphwright.compiler.verify import Sample
from graphwright.graph.graph import Graph
from graphwright.graph.text import text

_SCRIPT = '''"""Interpret the graph before and after the pass `{step}` on the same values."""

from pathlib import Path

import numpy as np

import graphwright as gw

here = Path(__file__).parent
arrays = np.load(here / "values.npz")
for stage in ("before", "after"):
    graph = gw.parse((here / f"{{stage}}.txt").read_text(encoding="utf-8"))
    for parameter in graph.parameters:
        parameter.value = arrays[f"{{parameter.name}}.value"].astype(parameter.dtype)
    values = [arrays[f"{{tensor.name}}.value"].astype(tensor.dtype) for tensor in graph.inputs]
    outputs, updates = gw.interpret(graph, *values)
    print(stage, *outputs, *updates.values(), sep="\\n")
'''

_STEP_SCRIPT = '''"""Run the operation on NumPy and in native code, on the same values."""

from pathlib import Path

import numpy as np

import graphwright as gw

here = Path(__file__).parent
arrays = np.load(here / "values.npz")
graph = gw.parse((here / "step.txt").read_text(encoding="utf-8"))
values = [arrays[f"{tensor.name}.value"].astype(tensor.dtype) for tensor in graph.inputs]
for backend in ("numpy", "native"):
    run = gw.compile(graph.inputs, graph.outputs, backend=backend)
    print(backend, *run(*values), sep="\\n")
'''


def write_repro(
    step: str, before: Graph, after: Graph, values: Sample, wrong: str, rule: str | None
) -> Path:
    """The folder: `before.txt`, `after.txt`, `values.npz`, `repro.py` and `README.txt`.

    It is made under GRAPHWRIGHT_DUMP when that is set, else among the temporary files.
    """
    folder = _folder(step)
    (folder / "before.txt").write_text(text(before) + "\n", encoding="utf-8")
    (folder / "after.txt").write_text(text(after) + "\n", encoding="utf-8")
    bindings, _ = values
    np.savez(folder / "values.npz", **{f"{t.name}.value": _plain(a) for t, a in bindings.items()})  # type: ignore[arg-type]
    (folder / "repro.py").write_text(_SCRIPT.format(step=step), encoding="utf-8")
    blame = f"The rule that did it: {rule}\n" if rule else ""
    (folder / "README.txt").write_text(
        f"The pass {step} broke the graph: {wrong}\n{blame}"
        "Run repro.py to see the values before and after.\n",
        encoding="utf-8",
    )
    return folder


def write_step_repro(
    step: str, graph: Graph, values: Sequence[NDArray[Any]], kernels: Sequence[str], wrong: str
) -> Path:
    """The folder: `step.txt`, `values.npz`, `kernel0.ll` …, `repro.py` and `README.txt`.

    graph:   the one operation
    kernels: the texts of its native code
    """
    folder = _folder(step)
    (folder / "step.txt").write_text(text(graph) + "\n", encoding="utf-8")
    for number, kernel in enumerate(kernels):
        (folder / f"kernel{number}.ll").write_text(kernel, encoding="utf-8")
    named = zip(graph.inputs, values, strict=True)
    np.savez(folder / "values.npz", **{f"{t.name}.value": _plain(a) for t, a in named})  # type: ignore[arg-type]
    (folder / "repro.py").write_text(_STEP_SCRIPT, encoding="utf-8")
    (folder / "README.txt").write_text(
        f"Native code of {step} is wrong: {wrong}\n"
        "Run repro.py to see what NumPy and native code make of the same values.\n",
        encoding="utf-8",
    )
    return folder


def _folder(step: str) -> Path:
    """A new folder, under GRAPHWRIGHT_DUMP when that is set, else among the temporary files."""
    parent = settings().dump
    if parent is not None:
        parent.mkdir(parents=True, exist_ok=True)
    return Path(tempfile.mkdtemp(prefix=f"graphwright-repro-{step}-", dir=parent))


def _plain(array: NDArray[Any]) -> NDArray[Any]:
    """What NumPy's own files can hold: bfloat16, which they can't, becomes float32."""
    return array.astype(np.float32) if array.dtype.kind == "V" else array
