"""Derivatives beyond the gradient of a scalar: vjp, jvp, Jacobians and Hessians."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from graphwright.compiler.differentiate import grad
from graphwright.graph.backpropagate import backpropagate
from graphwright.graph.batch import batched, repeated
from graphwright.graph.dtype import is_floating, short_name
from graphwright.graph.errors import (
    AttributeValueError,
    GradientError,
    GraphError,
    ShapeError,
)
from graphwright.graph.graph import ancestors
from graphwright.graph.leaf import Input
from graphwright.graph.node import Origin, derived
from graphwright.graph.pushforward import pushforward
from graphwright.graph.structure import flatten, form, ordered_like, paths, unflatten
from graphwright.graph.tensor import Tensor
from graphwright.ops.convert import as_tensor, builder
from graphwright.ops.creation import eye
from graphwright.ops.higher_order import or_zeros
from graphwright.ops.movement import reshape, transpose

Mode = Literal["auto", "reverse", "forward"]


@builder
def vjp(outputs: Any, wrt: Any, weights: Any) -> Any:
    """The gradient of ⟨weights, outputs⟩: a vector times the Jacobian, by reverse mode.

    outputs: a floating tensor, or a tuple, list or dict of them
    wrt:     floating tensors of the graph, in any structure
    weights: one for each output, of its type: tensors or arrays

    As with `grad`, all paths count: by a parameter, those through another tensor of `wrt` too;
    put `stop_gradient` around that one to hold it.

    Gives tensors like `wrt`, in its structure; zeros where no output depends on it. Raises
    GradientError for what is not floating, ShapeError where a weight is not like its output,
    GraphError where they differ in structure.
    """
    targets, variables = _floating("outputs", outputs), _floating("wrt", wrt)
    given = _like("weight", weights, outputs)
    return unflatten(wrt, _vjp(targets, variables, given))


@builder
def jvp(outputs: Any, wrt: Any, directions: Any) -> Any:
    """How `outputs` move when `wrt` moves along `directions`: the Jacobian times a vector.

    outputs:    a floating tensor, or a tuple, list or dict of them
    wrt:        floating tensors of the graph, in any structure
    directions: one for each tensor of `wrt`, of its type: tensors or arrays

    Forward mode: costs about as much as the outputs themselves, however many there are. Gives
    tensors like `outputs`, in their structure. Raises as `vjp` does.
    """
    targets, variables = _floating("outputs", outputs), _floating("wrt", wrt)
    given = _like("direction", directions, wrt)
    return unflatten(outputs, _jvp(targets, variables, given))


@builder
def jacobian(output: Tensor, wrt: Any, mode: Mode = "auto") -> Any:
    """Every derivative of every element: of the shape of `output`, then that of `wrt`.

    output: a floating tensor of any shape
    wrt:    floating tensors of the graph, in any structure, which the answer has too
    mode:   reverse takes one row per element of the output at once, forward one column per
            element of `wrt`; auto takes forward where `wrt` is known to have fewer elements

    Raises GradientError for what is not floating, AttributeValueError for another mode.
    """
    (target,), variables = _floating("output", [output]), _floating("wrt", wrt)
    if mode not in ("auto", "reverse", "forward"):
        raise AttributeValueError(f"mode is {mode!r}", hint="'auto', 'reverse' or 'forward'")
    return unflatten(wrt, [_jacobian(target, variable, mode) for variable in variables])


@builder
def hessian(target: Tensor, wrt: Any) -> Any:
    """The second derivatives of a scalar: of the shape of `wrt`, twice.

    target: a floating tensor of rank 0
    wrt:    floating tensors of the graph, in any structure; of several, the answer has the block
            [i][j] for each pair, as lists in that structure

    By forward mode over reverse mode. Raises GradientError as `grad` does.
    """
    variables = _floating("wrt", wrt)
    gradients = grad(target, variables, disconnected="zero")
    blocks = [
        unflatten(wrt, [_jacobian(gradient, variable, "forward") for variable in variables])
        for gradient in gradients
    ]
    return unflatten(wrt, blocks)


def _vjp(
    targets: Sequence[Tensor], variables: Sequence[Tensor], weights: Sequence[Tensor]
) -> list[Tensor]:
    seeds: dict[Tensor, Tensor] = {}
    for target, weight in zip(targets, weights, strict=True):
        seeds[target] = seeds[target] + weight if target in seeds else weight
    gradients = backpropagate(list(ancestors(targets)), seeds, variables)
    return [or_zeros(gradients.get(variable), variable) for variable in variables]


def _jvp(
    targets: Sequence[Tensor], variables: Sequence[Tensor], directions: Sequence[Tensor]
) -> list[Tensor]:
    tangents = dict(zip(variables, directions, strict=True))
    moving = pushforward(list(ancestors(targets)), tangents)
    return [or_zeros(moving.get(target), target) for target in targets]


def _jacobian(target: Tensor, variable: Tensor, mode: Mode) -> Tensor:
    """One derivative along each element of one side, all at once by batching."""
    if mode == "auto":
        columns, rows = variable.size, target.size
        fewer = isinstance(columns, int) and isinstance(rows, int) and columns < rows
        mode = "forward" if fewer else "reverse"
    one = target if mode == "reverse" else variable
    with derived(Origin(one.node.scope, one.node.source, "backward")):
        unit = Input("unit", one.type)()
        every = reshape(eye(one.size, dtype=one.dtype), (one.size, *one.shape))
    if mode == "reverse":
        (answer,) = _vjp([target], [variable], [unit])
    else:
        (answer,) = _jvp([target], [variable], [unit])
    (found,) = batched([answer], {unit: every})
    many = repeated(answer, one.size) if found is None else found
    if mode == "forward":
        many = transpose(many, (*range(1, many.ndim), 0))
    return reshape(many, (*target.shape, *variable.shape))


def _floating(what: str, structure: Any) -> list[Tensor]:
    leaves = flatten(structure)
    for leaf in leaves:
        if not isinstance(leaf, Tensor):
            raise GradientError(f"{what} must be tensors, got {leaf!r}")
        if not is_floating(leaf.dtype):
            raise GradientError(
                f"{what}: {short_name(leaf.dtype)} has no derivatives, only floating tensors have",
                details=[(what, leaf.describe())],
                hint="use a floating dtype, or .astype on the way",
            )
    return leaves


def _like(what: str, given: Any, like: Any) -> list[Tensor]:
    """The leaves of a structure like that of the tensors `like`, as tensors of their types."""
    structure = ordered_like(given, like)
    leaves, tensors = flatten(structure), flatten(like)
    if len(leaves) != len(tensors):
        raise ShapeError(
            f"{len(leaves)} {what}s are given for {len(tensors)} tensors", hint="one for each"
        )
    if paths(structure, "") != paths(like, ""):
        raise GraphError(
            f"the {what}s are given as {form(given)}, for tensors in {form(like)}",
            hint="give one for each, in the same structure",
        )
    found = [
        leaf if isinstance(leaf, Tensor) else as_tensor(leaf, tensor.dtype)
        for leaf, tensor in zip(leaves, tensors, strict=True)
    ]
    for each, tensor in zip(found, tensors, strict=True):
        if each.type != tensor.type:
            raise ShapeError(
                f"a {what} is {each.type}, its tensor {tensor.type}",
                details=[(what, each.describe()), ("tensor", tensor.describe())],
                hint="they must have the same shape and dtype",
            )
    return found
