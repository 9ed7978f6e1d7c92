"""`check="nan"`: stop at the first step that makes nan or infinity of what has none."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from graphwright.compiler.fused import Fused
from graphwright.compiler.native.generate import NativeCode
from graphwright.compiler.plan import Plan, Step
from graphwright.graph.dim import Sizes
from graphwright.graph.dtype import is_floating
from graphwright.graph.errors import CheckError
from graphwright.graph.evaluate import evaluate_graph
from graphwright.graph.node import Node
from graphwright.runtime.execute import Array, Executor
from graphwright.runtime.stepwise import StepwisePlan, StepwiseProgram, Watch


class FinitePlan(StepwisePlan):
    """A native plan that stops where nan or infinity arises."""

    def __init__(self, plan: Plan, code: NativeCode, sizes: dict[str, int]) -> None:
        super().__init__(plan, code, sizes, _Finite(plan, sizes))


class FiniteExecutor(Executor):
    """Runs a plan on NumPy, and stops where nan or infinity arises."""

    def make(self, sizes: dict[str, int]) -> StepwiseProgram:
        return StepwiseProgram(self.plan, sizes, _Finite(self.plan, sizes))


class _Finite(Watch):
    """Raises CheckError after a step that makes nan or infinity of what has none.

    It names the operator and the user's line: of a group, those of the operation within it. What
    is not finite because an input or a constant is not is no error; but a nan is, unless there
    was one before.
    """

    def __init__(self, plan: Plan, sizes: Sizes) -> None:
        self.plan = plan
        self.sizes = sizes
        self._given: list[Array] = []

    def before(self, step: Step, inputs: list[Array]) -> None:
        self._given = [array.copy() for array in inputs]  # the step may write over them

    def after(self, step: Step, outputs: list[Array], seconds: float) -> None:
        if not _arises(self._given, outputs):
            return
        if isinstance(step.op, Fused) and not self._found_within(step.op):
            return
        names = [self.plan.values[number].name or "an operand" for number in step.inputs]
        raise _error(step.node, outputs, list(zip(names, self._given, strict=True)))

    def _found_within(self, op: Fused) -> bool:
        """Find the operation in a group by NumPy, and raise for it. When there is none, True if
        NumPy's results are finite, and False if it all comes from a constant in the group."""
        known = dict(zip(op.graph.inputs, self._given, strict=True))

        def watch(node: Node, results: Iterable[Array]) -> None:
            made = list(results)
            known.update(zip(node.outputs, made, strict=True))
            given = [known[tensor] for tensor in node.inputs]
            if given and _arises(given, made):
                names = [tensor.node.op.name for tensor in node.inputs]
                raise _error(node, made, list(zip(names, given, strict=True)))

        results = evaluate_graph(op.graph, dict(known), self.sizes, watch)
        return not _arises(self._given, results)


def _arises(before: Iterable[Array], after: Iterable[Array]) -> bool:
    """Whether there is nan where there was none, or infinity where all was finite."""
    infinite, nan = _kinds(after)
    if not (infinite or nan):
        return False
    was_infinite, was_nan = _kinds(before)
    return nan > was_nan or infinite > (was_infinite or was_nan)


def _kinds(arrays: Iterable[Array]) -> tuple[bool, bool]:
    """Whether there is an infinity, and whether there is a nan."""
    wide = [array.astype(np.float64) for array in arrays if is_floating(array.dtype)]
    return any(np.isinf(x).any() for x in wide), any(np.isnan(x).any() for x in wide)


def _error(
    node: Node, results: Sequence[Array], operands: Sequence[tuple[str, Array]]
) -> CheckError:
    nan = _kinds(results)[1] and not _kinds(array for _, array in operands)[1]
    number, made = next((i, a) for i, a in enumerate(results) if _kinds([a])[nan])
    wide = made.astype(np.float64)
    wrong = np.isnan(wide) if nan else np.isinf(wide)
    at = tuple(int(i) for i in np.argwhere(wrong)[0])
    what = "nan" if nan else "infinity"
    place = f", the first at {list(at)}" if at else ""
    details = [("result", f"{node.outputs[number].type}: {int(wrong.sum())} of {made.size}{place}")]
    for name, array in operands:
        if array.size and array.dtype.kind != "b":
            values = array.astype(np.float64)
            details.append((name, f"from {values.min():.6g} to {values.max():.6g}"))
    return CheckError(
        f"{node.op.name} gives {what}, and was given none", details=details, source=node.source
    )
