"""The gradients of attention, each one operator."""

from __future__ import annotations

from collections.abc import Sequence

from graphwright.graph.backpropagate import pulled_back
from graphwright.graph.closure import inline
from graphwright.graph.errors import ShapeError
from graphwright.graph.graph import Graph
from graphwright.graph.leaf import Input
from graphwright.graph.operator import register
from graphwright.graph.tensor import Tensor, TensorLike
from graphwright.graph.types import TensorType
from graphwright.ops.attention_forward import Attention, AttentionForward, AttentionOfRows
from graphwright.ops.attention_heads import PLAIN, Causal, alignment, attention_inputs
from graphwright.ops.case import Case, Reject, bool_, f16, f32, f64
from graphwright.ops.convert import as_tensor, builder, cast


@register
class AttentionGradient(AttentionOfRows):
    """The gradients of attention's query, key and value, from that of its result, `gradient`.

    out and logsumexp are what `AttentionForward` gives for the same inputs: known already, they
    save work, and what they say is not asked for otherwise.

    With P the weights of the values, S the scores and ∘ elementwise:
    d value = Pᵀ gradient, dS = P ∘ (gradient valueᵀ - rows(gradient ∘ out)), where rows adds the
    features of each query up, d query = scale · dS key, d key = scale · dSᵀ query.
    Source: Dao, FlashAttention-2, 2023, §3.1.2, https://arxiv.org/abs/2307.08691.
    """

    name = "attention_gradient"
    row_inputs = 6

    def infer(
        self,
        query: TensorType,
        key: TensorType,
        value: TensorType,
        out: TensorType,
        logsumexp: TensorType,
        gradient: TensorType,
        mask: TensorType | None = None,
    ) -> tuple[TensorType, TensorType, TensorType]:
        wanted = _forward(self).infer(query, key, value, mask)
        named = (("out", out), ("logsumexp", logsumexp), ("gradient", gradient))
        for (label, given), right in zip(named, (*wanted, wanted[0]), strict=True):
            if given != right:
                raise ShapeError(f"{label} is {given}, attention's is {right}")
        return query, key, value

    def decompose(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        out: Tensor,
        logsumexp: Tensor,
        gradient: Tensor,
        mask: Tensor | None = None,
    ) -> tuple[Tensor, ...]:
        masks = () if mask is None else (mask,)
        return _through_parts(self, (query, key, value, *masks), gradient, slice(0, 3))

    cases = (
        Case(
            f32["n", 3, 4],
            f32["n", 2, 4],
            f32["n", 2, 5],
            f32["n", 3, 5],
            f32["n", 3],
            f32["n", 3, 5],
            **PLAIN,
        ),
        Case(
            f64[2, 1, 2],
            f64[1, 2, 2],
            f64[1, 2, 1],
            f64[2, 1, 1],
            f64[2, 1],
            f64[2, 1, 1],
            f64[2],
            **PLAIN | {"softcap": 1.5},
        ),
        Case(
            f64[2, 1],
            f64[2, 1],
            f64[2, 1],
            f64[2, 1],
            f64[2],
            f64[2, 1],
            [[True, False], [False, False]],
            causal="top_left",
            scale=0.5,
            softcap=0.0,
        ),
        Case(f16[2, 2], f16[2, 2], f16[2, 2], f16[2, 2], f16[2], f16[2, 2], **PLAIN),
    )
    rejects = (
        Reject(
            f32[3, 4],
            f32[2, 4],
            f32[2, 5],
            f32[3, 5],
            f32[2],
            f32[3, 5],
            **PLAIN,
            message="logsumexp is f32[2], attention's is f32[3]",
        ),
        Reject(
            f32[3, 4],
            f32[2, 5],
            f32[2, 5],
            f32[3, 5],
            f32[3],
            f32[3, 5],
            **PLAIN,
            message="query has 4 features, key 5",
        ),
        Reject(
            f32[3, 4],
            f32[2, 4],
            f32[2, 5],
            f32[3, 5],
            f32[3],
            f32[3, 5],
            bool_[4],
            **PLAIN,
            message="mask [4] does not broadcast",
        ),
    )


@register
class AttentionMaskGradient(Attention):
    """The gradient of a floating mask of attention, from that of its result, `gradient`.

    It is dS of `AttentionGradient`, with the axes along which the mask was repeated added up.
    """

    name = "attention_mask_gradient"

    def infer(
        self,
        query: TensorType,
        key: TensorType,
        value: TensorType,
        gradient: TensorType,
        mask: TensorType,
    ) -> TensorType:
        out, _ = _forward(self).infer(query, key, value, mask)
        if gradient != out:
            raise ShapeError(f"gradient is {gradient}, attention's is {out}")
        return mask

    def decompose(
        self, query: Tensor, key: Tensor, value: Tensor, gradient: Tensor, mask: Tensor
    ) -> Tensor:
        return _through_parts(self, (query, key, value, mask), gradient, slice(3, 4))[0]

    cases = (
        Case(f32["n", 3, 4], f32["n", 2, 4], f32["n", 2, 5], f32["n", 3, 5], f32[3, 2], **PLAIN),
        Case(
            f64[2, 1, 2],
            f64[1, 2, 2],
            f64[1, 2, 1],
            f64[2, 1, 1],
            f64[2],
            causal="bottom_right",
            scale=0.5,
            softcap=1.5,
        ),
    )
    rejects = (
        Reject(
            f32[3, 4],
            f32[2, 4],
            f32[2, 5],
            f32[3, 4],
            f32[3, 2],
            **PLAIN,
            message="gradient is f32[3,4], attention's is f32[3,5]",
        ),
    )


def _forward(op: Attention) -> AttentionForward:
    return AttentionForward(op.causal, op.scale, op.softcap)


def _through_parts(
    op: Attention, inputs: Sequence[Tensor], gradient: Tensor, wanted: slice
) -> tuple[Tensor, ...]:
    """The gradients of some inputs through the parts of attention.

    Taken of stand-ins for the inputs: one tensor may be several of them.
    """
    *given, g = (Input(f"x{i}", x.type)() for i, x in enumerate((*inputs, gradient)))
    out, _ = _forward(op).decompose(*given)
    found = pulled_back([out], [g], given[wanted])
    graph = Graph([*given, g], [x for x in found if x is not None])
    return tuple(inline(graph, [*inputs, gradient]))


@builder
def attention_gradient(
    query: TensorLike,
    key: TensorLike,
    value: TensorLike,
    out: TensorLike,
    logsumexp: TensorLike,
    gradient: TensorLike,
    mask: TensorLike | None = None,
    causal: bool | Causal = False,
    scale: float | None = None,
    softcap: float = 0.0,
) -> tuple[Tensor, ...]:
    """The gradients of query, key and value of `scaled_dot_product_attention`, from that of what it
    gives. out and logsumexp are `attention_forward`'s. See `AttentionGradient`."""
    inputs = attention_inputs(query, key, value, mask)
    dtype = inputs[0].dtype
    known = [cast(as_tensor(x), dtype) for x in (out, logsumexp, gradient)]
    op = AttentionGradient(alignment(causal), scale, float(softcap))
    return op.apply(*inputs[:3], *known, *inputs[3:])


@builder
def attention_mask_gradient(
    query: TensorLike,
    key: TensorLike,
    value: TensorLike,
    gradient: TensorLike,
    mask: TensorLike,
    causal: bool | Causal = False,
    scale: float | None = None,
    softcap: float = 0.0,
) -> Tensor:
    """The gradient of a floating mask of `scaled_dot_product_attention`, from that of what it
    gives."""
    *rows, mask = attention_inputs(query, key, value, mask)
    op = AttentionMaskGradient(alignment(causal), scale, float(softcap))
    return op(*rows, cast(as_tensor(gradient), rows[0].dtype), mask)
