"""Run a plan one step after the other, and look on: for checks and measurements."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from graphwright.compiler.native.generate import NativeCode
from graphwright.compiler.plan import Plan, Step
from graphwright.runtime.execute import Array, Call, Program, Slots
from graphwright.runtime.native import BoundPlan, Part
from graphwright.runtime.stages import stages


class Watch:
    """What looks on. Subclasses say what to do; arrays are those of the run, not copies."""

    def before(self, step: Step, inputs: list[Array]) -> None:
        """Called before a step that computes something."""

    def after(self, step: Step, outputs: list[Array], seconds: float) -> None:
        """Called when it has computed, for so long. What either raises ends the run, and no
        parameter changes."""


class StepwisePlan(BoundPlan):
    """A native plan whose steps are run one by one."""

    apart = careful = True

    def __init__(self, plan: Plan, code: NativeCode, sizes: dict[str, int], watch: Watch) -> None:
        super().__init__(plan, code, sizes)
        self.watch = watch
        self._found: dict[int, Callable[[list[Array]], Array]] = {}

    def walk(self, inputs: Sequence[Array], parameters: Sequence[Array]) -> None:
        """Run all steps on these values; no parameter changes."""
        copies = [array.copy() for array in parameters]
        self._run([*inputs, *copies, *self._fresh_arrays()], self._parts)

    def _run(self, arrays: list[Array], parts: Iterable[Part]) -> None:
        parts = list(parts)
        if parts == self._parts[-1:]:
            super()._run(arrays, parts)
            return
        first = 0
        for step, end in zip(self.plan.steps, self._ends, strict=True):
            if step.view:
                continue
            self.watch.before(step, self._values(step.inputs, arrays))
            begin = time.perf_counter()
            super()._run(arrays, parts[first:end])
            seconds = time.perf_counter() - begin
            first = end
            self.watch.after(step, self._values(step.outputs, arrays), seconds)

    def shares(self, step: Step) -> bool:
        """Whether threads share a step."""
        code = next(c for s, c in zip(self.plan.steps, self._steps, strict=True) if s is step)
        return any(stage.chunk for stage in stages(self._calls(step, code)))

    def _values(self, numbers: Sequence[int], arrays: list[Array]) -> list[Array]:
        for number in numbers:
            if number not in self._found:
                self._found[number] = self._array(number)
        return [self._found[number](arrays) for number in numbers]


class StepwiseProgram(Program):
    """A plan on NumPy whose steps are looked at."""

    def __init__(self, plan: Plan, sizes: dict[str, int], watch: Watch) -> None:
        super().__init__(plan, sizes)
        self.watch = watch
        self.calls = [(self._watched(call, step), step) for call, step in self.calls]

    def walk(self, inputs: Sequence[Array]) -> None:
        """Run all steps; no parameter changes."""
        with np.errstate(all="ignore"):
            self.results(inputs)

    def _watched(self, call: Call, step: Step) -> Call:
        if step.view:
            return call

        def watched(slots: Slots) -> None:
            self.watch.before(step, [slots[number] for number in step.inputs])
            begin = time.perf_counter()
            call(slots)
            seconds = time.perf_counter() - begin
            self.watch.after(step, [slots[number] for number in step.outputs], seconds)

        return watched
