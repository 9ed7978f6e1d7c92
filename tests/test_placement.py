"""Where the elements of views lie: what operators say of it, against what NumPy makes."""

from __future__ import annotations

import numpy as np
import pytest
from support.cases import checked, own_operators
from support.native_cases import flipped, stretched

from graphwright.graph.dim import dim, evaluate
from graphwright.graph.placement import Placement, dense_placement, reshaped
from graphwright.graph.types import TensorType

VIEWS = [operator for operator in own_operators() if operator.view]


def placed(array):
    """An array's placement in the memory that it has its elements from."""
    whole = array if array.base is None else array.base
    while whole.base is not None:
        whole = whole.base
    start = array.__array_interface__["data"][0] - whole.__array_interface__["data"][0]
    strides = tuple(step // array.itemsize for step in array.strides)
    return Placement(start // array.itemsize, strides)


@pytest.mark.parametrize("operator", VIEWS, ids=lambda operator: operator.name)
def test_views_lie_where_numpy_finds_them(operator):
    seen = 0
    for example in checked(operator).examples:
        for at in example.runs:
            with at:
                arrays = at.arrays()
                for first in (arrays[0], stretched(arrays[0]), flipped(arrays[0])):
                    out = at.op.kernel(first, *arrays[1:])
                    before, after = (TensorType(a.dtype, a.shape) for a in (first, out))
                    said = at.op.placed(placed(first), before, after)
                    if said is None or not out.size:
                        continue
                    seen += 1
                    # Along an axis of one element any stride will do.
                    pairs = zip(said.strides, placed(out).strides, out.shape, strict=True)
                    assert said.offset == placed(out).offset
                    assert all(mine == numpys for mine, numpys, size in pairs if size > 1)
    assert seen


def test_symbolic_sizes_are_placed_as_numbers_are():
    n, t = dim("n"), dim("t")
    shape, new = (n, t, 12), (n, t, 3, 4)
    rows = Placement(12, (36 * t, 36, 1))  # the second third of rows three times as long
    assert reshaped(rows, shape, new) == Placement(12, (36 * t, 36, 4, 1))
    assert reshaped(rows, shape, (n * t, 12)) == Placement(12, (36, 1))
    assert reshaped(rows, shape, (n, t * 12)) is None
    assert reshaped(dense_placement(shape), shape, (12 * t, n)) == dense_placement((12 * t, n))


@pytest.mark.parametrize("seed", range(30))
def test_a_reshape_is_a_view_just_where_numpy_copies_nothing(seed):
    rng = np.random.default_rng(seed)
    shape = tuple(rng.choice([1, 2, 3, 4], 4))
    array = np.arange(np.prod(shape)).reshape(shape).transpose(rng.permutation(4))
    factors = rng.permutation([size for size in array.shape if size > 1])
    cut = sorted(rng.integers(0, len(factors) + 1, 2)) if len(factors) else [0, 0]
    parts = (factors[: cut[0]], factors[cut[0] : cut[1]], factors[cut[1] :])
    new = tuple(int(np.prod(part)) for part in parts)
    view = array.reshape(new)
    said = reshaped(placed(array), array.shape, new)
    if said is None:
        assert not np.may_share_memory(view, array)
    else:
        pairs = zip(evaluate(said.strides, {}), placed(view).strides, new, strict=True)
        assert all(mine == numpys for mine, numpys, size in pairs if size > 1)
