"""Run a plan in native code: tables bound to memory and sizes, and one call for all steps.

Steps without native code lie between: they run on NumPy, and the native ones around them are calls
of their own.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate, pairwise
from sys import getrefcount
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from graphwright.compiler.native.generate import NativeCode, StepCode, generate
from graphwright.compiler.native.kernel import Address, Fault, Number, Shared
from graphwright.compiler.native.kernel import Argument as Slot
from graphwright.compiler.plan import Plan, Step
from graphwright.graph.dim import evaluate
from graphwright.graph.errors import VerificationError
from graphwright.graph.evaluate import evaluate_graph, located
from graphwright.runtime.boundary import aligned_table
from graphwright.runtime.execute import aligned_bytes
from graphwright.runtime.native_program import Argument, Base, KernelCall, NativeProgram, Stage
from graphwright.runtime.stages import Call, Span, stages

Array: TypeAlias = NDArray[Any]
Part: TypeAlias = Callable[[list[Array]], object]

LONG = 5_000_000
"""Picoseconds of work from which on other Python threads may run meanwhile."""
_ARENA, _SHARED = -1, -2  # where memory comes from, beside the buffers that lie elsewhere
_HOLDERS = 4
"""References to a parameter's array when nobody else has it: the parameter's own, those of the two
lists that a call makes, and the argument of `getrefcount`."""
_KEPT = 16  # combinations of sizes whose programs are kept


class BoundPlan:
    """A plan and its code bound to concrete sizes. One call runs at a time."""

    def __init__(self, plan: Plan, code: NativeCode, sizes: dict[str, int]) -> None:
        self.plan = plan
        self.code = code
        self.sizes = sizes
        layout = plan.layout(sizes)
        kernels = [kernel for step in code.steps for kernel in step.kernels]
        self._arena = aligned_bytes(layout.peak)
        self._shared = aligned_bytes(max((evaluate(k.shared, sizes) for k in kernels), default=0))
        self._error = aligned_table(1)
        self._constants = {plan.values[n].buffer: frozen.array for n, frozen in plan.constants}
        self._places: dict[int, int | Base] = {}  # of buffers
        self._offsets = layout.offsets
        self._place_buffers()
        self.fresh = self._fresh()
        self._rewritten = self._in_place()
        self._computed = {number for step in plan.steps for number in step.outputs}
        self._bind(max((evaluate(k.scratch, sizes) for k in kernels), default=0))

    # Where values lie.

    def _place_buffers(self) -> None:
        values, start = self.plan.values, self._arena.ctypes.data
        for buffer, offset in self._offsets.items():
            self._places[buffer] = start + offset
        for buffer, array in self._constants.items():
            self._places[buffer] = array.ctypes.data
        for position, number in enumerate((*self.plan.inputs, *self.plan.parameters)):
            self._places[values[number].buffer] = Base(position)

    def _fresh(self) -> list[tuple[tuple[int, ...], Any]]:
        """Shape and dtype of the arrays that each call makes, one for each result's buffer."""
        fresh: list[tuple[tuple[int, ...], Any]] = []
        first = len(self.plan.inputs) + len(self.plan.parameters)
        for number in self.plan.results:
            value = self.plan.values[number]
            if value.buffer not in self._places:
                self._places[value.buffer] = Base(first + len(fresh))
                kind = value.type.bind(self.sizes)
                fresh.append((evaluate(kind.shape, {}), kind.dtype))
        return fresh

    def _in_place(self) -> dict[int, bool]:
        """The arrays, by position, that are parameters whose next value is written over the
        present one; and whether a step may fail when that is done, or later.

        Those need a copy to work on: parameters change all or not at all.
        """
        raising = -1
        for position, code in enumerate(self.code.steps):
            if code.reason or any(Fault() in kernel.arguments for kernel in code.kernels):
                raising = position
        written: dict[int, bool] = {}
        first = len(self.plan.inputs)
        parameters = {self.plan.values[n].buffer: i for i, n in enumerate(self.plan.parameters)}
        for position, step in enumerate(self.plan.steps):
            for number in step.outputs:
                at = parameters.get(self.plan.values[number].buffer)
                if at is not None and not step.view:
                    written[first + at] = written.get(first + at, False) or position <= raising
        return written

    def _argument(self, slot: Slot) -> Argument:
        if isinstance(slot, Number):
            return evaluate(slot.size, self.sizes)
        if isinstance(slot, Address):
            place = self._places[self.plan.values[slot.value].buffer]
            offset = evaluate(slot.offset, self.sizes)
            if isinstance(place, Base):
                return Base(place.array, place.offset + offset)
            return place + offset
        if isinstance(slot, Shared):
            return int(self._shared.ctypes.data) + evaluate(slot.offset, self.sizes)
        if isinstance(slot, Fault):
            return int(self._error.ctypes.data)
        return self.code.objects[slot.text].address

    # Stages, and what lies between.

    def _bind(self, scratch: int) -> None:
        """Lay out the native steps in stages, and the parts between steps on NumPy."""
        calls: list[Call] = []
        segments: list[list[Stage]] = []
        between: list[Part] = []
        for step, code in zip(self.plan.steps, self.code.steps, strict=True):
            if code.reason:
                segments.append(stages(calls))
                between.append(self._on_numpy(step))
                calls = []
            calls += self._calls(step, code)
        segments.append(stages(calls))
        self._program = NativeProgram(
            [stage for segment in segments for stage in segment],
            len(self.plan.inputs) + len(self.plan.parameters) + len(self.fresh),
            [self._expected(number) for number in self.plan.inputs],
            error=self._error,
            scratch=scratch,
            long=sum(call.work for call in calls) >= LONG,
            held=[self._arena, self._shared, self.code],
        )
        self.fits = self._program.fits
        self._parts: list[Part] = [self._program.run]
        if between:
            ends = list(accumulate(len(segment) for segment in segments))
            runs = [self._program.part(a, b) for a, b in pairwise([0, *ends])]
            self._parts = [runs[0]]
            for part, run in zip(between, runs[1:], strict=True):
                self._parts += [part, run]

    def _expected(self, number: int) -> tuple[Any, tuple[int, ...]]:
        kind = self.plan.values[number].type.bind(self.sizes)
        return kind.dtype, evaluate(kind.shape, {})

    def _calls(self, step: Step, code: StepCode) -> Iterator[Call]:
        """The kernels of a step, on their arguments."""
        reads = [self._span(number) for number in step.inputs]
        writes = [self._span(number) for number in step.outputs]
        for kernel in code.kernels:
            tiles = evaluate(kernel.tiles, self.sizes)
            if tiles:
                function = self.code.objects[kernel.text].address
                arguments = [self._argument(slot) for slot in kernel.arguments]
                if kernel.shared:
                    writes = [*writes, Span(_SHARED, 0, 1)]
                call = KernelCall(function, arguments, tiles)
                yield Call(call, evaluate(kernel.work, self.sizes), reads, writes)

    def _span(self, number: int) -> Span:
        """The memory that holds a value."""
        buffer = self.plan.values[number].buffer
        if buffer in self._offsets:
            start = self._offsets[buffer]
            return Span(
                _ARENA, start, start + evaluate(self.plan.buffers[buffer].nbytes, self.sizes)
            )
        return Span(buffer, 0, 1)

    def _on_numpy(self, step: Step) -> Part:
        op = step.op.bind(self.sizes)
        inputs = [self._array(number) for number in step.inputs]
        outputs = [self._array(number) for number in step.outputs]

        def run(arrays: list[Array]) -> None:
            given = [array(arrays) for array in inputs]
            made = [array(arrays) for array in outputs]
            try:
                with np.errstate(all="ignore"):
                    op.kernel_into(made[0] if len(made) == 1 else tuple(made), *given)
            except Exception as error:
                raise located(error, op, step.node.source) from None

        return run

    def _array(self, number: int) -> Callable[[list[Array]], Array]:
        """A value as an array, from the arrays of a call."""
        value = self.plan.values[number]
        kind = value.type.bind(self.sizes)
        shape: Any = kind.shape
        item = kind.dtype.itemsize
        offset = evaluate(value.place.offset, self.sizes) * item
        strides: Any = tuple(item * evaluate(stride, self.sizes) for stride in value.place.strides)
        if 0 in shape:
            offset, strides = 0, None  # a view of nothing may start outside of its memory
        place = self._places[value.buffer]
        if isinstance(place, Base):
            position = place.array
            return lambda arrays: np.ndarray(shape, kind.dtype, arrays[position], offset, strides)
        base = self._constants.get(value.buffer, self._arena)
        offset += place - base.ctypes.data
        array = np.ndarray(shape, kind.dtype, base, offset, strides)
        return lambda arrays: array

    def run(self, inputs: Sequence[Array], parameters: Sequence[Array]) -> list[Array]:
        """The results, in fresh arrays. Raises what kernels raise, with the user's line."""
        arrays = [*inputs, *parameters, *[np.empty(shape, dtype) for shape, dtype in self.fresh]]
        for position, fails in self._rewritten.items():
            if fails or getrefcount(arrays[position]) > _HOLDERS:
                arrays[position] = arrays[position].copy()
        for part in self._parts:
            if part(arrays):
                raise self._failure(inputs, parameters)
        return self._results(arrays)

    def _failure(self, inputs: Sequence[Array], parameters: Sequence[Array]) -> Exception:
        """What a step had against its input, by the NumPy kernels: nothing has changed so far."""
        graph = self.plan.graph
        values = dict(zip(graph.inputs, inputs, strict=True))
        values |= dict(zip(graph.parameters, parameters, strict=True))
        try:
            evaluate_graph(graph, values, self.sizes)
        except Exception as error:
            return error
        return VerificationError("native code refuses an input that the NumPy kernels take")

    def _results(self, arrays: list[Array]) -> list[Array]:
        handed_out: set[int] = set()
        results: list[Array] = []
        own = len(arrays) - len(self.fresh)
        for number in self.plan.results:
            value = self.plan.values[number]
            place = self._places[value.buffer]
            mine = isinstance(place, Base) and (
                place.array >= own or (place.array in self._rewritten and number in self._computed)
            )
            if mine and place.array not in handed_out:
                handed_out.add(place.array)
                results.append(arrays[place.array])
            else:
                results.append(self._array(number)(arrays).copy())
        return results


class NativeExecutor:
    """The bound plans by size, lent to one caller at a time; safe from several threads."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.code = generate(plan)
        self._names = plan.names
        self._lock = threading.Lock()
        self._idle: OrderedDict[tuple[int, ...], list[BoundPlan]] = OrderedDict()

    def run(
        self, sizes: dict[str, int], inputs: Sequence[Array], parameters: Sequence[Array]
    ) -> list[Array]:
        """The results for inputs of these sizes."""
        key = tuple([sizes[name] for name in self._names])
        with self._lock:
            idle = self._idle.get(key)
            bound = idle.pop() if idle else None
        bound = bound or BoundPlan(self.plan, self.code, sizes)
        try:
            return bound.run(inputs, parameters)
        finally:
            with self._lock:
                self._idle.setdefault(key, []).append(bound)
                self._idle.move_to_end(key)
                while len(self._idle) > _KEPT:
                    self._idle.popitem(last=False)
