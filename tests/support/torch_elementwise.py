"""What torch has for the elementwise operators: see `test_torch` for what is done with it.

Deliberate differences, which the drawn inputs don't touch: the gradient of a tie is shared by
`maximum`, `minimum`, `clip` and the rectifiers made of them, where torch gives it to one side.
Torch's softplus is a straight line from 20 on, which loses digits; here it is told to begin at 40.
The gradients of its celu and hardsigmoid have the digits of float32, in float64 too (2.13), so that
these are put together from others.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from support.torch_unlike import Table, Unlike, dtype_of, floating


def floats_only(function: Any) -> Any:
    def counterpart(*tensors: Tensor, **attributes: Any) -> Tensor:
        floating(*tensors)
        return function(*tensors, **attributes)

    return counterpart


def cbrt(x: Tensor) -> Tensor:
    """Torch has powers only, of numbers from 0 up."""
    return torch.sign(x) * torch.abs(x) ** (1 / 3)


def power(x: Tensor, y: Tensor) -> Tensor:
    if not y.is_floating_point() and (y < 0).any():
        raise Unlike("torch has no negative powers of integers")
    return torch.pow(x, y)


def shift(function: Any) -> Any:
    def counterpart(x: Tensor, y: Tensor) -> Tensor:
        if ((y < 0) | (y >= 8 * x.element_size())).any():
            raise Unlike("C++ leaves undefined what shifts by so many bits give")
        return function(x, y)

    return counterpart


def clip(x: Tensor, low: Tensor, high: Tensor) -> Tensor:
    return torch.clamp(x, low, high)


def prelu(x: Tensor, slope: Tensor) -> Tensor:
    """Torch has the slopes of channels, the second axis."""
    return F.prelu(x[None], slope)[0] if x.ndim == 1 else F.prelu(x, slope)


def celu(x: Tensor, alpha: float) -> Tensor:
    return torch.where(x > 0, x, alpha * torch.expm1(x / alpha))


def cast(x: Tensor, dtype: Any) -> Tensor:
    return x.to(dtype_of(dtype))


def isclose(x: Tensor, y: Tensor, rtol: float, atol: float, equal_nan: bool) -> Tensor:
    return torch.isclose(*torch.broadcast_tensors(x, y), rtol, atol, equal_nan)


counterparts: Table = {
    # Comparisons and logic.
    "equal": torch.eq,
    "not_equal": torch.ne,
    "less": torch.lt,
    "less_equal": torch.le,
    "greater": torch.gt,
    "greater_equal": torch.ge,
    "logical_and": torch.logical_and,
    "logical_or": torch.logical_or,
    "logical_xor": torch.logical_xor,
    "logical_not": torch.logical_not,
    "isnan": torch.isnan,
    "isinf": torch.isinf,
    "isfinite": torch.isfinite,
    "isclose": isclose,
    "where": torch.where,
    "stop_gradient": torch.detach,
    "cast": cast,
    # Bits.
    "bitwise_and": torch.bitwise_and,
    "bitwise_or": torch.bitwise_or,
    "bitwise_xor": torch.bitwise_xor,
    "bitwise_invert": torch.bitwise_not,
    "left_shift": shift(torch.bitwise_left_shift),
    "right_shift": shift(torch.bitwise_right_shift),
    # Arithmetic.
    "add": torch.add,
    "subtract": torch.subtract,
    "multiply": torch.multiply,
    "divide": torch.divide,
    "floor_divide": torch.floor_divide,
    "remainder": torch.remainder,
    "power": power,
    "negative": torch.negative,
    "abs": torch.abs,
    "sign": torch.sign,
    "square": torch.square,
    "reciprocal": torch.reciprocal,
    "maximum": torch.maximum,
    "minimum": torch.minimum,
    "clip": clip,
    "copysign": torch.copysign,
    "signbit": torch.signbit,
    "nextafter": torch.nextafter,
    "nan_to_num": torch.nan_to_num,
    "floor": torch.floor,
    "ceil": torch.ceil,
    "round": torch.round,
    "trunc": torch.trunc,
    # Functions.
    "exp": torch.exp,
    "exp2": torch.exp2,
    "expm1": torch.expm1,
    "log": torch.log,
    "log2": torch.log2,
    "log10": torch.log10,
    "log1p": torch.log1p,
    "sqrt": torch.sqrt,
    "rsqrt": torch.rsqrt,
    "cbrt": cbrt,
    "logaddexp": torch.logaddexp,
    "sin": torch.sin,
    "cos": torch.cos,
    "tan": torch.tan,
    "arcsin": torch.asin,
    "arccos": torch.acos,
    "arctan": torch.atan,
    "arctan2": torch.atan2,
    "hypot": torch.hypot,
    "sinh": torch.sinh,
    "cosh": torch.cosh,
    "tanh": torch.tanh,
    "arcsinh": torch.asinh,
    "arccosh": torch.acosh,
    "arctanh": torch.atanh,
    "erf": torch.special.erf,
    "erfc": torch.special.erfc,
    "erfinv": torch.special.erfinv,
    "ndtri": torch.special.ndtri,
    "sigmoid": torch.sigmoid,
    # Activations.
    "relu": F.relu,
    "relu6": floats_only(F.relu6),
    "leaky_relu": lambda x, alpha: F.leaky_relu(x, alpha),
    "prelu": prelu,
    "threshold": F.threshold,
    "hard_tanh": lambda x, low, high: F.hardtanh(x, low, high),
    "hard_sigmoid": lambda x: F.relu6(x + 3) / 6,
    "hard_swish": F.hardswish,
    "elu": F.elu,
    "celu": celu,
    "selu": F.selu,
    "softplus": lambda x: F.softplus(x, threshold=40),
    "log_sigmoid": F.logsigmoid,
    "softsign": F.softsign,
    "silu": F.silu,
    "mish": F.mish,
    "gelu": F.gelu,
    "glu": lambda x, axis: F.glu(x, axis),
    "swiglu": lambda x, y: F.silu(x) * y,
}
