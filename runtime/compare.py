"""Compare native code, step by step, with the operators' NumPy kernels: part of `check=True`.

Each step is given what the native steps before it have made, so an error shows where it arises.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from graphwright.compiler.fused import Fused
from graphwright.compiler.group import single
from graphwright.compiler.native.generate import NativeCode
from graphwright.compiler.plan import Plan, Step
from graphwright.compiler.repro import write_step_repro
from graphwright.compiler.verify import Sample
from graphwright.graph.errors import VerificationError
from graphwright.graph.graph import Graph
from graphwright.runtime.native import Array
from graphwright.runtime.rounding import Bounded, bounded_results
from graphwright.runtime.stepwise import StepwisePlan, Watch


def compare(plan: Plan, code: NativeCode, values: Sample) -> None:
    """Run the steps of a plan on a sample, and compare each with NumPy.

    Raises VerificationError at the first disagreement, which names the step, the user's lines, the
    kernel, the element and both values, and a folder with a repro; and what kernels raise.
    """
    bindings, sizes = values
    inputs, parameters = (
        [bindings[tensor] for tensor in each] for each in (plan.graph.inputs, plan.graph.parameters)
    )
    StepwisePlan(plan, code, sizes, _Comparison(plan, code, sizes)).walk(inputs, parameters)


class _Comparison(Watch):
    """Keeps what a step is given, and compares what it makes of it."""

    def __init__(self, plan: Plan, code: NativeCode, sizes: dict[str, int]) -> None:
        self.plan = plan
        self.code = code
        self.sizes = sizes
        self._given: list[Array] = []

    def before(self, step: Step, inputs: list[Array]) -> None:
        # Copies: the step may write over them.
        self._given = [np.array(array) for array in inputs]

    def after(self, step: Step, outputs: list[Array], seconds: float) -> None:
        number = next(i for i, each in enumerate(self.plan.steps) if each is step)
        kernels = self.code.steps[number].kernels
        if not kernels:
            return
        graph = operation(step, self.plan, self.sizes)
        expected = bounded_results(graph, self._given, self.sizes)
        for position, (made, right) in enumerate(zip(outputs, expected, strict=True)):
            wrong = disagreement(made, right)
            if wrong is None:
                continue
            if len(outputs) > 1:
                wrong = f"output {position}: {wrong}"
            name = ", ".join(dict.fromkeys(kernel.name for kernel in kernels))
            texts = [kernel.text for kernel in kernels]
            folder = write_step_repro(step.op.name, graph, self._given, texts, wrong)
            raise VerificationError(
                f"the kernel `{name}` is wrong: {wrong}",
                details=[
                    ("step", f"{number}, {step.op.name}"),
                    ("made at", step.node.source.describe()),
                    ("repro", str(folder)),
                ],
                hint="this is a defect of the operator's generator of native code",
            )


def operation(step: Step, plan: Plan, sizes: dict[str, int]) -> Graph:
    """What a step computes, for sizes: the graph of a group, or one operation."""
    types = tuple(plan.values[number].type.bind(sizes) for number in step.inputs)
    op = step.op.bind(sizes)
    return op.graph if isinstance(op, Fused) else single(op, types)


def disagreement(made: Array, right: Bounded) -> str | None:
    """Where two results are further apart than rounding explains, or None."""
    expected, bound = right
    with np.errstate(all="ignore"):
        left, wanted = made.astype(np.float64), expected.astype(np.float64)
        same = (made == expected) | (np.isnan(left) & np.isnan(wanted))
        near = np.abs(left - wanted) <= bound
    wrong = ~(same | near | ~np.isfinite(bound))
    if not wrong.any():
        return None
    at: Sequence[int] = [int(i) for i in np.argwhere(wrong)[0]]
    place = f" at {at}" if at else ""
    there = tuple(at)
    allowed = f", {bound[there]:.3g} apart at most" if bound[there] else ""
    return (
        f"{int(wrong.sum())} of {made.size} elements;{place} it is {made[there]},"
        f" not {expected[there]}{allowed}"
    )
