"""Reverse mode: from the gradients of some tensors to those of what they are computed from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

from graphwright.graph import tensor as language
from graphwright.graph.dtype import is_floating
from graphwright.graph.errors import GraphwrightError
from graphwright.graph.graph import ancestors
from graphwright.graph.node import Node, Origin, derived
from graphwright.graph.operator import Operator, as_tuple
from graphwright.graph.tensor import Tensor

Gradients: TypeAlias = dict[Tensor, Tensor]


def backpropagate(
    nodes: Sequence[Node], seeds: Mapping[Tensor, Tensor], variables: Iterable[Tensor]
) -> Gradients:
    """The gradients of all tensors between `variables` and the seeded ones.

    nodes:     in topological order; only these are differentiated
    seeds:     tensors with the gradients that they start with
    """
    gradients = dict(seeds)
    dependent, reached = between(nodes, variables)
    for node in reversed(dependent):
        received = [gradients.get(tensor) for tensor in node.outputs]
        if not node.op.differentiable or all(gradient is None for gradient in received):
            continue
        with derived(Origin(node.scope, node.source, "backward")):
            for tensor, gradient in zip(node.inputs, gradients_of(node, received), strict=True):
                if gradient is not None and tensor in reached:
                    known = gradients.get(tensor)
                    gradients[tensor] = gradient if known is None else known + gradient
    return gradients


def between(nodes: Sequence[Node], variables: Iterable[Tensor]) -> tuple[list[Node], set[Tensor]]:
    """The nodes that depend on one of `variables`, and these with all the tensors that do."""
    reached = set(variables)
    dependent: list[Node] = []
    for node in nodes:
        if any(tensor in reached for tensor in node.inputs):
            reached.update(node.outputs)
            dependent.append(node)
    return dependent, reached


def gradients_of(node: Node, received: Sequence[Tensor | None]) -> Sequence[Tensor | None]:
    """The gradient that `node` sends to each of its inputs."""
    op = node.op
    if op.composite and type(op).gradient is Operator.gradient:
        return _through_decomposition(node, received)
    try:
        answer = op.gradient(*node.inputs, *node.outputs, *received)
    except GraphwrightError as error:
        raise error.located(op.name, [("value", node.outputs[0].describe())], node.source) from None
    sent = as_tuple(answer)
    if len(sent) != len(node.inputs):
        raise GraphwrightError(
            f"{op.name}: gradient gives {len(sent)} tensors for {len(node.inputs)} inputs",
            source=node.source,
        )
    return [
        None if gradient is None else _fitted(node, tensor, gradient)
        for tensor, gradient in zip(node.inputs, sent, strict=True)
    ]


def _fitted(node: Node, tensor: Tensor, gradient: object) -> Tensor | None:
    if not isinstance(gradient, Tensor):
        raise GraphwrightError(
            f"{node.op.name}: gradient gives a {type(gradient).__name__}, not a tensor",
            source=node.source,
            hint="wrap it with gw.constant; None says that there is no gradient",
        )
    if not is_floating(tensor.dtype):
        return None
    fitted: Tensor = gradient
    if node.op.elementwise and gradient.shape == node.outputs[0].shape:
        fitted = language.vocabulary.sum_to(gradient, tensor.shape)
    if fitted.type != tensor.type:
        raise GraphwrightError(
            f"{node.op.name}: the gradient of an input of type {tensor.type} "
            f"has type {fitted.type}",
            source=node.source,
        )
    return fitted


def _through_decomposition(node: Node, received: Sequence[Tensor | None]) -> list[Tensor | None]:
    """A composite's gradient: that of the operators it is made of."""
    with derived(node.origin):
        answer = node.op.decompose(*node.inputs)
    outputs = as_tuple(answer)
    return pulled_back(outputs, received, node.inputs)


def pulled_back(
    outputs: Sequence[Tensor], received: Sequence[Tensor | None], inputs: Sequence[Tensor]
) -> list[Tensor | None]:
    """The gradients of `inputs` for those of `outputs`, through what lies between them.

    An input given twice gets its whole gradient once, and None the second time.
    """
    seeds: Gradients = {}
    for output, gradient in zip(outputs, received, strict=True):
        if gradient is not None:
            seeds[output] = seeds[output] + gradient if output in seeds else gradient
    inner = list(ancestors(outputs, stop=set(inputs)))
    gradients = backpropagate(inner, seeds, inputs)
    return [gradients.pop(x, None) if is_floating(x.dtype) else None for x in inputs]
