"""The most that multiplications with addition can do here: `python -m benchmarks.machine_limit`.

A generated loop of nothing but independent fused multiply-adds on whole vectors in registers, on
one core and on several at once. No product of matrices can be faster; what a program reaches is
told as a share of this.
"""

from __future__ import annotations

import ctypes
import time
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import numpy as np

from benchmarks.environment import processors
from graphwright.compiler.native.ir import Module
from graphwright.compiler.native.objects import Compiled, compiled
from graphwright.compiler.native.target import Target
from graphwright.compiler.native.values import Pointer
from graphwright.graph.dtype import DType, float32, float64

_ROUNDS = 400_000
_REPEATS = 60


def measured_limit(threads: int, dtype: DType = float32) -> float:
    """GFLOP/s of so many threads together: the best of some attempts of a few milliseconds each."""
    target = Target.host()
    lanes = target.lanes(dtype.itemsize)
    # Enough to keep two units busy that take 4 to 5 cycles each.
    chains = 24 if target.registers >= 32 else 12
    record = _loop(target, dtype, lanes, chains)
    call = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64)(record.address)
    barrier = Barrier(threads)

    def work(_: int) -> list[tuple[float, float]]:
        data = np.full(2 * lanes, 0.5, dtype)
        where, spans = data.ctypes.data, []
        for _ in range(_REPEATS):
            barrier.wait()
            start = time.perf_counter()
            call(where, _ROUNDS)
            spans.append((start, time.perf_counter()))
        return spans

    with ThreadPoolExecutor(threads) as pool:
        spans = list(pool.map(work, range(threads)))
    fastest = min(
        max(end for _, end in attempt) - min(start for start, _ in attempt)
        for attempt in zip(*spans, strict=True)
    )
    return 2 * lanes * chains * _ROUNDS * threads / fastest / 1e9


def _loop(target: Target, dtype: DType, lanes: int, chains: int) -> Compiled:
    """x ← x y + z, so many times over, for each of the chains."""
    module = Module(target)
    with module.function("kernel", ["ptr", "i64"]) as (b, (data, rounds)):
        place = Pointer(data.text, dtype)
        y, z = b.load(place, 0, lanes), b.load(place, lanes, lanes)
        values = [b.variable(b.constant(0.0, dtype, lanes)) for _ in range(chains)]
        with b.loop(0, rounds):
            for x in values:
                x.value = b.fma(x.value, y, z) if target.fma else x.value * y + z
        total = values[0].value
        for x in values[1:]:
            total = total + x.value
        b.store(place, 0, total)
    [record] = compiled([module.text], target)
    return record


def main() -> None:
    """Print the limits of one core and of all."""
    print(Target.host().describe())
    for dtype in (float32, float64):
        for threads in sorted({1, len(processors())}):
            cores = "1 core " if threads == 1 else f"{threads} cores"
            print(f"{dtype.name}  {cores}  {measured_limit(threads, dtype):7.0f} GFLOP/s")


if __name__ == "__main__":
    main()
