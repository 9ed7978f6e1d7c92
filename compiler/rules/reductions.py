"""Reductions: of reductions, of what was broadcast or transposed, over axes of size 1.

before::

    graph(x: f32[3]) {
      %0: f32[10,3] = broadcast_to(x, shape=(10, 3))
      %1: f32[10] = sum(%0, axes=(1,), keepdims=False)
      %2: f32[] = sum(%1, axes=(0,), keepdims=False)
      return %2
    }

after::

    graph(x: f32[3]) {
      %0: f32[] = sum(x, axes=(0,), keepdims=False)
      %1: f32[] = constant(value=f32[]{10.0})
      %2: f32[] = multiply(%0, %1)
      return %2
    }
"""

from __future__ import annotations

import dataclasses

import numpy as np

from graphwright.compiler.rules.casts import FLOAT_BITS
from graphwright.compiler.rules.pattern import uniform_value
from graphwright.compiler.rules.rule import (
    Declined,
    Example,
    Kept,
    Outcome,
    chain,
    fitted,
    replacing,
    rule,
    rules_in,
)
from graphwright.graph.dim import Dim, Size, product
from graphwright.graph.dtype import DType, float32, int64, is_floating, short_name
from graphwright.graph.node import Node
from graphwright.graph.operator import Operator
from graphwright.graph.tensor import Tensor
from graphwright.ops import as_tensor, cast
from graphwright.ops.arithmetic import Multiply, Negative
from graphwright.ops.case import bool_, f16, f32, f64, i32, i64, u8
from graphwright.ops.movement import (
    BroadcastTo,
    Transpose,
    broadcast_to,
    reshape,
    squeeze,
    transpose,
)
from graphwright.ops.reduction import Reduction, Sum, all, argmax, max, prod, sum


@rule(
    Reduction,
    declaring="fold",
    examples=[
        Example(lambda x: sum(x, 1), lambda x: reshape(x, (-1,)), f64["n", 1]),
        Example(lambda x: sum(x, (0, 1)), lambda x: reshape(sum(x, 0), ()), f64[3, 1]),
        Example(lambda x: max(x, (0, 1), True), lambda x: max(x, 0, True), f64[3, 1]),
        Example(lambda x: sum(x, 0), lambda x: cast(reshape(x, ()), "i64"), bool_[1]),
        Example(lambda x: prod(x, ()), lambda x: x, f64[3]),
    ],
    kept=[Kept(lambda x: argmax(x, 0), f64[1])],
)
def reduce_axes_of_size_one(node: Node) -> Outcome:
    """a sum, product or extreme over axes of size 1 → reshape."""
    op, x, out = node.op, node.inputs[0], node.outputs[0]
    assert isinstance(op, Reduction)
    axes = tuple(axis for axis in op.axes if x.shape[axis] != 1)
    if axes and axes == op.axes:
        return None
    if not axes:
        return cast(reshape(x, out.shape), out.dtype)
    return reshape(dataclasses.replace(op, axes=axes)(x), out.shape)


@rule(
    Reduction,
    declaring="fold",
    weight=2,
    claim="rounded",
    examples=[
        Example(lambda x: sum(sum(x, 0), 1), lambda x: sum(x, (0, 2)), f64[2, 3, 4]),
        Example(lambda x: max(max(x, 1, True), 0, True), lambda x: max(x, (0, 1), True), f64[2, 3]),
        Example(lambda x: sum(sum(x, 1, True), 0), lambda x: reshape(sum(x), (1,)), f64[2, 3]),
        Example(lambda x: sum(sum(x, 0, True), 1), lambda x: reshape(sum(x), (1,)), f64[2, 3]),
        Example(lambda x: all(all(x, 1)), lambda x: all(x), bool_[2, 3]),
    ],
    kept=[Kept(lambda x: max(sum(x, 1), 0), f64[2, 3])],
)
def reduction_of_reduction(node: Node) -> Outcome:
    """sum(sum(x, a), b) → sum(x, a and b), and so for products and extremes."""
    outer, inner_node = node.op, node.inputs[0].node
    inner, x = inner_node.op, inner_node.inputs[0] if inner_node.inputs else None
    if type(inner) is not type(outer) or x is None:
        return None
    assert isinstance(outer, Reduction) and isinstance(inner, Reduction)
    left = [i for i in range(x.ndim) if inner.keepdims or i not in inner.axes]
    axes = tuple(sorted({*inner.axes, *(left[axis] for axis in outer.axes)}))
    with replacing(node, inner_node):
        merged = dataclasses.replace(outer, axes=axes, keepdims=outer.keepdims and inner.keepdims)
        return reshape(merged(x), node.outputs[0].shape)


@chain(
    Sum,
    BroadcastTo,
    claim="rounded",
    examples=[
        Example(lambda x: sum(broadcast_to(x, (10, 3)), 0), lambda x: x * 10, f64[3]),
        Example(
            lambda x: sum(broadcast_to(x, (10, 3))),
            lambda x: reshape(sum(x, 0, True), ()) * 10,
            f64[3],
        ),
        Example(
            lambda x: sum(broadcast_to(x, (10, 2, 3)), 0, True),
            lambda x: broadcast_to(reshape(x, (1, 1, 3)) * 10, (1, 2, 3)),
            f64[1, 3],
        ),
        Example(
            lambda x, y: sum(broadcast_to(x, y.shape), 0),
            lambda x, y: x * as_tensor(y.shape[0], int64),
            i64[3],
            i64["n", 3],
        ),
        Example(
            lambda y: sum(broadcast_to(as_tensor(0.5), y.shape), (0, 1)),
            lambda y: as_tensor(0.5) * as_tensor(3 * y.shape[0], float32),
            f32["n", 3],
        ),
    ],
    kept=[
        Kept(lambda x: sum(broadcast_to(x, (2, 3)), 1), f32[3]),
        Kept(lambda x: sum(broadcast_to(x, (5000,))), f16[()], reason="may be no number of f16"),
        Kept(
            lambda x, y: sum(broadcast_to(x, y.shape)),
            f32[()],
            f32["n"],
            reason="the sum is 0 if n is 0",
        ),
    ],
)
def sum_of_broadcast(op: Sum, inner: BroadcastTo, x: Tensor) -> Outcome:
    """sum(broadcast_to(x)) → x × the number of repetitions."""
    extra = len(inner.shape) - x.ndim
    full = (1,) * extra + x.shape
    repeated = [axis for axis in op.axes if full[axis] == 1 != inner.shape[axis]]
    if not repeated:
        return None
    out = op.infer(x.type.with_shape(inner.shape))
    count = product(inner.shape[axis] for axis in repeated)
    refusal = _not_a_factor(count, x, out.dtype)
    if refusal is not None:
        return refusal
    axes = tuple(axis - extra for axis in op.axes if axis >= extra and axis not in repeated)
    total = cast(Sum(axes, True)(x) if axes else x, out.dtype)
    sizes = enumerate((1,) * extra + total.shape)
    kept = [size for axis, size in sizes if op.keepdims or axis not in op.axes]
    return fitted(reshape(total, kept) * as_tensor(count, out.dtype), out)


def _not_a_factor(count: Size, x: Tensor, dtype: DType) -> Declined | None:
    """Why a sum of `count` times x can't be written as a product."""
    if not is_floating(dtype):
        return None
    if dtype.itemsize < 4 and (isinstance(count, Dim) or count > 2 ** FLOAT_BITS[dtype.name][0]):
        return Declined(f"{count} may be no number of {short_name(dtype)}")
    value = uniform_value(x)
    if (value is None or not np.isfinite(value)) and (isinstance(count, Dim) or count == 0):
        return Declined(f"the sum is 0 if {count} is 0, but 0 × x is nan where x is inf or nan")
    return None


@chain(
    Sum,
    Negative,
    examples=[Example(lambda x: sum(-x, 0), lambda x: -sum(x, 0), f64["n", 3])],
    kept=[Kept(lambda x: sum(-x, 0), u8[3])],
)
def sum_of_negative(op: Sum, inner: Negative, x: Tensor) -> Outcome:
    """sum(-x) → -sum(x)."""
    return -op(x) if op.infer(x.type).dtype == x.dtype else None


@rule(
    Sum,
    weight=2,
    claim="stable",
    examples=[
        Example(lambda x: sum(2 * x, 0), lambda x: sum(x, 0) * 2, f64["n", 3]),
        Example(lambda x: sum(x * -1.5, 0, True), lambda x: sum(x, 0, True) * -1.5, f32[2, 3]),
    ],
    kept=[
        Kept(lambda x: sum(0.5 * x, 0), f32[3], reason="the sum of x may overflow"),
        Kept(lambda x, y: sum(x * y, 0), f32[3], f32[3]),
        Kept(lambda x: sum(2 * x, 0), i32[3]),
        Kept(lambda x: sum(np.ones(3) * x, 0), f64[()]),
    ],
)
def sum_of_multiple(node: Node) -> Outcome:
    """sum(c x) → c sum(x) for a number c with |c| ≥ 1: as then |sum(x)| ≤ |sum(c x)|, nothing new
    overflows."""
    product_node = node.inputs[0].node
    if not isinstance(product_node.op, Multiply) or not is_floating(node.outputs[0].dtype):
        return None
    for c, x in (product_node.inputs, product_node.inputs[::-1]):
        value = uniform_value(c)
        if value is None or x.shape != node.inputs[0].shape:
            continue
        if not 1 <= np.abs(value) < np.inf:
            return Declined("the sum of x may overflow where that of its multiple does not")
        with replacing(node, product_node):
            return node.op(x) * as_tensor(value)
    return None


@chain(
    Reduction,
    Transpose,
    claim="rounded",
    examples=[
        Example(lambda x: sum(transpose(x), 0), lambda x: sum(x, 1), f64["n", 3]),
        Example(lambda x: argmax(transpose(x), 1), lambda x: argmax(x, 0), f64[4, 3]),
        Example(
            lambda x: max(transpose(x, (2, 0, 1)), 1),
            lambda x: transpose(max(x, 0)),
            f64[2, 3, 4],
        ),
        Example(
            lambda x: max(transpose(x, (2, 0, 1)), 1, True),
            lambda x: transpose(max(x, 0, True), (2, 0, 1)),
            f64[2, 3, 4],
        ),
    ],
)
def reduction_of_transpose(op: Reduction, inner: Transpose, x: Tensor) -> Outcome:
    """sum(transpose(x)) → sum(x) over the axes where those were before; what is left of the
    transposition moves behind it, to fewer elements."""
    axes = tuple(sorted(inner.axes[axis] for axis in op.axes))
    reduced = dataclasses.replace(op, axes=axes)(x)
    if op.keepdims:
        return transpose(reduced, inner.axes)
    left = [axis for i, axis in enumerate(inner.axes) if i not in op.axes]
    return transpose(reduced, [sorted(left).index(axis) for axis in left])


@rule(
    Reduction,
    declaring="fold",
    weight=2,
    claim="rounded",
    examples=[
        Example(lambda x: sum(reshape(x, (-1,)), 0), lambda x: sum(x), f64["n", 3]),
        Example(
            lambda x: max(reshape(x, (3, 2)), (0, 1), True),
            lambda x: reshape(max(x), (1, 1)),
            f64[6],
        ),
    ],
    kept=[
        Kept(lambda x: sum(reshape(x, (3, 2)), 0), f64[6]),
        Kept(lambda x: argmax(reshape(x, (6,)), 0), f64[2, 3]),
    ],
)
def reduction_of_all(node: Node) -> Outcome:
    """sum(reshape(x)) over all axes → sum(x) over all axes."""
    op, inner = node.op, node.inputs[0].node
    assert isinstance(op, Reduction)
    if len(op.axes) != node.inputs[0].ndim or inner.op.view != "dense":
        return None
    x = inner.inputs[0]
    if x.size != node.inputs[0].size:
        return None
    with replacing(node, inner):
        total = dataclasses.replace(op, axes=tuple(range(x.ndim)), keepdims=False)(x)
        return reshape(total, node.outputs[0].shape)


@rule(
    Operator,
    declaring="view",
    weight=2,
    examples=[
        Example(lambda x: reshape(sum(x, 0), (1, 3)), lambda x: sum(x, 0, True), f64["n", 3]),
        Example(lambda x: squeeze(max(x, 0, True), 0), lambda x: max(x, 0), f64[2, 3]),
        Example(
            lambda x: reshape(sum(x, 0, True), (3, 1)),
            lambda x: reshape(sum(x, 0), (3, 1)),
            f64[2, 3],
        ),
    ],
    kept=[Kept(lambda x: reshape(sum(x, 0), (3, 1)), f64[2, 3])],
)
def reshape_of_reduction(node: Node) -> Outcome:
    """reshape(sum(x)) that only adds or drops the reduced axes → sum(x) that does so itself."""
    if node.op.view != "dense" or not isinstance(node.inputs[0].node.op, Reduction):
        return None
    inner = node.inputs[0].node
    op, x = inner.op, inner.inputs[0]
    assert isinstance(op, Reduction)
    other = dataclasses.replace(op, keepdims=not op.keepdims)
    fits = other.reduced(x.shape) == node.outputs[0].shape
    whole = node.inputs[0].size == node.outputs[0].size
    if not (fits or (op.keepdims and whole)):
        return None
    with replacing(node, inner):
        return reshape(other(x), node.outputs[0].shape)


RULES = rules_in(globals())
