"""Attention by several heads side by side in the features of each row."""

from __future__ import annotations

from graphwright.graph.dim import exact_quotient
from graphwright.graph.errors import AttributeValueError, ShapeError
from graphwright.graph.operator import register
from graphwright.graph.tensor import Tensor, TensorLike
from graphwright.graph.types import TensorType
from graphwright.ops.attention import ScaledDotProductAttention
from graphwright.ops.attention_heads import PLAIN, Causal, alignment, attention_inputs
from graphwright.ops.case import Case, Reject, bool_, f16, f32, f64, i32
from graphwright.ops.composite import Composite
from graphwright.ops.convert import builder
from graphwright.ops.movement import reshape, swapaxes


@register
class MultiHeadAttention(Composite):
    """Attention by `heads` heads, each on its part of the features, side by side again.

    query [..., Tq, heads·D], key [..., Tk, shared·D], value [..., Tk, shared·E], with the same
    leading axes; out is [..., Tq, heads·E]. Each of the parts is given to
    `scaled_dot_product_attention`, which says what the other attributes mean.

    heads:  how many the query has
    shared: how many key and value have; it divides heads
    mask:   of a shape that broadcasts to [..., heads, Tq, Tk]
    What comes before and after, the projections of the source, is `matmul`.
    Source: Vaswani et al., Attention is all you need, 2017, §3.2.2,
    https://arxiv.org/abs/1706.03762.
    """

    name = "multi_head_attention"

    heads: int
    shared: int
    causal: Causal
    scale: float | None
    softcap: float

    @property
    def _attention(self) -> ScaledDotProductAttention:
        return ScaledDotProductAttention(self.causal, self.scale, self.softcap)

    def infer(
        self,
        query: TensorType,
        key: TensorType,
        value: TensorType,
        mask: TensorType | None = None,
    ) -> TensorType:
        parts = [
            self._part("query", query, self.heads),
            self._part("key", key, self.shared),
            self._part("value", value, self.shared),
        ]
        out = self._attention.infer(*parts, *([] if mask is None else [mask]))
        return query.with_shape((*query.shape[:-1], self.heads * out.shape[-1]))

    def _part(self, label: str, kind: TensorType, count: int) -> TensorType:
        """The type of what `_apart` gives."""
        if count < 1:
            raise AttributeValueError(f"there must be at least one head of the {label}")
        if kind.rank < 2:
            raise ShapeError(f"{label} is {kind}: it has no rows", hint="its rank is at least 2")
        features = exact_quotient(kind.shape[-1], count)
        if features is None:
            raise ShapeError(
                f"{kind.shape[-1]} features of the {label} don't divide into {count} heads",
                hint="the last size must be a multiple of the number of heads",
            )
        return kind.with_shape((*kind.shape[:-2], count, kind.shape[-2], features))

    def decompose(
        self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None
    ) -> Tensor:
        parts = [
            _apart(tensor, count)
            for tensor, count in ((query, self.heads), (key, self.shared), (value, self.shared))
        ]
        out = swapaxes(self._attention(*parts, *([] if mask is None else [mask])), -2, -3)
        return reshape(out, (*query.shape[:-1], self.heads * out.shape[-1]))

    cases = (
        Case(f32["n", 3, 4], f32["n", 2, 4], f32["n", 2, 6], heads=2, shared=2, **PLAIN),
        Case(f64["t", 4], f64[2, 2], f64[2, 1], heads=2, shared=1, **PLAIN | {"softcap": 2.0}),
        Case(
            f64[2, 3, 4], f64[2, 3, 4], f64[2, 3, 4], bool_[2, 1, 1, 3], heads=4, shared=4, **PLAIN
        ),
        Case(
            f64[3, 2],
            f64[3, 2],
            f64[3, 2],
            heads=1,
            shared=1,
            causal="top_left",
            scale=0.5,
            softcap=0.0,
        ),
        Case(f16[2, 2], f16[2, 2], f16[2, 2], f16[2, 1, 2], heads=2, shared=2, **PLAIN),
    )
    rejects = (
        Reject(
            f32[3, 4],
            f32[2, 4],
            f32[2, 4],
            heads=3,
            shared=3,
            **PLAIN,
            message="4 features of the query don't divide into 3 heads",
        ),
        Reject(
            f32[3, 4],
            f32[2, 3],
            f32[2, 4],
            heads=2,
            shared=2,
            **PLAIN,
            message="3 features of the key don't",
        ),
        Reject(
            f32[3, 4],
            f32[2, 4],
            f32[2, 4],
            heads=0,
            shared=1,
            **PLAIN,
            message="at least one head of the query",
        ),
        Reject(
            f32[3, 6],
            f32[2, 4],
            f32[2, 4],
            heads=3,
            shared=2,
            **PLAIN,
            message="3 heads of the query don't share 2",
        ),
        Reject(
            f32[4],
            f32[2, 4],
            f32[2, 4],
            heads=2,
            shared=2,
            **PLAIN,
            message="query is f32[4]: it has no rows",
        ),
        Reject(
            f32[3, 4],
            f32[2, 2],
            f32[2, 4],
            heads=2,
            shared=2,
            **PLAIN,
            message="query has 2 features, key 1",
        ),
        Reject(
            i32[3, 4],
            i32[2, 4],
            i32[2, 4],
            heads=2,
            shared=2,
            **PLAIN,
            message="needs a floating input",
        ),
    )


def _apart(x: Tensor, count: int) -> Tensor:
    """[..., T, count·D] as [..., count, T, D]."""
    return swapaxes(reshape(x, (*x.shape[:-1], count, x.shape[-1] // count)), -2, -3)


@builder
def multi_head_attention(
    query: TensorLike,
    key: TensorLike,
    value: TensorLike,
    heads: int,
    mask: TensorLike | None = None,
    causal: bool | Causal = False,
    scale: float | None = None,
    softcap: float = 0.0,
    shared: int | None = None,
) -> Tensor:
    """Attention by `heads` heads, whose features lie side by side: [..., T, heads·D].

    shared: how many heads key and value have; as many as the query unless given
    See `scaled_dot_product_attention` for the others.
    """
    count = heads if shared is None else shared
    op = MultiHeadAttention(heads, count, alignment(causal), scale, float(softcap))
    return op(*attention_inputs(query, key, value, mask))
