"""Run a plan: a loop over kernels that write into preallocated NumPy buffers and decide nothing."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Protocol, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from graphwright.compiler.plan import ALIGNMENT, Layout, Plan, Step
from graphwright.graph.errors import GraphwrightError
from graphwright.graph.evaluate import located
from graphwright.graph.leaf import present, replacing, state

Array: TypeAlias = NDArray[Any]
Slots: TypeAlias = list[Any]  # the array of each value by number; None while it has none
Call: TypeAlias = Callable[[Slots], None]

_KEPT = 16  # combinations of sizes whose programs are kept

UPDATING = threading.RLock()
"""Held by a call that updates parameters: such calls run one after the other."""


class Program:
    """A plan bound to concrete sizes: every arena value has its array, every kernel is chosen.

    It owns its arena, so one call runs at a time; `Executor` makes one for each caller at work.
    """

    fits: Callable[..., int] | None = None

    def __init__(self, plan: Plan, sizes: dict[str, int]) -> None:
        self.plan = plan
        self.parameters = plan.graph.parameters
        self.updated = list(plan.graph.updates)
        self.layout: Layout = plan.layout(sizes)
        self.slots: Slots = [None] * len(plan.values)
        for number, frozen in plan.constants:
            self.slots[number] = frozen.array
        self.arena = aligned_bytes(self.layout.peak)
        self.fresh: list[tuple[int, int, tuple[int, ...], Any]] = []
        self.calls: list[tuple[Call, Step]] = []
        for step in plan.steps:
            op = step.op.bind(sizes)
            if step.view:
                self._bind_view(step, op.kernel)
                continue
            for number in step.outputs:
                self._bind_output(number, sizes)
            self.calls.append((_call(op.kernel_into, step), step))

    def _bind_output(self, number: int, sizes: dict[str, int]) -> None:
        value = self.plan.values[number]
        kind = value.type.bind(sizes)
        shape: Any = kind.shape
        # The next value of a parameter is fresh here: until the call ends, the old one stays.
        if self.plan.buffers[value.buffer].kind in ("result", "parameter"):
            self.fresh.append((number, value.buffer, shape, kind.dtype))
        else:
            start, nbytes = self.layout.offsets[value.buffer], kind.nbytes
            array = self.arena[start : start + nbytes]
            self.slots[number] = array.view(kind.dtype).reshape(shape)

    def _bind_view(self, step: Step, view: Callable[[Array], Array]) -> None:
        """A view of an array known now is taken now; others are taken in each run."""
        (base, *_), (output,) = step.inputs, step.outputs
        known = self.slots[base]
        if known is not None:
            self.slots[output] = view(known)
            if self.slots[output].size and not np.may_share_memory(known, self.slots[output]):
                raise GraphwrightError(
                    "the kernel copies, where the operator's `view` says that it does not",
                    hint="leave `view` out",
                ).located(step.op.name, (), step.node.source)
        else:

            def call(slots: Slots) -> None:
                slots[output] = view(slots[base])

            self.calls.append((call, step))

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        """The outputs, in fresh arrays; the graph's parameters are read, and updated at the end.

        Raises what kernels raise, with the user's line; then no parameter has changed.
        """
        if not self.updated:
            return self.results(inputs)
        with UPDATING:
            results = self.results(inputs)
            count = len(results) - len(self.updated)
            with state:
                replacing(self.updated, results[count:])()
        return results[:count]

    def results(self, inputs: Sequence[Array]) -> list[Array]:
        """The outputs, and the next values of the parameters that are updated, in fresh arrays."""
        slots = list(self.slots)  # so that nothing of the caller's is kept afterwards
        for number, array in zip(self.plan.inputs, inputs, strict=True):
            slots[number] = array
        for number, array in zip(self.plan.parameters, present(self.parameters), strict=True):
            slots[number] = array
        owned: dict[int, Array] = {}
        for number, buffer, shape, dtype in self.fresh:
            if buffer not in owned:
                owned[buffer] = np.empty(shape, dtype)
            slots[number] = owned[buffer].reshape(shape)
        with np.errstate(all="ignore"):
            for call, step in self.calls:
                try:
                    call(slots)
                except Exception as error:
                    raise located(error, step.op, step.node.source) from None
        handed_out: set[int] = set()
        results: list[Array] = []
        for number in self.plan.results:
            buffer = self.plan.values[number].buffer
            mine = buffer in owned and buffer not in handed_out
            results.append(slots[number] if mine else slots[number].copy())
            handed_out.add(buffer)
        return results


def _call(into: Callable[..., None], step: Step) -> Call:
    operands = step.inputs
    if len(step.outputs) > 1:
        outputs = step.outputs

        def call(slots: Slots) -> None:
            into(tuple([slots[n] for n in outputs]), *[slots[n] for n in operands])

    else:
        (output,) = step.outputs

        def call(slots: Slots) -> None:
            into(slots[output], *[slots[n] for n in operands])

    return call


def aligned_bytes(count: int) -> Array:
    """`count` bytes of memory that start at a multiple of ALIGNMENT."""
    raw = np.empty(count + ALIGNMENT, np.uint8)
    start = -raw.ctypes.data % ALIGNMENT
    return raw[start : start + count]


class Bound(Protocol):
    """A plan bound to concrete sizes; one call runs at a time."""

    @property
    def fits(self) -> Callable[..., int] | None:
        """Gives -1 for arrays that it can run on as they are; None where others are to tell."""

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        """The outputs; parameters are updated."""


class Executor:
    """The programs of one plan by size, lent to one caller at a time; safe from several threads."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self._names = plan.names
        self._lock = threading.Lock()
        self._idle: OrderedDict[tuple[int, ...], list[Bound]] = OrderedDict()
        self._latest: list[Bound] = []  # of these, those of the sizes last asked for

    def make(self, sizes: dict[str, int]) -> Bound:
        """A program for these sizes."""
        return Program(self.plan, sizes)

    def run_fitting(self, arrays: Sequence[object]) -> list[Array] | None:
        """The outputs for arrays like those of the call before; None if they are not like them."""
        idle = self._latest
        try:
            program = idle.pop()
        except IndexError:
            return None
        try:
            if program.fits is None or program.fits(*arrays) != -1:
                return None
            return program.run(cast(Sequence[Array], arrays))
        finally:
            idle.append(program)

    def run(self, arrays: Sequence[Array], sizes: dict[str, int]) -> list[Array]:
        """The outputs for arrays of these sizes, by a program that nobody else runs now."""
        idle, program = self._lent(sizes)
        try:
            return program.run(arrays)
        finally:
            idle.append(program)

    def _lent(self, sizes: dict[str, int]) -> tuple[list[Bound], Bound]:
        """A program for these sizes, and where to put it afterwards."""
        key = tuple([sizes[name] for name in self._names])
        with self._lock:
            idle = self._latest = self._idle.setdefault(key, [])
            self._idle.move_to_end(key)
            while len(self._idle) > _KEPT:
                self._idle.popitem(last=False)
        program = None
        with suppress(IndexError):  # all are at work
            program = idle.pop()
        return idle, program or self.make(sizes)
