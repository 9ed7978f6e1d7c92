"""Functions that kernels call by address, so that many kernels share one: see `Routine`.

They are given pointers and whole numbers; in checked code also where the memory behind each
pointer begins and ends, which argument of the kernel it is, and what checked code needs besides.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from graphwright.compiler.native.ir import Builder, Module
from graphwright.compiler.native.memory import Guard
from graphwright.compiler.native.values import Bounds, Index, Pointer, Value
from graphwright.graph.dtype import DType, uint64


@contextmanager
def routine_function(
    module: Module, dtypes: Sequence[DType], numbers: int
) -> Iterator[tuple[Builder, tuple[Pointer, ...], tuple[Value, ...]]]:
    """Write a routine, the function `kernel` of a module.

    dtypes:  of what its pointers lead to
    numbers: how many numbers it is given
    """
    count = len(dtypes)
    kinds = ["ptr"] * count + ["i64"] * numbers
    if module.checked:
        kinds += ["i64", "i64", "i64"] * count + ["ptr", "ptr"]
    with module.function("kernel", kinds) as (b, given):
        bounds: list[Bounds | None] = [None] * count
        if module.checked:
            *listed, stray, refuge = given[count + numbers :]
            b.guard = Guard(stray.text, refuge.text)
            bounds = [
                Bounds(b.typed(listed[i], uint64), b.typed(listed[i + 1], uint64), listed[i + 2])
                for i in range(0, 3 * count, 3)
            ]
        pointers = tuple(
            Pointer(value.text, dtype, own)
            for value, dtype, own in zip(given[:count], dtypes, bounds, strict=True)
        )
        yield b, pointers, given[count : count + numbers]


def call_routine(
    b: Builder, routine: Pointer, pointers: Sequence[Pointer], numbers: Sequence[Index]
) -> None:
    """Call a routine."""
    given = [f"ptr {p.text}" for p in pointers] + [f"i64 {b.index(x).text}" for x in numbers]
    if b.guard is not None:
        for pointer in pointers:
            bounds = pointer.bounds
            assert bounds is not None, "a pointer to memory of which no bounds are known"
            listed = bounds.first, bounds.end, b.index(bounds.slot)
            given += [f"i64 {value.text}" for value in listed]
        given += [f"ptr {b.guard.stray}", f"ptr {b.guard.refuge}"]
    b.line(f"call void {routine.text}({', '.join(given)})")
