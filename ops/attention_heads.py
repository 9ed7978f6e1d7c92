"""How queries, keys and values of attention fit together, and masks to their scores."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

from graphwright.graph.dim import Size, exact_quotient
from graphwright.graph.dtype import is_boolean, is_floating, short_name
from graphwright.graph.errors import DTypeError, ShapeError
from graphwright.graph.tensor import Tensor, TensorLike
from graphwright.graph.types import Shape, TensorType
from graphwright.ops.checks import check_floating, check_same_dtype
from graphwright.ops.convert import as_floating, as_tensor, cast, promoted
from graphwright.ops.movement import reshape
from graphwright.ops.shapes import shape_text

Causal = Literal["no", "top_left", "bottom_right"]

PLAIN: dict[str, Any] = {"causal": "no", "scale": None, "softcap": 0.0}
"""Attributes of attention to all keys, for cases."""


class Heads(NamedTuple):
    """How queries, keys and values fit together."""

    leading: Shape
    """Those axes of the query; the last counts its heads."""
    shared: Shape
    """Those of key and value."""
    groups: Size
    """How many heads of the query share one of key and value."""
    queries: Size
    keys: Size


def heads_of(query: TensorType, key: TensorType, value: TensorType) -> Heads:
    """How the three fit. Raises DTypeError or ShapeError, saying why they don't."""
    check_floating(query)
    check_same_dtype(query, key, value)
    for label, kind in (("query", query), ("key", key), ("value", value)):
        if kind.rank < 2:
            raise ShapeError(f"{label} is {kind}: it has no rows", hint="its rank is at least 2")
    keys, values = key.shape[-2], value.shape[-2]
    if query.shape[-1] != key.shape[-1]:
        raise ShapeError(
            f"query has {query.shape[-1]} features, key {key.shape[-1]}",
            hint="the last sizes of query and key must be equal",
        )
    if keys != values:
        raise ShapeError(
            f"there are {keys} keys, but {values} values",
            hint="the second-last sizes of key and value must be equal",
        )
    if keys == 0:
        raise ShapeError("there are no keys", hint="attention takes a mean over at least one")
    groups = _groups(query.shape[:-2], key.shape[:-2], value.shape[:-2])
    return Heads(query.shape[:-2], key.shape[:-2], groups, query.shape[-2], keys)


def _groups(query: Shape, key: Shape, value: Shape) -> Size:
    """How many heads of the query share each one of key and value, whose leading axes these are."""
    for one, other in ((key, value), (query[:-1], key[:-1])):
        if len(query) != len(key) or one != other:
            one, other = (key, value) if key != value else (query, key)
            raise ShapeError(
                f"leading axes {shape_text(one)} and {shape_text(other)} differ",
                hint="only the heads, on the last of them, may be more for the query",
            )
    if query == key:
        return 1
    groups = exact_quotient(query[-1], key[-1])
    if groups is None:
        raise ShapeError(
            f"{query[-1]} heads of the query don't share {key[-1]} of the keys evenly",
            hint="the heads of the query must be a multiple of those of key and value",
        )
    return groups


def together(rows: Tensor, heads: Heads) -> Tensor:
    """Rows of the heads that share keys, all as rows of one head: [..., heads, T, F]."""
    if heads.groups == 1:
        return rows
    length, features = rows.shape[-2:]
    return reshape(rows, (*heads.shared, heads.groups * length, features))


def check_mask(mask: TensorType, query: TensorType, scores: Shape) -> None:
    """Raise DTypeError or ShapeError for a mask that doesn't fit scores of this shape."""
    if not is_boolean(mask.dtype) and mask.dtype != query.dtype:
        own = short_name(query.dtype)
        raise DTypeError(
            f"the mask must be bool or {own}, got {short_name(mask.dtype)}",
            hint="True lets a query attend to a key; floats are added to the scores",
        )
    sizes = zip(reversed(mask.shape), reversed(scores), strict=False)
    if mask.rank > len(scores) or not all(have in (1, want) for have, want in sizes):
        raise ShapeError(
            f"mask {shape_text(mask.shape)} does not broadcast to the scores, {shape_text(scores)}",
            hint="its last axes are queries and keys; expand_dims adds axes of size 1 before them",
        )


def alignment(causal: bool | Causal) -> Causal:
    """What a user says of causality, as the attribute."""
    if isinstance(causal, bool):
        return "top_left" if causal else "no"
    return causal


def attention_inputs(*given: TensorLike | None) -> tuple[Tensor, ...]:
    """Query, key, value and perhaps a mask, as tensors: of the dtype of all, masks as they are."""
    *rows, mask = given
    floats = promoted(*(as_floating(x) for x in rows if x is not None))
    if mask is None:
        return floats
    tensor = as_tensor(mask)
    return *floats, cast(tensor, floats[0].dtype) if is_floating(tensor.dtype) else tensor
