"""Attention with what its gradient needs to know: the logarithm of each row's sum."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from graphwright.graph.batch import batch_size, repeated
from graphwright.graph.dtype import is_boolean
from graphwright.graph.errors import AttributeValueError
from graphwright.graph.operator import register
from graphwright.graph.tensor import Tensor, TensorLike
from graphwright.graph.types import TensorType
from graphwright.ops.attention_heads import (
    PLAIN,
    Causal,
    Heads,
    alignment,
    attention_inputs,
    check_mask,
    heads_of,
    together,
)
from graphwright.ops.case import Case, Reject, bool_, f16, f32, f64
from graphwright.ops.comparison import greater, greater_equal
from graphwright.ops.composite import Composite
from graphwright.ops.convert import as_tensor, builder, cast
from graphwright.ops.creation import arange
from graphwright.ops.exponential import rsqrt
from graphwright.ops.linear import matmul
from graphwright.ops.logical import logical_and
from graphwright.ops.movement import expand_dims, matrix_transpose, reshape
from graphwright.ops.normalization import softmax
from graphwright.ops.reduction import any
from graphwright.ops.selection import where
from graphwright.ops.statistics import logsumexp, widened
from graphwright.ops.trigonometric import tanh


class Attention(Composite):
    """What attention and its gradients share: how scores are made, and which of them count.

    The attributes are those of `ScaledDotProductAttention`, which says what they mean.
    """

    arranges = True

    causal: Causal
    scale: float | None
    softcap: float

    def checked(
        self, query: TensorType, key: TensorType, value: TensorType, mask: TensorType | None
    ) -> Heads:
        """How the inputs fit. Raises what `infer` does."""
        if self.causal not in ("no", "top_left", "bottom_right"):
            raise AttributeValueError(
                f"causal can't be {self.causal!r}", hint='"no", "top_left" or "bottom_right"'
            )
        if self.scale is not None and not math.isfinite(self.scale):
            raise AttributeValueError(f"the scale must be finite, got {self.scale}")
        if not 0 <= self.softcap < math.inf:
            raise AttributeValueError(f"softcap must be 0 or more, and finite; got {self.softcap}")
        heads = heads_of(query, key, value)
        if mask is not None:
            check_mask(mask, query, (*heads.leading, heads.queries, heads.keys))
        return heads

    def may_be_alone(self, heads: Heads, mask: object | None) -> bool:
        """Whether there may be a query without keys."""
        return mask is not None or (self.causal == "bottom_right" and heads.queries != heads.keys)


class AttentionOfRows(Attention):
    """What gives rows for rows: more heads are given to it as one more axis in front."""

    row_inputs: ClassVar[int] = 3
    """How many inputs there are before the mask."""

    def batch(self, mapped: Sequence[bool], *inputs: Tensor) -> tuple[Tensor, ...]:
        """What is not mapped is repeated, without being copied; but a mask broadcasts."""
        size, rank = batch_size(mapped, inputs), inputs[0].ndim + (not mapped[0])
        given = list(inputs)
        for i, has_axis in enumerate(mapped):
            if i < self.row_inputs:
                given[i] = given[i] if has_axis else repeated(given[i], size)
            elif has_axis:
                ones = (1,) * (rank - given[i].ndim)
                given[i] = reshape(given[i], (size, *ones, *given[i].shape[1:]))
        return self.apply(*given)


@register
class AttentionForward(AttentionOfRows):
    """Attention, and the logarithm of the sum of exp(score) over the keys of each query.

    out is that of `ScaledDotProductAttention`, logsumexp is [..., Tq], and
    -inf for a query that may attend to no key. The two are all that attention over more keys, or
    its gradient, has to know of these.
    Source: Dao, FlashAttention-2, 2023, §2.3, https://arxiv.org/abs/2307.08691.
    """

    name = "attention_forward"

    def infer(
        self,
        query: TensorType,
        key: TensorType,
        value: TensorType,
        mask: TensorType | None = None,
    ) -> tuple[TensorType, TensorType]:
        self.checked(query, key, value, mask)
        out = query.with_shape((*query.shape[:-1], value.shape[-1]))
        return out, query.with_shape(query.shape[:-1])

    def decompose(
        self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        heads = heads_of(query.type, key.type, value.type)
        scores = widened(self._scores(query, key, heads))
        if self.softcap:
            scores = self.softcap * tanh(scores / self.softcap)
        allowed = self._allowed(heads, mask)
        some = None
        if mask is not None and not is_boolean(mask.dtype):
            scores = scores + widened(mask)
        if allowed is not None:
            barrier = as_tensor(-np.inf, scores.dtype)
            if self.may_be_alone(heads, mask):
                # Of a query without keys, all scores are 0: a softmax without nan, not used below.
                some = any(allowed, -1, keepdims=True)
                barrier = where(some, barrier, 0)
            scores = where(allowed, scores, barrier)
        out = self._weighted(cast(softmax(scores), query.dtype), value, heads)
        sums = logsumexp(scores, -1, keepdims=True)
        if some is not None:
            out, sums = where(some, out, 0), where(some, sums, -np.inf)
        return out, cast(reshape(sums, query.shape[:-1]), query.dtype)

    def _scores(self, query: Tensor, key: Tensor, heads: Heads) -> Tensor:
        """scale · query · key: [..., Tq, Tk], with the heads of the query."""
        if self.scale is not None:
            scaled = query * self.scale
        elif isinstance(query.shape[-1], int):
            scaled = query * (query.shape[-1] ** -0.5 if query.shape[-1] else 1.0)
        else:
            scaled = query * rsqrt(as_tensor(query.shape[-1], query.dtype))
        products = matmul(together(scaled, heads), matrix_transpose(key))
        return reshape(products, (*heads.leading, heads.queries, heads.keys))

    def _weighted(self, weights: Tensor, value: Tensor, heads: Heads) -> Tensor:
        """weights · value: [..., Tq, E], with the heads of the query."""
        means = matmul(together(weights, heads), value)
        return reshape(means, (*heads.leading, heads.queries, value.shape[-1]))

    def _allowed(self, heads: Heads, mask: Tensor | None) -> Tensor | None:
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

    cases = (
        Case(f32["n", 3, 4], f32["n", 2, 4], f32["n", 2, 5], **PLAIN),
        Case(f64[2, 2], f64[3, 2], f64[3, 1], causal="bottom_right", scale=0.5, softcap=1.5),
        Case(f64[2, 1, 2], f64[1, 2, 2], f64[1, 2, 1], f64[2, 1, 1], **PLAIN),
        Case(f64[2, 2], f64[2, 2], f64[2, 1], [[True, False], [False, False]], **PLAIN),
        Case(f16[2, 2], f16[2, 2], f16[2, 2], **PLAIN),
    )
    rejects = (
        Reject(f32[3, 4], f32[2, 5], f32[2, 5], **PLAIN, message="query has 4 features, key 5"),
        Reject(
            f32[3, 4],
            f32[2, 4],
            f32[2, 4],
            bool_[2, 2],
            **PLAIN,
            message="mask [2,2] does not broadcast to the scores, [3,2]",
        ),
    )


@builder
def attention_forward(
    query: TensorLike,
    key: TensorLike,
    value: TensorLike,
    mask: TensorLike | None = None,
    causal: bool | Causal = False,
    scale: float | None = None,
    softcap: float = 0.0,
) -> tuple[Tensor, ...]:
    """(out, logsumexp): what `scaled_dot_product_attention` gives, and of each query the logarithm
    of Σ exp(score) over its keys, with which attention to some keys and to others can be combined.
    """
    op = AttentionForward(alignment(causal), scale, float(softcap))
    return op.apply(*attention_inputs(query, key, value, mask))
