"""Vector mathematics in generated code, by name: what `Builder.call` finds.

Each function takes the builder and values of one dtype and number of lanes. Its docstring says
what it computes and how far from the exact value it is at most, in units in the last place (ulp)
of the correctly rounded result, over all arguments of the dtype.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import wraps

from graphwright.compiler.native.instructions import Instructions
from graphwright.compiler.native.ir import Function
from graphwright.compiler.native.math import (
    error_function,
    exponential,
    hyperbolic,
    inverse_hyperbolic,
    inverse_trigonometric,
    logarithm,
    power,
    root,
    trigonometric,
)
from graphwright.compiler.native.values import Value
from graphwright.graph.dtype import float32


def _rounded_once(function: Function) -> Function:
    """16-bit floats are computed in float32, and rounded at the end."""

    @wraps(function)
    def wide(b: Instructions, *operands: Value) -> Value:
        dtype = operands[0].dtype
        if dtype.itemsize > 2:
            return function(b, *operands)
        result = function(b, *(b.convert(x, float32) for x in operands))
        return b.convert(result, dtype)

    return wide


_ALL: tuple[Function, ...] = (
    exponential.exp,
    exponential.exp2,
    exponential.expm1,
    exponential.sigmoid,
    exponential.softplus,
    exponential.logaddexp,
    logarithm.log,
    logarithm.log2,
    logarithm.log10,
    logarithm.log1p,
    hyperbolic.tanh,
    hyperbolic.sinh,
    hyperbolic.cosh,
    inverse_hyperbolic.asinh,
    inverse_hyperbolic.acosh,
    inverse_hyperbolic.atanh,
    trigonometric.sin,
    trigonometric.cos,
    trigonometric.tan,
    inverse_trigonometric.asin,
    inverse_trigonometric.acos,
    inverse_trigonometric.atan,
    inverse_trigonometric.atan2,
    power.pow,
    root.rsqrt,
    root.cbrt,
    root.hypot,
    error_function.erf,
    error_function.erfc,
)

FUNCTIONS: Mapping[str, Function] = {f.__name__: _rounded_once(f) for f in _ALL}
