"""Sums of products over named axes, and the products of tensors that they express."""

from __future__ import annotations

from collections.abc import Container, Sequence

from graphwright.graph.dim import product
from graphwright.graph.errors import AttributeValueError, ShapeError
from graphwright.graph.operator import register
from graphwright.graph.tensor import Tensor, TensorLike
from graphwright.graph.types import TensorType
from graphwright.ops.case import Case, Reject, bool_, f16, f32, f64, i8, i32
from graphwright.ops.checks import check_numbers
from graphwright.ops.composite import Composite
from graphwright.ops.convert import as_tensor, builder, cast, promoted
from graphwright.ops.linear import matmul
from graphwright.ops.movement import expand_dims, reshape, squeeze, transpose
from graphwright.ops.reduction import sum
from graphwright.ops.statistics import widened
from graphwright.ops.subscripts import (
    EinsumPath,
    Label,
    Subscripts,
    Term,
    explicit,
    plan,
    subscripts,
)
from graphwright.ops.triangle import diagonal


@register
class Einsum(Composite):
    """Σ of the products of all inputs, over every label that the output does not have.

    The equation names each axis of each input by a letter: "ij,jk->ik" is the matrix product. A
    letter twice in a term stands for the diagonal; "..." for any axes, which broadcast.
    Source: Einstein, Die Grundlage der allgemeinen Relativitätstheorie, 1916, §5, as NumPy's
    `einsum` writes it.

    Made of products of two at a time, in the order that takes the fewest operations (see
    `einsum_path`), each one a `matmul` or, where nothing is summed, a `multiply`.
    d/d(an input) = the same sum with that input left out, and g in its stead
    """

    name = "einsum"

    equation: str

    def infer(self, *operands: TensorType) -> TensorType:
        if not operands:
            raise ShapeError("needs at least one input")
        check_numbers(*operands)
        return operands[0].with_shape(self._read(operands).shape)

    def decompose(self, *operands: Tensor) -> Tensor:
        read = self._read([x.type for x in operands])
        parts = prepared(operands, read)
        for step in plan(self.equation, [part.term for part in parts], read).steps:
            second, first = (parts.pop(place) for place in reversed(step.places))
            final = read.output if not parts else None
            parts.append(_contracted(first, second, step.result, final))
        return parts[0].in_order(read.output)

    def _read(self, operands: Sequence[TensorType]) -> Subscripts:
        if explicit(self.equation) != self.equation:
            raise AttributeValueError(
                f"{self.equation!r} must be explicit: {explicit(self.equation)!r}"
            )
        return subscripts(self.equation, [x.shape for x in operands])

    cases = (
        Case(f32["n", 3], f32[3, 2], equation="ij,jk->ik"),
        Case(f64[2, "n", 3], f64[2, 4, 3], equation="bqd,bkd->bqk"),
        Case(f64["n", 3], f64[3, 2], f64[2, 4], f64[4], equation="ij,jk,kl,l->i"),
        Case(f64["n", "n", 2], equation="iij->ji"),
        Case(f64[2, 3, 2, 3], equation="ijij->"),
        Case(f64[3, 2, 3], f64[3, 3], equation="iji,ik->jk"),
        Case(f64[1, 2, 3], f64[4, 3, 2], equation="...ij,...jk->...ki"),
        Case(f64["n"], f64["n"], f64["n"], equation="i,i,i->i"),
        Case(f32["n", 2], f32["n", 2], equation="ni,ni->n"),
        Case(f64[2, 1], f64[3, 2], f64[1, 2], equation="ij,ji,ik->k"),
        Case(f64[3], f64[2], f64[2, 4], equation="a,b,bc->cab"),
        Case(f64[()], f64[2], equation="...,i->...i"),
        Case(i8[3, 4], i8[4, 2], i8[2], equation="ab,bc,c->a"),
        Case(f16[3, 4], f16[3, 4], equation="ij,ij->i"),
        Case(i32["n", 2], equation="nk->k"),
        Case(f64[2, 0], f64[0, 3], equation="ij,jk->ki"),
        Case([[1.0, -2.0], [0.5, 3.0]], equation="ij->ji"),
    )
    rejects = (
        Reject(f32[2, 3], equation="ij", message="'ij' must be explicit: 'ij->ij'"),
        Reject(f32[2, 3], equation="i1->i", message="'i1->i' is no equation"),
        Reject(f32[2], f32[2], equation="i->i", message='"i->i" is for 1 inputs, got 2'),
        Reject(f32[2, 3], equation="i->i", message='"i" is for 1 axes, the input has shape [2,3]'),
        Reject(f32[2], equation="i...j->ij", message='"i...j" is for at least 2 axes, the input'),
        Reject(f32[2, 3], f32[2, 3], equation="ij,jk->ik", message="sizes of j differ: 3 != 2"),
        Reject(f32["n", 3], equation="ii->i", message="sizes of i differ: n != 3"),
        Reject(f32[2], f32[3], equation="...,...->...", message="sizes of the ellipsis differ"),
        Reject(f32[2], equation="i->j", message="the output has j, which no input has"),
        Reject(f32[2], equation="i->ii", message="the output has i twice"),
        Reject(f32[2], equation="...->", message="the output has no ellipsis"),
        Reject(f32[2], f64[2], equation="i,i->", message="dtypes differ: f32 and f64"),
        Reject(bool_[2], equation="i->", message="needs number inputs, got bool"),
    )


class Part:
    """A tensor and the labels of its axes, each once."""

    def __init__(self, tensor: Tensor, term: Sequence[Label]) -> None:
        self.tensor = tensor
        self.term: Term = tuple(term)

    def in_order(self, order: Sequence[Label]) -> Tensor:
        """The tensor with its axes in an order; those it lacks have size 1."""
        present = [label for label in order if label in self.term]
        moved = transpose(self.tensor, [self.term.index(label) for label in present])
        lacking = [i for i, label in enumerate(order) if label not in self.term]
        return expand_dims(moved, lacking)

    def matrices(self, *groups: Sequence[Label]) -> Tensor:
        """The tensor with axes for the first group, and one for each of the two others."""
        moved = self.in_order([label for group in groups for label in group])
        sizes = iter(moved.shape)
        batch, rows, columns = ([next(sizes) for _ in group] for group in groups)
        return reshape(moved, (*batch, product(rows), product(columns)))

    def summed(self, kept: Container[Label]) -> Part:
        """Summed over the labels that are not kept; in the tensor's own dtype."""
        gone = [i for i, label in enumerate(self.term) if label not in kept]
        if not gone:
            return self
        total = cast(sum(widened_float(self.tensor), gone), self.tensor.dtype)
        return Part(total, [label for label in self.term if label in kept])


def widened_float(x: Tensor) -> Tensor:
    """`x` in a dtype fit for sums: 16-bit floats as float32, whole numbers as they are."""
    return x if x.dtype.kind in "iu" else widened(x)


def prepared(operands: Sequence[Tensor], read: Subscripts) -> list[Part]:
    """The operands with diagonals taken, axes of size 1 that broadcast left out, and all summed
    that no other operand needs."""
    parts = [_part(x, term, read) for x, term in zip(operands, read.terms, strict=True)]
    result = []
    for i, part in enumerate(parts):
        others = {label for j, other in enumerate(parts) if j != i for label in other.term}
        result.append(part.summed(others.union(read.output)))
    return result


def _part(x: Tensor, term: Term, read: Subscripts) -> Part:
    labels = list(term)
    for label in dict.fromkeys(term):
        while labels.count(label) > 1:
            first = labels.index(label)
            second = labels.index(label, first + 1)
            x = diagonal(x, 0, first, second)
            labels = [*labels[:first], *labels[first + 1 : second], *labels[second + 1 :], label]
    stretched = [i for i, k in enumerate(labels) if x.shape[i] == 1 != read.sizes[k]]
    kept = [label for i, label in enumerate(labels) if i not in stretched]
    return Part(squeeze(x, stretched), kept)


def _contracted(one: Part, other: Part, kept: Container[Label], final: Term | None) -> Part:
    """The product of two parts, summed over what is not kept.

    final: the order of labels that is wanted in the end, when this is the last contraction
    """
    shared = [label for label in final or one.term if label in one.term and label in other.term]
    batch = [label for label in shared if label in kept]
    inner = [label for label in one.term if label in other.term and label not in kept]
    left = [label for label in final or one.term if label in one.term and label not in other.term]
    right = [
        label for label in final or other.term if label in other.term and label not in one.term
    ]
    if not inner:
        labels = final or (*batch, *left, *right)
        return Part(one.in_order(labels) * other.in_order(labels), labels)
    if batch and not left and not right:
        # Products of many rows with as many columns: a loop of its own is faster.
        every = (*batch, *inner)
        pairs = [widened_float(part.in_order(every)) for part in (one, other)]
        total = Part(pairs[0] * pairs[1], every).summed(batch)
        return Part(cast(total.tensor, one.tensor.dtype), batch)
    if final and left and right and final.index(right[0]) < final.index(left[0]):
        one, other, left, right = other, one, right, left
    matrices = matmul(one.matrices(batch, left, inner), other.matrices(batch, inner, right))
    labels = (*batch, *left, *right)
    sizes = {
        k: n for part in (one, other) for k, n in zip(part.term, part.tensor.shape, strict=True)
    }
    return Part(reshape(matrices, [sizes[label] for label in labels]), labels)


@builder
def einsum(equation: str, *operands: TensorLike) -> Tensor:
    """Σ of the products of the operands over the labels that the output lacks; see `Einsum`.

    einsum("ij,jk->ik", a, b) is a @ b; einsum("ii", a) the trace; einsum("...ij->...ji", a) the
    matrices transposed. Without "->" the output has all letters that occur once, in alphabetical
    order. Axes of size 1 broadcast.

    Raises AttributeValueError for what is no equation, ShapeError for operands that do not fit it,
    DTypeError for booleans.
    """
    text = explicit(equation)
    if not operands:
        raise ShapeError("needs at least one input")
    return Einsum(text)(*promoted(*operands))


@builder
def einsum_path(equation: str, *operands: TensorLike) -> EinsumPath:
    """In which order `einsum` takes these operands together, and what each step costs.

    Of up to 8 operands the order with the fewest operations; of more, a good one. Sizes that are
    not known count as 64. Nothing is computed; print the result to read it.
    """
    text = explicit(equation)
    tensors = [as_tensor(x) for x in operands]
    read = subscripts(text, [x.shape for x in tensors])
    return plan(text, [part.term for part in prepared(tensors, read)], read)
