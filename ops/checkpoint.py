"""Computing again in the backward pass, rather than keeping: memory for time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

from numpy.typing import NDArray

from graphwright.graph.backpropagate import pulled_back
from graphwright.graph.batch import batch_size, repeated
from graphwright.graph.closure import check_function, inline, trace
from graphwright.graph.dim import Size
from graphwright.graph.graph import Graph
from graphwright.graph.operator import Operator, one_or_several, register
from graphwright.graph.placement import Placement
from graphwright.graph.pushforward import pushed_forward
from graphwright.graph.structure import flatten, unflatten
from graphwright.graph.tensor import Tensor, TensorLike
from graphwright.graph.types import TensorType
from graphwright.ops.arithmetic import multiply
from graphwright.ops.case import Case, Reject, f32, f64, i32
from graphwright.ops.composite import Composite
from graphwright.ops.convert import as_tensor, builder
from graphwright.ops.exponential import exp
from graphwright.ops.higher_order import (
    HigherOrder,
    check_inputs,
    example_graph,
    types_of,
)


@register
class Barrier(Operator):
    """`x`, but not before the tensors in `after` have been computed.

    No rewrite sees that it is `x`: what is computed from it is not merged with what is computed
    from `x` itself. Its gradient is passed on.
    """

    name = "barrier"
    view = "strided"  # a dense one would be taken for a reshape

    def infer(self, x: TensorType, *after: TensorType) -> TensorType:
        return x

    def kernel(self, x: NDArray[Any], *after: NDArray[Any]) -> NDArray[Any]:
        return x.view()

    def placed(self, place: Placement, x: TensorType, out: TensorType) -> Placement:
        return place

    def flops(self, x: TensorType, *after: TensorType) -> Size:
        return 0

    def gradient(self, x: Tensor, *others: Tensor) -> tuple[Tensor | None, ...]:
        return others[-1], *(None for _ in others[:-2])

    def batch(self, mapped: Sequence[bool], x: Tensor, *after: Tensor) -> Tensor:
        size = batch_size(mapped, (x, *after))
        return Barrier()(x if mapped[0] else repeated(x, size), *after)

    cases = (Case(f32["n", 3]), Case(f64[2], i32[()], f64["n"]), Case([1, 2]))
    rejects = (Reject(message="it takes the inputs: x, after; 0 are given"),)


_EXP = example_graph([f64["n"], f64["n"]], lambda x, y: (multiply(exp(x), y), exp(x)))


@register
class Checkpoint(HigherOrder, Composite):
    """What `graph` computes; its gradient keeps the inputs alone, and computes the rest again.

    Chen, Xu, Zhang and Guestrin, "Training deep nets with sublinear memory cost", 2016
    """

    name = "checkpoint"

    graph: Graph

    def infer(self, *x: TensorType) -> TensorType | tuple[TensorType, ...]:
        check_inputs("the graph", x, self.graph)
        return one_or_several(types_of(self.graph.outputs))

    def decompose(self, *x: Tensor) -> tuple[Tensor, ...]:
        return tuple(inline(self.graph, x))

    def gradient(self, *x: Any) -> tuple[Tensor | None, ...]:
        count = len(self.graph.inputs)
        received = x[count + len(self.graph.outputs) :]
        given = [gradient for gradient in received if gradient is not None]
        again = [Barrier()(tensor, *given) for tensor in x[:count]]
        return tuple(pulled_back(inline(self.graph, again), received, again))

    def tangent(
        self,
        tangents: Sequence[Tensor | None],
        inputs: Sequence[Tensor],
        outputs: Sequence[Tensor],
    ) -> list[Tensor | None]:
        """Forward mode keeps nothing anyway."""
        return pushed_forward(inline(self.graph, inputs), inputs, tangents)

    cases = (Case(f64["n"], f64["n"], graph=_EXP),)
    rejects = (
        Reject(f64["n"], graph=_EXP, message="the graph takes 2 operands, 1 is given"),
        Reject(
            f64["n"],
            f32["n"],
            graph=_EXP,
            message="the graph takes f64[n] as operand 1, f32[n] is given",
        ),
    )


@builder
def barrier(x: TensorLike, *after: TensorLike) -> Tensor:
    """`x`, but not before the tensors `after` have been computed; see `Barrier`."""
    return Barrier()(as_tensor(x), *map(as_tensor, after))


@builder
def checkpoint(function: Callable[..., Any]) -> Callable[..., Any]:
    """Decorator: the backward pass computes what `function` computed again, and keeps nothing.

    function: takes and gives tensors, or tuples, lists and dicts of them; it may use tensors from
              around it

    >>> block = gw.checkpoint(lambda x: gw.ops.gelu(x @ w1) @ w2)
    """

    check_function(function)

    @wraps(function)
    def recomputed(*arguments: Any) -> Any:
        given = [as_tensor(leaf) for leaf in flatten(arguments)]
        closure = trace(function, arguments, types_of(given), hoist=False)
        if not closure.outputs:
            return closure.structure
        outputs = Checkpoint(closure.graph).apply(*given, *closure.captured)
        return unflatten(closure.structure, outputs)

    return builder(recomputed)
