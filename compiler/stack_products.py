"""Give a product the shape in which its rows are read.

before::

    graph(x: f32[n,t,4], w: f32[4,3]) {
      %0: f32[n*t,4] = reshape(x, shape=(n*t, 4))
      %1: f32[n*t,3] = matmul(%0, w)
      %2: f32[n,t,3] = reshape(%1, shape=(n, t, 3))
      return %2
    }

after::

    graph(x: f32[n,t,4], w: f32[4,3]) {
      %0: f32[n,t,3] = matmul(x, w)
      return %0
    }

For a library a stack of matrices with the same right factor is quicker as one matrix, which is why
an earlier pass wrote it so; native code sees that by itself. Without the reshape between them, the
work on the product can be done where the product is made (`fuse_contractions.py`).
"""

from __future__ import annotations

from graphwright.compiler.log import Log
from graphwright.graph.graph import Graph, copy_node
from graphwright.graph.node import Node, derived
from graphwright.graph.tensor import Tensor
from graphwright.graph.types import Shape
from graphwright.ops.movement import Reshape, reshape


def stack_products(graph: Graph, log: Log) -> Graph:
    """The graph with products of stacks in place of reshaped ones; itself when there are none."""
    new: dict[Tensor, Tensor] = {}
    for node in graph.operations:
        product = _product(node, graph)
        what = f"a product of shape {node.outputs[0].type}"
        if product is None or not log.applied("stack_product", what, [node, product]):
            copy_node(node, new)
            continue
        left, right = (new.get(tensor, tensor) for tensor in product.inputs)
        shape = (*node.outputs[0].shape[:-1], left.shape[-1])
        with derived(product.origin | node.origin):
            new[node.outputs[0]] = product.op(_reshaped(left, shape), right)
    return graph.replaced(new)


def _product(node: Node, graph: Graph) -> Node | None:
    """The product of two matrices whose rows a node only arranges in more axes, if it does."""
    if not isinstance(node.op, Reshape):
        return None
    (made,) = node.inputs
    product, shape = made.node, node.outputs[0].shape
    known = product.op.contraction and made.ndim == 2 and len(shape) > 2
    alone = known and len(graph.consumers[made]) == 1
    if not alone or any(result is made for result in graph.results):
        return None
    return product if shape[-1] == made.shape[-1] else None


def _reshaped(x: Tensor, shape: Shape) -> Tensor:
    """`x` in a shape, which it may have had before."""
    before = x.node.inputs[0] if isinstance(x.node.op, Reshape) else x
    return before if before.shape == shape else reshape(x, shape)
