"""What a caller brings: arrays checked against the inputs, and the sizes that follow from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from graphwright.graph.array import coerce
from graphwright.graph.dim import Dim, evaluate, solve
from graphwright.graph.errors import InputError
from graphwright.graph.source import here
from graphwright.graph.tensor import Tensor

Array = NDArray[Any]

_REMEMBERED = 64  # combinations of shapes


class Arguments:
    """The inputs of a function that is called many times.

    Arrays that need no conversion and have the shapes of an earlier call are not checked again.
    """

    def __init__(self, inputs: Sequence[Tensor]) -> None:
        self.inputs = tuple(inputs)
        self._dtypes = tuple(tensor.dtype for tensor in inputs)
        self._sizes: dict[tuple[tuple[int, ...], ...], dict[str, int]] = {}

    def bind(
        self, positional: Sequence[object], named: Mapping[str, object]
    ) -> tuple[Sequence[Array], dict[str, int]]:
        """As the function `bind`."""
        if not named and len(positional) == len(self._dtypes):
            shapes = []
            for value, dtype in zip(positional, self._dtypes, strict=True):
                if type(value) is not np.ndarray or value.dtype is not dtype:
                    break
                flags = value.flags
                if not (flags.c_contiguous and flags.aligned):
                    break
                shapes.append(value.shape)
            else:
                sizes = self._sizes.get(tuple(shapes))
                if sizes is not None:
                    return cast(Sequence[Array], positional), sizes
        arrays, sizes = bind(self.inputs, positional, named)
        if len(self._sizes) >= _REMEMBERED:
            self._sizes.clear()
        self._sizes[tuple(array.shape for array in arrays)] = sizes
        return arrays, sizes


def bind(
    inputs: Sequence[Tensor], positional: Sequence[object], named: Mapping[str, object]
) -> tuple[list[Array], dict[str, int]]:
    """The arguments of a call as arrays in the inputs' order, and the named dimensions' sizes.

    Raises InputError, with the line of the call, for too many, too few and unknown arguments; and
    when a dtype, rank or size does not fit, naming the input and the axis.
    """
    try:
        return _checked(inputs, _ordered(inputs, positional, named))
    except InputError as error:
        error.source = here()
        raise


def _ordered(
    inputs: Sequence[Tensor], positional: Sequence[object], named: Mapping[str, object]
) -> list[object]:
    names = [str(tensor.name) for tensor in inputs]
    takes = ", ".join(f"{tensor.name}: {tensor.type}" for tensor in inputs) or "nothing"
    if len(positional) > len(inputs):
        raise InputError(
            f"expected {len(inputs)} arrays, got {len(positional)}", hint=f"it takes {takes}"
        )
    given = dict(zip(names, positional, strict=False))
    for name, value in named.items():
        if name not in names:
            raise InputError(f"there is no input named {name!r}", hint=f"it takes {takes}")
        if name in given:
            raise InputError(f"input {name!r} is given twice", hint=f"it takes {takes}")
        given[name] = value
    missing = [name for name in names if name not in given]
    if missing:
        raise InputError(f"no array for input {', '.join(missing)}", hint=f"it takes {takes}")
    return [given[name] for name in names]


def _checked(
    inputs: Sequence[Tensor], values: Sequence[object]
) -> tuple[list[Array], dict[str, int]]:
    arrays: list[Array] = []
    for tensor, value in zip(inputs, values, strict=True):
        if isinstance(value, Tensor):
            raise InputError(
                f"{tensor.name}: a symbolic tensor is given where an array is expected",
                details=[("given", value.describe())],
                hint="call it with NumPy arrays; to build on, use the tensors that it was made of",
            )
        array = coerce(value, tensor.dtype, str(tensor.name))
        if array.ndim != tensor.ndim:
            raise InputError(
                f"{tensor.name}: expected rank {tensor.ndim}, got rank {array.ndim}",
                details=[("expected", str(tensor.type)), ("got", f"shape {array.shape}")],
                hint="add axes with array[None], or remove them with array.reshape",
            )
        arrays.append(array)
    sizes, origin = _solved(inputs, arrays)
    for tensor, array in zip(inputs, arrays, strict=True):
        for axis, (expected, size) in enumerate(zip(tensor.shape, array.shape, strict=True)):
            if isinstance(expected, int):
                wanted, because = expected, ""
            elif expected.names <= sizes.keys():
                wanted = evaluate(expected, sizes)
                because = ", ".join(
                    f"{name} is {sizes[name]} in {origin[name]}" for name in sorted(expected.names)
                )
            else:
                raise _undetermined(tensor, axis, expected, size, sizes)
            if wanted != size:
                what = f"{tensor.name}: axis {axis} is {size}, expected {wanted}"
                raise InputError(
                    what + (f" ({expected}: {because})" if because else ""),
                    details=[("expected", str(tensor.type)), ("got", f"shape {array.shape}")],
                    hint="equal names mean equal sizes"
                    if because
                    else f"give {tensor.name} an array with {wanted} there",
                )
    return arrays, sizes


def _solved(
    inputs: Sequence[Tensor], arrays: Sequence[Array]
) -> tuple[dict[str, int], dict[str, str]]:
    """The numbers of the named dimensions, and the input that told each.

    The order of the inputs does not matter: `m*n` tells n once another axis has told m.
    """
    sizes: dict[str, int] = {}
    origin: dict[str, str] = {}
    known = -1
    while known < len(sizes):
        known = len(sizes)
        for tensor, array in zip(inputs, arrays, strict=True):
            for expected, size in zip(tensor.shape, array.shape, strict=True):
                found = solve(expected, size, sizes)
                if found is not None:
                    sizes[found[0]] = found[1]
                    origin[found[0]] = str(tensor.name)
    return sizes, origin


def _undetermined(
    tensor: Tensor, axis: int, expected: Dim, size: int, sizes: Mapping[str, int]
) -> InputError:
    unknown = sorted(expected.names - sizes.keys())
    one = {**sizes, **dict.fromkeys(unknown, 1)}
    if solve(expected, evaluate(expected, one), sizes) is not None:
        return InputError(
            f"{tensor.name}: axis {axis} is {size}, expected {expected} for a whole {unknown[0]}",
            details=[("expected", str(tensor.type))],
            hint="no size of that name fits",
        )
    return InputError(
        f"{tensor.name}: no input tells the size of {', '.join(unknown)}",
        details=[("axis", f"{axis} is {expected}, got {size}")],
        hint="give one input an axis that is this size alone",
    )
