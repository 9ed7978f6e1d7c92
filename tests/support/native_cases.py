"""Native steps against the NumPy kernels: on an operator's own cases, and on other arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from graphwright.graph.operator import Operator
from graphwright.testing.example import run
from support.cases import checked
from support.machines import runnable
from support.native_steps import Array, reason_without, run_step

HOST, *_LOWER = runnable()
TARGETS = [HOST, *(target for target in _LOWER if target.vector_bytes < HOST.vector_bytes)]
"""The CPU at hand, and one for each narrower kind of vectors."""


def check_cases(operator: type[Operator], **options: Any) -> None:
    """Every case, at all its sizes, symbolic and bound, with inputs of several strides."""
    for example in checked(operator).examples:
        for at in example.runs:
            with at:
                arrays = at.arrays()
                for given in (arrays, [stretched(x) for x in arrays], [flipped(x) for x in arrays]):
                    check_step(example.op, given, types=example.types, sizes=at.sizes, **options)
                    # Without elements, some steps have nothing to do but to look for errors.
                    if all(out.size for out in at.results()) or not reason_without(at.op, given):
                        check_step(at.op, given, **options)


def check_step(op: Operator, arrays: Sequence[Array], **options: Any) -> None:
    """The native outputs are those of the NumPy kernel, to the last bit but for the sign of zero.

    tolerance: of floats, relative, if given
    """
    tolerance = options.pop("tolerance", 0)
    expected = run(op.bind(options.get("sizes", {})), arrays)
    outputs = run_step(op, arrays, **options)
    for got, wanted in zip(outputs, expected, strict=True):
        assert got.dtype == wanted.dtype and got.shape == wanted.shape
        if tolerance:
            np.testing.assert_allclose(got, wanted, rtol=tolerance)
        else:
            np.testing.assert_array_equal(got, wanted)


def stretched(x: Array) -> Array:
    """The same elements, every other one of a larger array."""
    whole = np.full(tuple(2 * size for size in x.shape), 77).astype(x.dtype)
    view = whole[(..., *(slice(1, None, 2) for _ in x.shape))]
    view[...] = x
    return view


def flipped(x: Array) -> Array:
    """The same elements, the axes in the opposite order in memory and the last one backward."""
    return np.ascontiguousarray(x.T[::-1]).T[..., ::-1] if x.ndim else x
