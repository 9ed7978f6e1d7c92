"""Graphwright: a static computation-graph compiler for NumPy.

>>> import graphwright as gw
>>> x = gw.input("x", ("batch", 3))
>>> double = gw.compile(x, x * 2)
>>> double([[1, 2, 3]])
array([[2., 4., 6.]], dtype=float32)
"""

import importlib as _importlib
from typing import TYPE_CHECKING

from graphwright import nn, ops, random
from graphwright.compiler.derivatives import hessian, jacobian, jvp, vjp
from graphwright.compiler.differentiate import grad
from graphwright.compiler.vmap import vmap
from graphwright.graph.dim import dim
from graphwright.graph.dtype import (
    bfloat16 as _bfloat16,
)
from graphwright.graph.dtype import (
    boolean as bool_,
)
from graphwright.graph.dtype import (
    float16,
    float32,
    float64,
    int8,
    int16,
    int32,
    int64,
    uint8,
    uint16,
    uint32,
    uint64,
)
from graphwright.graph.errors import (
    AttributeValueError,
    CheckError,
    CompileError,
    DTypeError,
    GradientError,
    GraphError,
    GraphwrightError,
    InputError,
    ParseError,
    RenderError,
    ShapeError,
    SymbolicValueError,
    VerificationError,
)
from graphwright.graph.graph import Graph
from graphwright.graph.leaf import Parameter, constant, input, parameter
from graphwright.graph.node import Node, scope
from graphwright.graph.parse import parse
from graphwright.graph.tensor import Tensor
from graphwright.graph.text import text
from graphwright.graph.types import TensorType
from graphwright.nn import init
from graphwright.ops.checkpoint import checkpoint
from graphwright.ops.cond import cond
from graphwright.ops.custom_gradient import custom_gradient
from graphwright.ops.scan import scan
from graphwright.ops.while_loop import while_loop
from graphwright.runtime.compiled import CompiledFunction, compile
from graphwright.runtime.interpret import interpret
from graphwright.viz.draw import draw

if TYPE_CHECKING:
    from graphwright import testing
    from graphwright.graph.dtype import DType
    from graphwright.runtime.pool import threads

    bfloat16: DType

__all__ = [
    "AttributeValueError",
    "CheckError",
    "CompileError",
    "CompiledFunction",
    "DTypeError",
    "GradientError",
    "Graph",
    "GraphError",
    "GraphwrightError",
    "InputError",
    "Node",
    "Parameter",
    "ParseError",
    "RenderError",
    "ShapeError",
    "SymbolicValueError",
    "Tensor",
    "TensorType",
    "VerificationError",
    "bfloat16",
    "bool_",
    "checkpoint",
    "compile",
    "cond",
    "constant",
    "custom_gradient",
    "dim",
    "draw",
    "float16",
    "float32",
    "float64",
    "grad",
    "hessian",
    "init",
    "input",
    "int8",
    "int16",
    "int32",
    "int64",
    "interpret",
    "jacobian",
    "jvp",
    "nn",
    "ops",
    "parameter",
    "parse",
    "random",
    "scan",
    "scope",
    "testing",
    "text",
    "threads",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
    "vjp",
    "vmap",
    "while_loop",
]


def __getattr__(name: str) -> object:
    """What is looked up when it is asked for: bfloat16 needs the package ml_dtypes; who runs a
    model does not need `testing`; and `threads` are of native code, which takes a while to load."""
    if name == "bfloat16":
        return _bfloat16()
    if name == "testing":
        return _importlib.import_module("graphwright.testing")
    if name == "threads":
        return _importlib.import_module("graphwright.runtime.pool").threads
    raise AttributeError(f"module 'graphwright' has no attribute {name!r}")
