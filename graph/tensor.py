"""The symbolic tensor: a value that the graph will compute, with NumPy's operators and methods.

The methods find their operators in `vocabulary`, which is the module `graphwright.ops`: it puts
itself there, because the language does not import its vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias, cast

import numpy as np
from numpy.typing import DTypeLike, NDArray

from graphwright.graph.dim import Dim, Size
from graphwright.graph.display import Displayed
from graphwright.graph.errors import SymbolicValueError
from graphwright.graph.source import here

if TYPE_CHECKING:
    from graphwright.graph.dtype import DType
    from graphwright.graph.node import Node
    from graphwright.graph.types import Shape, TensorType

vocabulary: Any = None

Axis: TypeAlias = int | Sequence[int] | None
TensorLike: TypeAlias = "Tensor | NDArray[Any] | np.generic | bool | int | float | Dim"


_REFLECTED = {
    **{name: name for name in ("add", "subtract", "multiply", "divide", "floor_divide")},
    **{name: name for name in ("remainder", "power", "matmul", "equal", "not_equal")},
    **{name: name for name in ("less", "less_equal", "greater", "greater_equal")},
    **{name: name for name in ("bitwise_and", "bitwise_or", "bitwise_xor")},
    **{name: name for name in ("left_shift", "right_shift")},
}
"""The ufunc that `array + tensor` and the like call, by name, and the operator that it means."""


def _op(name: str, *args: object, **attributes: object) -> Tensor:
    return cast("Tensor", getattr(vocabulary, name)(*args, **attributes))


class Tensor(Displayed):
    """Output `index` of `node`. Made by operators, `gw.input` and `gw.parameter`, never directly.

    Arithmetic, comparisons, indexing and methods make new nodes, with NumPy's meaning. `==`
    compares elements, so tensors in dicts and sets are found by identity. A tensor has no value
    of its own: compile the graph, or `gw.interpret` it, to get one.
    """

    __slots__ = ("__weakref__", "index", "node", "type")

    def __init__(self, node: Node, index: int, type: TensorType) -> None:
        self.node = node
        self.index = index
        self.type = type

    @property
    def shape(self) -> Shape:
        """The sizes: ints, and symbolic dimensions."""
        return self.type.shape

    @property
    def dtype(self) -> DType:
        return self.type.dtype

    @property
    def ndim(self) -> int:
        return self.type.rank

    @property
    def size(self) -> Size:
        """The number of elements."""
        return self.type.size

    @property
    def name(self) -> str | None:
        """The name of an input or a parameter; None for what operators compute."""
        return cast("str | None", self.node.op.attributes.get("label")) if self.leaf else None

    @property
    def leaf(self) -> bool:
        """True for inputs and parameters."""
        return self.node.op.leaf

    def describe(self) -> str:
        """What errors say of it: name, type, and the user's line that made it."""
        made = f"made at {self.node.source}" if self.node.source.lines else "made"
        label = f'("{self.name}")' if self.name else ""
        return f"{self.name or '·'}: {self.type}    {made} by {self.node.op.name}{label}"

    def __repr__(self) -> str:
        return f"<{self.name or self.node.op.name}: {self.type}>"

    __hash__ = object.__hash__  # by identity, and quicker than a method in Python

    # Arithmetic.

    def __add__(self, other: TensorLike) -> Tensor:
        return _op("add", self, other)

    def __radd__(self, other: TensorLike) -> Tensor:
        return _op("add", other, self)

    def __sub__(self, other: TensorLike) -> Tensor:
        return _op("subtract", self, other)

    def __rsub__(self, other: TensorLike) -> Tensor:
        return _op("subtract", other, self)

    def __mul__(self, other: TensorLike) -> Tensor:
        return _op("multiply", self, other)

    def __rmul__(self, other: TensorLike) -> Tensor:
        return _op("multiply", other, self)

    def __truediv__(self, other: TensorLike) -> Tensor:
        return _op("divide", self, other)

    def __rtruediv__(self, other: TensorLike) -> Tensor:
        return _op("divide", other, self)

    def __floordiv__(self, other: TensorLike) -> Tensor:
        return _op("floor_divide", self, other)

    def __rfloordiv__(self, other: TensorLike) -> Tensor:
        return _op("floor_divide", other, self)

    def __mod__(self, other: TensorLike) -> Tensor:
        return _op("remainder", self, other)

    def __rmod__(self, other: TensorLike) -> Tensor:
        return _op("remainder", other, self)

    def __pow__(self, other: TensorLike) -> Tensor:
        return _op("power", self, other)

    def __rpow__(self, other: TensorLike) -> Tensor:
        return _op("power", other, self)

    def __matmul__(self, other: TensorLike) -> Tensor:
        return _op("matmul", self, other)

    def __rmatmul__(self, other: TensorLike) -> Tensor:
        return _op("matmul", other, self)

    def __neg__(self) -> Tensor:
        return _op("negative", self)

    def __pos__(self) -> Tensor:
        return _op("positive", self)

    def __abs__(self) -> Tensor:
        return _op("abs", self)

    # Comparison and logic: of booleans, and of the bits of whole numbers.

    def __eq__(self, other: TensorLike) -> Tensor:  # type: ignore[override]
        return _op("equal", self, other)

    def __ne__(self, other: TensorLike) -> Tensor:  # type: ignore[override]
        return _op("not_equal", self, other)

    def __lt__(self, other: TensorLike) -> Tensor:
        return _op("less", self, other)

    def __le__(self, other: TensorLike) -> Tensor:
        return _op("less_equal", self, other)

    def __gt__(self, other: TensorLike) -> Tensor:
        return _op("greater", self, other)

    def __ge__(self, other: TensorLike) -> Tensor:
        return _op("greater_equal", self, other)

    def __and__(self, other: TensorLike) -> Tensor:
        return _op("bitwise_and", self, other)

    def __rand__(self, other: TensorLike) -> Tensor:
        return _op("bitwise_and", other, self)

    def __or__(self, other: TensorLike) -> Tensor:
        return _op("bitwise_or", self, other)

    def __ror__(self, other: TensorLike) -> Tensor:
        return _op("bitwise_or", other, self)

    def __xor__(self, other: TensorLike) -> Tensor:
        return _op("bitwise_xor", self, other)

    def __rxor__(self, other: TensorLike) -> Tensor:
        return _op("bitwise_xor", other, self)

    def __invert__(self) -> Tensor:
        return _op("bitwise_invert", self)

    def __lshift__(self, other: TensorLike) -> Tensor:
        return _op("left_shift", self, other)

    def __rlshift__(self, other: TensorLike) -> Tensor:
        return _op("left_shift", other, self)

    def __rshift__(self, other: TensorLike) -> Tensor:
        return _op("right_shift", self, other)

    def __rrshift__(self, other: TensorLike) -> Tensor:
        return _op("right_shift", other, self)

    # Indexing and iteration.

    def __getitem__(self, key: object) -> Tensor:
        """NumPy's indexing: integers, slices with steps, `None`, `...`, arrays and masks."""
        return _op("index", self, key)

    def __setitem__(self, key: object, value: object) -> NoReturn:
        raise SymbolicValueError(
            "a tensor can't be written to: graphs have no memory of their own",
            details=[("tensor", self.describe())],
            source=here(),
            hint="make a new tensor: x = gw.ops.index_update(x, key, value), or gw.ops.where",
        )

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("a tensor of rank 0 has no length")
        if isinstance(self.shape[0], Dim):
            raise self._no_value("its length", f"use x.shape[0], which is {self.shape[0]}")
        return self.shape[0]

    def __iter__(self) -> Iterator[Tensor]:
        return (self[i] for i in range(len(self)))

    # Methods.

    @property
    def T(self) -> Tensor:
        """All axes in reverse order."""
        return _op("transpose", self)

    @property
    def mT(self) -> Tensor:
        """The last two axes exchanged."""
        return _op("matrix_transpose", self)

    def transpose(self, *axes: Any) -> Tensor:
        """The axes in another order, given one by one or as one tuple; reversed when none is."""
        single = len(axes) == 1 and not isinstance(axes[0], int)
        return _op("transpose", self, (axes[0] if single else axes) or None)

    def reshape(self, *shape: Any) -> Tensor:
        single = len(shape) == 1 and isinstance(shape[0], tuple | list)
        return _op("reshape", self, tuple(shape[0]) if single else shape)

    def squeeze(self, axis: Axis = None) -> Tensor:
        return _op("squeeze", self, axis)

    def swapaxes(self, axis1: int, axis2: int) -> Tensor:
        return _op("swapaxes", self, axis1, axis2)

    def flatten(self) -> Tensor:
        return _op("reshape", self, (-1,))

    ravel = flatten

    def repeat(self, repeats: Size | Sequence[int], axis: int | None = None) -> Tensor:
        return _op("repeat", self, repeats, axis)

    def take(self, indices: TensorLike, axis: int | None = None) -> Tensor:
        return _op("take", self, indices, axis)

    def diagonal(self, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Tensor:
        return _op("diagonal", self, offset, axis1, axis2)

    def trace(self, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Tensor:
        return _op("trace", self, offset, axis1, axis2)

    def sort(self, axis: int = -1, descending: bool = False) -> Tensor:
        """The elements in order, as a new tensor."""
        return _op("sort", self, axis, descending)

    def argsort(self, axis: int = -1, descending: bool = False) -> Tensor:
        return _op("argsort", self, axis, descending)

    def astype(self, dtype: DTypeLike) -> Tensor:
        return _op("cast", self, dtype)

    def sum(self, axis: Axis = None, keepdims: bool = False) -> Tensor:
        return _op("sum", self, axis, keepdims)

    def mean(self, axis: Axis = None, keepdims: bool = False) -> Tensor:
        return _op("mean", self, axis, keepdims)

    def prod(self, axis: Axis = None, keepdims: bool = False) -> Tensor:
        return _op("prod", self, axis, keepdims)

    def max(self, axis: Axis = None, keepdims: bool = False) -> Tensor:
        return _op("max", self, axis, keepdims)

    def min(self, axis: Axis = None, keepdims: bool = False) -> Tensor:
        return _op("min", self, axis, keepdims)

    def all(self, axis: Axis = None, keepdims: bool = False) -> Tensor:
        return _op("all", self, axis, keepdims)

    def any(self, axis: Axis = None, keepdims: bool = False) -> Tensor:
        return _op("any", self, axis, keepdims)

    def cumsum(self, axis: int | None = None) -> Tensor:
        return _op("cumsum", self, axis)

    def cumprod(self, axis: int | None = None) -> Tensor:
        return _op("cumprod", self, axis)

    def argmax(self, axis: int | None = None, keepdims: bool = False) -> Tensor:
        return _op("argmax", self, axis, keepdims)

    def argmin(self, axis: int | None = None, keepdims: bool = False) -> Tensor:
        return _op("argmin", self, axis, keepdims)

    def var(self, axis: Axis = None, keepdims: bool = False, correction: float = 0) -> Tensor:
        return _op("var", self, axis, keepdims, correction=correction)

    def std(self, axis: Axis = None, keepdims: bool = False, correction: float = 0) -> Tensor:
        return _op("std", self, axis, keepdims, correction=correction)

    def clip(self, low: TensorLike | None = None, high: TensorLike | None = None) -> Tensor:
        return _op("clip", self, low, high)

    def round(self) -> Tensor:
        return _op("round", self)

    def dot(self, other: TensorLike) -> Tensor:
        return _op("matmul", self, other)

    # What a symbol can't do.

    def __bool__(self) -> NoReturn:
        raise self._no_value(
            "its truth",
            "use gw.ops.where(condition, a, b) to choose between tensors, `is` to compare objects",
        )

    def __float__(self) -> NoReturn:
        raise self._no_value("its value", "compile the graph and call it, or gw.interpret it")

    __int__ = __index__ = __complex__ = __float__

    def __array_ufunc__(self, ufunc: Any, method: str, *operands: Any, **_: Any) -> Tensor:
        """An array on the left leaves the operation to us; a NumPy function by name is refused."""
        operator = _REFLECTED.get(ufunc.__name__)
        if operator is None or method != "__call__":
            raise self._refused(ufunc.__name__ + (f".{method}" if method != "__call__" else ""))
        return _op(operator, *operands)

    def __array_function__(self, function: Any, *_: object) -> NoReturn:
        raise self._refused(function.__name__)

    def _refused(self, name: str) -> SymbolicValueError:
        known = hasattr(vocabulary, name)
        return SymbolicValueError(
            f"np.{name} needs values, which are not known while the graph is built",
            details=[("tensor", self.describe())],
            source=here(),
            hint=f"use gw.ops.{name}" if known else "use gw.ops in place of NumPy's functions",
        )

    def __array__(self, *_: object, **__: object) -> NDArray[Any]:
        raise self._no_value("its value", "use gw.ops in place of NumPy's functions")

    def _no_value(self, what: str, hint: str) -> SymbolicValueError:
        return SymbolicValueError(
            f"{what} is not known while the graph is built",
            details=[("tensor", self.describe())],
            source=here(),
            hint=hint,
        )
