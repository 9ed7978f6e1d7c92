"""What is measured: one computation, and how each framework is asked for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import cycle
from math import lcm
from typing import Any, TypeAlias

Step: TypeAlias = Callable[[], Any]
"""One call, from its start until its result is there: a training step, an inference …"""

Definition: TypeAlias = Callable[[Any, Any], Step]
"""From the framework's module and the subject's data to a step.

The module is handed over, not imported, so that who measures decides when it is loaded, and so
that a reader of a workload sees what each definition uses.
"""

OURS = "graphwright"

MODULES = {
    OURS: "graphwright",
    "torch": "torch",
    "torch.compile": "torch",
    "jax": "jax",
    "pytensor": "pytensor",
    "numpy": "numpy",
}
"""The frameworks, in the order of tables, and the module that each definition is given.

NumPy is the same computation written by hand.
"""

UNITS = {"s": 1.0, "ms": 1e-3, "µs": 1e-6, "MB": 1e6}
"""What is measured is in seconds and bytes; tables and JSON have these units."""


@dataclass(frozen=True)
class Subject:
    """One computation: what each framework's definition makes a step of.

    workload:    its name, as on the command line; what follows a space is a variant
    mode:        "train", "infer" or "call"
    unit:        of its times in tables: "ms" or "µs"
    data:        makes the weights and batches, the same in every process
    definitions: by the names in `MODULES`; all compute the same
    first_call:  whether the first call and the memory are measured too
    flops:       floating-point operations of a step, where its share of the machine's limit is
                 worth a column
    seconds:     how long each framework is timed, where the default is not right
    """

    workload: str
    mode: str
    unit: str
    data: Callable[[], Any]
    definitions: Mapping[str, Definition]
    first_call: bool = False
    flops: int | None = None
    seconds: float = 3.0

    @property
    def name(self) -> str:
        """Workload and mode: what tells subjects apart."""
        return f"{self.workload} {self.mode}"


@dataclass(frozen=True)
class Batches:
    """Inputs and targets that take turns, so that no step works on what the last one left in L1.

    Their numbers have no common divisor: every input meets every target, and what can't be
    learned keeps the loss, and with it all numbers of a training step, at an ordinary size
    however often a benchmark takes it. (A model that has learned its batches by heart works with
    subnormal numbers, which are slow, and not equally so in all frameworks.)
    """

    inputs: list[Any]
    targets: list[Any]

    def turns(
        self, inputs: Callable[[Any], Any], targets: Callable[[Any], Any]
    ) -> Callable[[], tuple[Any, Any]]:
        """A function that gives the next pair; `inputs` and `targets` make a framework's arrays."""
        xs, ys = [inputs(x) for x in self.inputs], [targets(y) for y in self.targets]
        pairs = [(xs[i % len(xs)], ys[i % len(ys)]) for i in range(lcm(len(xs), len(ys)))]
        return cycle(pairs).__next__


def unchanged(array: Any) -> Any:
    """For `turns`, where a framework takes NumPy's arrays."""
    return array
