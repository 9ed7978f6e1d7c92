"""Checks of an operator's types, values and memory."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from graphwright.graph.dim import evaluate
from graphwright.graph.dtype import bfloat16, float16
from graphwright.graph.operator import Operator
from graphwright.testing.check import on_cases, on_sizes, require
from graphwright.testing.closeness import (
    ULPS,
    ULPS_ACCUMULATED,
    check_close,
    check_equal,
    check_type,
    largest,
)
from graphwright.testing.example import Example, Run, run

Array = NDArray[Any]


@on_sizes()
def infer_agrees_with_the_kernel_at_every_size(at: Run) -> None:
    """The kernel gives what `infer` says: as many outputs, of these dtypes and shapes."""
    results, inferred = at.results(), at.example.inferred
    require(
        len(results) == len(inferred),
        "infer and kernel give another number of outputs",
        "let kernel and infer agree",
        infer=len(inferred),
        kernel=len(results),
    )
    for kind, array in zip(inferred, results, strict=True):
        check_type(array, kind.dtype, evaluate(kind.shape, at.sizes), "what the kernel gives")
    flops = evaluate(at.example.op.flops(*at.example.types), at.sizes)
    require(flops >= 0, "flops is negative", "count the operations", got=flops)


@on_sizes(when=lambda example: example.definition is not None)
def the_kernel_agrees_with_an_independent_definition(at: Run) -> None:
    """The definition gives the same values: to a few units in the last place of an element, or of
    the largest element where elements are summed."""
    _check_definition(at)


def _halved(example: Example) -> list[Example]:
    return [example.converted(dtype) for dtype in (float16, bfloat16())]


@on_cases(
    when=lambda example: (
        example.operator.elementwise
        and example.definition is not None
        and example.floating
        and not example.given
        and "dtype" not in example.operator.attribute_names
    ),
    of=_halved,
)
def elementwise_kernels_keep_half_precision(example: Example) -> None:
    """Of 16-bit floats come 16-bit floats, as near to the definition as they can be."""
    at = next(example.runs)
    (inferred,), (result,) = example.inferred, at.results()
    check_type(result, inferred.dtype, result.shape, "what the kernel gives")
    _check_definition(at)


def _check_definition(at: Run) -> None:
    wanted = at.defined()
    results = at.results()
    require(
        len(results) == len(wanted),
        "kernel and definition give another number of outputs",
        "let the definition give an array, or a tuple of them",
        expected=len(wanted),
        got=len(results),
    )
    for actual, value in zip(results, wanted, strict=True):
        check_type(actual, actual.dtype, value.shape, "what the kernel gives")
        if at.op.elementwise:
            check_close(actual, value, ULPS)
        else:
            check_close(actual, value, ULPS_ACCUMULATED, largest(value))


@on_sizes()
def the_kernel_leaves_its_inputs_alone_and_takes_any_strides(at: Run) -> None:
    """Inputs are never written to, and may be read-only and laid out in any way."""
    arrays = at.arrays()
    before = [array.tobytes() for array in arrays]
    results = run(at.op, arrays)
    for name, array, content in zip(_names(at), arrays, before, strict=True):
        require(
            array.tobytes() == content,
            f"the kernel writes to its input {name}",
            "compute into a new array; others may still read this one",
        )
    strided = run(at.op, [_unusual(array) for array in arrays])
    for actual, wanted in zip(strided, results, strict=True):
        _check_same(at.op, actual, wanted)


def _names(at: Run) -> tuple[str, ...]:
    return at.example.operator.input_names(len(at.example.types))


def _unusual(array: Array) -> Array:
    """The same array, in memory the other way round and with gaps, and read-only."""
    memory = np.zeros((*array.shape[::-1], 2), array.dtype)
    backwards: Any = (*(slice(None, None, -1) for _ in array.shape), ...)
    view: Array = memory[..., 0].T[backwards]
    view[...] = array
    view.flags.writeable = False
    return view


def _check_same(op: Operator, actual: Array, wanted: Array) -> None:
    """Computed in another way: equal but for the order of a sum."""
    check_type(actual, wanted.dtype, wanted.shape)
    check_close(actual, wanted, ULPS_ACCUMULATED, 0.0 if op.elementwise else 1.0)


@on_sizes()
def kernel_into_writes_what_the_kernel_returns(at: Run) -> None:
    """`kernel_into` fills every element of the arrays that it is given."""
    arrays = at.arrays()
    for array in arrays:
        array.flags.writeable = False
    results = run(at.op, arrays)
    out = tuple(np.full(result.shape, 77).astype(result.dtype) for result in results)
    with np.errstate(all="ignore"):
        at.op.kernel_into(out if len(out) > 1 else out[0], *arrays)
    for actual, wanted in zip(out, results, strict=True):
        _check_same(at.op, actual, wanted)


@on_sizes(when=lambda example: example.operator.elementwise)
def kernel_into_works_in_the_memory_of_any_input(at: Run) -> None:
    """Elementwise operators may be told to write over an input of the output's type."""
    op, arrays = at.op, at.arrays()
    (wanted,) = run(op, arrays)
    for i, array in enumerate(arrays):
        if (array.dtype, array.shape) == (wanted.dtype, wanted.shape):
            fresh = at.arrays()
            with np.errstate(all="ignore"):
                op.kernel_into(fresh[i], *fresh)
            check_equal(fresh[i], wanted, f"what is written over input {i}")
            for j, (one, other) in enumerate(zip(fresh, arrays, strict=True)):
                require(
                    i == j or one.tobytes() == other.tobytes(),
                    f"kernel_into writes to input {j} when its output is input {i}",
                    "write to `out` alone",
                )
            _check_one_array_everywhere(op, arrays, i)


def _check_one_array_everywhere(op: Operator, arrays: list[Array], i: int) -> None:
    """x op x into x: the same array as every input of its type, and as the output."""
    same = [(a.dtype, a.shape) == (arrays[i].dtype, arrays[i].shape) for a in arrays]
    (wanted,) = run(op, [arrays[i] if alike else a for a, alike in zip(arrays, same, strict=True)])
    shared = arrays[i].copy()
    with np.errstate(all="ignore"):
        op.kernel_into(shared, *[shared if s else a for a, s in zip(arrays, same, strict=True)])
    check_equal(shared, wanted, "what is written over an array that is every input")
