"""`gw.testing.check_gradient`: the gradients of any graph, by finite differences."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from graphwright.graph.dim import Sizes
from graphwright.graph.dtype import float64, is_floating
from graphwright.graph.errors import AttributeValueError, GradientError, InputError
from graphwright.graph.graph import Graph, ancestors
from graphwright.graph.leaf import Parameter, input
from graphwright.graph.source import here
from graphwright.graph.structure import flatten
from graphwright.graph.tensor import Tensor
from graphwright.ops.convert import as_tensor, builder
from graphwright.runtime.arguments import bind
from graphwright.testing.derivatives import (
    STEP,
    TOLERANCE,
    Arrays,
    Derivatives,
    Slope,
    products,
    random_steps,
    random_weights,
)
from graphwright.testing.example import evaluated
from graphwright.testing.precision import converted_graph


@builder
def check_gradient(
    target: Tensor | Sequence[Tensor] | Callable[..., Any],
    wrt: Any,
    values: Mapping[Any, ArrayLike] | None = None,
    *,
    order: int = 2,
    tolerance: float = TOLERANCE,
    step: float = STEP,
    seed: int = 0,
) -> None:
    """Raise CheckError unless gradients agree with finite differences, in both orders.

    target: a floating tensor of any shape, or several; or a function that makes such tensors
    wrt:    the inputs or parameters to differentiate by; for a function, the arrays to call it
            with, and it is differentiated by those that are floating
    values: an array for each input of the graph, by the input or by its name; parameters have
            theirs
    order:  1 for the gradient alone, 2 for the gradient's gradient too
    tolerance: how far slopes may differ, relative to the size of the terms in them
    step:   how far to go for the differences, relative to each element, and then a hundredth of
            that; choose values that are farther than this from any kink (of `abs`, `relu`, `max`)
    seed:   of the random direction along which the slopes are taken, for one variable at a time

    All is computed in float64, whatever the graph is in.

    >>> gw.testing.check_gradient(lambda x: gw.ops.softmax(x), [np.ones((2, 3))])
    >>> gw.testing.check_gradient(loss, model.parameters, {"x": images, "y": labels})

    Raises GradientError when there is nothing to differentiate, InputError for missing values.
    """
    if order not in (1, 2):
        raise AttributeValueError(f"order is {order!r}", hint="1 or 2")
    if callable(target) and not isinstance(target, Tensor):
        graph, variables, values = _traced(target, wrt)
    else:
        graph, variables = _around(target, wrt)
    double = converted_graph(graph, float64)
    xs, sizes = _bound(graph, double, values or {})
    derivatives = Derivatives.of(double.inputs, double.outputs, variables)
    random = np.random.default_rng(seed)
    ws = random_weights(derivatives.values, sizes, random)
    vs = random_weights(derivatives.first, sizes, random)

    def value(moved: Arrays) -> Arrays:
        return evaluated(derivatives.values, moved, sizes)

    def gradient(moved: Arrays) -> Arrays:
        return evaluated(derivatives.first, [*moved, *ws], sizes)

    orders = [
        ("the gradient", gradient(xs), value, ws),
        ("the gradient's gradient", _second(derivatives, [*xs, *ws, *vs], sizes), gradient, vs),
    ]
    for what, gradients, function, weights in orders[:order]:
        for place, variable in enumerate(variables):
            steps = random_steps(xs, [variable], random)
            slope = Slope(function, xs, steps, weights, step, tolerance)
            name = f"{what} with respect to {double.inputs[variable].name}"
            slope.check(name, products([gradients[place]], [steps[variable]]))


def _second(derivatives: Derivatives, arrays: Arrays, sizes: Sizes) -> Arrays:
    return evaluated(derivatives.second, arrays, sizes)


def _traced(
    function: Callable[..., Any], wrt: Any
) -> tuple[Graph, list[int], dict[Tensor, NDArray[Any]]]:
    """The graph of a function of such arrays, the places of the floating ones, and their values."""
    arrays = [np.asarray(array) for array in flatten(wrt)]
    inputs = [
        input(f"argument_{i}", a.shape, float64 if is_floating(a.dtype) else a.dtype)
        for i, a in enumerate(arrays)
    ]
    outputs = [as_tensor(leaf) for leaf in flatten(function(*inputs))]
    variables = [i for i, x in enumerate(inputs) if is_floating(x.dtype)]
    if not variables:
        raise GradientError("no array is floating: there is nothing to differentiate by")
    return _floating(Graph(inputs, outputs)), variables, dict(zip(inputs, arrays, strict=True))


def _around(target: Any, wrt: Any) -> tuple[Graph, list[int]]:
    """The graph that computes the target, and where its variables are among its leaves."""
    outputs = [as_tensor(leaf) for leaf in flatten(target)]
    wanted: list[Any] = [wrt] if isinstance(wrt, Tensor) else list(_iterable(wrt))
    leaves = [node.outputs[0] for node in ancestors(outputs) if node.op.leaf]
    graph = _floating(Graph([x for x in leaves if not isinstance(x, Parameter)], outputs))
    place = {tensor: i for i, tensor in enumerate((*graph.inputs, *graph.parameters))}
    for variable in wanted:
        if not isinstance(variable, Tensor) or variable not in place:
            raise GradientError(
                f"wrt has {variable!r}, which is no input or parameter of the target",
                hint="differentiate by what the graph starts from",
            )
        if not is_floating(variable.dtype):
            raise GradientError(f"wrt has {variable!r}, which is not floating")
    return graph, [place[variable] for variable in wanted]


def _iterable(wrt: Any) -> Iterable[Any]:
    if not isinstance(wrt, Iterable):
        raise GradientError(f"wrt must be tensors, got {wrt!r}")
    return wrt.values() if isinstance(wrt, Mapping) else wrt


def _floating(graph: Graph) -> Graph:
    if not any(is_floating(out.dtype) for out in graph.outputs):
        raise GradientError(
            "the target is not floating: only floating tensors have gradients", source=here()
        )
    return graph


def _bound(graph: Graph, double: Graph, values: Mapping[Any, ArrayLike]) -> tuple[Arrays, Sizes]:
    """An array for each leaf of the graph, as in `double`, and the named dimensions' sizes."""
    names = {tensor.name: tensor for tensor in graph.inputs}
    given = {names.get(key, key) if isinstance(key, str) else key: v for key, v in values.items()}
    missing = [str(x.name) for x in graph.inputs if x not in given]
    known = set(graph.inputs)
    unknown = [str(key) for key in given if key not in known]
    if missing:
        raise InputError(f"no values for: {', '.join(missing)}", hint="give an array for each")
    if unknown:
        raise InputError(f"values for what is no input: {', '.join(unknown)}")
    own = [given[x] for x in graph.inputs] + [p.value for p in graph.parameters]
    return bind(double.inputs, own, {})
