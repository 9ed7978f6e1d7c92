"""The most that this machine can do: multiplications with addition, and bytes moved.

Measured once for a number of threads, in some tens of milliseconds, by generated code: a loop of
nothing but independent fused multiply-adds in registers, and a copy of more than caches hold.
"""

from __future__ import annotations

import time
from functools import cache
from typing import NamedTuple

import numpy as np

from graphwright.compiler.native.ir import Builder, Module
from graphwright.compiler.native.kernel import Arguments, Frame, Number, kernel_function
from graphwright.compiler.native.objects import compiled
from graphwright.compiler.native.target import Target
from graphwright.compiler.native.values import Pointer, Value
from graphwright.graph.dtype import DType, float32, float64
from graphwright.runtime.native_program import Base, KernelCall, NativeProgram, Stage
from graphwright.runtime.pool import threads

_ROUNDS = 20_000
_TILES = 8  # for each thread
_ATTEMPTS = 12
_COPIED = 1 << 25  # bytes: 32 MiB from one place to another
_CHUNK = 1 << 16


class Limits(NamedTuple):
    """What all threads together can do at most.

    single:    floating-point operations a second, in float32
    double:    the same in float64
    bandwidth: bytes a second read from memory and written to it
    threads:   how many
    """

    single: float
    double: float
    bandwidth: float
    threads: int

    def flops(self, dtype: DType) -> float:
        """Operations a second in a dtype; narrow ones are computed in float32."""
        return self.double if dtype == float64 else self.single


def limits() -> Limits:
    """Those of as many threads as run compiled functions now."""
    return _measured(threads())


@cache
def _measured(count: int) -> Limits:
    single, double = (_multiply_adds(dtype, count) for dtype in (float32, float64))
    return Limits(single, double, _copying(count), count)


def _multiply_adds(dtype: DType, count: int) -> float:
    target = Target.host()
    lanes = target.lanes(dtype.itemsize)
    chains = 24 if target.registers >= 32 else 12  # two units of 4 to 5 cycles are kept busy
    module = Module(target)
    with kernel_function(module) as frame:
        b = frame.b
        place = _pointer(frame, dtype)
        y, z = b.load(place, 0, lanes), b.load(place, lanes, lanes)
        values = [b.variable(b.constant(0.0, dtype, lanes)) for _ in range(chains)]
        with b.loop(frame.first, frame.last, name="tile"), b.loop(0, _ROUNDS, name="round"):
            for x in values:
                x.value = b.multiply_add(x.value, y, z)
        _keep(b, place, [x.value for x in values], lanes)
    # Every thread writes the same there, which nobody reads.
    seconds = _fastest(module, [np.full(3 * lanes, 0.5, dtype)], _TILES * count)
    return 2 * lanes * chains * _ROUNDS * _TILES * count / seconds


def _keep(b: Builder, place: Pointer, values: list[Value], lanes: int) -> None:
    total = values[0]
    for x in values[1:]:
        total = total + x
    b.store(place, 2 * lanes, total)


def _copying(count: int) -> float:
    target = Target.host()
    lanes = target.lanes(4)
    module = Module(target)
    with kernel_function(module) as frame:
        b = frame.b
        source, goal = _pointer(frame, float32), _pointer(frame, float32)
        each = _CHUNK // 4
        with b.loop(frame.first * each, frame.last * each, lanes, name="vector") as i:
            b.store(goal, i, b.load(source, i, lanes))
    arrays = [np.ones(_COPIED // 4, np.float32) for _ in range(2)]
    return 2 * _COPIED / _fastest(module, arrays, _COPIED // _CHUNK)


def _pointer(frame: Frame, dtype: DType) -> Pointer:
    """The array of the next slot."""
    arguments: Arguments = frame.arguments
    return arguments.pointer(Number(0), dtype)


def _fastest(module: Module, arrays: list[np.ndarray], tiles: int) -> float:
    """Seconds of a kernel on arrays, at its fastest."""
    [record] = compiled([module.text])
    call = KernelCall(record.address, [Base(i) for i in range(len(arrays))], tiles)
    program = NativeProgram([Stage([call], 1)], len(arrays), long=True, held=[record])
    best = float("inf")
    for _ in range(_ATTEMPTS):
        start = time.perf_counter()
        program.run(arrays)
        best = min(best, time.perf_counter() - start)
    return best
