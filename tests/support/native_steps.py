"""Runs the native kernels of one operator on NumPy arrays, as the runtime would run a step.

Every output lies between guards, and holds nonsense before the step: so writing past its ends, and
not writing all of it, are found.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from graphwright.compiler.native.generate import FAMILIES
from graphwright.compiler.native.generators import Kernels, generator_of
from graphwright.compiler.native.ir import Function
from graphwright.compiler.native.kernel import (
    Address,
    Argument,
    Context,
    Fault,
    Kernel,
    Limit,
    Number,
    Refuge,
    Room,
    Routine,
    Shared,
    Stray,
)
from graphwright.compiler.native.memory import REFUGE_BYTES
from graphwright.compiler.native.objects import Code, compiled
from graphwright.compiler.native.operand import Operand
from graphwright.compiler.native.target import Target
from graphwright.graph.dim import Dim, Size, dim, evaluate, names_of
from graphwright.graph.operator import Operator
from graphwright.graph.placement import dense_placement
from graphwright.graph.types import TensorType

Array: TypeAlias = np.ndarray[Any, Any]
TileOrder: TypeAlias = Callable[[int], Iterable[tuple[int, int]]]

_GUARD = 128  # bytes before and behind what kernels write
_NONSENSE = 0xA5
_REFUGE = np.zeros(REFUGE_BYTES // 8, np.int64)


def shuffled(tiles: int) -> list[tuple[int, int]]:
    """Every tile by itself, in any order."""
    order = np.random.default_rng(tiles).permutation(tiles)
    return [(int(tile), int(tile) + 1) for tile in order]


def together(tiles: int) -> list[tuple[int, int]]:
    """All tiles in one call."""
    return [(0, tiles)] if tiles else []


def in_halves(tiles: int) -> list[tuple[int, int]]:
    """The later tiles first."""
    return [(tiles // 2, tiles), (0, tiles // 2)]


def run_step(
    op: Operator,
    arrays: Sequence[Array],
    *,
    types: Sequence[TensorType] | None = None,
    sizes: Mapping[str, int] | None = None,
    outputs: Sequence[Array] | None = None,
    target: Target | None = None,
    functions: Mapping[str, Function] | None = None,
    checked: bool = False,
    tile_order: TileOrder = shuffled,
) -> tuple[Array, ...]:
    """The outputs of the native kernels of `op` on `arrays`, which may have any strides.

    types:      of the inputs, with symbolic sizes; those of the arrays if not given
    sizes:      what the named dimensions stand for
    outputs:    where to write, with any strides; dense arrays if not given
    target:     the CPU, the host if not given; the host must run its code
    functions:  vector functions by name
    checked:    whether loads and stores are to be checked to lie within their operands
    tile_order: which tiles each call computes: `shuffled`, `together` or `in_halves`

    Raises what the NumPy kernel raises, if native code reports a fault, and AssertionError if the
    operator has no native kernels, or if they write where they must not.
    """
    step = Step(op, arrays, types, sizes or {}, outputs)
    context = Context(target or Target.host(), functions or {}, checked)
    kernels = step.kernels(context)
    assert not isinstance(kernels, str), f"{op} has no native kernels: {kernels}"
    step.run(kernels, context.target, tile_order)
    return step.outputs


def reason_without(op: Operator, arrays: Sequence[Array], **step: Any) -> str | None:
    """Why `op` has no native kernels for these arrays; None if it has some."""
    made = Step(op, arrays, step.get("types"), step.get("sizes", {}), step.get("outputs"))
    kernels = made.kernels(Context(Target.host(), {}))
    return kernels if isinstance(kernels, str) else None


class Step:
    """One application of an operator to arrays: inputs are values 0, 1 …, outputs come after."""

    def __init__(
        self,
        op: Operator,
        arrays: Sequence[Array],
        types: Sequence[TensorType] | None,
        sizes: Mapping[str, int],
        outputs: Sequence[Array] | None,
    ) -> None:
        self.op = op
        self.arrays = arrays
        self.sizes = dict(sizes)
        kinds = types or [TensorType(array.dtype, array.shape) for array in arrays]
        inferred = op.infer(*kinds)
        made = inferred if isinstance(inferred, tuple) else (inferred,)
        self._guarded: list[Array] = []
        self.outputs = tuple(outputs or [self._output(kind.bind(self.sizes)) for kind in made])
        self._values = [*arrays, *self.outputs]
        self._operands = [
            self._operand(number, kind, array)
            for number, (kind, array) in enumerate(zip([*kinds, *made], self._values, strict=True))
        ]

    def kernels(self, context: Context) -> Kernels:
        """What the operator's generator gives."""
        generator = generator_of(self.op)
        if generator is None:
            return f"none of {len(FAMILIES)} modules has a generator for it"
        inputs, outputs = self._operands[: len(self.arrays)], self._operands[len(self.arrays) :]
        return generator(self.op, inputs, outputs, context)

    def run(self, kernels: Sequence[Kernel], target: Target, tile_order: TileOrder) -> None:
        """Run kernels one after the other. Raises what `run_step` does."""
        shared = aligned(max([0, *(self._number(kernel.shared) for kernel in kernels)]))
        fault, stray = np.zeros(1, np.int64), np.zeros(1, np.int64)
        for kernel in kernels:
            held = [r.text for r in kernel.arguments if isinstance(r, Routine)]
            codes = dict(
                zip([kernel.text, *held], _code([kernel.text, *held], target), strict=True)
            )
            table = np.zeros(len(kernel.arguments) + 1, np.int64)
            for slot, argument in enumerate(kernel.arguments):
                table[slot] = self._slot(argument, kernel, shared, fault, stray, codes)
            scratch = aligned(self._number(kernel.scratch))
            call = ctypes.CFUNCTYPE(None, *[ctypes.c_int64] * 4)(codes[kernel.text].address)
            for first, last in tile_order(self._number(kernel.tiles)):
                scratch[:] = _NONSENSE
                call(table.ctypes.data, first, last, scratch.ctypes.data)
            if stray[0]:
                where = kernel.arguments[(int(stray[0]) - 1) // 2]
                what = "read" if stray[0] % 2 else "written"
                raise AssertionError(f"{self.op}: {kernel.name}: {what} outside of {where}")
        for whole in self._guarded:
            ends = np.concatenate([whole[:_GUARD], whole[-_GUARD:]])
            assert (ends == _NONSENSE).all(), f"{self.op}: written beyond the ends of an output"
        if fault[0]:
            self.op.bind(self.sizes).kernel(*self.arrays)
            raise AssertionError(f"{self.op}: a fault on input that the NumPy kernel accepts")

    def _slot(
        self,
        argument: Argument,
        kernel: Kernel,
        shared: Array,
        fault: Array,
        stray: Array,
        codes: Mapping[str, Code],
    ) -> int:
        if isinstance(argument, Address):
            start = int(self._values[argument.value].ctypes.data)
            return start + self._number(argument.offset)
        if isinstance(argument, Number):
            return self._number(argument.size)
        if isinstance(argument, Shared):
            return int(shared.ctypes.data) + self._number(argument.offset)
        if isinstance(argument, Limit):
            return self._limit(argument, shared)
        if isinstance(argument, Room):
            return self._number(kernel.scratch)
        if isinstance(argument, Routine):
            return codes[argument.text].address
        memory = {Fault: fault, Stray: stray, Refuge: _REFUGE}[type(argument)]
        return int(memory.ctypes.data)

    def _limit(self, limit: Limit, shared: Array) -> int:
        if isinstance(limit.of, Shared):
            return int(shared.ctypes.data) + (shared.nbytes if limit.end else 0)
        array = self._values[limit.of.value]
        return int(np.lib.array_utils.byte_bounds(array)[limit.end]) if array.size else 0

    def _number(self, size: Size) -> int:
        number = evaluate(size, self.sizes)
        assert isinstance(number, int)
        return number

    def _output(self, kind: TensorType) -> Array:
        """A dense array between guards, full of nonsense."""
        nbytes = self._number(kind.nbytes)
        whole = aligned(nbytes + 2 * _GUARD)
        whole[:] = _NONSENSE
        self._guarded.append(whole)
        shape: Any = kind.shape
        return whole[_GUARD : _GUARD + nbytes].view(kind.dtype).reshape(shape)

    def _operand(self, number: int, kind: TensorType, array: Array) -> Operand:
        """With the strides of the array; those that don't follow from symbolic sizes are names."""
        assert array.dtype == kind.dtype and array.shape == evaluate(kind.shape, self.sizes)
        if array.flags.c_contiguous:
            return Operand(number, kind, *dense_placement(kind.shape))
        strides: list[Size] = [stride // array.itemsize for stride in array.strides]
        if names_of(kind.shape):
            strides = [self._named(f"stride{number}_{i}", s) for i, s in enumerate(strides)]
        return Operand(number, kind, 0, tuple(strides))

    def _named(self, name: str, stride: Size) -> Size:
        if isinstance(stride, Dim) or stride in (0, 1):
            return stride
        self.sizes[name] = abs(stride)
        return dim(name) if stride > 0 else -dim(name)


def _code(texts: Sequence[str], target: Target) -> list[Code]:
    return [record.code for record in compiled(texts, target)]


def aligned(nbytes: int) -> Array:
    """Bytes that start at a multiple of 64."""
    raw = np.empty(nbytes + 64, np.uint8)
    start = -raw.ctypes.data % 64
    return raw[start : start + nbytes]
