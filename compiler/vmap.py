"""`gw.vmap`: a function of single examples, applied to many at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

from graphwright.graph.batch import batched, repeated
from graphwright.graph.closure import check_function
from graphwright.graph.dim import Size
from graphwright.graph.errors import AttributeValueError, ShapeError
from graphwright.graph.leaf import Input
from graphwright.graph.node import Origin, derived
from graphwright.graph.structure import flatten, unflatten
from graphwright.graph.tensor import Tensor
from graphwright.ops.convert import as_tensor, builder
from graphwright.ops.movement import moveaxis
from graphwright.ops.shapes import normalize_axis

Axes = int | None | Sequence[Any] | dict[Any, Any]


@builder
def vmap(function: Callable[..., Any], in_axes: Axes = 0, out_axes: Axes = 0) -> Callable[..., Any]:
    """`function`, applied to many inputs at once: vectorized, without a loop.

    function: takes and gives tensors, or tuples, lists and dicts of them; it sees them without the
              axis, and may use tensors from around it, which are the same for all
    in_axes:  the axis along which the inputs lie: one for all, or one for each argument, or a
              structure of them within an argument; None for what is the same for all
    out_axes: the axis along which the outputs are laid, in the same way

    Each operator says how it batches, so that a batch of matrix products is one product. Where
    inputs choose branches apart, both are computed for all, and `where` selects: an error or a nan
    in a branch that an input does not choose can then reach its gradient. The gradient within, as
    below, chooses as well.

    >>> def energy(x):
    ...     return (x * x).sum()
    >>> each = gw.vmap(lambda x: gw.grad(energy(x), x))(rows)

    Calls raise ShapeError when sizes differ along the axes, AttributeValueError when no input has
    one, and what `function` raises.
    """

    check_function(function)

    @wraps(function)
    def mapped(*arguments: Any) -> Any:
        leaves = [as_tensor(leaf) for leaf in flatten(arguments)]
        axes = [
            None if axis is None else normalize_axis(axis, tensor.ndim)
            for tensor, axis in zip(leaves, _spread(in_axes, arguments, "in_axes"), strict=True)
        ]
        size = _size(leaves, axes)
        new: dict[Tensor, Tensor] = {}
        inputs: list[Tensor] = []
        for i, (tensor, axis) in enumerate(zip(leaves, axes, strict=True)):
            if axis is None:
                inputs.append(tensor)
                continue
            shape = tuple(s for k, s in enumerate(tensor.shape) if k != axis)
            with derived(Origin()):
                inputs.append(Input(f"x{i}", tensor.type.with_shape(shape))())
            new[inputs[-1]] = moveaxis(tensor, axis, 0) if axis else tensor
        answer = function(*unflatten(arguments, inputs))
        outputs = [as_tensor(leaf) for leaf in flatten(answer)]
        targets = _spread(out_axes, answer, "out_axes")
        laid = [
            _laid(tensor, many, axis, size)
            for tensor, many, axis in zip(outputs, batched(outputs, new), targets, strict=True)
        ]
        return unflatten(answer, laid)

    return builder(mapped)


def _laid(tensor: Tensor, many: Tensor | None, axis: int | None, size: Size) -> Tensor:
    """An output with its axis where it is wanted."""
    if axis is None:
        if many is not None:
            raise AttributeValueError(
                "out_axes is None for an output that differs from input to input",
                details=[("output", tensor.describe())],
                hint="give it an axis",
            )
        return tensor
    rows = repeated(tensor, size) if many is None else many
    place = normalize_axis(axis, rows.ndim)
    return moveaxis(rows, 0, place) if place else rows


def _size(leaves: Sequence[Tensor], axes: Sequence[int | None]) -> Size:
    pairs = [(x, axis) for x, axis in zip(leaves, axes, strict=True) if axis is not None]
    if not pairs:
        raise AttributeValueError(
            "no input has an axis to map over", hint="give at least one argument an axis in in_axes"
        )
    first, axis = pairs[0]
    for other, place in pairs[1:]:
        if other.shape[place] != first.shape[axis]:
            raise ShapeError(
                f"sizes differ along the mapped axes: {first.shape[axis]} != {other.shape[place]}",
                details=[("one", first.describe()), ("other", other.describe())],
                hint="all inputs have the same size along the axis that is mapped",
            )
    return first.shape[axis]


def _spread(axes: Any, structure: Any, what: str) -> list[Any]:
    """The axis of each leaf of `structure`; one that is given for a part holds for all of it."""
    if axes is None or (isinstance(axes, int) and not isinstance(axes, bool)):
        return [axes] * len(flatten(structure))
    if isinstance(axes, dict) and isinstance(structure, dict) and axes.keys() == structure.keys():
        pairs = [(axes[key], structure[key]) for key in structure]
    elif (
        isinstance(axes, tuple | list)
        and isinstance(structure, tuple | list)
        and len(axes) == len(structure)
    ):
        pairs = list(zip(axes, structure, strict=True))
    else:
        raise AttributeValueError(
            f"{what} is {axes!r}, which does not fit",
            hint="an axis, or None; or one for each part, in the same structure",
        )
    return [axis for part, inner in pairs for axis in _spread(part, inner, what)]
