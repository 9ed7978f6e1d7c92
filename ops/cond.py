"""A choice between two computations, made while the graph runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from numpy.typing import NDArray

from graphwright.graph.batch import batch_size
from graphwright.graph.closure import Closure, inline, trace
from graphwright.graph.dim import Size, maximum
from graphwright.graph.dtype import boolean
from graphwright.graph.errors import DTypeError, GraphError, ShapeError
from graphwright.graph.graph import Graph
from graphwright.graph.operator import Pruned, one_or_several, register
from graphwright.graph.structure import flatten, form, skeleton, unflatten
from graphwright.graph.tensor import Tensor, TensorLike
from graphwright.graph.types import TensorType
from graphwright.ops.arithmetic import multiply, square, subtract
from graphwright.ops.case import Case, Reject, bool_, f32, f64
from graphwright.ops.convert import as_tensor, builder, cast
from graphwright.ops.higher_order import (
    HigherOrder,
    arranged,
    batched_graph,
    check_inputs,
    example_graph,
    pulled_back_graphs,
    pushed_graph,
    reached,
    rearranged,
    run,
    types_of,
)
from graphwright.ops.movement import reshape
from graphwright.ops.reduction import sum as total
from graphwright.ops.selection import where

_TYPES = f64["n", 3], f64[3]
_PRODUCT = example_graph(_TYPES, lambda x, y: (multiply(x, y), total(multiply(x, y))))
_DIFFERENCE = example_graph(_TYPES, lambda x, y: (subtract(x, square(y)), total(y)))


@register
class Cond(HigherOrder):
    """What the graph `then` gives if `condition` is true, else what `otherwise` gives.

    Both take the same operands and give outputs of the same types; only the one chosen is run.
    The gradient chooses between the gradients of the two, and computes the branch once more.
    """

    name = "cond"

    then: Graph
    otherwise: Graph

    def infer(
        self, condition: TensorType, *operands: TensorType
    ) -> TensorType | tuple[TensorType, ...]:
        if condition != TensorType(boolean, ()):
            raise DTypeError(
                f"the condition must be bool[], got {condition}",
                hint="compare something, e.g. x.sum() > 0; to choose between elements, use where",
            )
        check_inputs("then", operands, self.then)
        check_inputs("otherwise", operands, self.otherwise)
        first, second = types_of(self.then.outputs), types_of(self.otherwise.outputs)
        if len(first) != len(second):
            raise ShapeError(f"then has {len(first)} outputs, otherwise has {len(second)}")
        for i, (one, other) in enumerate(zip(first, second, strict=True)):
            if one != other:
                differs = DTypeError if one.dtype != other.dtype else ShapeError
                raise differs(f"output {i} is {one} of then, {other} of otherwise")
        return one_or_several(first)

    def kernel(self, condition: NDArray[Any], *operands: NDArray[Any]) -> Any:
        return one_or_several(run(self.then if condition else self.otherwise, operands))

    def flops(self, condition: TensorType, *operands: TensorType) -> Size:
        """Those of the costlier branch."""
        return maximum(self.then.flops, self.otherwise.flops)

    def gradient(self, condition: Tensor, *others: Any) -> tuple[Tensor | None, ...]:
        count = len(self.then.inputs)
        operands, received = others[:count], others[count + len(self.then.outputs) :]
        kinds = [None if gradient is None else gradient.type for gradient in received]
        graphs, have = pulled_back_graphs((self.then, self.otherwise), kinds)
        if not any(have):
            return (None,) * (count + 1)
        given = [gradient for gradient in received if gradient is not None]
        answers = iter(Cond(*graphs).apply(condition, *operands, *given))
        return None, *(next(answers) if wanted else None for wanted in have)

    def tangent(
        self,
        tangents: Sequence[Tensor | None],
        inputs: Sequence[Tensor],
        outputs: Sequence[Tensor],
    ) -> list[Tensor | None]:
        condition, *operands = inputs
        moves = [tangent is not None for tangent in tangents[1:]]
        wanted = [False] * len(outputs)
        for graph in (self.then, self.otherwise):
            _, wanted = pushed_graph(graph, moves, wanted)
        graphs = [pushed_graph(graph, moves, wanted)[0] for graph in (self.then, self.otherwise)]
        given = [tangent for tangent in tangents[1:] if tangent is not None]
        answers = iter(Cond(*graphs).apply(condition, *operands, *given)[len(outputs) :])
        return [next(answers) if has_tangent else None for has_tangent in wanted]

    def batch(self, mapped: Sequence[bool], *inputs: Tensor) -> tuple[Tensor, ...]:
        """One condition for all chooses once; one for each computes both, and selects: then what
        is not chosen must not raise, and a nan in it reaches the gradients of what is selected."""
        size = batch_size(mapped, inputs)
        everything = [True] * len(self.then.outputs)
        graphs = [
            batched_graph(graph, mapped[1:], everything, size)[0]
            for graph in (self.then, self.otherwise)
        ]
        condition, *operands = inputs
        if not mapped[0]:
            return Cond(*graphs).apply(condition, *operands)
        first, second = (inline(graph, operands) for graph in graphs)
        return tuple(
            where(reshape(condition, (size, *(1,) * (one.ndim - 1))), one, other)
            for one, other in zip(first, second, strict=True)
        )

    def pruned(self, used: Sequence[bool]) -> Pruned | None:
        outputs = [i for i, is_used in enumerate(used) if is_used]
        operands = sorted(reached(self.then, outputs) | reached(self.otherwise, outputs))
        if len(operands) == len(self.then.inputs) and len(outputs) == len(used):
            return None
        graphs = [rearranged(graph, operands, outputs) for graph in (self.then, self.otherwise)]
        return Pruned(Cond(*graphs), [0, *(i + 1 for i in operands)], outputs)

    cases = (
        Case(True, f64["n", 3], f64[3], then=_PRODUCT, otherwise=_DIFFERENCE),
        Case(False, f64["n", 3], f64[3], then=_PRODUCT, otherwise=_DIFFERENCE),
    )
    rejects = (
        Reject(
            f32[()],
            f64["n", 3],
            f64[3],
            then=_PRODUCT,
            otherwise=_DIFFERENCE,
            message="the condition must be bool[], got f32[]",
        ),
        Reject(
            bool_[()],
            f64["n", 3],
            then=_PRODUCT,
            otherwise=_DIFFERENCE,
            message="then takes 2 operands, 1 is given",
        ),
        Reject(
            bool_[()],
            f64["n", 3],
            f64[4],
            then=_PRODUCT,
            otherwise=_DIFFERENCE,
            message="then takes f64[3] as operand 1, f64[4] is given",
        ),
        Reject(
            bool_[()],
            f64["n", 3],
            f64[3],
            then=_PRODUCT,
            otherwise=example_graph(_TYPES, lambda x, y: (y, total(y))),
            message="output 0 is f64[n,3] of then, f64[3] of otherwise",
        ),
        Reject(
            bool_[()],
            f64["n", 3],
            f64[3],
            then=_PRODUCT,
            otherwise=example_graph(_TYPES, lambda x, y: (cast(x, "float32"), total(y))),
            message="output 0 is f64[n,3] of then, f32[n,3] of otherwise",
        ),
        Reject(
            bool_[()],
            f64["n", 3],
            f64[3],
            then=_PRODUCT,
            otherwise=example_graph(_TYPES, lambda x, y: (x,)),
            message="then has 2 outputs, otherwise has 1",
        ),
    )


@builder
def cond(
    condition: TensorLike,
    then: Callable[..., Any],
    otherwise: Callable[..., Any],
    *operands: Any,
) -> Any:
    """`then(*operands)` if `condition` is true, else `otherwise(*operands)`, chosen as it runs.

    condition: a boolean scalar
    operands:  tensors, or tuples, lists and dicts of them, for both functions; the functions may
               use tensors from around them as well
    Both functions give tensors of the same types, in the same structure, which is what is given
    back. Only the chosen one is run; `where` chooses element by element, and computes both.

    >>> y = gw.cond(x.sum() > 0, lambda: x * 2, lambda: -x)

    Raises GraphError when the structures differ, ShapeError or DTypeError when the types do.
    """
    tensors = [as_tensor(leaf) for leaf in flatten(operands)]
    types = types_of(tensors)
    first = trace(then, operands, types, hoist=False)
    second = trace(otherwise, operands, types, hoist=False, like=first.structure)
    _check_alike(first, second)
    captured = list(dict.fromkeys((*first.captured, *second.captured)))
    graphs = [arranged(closure, len(tensors), captured) for closure in (first, second)]
    if not graphs[0].outputs:
        return first.structure
    outputs = Cond(*graphs).apply(as_tensor(condition), *tensors, *captured)
    return unflatten(first.structure, outputs)


def _check_alike(first: Closure, second: Closure) -> None:
    """Raise unless both branches give the same structure of the same types."""
    if skeleton(first.structure) != skeleton(second.structure):
        raise GraphError(
            f"then gives {form(first.structure)}, otherwise gives {form(second.structure)}",
            hint="both branches must give tensors in the same structure",
        )
    for i, (one, other) in enumerate(zip(*(c.outputs for c in (first, second)), strict=True)):
        if one.type != other.type:
            differs = DTypeError if one.dtype != other.dtype else ShapeError
            raise differs(
                f"output {i} is {one.type} if true, {other.type} if false",
                details=[("then", one.describe()), ("otherwise", other.describe())],
                hint="both branches must give the same types: convert, or broadcast, one of them",
            )
