"""Where the time of a call goes, step by step."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from os import PathLike
from pathlib import Path
from statistics import median
from typing import Any

from graphwright.compiler.fused import Fused
from graphwright.compiler.native.generate import NativeCode
from graphwright.compiler.plan import Plan, Step
from graphwright.compiler.report import quantity, step_flops, table
from graphwright.graph.dim import Sizes, evaluate
from graphwright.graph.dtype import float32, float64
from graphwright.runtime.execute import Array
from graphwright.runtime.limits import Limits, limits
from graphwright.runtime.stepwise import StepwisePlan, StepwiseProgram, Watch

_LEAST, _MOST = 5, 100  # runs of the whole
_LONG = 0.3  # seconds of measuring, about
_NAME = 48  # letters of a kernel's name in the table


@dataclass(frozen=True)
class StepProfile:
    """One step.

    number:    its place in the plan
    kernels:   the names of its kernels; of one on NumPy, the operator's
    operators: what it computes
    source:    the user's lines
    native:    whether it has native code
    seconds:   the median of some runs, the step by itself
    flops:     floating-point operations
    nbytes:    of its operands and results
    share:     of what the machine can do in this time: of its multiply-adds, or of the bytes that
               it can move, whichever is more; what lies in caches may be moved faster
    limited:   which of the two: `compute` or `memory`
    threads:   how many share it
    """

    number: int
    kernels: tuple[str, ...]
    operators: tuple[str, ...]
    source: str
    native: bool
    seconds: float
    flops: int
    nbytes: int
    share: float
    limited: str
    threads: int


@dataclass(frozen=True)
class Profile:
    """The steps of a call, in their order; `str()` is a table.

    steps:  those that compute something
    sizes:  of the named dimensions
    limits: what the machine can do
    runs:   how often each step ran
    """

    steps: tuple[StepProfile, ...]
    sizes: dict[str, int]
    limits: Limits
    runs: int

    @property
    def seconds(self) -> float:
        """All steps together."""
        return sum(step.seconds for step in self.steps)

    def __str__(self) -> str:
        head = ("step", "kernel", "time", "%", "FLOPs", "bytes", "of limit", "threads", "source")
        rows = [head, *(self._row(step) for step in self.steps)]
        at = ", ".join(f"{name}={size}" for name, size in self.sizes.items())
        return "\n".join(
            [
                *table(rows, right={0, 2, 3, 4, 5, 6, 7}),
                "",
                f"all {len(self.steps)} steps take {_duration(self.seconds)}"
                + (f" at {at}" if at else "")
                + f", the medians of {self.runs} runs, each step by itself",
                f"the limit of {self.limits.threads} threads:"
                f" {quantity(self.limits.single, 'FLOP')}/s in float32,"
                f" {quantity(self.limits.double, 'FLOP')}/s in float64,"
                f" {quantity(self.limits.bandwidth, 'B')}/s from and to memory",
            ]
        )

    def _row(self, step: StepProfile) -> tuple[str, ...]:
        part = 100 * step.seconds / self.seconds if self.seconds else 0.0
        name = ", ".join(dict.fromkeys(step.kernels))
        return (
            str(step.number),
            _shortened(name if step.native else f"{name} (NumPy)"),
            _duration(step.seconds),
            f"{part:.1f}",
            quantity(step.flops),
            quantity(step.nbytes, "B"),
            f"{100 * step.share:.0f} % {step.limited}" if step.flops or step.nbytes else "",
            str(step.threads),
            step.source,
        )

    def chrome_trace(self, path: str | PathLike[str]) -> None:
        """Write the steps, one after the other, as a trace that chrome://tracing, Perfetto and
        others show: complete events of the "Trace Event Format", in microseconds."""
        events: list[dict[str, Any]] = [
            {"name": "process_name", "ph": "M", "pid": 0, "args": {"name": "graphwright"}}
        ]
        start = 0.0
        for step in self.steps:
            told = {
                "step": step.number,
                "operators": list(step.operators),
                "source": step.source,
                "FLOPs": step.flops,
                "bytes": step.nbytes,
                "share of limit": round(step.share, 4),
                "limited by": step.limited,
                "threads": step.threads,
            }
            events.append(
                {
                    "name": ", ".join(dict.fromkeys(step.kernels)),
                    "cat": "native" if step.native else "numpy",
                    "ph": "X",
                    "ts": start,
                    "dur": step.seconds * 1e6,
                    "pid": 0,
                    "tid": 0,
                    "args": told,
                }
            )
            start += step.seconds * 1e6
        trace = {"traceEvents": events, "displayTimeUnit": "ms"}
        Path(path).write_text(json.dumps(trace, indent=1) + "\n", encoding="utf-8")


class _Clock(Watch):
    """How long each step took, in each run."""

    def __init__(self) -> None:
        self.seconds: dict[int, list[float]] = {}

    def after(self, step: Step, outputs: list[Array], seconds: float) -> None:
        self.seconds.setdefault(id(step), []).append(seconds)


def profile(
    plan: Plan, code: NativeCode | None, sizes: dict[str, int], inputs: Sequence[Array]
) -> Profile:
    """Run a plan some times, on NumPy without code; parameters stay as they are."""
    clock = _Clock()
    shared: set[int] = set()
    if code is None:
        program = StepwiseProgram(plan, sizes, clock)
        runs = _repeated(partial(program.walk, inputs), clock)
    else:
        bound = StepwisePlan(plan, code, sizes, clock)
        state = [parameter.value for parameter in plan.graph.parameters]
        runs = _repeated(partial(bound.walk, inputs, state), clock)
        shared = {id(step) for step in plan.steps if bound.shares(step)}
    limit = limits()
    steps = []
    for number, step in enumerate(plan.steps):
        if step.view:
            continue
        seconds = median(clock.seconds[id(step)])
        kernels = code.steps[number].kernels if code is not None else ()
        flops, nbytes = step_flops(plan, step, sizes), _bytes(plan, step, sizes)
        share, limited = _share(plan, step, flops, nbytes, seconds, limit)
        steps.append(
            StepProfile(
                number,
                tuple(kernel.name for kernel in kernels) or (step.op.name,),
                _operators(step),
                str(step.node.source),
                bool(kernels),
                seconds,
                flops,
                nbytes,
                share,
                limited,
                limit.threads if id(step) in shared else 1,
            )
        )
    return Profile(tuple(steps), sizes, limit, runs)


def _repeated(walk: Callable[[], None], clock: _Clock) -> int:
    """Run it as often as it takes; the first run, in which all is cold, does not count."""
    walk()
    clock.seconds.clear()
    start, runs = time.perf_counter(), 0
    while runs < _LEAST or (runs < _MOST and time.perf_counter() - start < _LONG):
        walk()
        runs += 1
    return runs


def _operators(step: Step) -> tuple[str, ...]:
    if not isinstance(step.op, Fused):
        return (step.op.name,)
    return tuple(dict.fromkeys(node.op.name for node in step.op.graph.operations if node.inputs))


def _bytes(plan: Plan, step: Step, sizes: Sizes) -> int:
    """Of operands and results; of what is broadcast, no more than lies in memory."""
    values = [plan.values[number] for number in dict.fromkeys((*step.inputs, *step.outputs))]
    pairs = ((value.type.nbytes, plan.buffers[value.buffer].nbytes) for value in values)
    return sum(min(evaluate(own, sizes), evaluate(whole, sizes)) for own, whole in pairs)


def _share(
    plan: Plan, step: Step, flops: int, nbytes: int, seconds: float, limit: Limits
) -> tuple[float, str]:
    """The share of the machine's limit, and of which of the two."""
    wide = any(plan.values[n].type.dtype == float64 for n in step.outputs)
    computing = flops / limit.flops(float64 if wide else float32)
    moving = nbytes / limit.bandwidth
    least = max(computing, moving)
    return (least / seconds if seconds else 0.0), ("compute" if computing > moving else "memory")


def _duration(seconds: float) -> str:
    """`1.25 ms`, `340 µs`."""
    for unit, scale in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= scale:
            return f"{seconds / scale:.3g} {unit}"
    return f"{seconds * 1e9:.0f} ns"


def _shortened(name: str) -> str:
    return name if len(name) <= _NAME else name[: _NAME - 1] + "…"
