"""A loop that runs as long as a condition holds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from numpy.typing import NDArray

from graphwright.graph.backpropagate import pulled_back
from graphwright.graph.batch import batch_size, repeated
from graphwright.graph.closure import Closure, inline, trace
from graphwright.graph.dim import Size
from graphwright.graph.dtype import boolean
from graphwright.graph.errors import AttributeValueError, DTypeError, GradientError, GraphError
from graphwright.graph.graph import Graph
from graphwright.graph.operator import Pruned, one_or_several, register
from graphwright.graph.structure import flatten, form, skeleton, unflatten
from graphwright.graph.tensor import Tensor
from graphwright.graph.types import TensorType
from graphwright.ops.arithmetic import add, multiply, square
from graphwright.ops.case import Case, Reject, f64
from graphwright.ops.comparison import less
from graphwright.ops.cond import Cond
from graphwright.ops.convert import as_tensor, builder
from graphwright.ops.higher_order import (
    HigherOrder,
    arranged,
    batched_graph,
    carried_along,
    check_inputs,
    check_state,
    example_graph,
    or_zeros,
    placeholders,
    pushed_graph,
    reached,
    rearranged,
    settled,
    settled_start,
    types_of,
    with_directions,
)
from graphwright.ops.movement import reshape
from graphwright.ops.reduction import any as any_of
from graphwright.ops.reduction import sum as total
from graphwright.ops.scan import Scan
from graphwright.ops.selection import where
from graphwright.ops.shapes import as_size

_SMALL = example_graph([f64[3], f64[3]], lambda x, y: (less(total(square(x)), 20),))
_GROWN = example_graph([f64[3], f64[3]], lambda x, y: (add(multiply(x, 1.5), square(y)),))
_ALWAYS = example_graph([f64["n"], f64["n"]], lambda x, y: (as_tensor(True),))
_SCALED = example_graph([f64["n"], f64["n"]], lambda x, y: (multiply(x, y),))


@register
class WhileLoop(HigherOrder):
    """Runs the graph `step` on what is carried for as long as the graph `condition` gives true.

    condition: takes what is carried, and operands that stay the same; gives a boolean scalar
    step:      takes the same, and gives what is carried on
    carried:   how many values are carried; the first inputs of both graphs
    bound:     the most steps that are made, whatever the condition says; None for no limit

    The gradient needs a bound: it is that of a scan of so many steps, which do nothing once the
    condition has failed.
    """

    name = "while_loop"

    condition: Graph
    step: Graph
    carried: int
    bound: Size | None

    def __post_init__(self) -> None:
        super().__post_init__()
        inputs, outputs = types_of(self.step.inputs), types_of(self.step.outputs)
        if not 0 < self.carried <= len(inputs) or outputs != inputs[: self.carried]:
            raise AttributeValueError(
                f"while_loop: step makes {outputs} of {inputs[: self.carried]}, which is carried"
            )
        if types_of(self.condition.outputs) != [TensorType(boolean, ())]:
            raise AttributeValueError(
                f"while_loop: the condition gives {types_of(self.condition.outputs)}, not bool[]"
            )
        if isinstance(self.bound, int) and self.bound < 0:
            raise AttributeValueError(
                f"while_loop: the bound is {self.bound}: it can't be negative"
            )

    def infer(self, *x: TensorType) -> tuple[TensorType, ...] | TensorType:
        check_inputs("condition", x, self.condition)
        check_inputs("step", x, self.step)
        return one_or_several(types_of(self.step.outputs))

    @property
    def endless(self) -> bool:
        return self.bound is None or super().endless

    def kernel(self, *x: NDArray[Any]) -> Any:
        state, operands = x[: self.carried], x[self.carried :]
        condition, step = self.prepared["condition"], self.prepared["step"]
        steps: Any = 0
        while self.bound is None or steps < self.bound:
            (goes_on,) = condition([*state, *operands])
            if not goes_on:
                break
            state = step([*state, *operands])
            steps += 1
        return one_or_several(state)

    def flops(self, *x: TensorType) -> Size:
        """Those of as many steps as there may be; of one, when that is not known."""
        once = self.condition.flops + self.step.flops
        return once if self.bound is None else self.bound * once

    def gradient(self, *x: Any) -> tuple[Tensor | None, ...]:
        if self.bound is None:
            raise GradientError(
                "while_loop: the gradient of a loop without a bound is not known",
                hint="give it a bound, the most steps that it may make; or use gw.scan",
            )
        count = len(self.step.inputs)
        inputs, received = x[:count], x[count + self.carried :]
        outputs = self._scan(self.bound, inputs)
        return tuple(pulled_back(outputs, received, inputs))

    def _scan(self, bound: Size, inputs: Sequence[Tensor]) -> Sequence[Tensor]:
        """The same by a scan, whose steps choose whether to do anything."""
        own = placeholders(types_of(self.step.inputs))
        (goes_on,) = inline(self.condition, own)
        stay = Graph(self.step.inputs, self.step.inputs[: self.carried])
        step = Graph(own, Cond(self.step, stay).apply(goes_on, *own))
        return Scan(step, self.carried, 0, bound, False).apply(*inputs)

    def tangent(
        self,
        tangents: Sequence[Tensor | None],
        inputs: Sequence[Tensor],
        outputs: Sequence[Tensor],
    ) -> list[Tensor | None]:
        """A loop that carries the tangents of what is carried along with it."""
        flags = [tangent is not None for tangent in tangents]
        step, have = settled(pushed_graph, self.step, flags, self.carried)
        start = zip(inputs, tangents, flags, strict=True)
        given = [*inputs, *(or_zeros(t, x) for x, t, moves in start if moves)]
        places = range(len(inputs))
        state, operands = with_directions([places[: self.carried], places[self.carried :]], flags)
        (results,) = with_directions([range(len(outputs))], have)
        order = [*state, *operands]
        widened = _with_inputs(self.condition, [tensor.type for tensor in given])
        loop = replace(
            self,
            condition=rearranged(widened, order, [0]),
            step=rearranged(step, order, results),
            carried=len(state),
        )
        answers = iter(loop.apply(*(given[i] for i in order))[len(outputs) :])
        return [next(answers) if moves else None for moves in have]

    def batch(self, mapped: Sequence[bool], *x: Tensor) -> tuple[Tensor, ...]:
        """One condition for all goes on for all; one for each, until the last one fails."""
        size, flags = batch_size(mapped, x), list(mapped)
        transformed = partial(batched_graph, size=size)
        step, have = settled(transformed, self.step, flags, self.carried)
        condition, (each,) = batched_graph(self.condition, flags, [False], size)
        if each:
            # What stops at different times is different then, so all that is carried has the axis.
            flags[: self.carried] = [True] * self.carried
            step, have = settled(transformed, self.step, flags, self.carried)
            condition, _ = batched_graph(self.condition, flags, [True], size)
            condition, step = _until_all_stop(condition, step, self.carried)
        inputs = [
            repeated(value, size) if has_axis and not had else value
            for value, has_axis, had in zip(x, flags, mapped, strict=True)
        ]
        outputs = replace(self, condition=condition, step=step).apply(*inputs)
        return tuple(
            value if has_axis else repeated(value, size)
            for value, has_axis in zip(outputs, have, strict=True)
        )

    def pruned(self, used: Sequence[bool]) -> Pruned | None:
        condition = reached(self.condition, [0])
        wanted = {i for i, is_used in enumerate(used) if is_used}
        wanted |= {i for i in condition if i < self.carried}
        needed, inputs = carried_along(self.step, self.carried, wanted)
        kept = sorted(inputs | condition | needed)
        if len(kept) == len(self.step.inputs):
            return None
        outputs = sorted(needed)
        op = replace(
            self,
            condition=rearranged(self.condition, kept, [0]),
            step=rearranged(self.step, kept, outputs),
            carried=len(outputs),
        )
        return Pruned(op, kept, outputs)

    cases = (
        Case(f64[3], f64[3], condition=_SMALL, step=_GROWN, carried=1, bound=12),
        Case([0.1, 0.2, 0.3], f64[3], condition=_SMALL, step=_GROWN, carried=1, bound=5),
        Case(f64["n"], f64["n"], condition=_ALWAYS, step=_SCALED, carried=1, bound=3),
        Case(f64["n"], f64["n"], condition=_ALWAYS, step=_SCALED, carried=1, bound=0),
    )
    rejects = (
        Reject(
            f64[3],
            condition=_SMALL,
            step=_GROWN,
            carried=1,
            bound=None,
            message="condition takes 2 operands, 1 is given",
        ),
        Reject(
            f64[3],
            f64[4],
            condition=_SMALL,
            step=_GROWN,
            carried=1,
            bound=None,
            message="condition takes f64[3] as operand 1, f64[4] is given",
        ),
        Reject(
            f64[3],
            f64[3],
            condition=_SMALL,
            step=_SCALED,
            carried=1,
            bound=None,
            message="step takes f64[n] as operand 0, f64[3] is given",
        ),
    )


def _until_all_stop(condition: Graph, step: Graph, carried: int) -> tuple[Graph, Graph]:
    """Conditions for each of many, as one for all; and a step for those that go on."""
    own = placeholders(types_of(step.inputs))
    (each,) = inline(condition, own)
    moved = [
        where(reshape(each, (each.shape[0], *(1,) * (new.ndim - 1))), new, old)
        for old, new in zip(own[:carried], inline(step, own), strict=False)
    ]
    return Graph(own, [any_of(each)]), Graph(own, moved)


def _with_inputs(graph: Graph, types: Sequence[TensorType]) -> Graph:
    """`graph` with inputs of these types, of which it uses the first."""
    inputs = placeholders(types)
    return Graph(inputs, inline(graph, inputs[: len(graph.inputs)]))


@builder
def while_loop(
    condition: Callable[[Any], Any],
    function: Callable[[Any], Any],
    start: Any,
    bound: Size | None = None,
) -> Any:
    """What is left of `start` when `state = function(state)` has run while `condition(state)`.

    condition: takes the state; gives a boolean scalar
    function:  takes the state; gives the next one, of the same structure and types
    start:     the first state: a tensor, or a tuple, list or dict of them; Python numbers get the
               dtype that a step makes of them
    bound:     the most steps that are made, whatever the condition says; reverse-mode gradients
               need one, and computing them costs about as much as making so many steps

    Tensors from around the functions may be used in them.

    >>> root = gw.while_loop(lambda x: gw.ops.abs(x * x - 2) > 1e-6, lambda x: (x + 2 / x) / 2, 1.0)

    Raises ShapeError or DTypeError, with both sides, when a step changes the type of the state;
    GraphError when it changes its structure; DTypeError when the condition is no boolean scalar.
    """
    if not flatten(start):
        raise GraphError("there is no state", hint="a loop carries at least one tensor")

    def once(state: list[Tensor]) -> tuple[Closure, Any]:
        made = trace(function, (start,), types_of(state), hoist=True, like=start)
        return made, made.structure

    state, step = settled_start(start, once)
    goes_on = trace(condition, (start,), types_of(state), hoist=True)
    _check_condition(goes_on)
    check_state("a step", start, state, step.structure, step.outputs)
    captured = list(dict.fromkeys((*goes_on.captured, *step.captured)))
    first, second = (arranged(closure, len(state), captured) for closure in (goes_on, step))
    limit = None if bound is None else as_size(bound)
    outputs = WhileLoop(first, second, len(state), limit).apply(*state, *captured)
    return unflatten(start, outputs)


def _check_condition(condition: Closure) -> None:
    """Raise unless it gives one boolean scalar."""
    if skeleton(condition.structure) is not ...:
        raise GraphError(
            f"the condition gives {form(condition.structure)}, not one tensor",
            hint="combine several with gw.ops.logical_and or gw.ops.logical_or",
        )
    (answer,) = condition.outputs
    if answer.type != TensorType(boolean, ()):
        raise DTypeError(
            f"the condition gives {answer.type}, not bool[]",
            details=[("condition", answer.describe())],
            hint="compare, and reduce with gw.ops.any or gw.ops.all",
        )
