"""Checked native code at run time: where memory ends, and what went astray."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from graphwright.compiler.native.generate import NativeCode
from graphwright.compiler.native.kernel import (
    Address,
    Argument,
    Kernel,
    Limit,
    Refuge,
    Room,
    Shared,
    Stray,
)
from graphwright.compiler.native.memory import REFUGE_BYTES
from graphwright.compiler.plan import Plan, Step
from graphwright.graph.dim import evaluate
from graphwright.graph.errors import VerificationError
from graphwright.runtime.boundary import Table, aligned_table
from graphwright.runtime.native import Array, BoundPlan, Pick
from graphwright.runtime.native_program import Argument as Bound
from graphwright.runtime.native_program import Base


class CheckedPlan(BoundPlan):
    """A plan whose kernels look where they read and write: `check="bounds"`.

    Raises VerificationError for what would lie outside of the operand: neither that memory nor a
    parameter is touched.
    """

    checked = careful = True

    def __init__(self, plan: Plan, code: NativeCode, sizes: dict[str, int]) -> None:
        self._cells: list[tuple[Table, Step, Kernel]] = []
        self._refuge = aligned_table(REFUGE_BYTES // 8)
        super().__init__(plan, code, sizes)

    def _argument(self, slot: Argument, step: Step, kernel: Kernel) -> Bound:
        if isinstance(slot, Stray):
            self._cells.append((aligned_table(1), step, kernel))
            return int(self._cells[-1][0].ctypes.data)
        if isinstance(slot, Refuge):
            return int(self._refuge.ctypes.data)
        if isinstance(slot, Room):
            return evaluate(kernel.scratch, self.sizes)
        if isinstance(slot, Limit):
            return self._limit(slot, step)
        return super()._argument(slot, step, kernel)

    def _limit(self, limit: Limit, step: Step) -> Bound:
        if isinstance(limit.of, Shared):
            kernels = self.code.steps[self.plan.steps.index(step)].kernels
            nbytes = max(evaluate(kernel.shared, self.sizes) for kernel in kernels)
            return int(self._shared.ctypes.data) + (nbytes if limit.end else 0)
        value = self.plan.values[limit.of.value]
        place = self._places[value.buffer]
        byte = min(self._extent(limit.of.value)[limit.end], self._room(value.buffer))
        return place + byte if isinstance(place, int) else Base(place.array, place.offset + byte)

    def _room(self, buffer: int) -> int:
        """Bytes of the memory that a buffer has."""
        place = self._places[buffer]
        first = len(self.plan.inputs) + len(self.plan.parameters)
        if isinstance(place, Base) and place.array >= first:
            shape, dtype = self._fresh[place.array - first]
            return int(math.prod(shape) * dtype.itemsize)
        return evaluate(self.plan.buffers[buffer].nbytes, self.sizes)

    def _extent(self, number: int) -> tuple[int, int]:
        """The first byte of a value's elements, and the one past its last, in its buffer."""
        value = self.plan.values[number]
        kind = value.type.bind(self.sizes)
        shape: Any = kind.shape
        if 0 in shape:
            return 0, 0
        first = last = evaluate(value.place.offset, self.sizes)
        for size, stride in zip(shape, value.place.strides, strict=True):
            reach = (size - 1) * evaluate(stride, self.sizes)
            first, last = first + min(reach, 0), last + max(reach, 0)
        return first * kind.dtype.itemsize, (last + 1) * kind.dtype.itemsize

    def _results(self, arrays: list[Array], picks: Sequence[Pick]) -> list[Array]:
        """The results, unless something went astray on the way to them."""
        for cell, step, kernel in self._cells:
            if cell[0]:
                code = int(cell[0]) - 1
                for other, _, _ in self._cells:
                    other[0] = 0
                raise self._astray(step, kernel, code // 2, writes=code % 2 == 1)
        return super()._results(arrays, picks)

    def _astray(self, step: Step, kernel: Kernel, slot: int, writes: bool) -> VerificationError:
        argument = kernel.arguments[slot]
        if isinstance(argument, Address):
            value = self.plan.values[argument.value]
            memory = f"{value.name or f'value {argument.value}'}: {value.type}"
        else:
            memory = "its own memory" if isinstance(argument, Room) else "the step's shared memory"
        return VerificationError(
            f"the kernel `{kernel.name}` {'writes' if writes else 'reads'} outside of {memory}",
            details=[
                ("step", f"{self.plan.steps.index(step)}, {step.op.name}"),
                ("made at", step.node.source.describe()),
            ],
            hint="this is a defect of the operator's generator of native code",
        )
