"""Shapes: views that cancel, and broadcasts that the operator after them does by itself.

before::

    graph(g: f32[], y: f32[n,3]) {
      %0: f32[1,1] = reshape(g, shape=(1, 1))
      %1: f32[n,3] = broadcast_to(%0, shape=(n, 3))
      %2: f32[n,3] = multiply(%1, y)
      return %2
    }

after::

    graph(g: f32[], y: f32[n,3]) {
      %0: f32[n,3] = multiply(g, y)
      return %0
    }
"""

from __future__ import annotations

import numpy as np

from graphwright.compiler.rules.rule import (
    Example,
    Kept,
    Outcome,
    chain,
    fitted,
    replacing,
    rule,
    rules_in,
)
from graphwright.graph.leaf import Constant
from graphwright.graph.node import Node
from graphwright.graph.operator import Operator
from graphwright.graph.tensor import Tensor
from graphwright.ops.arithmetic import multiply
from graphwright.ops.case import f32, f64, i32
from graphwright.ops.convert import as_tensor
from graphwright.ops.exponential import exp
from graphwright.ops.movement import (
    BroadcastTo,
    ExpandDims,
    Reshape,
    Squeeze,
    Transpose,
    broadcast_to,
    expand_dims,
    reshape,
    squeeze,
    transpose,
)


@rule(
    Operator,
    declaring="view",
    weight=2,
    examples=[
        Example(
            lambda x: reshape(reshape(x, (6,)), (3, 2)), lambda x: reshape(x, (3, 2)), f32[2, 3]
        ),
        Example(lambda x: squeeze(expand_dims(x, 1), 1), lambda x: x, f32["n", 3]),
        Example(
            lambda x: expand_dims(reshape(x, (-1,)), 1), lambda x: reshape(x, (-1, 1)), f32["n", 3]
        ),
    ],
    kept=[Kept(lambda x: reshape(transpose(x), (6,)), f32[2, 3])],
)
def dense_view_of_dense_view(node: Node) -> Outcome:
    """reshape(reshape(x)) → reshape(x), and so for all views that keep the order of elements."""
    if node.op.view != "dense" or node.inputs[0].node.op.view != "dense":
        return None
    inner = node.inputs[0].node
    if inner.inputs[0].size != node.outputs[0].size:
        return None
    with replacing(node, inner):
        return reshape(inner.inputs[0], node.outputs[0].shape)


@rule(
    Operator,
    declaring="view",
    examples=[
        Example(lambda x: Reshape((2, 3))(x), lambda x: x, f32[2, 3]),
        Example(lambda x: ExpandDims(())(x), lambda x: x, f32["n"]),
        Example(lambda x: Squeeze(())(x), lambda x: x, f32["n"]),
        Example(lambda x: BroadcastTo((2, 3))(x), lambda x: x, f32[2, 3]),
    ],
)
def view_of_same_shape(node: Node) -> Outcome:
    """reshape(x) and broadcast_to(x) to the shape of x → x."""
    same = node.op.view == "dense" or node.op.broadcasting
    return node.inputs[0] if same and node.inputs[0].type == node.outputs[0].type else None


@rule(
    Operator,
    declaring="view",
    examples=[
        Example(
            lambda: reshape(broadcast_to(as_tensor(2.0), (2, 3)), (6,)),
            lambda: broadcast_to(as_tensor(2.0), (6,)),
        ),
        Example(
            lambda x: transpose(broadcast_to(x, (2, 3))), lambda x: broadcast_to(x, (3, 2)), f32[()]
        ),
    ],
    kept=[Kept(lambda x: transpose(broadcast_to(x, (2, 3))), f32[3])],
)
def view_of_one_value(node: Node) -> Outcome:
    """a view of one value broadcast → that value broadcast to the view's shape."""
    if node.op.broadcasting:
        return None
    inner = node.inputs[0].node
    if not inner.op.broadcasting or inner.inputs[0].shape:
        return None
    with replacing(node, inner):
        return broadcast_to(inner.inputs[0], node.outputs[0].shape)


@rule(
    Operator,
    declaring="broadcasting",
    examples=[
        Example(
            lambda x: broadcast_to(broadcast_to(x, (2, 3)), (4, 2, 3)),
            lambda x: broadcast_to(x, (4, 2, 3)),
            f32[3],
        ),
        Example(
            lambda x: broadcast_to(reshape(x, (1, 1, 3)), (4, 2, 3)),
            lambda x: broadcast_to(x, (4, 2, 3)),
            f32[3],
        ),
    ],
    kept=[Kept(lambda x: broadcast_to(reshape(x, (3, 1)), (3, 2)), f32[3])],
)
def broadcast_of_broadcast(node: Node) -> Outcome:
    """broadcast_to(broadcast_to(x)) → broadcast_to(x), and so where x only got leading axes."""
    x = _before_broadcast(node.inputs[0])
    if x is node.inputs[0]:
        return None
    with replacing(node, node.inputs[0].node):
        return broadcast_to(x, node.outputs[0].shape)


@rule(
    Operator,
    declaring="broadcasting",
    examples=[
        Example(lambda x: broadcast_to(x, (1, 1, 3)), lambda x: reshape(x, (1, 1, 3)), f32[3])
    ],
    kept=[Kept(lambda x: broadcast_to(x, (1, 2, 3)), f32[3])],
)
def broadcast_of_nothing(node: Node) -> Outcome:
    """broadcast_to(x) that only adds axes of size 1 → reshape(x), whose result is dense."""
    if node.inputs[0].type == node.outputs[0].type:
        return None
    shape = node.outputs[0].shape
    return reshape(node.inputs[0], shape) if _leads(node.inputs[0], shape) else None


@rule(
    Operator,
    declaring="elementwise",
    examples=[
        Example(
            lambda g, y: multiply(broadcast_to(reshape(g, (1, 1)), y.shape), y),
            lambda g, y: multiply(g, y),
            f32[()],
            f32["n", 3],
        ),
        Example(
            lambda x: exp(broadcast_to(x, (4, 3))), lambda x: broadcast_to(exp(x), (4, 3)), f32[3]
        ),
        Example(
            lambda x, y: broadcast_to(x, (4, 3)) + broadcast_to(y, (4, 3)),
            lambda x, y: broadcast_to(x + y, (4, 3)),
            f32[3],
            f32[1, 1],
        ),
        Example(
            lambda x, y: reshape(x, (1, 3)) + reshape(y, (1, 3)),
            lambda x, y: reshape(x + y, (1, 3)),
            f32[3],
            f32[3],
        ),
        Example(
            lambda x: x * np.array([[0.5]]), lambda x: x * as_tensor(np.array(0.5)), f64["n", 3]
        ),
    ],
    kept=[Kept(lambda x, y: reshape(x, (3, 1)) + y, f32[3], f32[3])],
)
def broadcast_operands(node: Node) -> Outcome:
    """f(broadcast_to(x), y) → f(x, y), which broadcasts by itself; f(broadcast_to(x)) →
    broadcast_to(f(x)), which computes less."""
    operands = [_before_broadcast(tensor) for tensor in node.inputs]
    gone = [t.node for t, x in zip(node.inputs, operands, strict=True) if t is not x]
    if not gone:
        return None
    with replacing(node, *gone):
        return fitted(node.op.apply(*operands)[0], node.outputs[0].type)


@chain(
    Transpose,
    Transpose,
    examples=[
        Example(
            lambda x: transpose(transpose(x, (1, 2, 0)), (1, 0, 2)),
            lambda x: transpose(x, (2, 1, 0)),
            f32[2, 3, 4],
        ),
        Example(lambda x: transpose(transpose(x)), lambda x: x, f32["n", 3]),
    ],
)
def transpose_of_transpose(outer: Transpose, inner: Transpose, x: Tensor) -> Outcome:
    """transpose(transpose(x)) → transpose(x), or x itself."""
    return transpose(x, [inner.axes[axis] for axis in outer.axes])


@chain(
    Transpose,
    examples=[
        Example(lambda x: Transpose((0, 1))(x), lambda x: x, f64[2, 3]),
        Example(lambda x: transpose(x), lambda x: reshape(x, (1, 3)), f64[3, 1]),
        Example(
            lambda x: transpose(x, (1, 0, 2)), lambda x: reshape(x, (-1, 1, 3)), i32[1, "n", 3]
        ),
    ],
    kept=[Kept(lambda x: transpose(x, (1, 2, 0)), f64[2, 3, 1])],
)
def transpose_of_axes_of_size_one(op: Transpose, x: Tensor) -> Outcome:
    """transpose(x) that moves only axes of size 1 → reshape(x): the elements stay in order."""
    moved = [axis for axis in op.axes if x.shape[axis] != 1]
    return reshape(x, [x.shape[axis] for axis in op.axes]) if moved == sorted(moved) else None


def _before_broadcast(tensor: Tensor) -> Tensor:
    """What `tensor` was before it was broadcast, or got leading axes of size 1."""
    while True:
        op, inputs = tensor.node.op, tensor.node.inputs
        if isinstance(op, Constant) and tensor.ndim and tensor.size == 1:
            return as_tensor(op.value.array.reshape(()))
        if not op.broadcasting and not (op.view == "dense" and _leads(inputs[0], tensor.shape)):
            return tensor
        tensor = inputs[0]


def _leads(x: Tensor, shape: tuple[object, ...]) -> bool:
    """True when `shape` is that of `x` behind some axes of size 1, or the same."""
    extra = len(shape) - x.ndim
    return extra >= 0 and shape == (1,) * extra + x.shape


RULES = rules_in(globals())
