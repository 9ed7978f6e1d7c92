"""The fused operator: several operations that become one kernel, held as a graph."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any, Literal, get_args

from graphwright.compiler.group import Group, analysis, overwritten
from graphwright.graph.closure import inline
from graphwright.graph.dim import Size
from graphwright.graph.dtype import short_name
from graphwright.graph.errors import AttributeValueError, DTypeError, ShapeError
from graphwright.graph.evaluate import evaluate_graph
from graphwright.graph.graph import Graph
from graphwright.graph.leaf import Input
from graphwright.graph.node import Node, Origin, derived
from graphwright.graph.operator import Operator, one_or_several, register
from graphwright.graph.tensor import Tensor
from graphwright.graph.types import TensorType
from graphwright.ops.case import Case, Reject, f32, f64
from graphwright.ops.shapes import shape_text

Kind = Literal["elementwise", "rows", "contraction"]

KINDS = get_args(Kind)


def _example(kind: str) -> Graph:
    """A graph for the operator's own test cases."""
    with derived(Origin()):
        x0 = Input("x0", f32["n", 3])()
        x1 = Input("x1", f32[3, 3] if kind == "contraction" else f32[3])()
        if kind == "contraction":
            return Graph([x0, x1], [x0 @ x1 + x0])
        product = x0 * x1
        if kind == "elementwise":
            return Graph([x0, x1], [product + x0])
        total = product.sum(1, keepdims=True)
        return Graph([x0, x1], [product - total, total])


@register
class Fused(Operator):
    """What `graph` computes, in one loop over its iteration space.

    kind:  `elementwise`: every operation works index by index
           `rows`: reductions over the same axes and elementwise work between them; what is not
           folded is the outer loop
           `contraction`: a product of matrices and elementwise work on it
    graph: its inputs and outputs are the operator's, in order; no parameters, no updates

    It is a composite of a definition of its own, so that decomposing undoes fusing, and its
    gradient is that of its parts.
    """

    name = "fused"
    composite = True

    kind: Kind
    graph: Graph

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise AttributeValueError(f"fused: kind is {' or '.join(KINDS)}, not {self.kind!r}")
        if not isinstance(self.graph, Graph) or self.graph.parameters or not self.graph.outputs:
            raise AttributeValueError(
                "fused: graph must have outputs and no parameters",
                hint="make parameters inputs of the inner graph",
            )
        # A trait of the kind, not of the class.
        object.__setattr__(self, "elementwise", self.kind == "elementwise")

    @property
    def body(self) -> Graph | None:
        return self.graph

    def infer(self, *x: TensorType) -> TensorType | tuple[TensorType, ...]:
        expected = [tensor.type for tensor in self.graph.inputs]
        if len(x) != len(expected):
            raise ShapeError(f"the graph has {len(expected)} inputs, {len(x)} were given")
        for i, (given, inner) in enumerate(zip(x, expected, strict=True)):
            if given.dtype != inner.dtype:
                names = f"{short_name(given.dtype)}, the graph's is {short_name(inner.dtype)}"
                raise DTypeError(f"input {i} is {names}")
            if given.shape != inner.shape:
                shapes = f"{shape_text(given.shape)}, the graph's {shape_text(inner.shape)}"
                raise ShapeError(f"input {i} has shape {shapes}")
        return one_or_several([tensor.type for tensor in self.graph.outputs])

    def kernel(self, *x: Any) -> Any:
        values = dict(zip(self.graph.inputs, x, strict=True))
        return one_or_several(evaluate_graph(self.graph, values, {}))

    def decompose(self, *x: Tensor) -> Tensor | tuple[Tensor, ...]:
        return one_or_several(inline(self.graph, x))

    def flops(self, *x: TensorType) -> Size:
        return self.graph.flops

    cases = (
        Case(f32["n", 3], f32[3], kind="elementwise", graph=_example("elementwise")),
        Case(f32["n", 3], f32[3], kind="rows", graph=_example("rows")),
        Case(f32["n", 3], f32[3, 3], kind="contraction", graph=_example("contraction")),
    )
    rejects = (
        Reject(
            f32["n", 3],
            kind="rows",
            graph=_example("rows"),
            message="the graph has 2 inputs, 1 were given",
        ),
        Reject(
            f32["n", 3],
            f64[3],
            kind="rows",
            graph=_example("rows"),
            message="input 1 is f64, the graph's is f32",
        ),
        Reject(
            f32["n", 4],
            f32[3],
            kind="rows",
            graph=_example("rows"),
            message="input 0 has shape [n,4], the graph's [n,3]",
        ),
    )


@register
class Native(Fused):
    """What `graph` computes, as one native kernel: what `select` makes of a fused node.

    Plans have one step for it, not one for each of its operations.
    """

    name = "native"

    @cached_property
    def analysis(self) -> tuple[Node | None, Group]:
        """Its product, if it has one, and the loop of the rest; ValueError without native code."""
        return analysis(self.graph)

    def overwrites(self, output: int, inputs: int) -> Sequence[int]:
        return overwritten(self.graph, *self.analysis, output)

    @property
    def plan_body(self) -> None:
        return None
