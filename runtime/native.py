"""Run a plan in native code: tables bound to memory and sizes, and one call for all steps.

Steps without native code lie between: they run on NumPy, and the native ones around them are calls
of their own.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property, partial
from itertools import accumulate, pairwise
from operator import call, itemgetter
from sys import getrefcount
from typing import Any, ClassVar, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from graphwright.compiler.native.generate import NativeCode, StepCode, generate
from graphwright.compiler.native.kernel import Address, Fault, Kernel, Number, Routine, Shared
from graphwright.compiler.native.kernel import Argument as Slot
from graphwright.compiler.plan import Plan, Step
from graphwright.graph.dim import evaluate
from graphwright.graph.errors import VerificationError
from graphwright.graph.evaluate import evaluate_graph, located
from graphwright.graph.leaf import present, replacing, state
from graphwright.runtime.boundary import aligned_table
from graphwright.runtime.execute import UPDATING, Executor, aligned_bytes
from graphwright.runtime.native_program import Argument, Base, KernelCall, NativeProgram
from graphwright.runtime.pool import texts_to_load
from graphwright.runtime.stages import Call, Span, stages

Array: TypeAlias = NDArray[Any]
Part: TypeAlias = Callable[[list[Array]], object]
Pick: TypeAlias = int | Callable[[list[Array]], Array]

LONG = 5_000_000
"""Picoseconds of work from which on other Python threads may run meanwhile."""
_ARENA, _SHARED = -1, -2  # where memory comes from, beside the buffers that lie elsewhere


class BoundPlan:
    """A plan and its code bound to concrete sizes. One call runs at a time.

    fits:    gives -1 for arrays that need no conversion and have the sizes that this is bound to
    checked: whether it takes code whose loads and stores are checked
    apart:   whether each step is parts of its own
    careful: whether parameters are left alone until all steps have run
    """

    fits: Callable[..., int]
    checked: ClassVar[bool] = False
    apart: ClassVar[bool] = False
    careful: ClassVar[bool] = False

    def __init__(self, plan: Plan, code: NativeCode, sizes: dict[str, int]) -> None:
        self.plan = plan
        self.code = code
        self.sizes = sizes
        layout = plan.layout(sizes)
        self._steps = [_for_sizes(step, sizes) for step in code.steps]
        kernels = [kernel for step in self._steps for kernel in step.kernels]
        self._arena = aligned_bytes(layout.peak)
        self._shared = aligned_bytes(max((evaluate(k.shared, sizes) for k in kernels), default=0))
        self._error = aligned_table(1)
        self._constants = {plan.values[n].buffer: frozen.array for n, frozen in plan.constants}
        self._places: dict[int, int | Base] = {}  # of buffers
        self._offsets = layout.offsets
        self._place_buffers()
        self._parameters = plan.graph.parameters
        self._updated = list(plan.graph.updates)
        self._fresh = self._find_fresh()
        self._rewritten = self._find_rewritten()
        picks = self._picks()
        count = len(picks) - len(self._updated)
        self._outputs, self._updates = picks[:count], picks[count:]
        # A value that has to be copied for an update can't be there when the last part begins.
        self._unsettled = self.careful or not all(isinstance(pick, int) for pick in self._updates)
        if self._unsettled:
            self._rewritten = dict.fromkeys(self._rewritten, True)
        self._mine = None  # takes the arrays that are written over, if no other is replaced
        settled = [pick for pick in self._updates if self._rewritten.get(cast(int, pick)) is False]
        if not self._unsettled and settled and len(settled) == len(self._updated):
            self._mine = _picking(cast(list[int], settled))
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

    def _find_fresh(self) -> list[tuple[tuple[int, ...], Any]]:
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

    def _find_rewritten(self) -> dict[int, bool]:
        """The arrays, by position, that are parameters whose next value is written over the
        present one; and whether a step may fail when that is done, or later.

        Those need a copy to work on: parameters change all or not at all.
        """
        written: dict[int, bool] = {}
        first = len(self.plan.inputs)
        parameters = {self.plan.values[n].buffer: i for i, n in enumerate(self.plan.parameters)}
        for position, step in enumerate(self.plan.steps):
            for number in step.outputs:
                at = parameters.get(self.plan.values[number].buffer)
                if at is not None and not step.view:
                    unsafe = position <= self._last_failing
                    written[first + at] = written.get(first + at, False) or unsafe
        return written

    @cached_property
    def _last_failing(self) -> int:
        """The last step that may raise an error; -1 if none may.

        Indices that were in range once in a call are so again.
        """
        last = -1
        known: set[object] = set()
        for position, code in enumerate(self._steps):
            slots = (slot for kernel in code.kernels for slot in kernel.arguments)
            faults = [self._fault_key(slot) for slot in slots if isinstance(slot, Fault)]
            if code.reason or not known.issuperset(faults):
                last = position
            known.update(key for key in faults if key is not None)
        return last

    def _fault_key(self, fault: Fault) -> object:
        """Equal for faults of which the second one can't happen; None for one that always may."""
        if fault.value < 0:
            return None
        value = self.plan.values[fault.value]
        buffer = self.plan.buffers[value.buffer]
        whole = buffer.kind in ("input", "constant") and value.type.nbytes == buffer.nbytes
        indices = ("whole", value.buffer) if whole else ("value", fault.value)
        return indices, evaluate(fault.below, self.sizes)

    def _argument(self, slot: Slot, step: Step, kernel: Kernel) -> Argument:
        """What a slot of a kernel holds."""
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
        assert isinstance(slot, Routine), f"{slot} is for checked code"
        return self.code.objects[slot.text].address

    # Stages, and what lies between.

    def _bind(self, scratch: int) -> None:
        """Lay out the native steps in stages, and the parts between steps on NumPy."""
        segments: list[list[Call]] = [[]]
        between: list[Part | None] = []
        self._ends: list[int] = []
        for position, (step, code) in enumerate(zip(self.plan.steps, self._steps, strict=True)):
            if code.reason:
                between.append(self._on_numpy(step))
                segments.append([])
            segments[-1] += self._calls(step, code)
            self._ends.append(len(segments) + sum(part is not None for part in between))
            if self.apart or (position == self._last_failing and not code.reason):
                between.append(None)  # what follows can't fail: parameters may be written over
                segments.append([])
        laid_out = [stages(calls) for calls in segments]
        self._program = NativeProgram(
            [stage for segment in laid_out for stage in segment],
            len(self.plan.inputs) + len(self.plan.parameters) + len(self._fresh),
            [self._expected(number) for number in self.plan.inputs],
            error=self._error,
            scratch=scratch,
            long=sum(call.work for calls in segments for call in calls) >= LONG,
            held=[self._arena, self._shared, self.code],
        )
        self.fits = self._program.fits
        ends = accumulate(len(segment) for segment in laid_out)
        runs = [self._program.part(a, b) for a, b in pairwise([0, *ends])]
        self._parts: list[Part] = [runs[0]]
        for part, run in zip(between, runs[1:], strict=True):
            self._parts += [run] if part is None else [part, run]

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
                arguments = [self._argument(slot, step, kernel) for slot in kernel.arguments]
                if kernel.shared != 0:
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

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        """The outputs, in fresh arrays; parameters are updated, all or, if it raises, none.

        Raises what kernels raise, with the user's line.
        """
        if not self._updated:
            arrays = self._arrays(inputs)
            self._run(arrays, self._parts)
            return self._results(arrays, self._outputs)
        with UPDATING:
            arrays = self._arrays(inputs)
            for position, unsafe in self._rewritten.items():
                if unsafe:
                    arrays[position] = arrays[position].copy()
            *parts, last = self._parts
            self._run(arrays, parts)
            with state:
                self._finish(arrays, last)
            return self._results(arrays, self._outputs)

    def _arrays(self, inputs: Sequence[Array]) -> list[Array]:
        """What native code is told of: inputs, parameters, and fresh arrays for results."""
        if not self._parameters:
            return [*inputs, *self._fresh_arrays()]
        return [*inputs, *present(self._parameters), *self._fresh_arrays()]

    def _fresh_arrays(self) -> list[Array]:
        return [np.empty(shape, dtype) for shape, dtype in self._fresh]

    def _run(self, arrays: list[Array], parts: Iterable[Part]) -> None:
        for part in parts:
            if part(arrays):
                raise self._failure(arrays)

    def _finish(self, arrays: list[Array], last: Part) -> None:
        """The last part, in which parameters may be written over, and the update of the others.

        No signal handler runs between the two: both are called by code that is not Python's.
        """
        if self._unsettled:
            self._run(arrays, [last])
            replacing(self._updated, self._results(arrays, self._updates))()
            return
        if self._mine is not None and _holders(self._mine(arrays)) <= _ALONE:
            last(arrays)  # nobody else holds any of them
            return
        for position, unsafe in self._rewritten.items():
            if not unsafe and _holders((arrays[position],)) > _ALONE:
                arrays[position] = arrays[position].copy()
        new = [arrays[cast(int, position)] for position in self._updates]
        old = present(self._updated)
        changed = [i for i, pair in enumerate(zip(old, new, strict=True)) if pair[0] is not pair[1]]
        replace = replacing([self._updated[i] for i in changed], [new[i] for i in changed])
        steps: tuple[Callable[[], object], ...] = partial(last, arrays), replace
        deque(map(call, steps), 0)

    def _failure(self, arrays: list[Array]) -> Exception:
        """What a step had against its input, by the NumPy kernels: nothing has changed so far."""
        graph = self.plan.graph
        given = [*graph.inputs, *graph.parameters]
        inputs = arrays[: len(graph.inputs)]
        values = dict(zip(given, [*inputs, *present(self._parameters)], strict=True))
        try:
            evaluate_graph(graph, values, self.sizes)
        except Exception as error:
            return error
        return VerificationError("native code refuses an input that the NumPy kernels take")

    def _results(self, arrays: list[Array], picks: Sequence[Pick]) -> list[Array]:
        return [arrays[pick] if isinstance(pick, int) else pick(arrays).copy() for pick in picks]

    def _picks(self) -> list[Pick]:
        """For each result the position of its array, or, where it is not the result's alone, what
        gives an array to copy."""
        handed_out: set[int] = set()
        picks: list[Pick] = []
        computed = {number for step in self.plan.steps for number in step.outputs}
        for number in self.plan.results:
            place = self._places[self.plan.values[number].buffer]
            if isinstance(place, Base) and number in computed and place.array not in handed_out:
                handed_out.add(place.array)
                picks.append(place.array)
            else:
                picks.append(self._array(number))
        return picks


def _for_sizes(code: StepCode, sizes: dict[str, int]) -> StepCode:
    """The code of a step where its kernels are made for these sizes; else none."""
    if any(evaluate(size, sizes) == 0 for kernel in code.kernels for size in kernel.nonzero):
        return StepCode(reason="an axis is empty")
    return code


def _picking(positions: Sequence[int]) -> Callable[[list[Array]], tuple[Array, ...]]:
    """What takes some of a list."""
    if len(positions) > 1:
        return itemgetter(*positions)
    (position,) = positions
    return lambda arrays: (arrays[position],)


def _holders(arrays: tuple[Array, ...]) -> int:
    """The most references to one of the arrays, as counted here."""
    return max(map(getrefcount, arrays))


def _alone() -> int:
    """The references to an array that a tuple, a list and one other place hold, as counted."""
    arrays = [np.empty(0)]
    held = [arrays[0]]
    count = _holders((arrays[0],))
    del held
    return count


_ALONE = _alone()


class NativeExecutor(Executor):
    """The bound plans of one plan by size; see `Executor`."""

    def __init__(self, plan: Plan, bind: type[BoundPlan] = BoundPlan) -> None:
        """bind: what runs the plan for some sizes"""
        super().__init__(plan)
        # The first call will need the pool: its code is compiled along with the plan's.
        self.code = generate(plan, checked=bind.checked, besides=texts_to_load())
        self.bind = bind

    def make(self, sizes: dict[str, int]) -> BoundPlan:
        return self.bind(self.plan, self.code, sizes)
