"""Kernels of fused groups, and of elementwise operations and reductions by themselves."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

from graphwright.compiler.fused import Native
from graphwright.compiler.group import Group, analysis, single
from graphwright.compiler.native.contraction.epilogue import worked_product
from graphwright.compiler.native.elementwise import elementwise_kernel
from graphwright.compiler.native.generators import Kernels, Operands, generates
from graphwright.compiler.native.kernel import Context
from graphwright.compiler.native.partial import row_kernels
from graphwright.graph.graph import Graph
from graphwright.graph.node import Node
from graphwright.graph.operator import Operator
from graphwright.ops.convert import Cast
from graphwright.ops.elementwise import Elementwise
from graphwright.ops.reduction import Reduction


@generates(Native)
def native(op: Native, inputs: Operands, outputs: Operands, context: Context) -> Kernels:
    """One kernel for the whole group."""
    return _kernels(op.graph, *op.analysis, inputs, outputs, context)


@generates(Elementwise, Cast, Reduction)
def alone(op: Operator, inputs: Operands, outputs: Operands, context: Context) -> Kernels:
    """A group of one operation."""
    graph = single(op, tuple(operand.type for operand in inputs))
    try:
        found = analysis(graph)
    except ValueError as reason:
        return str(reason)
    return _kernels(graph, *found, inputs, outputs, context)


def _kernels(
    graph: Graph,
    product: Node | None,
    group: Group,
    inputs: Operands,
    outputs: Operands,
    context: Context,
) -> Kernels:
    given = dict(zip(graph.inputs, inputs, strict=True))
    if product is not None:
        return worked_product(product, group, given, list(outputs), context)
    name = ", ".join(dict.fromkeys(node.op.name for node in group.operations if node.inputs))
    if not group.folded:
        return [elementwise_kernel(name, group, given, list(outputs), context)]
    kernels = row_kernels(name, group, given, list(outputs), context)
    nonzero = tuple(
        cast(Reduction, node.op).count(node.inputs[0].shape)
        for node in group.reductions
        if not cast(Reduction, node.op).takes_none
    )
    return [replace(kernel, nonzero=nonzero) for kernel in kernels]
