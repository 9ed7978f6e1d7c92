"""Recurrent cells: one step of a network that keeps a state. Unroll them with `scan`."""

from __future__ import annotations

from typing import ClassVar, Literal

from graphwright.graph.dim import Size, dim
from graphwright.graph.dtype import short_name
from graphwright.graph.errors import AttributeValueError, DTypeError, ShapeError
from graphwright.graph.operator import register
from graphwright.graph.tensor import Tensor, TensorLike
from graphwright.graph.types import TensorType
from graphwright.ops.case import Case, Reject, f16, f32, f64, i32
from graphwright.ops.checks import check_fits, check_floating
from graphwright.ops.composite import Composite
from graphwright.ops.convert import as_floating, builder, promoted
from graphwright.ops.creation import zeros_like
from graphwright.ops.exponential import sigmoid
from graphwright.ops.joining import split
from graphwright.ops.linear import matmul
from graphwright.ops.movement import matrix_transpose
from graphwright.ops.rectifier import relu
from graphwright.ops.shapes import shape_text
from graphwright.ops.trigonometric import tanh

Nonlinearity = Literal["tanh", "relu"]


class _Cell(Composite):
    """A step from the input x [..., I] and the state h [..., H], by weights for `gates` times H.

    The weights of the input are [gates·H, I], those of the state [gates·H, H], each with a bias
    [gates·H] or without; the blocks of H rows are in the order that the formulas name them.
    """

    gates: ClassVar[int]

    def _checked(
        self,
        x: TensorType,
        h: TensorType,
        weights: tuple[TensorType, TensorType],
        biases: tuple[TensorType | None, TensorType | None],
    ) -> TensorType:
        """What `infer` answers for the state."""
        check_floating(x)
        if x.rank < 1 or h.rank < 1:
            raise ShapeError(f"x is {x} and h {h}: they need features, on their last axis")
        features, units = x.shape[-1], h.shape[-1]
        self._check_state("h", h, x, units)
        rows = units * self.gates
        hint = f"{self.gates} rows for each of the {units} units of h"
        named = "input_weight", "state_weight"
        for label, kind, columns in zip(named, weights, (features, units), strict=True):
            check_fits(label, kind, x, (rows, columns), f"{hint}, and a column for each feature")
        for label, bias in zip(("input_bias", "state_bias"), biases, strict=True):
            if bias is not None:
                check_fits(label, bias, x, (rows,), hint)
        return h

    def _check_state(self, label: str, state: TensorType, x: TensorType, units: Size) -> None:
        if state.dtype != x.dtype:
            names = f"x is {short_name(x.dtype)}, {label} {short_name(state.dtype)}"
            raise DTypeError(f"dtypes differ: {names}", hint="cast one to the other's dtype")
        if state.shape != (*x.shape[:-1], units):
            raise ShapeError(
                f"{label} is {shape_text(state.shape)} where x is {shape_text(x.shape)}, "
                f"not {shape_text((*x.shape[:-1], units))}",
                hint="all but the last axis of x and of the state agree",
            )

    def _parts(self, product: Tensor, units: Size) -> tuple[Tensor, ...]:
        return split(product, [units] * self.gates, -1)


def affine(x: Tensor, matrix: Tensor, bias: Tensor | None) -> Tensor:
    """x Wᵀ + b."""
    product = matmul(x, matrix_transpose(matrix))
    return product if bias is None else product + bias


_SMALL = f32[2, 3], f32[2, 2]


@register
class RnnCell(_Cell):
    """A step of a simple recurrent network: h' = f(W x + b + U h + d), f being tanh or relu.

    x [..., I], h [..., H]; W `input_weight` [H, I], U `state_weight` [H, H]; b `input_bias` and
    d `state_bias` [H], or neither
    Source: Elman, Finding structure in time, 1990.
    """

    name = "rnn_cell"
    gates = 1

    nonlinearity: Nonlinearity

    def infer(
        self,
        x: TensorType,
        h: TensorType,
        input_weight: TensorType,
        state_weight: TensorType,
        input_bias: TensorType | None = None,
        state_bias: TensorType | None = None,
    ) -> TensorType:
        if self.nonlinearity not in ("tanh", "relu"):
            raise AttributeValueError(
                f"the nonlinearity can't be {self.nonlinearity!r}", hint='"tanh" or "relu"'
            )
        return self._checked(x, h, (input_weight, state_weight), (input_bias, state_bias))

    def decompose(
        self,
        x: Tensor,
        h: Tensor,
        input_weight: Tensor,
        state_weight: Tensor,
        input_bias: Tensor | None = None,
        state_bias: Tensor | None = None,
    ) -> Tensor:
        total = affine(x, input_weight, input_bias) + affine(h, state_weight, state_bias)
        return relu(total) if self.nonlinearity == "relu" else tanh(total)

    cases = (
        Case(f32["n", 3], f32["n", 2], f32[2, 3], f32[2, 2], f32[2], f32[2], nonlinearity="tanh"),
        Case(f64["i"], f64["h"], f64["h", "i"], f64["h", "h"], nonlinearity="tanh"),
        Case(
            f64[2, "n", 1],
            f64[2, "n", 3],
            f64[3, 1],
            f64[3, 3],
            f64[3],
            f64[3],
            nonlinearity="relu",
            smooth=False,
        ),
        Case(f16[1, 2], f16[1, 2], f16[2, 2], f16[2, 2], nonlinearity="tanh"),
        Case([2.0], [1.0], [[1.0]], [[3.0]], [0.5], [-0.25], nonlinearity="relu"),
    )
    rejects = (
        Reject(f32[3], f32[2], *_SMALL, nonlinearity="sin", message="can't be 'sin'"),
        Reject(f32[4, 3], f32[5, 2], *_SMALL, nonlinearity="tanh", message="h is [5,2] where x is"),
        Reject(f32[2], f32[2], *_SMALL, nonlinearity="tanh", message="input_weight is f32[2,3],"),
        Reject(f32[3], f32[1], *_SMALL, nonlinearity="tanh", message="f32[2,3], not f32[1,3]"),
        Reject(f32[3], f64[2], *_SMALL, nonlinearity="tanh", message="x is f32, h f64"),
        Reject(
            f32[3], f32[2], *_SMALL, f32[3], nonlinearity="tanh", message="input_bias is f32[3]"
        ),
        Reject(f32[()], f32[2], *_SMALL, nonlinearity="tanh", message="they need features"),
        Reject(i32[3], i32[2], *_SMALL, nonlinearity="tanh", message="needs a floating input"),
    )


@register
class LstmCell(_Cell):
    """A step of a long short-term memory, with the state h and the memory c; gives both anew.

    [i, f, g, o] = W x + b + U h + d
    c' = σ(f) · c + σ(i) · tanh(g),  h' = σ(o) · tanh(c')

    x [..., I], h and c [..., H]; W `input_weight` [4·H, I], U `state_weight` [4·H, H]; b
    `input_bias` and d `state_bias` [4·H], or neither
    Sources: Hochreiter and Schmidhuber, Long short-term memory, 1997; Gers, Schmidhuber and
    Cummins, Learning to forget, 2000 (f).
    """

    name = "lstm_cell"
    gates = 4

    def infer(
        self,
        x: TensorType,
        h: TensorType,
        c: TensorType,
        input_weight: TensorType,
        state_weight: TensorType,
        input_bias: TensorType | None = None,
        state_bias: TensorType | None = None,
    ) -> tuple[TensorType, TensorType]:
        self._checked(x, h, (input_weight, state_weight), (input_bias, state_bias))
        self._check_state("c", c, x, h.shape[-1])
        return h, c

    def decompose(
        self,
        x: Tensor,
        h: Tensor,
        c: Tensor,
        input_weight: Tensor,
        state_weight: Tensor,
        input_bias: Tensor | None = None,
        state_bias: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        total = affine(x, input_weight, input_bias) + affine(h, state_weight, state_bias)
        write, keep, candidate, read = self._parts(total, h.shape[-1])
        memory = sigmoid(keep) * c + sigmoid(write) * tanh(candidate)
        return sigmoid(read) * tanh(memory), memory

    cases = (
        Case(f32["n", 3], f32["n", 2], f32["n", 2], f32[8, 3], f32[8, 2], f32[8], f32[8]),
        Case(f64["i"], f64["h"], f64["h"], f64[4 * dim("h"), "i"], f64[4 * dim("h"), "h"]),
        Case(f64[2, "n", 1], f64[2, "n", 2], f64[2, "n", 2], f64[8, 1], f64[8, 2], f64[8], f64[8]),
        Case(f16[1, 2], f16[1, 1], f16[1, 1], f16[4, 2], f16[4, 1]),
    )
    rejects = (
        Reject(
            f32[4, 3], f32[4, 2], f32[2], f32[8, 3], f32[8, 2], message="c is [2] where x is [4,3]"
        ),
        Reject(
            f32[4, 3], f32[3, 2], f32[4, 2], f32[8, 3], f32[8, 2], message="h is [3,2] where x is"
        ),
        Reject(
            f32[4, 3], f32[4, 2], f32[4, 2], f32[6, 3], f32[8, 2], message="input_weight is f32[6"
        ),
        Reject(
            f32[4, 3], f32[4, 2], f32[4, 2], f32[8, 3], f32[8, 3], message="state_weight is f32[8"
        ),
        Reject(
            f32[3], f32[2], f32[2], f32[8, 3], f32[8, 2], f32[8], f32[2], message="state_bias is"
        ),
        Reject(f32[3], f32[2], f64[2], f32[8, 3], f32[8, 2], message="x is f32, c f64"),
        Reject(i32[3], i32[2], i32[2], i32[8, 3], i32[8, 2], message="needs a floating input"),
    )


@register
class GruCell(_Cell):
    """A step of a gated recurrent unit.

    [r, z, n] = W x + b, [r̃, z̃, ñ] = U h + d (in blocks of H), h' = (1 - Z) · N + Z · h, where
    R = σ(r + r̃) and Z = σ(z + z̃), and N is
    tanh(n + R · ñ) when the reset comes after the product (as in cuDNN), or
    tanh(n + Uₙ (R · h) + dₙ) when it comes before, as first published

    x [..., I], h [..., H]; W `input_weight` [3·H, I], U `state_weight` [3·H, H]; b `input_bias`
    and d `state_bias` [3·H], or neither
    Source: Cho et al., Learning phrase representations using RNN encoder-decoder for statistical
    machine translation, 2014, https://arxiv.org/abs/1406.1078.
    """

    name = "gru_cell"
    gates = 3

    reset_after: bool

    def infer(
        self,
        x: TensorType,
        h: TensorType,
        input_weight: TensorType,
        state_weight: TensorType,
        input_bias: TensorType | None = None,
        state_bias: TensorType | None = None,
    ) -> TensorType:
        return self._checked(x, h, (input_weight, state_weight), (input_bias, state_bias))

    def decompose(
        self,
        x: Tensor,
        h: Tensor,
        input_weight: Tensor,
        state_weight: Tensor,
        input_bias: Tensor | None = None,
        state_bias: Tensor | None = None,
    ) -> Tensor:
        units = h.shape[-1]
        given = self._parts(affine(x, input_weight, input_bias), units)
        if self.reset_after:
            kept = self._parts(affine(h, state_weight, state_bias), units)
            reset, keep = (sigmoid(a + b) for a, b in zip(given[:2], kept[:2], strict=True))
            candidate = tanh(given[2] + reset * kept[2])
        else:
            pieces = [2 * units, units]
            gates, last = split(state_weight, pieces)
            biases = (None, None) if state_bias is None else split(state_bias, pieces)
            kept = split(affine(h, gates, biases[0]), [units, units], -1)
            reset, keep = (sigmoid(a + b) for a, b in zip(given[:2], kept, strict=True))
            candidate = tanh(given[2] + affine(reset * h, last, biases[1]))
        return candidate + keep * (h - candidate)

    cases = (
        Case(f32["n", 3], f32["n", 2], f32[6, 3], f32[6, 2], f32[6], f32[6], reset_after=True),
        Case(f64["n", 3], f64["n", 2], f64[6, 3], f64[6, 2], f64[6], f64[6], reset_after=False),
        Case(f64["i"], f64["h"], f64[3 * dim("h"), "i"], f64[3 * dim("h"), "h"], reset_after=True),
        Case(f64[2, 1, 2], f64[2, 1, 2], f64[6, 2], f64[6, 2], reset_after=False),
        Case(f16[1, 2], f16[1, 1], f16[3, 2], f16[3, 1], reset_after=True),
    )
    rejects = (
        Reject(
            f32[4, 3], f32[3, 2], f32[6, 3], f32[6, 2], reset_after=True, message="h is [3,2] where"
        ),
        Reject(
            f32[4, 3], f32[4, 2], f32[8, 3], f32[6, 2], reset_after=True, message="input_weight is"
        ),
        Reject(
            f32[4, 3], f32[4, 2], f32[6, 3], f32[2, 2], reset_after=True, message="state_weight is"
        ),
        Reject(f32[3], f64[2], f32[6, 3], f32[6, 2], reset_after=True, message="dtypes differ"),
        Reject(i32[3], i32[2], i32[6, 3], i32[6, 2], reset_after=True, message="needs a floating"),
    )


@builder
def rnn_cell(
    x: TensorLike,
    h: TensorLike,
    input_weight: TensorLike,
    state_weight: TensorLike,
    input_bias: TensorLike | None = None,
    state_bias: TensorLike | None = None,
    nonlinearity: Nonlinearity = "tanh",
) -> Tensor:
    """The next state of a simple recurrent network; see `RnnCell`. A bias not given is 0."""
    biases = input_bias, state_bias
    return RnnCell(nonlinearity)(*_inputs((x, h, input_weight, state_weight), biases))


@builder
def lstm_cell(
    x: TensorLike,
    h: TensorLike,
    c: TensorLike,
    input_weight: TensorLike,
    state_weight: TensorLike,
    input_bias: TensorLike | None = None,
    state_bias: TensorLike | None = None,
) -> tuple[Tensor, Tensor]:
    """The next state and memory of an LSTM; see `LstmCell`. A bias not given is 0."""
    biases = input_bias, state_bias
    state, memory = LstmCell().apply(*_inputs((x, h, c, input_weight, state_weight), biases))
    return state, memory


@builder
def gru_cell(
    x: TensorLike,
    h: TensorLike,
    input_weight: TensorLike,
    state_weight: TensorLike,
    input_bias: TensorLike | None = None,
    state_bias: TensorLike | None = None,
    reset_after: bool = True,
) -> Tensor:
    """The next state of a gated recurrent unit; see `GruCell`. A bias not given is 0."""
    biases = input_bias, state_bias
    return GruCell(reset_after)(*_inputs((x, h, input_weight, state_weight), biases))


def _inputs(
    needed: tuple[TensorLike, ...], biases: tuple[TensorLike | None, TensorLike | None]
) -> tuple[Tensor, ...]:
    """All as tensors of one floating dtype; a bias alone gets the other, of zeros."""
    given = [as_floating(bias) for bias in biases if bias is not None]
    first = [bias if bias is not None else zeros_like(given[0]) for bias in biases] if given else []
    return promoted(*map(as_floating, needed), *first)
