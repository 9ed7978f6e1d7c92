"""Give products of matrices the elementwise work on their results.

before::

    graph(x: f32[n,784]) {
      parameter w: f32[784,10]
      parameter b: f32[10]
      %0: f32[n,10] = matmul(x, w)
      %1: f32[n,10] = fused(%0, b, kind="elementwise", graph=graph(…) { … add … })
      return %1
    }

after::

    graph(x: f32[n,784]) {
      parameter w: f32[784,10]
      parameter b: f32[10]
      %0: f32[n,10] = fused(x, w, b, kind="contraction", graph=graph(…) { … matmul, add … })
      return %0
    }

A part of the product is worked on as soon as it is there, while it is in the nearest cache; when
nothing else reads the product itself, it is never written. In a training step that goes for the
gradient of a weight: the optimizer's update is such work.

The group takes one product: of several that it reads, the last. It must be read index by index, and
nothing else that the group reads may depend on it.
"""

from __future__ import annotations

from collections.abc import Mapping

from graphwright.compiler.fused import Fused
from graphwright.compiler.iteration import space_of
from graphwright.compiler.log import Log
from graphwright.graph.graph import Graph, copy_node
from graphwright.graph.leaf import Input
from graphwright.graph.node import Node, derived
from graphwright.graph.tensor import Tensor


def fuse_contractions(graph: Graph, log: Log) -> Graph:
    """The graph with `Fused` nodes for products and the work on them; itself without any."""
    pairs = _pairs(graph, log)
    if not pairs:
        return graph
    new: dict[Tensor, Tensor] = {}
    products = {product: worker for worker, product in pairs.items()}
    for node in graph.operations:
        if node in products:
            continue
        if node in pairs:
            _merge(pairs[node], node, graph, new)
        else:
            copy_node(node, new)
    return graph.replaced(new)


def _pairs(graph: Graph, log: Log) -> dict[Node, Node]:
    """For each node that takes a product, that product."""
    pairs: dict[Node, Node] = {}
    taken: set[Node] = set()
    place = {node: i for i, node in enumerate(graph.operations)}
    for worker in graph.operations:
        if not worker.op.elementwise or worker.op.view:
            continue
        products = {t.node for t in worker.inputs if t.node.op.contraction} - taken
        for product in sorted(products, key=place.__getitem__, reverse=True):
            reason = _obstacle(product, worker, graph, place)
            if reason is not None:
                log.declined("fuse_contraction", f"not fused: {reason}", [product, worker])
            elif log.applied("fuse_contraction", _what(product, worker), [product, worker]):
                pairs[worker] = product
                taken.add(product)
                break
    return pairs


def _what(product: Node, worker: Node) -> str:
    body = worker.op.body
    names = [node.op.name for node in body.operations if node.inputs] if body else [worker.op.name]
    return f"{product.op.name}, then {', '.join(dict.fromkeys(names))}"


def _obstacle(product: Node, worker: Node, graph: Graph, place: Mapping[Node, int]) -> str | None:
    """Why a product can't be one with the work on it. place: of each operation in the order."""
    made = product.outputs[0]
    if any(space_of(tensor.shape) != space_of(made.shape) for tensor in worker.outputs):
        return "the work is not on the product alone"
    if any(place[reader] < place[worker] for reader in graph.consumers[made]):
        return "something before reads the product"
    pending = [tensor.node for tensor in worker.inputs if tensor is not made]
    seen: set[Node] = set()
    while pending:
        node = pending.pop()
        if node is product:
            return "the work reads something else that depends on the product"
        if node not in seen and place.get(node, -1) > place[product]:
            seen.add(node)
            pending += [tensor.node for tensor in node.inputs]
    return None


def _merge(product: Node, worker: Node, graph: Graph, new: dict[Tensor, Tensor]) -> None:
    """Put one node in place of both."""
    made = product.outputs[0]
    outer = list(dict.fromkeys([*product.inputs, *(t for t in worker.inputs if t is not made)]))
    with derived(worker.origin):
        inner = {t: Input(f"x{i}", t.type)() for i, t in enumerate(outer)}
    copy_node(product, inner)
    body = worker.op.body
    if body is None:
        copy_node(worker, inner)
        outputs = [inner[tensor] for tensor in worker.outputs]
    else:
        inside = dict(zip(body.inputs, (inner[t] for t in worker.inputs), strict=True))
        for node in body.operations:
            copy_node(node, inside)
        outputs = [inside.get(tensor, tensor) for tensor in body.outputs]
    given = list(worker.outputs)
    elsewhere = any(reader is not worker for reader in graph.consumers[made])
    if elsewhere or any(result is made for result in graph.results):
        outputs, given = [inner[made], *outputs], [made, *given]
    op = Fused("contraction", Graph([inner[t] for t in outer], outputs))
    with derived(product.origin | worker.origin):
        results = op.apply(*(new.get(tensor, tensor) for tensor in outer))
    new.update(zip(given, results, strict=True))
