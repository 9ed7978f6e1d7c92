"""Einstein's summation notation: its subscripts read, and the order of contractions planned."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TypeAlias

from graphwright.graph.dim import Size, evaluate, names_of, product
from graphwright.graph.errors import AttributeValueError, ShapeError
from graphwright.graph.types import Shape
from graphwright.ops.shapes import shape_text

Label: TypeAlias = str
"""A letter; or `.0`, `.1` … for the axes under an ellipsis, counted from the last one."""
Term: TypeAlias = tuple[Label, ...]
Pair: TypeAlias = tuple[int, int]

TYPICAL_SIZE = 64
"""What each named dimension is taken for when contractions are compared."""
EXHAUSTIVE = 8
"""Of up to so many operands the best order is found; of more, a good one."""

_TERM = r"[A-Za-z]*(?:\.\.\.[A-Za-z]*)?"
_EXPLICIT = re.compile(rf"{_TERM}(?:,{_TERM})*->{_TERM}\Z")
_IMPLICIT = re.compile(rf"{_TERM}(?:,{_TERM})*\Z")


def explicit(equation: str) -> str:
    """The equation without spaces and with its output written out.

    Left out, the output is the ellipsis, if there is one, and all letters that occur once, in
    alphabetical order. Raises AttributeValueError for what is no equation.
    """
    text = equation.replace(" ", "") if isinstance(equation, str) else ""
    if isinstance(equation, str) and _IMPLICIT.match(text):
        counts = Counter(text.replace(",", "").replace(".", ""))
        once = "".join(sorted(letter for letter, count in counts.items() if count == 1))
        return f"{text}->{'...' if '...' in text else ''}{once}"
    if not _EXPLICIT.match(text):
        raise AttributeValueError(
            f"{equation!r} is no equation",
            hint='letters for axes, commas between the inputs, "..." for any axes: "ij,...j->...i"',
        )
    return text


@dataclass(frozen=True)
class Subscripts:
    """An equation, read for operands of certain shapes."""

    terms: tuple[Term, ...]
    output: Term
    sizes: Mapping[Label, Size]

    @property
    def shape(self) -> Shape:
        """The shape of the result."""
        return tuple(self.sizes[label] for label in self.output)


def subscripts(equation: str, shapes: Sequence[Shape]) -> Subscripts:
    """Read an explicit equation. Axes of size 1 fit any, under a letter as under an ellipsis.

    Raises AttributeValueError when the terms are not as many as the operands or the output has
    what the inputs don't, ShapeError when the operands' ranks or sizes do not fit.
    """
    left, _, right = equation.partition("->")
    texts = left.split(",")
    if len(texts) != len(shapes):
        raise AttributeValueError(
            f'"{equation}" is for {len(texts)} inputs, got {len(shapes)}',
            hint="write one term for each input, with commas between them",
        )
    terms = tuple(_term(text, shape) for text, shape in zip(texts, shapes, strict=True))
    ellipsis = max((sum(label[0] == "." for label in term) for term in terms), default=0)
    output = _labels(right, ellipsis)
    known = {label for term in terms for label in term}
    for label, count in Counter(output).items():
        if count > 1:
            raise AttributeValueError(f'"{equation}": the output has {label} twice')
        if label not in known and label[0] != ".":
            raise AttributeValueError(f'"{equation}": the output has {label}, which no input has')
    if ellipsis and "..." not in right:
        raise AttributeValueError(
            f'"{equation}": the output has no ellipsis for the axes under that of the inputs',
            hint='write "..." in the output',
        )
    return Subscripts(terms, output, _sizes(terms, shapes))


def _term(text: str, shape: Shape) -> Term:
    letters = len(text.replace(".", ""))
    if letters > len(shape) or ("..." not in text and letters < len(shape)):
        raise ShapeError(
            f'"{text}" is for {"at least " if "..." in text else ""}{letters} axes, '
            f"the input has shape {shape_text(shape)}",
            hint='name each axis by a letter; "..." stands for any number of axes',
        )
    return _labels(text, len(shape) - letters)


def _labels(text: str, ellipsis: int) -> Term:
    before, dots, after = text.partition("...")
    unnamed = tuple(f".{i}" for i in reversed(range(ellipsis))) if dots else ()
    return (*before, *unnamed, *after)


def _sizes(terms: Sequence[Term], shapes: Sequence[Shape]) -> dict[Label, Size]:
    """The size of each label: the one that is not 1, if there is one."""
    sizes: dict[Label, Size] = {}
    for term, shape in zip(terms, shapes, strict=True):
        own: dict[Label, Size] = {}
        for label, size in zip(term, shape, strict=True):
            known = sizes.get(label, 1)
            if own.setdefault(label, size) != size or (size != known and 1 not in (size, known)):
                other = own[label] if own[label] != size else known
                which = "the ellipsis" if label[0] == "." else label
                raise ShapeError(
                    f"sizes of {which} differ: {other} != {size}",
                    hint="an axis has the same size wherever its letter stands, or 1",
                )
        for label, size in own.items():
            sizes[label] = size if sizes.get(label, 1) == 1 else sizes[label]
    return sizes


@dataclass(frozen=True)
class Contraction:
    """Two operands made into one: their places in the list, from which they are taken and to whose
    end the result goes; the labels of the operands and the result; and its operations."""

    places: Pair
    terms: tuple[frozenset[Label], frozenset[Label]]
    result: frozenset[Label]
    flops: Size


@dataclass(frozen=True)
class EinsumPath:
    """In which order an einsum takes its operands together; printed as a table.

    equation: the equation, explicit
    steps:    one contraction of two operands after the other
    direct:   the operations of one loop over all labels, for comparison
    """

    equation: str
    steps: tuple[Contraction, ...]
    direct: Size

    @property
    def pairs(self) -> list[Pair]:
        """The places of the operands of each step, as `numpy.einsum_path` gives them."""
        return [step.places for step in self.steps]

    @property
    def flops(self) -> Size:
        """The operations of all steps."""
        total: Size = 0
        for step in self.steps:
            total = total + step.flops
        return total

    def __str__(self) -> str:
        lines = [f"{self.equation}: {self.flops} operations, {self.direct} in one loop"]
        for step in self.steps:
            first, second = map(_text, step.terms)
            lines.append(f"  {step.places}  {first},{second}->{_text(step.result)}  {step.flops}")
        return "\n".join(lines)


def _text(labels: frozenset[Label]) -> str:
    letters = sorted(label for label in labels if label[0] != ".")
    return "".join((["..."] if len(letters) < len(labels) else []) + letters)


def plan(equation: str, terms: Sequence[Term], read: Subscripts) -> EinsumPath:
    """The cheapest order of contractions, for operands that have the labels `terms` (left)."""
    search = _Search(terms, read)
    whole = (1 << len(terms)) - 1
    tree = search.best(whole) if len(terms) <= EXHAUSTIVE else search.greedy()
    steps: list[Contraction] = []
    _linearize(tree, [1 << i for i in range(len(terms))], search, steps)
    labels = frozenset().union(*terms)
    sizes = [read.sizes[label] for label in labels]
    summed = labels != frozenset(read.output)
    return EinsumPath(equation, tuple(steps), product(sizes) * (len(terms) - 1 + summed))


Tree: TypeAlias = "int | tuple[Tree, Tree]"
"""An operand as a set of one bit, or two trees that are contracted."""


class _Search:
    """Looks for a cheap order. Sets of operands are bits of a number."""

    def __init__(self, terms: Sequence[Term], read: Subscripts) -> None:
        self.terms = [frozenset(term) for term in terms]
        self.output = frozenset(read.output)
        self.sizes = read.sizes
        names = names_of(read.sizes.values())
        typical = dict.fromkeys(names, TYPICAL_SIZE)
        self.typical = {k: max(evaluate(size, typical), 1) for k, size in read.sizes.items()}
        self._kept: dict[int, frozenset[Label]] = {}

    def kept(self, operands: int) -> frozenset[Label]:
        """The labels of the contraction of these: those that something else still has."""
        if operands not in self._kept:
            inside: set[Label] = set()
            outside = set(self.output)
            for i, term in enumerate(self.terms):
                (inside if operands >> i & 1 else outside).update(term)
            self._kept[operands] = frozenset(inside & outside)
        return self._kept[operands]

    def labels(self, operands: int) -> frozenset[Label]:
        """What is left to one operand as it is, and to several when contracted."""
        alone = operands.bit_count() == 1
        return self.terms[operands.bit_length() - 1] if alone else self.kept(operands)

    def cost(self, first: int, second: int) -> int:
        """The operations of contracting two, at typical sizes."""
        labels = self.labels(first) | self.labels(second)
        summed = labels != self.kept(first | second)
        return math.prod(self.typical[label] for label in labels) * (1 + summed)

    def contraction(self, places: Pair, first: int, second: int) -> Contraction:
        """The step that takes two together."""
        terms = self.labels(first), self.labels(second)
        result = self.kept(first | second)
        labels = terms[0] | terms[1]
        operations = product(self.sizes[label] for label in labels) * (1 + (labels != result))
        return Contraction(places, terms, result, operations)

    def best(self, whole: int) -> Tree:
        """The cheapest tree: by dynamic programming, of each set of operands the best halves."""
        costs: dict[int, int] = {}
        trees: dict[int, Tree] = {}
        for operands in sorted(range(1, whole + 1), key=int.bit_count):
            if operands.bit_count() == 1:
                costs[operands], trees[operands] = 0, operands
                continue
            half = (operands - 1) & operands
            while half:
                rest = operands ^ half
                if half < rest:  # each pair of halves once
                    cost = costs[half] + costs[rest] + self.cost(half, rest)
                    if operands not in costs or cost < costs[operands]:
                        costs[operands], trees[operands] = cost, (trees[half], trees[rest])
                half = (half - 1) & operands
        return trees[whole]

    def greedy(self) -> Tree:
        """Always the pair whose contraction frees most memory, the cheaper one of equals.

        Source: Gray and Kourtis, Hyper-optimized tensor network contraction, Quantum 5, 2021.
        """
        trees: dict[int, Tree] = {1 << i: 1 << i for i in range(len(self.terms))}
        while len(trees) > 1:
            first, second = min(combinations(trees, 2), key=lambda pair: self._growth(*pair))
            trees[first | second] = trees.pop(first), trees.pop(second)
        return next(iter(trees.values()))

    def _growth(self, first: int, second: int) -> tuple[int, int]:
        def size(labels: frozenset[Label]) -> int:
            return math.prod(self.typical[label] for label in labels)

        before = size(self.labels(first)) + size(self.labels(second))
        return size(self.kept(first | second)) - before, self.cost(first, second)


def _linearize(tree: Tree, left: list[int], search: _Search, steps: list[Contraction]) -> int:
    """Enter the contractions of a tree in `steps`, operands first; `left` are still to be taken."""
    if isinstance(tree, int):
        return tree
    first, second = (_linearize(branch, left, search, steps) for branch in tree)
    places = sorted((left.index(first), left.index(second)))
    one, other = left[places[0]], left[places[1]]
    steps.append(search.contraction((places[0], places[1]), one, other))
    left.remove(one)
    left.remove(other)
    left.append(first | second)
    return first | second
