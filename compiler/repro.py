"""Write a folder from which a pass that broke a graph can be studied and run again."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

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
        parameter.value = arrays[str(parameter.name)]
    outputs, updates = gw.interpret(graph, *(arrays[str(t.name)] for t in graph.inputs))
    print(stage, *outputs, *updates.values(), sep="\\n")
'''


def write_repro(
    step: str, before: Graph, after: Graph, values: Sample, wrong: str, rule: str | None
) -> Path:
    """The folder: `before.txt`, `after.txt`, `values.npz`, `repro.py` and `README.txt`.

    It is made under GRAPHWRIGHT_DUMP when that is set, else among the temporary files.
    """
    parent = settings().dump
    if parent is not None:
        parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f"graphwright-repro-{step}-", dir=parent))
    (folder / "before.txt").write_text(text(before) + "\n", encoding="utf-8")
    (folder / "after.txt").write_text(text(after) + "\n", encoding="utf-8")
    bindings, _ = values
    np.savez(folder / "values.npz", **{str(t.name): array for t, array in bindings.items()})  # type: ignore[arg-type]
    (folder / "repro.py").write_text(_SCRIPT.format(step=step), encoding="utf-8")
    blame = f"The rule that did it: {rule}\n" if rule else ""
    (folder / "README.txt").write_text(
        f"The pass {step} broke the graph: {wrong}\n{blame}"
        "Run repro.py to see the values before and after.\n",
        encoding="utf-8",
    )
    return folder
