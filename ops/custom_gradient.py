"""A function with a gradient of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

from graphwright.graph.batch import batch_size
from graphwright.graph.closure import check_function, close, inline
from graphwright.graph.errors import AttributeValueError, GradientError, GraphError, ShapeError
from graphwright.graph.graph import Graph
from graphwright.graph.leaf import Input
from graphwright.graph.node import Origin, derived
from graphwright.graph.operator import one_or_several, register
from graphwright.graph.structure import flatten, unflatten
from graphwright.graph.tensor import Tensor
from graphwright.graph.types import TensorType
from graphwright.ops.arithmetic import multiply, square
from graphwright.ops.case import Case, Reject, f32, f64
from graphwright.ops.composite import Composite
from graphwright.ops.convert import as_tensor, builder
from graphwright.ops.creation import zeros_like
from graphwright.ops.higher_order import (
    HigherOrder,
    batched_graph,
    check_inputs,
    example_graph,
    or_zeros,
    placeholders,
    types_of,
)
from graphwright.ops.reduction import sum as total

_SQUARE = example_graph([f64["n"]], lambda x: (square(x),))
_ITS_GRADIENT = example_graph([f64["n"], f64["n"]], lambda x, g: (multiply(multiply(x, 2.0), g),))


@register
class CustomGradient(HigherOrder, Composite):
    """What the graph `forward` computes, with the gradient that the graph `backward` gives.

    backward: takes the inputs of `forward`, then the gradients of its outputs; gives the gradients
              of the inputs, of their types
    """

    name = "custom_gradient"

    forward: Graph
    backward: Graph

    def __post_init__(self) -> None:
        super().__post_init__()
        inputs, outputs = types_of(self.forward.inputs), types_of(self.forward.outputs)
        if types_of(self.backward.inputs) != [*inputs, *outputs]:
            raise AttributeValueError(
                "custom_gradient: backward must take the inputs of forward and its outputs' "
                f"gradients, {[*inputs, *outputs]}, not {types_of(self.backward.inputs)}"
            )
        if types_of(self.backward.outputs) != inputs:
            raise AttributeValueError(
                f"custom_gradient: backward gives {types_of(self.backward.outputs)}, "
                f"the inputs are {inputs}"
            )

    def infer(self, *x: TensorType) -> TensorType | tuple[TensorType, ...]:
        check_inputs("forward", x, self.forward)
        return one_or_several(types_of(self.forward.outputs))

    def decompose(self, *x: Tensor) -> tuple[Tensor, ...]:
        return tuple(inline(self.forward, x))

    def gradient(self, *x: Any) -> tuple[Tensor, ...]:
        count, outputs = len(self.forward.inputs), self.forward.outputs
        inputs, results, received = x[:count], x[count : count + len(outputs)], x[-len(outputs) :]
        given = [or_zeros(g, out) for out, g in zip(results, received, strict=True)]
        return tuple(inline(self.backward, [*inputs, *given]))

    def batch(self, mapped: Sequence[bool], *x: Tensor) -> tuple[Tensor, ...]:
        """Both graphs on many inputs; what all share gets the sum of the gradients."""
        size = batch_size(mapped, x)
        everything = [True] * len(self.forward.outputs)
        forward, _ = batched_graph(self.forward, mapped, everything, size)
        backward, _ = batched_graph(
            self.backward, [*mapped, *everything], [True] * len(mapped), size
        )
        summed = [
            gradient if has_axis else total(gradient, 0)
            for gradient, has_axis in zip(backward.outputs, mapped, strict=True)
        ]
        return CustomGradient(forward, Graph(backward.inputs, summed)).apply(*x)

    cases = (Case(f64["n"], forward=_SQUARE, backward=_ITS_GRADIENT),)
    rejects = (
        Reject(
            f32["n"],
            forward=_SQUARE,
            backward=_ITS_GRADIENT,
            message="forward takes f64[n] as operand 0, f32[n] is given",
        ),
    )


@builder
def custom_gradient(function: Callable[..., Any]) -> Callable[..., Any]:
    """Decorator: give a function of tensors a gradient of your own.

    function: takes tensors (or tuples, lists and dicts of them) and gives a pair: its outputs, and
              a function from the outputs' gradients, one argument each, to the inputs' gradients,
              one for each input tensor, in order: None for one that has none; or in the inputs'
              own structure. That function may use whatever the first one computed

    >>> @gw.custom_gradient
    ... def clipped_gradient(x):
    ...     return x, lambda g: gw.ops.clip(g, -1, 1)

    Raises, when the decorated function is called, GradientError for a use of what depends on inputs
    or parameters around it and is no argument, since its gradient would be lost; GraphError when
    it gives no such pair; ShapeError for a gradient of another type than its input.
    """

    check_function(function)

    @wraps(function)
    def with_gradient(*arguments: Any) -> Any:
        return _applied(function, arguments)

    return builder(with_gradient)


def _applied(function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    given = [as_tensor(leaf) for leaf in flatten(arguments)]
    inputs = placeholders(types_of(given))
    answer = function(*unflatten(arguments, inputs))
    if not isinstance(answer, tuple) or len(answer) != 2 or not callable(answer[1]):
        raise GraphError(
            "the function must give a pair: its outputs, and a function for their gradients",
            hint="return y, lambda g: ...",
        )
    outputs = [as_tensor(leaf) for leaf in flatten(answer[0])]
    with derived(Origin()):
        received = [Input(f"g{i}", out.type)() for i, out in enumerate(outputs)]
    gradients = _gradients(arguments, inputs, answer[1](*received))
    made = CustomGradient(_closed(inputs, outputs), _closed([*inputs, *received], gradients)).apply(
        *given
    )
    return unflatten(answer[0], made)


def _gradients(arguments: tuple[Any, ...], inputs: Sequence[Tensor], answer: Any) -> list[Tensor]:
    """What the user's function gives, as one gradient for each input."""
    found = _spread(answer, arguments[0] if len(arguments) == 1 else arguments)
    if len(found) != len(inputs):
        found = list(answer) if isinstance(answer, tuple | list) else [answer]
    if len(found) != len(inputs):
        raise GradientError(
            f"{len(found)} gradients are given for {len(inputs)} inputs",
            hint="give one for each, in order; None for an input without one",
        )
    gradients: list[Tensor] = []
    for i, (tensor, gradient) in enumerate(zip(inputs, found, strict=True)):
        gradients.append(zeros_like(tensor) if gradient is None else as_tensor(gradient))
        if gradients[-1].type != tensor.type:
            raise ShapeError(
                f"the gradient of input {i} is {gradients[-1].type}, the input is {tensor.type}",
                details=[("gradient", gradients[-1].describe())],
                hint="a gradient has the type of its input: sum over what was broadcast",
            )
    return gradients


def _spread(answer: Any, structure: Any) -> list[Any]:
    """The gradients for the leaves of `structure`, in which `answer` comes; None for all of a part
    that has none. Fewer where it comes in another one."""
    if answer is None:
        return [None] * len(flatten(structure))
    if isinstance(answer, dict) and isinstance(structure, dict):
        same = answer.keys() == structure.keys()
        pairs = [(answer[key], item) for key, item in structure.items()] if same else []
    elif isinstance(answer, tuple | list) and isinstance(structure, tuple | list):
        same = len(answer) == len(structure)
        pairs = list(zip(answer, structure, strict=True)) if same else []
    else:
        return [] if isinstance(answer, dict | tuple | list) else [answer]
    return [gradient for part, inner in pairs for gradient in _spread(part, inner)]


def _closed(inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> Graph:
    closure = close(inputs, outputs, lambda node: False)
    for tensor in closure.captured:
        raise GradientError(
            f"it uses {tensor.name} from around it, whose gradient would be lost",
            details=[("used", tensor.describe())],
            hint="make it an argument of the function",
        )
    return closure.graph
