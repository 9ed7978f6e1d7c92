"""What runs native steps in tests finds wrong kernels."""

from __future__ import annotations

import numpy as np
import pytest
from support.native_steps import Step, in_halves, shuffled, together

from graphwright.compiler.native.copy import Region, box, copied
from graphwright.compiler.native.kernel import Context, Fault, Kernel, kernel_function
from graphwright.compiler.native.operand import Operand, dense_operand
from graphwright.compiler.native.target import Target
from graphwright.graph.dtype import int64
from graphwright.graph.types import TensorType
from graphwright.ops.checkpoint import Barrier

CONTEXT = Context(Target.host(), {})
X = np.arange(6.0)


def copied_to(starts: tuple[int, ...], size: int) -> Step:
    """A step whose copy goes to a wrong box of its output."""
    step = Step(Barrier(), [X], None, {}, None)
    x, out = (dense_operand(value, TensorType(X.dtype, (6,))) for value in (0, 1))
    source = Operand(0, x.type.with_shape((size,)), 0, (1,))
    kernels = copied([Region(box(out, starts, (size,)), source)], CONTEXT, "wrong")
    step.run(kernels, CONTEXT.target, shuffled)
    return step


@pytest.mark.parametrize("start", [-1, 3])
def test_writing_beyond_the_ends_is_found(start):
    with pytest.raises(AssertionError, match="written beyond the ends of an output"):
        copied_to((start,), 4)


def test_what_is_not_written_is_nonsense():
    out = copied_to((0,), 4).outputs[0]
    assert (out[:4] == X[:4]).all() and not (out[4:] == X[4:]).any()


def test_a_fault_that_is_none_is_found():
    module = CONTEXT.module()
    with kernel_function(module) as frame:
        fault = frame.arguments.pointer(Fault(), int64)
        frame.b.store(fault, 0, frame.b.constant(1, int64))
    kernel = Kernel("fault", module.text, frame.arguments.slots, 1, 0)
    with pytest.raises(AssertionError, match="a fault on input that the NumPy kernel accepts"):
        Step(Barrier(), [X], None, {}, None).run([kernel], CONTEXT.target, together)


@pytest.mark.parametrize("order", [shuffled, together, in_halves])
@pytest.mark.parametrize("tiles", [0, 1, 2, 7])
def test_every_order_has_each_tile_once(order, tiles):
    assert sorted(i for a, b in order(tiles) for i in range(a, b)) == list(range(tiles))
