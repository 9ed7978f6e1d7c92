"""Native copies against NumPy's: views of all kinds, transposes, shapes at the edges of blocks."""

from __future__ import annotations

import numpy as np
import pytest
from support.native_cases import HOST, TARGETS, check_cases, check_step
from support.native_steps import Step, together

from graphwright.compiler.native.kernel import Context
from graphwright.compiler.native.target import Target
from graphwright.compiler.native.traversal import Space, merged
from graphwright.graph.dim import dim
from graphwright.graph.types import TensorType
from graphwright.ops.checkpoint import Barrier
from graphwright.ops.movement import BroadcastTo, ExpandDims, Reshape, Squeeze, Transpose
from graphwright.ops.selection import StopGradient
from graphwright.ops.slicing import Slice
from graphwright.ops.window import Windows

VIEWS = [
    Barrier,
    BroadcastTo,
    ExpandDims,
    Reshape,
    Slice,
    Squeeze,
    StopGradient,
    Transpose,
    Windows,
]


@pytest.mark.parametrize("operator", VIEWS, ids=lambda operator: operator.name)
def test_views_are_copied(operator):
    check_cases(operator)


SHAPES = [(17, 33), (64, 130), (3, 65), (65, 3), (2, 70, 5, 66), (1, 1, 9), (130,), (0, 4), (4, 0)]
DTYPES = [np.float32, np.float64, np.float16, np.int8, np.bool_]


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.cpu)
def test_axes_in_any_order(target):
    """Transposed in blocks, by rows or element by element, whole and masked ones."""
    random = np.random.default_rng(5)
    for shape in SHAPES:
        for dtype in DTYPES if target == HOST else [np.float32]:
            x = random.integers(0, 100, shape).astype(dtype)
            axes = tuple(map(int, random.permutation(len(shape))))
            check_step(Transpose(axes), [x], target=target)
            check_step(Transpose(tuple(reversed(range(len(shape))))), [x], target=target)


@pytest.mark.parametrize("size", [0, 1, 15, 16, 17, 100])
def test_one_kernel_transposes_any_size(size):
    n, m = dim("n"), dim("m")
    kinds = [TensorType(np.dtype(np.float32), (n, m))]
    x = np.random.default_rng(size).normal(size=(size, 37)).astype(np.float32)
    check_step(Transpose((1, 0)), [x], types=kinds, sizes={"n": size, "m": 37})
    columns = np.asfortranarray(x)
    check_step(Barrier(), [columns], types=kinds, sizes={"n": size, "m": 37}, tile_order=together)


def test_outputs_with_strides_of_their_own():
    x = np.arange(60.0).reshape(5, 12)
    whole = np.zeros((24, 12))
    out = whole[::2, 1:11:2]
    check_step(Transpose((1, 0)), [x], outputs=[out])
    assert whole.sum() == x.sum()


def test_axes_that_all_operands_walk_as_one_are_one():
    n, dense = dim("n"), ((3 * dim("n"), dim("n"), 1),)
    assert merged((2, 3, n), *dense) == Space((6 * n,), ((1,),))
    assert merged((2, 1, 3), (3, 7, 1), (0, 0, 1)) == Space((2, 3), ((3, 1), (0, 1)))
    assert merged((4, 3), (1, 1)) == Space((4, 3), ((1, 1),))
    assert merged((1, 1), (5, 5)) == Space((1,), ((1,),))


def test_equal_shapes_of_other_dtypes_share_their_code():
    texts = set()
    for dtype in (np.float32, np.int32, np.uint32):
        step = Step(Transpose((1, 0)), [np.zeros((4, 6), dtype)], None, {}, None)
        texts.update(kernel.text for kernel in step.kernels(Context(Target.host(), {})))
    assert len(texts) == 1
