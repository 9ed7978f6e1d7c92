"""From what users write (arrays, numbers, sizes) to tensors of one dtype."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from functools import wraps
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import numpy as np
from numpy.typing import DTypeLike

from graphwright.graph.array import FrozenArray
from graphwright.graph.dim import Dim, Size
from graphwright.graph.dtype import (
    DType,
    Scalar,
    as_dtype,
    float16,
    float32,
    float64,
    int32,
    int64,
    is_integer,
    promote,
)
from graphwright.graph.dtype import is_floating as is_floating_dtype
from graphwright.graph.errors import GraphwrightError
from graphwright.graph.leaf import Constant
from graphwright.graph.operator import Operator, register
from graphwright.graph.source import here
from graphwright.graph.tensor import Tensor, TensorLike
from graphwright.graph.types import TensorType
from graphwright.ops.arguments import Declared
from graphwright.ops.case import Case, bool_, f32, f64, i32
from graphwright.ops.shapes import normalize_axis

if TYPE_CHECKING:
    from numpy.typing import NDArray

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


@register
class Cast(Operator):
    """Each element converted to another dtype, as NumPy's `astype` does.

    Floats become integers by dropping the fraction; what is out of range is undefined (native code
    gives what NumPy does on x86, see `lower`). Numbers become booleans by `!= 0`. Takes any input.
    The gradient is cast back between floating dtypes, and does not flow from or to others.
    """

    name = "cast"
    elementwise = True

    dtype: DType

    def infer(self, x: TensorType) -> TensorType:
        return x.with_dtype(self.dtype)

    def kernel(self, x: NDArray[Any]) -> NDArray[Any]:
        return x.astype(self.dtype)

    def kernel_into(self, out: NDArray[Any], x: NDArray[Any]) -> None:
        np.copyto(out, x, casting="unsafe")

    def lower(self, b: Any, x: Any) -> Any:
        """Where a float is nan, or beyond an integer's range, as NumPy's vectors on x86 have it:

        the smallest int32 or int64; of smaller dtypes, the low bits of an int32 so converted; of
        uint32 and uint64, the bits of the signed number of that size, 2³¹ or 2⁶³ less if x is not
        below that. (NumPy has uint32 otherwise in short arrays.)
        """
        if x.floating and is_integer(self.dtype):
            return _lower_whole(b, x, self.dtype)
        if self.dtype == float16 and not x.floating:
            # Few CPUs convert them at once. Where float32 rounds, float16 has no numbers any more.
            x = b.convert(x, float32)
        return b.convert(x, self.dtype)

    def gradient(self, x: Tensor, out: Tensor, g: Tensor) -> Tensor | None:
        if not (is_floating_dtype(x.dtype) and is_floating_dtype(out.dtype)):
            return None
        return cast(g, x.dtype)

    cases = (
        Case(f64["n", 3], dtype=np.dtype(np.float32)),
        Case(f32["n"], dtype=np.dtype(np.float64)),
        Case([1.75, -1.75, 0.0], dtype=np.dtype(np.int32)),
        Case([0, 2, -1], dtype=np.dtype(np.bool_)),
        Case(bool_[2, 2], dtype=np.dtype(np.float32)),
        Case(i32[0, 4], dtype=np.dtype(np.int64)),
    )


@register
class SizeValue(Operator):
    """A size as a tensor of rank 0: how symbolic sizes enter arithmetic. Takes any size.

    It has no derivative.
    """

    name = "size"
    differentiable = False

    value: Size
    dtype: DType

    def infer(self) -> TensorType:
        return TensorType(self.dtype, ())

    def kernel(self) -> NDArray[Any]:
        return np.array(self.value, dtype=self.dtype)

    def lower_at(self, b: Any, indices: Sequence[Any], number: Callable[[Size], Any]) -> Any:
        return Cast(self.dtype).lower(b, number(self.value))

    def flops(self) -> Size:
        return 0

    cases = (Case(value=7, dtype=np.dtype(np.int64)), Case(value=3, dtype=np.dtype(np.float32)))


def _lower_whole(b: Any, x: Any, dtype: DType) -> Any:
    """Native: floats without their fraction, as integers."""
    if x.dtype.itemsize == 2:
        x = b.convert(x, float32)
    if dtype.itemsize < 4:
        return b.convert(_lower_whole(b, x, int32), dtype)
    middle = 2 ** (8 * dtype.itemsize - 1)
    if dtype.kind == "i":
        inside = b.intrinsic("fabs", x) < float(middle)
        return b.select(inside, b.convert(x, dtype), -middle)
    upper = x >= float(middle)
    lower = b.select(upper, x - float(middle), x)
    signed = _lower_whole(b, lower, np.dtype(f"i{dtype.itemsize}"))
    return b.convert(b.select(upper, signed ^ -middle, signed), dtype)


def builder(function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """Decorator for functions that make nodes: what they refuse says where, and of which tensors.

    Arguments are what their annotations say (`Declared`). Errors of the operators themselves say
    where already and pass unchanged.
    """
    declared: Declared | None = None

    @wraps(function)
    def build(*args: Arguments.args, **attributes: Arguments.kwargs) -> Result:
        nonlocal declared
        if declared is None:  # not before: importing is to be quick
            declared = Declared(function)
        try:
            if declared:
                args, attributes = declared.checked(args, attributes)  # type: ignore[assignment]
            return function(*args, **attributes)
        except GraphwrightError as error:
            given = zip(inspect.signature(function).parameters, args, strict=False)
            tensors = [(name, x.describe()) for name, x in given if isinstance(x, Tensor)]
            raise error.located(function.__name__, tensors, here()) from None

    return build


@builder
def cast(x: TensorLike, dtype: DTypeLike) -> Tensor:
    """`x` with each element converted to `dtype`; `x` itself when it has that dtype already."""
    tensor, target = as_tensor(x), as_dtype(dtype)
    return tensor if tensor.dtype == target else Cast(target)(tensor)


@builder
def size(x: TensorLike, axis: int | None = None) -> Tensor:
    """The number of elements of `x`, or its size along `axis`, as a tensor: int64, rank 0."""
    tensor = as_tensor(x)
    if axis is None:
        return SizeValue(tensor.size, int64)()
    return SizeValue(tensor.shape[normalize_axis(axis, tensor.ndim)], int64)()


def as_tensor(value: TensorLike, dtype: DType | None = None) -> Tensor:
    """`value` as a tensor: tensors as they are, the rest as constants.

    Python numbers alone become bool, int64 and float32. With `dtype`, constants are made in it
    and tensors are cast to it. Raises DTypeError for what is no array of numbers, InputError for
    integers that `dtype` can't hold.
    """
    if isinstance(value, Tensor):
        return value if dtype is None else cast(value, dtype)
    if isinstance(value, Dim):
        return SizeValue(value, dtype or int64)()
    try:
        frozen = FrozenArray(value, dtype)
    except GraphwrightError as error:
        raise error.located("constant", (), here()) from None
    return Constant(frozen)()


def common_dtype(*values: TensorLike) -> DType:
    """The dtype of an operation on `values` by NEP 50; Python numbers and sizes are weak."""
    return promote(*(_operand(value) for value in values))


def promoted(*values: TensorLike) -> tuple[Tensor, ...]:
    """`values` as tensors of their common dtype."""
    first = values[0]
    if all(isinstance(value, Tensor) and value.dtype == first.dtype for value in values):  # type: ignore[union-attr]
        return values  # type: ignore[return-value]
    dtype = common_dtype(*values)
    return tuple(as_tensor(value, dtype) for value in values)


def as_floating(value: TensorLike) -> Tensor:
    """`value` as a floating tensor; integers and booleans become float64, as in NumPy."""
    tensor = as_tensor(value)
    return tensor if is_floating_dtype(tensor.dtype) else cast(tensor, float64)


def _operand(value: TensorLike) -> DType | Scalar:
    if isinstance(value, Tensor):
        return value.dtype
    if isinstance(value, bool | int | float) and not isinstance(value, np.generic):
        return value
    if isinstance(value, Dim):
        return 0
    if isinstance(value, np.ndarray | np.generic) and value.dtype.kind in "biuf":
        return as_dtype(value.dtype)
    return as_tensor(value).dtype
