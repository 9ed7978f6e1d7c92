"""Contractions: one large product of matrices instead of many small ones.

before::

    graph(x: f32[n,16,32], g: f32[n,16,8]) {
      %0: f32[n,32,16] = transpose(x, axes=(0, 2, 1))
      %1: f32[n,32,8] = matmul(%0, g)
      %2: f32[32,8] = sum(%1, axes=(0,), keepdims=False)
      return %2
    }

after::

    graph(x: f32[n,16,32], g: f32[n,16,8]) {
      %0: f32[16*n,32] = reshape(x, shape=(16*n, 32))
      %1: f32[32,16*n] = transpose(%0, axes=(1, 0))
      %2: f32[16*n,8] = reshape(g, shape=(16*n, 8))
      %3: f32[32,8] = matmul(%1, %2)
      return %3
    }

So the layers of a model that work on each position of a sequence come out, and their gradients.
"""

from __future__ import annotations

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
from graphwright.graph.dim import product
from graphwright.graph.node import Node
from graphwright.graph.tensor import Tensor
from graphwright.ops import broadcast_to, matmul, reshape, sum, transpose
from graphwright.ops.case import f64, i32
from graphwright.ops.linear import MatMul
from graphwright.ops.movement import Transpose
from graphwright.ops.reduction import Sum


@chain(
    MatMul,
    claim="rounded",
    examples=[
        Example(
            lambda x, w: matmul(x, w),
            lambda x, w: reshape(matmul(reshape(x, (-1, 3)), w), (-1, 4, 2)),
            f64["n", 4, 3],
            f64[3, 2],
        )
    ],
    kept=[
        Kept(lambda x, w: matmul(x, w), f64["n", 3], f64[3, 2]),
        Kept(lambda x, w: matmul(x, w), f64["n", 4, 3], f64["n", 3, 2]),
        Kept(lambda x, w: matmul(transpose(x, (1, 0, 2)), w), f64[4, "n", 3], f64[3, 2]),
    ],
)
def matmul_with_one_matrix(op: MatMul, lhs: Tensor, rhs: Tensor) -> Outcome:
    """x @ w of many matrices x and one w → the rows of all x as one matrix, times w.

    Not where x is a view in strides, which would be copied.
    """
    if lhs.ndim == 2 or rhs.ndim > 2 or lhs.node.op.view == "strided":
        return None
    *batch, rows, inner = lhs.shape
    flat = reshape(lhs, (product((*batch, rows)), inner))
    return reshape(op(flat, rhs), (*batch, rows, rhs.shape[1]))


@chain(
    Sum,
    MatMul,
    claim="rounded",
    examples=[
        Example(
            lambda x, y: sum(matmul(transpose(x, (0, 2, 1)), y), 0),
            lambda x, y: matmul(transpose(reshape(x, (-1, 3))), reshape(y, (-1, 2))),
            f64["n", 4, 3],
            f64["n", 4, 2],
        ),
        Example(
            lambda x, y: sum(matmul(transpose(x, (0, 1, 3, 2)), y), (0, 1), True),
            lambda x, y: reshape(
                matmul(transpose(reshape(x, (-1, 3))), reshape(y, (-1, 2))), (1, 1, 3, 2)
            ),
            f64[2, 2, 4, 3],
            f64[2, 2, 4, 2],
        ),
    ],
    kept=[
        Kept(lambda x, y: sum(matmul(x, y), 0), f64[2, 3, 4], f64[2, 4, 2]),
        Kept(lambda x, y: sum(matmul(transpose(x, (0, 2, 1)), y), 1), f64[2, 4, 3], f64[2, 4, 2]),
        Kept(lambda x, y: sum(matmul(transpose(x, (0, 2, 1)), y), 0), f64[1, 4, 3], f64[2, 4, 2]),
        Kept(lambda x, y: sum(matmul(transpose(x, (0, 2, 1)), y), 0), i32[2, 4, 3], i32[2, 4, 2]),
    ],
)
def sum_of_products(op: Sum, product_op: MatMul, lhs: Tensor, rhs: Tensor) -> Outcome:
    """sum(xᵀ @ y) over all matrices x and y → all rows of x, transposed, times all rows of y."""
    inner, rank = lhs.node.op, lhs.ndim
    if not isinstance(inner, Transpose) or inner.axes != (*range(rank - 2), rank - 1, rank - 2):
        return None
    (x,) = lhs.node.inputs
    matrices = product_op.infer(lhs.type, rhs.type)
    out = op.infer(matrices)
    together = x.shape[:-1] == rhs.shape[:-1] and op.axes == tuple(range(rank - 2))
    if not together or rank == 2 or out.dtype != x.dtype:
        return None
    rows = product(x.shape[:-1])
    flat = [reshape(tensor, (rows, tensor.shape[-1])) for tensor in (x, rhs)]
    return reshape(product_op(transpose(flat[0]), flat[1]), out.shape)


@rule(
    MatMul,
    examples=[
        Example(
            lambda x, y: matmul(broadcast_to(x, (2, 3, 4)), y),
            lambda x, y: matmul(x, y),
            f64[3, 4],
            f64[2, 4, 5],
        ),
        Example(
            lambda x, y: matmul(broadcast_to(x, (2, 3, 4)), broadcast_to(y, (2, 4, 5))),
            lambda x, y: broadcast_to(matmul(x, y), (2, 3, 5)),
            f64[3, 4],
            f64[1, 4, 5],
        ),
    ],
    kept=[
        Kept(lambda x, y: matmul(broadcast_to(x, (3, 4)), y), f64[4], f64[4, 5]),
        Kept(lambda x, y: matmul(broadcast_to(x, (2, 3, 4)), y), f64[2, 1, 4], f64[4, 5]),
    ],
)
def matmul_of_broadcast(node: Node) -> Outcome:
    """broadcast_to(x) @ y → x @ y, where matrices are repeated: the product repeats them itself."""
    operands = [_unrepeated(tensor) for tensor in node.inputs]
    gone = [t.node for t, x in zip(node.inputs, operands, strict=True) if t is not x]
    if not gone:
        return None
    with replacing(node, *gone):
        return fitted(node.op.apply(*operands)[0], node.outputs[0].type)


def _unrepeated(tensor: Tensor) -> Tensor:
    """The matrices that were broadcast to `tensor`, or itself."""
    if not tensor.node.op.broadcasting:
        return tensor
    (inner,) = tensor.node.inputs
    whole = inner.ndim >= 2 and inner.shape[-2:] == tensor.shape[-2:]
    return inner if whole else tensor


RULES = rules_in(globals())
