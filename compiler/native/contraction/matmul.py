"""The generator of `matmul`."""

from __future__ import annotations

from graphwright.compiler.native.contraction.driver import contraction
from graphwright.compiler.native.contraction.orientation import oriented
from graphwright.compiler.native.contraction.product import (
    Epilogue,
    Factor,
    Product,
    matrix,
    product_of,
)
from graphwright.compiler.native.generators import Kernels, Operands, generates
from graphwright.compiler.native.kernel import Context
from graphwright.ops.linear import MatMul


@generates(MatMul)
def matmul(op: MatMul, inputs: Operands, outputs: Operands, context: Context) -> Kernels:
    """The kernel that multiplies, after those that pack."""
    return contraction(oriented(matmul_product(inputs, outputs)), context)


def matmul_product(inputs: Operands, outputs: Operands) -> Product:
    """The product that `matmul` is, with the result just stored."""
    left, right = inputs
    rank = len(outputs[0].shape)
    return product_of(
        Factor((matrix(left, rank - 2),)),
        Factor((matrix(right, rank - 2),)),
        Epilogue((matrix(outputs[0], rank - 2),)),
        rank,
        left.shape[-1],
    )
