"""Native code for a plan: the kernels of its steps, compiled.

Views take no code: the steps that read them know where they lie. What has no generator, or none
that will do, stays a step on NumPy; the reason is kept.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from graphwright.compiler.native import (
    copy,
    creation,
    cumulative,
    extremum_index,
    fused,
    gather,
    joining,
    random_bits,
    scatter,
)
from graphwright.compiler.native.attention import forward, gradient
from graphwright.compiler.native.contraction import matmul
from graphwright.compiler.native.generators import Kernels, generator_of
from graphwright.compiler.native.ir import NoFunction
from graphwright.compiler.native.kernel import Context, Kernel, Routine
from graphwright.compiler.native.math import FUNCTIONS
from graphwright.compiler.native.objects import Compiled, compiled
from graphwright.compiler.native.operand import Operand
from graphwright.compiler.native.target import Target
from graphwright.compiler.plan import Plan, Step

FAMILIES = (
    copy,
    creation,
    cumulative,
    extremum_index,
    forward,
    fused,
    gather,
    gradient,
    joining,
    matmul,
    random_bits,
    scatter,
)
"""The modules whose generators there are."""


@dataclass(frozen=True)
class StepCode:
    """The code of a step.

    kernels: to run one after the other; none for a view, and for a step on NumPy
    reason:  why it runs on NumPy, or empty
    """

    kernels: tuple[Kernel, ...] = ()
    reason: str = ""


@dataclass(frozen=True)
class NativeCode:
    """The code of a plan.

    steps:   that of each step, in the plan's order
    objects: the machine code of each text, and where it was found
    writing: seconds that it took to write all texts
    making:  seconds until the machine code of all was there
    checked: whether its loads and stores are checked
    besides: the machine code of other texts, which will be asked for next
    """

    target: Target
    steps: tuple[StepCode, ...]
    objects: dict[str, Compiled]
    writing: float
    making: float
    checked: bool = False
    besides: tuple[Compiled, ...] = ()


def generate(
    plan: Plan,
    target: Target | None = None,
    *,
    checked: bool = False,
    besides: Sequence[str] = (),
) -> NativeCode:
    """Write and compile the kernels of a plan.

    target:  the CPU; the host's if not given
    checked: whether loads and stores are checked to lie within their operands
    besides: other texts for the same target, to be compiled at the same time
    """
    target = target or Target.host()
    start = time.perf_counter()
    steps = write(plan, target, checked=checked)
    texts = texts_of(steps)
    written = time.perf_counter()
    made = compiled([*texts, *besides], target)
    objects = dict(zip(texts, made, strict=False))
    done = time.perf_counter()
    further = tuple(made[len(texts) :])
    return NativeCode(target, steps, objects, written - start, done - written, checked, further)


def write(plan: Plan, target: Target, *, checked: bool = False) -> tuple[StepCode, ...]:
    """The code of each step, for any CPU, and not compiled."""
    writer = _Writer(plan, Context(target, FUNCTIONS, checked))
    return tuple(writer.code(step) for step in plan.steps)


def texts_of(steps: Iterable[StepCode]) -> list[str]:
    """The texts of all kernels, and of the routines that they call."""
    kernels = [kernel for step in steps for kernel in step.kernels]
    texts = [kernel.text for kernel in kernels]
    texts += [a.text for kernel in kernels for a in kernel.arguments if isinstance(a, Routine)]
    return list(dict.fromkeys(texts))


class _Writer:
    """Writes the kernels of steps; those of equal operators on operands that lie alike once."""

    def __init__(self, plan: Plan, context: Context) -> None:
        self.plan = plan
        self.context = context
        self.written: dict[tuple[Any, ...], Kernels] = {}

    def code(self, step: Step) -> StepCode:
        """The code of a step."""
        if step.view:
            return StepCode()
        generator = generator_of(step.op)
        if generator is None:
            return StepCode(reason=f"{step.op.name} has no native code")
        values = tuple(dict.fromkeys((*step.inputs, *step.outputs)))
        # By their places among the step's own values, not in the plan, operands compare.
        inputs, outputs = (
            tuple(self.operand(number, values.index(number)) for number in numbers)
            for numbers in (step.inputs, step.outputs)
        )
        key = (step.op, inputs, outputs)
        kernels = self.written.get(key)
        if kernels is None:
            try:
                kernels = generator(step.op, inputs, outputs, self.context)
            except NoFunction as missing:
                kernels = f"there is no vector function {missing}"
            self.written[key] = kernels
        if isinstance(kernels, str):
            return StepCode(reason=kernels)
        return StepCode(tuple(kernel.on(values) for kernel in kernels))

    def operand(self, number: int, name: int) -> Operand:
        """A value of the plan, under another number."""
        value = self.plan.values[number]
        return Operand(name, value.type, *value.place)
