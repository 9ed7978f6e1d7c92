"""A native program: the calls of kernels that one call from Python makes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from graphwright.compiler.native.runner import (
    CALL_FITS,
    CALL_RUN,
    CHECK,
    PATCH,
    PROGRAM_FIELDS,
    STAGE,
    STEP,
    Program,
)
from graphwright.runtime.boundary import Table, aligned_table, readable
from graphwright.runtime.pool import pool
from graphwright.runtime.processors import processors

_ALIGNMENT = 64


class Base(NamedTuple):
    """An argument that differs from call to call: where an array of the call lies.

    array:  its position in the list that the call brings
    offset: bytes from its start
    """

    array: int
    offset: int = 0


Argument: TypeAlias = int | Base
"""What a slot of a kernel's arguments holds: a number or a fixed address, or a call's array."""


Expected: TypeAlias = tuple[np.dtype[Any], tuple[int, ...]]
"""The dtype and the sizes of an array."""


class KernelCall(NamedTuple):
    """One kernel on its arguments.

    function:  its address
    arguments: its slots
    tiles:     how many its grid has
    """

    function: int
    arguments: Sequence[Argument]
    tiles: int = 1


class Stage(NamedTuple):
    """Calls between two barriers.

    chunk: 0 if the calling thread is to run the calls, one after the other; else they depend on
           nothing of one another, and threads share their tiles, so many of them at a time
    """

    calls: Sequence[KernelCall]
    chunk: int = 0


class NativeProgram:
    """Tables of a program, and the functions that run it.

    Not for two callers at once: each call writes its arrays' addresses into the tables.

    fits:    takes arrays (as positional arguments), gives -1 if they are plain ndarrays
             (contiguous, aligned) of the dtypes and shapes of `inputs`, else the position of the
             first that isn't; the inputs' number if there are too many
    run:     takes one list of arrays, runs all stages, gives the error slot: 0, or what the kernel
             that failed left there, after whose stage the program ended; -1 if the list has another
             length or holds something else than ndarrays. The arrays' dtypes and sizes are not
             looked at: that is what `fits` is for.
    threads: how many threads have scratch memory
    """

    fits: Callable[..., int]
    run: Callable[[list[NDArray[Any]]], int]

    def __init__(
        self,
        stages: Sequence[Stage],
        arrays: int,
        inputs: Sequence[Expected] = (),
        *,
        error: Table | None = None,
        scratch: int = 0,
        long: bool = False,
        held: Sequence[object] = (),
    ) -> None:
        """Lay out the tables.

        arrays:  how many arrays each call brings
        inputs:  dtype and sizes of the first of them, for `fits`
        error:   the error slot: one int64; the program's own if not given
        scratch: bytes that kernels need for themselves, per thread
        long:    whether other Python threads may run meanwhile; costs a short program about 50 ns
        held:    what has to live as long as the program: code, arena
        """
        self._pool = pool()
        self._held = tuple(held)
        self.threads = max(self._pool.threads, processors())
        stride = -(-scratch // _ALIGNMENT) * _ALIGNMENT
        self._scratch = aligned_table(self.threads * stride // 8)
        self._error = aligned_table(1) if error is None else error
        self._bases = aligned_table(arrays)
        self._lay_out(stages)
        self._checks, self._sizes = _checks(inputs)
        self._header = aligned_table(PROGRAM_FIELDS)
        fields = {
            Program.POOL: self._pool.address,
            Program.STEPS: self._steps.ctypes.data,
            Program.BASES: self._bases.ctypes.data,
            Program.CHECKS: self._checks.ctypes.data,
            Program.CHECK_COUNT: len(inputs),
            Program.SCRATCH: self._scratch.ctypes.data,
            Program.STRIDE: stride,
            Program.ROOM: self.threads,
            Program.LONG: long,
            Program.ERROR: self._error.ctypes.data,
        }
        for field, value in fields.items():
            self._header[field] = value
        self.run = self.part(0, len(stages))
        self.fits = self._fits(inputs)

    def part(
        self, first: int, last: int, *, again: bool = False
    ) -> Callable[[list[NDArray[Any]]], int]:
        """Stages `first` to `last - 1`, as a function like `run`.

        again: on the arrays of the call before; the list is empty then
        """
        header = aligned_table(PROGRAM_FIELDS)
        header[:] = self._header
        stages = self._stages[first:last]
        header[Program.STAGES] = stages.ctypes.data
        header[Program.STAGE_COUNT] = len(stages)
        header[Program.PARALLEL] = bool((stages[:, 2] > stages[:, 3]).any())
        if not again:
            header[Program.ARRAYS] = len(self._bases)
            header[Program.PATCHES] = self._patches.ctypes.data
            header[Program.PATCH_COUNT] = len(self._patches)
        if readable():
            return self._pool.builtin(CALL_RUN, header)
        return self._run_by_addresses(header)

    def _lay_out(self, stages: Sequence[Stage]) -> None:
        """The rows of stages and steps, the arguments, and where arrays' addresses go."""
        calls = [call for stage in stages for call in stage.calls]
        self._stages = aligned_table(len(stages), STAGE)
        self._steps = aligned_table(len(calls), STEP)
        self._arguments = aligned_table(sum(len(call.arguments) for call in calls))
        patches: list[tuple[int, int, int]] = []
        step = slot = 0
        for row, stage in zip(self._stages, stages, strict=True):
            tiles = sum(call.tiles for call in stage.calls) if stage.chunk else 0
            row[:] = step, step + len(stage.calls), tiles, stage.chunk
            for call in stage.calls:
                start = self._arguments.ctypes.data + 8 * slot
                self._steps[step] = call.function, start, call.tiles
                for argument in call.arguments:
                    if isinstance(argument, Base):
                        where = self._arguments.ctypes.data + 8 * slot
                        patches.append((where, argument.array, argument.offset))
                    else:
                        self._arguments[slot] = argument
                    slot += 1
                step += 1
        self._patches = aligned_table(len(patches), PATCH)
        self._patches[:] = np.array(patches, np.int64).reshape(-1, PATCH)

    def _fits(self, inputs: Sequence[Expected]) -> Callable[..., int]:
        if readable():
            return self._pool.builtin(CALL_FITS, self._header)
        expected = tuple(inputs)

        def fits(*arrays: object) -> int:
            for number, (array, (dtype, shape)) in enumerate(zip(arrays, expected, strict=False)):
                if type(array) is not np.ndarray or array.dtype is not dtype:
                    return number
                flags = array.flags
                if array.shape != shape or not (flags.c_contiguous and flags.aligned):
                    return number
            return -1 if len(arrays) == len(expected) else min(len(arrays), len(expected))

        return fits

    def _run_by_addresses(self, header: Table) -> Callable[[list[NDArray[Any]]], int]:
        """As the entry `call_run`, for a Python whose objects native code can't read."""

        def run(arrays: list[NDArray[Any]]) -> int:
            if type(arrays) is not list or len(arrays) != header[Program.ARRAYS]:
                return -1
            if any(type(array) is not np.ndarray for array in arrays):
                return -1
            for number, array in enumerate(arrays):
                self._bases[number] = array.ctypes.data
            return self._pool.run(header)

        return run


def _checks(inputs: Sequence[Expected]) -> tuple[Table, Table]:
    """The check rows, and the sizes that they have the addresses of."""
    sizes = aligned_table(sum(len(shape) for _, shape in inputs))
    rows = aligned_table(len(inputs), CHECK)
    start = 0
    for row, (dtype, shape) in zip(rows, inputs, strict=True):
        sizes[start : start + len(shape)] = shape
        row[:] = id(dtype), len(shape), sizes.ctypes.data + 8 * start
        start += len(shape)
    return rows, sizes
