"""Forward mode: from how some tensors move to how what is computed from them moves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from graphwright.graph import tensor as language
from graphwright.graph.backpropagate import Gradients, backpropagate, gradients_of
from graphwright.graph.dtype import is_floating
from graphwright.graph.graph import ancestors
from graphwright.graph.node import Node, Origin, derived
from graphwright.graph.operator import Operator, as_tuple
from graphwright.graph.tensor import Tensor


def pushforward(nodes: Sequence[Node], tangents: Mapping[Tensor, Tensor]) -> dict[Tensor, Tensor]:
    """The tangents (directional derivatives) of all that `nodes` compute and that moves.

    nodes:    in topological order
    tangents: for each tensor that moves, its direction, of the same type
    """
    moving = dict(tangents)
    for node in nodes:
        given = [moving.get(tensor) for tensor in node.inputs]
        if not node.op.differentiable or all(tangent is None for tangent in given):
            continue
        with derived(Origin(node.scope, node.source, "backward")):
            answer = _tangents(node, given)
        pairs = zip(node.outputs, answer, strict=True)
        moving.update({x: t for x, t in pairs if t is not None and x not in tangents})
    return moving


def _tangents(node: Node, given: Sequence[Tensor | None]) -> Sequence[Tensor | None]:
    op = node.op
    if type(op).tangent is not Operator.tangent:
        return op.tangent(given, node.inputs, node.outputs)
    if op.composite and type(op).gradient is Operator.gradient:
        return _through_decomposition(node, given)
    return _transposed(node, given)


def _transposed(node: Node, given: Sequence[Tensor | None]) -> Sequence[Tensor | None]:
    """From the gradient: it is linear in the output's, and its own gradient by that, taken at 0,
    is the map from the inputs' directions to the output's (Townsend, "A new trick for calculating
    Jacobian-vector products", 2017)."""
    seeds = [
        language.vocabulary.zeros_like(out) if is_floating(out.dtype) else None
        for out in node.outputs
    ]
    pairs = [
        (gradient, tangent)
        for gradient, tangent in zip(gradients_of(node, seeds), given, strict=True)
        if gradient is not None and tangent is not None
    ]
    start: Gradients = {}
    for gradient, tangent in pairs:
        start[gradient] = start[gradient] + tangent if gradient in start else tangent
    known = {*node.inputs, *node.outputs}
    nodes = list(ancestors([gradient for gradient, _ in pairs], stop=known))
    wanted = [seed for seed in seeds if seed is not None]
    found = backpropagate(nodes, start, wanted)
    return [None if seed is None else found.get(seed) for seed in seeds]


def _through_decomposition(node: Node, given: Sequence[Tensor | None]) -> Sequence[Tensor | None]:
    with derived(node.origin):
        answer = node.op.decompose(*node.inputs)
    return pushed_forward(as_tuple(answer), node.inputs, given)


def pushed_forward(
    outputs: Sequence[Tensor], inputs: Sequence[Tensor], tangents: Sequence[Tensor | None]
) -> list[Tensor | None]:
    """The tangents of `outputs` for those of `inputs`, through what lies between them."""
    start = {x: t for x, t in zip(inputs, tangents, strict=True) if t is not None}
    moving = pushforward(list(ancestors(outputs, stop=set(inputs))), start)
    return [moving.get(tensor) for tensor in outputs]
