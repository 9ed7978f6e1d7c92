"""The workloads: each file holds our definition of one and every peer's, next to one another.

To read them: a definition is a function from a framework's module and the data to a step, which
is called again and again; `subjects` lists what there is to measure.
"""

from __future__ import annotations

from benchmarks.subject import Subject
from benchmarks.workloads import arrays, gpt, matmul, mlp


def subjects(quick: bool) -> list[Subject]:
    """All of them, in the order of reports; quick: so small that each takes no time at all."""
    return [subject for module in (mlp, gpt, arrays, matmul) for subject in module.subjects(quick)]
