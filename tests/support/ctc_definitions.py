"""What connectionist temporal classification means, by writing down every alignment.

See `structural_definitions` for the form.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from itertools import groupby, product
from typing import Any

import numpy as np

from support.loss_definitions import added, reduced

inf = math.inf
Path = tuple[int, ...]


def alignments(time: int, classes: int, labels: list[int], blank: int) -> list[Path]:
    """The paths that are the labels when repetitions, and then blanks, are left out."""
    return [
        path
        for path in product(range(classes), repeat=time)
        if [label for label, _ in groupby(path) if label != blank] == labels
    ]


def cases(inputs: tuple[np.ndarray, ...], blank: int) -> Iterator[tuple[int, list[Path]]]:
    """Each sequence with its alignments."""
    sequences, targets, times, lengths = inputs
    for n in range(sequences.shape[1]):
        labels = targets[n, : lengths[n]].tolist()
        yield n, alignments(int(times[n]), sequences.shape[2], labels, blank)


def along(x: np.ndarray, n: int, path: Path) -> float:
    """The sum of what a path meets in sequence n."""
    return added(x[t, n, c].item() for t, c in enumerate(path))


def ctc_nll(*inputs: np.ndarray, blank: int) -> list[float]:
    losses = []
    for n, paths in cases(inputs, blank):
        total = math.fsum(math.exp(along(inputs[0], n, path)) for path in paths)
        most = max((along(inputs[0], n, path) for path in paths), default=-inf)
        if not total and most > -inf:  # too small for a float: by the largest
            total = math.fsum(math.exp(along(inputs[0], n, path) - most) for path in paths)
            losses.append(-most - math.log(total))
        else:
            losses.append(-math.log(total) if total else inf)
    return losses


def ctc(*inputs: np.ndarray, blank: int, zero_infinity: bool, reduce: str) -> Any:
    losses = ctc_nll(*inputs, blank=blank)
    if zero_infinity:
        losses = [0.0 if loss == inf else loss for loss in losses]
    if reduce == "mean":
        losses = [loss / max(k, 1) for loss, k in zip(losses, inputs[3].tolist(), strict=True)]
    return reduced(losses, None, reduce)


def partitions(items: list[int]) -> Iterator[list[list[int]]]:
    """All ways to part items into blocks."""
    if not items:
        yield []
        return
    first, *others = items
    for rest in partitions(others):
        yield [[first], *rest]
        for i, block in enumerate(rest):
            yield [*rest[:i], [first, *block], *rest[i + 1 :]]


def cumulant(shares: list[float], values: list[list[float]]) -> float:
    """The joint cumulant of several values of each path, by their moments."""
    terms = []
    for blocks in partitions(list(range(len(values)))):
        moments = [
            added(share * math.prod(values[i][k] for i in block) for k, share in enumerate(shares))
            for block in blocks
        ]
        sign = (-1) ** (len(blocks) - 1) * math.factorial(len(blocks) - 1)
        terms.append(sign * math.prod(moments))
    return added(terms)


def ctc_derivative(*inputs: np.ndarray, blank: int) -> np.ndarray:
    sequences, directions = inputs[0], inputs[4:]
    out = np.zeros(sequences.shape)
    for n, paths in cases(inputs[:4], blank):
        scores = [along(sequences, n, path) for path in paths]
        most = max(scores, default=-inf)
        if most == -inf:
            continue
        powers = [math.exp(score - most) for score in scores]
        shares = [power / math.fsum(powers) for power in powers]
        sums = [[along(direction, n, path) for path in paths] for direction in directions]
        for t, c in product(range(len(paths[0])), range(sequences.shape[2])):
            met = [float(path[t] == c) for path in paths]
            out[t, n, c] = cumulant(shares, [met, *sums])
    return out


definitions: dict[str, Callable[..., Any]] = {
    "ctc": ctc,
    "ctc_derivative": ctc_derivative,
    "ctc_nll": ctc_nll,
}
