"""Connectionist temporal classification: labels for a sequence, without saying when."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graphwright.graph.dim import Size
from graphwright.graph.dtype import int64, is_floating, is_integer, short_name
from graphwright.graph.errors import AttributeValueError, DTypeError, ShapeError
from graphwright.graph.operator import Operator, register
from graphwright.graph.tensor import Tensor, TensorLike
from graphwright.graph.types import TensorType
from graphwright.ops.batching import in_front
from graphwright.ops.case import Case, Reject, Within, f16, f32, f64, i32, i64
from graphwright.ops.comparison import equal
from graphwright.ops.convert import as_floating, as_tensor, builder, cast
from graphwright.ops.ctc_recursion import Alignments
from graphwright.ops.extremum import maximum
from graphwright.ops.loss import Loss, Reduce, extended
from graphwright.ops.movement import broadcast_to, expand_dims, moveaxis, reshape
from graphwright.ops.selection import where
from graphwright.ops.shapes import shape_text
from graphwright.ops.statistics import widened

REJECTS = tuple(
    Reject(*types, blank=blank, message=message)
    for *types, blank, message in (
        (i32[4, 2, 3], i32[2, 2], i32[2], i32[2], 0, "needs floating log_probabilities, got i32"),
        (f32[2, 3], i32[2, 2], i32[2], i32[2], 0, "log_probabilities have shape [2,3]"),
        (f32[4, 2, 3], f32[2, 2], i32[2], i32[2], 0, "labels must be integers, got f32"),
        (f32[4, 2, 3], i32[3, 2], i32[2], i32[2], 0, "labels have shape [3,2], not [2,length]"),
        (f32[4, 2, 3], i32[2], i32[2], i32[2], 0, "labels have shape [2], not [2,length]"),
        (f32[4, 2, 3], i32[2, 2], i32[3], i32[2], 0, "input_lengths have shape [3], not [2]"),
        (f32[4, 2, 3], i32[2, 2], i32[2], i32[()], 0, "label_lengths have shape [], not [2]"),
        (f32[4, 2, 3], i32[2, 2], i32[2], f32[2], 0, "label_lengths must be integers, got f32"),
        (f32[4, 2, 3], i32[2, 2], i32[2], i32[2], 3, "there is no class 3, the blank, of 3"),
        (f32[4, 2, 3], i32[2, 2], i32[2], i32[2], -1, "there is no class -1, the blank, of 3"),
    )
)
"""What all operators on alignments refuse."""


class _OfAlignments(Operator):
    """What is computed of all alignments of a sequence with its labels."""

    blank: int

    def check(
        self, log_probabilities: TensorType, labels: TensorType, *lengths: TensorType
    ) -> None:
        """For `infer`: raise unless the inputs are sequences and labels of one batch."""
        if not is_floating(log_probabilities.dtype):
            found = short_name(log_probabilities.dtype)
            raise DTypeError(
                f"needs floating log_probabilities, got {found}",
                hint="log_softmax makes them of scores",
            )
        if log_probabilities.rank != 3:
            shape = shape_text(log_probabilities.shape)
            raise ShapeError(
                f"log_probabilities have shape {shape}", hint="they are [time, batch, classes]"
            )
        batch, classes = log_probabilities.shape[1:]
        names = "labels", "input_lengths", "label_lengths"
        for name, kind in zip(names, (labels, *lengths), strict=True):
            if not is_integer(kind.dtype):
                raise DTypeError(
                    f"{name} must be integers, got {short_name(kind.dtype)}",
                    hint="convert them with .astype",
                )
            if kind.rank != (2 if kind is labels else 1) or kind.shape[0] != batch:
                wanted = f"[{batch},length]" if kind is labels else f"[{batch}]"
                raise ShapeError(f"{name} have shape {shape_text(kind.shape)}, not {wanted}")
        if self.blank < 0 or (isinstance(classes, int) and self.blank >= classes):
            raise AttributeValueError(f"there is no class {self.blank}, the blank, of {classes}")

    def flops(self, log_probabilities: TensorType, labels: TensorType, *rest: TensorType) -> Size:
        time, batch, _ = log_probabilities.shape
        return 10 * time * batch * (2 * labels.shape[1] + 1)


@register
class CtcNll(_OfAlignments):
    """-log of the probability of each sequence's labels, over all their alignments in time.

    An alignment names a class at each time; without repetitions, and then without blanks, it is
    the labels. loss[n] = -log Σ exp Σ log_probabilities[t, n, class at t], the outer sum being over
    alignments; inf where there is none, because there is less time than labels need.

    log_probabilities: [time, batch, classes]; labels: [batch, length]; how much of these counts:
    input_lengths and label_lengths, [batch]. Raises InputError when run on lengths and labels that
    are out of range, and on the blank for a label.
    By the forward recursion in logs, in float64. d/dlog_probabilities: minus `ctc_derivative`; 0
    where there is no alignment. There are derivatives of all orders.
    Source: Graves, Fernández, Gomez and Schmidhuber, Connectionist temporal classification, 2006.
    """

    name = "ctc_nll"

    def infer(
        self,
        log_probabilities: TensorType,
        labels: TensorType,
        input_lengths: TensorType,
        label_lengths: TensorType,
    ) -> TensorType:
        self.check(log_probabilities, labels, input_lengths, label_lengths)
        return log_probabilities.with_shape(log_probabilities.shape[1:2])

    def kernel(self, log_probabilities: NDArray[Any], *rest: NDArray[Any]) -> Any:
        likelihood = Alignments(self.blank, log_probabilities, *rest).likelihood()
        return -likelihood.log.astype(log_probabilities.dtype)

    def gradient(
        self,
        log_probabilities: Tensor,
        labels: Tensor,
        input_lengths: Tensor,
        label_lengths: Tensor,
        out: Tensor,
        g: Tensor,
    ) -> tuple[Tensor, None, None, None]:
        inputs = log_probabilities, labels, input_lengths, label_lengths
        return -expand_dims(g, (0, 2)) * CtcDerivative(self.blank)(*inputs), None, None, None

    def batch(self, mapped: Sequence[bool], *inputs: Tensor) -> Tensor:
        many = in_front(mapped, inputs)
        return reshape(self(*_as_one_batch(many)), many[2].shape)

    cases = (
        Case(f32[4, 2, 3], [[1, 2], [2, 2]], [4, 3], [2, 1], blank=0),
        Case(
            Within(f64[3, "n", 3], -3, 0),
            Within(i64["n", 2], 0, 2),
            Within(i64["n"], 3, 4),
            Within(i32["n"], 0, 3),
            blank=2,
        ),
        Case(f64[4, 1, 2], [[0, 0]], [4], [2], blank=1),
        Case(f64["t", 1, 2], Within(i32[1, "s"], 0, 1), [0], [0], blank=1),
        Case(f64[3, 2, 2], [[0, 0], [0, 9]], [2, 0], [2, 1], blank=1, smooth=False),
        Case([[[0.0, -1e3]], [[-1e3, -np.inf]]], [[0]], [2], [1], blank=1),
        Case(f16[3, 2, 3], [[1, 2], [2, 1]], [3, 2], [2, 2], blank=0),
    )
    rejects = REJECTS


@register
class CtcDerivative(_OfAlignments):
    """The derivative of log p, p being the probability of each sequence's labels; or a higher one.

    Without directions: how probable it is, of all alignments with the labels, that the one has the
    class at the time (Graves et al., 2006, eq. 14). With directions u, v, …, each like
    log_probabilities: the derivative of this along all of them, which is, of the alignments with
    the labels, the joint cumulant of "has the class at the time" and of the sums of u, of v, … on
    the way (McCullagh, Tensor Methods in Statistics, 1987, §2.3). 0 where there is no alignment.
    The inputs before the directions are those of `ctc_nll`. In float64; each direction doubles the
    numbers kept.
    d/dlog_probabilities: the same along g too; d/du: the same along g instead of u.
    """

    name = "ctc_derivative"

    def infer(
        self,
        log_probabilities: TensorType,
        labels: TensorType,
        input_lengths: TensorType,
        label_lengths: TensorType,
        *directions: TensorType,
    ) -> TensorType:
        self.check(log_probabilities, labels, input_lengths, label_lengths)
        for direction in directions:
            if direction != log_probabilities:
                raise ShapeError(f"a direction is {direction}, not {log_probabilities}")
        return log_probabilities

    def kernel(self, log_probabilities: NDArray[Any], *rest: NDArray[Any]) -> Any:
        alignments = Alignments(self.blank, log_probabilities, *rest)
        return alignments.occupancy().astype(log_probabilities.dtype)

    def gradient(self, log_probabilities: Tensor, *rest: Tensor) -> tuple[Tensor | None, ...]:
        *given, _, g = rest
        fixed, directions = given[:3], given[3:]

        def along(*new: Tensor) -> Tensor:
            return CtcDerivative(self.blank)(log_probabilities, *fixed, *new)

        slopes = [along(*directions[:i], g, *directions[i + 1 :]) for i in range(len(directions))]
        return along(*directions, g), None, None, None, *slopes

    def batch(self, mapped: Sequence[bool], *inputs: Tensor) -> Tensor:
        many = in_front(mapped, inputs)
        size, time, batch, classes = many[0].shape
        out = self(*_as_one_batch(many))
        return moveaxis(reshape(out, (time, size, batch, classes)), 1, 0)

    cases = (
        Case(f32[4, 2, 3], [[1, 2], [2, 2]], [4, 3], [2, 1], blank=0),
        Case(
            Within(f64[3, "n", 3], -3, 0),
            Within(i64["n", 2], 0, 2),
            Within(i64["n"], 3, 4),
            Within(i32["n"], 0, 3),
            f64[3, "n", 3],
            blank=2,
        ),
        Case(f64[4, 1, 2], [[0, 0]], [4], [2], f64[4, 1, 2], f64[4, 1, 2], blank=1),
        Case(f64["t", 1, 2], Within(i32[1, "s"], 0, 1), [0], [0], f64["t", 1, 2], blank=1),
        Case(f64[3, 2, 2], [[0, 0], [0, 9]], [2, 0], [2, 1], f64[3, 2, 2], blank=1),
        Case([[[0.0, -1e3]], [[-1e3, -np.inf]]], [[0]], [2], [1], blank=1, smooth=False),
    )
    rejects = (
        *REJECTS,
        Reject(
            f32[4, 2, 3],
            i32[2, 2],
            i32[2],
            i32[2],
            f32[4, 2, 1],
            blank=0,
            message="a direction is f32[4,2,1], not f32[4,2,3]",
        ),
    )


@register
class Ctc(Loss):
    """Connectionist temporal classification: see `ctc_nll`, for the loss of each sequence.

    The mean is over the batch, of losses that are divided by the number of labels, or by 1 where
    there is none.
    zero_infinity: the loss of sequences without an alignment is 0, not inf; their gradient is 0
                   in either case
    """

    name = "ctc"

    blank: int
    zero_infinity: bool

    def infer(
        self,
        log_probabilities: TensorType,
        labels: TensorType,
        input_lengths: TensorType,
        label_lengths: TensorType,
    ) -> TensorType:
        inputs = log_probabilities, labels, input_lengths, label_lengths
        losses = CtcNll(self.blank).infer(*inputs)
        return self.outcome(losses.dtype, losses.shape)

    def decompose(
        self,
        log_probabilities: Tensor,
        labels: Tensor,
        input_lengths: Tensor,
        label_lengths: Tensor,
    ) -> Tensor:
        inputs = widened(log_probabilities), labels, input_lengths, label_lengths
        losses = CtcNll(self.blank)(*inputs)
        if self.zero_infinity:
            losses = where(equal(losses, np.inf), 0, losses)
        if self.reduce == "mean":
            losses = losses / maximum(cast(label_lengths, losses.dtype), 1)
        return self.reduced(losses, log_probabilities.dtype)

    cases = (
        Case(
            f32[4, 2, 3],
            [[1, 2], [2, 2]],
            [4, 3],
            [2, 1],
            reduce="mean",
            blank=0,
            zero_infinity=False,
        ),
        Case(
            Within(f64[3, "n", 3], -3, 0),
            Within(i64["n", 2], 0, 2),
            Within(i64["n"], 3, 4),
            Within(i32["n"], 0, 3),
            reduce="sum",
            blank=2,
            zero_infinity=True,
        ),
        *(
            Case(
                f64[2, 2, 2],
                [[0, 0], [0, 0]],
                [2, 2],
                [2, 1],
                reduce="none",
                blank=1,
                zero_infinity=zero_infinity,
                smooth=zero_infinity,
            )
            for zero_infinity in (True, False)
        ),
        Case(f16[3, 1, 2], [[0, 0]], [3], [0], reduce="mean", blank=1, zero_infinity=False),
    )
    rejects = (
        *extended(REJECTS, reduce="mean", zero_infinity=False),
        Reject(
            f32[4, 2, 3],
            i32[2, 2],
            i32[2],
            i32[2],
            reduce="max",
            blank=0,
            zero_infinity=False,
            message="the reduction is 'max'",
        ),
    )


def _as_one_batch(many: Sequence[Tensor]) -> list[Tensor]:
    """Inputs with an axis in front, which becomes one with that of the batch."""
    sequences, labels, *rest = many
    size, time, batch, classes = sequences.shape
    both = size * batch

    def joined(x: Tensor) -> Tensor:
        return reshape(moveaxis(x, 0, 1), (time, both, classes))

    rows = reshape(labels, (both, labels.shape[2]))
    lengths = [reshape(x, (both,)) for x in rest[:2]]
    return [joined(sequences), rows, *lengths, *map(joined, rest[2:])]


@builder
def ctc_nll(
    log_probabilities: TensorLike,
    labels: TensorLike,
    input_lengths: TensorLike | None = None,
    label_lengths: TensorLike | None = None,
    *,
    blank: int = 0,
) -> Tensor:
    """-log of the probability of each sequence's labels; see `CtcNll`, and `ctc` for the rest."""
    return CtcNll(blank)(*_inputs(log_probabilities, labels, input_lengths, label_lengths))


@builder
def ctc_derivative(
    log_probabilities: TensorLike,
    labels: TensorLike,
    input_lengths: TensorLike | None = None,
    label_lengths: TensorLike | None = None,
    *directions: TensorLike,
    blank: int = 0,
) -> Tensor:
    """The derivative of the log of that probability; see `CtcDerivative` and `ctc`."""
    inputs = _inputs(log_probabilities, labels, input_lengths, label_lengths)
    along = (as_tensor(direction, inputs[0].dtype) for direction in directions)
    return CtcDerivative(blank)(*inputs, *along)


@builder
def ctc(
    log_probabilities: TensorLike,
    labels: TensorLike,
    input_lengths: TensorLike | None = None,
    label_lengths: TensorLike | None = None,
    *,
    blank: int = 0,
    zero_infinity: bool = False,
    reduction: Reduce = "mean",
) -> Tensor:
    """The loss of labels that are not aligned with the sequences; see `Ctc`.

    log_probabilities: [time, batch, classes], as from log_softmax
    labels:            integers, [batch, length]; what lies behind a row's length is not read
    input_lengths:     how much of the time counts, [batch]; None for all of it
    label_lengths:     how many labels count, [batch]; None for all of them
    blank:             the class that stands for no label
    zero_infinity:     0 for sequences that are too short for their labels, where the loss is inf
    reduction:         "mean" (of the losses per label), "sum" or "none"
    """
    inputs = _inputs(log_probabilities, labels, input_lengths, label_lengths)
    return Ctc(reduction, blank, zero_infinity)(*inputs)


def _inputs(
    log_probabilities: TensorLike,
    labels: TensorLike,
    input_lengths: TensorLike | None,
    label_lengths: TensorLike | None,
) -> tuple[Tensor, ...]:
    """The inputs as tensors; lengths that are not given are whole."""
    sequences, rows = as_floating(log_probabilities), as_tensor(labels)
    if sequences.ndim != 3 or rows.ndim != 2:
        shapes = f"{shape_text(sequences.shape)} and {shape_text(rows.shape)}"
        raise ShapeError(
            f"log_probabilities and labels have the shapes {shapes}",
            hint="they are [time, batch, classes] and [batch, length]",
        )
    given = (input_lengths, sequences.shape[0]), (label_lengths, rows.shape[1])
    lengths = [
        broadcast_to(as_tensor(whole, int64), (rows.shape[0],)) if x is None else as_tensor(x)
        for x, whole in given
    ]
    return sequences, rows, *lengths
