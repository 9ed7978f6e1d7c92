"""The forward and backward recursions over all alignments of a sequence with its labels.

Graves et al., Connectionist temporal classification, 2006, §4.1, in logs. A state is a place in the
labels with a blank before, between and after them. The states of all sequences of a batch go
through time together.

Derivatives of any order come from the same recursions on numbers with infinitesimals: of k
directions, each with an ε whose square is 0. Such a number is exp(log) · parts, where the parts are
its coefficients, relative to the real one, for all products of different εs: 2ᵏ of them, at the
index whose bits are those of the product; the first is 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graphwright.graph.errors import InputError

Array = NDArray[Any]


@dataclass(frozen=True)
class Jets:
    """Numbers with infinitesimals, all of the same directions."""

    log: Array
    parts: Array
    """Along the last axis."""

    def __getitem__(self, key: Any) -> Jets:
        return Jets(self.log[key], self.parts[key])

    def __mul__(self, other: Jets) -> Jets:
        return Jets(self.log + other.log, _product(self.parts, other.parts))

    def sum(self, axis: int) -> Jets:
        """The sum along an axis; 0, whose log is -inf, of zeros."""
        top = self.log.max(axis, keepdims=True, initial=-np.inf)
        top = np.where(top == -np.inf, 0, top)
        shares = np.exp(self.log - top)
        total = shares.sum(axis)
        with np.errstate(divide="ignore"):
            log = np.log(total) + top.squeeze(axis)
        if self.parts.shape[-1] == 1:
            return Jets(log, np.ones((*log.shape, 1)))
        parts = (np.expand_dims(shares, -1) * self.parts).sum(axis)
        return Jets(log, parts / np.where(total == 0, 1, total)[..., None])

    def inverse(self) -> Jets:
        """1 divided by each; of 0, whose share in anything is 0, a number as good as any."""
        parts = np.zeros_like(self.parts)
        parts[..., 0] = 1
        for whole in range(1, parts.shape[-1]):
            for part in _subsets(whole):
                if part:
                    parts[..., whole] -= self.parts[..., part] * parts[..., whole ^ part]
        return Jets(np.where(self.log == -np.inf, 0, -self.log), parts)


def _product(x: Array, y: Array) -> Array:
    shape = np.broadcast_shapes(x.shape, y.shape)
    if shape[-1:] == (1,):
        return np.ones(shape)
    out = np.zeros(shape)
    for whole in range(shape[-1]):
        for part in _subsets(whole):
            out[..., whole] += x[..., part] * y[..., whole ^ part]
    return out


def _subsets(whole: int) -> list[int]:
    return [part for part in range(whole + 1) if part & whole == part]


class Alignments:
    """All alignments of sequences [time, batch, classes] with labels [batch, length].

    directions: arrays like the sequences, along which derivatives are taken
    Raises InputError for lengths and labels that are out of range.
    """

    def __init__(
        self,
        blank: int,
        log_probabilities: Array,
        labels: Array,
        input_lengths: Array,
        label_lengths: Array,
        *directions: Array,
    ) -> None:
        self.shape = log_probabilities.shape
        time, batch, classes = self.shape
        lengths = np.asarray(label_lengths, np.int64)
        _check("input length", input_lengths, time)
        _check("label length", lengths, labels.shape[1])
        counted = np.arange(labels.shape[1]) < lengths[:, None]
        _check_labels(labels[counted], classes, blank)

        self.states = np.full((batch, 2 * labels.shape[1] + 1), blank)
        self.states[:, 1::2] = np.where(counted, labels, blank)
        # What lies between two states may be left out where these differ: so no label may, nor the
        # blank between two labels that are the same.
        self.jumps = self.states[:, 2:] != self.states[:, :-2]

        place = np.arange(self.states.shape[1])
        behind = 2 * lengths[:, None] - place
        self.first = _logs(np.broadcast_to(place < 2, self.states.shape))
        self.last = _logs((behind == 0) | (behind == 1))
        moments = np.arange(time)[:, None]
        self.starts = np.broadcast_to(moments == 0, (time, batch))
        self.ends = moments == np.asarray(input_lengths, np.int64) - 1
        self.nothing = np.asarray(input_lengths) == 0
        self.emitted = self._emitted(log_probabilities, directions)

    def _emitted(self, log_probabilities: Array, directions: tuple[Array, ...]) -> Jets:
        """The probability of each state's class at each time."""
        index = np.broadcast_to(self.states, (self.shape[0], *self.states.shape))

        def of_states(x: Array) -> Array:
            return np.take_along_axis(x.astype(np.float64), index, 2)

        parts = np.ones((*index.shape, 2 ** len(directions)))
        for i, direction in enumerate(directions):
            slopes = of_states(direction)[..., None]
            parts[..., 2**i : 2 ** (i + 1)] = parts[..., : 2**i] * slopes
        return Jets(of_states(log_probabilities), parts)

    def likelihood(self) -> Jets:
        """The probability of each sequence's labels: [batch]."""
        return self._likelihood(self._swept(backward=False)[1])

    def occupancy(self) -> Array:
        """The derivative of log p by each log probability, along all directions, of their shape.

        Without directions, how probable it is that an alignment has the class at that time.
        """
        _, forward = self._swept(backward=False)
        arriving, _ = self._swept(backward=True)
        shares = forward * arriving * self._likelihood(forward).inverse()[None, :, None]
        values = np.exp(shares.log) * shares.parts[..., -1]
        out = np.zeros(self.shape)
        times, sequences = np.ogrid[: self.shape[0], : self.shape[1]]
        np.add.at(out, (times[..., None], sequences[..., None], self.states), values)
        return out

    def _likelihood(self, forward: Jets) -> Jets:
        """By the forward probabilities where each sequence ends."""
        time, parts = self.shape[0], forward.parts.shape[-1]
        ends = np.where(self.ends[..., None], self.last, -np.inf) if time else self.ends[..., None]
        ended = Jets(forward.log + ends, forward.parts).sum(2).sum(0)
        # Without time there is one alignment, of no labels.
        empty = np.where(self.last[:, 0] == 0, 0, -np.inf)
        unit = np.zeros(parts)
        unit[0] = 1
        return Jets(
            np.where(self.nothing, empty, ended.log),
            np.where(self.nothing[:, None], unit, ended.parts),
        )

    def _swept(self, backward: bool) -> tuple[Jets, Jets]:
        """Through time: what arrives in each state, and this with what is emitted there."""
        order = slice(None, None, -1 if backward else 1)
        emitted = Jets(self.emitted.log[order, :, order], self.emitted.parts[order, :, order])
        entry = self.last[:, order] if backward else self.first
        begins = self.ends[order] if backward else self.starts
        jumps = self.jumps[:, order]
        arriving = Jets(np.empty_like(emitted.log), np.empty_like(emitted.parts))
        there = Jets(np.empty_like(emitted.log), np.empty_like(emitted.parts))
        now = Jets(np.full(entry.shape, -np.inf), np.zeros(emitted.parts.shape[1:]))
        for t in range(len(emitted.log)):
            moved = _moved(now, jumps).sum(0)
            fresh = begins[t][:, None]
            arriving.log[t] = np.where(fresh, entry, moved.log)
            arriving.parts[t] = moved.parts
            arriving.parts[t][begins[t]] = np.arange(moved.parts.shape[-1]) == 0
            now = emitted[t] * arriving[t]
            there.log[t], there.parts[t] = now.log, now.parts
        back = (order, slice(None), order)
        return arriving[back], there[back]


def _moved(now: Jets, jumps: Array) -> Jets:
    """What comes to each state: from itself, from the one before, and from the one before that."""
    log = np.full((3, *now.log.shape), -np.inf)
    parts = np.zeros((3, *now.parts.shape))
    log[0], parts[0] = now.log, now.parts
    log[1, :, 1:], parts[1, :, 1:] = now.log[:, :-1], now.parts[:, :-1]
    log[2, :, 2:], parts[2, :, 2:] = now.log[:, :-2], now.parts[:, :-2]
    log[2, :, 2:][~jumps] = -np.inf
    return Jets(log, parts)


def _logs(possible: Array) -> Array:
    return np.where(possible, 0.0, -np.inf)


def _check(what: str, lengths: Array, longest: int) -> None:
    wrong = lengths[(lengths < 0) | (lengths > longest)]
    if wrong.size:
        raise InputError(f"{what} {wrong[0]} is out of range", hint=f"they go from 0 to {longest}")


def _check_labels(labels: Array, classes: int, blank: int) -> None:
    wrong = labels[(labels < 0) | (labels >= classes)]
    if wrong.size:
        raise InputError(
            f"label {wrong[0]} is out of range for {classes} classes",
            hint="what lies behind the label length is not looked at",
        )
    if (labels == blank).any():
        raise InputError(f"a label is {blank}, the blank", hint="give the blank another class")
