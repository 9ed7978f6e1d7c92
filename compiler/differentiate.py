"""Reverse-mode differentiation: a graph for the gradient, made of ordinary nodes.

before::

    graph(x: f32[n]) {
      %0: f32[n] = exp(x)
      %1: f32[] = sum(%0, axes=(0,), keepdims=False)
      return %1
    }

after `grad(%1, x)`, unsimplified::

      %2: f32[] = constant(value=f32[]{1.0})
      %3: f32[1] = reshape(%2, shape=(1,))
      %4: f32[n] = broadcast_to(%3, shape=(n,))
      %5: f32[n] = multiply(%4, %0)

Each new node has the scope and the source of the node that it differentiates.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal, cast, overload

import numpy as np

from graphwright.graph.backpropagate import backpropagate, between
from graphwright.graph.dtype import is_floating, short_name
from graphwright.graph.errors import AttributeValueError, GradientError
from graphwright.graph.graph import ancestors
from graphwright.graph.node import Node, Origin, derived
from graphwright.graph.source import here
from graphwright.graph.tensor import Tensor
from graphwright.ops.convert import as_tensor
from graphwright.ops.movement import broadcast_to


@overload
def grad(
    target: Tensor, wrt: Tensor, *, disconnected: Literal["error", "zero"] = "error"
) -> Tensor: ...
@overload
def grad(
    target: Tensor, wrt: Sequence[Tensor], *, disconnected: Literal["error", "zero"] = "error"
) -> list[Tensor]: ...
def grad(
    target: Tensor,
    wrt: Tensor | Sequence[Tensor],
    *,
    disconnected: Literal["error", "zero"] = "error",
) -> Tensor | list[Tensor]:
    """The gradient of the scalar `target` with respect to `wrt`: symbolic tensors like `wrt`.

    target:       a floating tensor of rank 0
    wrt:          a floating tensor, or several; any tensor of the graph, not only its leaves
    disconnected: what to do about a tensor that `target` does not depend on through
                  differentiable operators: raise an error, or give zeros

    Gradients are ordinary tensors: `grad(grad(y, x).sum(), x)` is the second derivative.
    Raises GradientError for a non-scalar or non-floating target, a non-floating or disconnected
    `wrt`; AttributeValueError for another word in `disconnected`.
    """
    single = isinstance(wrt, Tensor)
    variables = _variables(wrt)
    _check(target, variables)
    if disconnected not in ("error", "zero"):
        raise AttributeValueError(
            f"disconnected is {disconnected!r}", source=here(), hint="'error' or 'zero'"
        )
    with derived(Origin(target.node.scope, target.node.source, "backward")):
        seed = as_tensor(np.ones((), target.dtype))
    nodes = list(ancestors([target]))
    gradients = backpropagate(nodes, {target: seed}, variables)
    found: list[Tensor] = []
    for variable in variables:
        gradient = gradients.get(variable)
        if gradient is None:
            if disconnected == "error":
                raise _disconnected(target, variable, nodes)
            with derived(Origin(variable.node.scope, variable.node.source, "backward")):
                zero = as_tensor(np.zeros((), variable.dtype))
                gradient = broadcast_to(zero, variable.shape)
        found.append(gradient)
    return found[0] if single else found


def _variables(wrt: object) -> list[Tensor]:
    variables: list[object] = (
        list(wrt) if isinstance(wrt, Iterable) and not isinstance(wrt, Tensor) else [wrt]
    )
    for variable in variables:
        if not isinstance(variable, Tensor):
            raise GradientError(f"wrt must be tensors, got {variable!r}", source=here())
    return cast(list[Tensor], variables)


def _check(target: Tensor, variables: list[Tensor]) -> None:
    if not isinstance(target, Tensor):
        raise GradientError(f"the target must be a tensor, got {target!r}", source=here())
    details = [("target", target.describe())]
    if not is_floating(target.dtype):
        raise GradientError(
            f"the target is {short_name(target.dtype)}: only floating tensors have gradients",
            details=details,
            source=here(),
        )
    if target.shape:
        raise GradientError(
            f"the target has shape {target.shape}: gradients are taken of a scalar",
            details=details,
            source=here(),
            hint="reduce it first, with .sum() or .mean()",
        )
    for variable in variables:
        if not is_floating(variable.dtype):
            raise GradientError(
                f"wrt is {short_name(variable.dtype)}: only floating tensors have gradients",
                details=[("wrt", variable.describe())],
                source=here(),
                hint="use a floating dtype, or .astype on the way",
            )


def _disconnected(target: Tensor, variable: Tensor, nodes: Sequence[Node]) -> GradientError:
    dependent, _ = between(nodes, [variable])
    blocking = sorted({node.op.name for node in dependent if not node.op.differentiable})
    if blocking:
        why = f"every path goes through operators without a derivative: {', '.join(blocking)}"
    else:
        why = "the target does not depend on it"
    return GradientError(
        f"there is no gradient with respect to {variable.name or variable.node.op.name}: {why}",
        details=[("target", target.describe()), ("wrt", variable.describe())],
        source=here(),
        hint='disconnected="zero" gives zeros instead',
    )
