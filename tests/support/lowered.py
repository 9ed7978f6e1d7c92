"""Operators run natively, each in a small loop: many such functions in each module.

A function reads whole vectors, and what is left over with a mask, or one element at a time.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from graphwright.compiler.native.ir import Builder, Module
from graphwright.compiler.native.math import FUNCTIONS
from graphwright.compiler.native.objects import compiled
from graphwright.compiler.native.target import Target
from graphwright.compiler.native.values import Pointer, Value
from graphwright.graph.dtype import DType
from graphwright.graph.operator import Operator

MOST = 48
"""Functions in a module: so many that modules keep two threads busy."""

Body = Callable[[Builder, Sequence[Pointer], Value], None]
"""Writes a function that is given the addresses of arrays, and a count."""


@dataclass(frozen=True)
class Job:
    """A function, and the arrays and the count that it is called with."""

    body: Body
    arrays: Sequence[np.ndarray]
    count: int


def run(jobs: Sequence[Job], target: Target | None = None) -> None:
    """Compile all functions, then call each."""
    target = target or Target.host()
    parts = [jobs[i : i + MOST] for i in range(0, len(jobs), MOST)]
    records = compiled([_text(part, target) for part in parts], target)
    for part, record in zip(parts, records, strict=True):
        kernel = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)
        for number, job in enumerate(part):
            addresses = [array.ctypes.data for array in job.arrays]
            table = (ctypes.c_int64 * len(addresses))(*addresses)
            kernel(record.address)(table, number, job.count)


def _text(jobs: Sequence[Job], target: Target) -> str:
    """A module whose `kernel` calls one of the functions, by its number."""
    module = Module(target, FUNCTIONS)
    for number, job in enumerate(jobs):
        with module.function(f"job{number}", ["ptr", "i64"]) as (b, (table, count)):
            b.comment(f"{[array.dtype.name for array in job.arrays]}")
            slots = Pointer(table.text, np.dtype(np.int64))
            pointers = [
                Pointer(b.emit(f"load ptr, ptr {b.address(slots, i)}"), array.dtype)
                for i, array in enumerate(job.arrays)
            ]
            job.body(b, pointers, count)
    with module.function("kernel", ["ptr", "i64", "i64"]) as (b, (table, chosen, count)):
        for number in range(len(jobs)):
            with b.when(chosen.equals(number)):
                b.line(f"call void @job{number}(ptr {table.text}, i64 {count.text})")
    return module.text


def elementwise(op: Operator, lanes: int, scalars: Sequence[int] = ()) -> Body:
    """The result, in the last array, of an operator on the others.

    scalars: the inputs of which only the first element is read, as one lane
    """

    def body(b: Builder, pointers: Sequence[Pointer], count: Value) -> None:
        *inputs, output = pointers

        def round_at(index: Value, mask: Value | None) -> None:
            x = [
                b.load(pointer, 0) if i in scalars else b.load(pointer, index, lanes, mask=mask)
                for i, pointer in enumerate(inputs)
            ]
            result = b.splat(op.lower(b, *x), lanes)
            b.store(output, index, result, mask=mask)

        _loop(b, count, lanes, round_at)

    return body


def by_index(op: Operator, lanes: int, number: Callable[[Builder, object], Value]) -> Body:
    """The value of an operator without inputs at each index of its first axis."""

    def body(b: Builder, pointers: Sequence[Pointer], count: Value) -> None:
        (output,) = pointers

        def round_at(index: Value, mask: Value | None) -> None:
            indices = [index + b.lane_numbers(lanes)]
            value = op.lower_at(b, indices, lambda size: number(b, size))
            b.store(output, index, b.splat(value, lanes), mask=mask)

        _loop(b, count, lanes, round_at)

    return body


def reduced(op: Operator, lanes: int) -> Body:
    """The reduction of all elements of the first array: by lanes, then of these."""

    def body(b: Builder, pointers: Sequence[Pointer], count: Value) -> None:
        source, output = pointers
        dtype = op.accumulates(source.dtype)
        total = b.variable(b.constant(op.start(dtype), dtype, lanes))

        def round_at(index: Value, mask: Value | None) -> None:
            x = b.convert(b.load(source, index, lanes, mask=mask), dtype)
            after = op.lower(b, total.value, x)
            total.value = after if mask is None else b.select(mask, after, total.value)

        _loop(b, count, lanes, round_at)
        value = total.value
        first, *others = [b.lanes_of(value, i, 1) if lanes > 1 else value for i in range(lanes)]
        for other in others:
            first = op.lower(b, first, other)
        b.store(output, 0, b.convert(first, output.dtype))

    return body


def _loop(
    b: Builder, count: Value, lanes: int, round_at: Callable[[Value, Value | None], None]
) -> None:
    whole = count - b.remainder(count, lanes)
    with b.loop(0, whole, lanes) as index:
        round_at(index, None)
    if lanes > 1:
        with b.when(whole < count):
            round_at(whole, whole + b.lane_numbers(lanes) < count)


def natural_lanes(dtypes: Sequence[DType]) -> int:
    """As many as fill a vector of the widest of these dtypes."""
    return Target.host().lanes(max(dtype.itemsize for dtype in dtypes))
