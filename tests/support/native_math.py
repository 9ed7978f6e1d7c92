"""Vector functions of native code, compiled and applied to arrays."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graphwright.compiler.native.ir import Function, Module
from graphwright.compiler.native.kernel import Address, kernel_function
from graphwright.compiler.native.math import FUNCTIONS
from graphwright.compiler.native.objects import Code, compiled
from graphwright.compiler.native.target import Target

_SIGNATURE = ctypes.CFUNCTYPE(
    None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64, ctypes.c_void_p
)


def kernel_text(
    name: str,
    dtype: Any,
    lanes: int,
    operands: int,
    target: Target,
    functions: Mapping[str, Function] = FUNCTIONS,
) -> str:
    """A kernel whose tiles are the vectors of some arrays, one after the other.

    The slots of its table are the addresses of `operands` inputs and of the output.
    """
    module, dtype = Module(target, functions), np.dtype(dtype)
    with kernel_function(module) as f:
        inputs = [f.arguments.pointer(Address(i), dtype) for i in range(operands)]
        output = f.arguments.pointer(Address(operands), dtype)
        start, stop = f.first * lanes, f.last * lanes
        with f.b.loop(start, stop, lanes) as i:
            values = [f.b.load(pointer, i, lanes) for pointer in inputs]
            f.b.store(output, i, f.b.call(name, *values))
    return module.text


class VectorFunction:
    """A function of `FUNCTIONS`, called with arrays of one shape and dtype."""

    def __init__(
        self,
        name: str,
        dtype: Any,
        lanes: int,
        operands: int = 1,
        target: Target | None = None,
        functions: Mapping[str, Function] = FUNCTIONS,
    ) -> None:
        target = target or Target.host()
        self.lanes = lanes
        self.text = kernel_text(name, dtype, lanes, operands, target, functions)
        [record] = compiled([self.text], target)
        self._code: Code = record.code
        self._run = _SIGNATURE(self._code.address)

    def __call__(self, *arrays: NDArray[Any]) -> NDArray[Any]:
        size = arrays[0].size
        tiles = -(-size // self.lanes)
        padded = [np.zeros(tiles * self.lanes, arrays[0].dtype) for _ in (*arrays, 0)]
        for place, array in zip(padded, arrays, strict=False):
            place[:size] = array.reshape(-1)
        table = np.array([place.ctypes.data for place in padded], np.int64)
        self._run(table.ctypes.data, 0, tiles, None)
        return padded[-1][:size].reshape(arrays[0].shape)
