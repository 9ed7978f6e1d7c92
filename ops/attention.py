"""Attention: means of values, weighted by how well their keys answer each query."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from graphwright.graph.dim import dim
from graphwright.graph.dtype import is_boolean
from graphwright.graph.operator import register
from graphwright.graph.pushforward import pushed_forward
from graphwright.graph.tensor import Tensor, TensorLike
from graphwright.graph.types import TensorType
from graphwright.ops.attention_forward import AttentionForward, AttentionOfRows
from graphwright.ops.attention_gradient import AttentionGradient, AttentionMaskGradient
from graphwright.ops.attention_heads import PLAIN, Causal, alignment, attention_inputs
from graphwright.ops.case import Case, Reject, bool_, f16, f32, f64, i32
from graphwright.ops.convert import builder


@register
class ScaledDotProductAttention(AttentionOfRows):
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

    def infer(
        self,
        query: TensorType,
        key: TensorType,
        value: TensorType,
        mask: TensorType | None = None,
    ) -> TensorType:
        return self._forward.infer(query, key, value, mask)[0]

    def decompose(self, *inputs: Tensor) -> Tensor:
        out, _ = self._forward.apply(*inputs)
        return out

    def gradient(self, *args: Tensor) -> tuple[Tensor | None, ...]:
        """By one operator for query, key and value; and one for a mask, in case that is asked."""
        *inputs, out, g = args
        mask = inputs[3:]
        _, sums = self._forward.apply(*inputs)
        gradient = AttentionGradient(self.causal, self.scale, self.softcap)
        to_rows = gradient.apply(*inputs[:3], out, sums, g, *mask)
        if not mask or is_boolean(mask[0].dtype):
            return *to_rows, *(None for _ in mask)
        of_mask = AttentionMaskGradient(self.causal, self.scale, self.softcap)
        return *to_rows, of_mask(*inputs[:3], g, *mask)

    def tangent(
        self,
        tangents: Sequence[Tensor | None],
        inputs: Sequence[Tensor],
        outputs: Sequence[Tensor],
    ) -> Sequence[Tensor | None]:
        """That of its parts, which is shorter than the gradient of its gradient."""
        out, _ = self._forward.decompose(*inputs)
        return pushed_forward([out], inputs, tangents)

    @property
    def _forward(self) -> AttentionForward:
        return AttentionForward(self.causal, self.scale, self.softcap)

    cases = (
        Case(f32["n", 3, 4], f32["n", 2, 4], f32["n", 2, 5], **PLAIN),
        Case(f64[3, "n"], f64[3, "n"], f64[3, 2], **PLAIN | {"causal": "top_left"}),
        Case(f64["n", 2], f64[2, 2], f64[2, 2], causal="bottom_right", scale=0.5, softcap=0.0),
        Case(f64[2, 4, 3, 2], f64[2, 2, 2, 2], f64[2, 2, 2, 1], **PLAIN | {"causal": "top_left"}),
        Case(f64[2 * dim("n"), 2, 2], f64["n", 3, 2], f64["n", 3, 2], bool_[2, 3], **PLAIN),
        Case(f64[2, 2, 2], f64[2, 2, 2], f64[2, 2, 2], f64[2, 1, 2], **PLAIN | {"softcap": 1.5}),
        Case(f64["n", 2, 2], f64["n", 3, 2], f64["n", 3, 2], f64[()], **PLAIN),
        Case(f64[3, 2], f64[2, 2], f64[2, 2], [[True], [False], [True]], **PLAIN),
        Case(
            f64[3, 2],
            f64[3, 2],
            f64[3, 2],
            [[False, True, True], [True, False, True], [False, False, True]],
            **PLAIN | {"causal": "top_left"},
        ),
        Case(f64[2, 1], f64[2, 1], f64[2, 1], [[-np.inf, 1.0], [-np.inf, -np.inf]], **PLAIN),
        Case(f16[2, 2], f16[2, 2], f16[2, 2], f16[2], **PLAIN),
    )
    rejects = (
        Reject(f32[3, 4], f32[2, 5], f32[2, 5], **PLAIN, message="query has 4 features, key 5"),
        Reject(f32[3, 4], f32[2, 4], f32[3, 4], **PLAIN, message="there are 2 keys, but 3 values"),
        Reject(f32[3, 4], f32[0, 4], f32[0, 4], **PLAIN, message="there are no keys"),
        Reject(f32[4], f32[4], f32[4], **PLAIN, message="query is f32[4]: it has no rows"),
        Reject(f32[3, 4], f32[2, 3, 4], f32[2, 3, 4], **PLAIN, message="leading axes [] and [2]"),
        Reject(
            f32[3, 2, 4], f32[2, 2, 4], f32[2, 2, 4], **PLAIN, message="3 heads of the query don't"
        ),
        Reject(
            f32[2, 2, 4], f32[2, 2, 4], f32[1, 2, 4], **PLAIN, message="leading axes [2] and [1]"
        ),
        Reject(
            f32[3, 4], f64[2, 4], f32[2, 4], **PLAIN, message="dtypes differ: f32 and f64 and f32"
        ),
        Reject(i32[3, 4], i32[2, 4], i32[2, 4], **PLAIN, message="needs a floating input"),
        Reject(
            f32[3, 4],
            f32[2, 4],
            f32[2, 4],
            f64[3, 2],
            **PLAIN,
            message="the mask must be bool or f32, got f64",
        ),
        Reject(
            f32[3, 4],
            f32[2, 4],
            f32[2, 4],
            bool_[2, 2],
            **PLAIN,
            message="mask [2,2] does not broadcast to the scores, [3,2]",
        ),
        Reject(
            f32[3, 4],
            f32[2, 4],
            f32[2, 4],
            **PLAIN | {"causal": "left"},
            message="causal can't be 'left'",
        ),
        Reject(
            f32[3, 4],
            f32[2, 4],
            f32[2, 4],
            **PLAIN | {"scale": np.inf},
            message="the scale must be finite, got inf",
        ),
        Reject(
            f32[3, 4],
            f32[2, 4],
            f32[2, 4],
            **PLAIN | {"softcap": -1.0},
            message="softcap must be 0 or more",
        ),
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
