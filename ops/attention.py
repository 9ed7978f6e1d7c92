"""Attention: means of values, weighted by how well their keys answer each query."""

from __future__ import annotations

import math
from typing import Any, Literal, NamedTuple

import numpy as np

from graphwright.graph.dim import Size, dim, exact_quotient
from graphwright.graph.dtype import is_boolean, is_floating, short_name
from graphwright.graph.errors import AttributeValueError, DTypeError, ShapeError
from graphwright.graph.operator import register
from graphwright.graph.tensor import Tensor, TensorLike
from graphwright.graph.types import Shape, TensorType
from graphwright.ops.case import Case, Reject, bool_, f16, f32, f64, i32
from graphwright.ops.checks import check_floating, check_same_dtype
from graphwright.ops.comparison import greater, greater_equal
from graphwright.ops.composite import Composite
from graphwright.ops.convert import as_floating, as_tensor, builder, cast, promoted
from graphwright.ops.creation import arange
from graphwright.ops.exponential import rsqrt
from graphwright.ops.linear import matmul
from graphwright.ops.logical import logical_and
from graphwright.ops.movement import expand_dims, matrix_transpose, reshape
from graphwright.ops.normalization import softmax
from graphwright.ops.reduction import any
from graphwright.ops.selection import where
from graphwright.ops.shapes import shape_text
from graphwright.ops.statistics import widened
from graphwright.ops.trigonometric import tanh

Causal = Literal["no", "top_left", "bottom_right"]


_PLAIN: dict[str, Any] = {"causal": "no", "scale": None, "softcap": 0.0}


class _Heads(NamedTuple):
    """How queries, keys and values fit together."""

    leading: Shape
    """Those axes of the query; the last counts its heads."""
    shared: Shape
    """Those of key and value."""
    groups: Size
    """How many heads of the query share one of key and value."""
    queries: Size
    keys: Size


@register
class ScaledDotProductAttention(Composite):
    """For each query the mean of the values, by the weights softmax(scale · query · keys + mask).

    query [..., Tq, D], key [..., Tk, D], value [..., Tk, E], with the same leading axes; out is
    [..., Tq, E]. The last of the leading axes, if any, counts heads: there may be k times as many
    of the query as of key and value, which are then shared by k neighbouring ones each.

    mask:    of a shape that broadcasts to that of the scores, [..., Tq, Tk]. A boolean one says
             which keys a query attends to; a floating one, of the query's dtype, is added to the
             scores, and -inf means that a key is not attended to
    causal:  "top_left": query i attends to the keys j ≤ i; "bottom_right": the last query to all
             keys, the others to fewer, that is to j ≤ i + Tk - Tq; "no": to all. What a mask
             forbids stays forbidden
    scale:   None for 1/√D
    softcap: scores become softcap · tanh(scores / softcap) before the mask; 0 for not at all

    A query that may attend to no key gets 0, and no gradient flows through it. 16-bit floats are
    multiplied as such; the softmax is that of float32.
    Sources: Vaswani et al., Attention is all you need, 2017, https://arxiv.org/abs/1706.03762;
    Ainslie et al., GQA, 2023, https://arxiv.org/abs/2305.13245 (shared heads); Gemma team,
    Gemma 2, 2024, https://arxiv.org/abs/2408.00118 (softcap).
    """

    name = "scaled_dot_product_attention"

    causal: Causal
    scale: float | None
    softcap: float

    def infer(
        self,
        query: TensorType,
        key: TensorType,
        value: TensorType,
        mask: TensorType | None = None,
    ) -> TensorType:
        if self.causal not in ("no", "top_left", "bottom_right"):
            raise AttributeValueError(
                f"causal can't be {self.causal!r}", hint='"no", "top_left" or "bottom_right"'
            )
        if self.scale is not None and not math.isfinite(self.scale):
            raise AttributeValueError(f"the scale must be finite, got {self.scale}")
        if not 0 <= self.softcap < math.inf:
            raise AttributeValueError(f"softcap must be 0 or more, and finite; got {self.softcap}")
        heads = _heads(query, key, value)
        if mask is not None:
            _check_mask(mask, query, (*heads.leading, heads.queries, heads.keys))
        return query.with_shape((*query.shape[:-1], value.shape[-1]))

    def decompose(
        self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None
    ) -> Tensor:
        heads = _heads(query.type, key.type, value.type)
        scores = widened(self._scores(query, key, heads))
        if self.softcap:
            scores = self.softcap * tanh(scores / self.softcap)
        allowed = self._allowed(heads, mask)
        some = None
        if mask is not None and not is_boolean(mask.dtype):
            scores = scores + widened(mask)
        if allowed is not None:
            barrier = as_tensor(-np.inf, scores.dtype)
            if self._may_be_alone(heads, mask):
                # Of a query without keys, all scores are 0: a softmax without nan, not used below.
                some = any(allowed, -1, keepdims=True)
                barrier = where(some, barrier, 0)
            scores = where(allowed, scores, barrier)
        out = self._weighted(cast(softmax(scores), query.dtype), value, heads)
        return out if some is None else where(some, out, 0)

    def _scores(self, query: Tensor, key: Tensor, heads: _Heads) -> Tensor:
        """scale · query · key: [..., Tq, Tk], with the heads of the query."""
        if self.scale is not None:
            scaled = query * self.scale
        elif isinstance(query.shape[-1], int):
            scaled = query * (query.shape[-1] ** -0.5 if query.shape[-1] else 1.0)
        else:
            scaled = query * rsqrt(as_tensor(query.shape[-1], query.dtype))
        products = matmul(_shared(scaled, heads), matrix_transpose(key))
        return reshape(products, (*heads.leading, heads.queries, heads.keys))

    def _weighted(self, weights: Tensor, value: Tensor, heads: _Heads) -> Tensor:
        """weights · value: [..., Tq, E], with the heads of the query."""
        means = matmul(_shared(weights, heads), value)
        return reshape(means, (*heads.leading, heads.queries, value.shape[-1]))

    def _allowed(self, heads: _Heads, mask: Tensor | None) -> Tensor | None:
        """Which keys a query attends to; None for all."""
        allowed = None
        if mask is not None:
            mask = mask if mask.ndim else expand_dims(mask, 0)
            allowed = mask if is_boolean(mask.dtype) else greater(mask, -np.inf)
        if self.causal != "no":
            last = expand_dims(arange(heads.queries), 1)
            if self.causal == "bottom_right":
                last = last + (heads.keys - heads.queries)
            before = greater_equal(last, arange(heads.keys))
            allowed = before if allowed is None else logical_and(allowed, before)
        return allowed

    def _may_be_alone(self, heads: _Heads, mask: Tensor | None) -> bool:
        """Whether there may be a query without keys."""
        return mask is not None or (self.causal == "bottom_right" and heads.queries != heads.keys)

    cases = (
        Case(f32["n", 3, 4], f32["n", 2, 4], f32["n", 2, 5], **_PLAIN),
        Case(f64[3, "n"], f64[3, "n"], f64[3, 2], **_PLAIN | {"causal": "top_left"}),
        Case(f64["n", 2], f64[2, 2], f64[2, 2], causal="bottom_right", scale=0.5, softcap=0.0),
        Case(f64[2, 4, 3, 2], f64[2, 2, 2, 2], f64[2, 2, 2, 1], **_PLAIN | {"causal": "top_left"}),
        Case(f64[2 * dim("n"), 2, 2], f64["n", 3, 2], f64["n", 3, 2], bool_[2, 3], **_PLAIN),
        Case(f64[2, 2, 2], f64[2, 2, 2], f64[2, 2, 2], f64[2, 1, 2], **_PLAIN | {"softcap": 1.5}),
        Case(f64["n", 2, 2], f64["n", 3, 2], f64["n", 3, 2], f64[()], **_PLAIN),
        Case(f64[3, 2], f64[2, 2], f64[2, 2], [[True], [False], [True]], **_PLAIN),
        Case(
            f64[3, 2],
            f64[3, 2],
            f64[3, 2],
            [[False, True, True], [True, False, True], [False, False, True]],
            **_PLAIN | {"causal": "top_left"},
        ),
        Case(f64[2, 1], f64[2, 1], f64[2, 1], [[-np.inf, 1.0], [-np.inf, -np.inf]], **_PLAIN),
        Case(f16[2, 2], f16[2, 2], f16[2, 2], f16[2], **_PLAIN),
    )
    rejects = (
        Reject(f32[3, 4], f32[2, 5], f32[2, 5], **_PLAIN, message="query has 4 features, key 5"),
        Reject(f32[3, 4], f32[2, 4], f32[3, 4], **_PLAIN, message="there are 2 keys, but 3 values"),
        Reject(f32[3, 4], f32[0, 4], f32[0, 4], **_PLAIN, message="there are no keys"),
        Reject(f32[4], f32[4], f32[4], **_PLAIN, message="query is f32[4]: it has no rows"),
        Reject(f32[3, 4], f32[2, 3, 4], f32[2, 3, 4], **_PLAIN, message="leading axes [] and [2]"),
        Reject(
            f32[3, 2, 4], f32[2, 2, 4], f32[2, 2, 4], **_PLAIN, message="3 heads of the query don't"
        ),
        Reject(
            f32[2, 2, 4], f32[2, 2, 4], f32[1, 2, 4], **_PLAIN, message="leading axes [2] and [1]"
        ),
        Reject(
            f32[3, 4], f64[2, 4], f32[2, 4], **_PLAIN, message="dtypes differ: f32 and f64 and f32"
        ),
        Reject(i32[3, 4], i32[2, 4], i32[2, 4], **_PLAIN, message="needs a floating input"),
        Reject(
            f32[3, 4],
            f32[2, 4],
            f32[2, 4],
            f64[3, 2],
            **_PLAIN,
            message="the mask must be bool or f32, got f64",
        ),
        Reject(
            f32[3, 4],
            f32[2, 4],
            f32[2, 4],
            bool_[2, 2],
            **_PLAIN,
            message="mask [2,2] does not broadcast to the scores, [3,2]",
        ),
        Reject(
            f32[3, 4],
            f32[2, 4],
            f32[2, 4],
            **_PLAIN | {"causal": "left"},
            message="causal can't be 'left'",
        ),
        Reject(
            f32[3, 4],
            f32[2, 4],
            f32[2, 4],
            **_PLAIN | {"scale": np.inf},
            message="the scale must be finite, got inf",
        ),
        Reject(
            f32[3, 4],
            f32[2, 4],
            f32[2, 4],
            **_PLAIN | {"softcap": -1.0},
            message="softcap must be 0 or more",
        ),
    )


def _heads(query: TensorType, key: TensorType, value: TensorType) -> _Heads:
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
    return _Heads(query.shape[:-2], key.shape[:-2], groups, query.shape[-2], keys)


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


def _shared(rows: Tensor, heads: _Heads) -> Tensor:
    """Rows of the heads that share keys, all as rows of one head: [..., heads, T, F]."""
    if heads.groups == 1:
        return rows
    length, features = rows.shape[-2:]
    return reshape(rows, (*heads.shared, heads.groups * length, features))


def _check_mask(mask: TensorType, query: TensorType, scores: Shape) -> None:
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


@builder
def scaled_dot_product_attention(
    query: TensorLike,
    key: TensorLike,
    value: TensorLike,
    mask: TensorLike | None = None,
    causal: bool | Causal = False,
    scale: float | None = None,
    softcap: float = 0.0,
) -> Tensor:
    """For each of the queries [..., Tq, D], the mean of the values [..., Tk, E] by how well their
    keys [..., Tk, D] fit it: softmax(scale · query · keyᵀ + mask) · value.

    mask:    boolean, True where a query attends to a key; or floating, added to the scores
    causal:  True for "top_left": query i attends to the keys up to i; or "bottom_right": the last
             query to all keys
    scale:   1/√D unless given
    softcap: bounds the scores; 0 for not at all

    Queries may have k times as many heads, the last of the leading axes, as keys and values. One
    that may attend to no key gets 0. See `ScaledDotProductAttention`.
    """
    op = ScaledDotProductAttention(alignment(causal), scale, float(softcap))
    return op(*attention_inputs(query, key, value, mask))


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
