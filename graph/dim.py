"""Sizes of dimensions: numbers, names, and arithmetic on them in a canonical form.

A `Size` is a Python int or a `Dim`. A `Dim` is a polynomial with integer coefficients in *atoms*:
names (`batch`), whole quotients (`floordiv(width, 2)`) and positive parts (`max(width - 3, 0)`).
Terms and factors are sorted and merged, so that equal sizes are structurally equal:

>>> n = dim("n")
>>> (n + 1) * 2 - n
n + 2
>>> (6 * n + 3) // 3
2*n + 1
>>> n - n
0

Named dimensions are whole numbers, zero or more.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import reduce
from typing import NamedTuple, TypeAlias, cast, overload

from graphwright.graph.dtype import SHORT_NAMES
from graphwright.graph.errors import AttributeValueError, ShapeError, SymbolicValueError

Size: TypeAlias = "int | Dim"
Sizes: TypeAlias = Mapping[str, int]
Atom: TypeAlias = "str | Quotient | Positive"
Monomial: TypeAlias = tuple[Atom, ...]

_NAME = re.compile(r"[A-Za-z_]\w*\Z", re.ASCII)
_RESERVED = {
    *SHORT_NAMES.values(),
    "floordiv",
    "max",
    "inf",
    "nan",
    "True",
    "False",
    "None",
    "graph",
}


class Quotient(NamedTuple):
    """The atom floordiv(numerator, denominator)."""

    numerator: Dim
    denominator: Size

    def __str__(self) -> str:
        return f"floordiv({self.numerator}, {self.denominator})"


class Positive(NamedTuple):
    """The atom max(value, 0)."""

    value: Dim

    def __str__(self) -> str:
        return f"max({self.value}, 0)"


class Dim:
    """A symbolic size. Made by `dim(name)` and by arithmetic; never equal to an int."""

    __slots__ = ("_hash", "_text", "terms")

    terms: tuple[tuple[Monomial, int], ...]

    def __init__(self, terms: tuple[tuple[Monomial, int], ...]) -> None:
        self.terms = terms
        self._hash = hash(terms)
        self._text: str | None = None

    @property
    def names(self) -> frozenset[str]:
        """The named dimensions it depends on."""
        return frozenset(name for monomial, _ in self.terms for name in _names(monomial))

    def evaluate(self, sizes: Sizes) -> int:
        """Its value under `sizes`; raises ShapeError when a name is missing."""
        total = 0
        for monomial, coefficient in self.terms:
            for atom in monomial:
                coefficient *= _evaluate_atom(atom, sizes)
            total += coefficient
        return total

    def __add__(self, other: Size) -> Size:
        if not isinstance(other, int | Dim):
            return NotImplemented
        terms = dict(self.terms)
        for monomial, coefficient in _terms(other):
            terms[monomial] = terms.get(monomial, 0) + coefficient
        return _size(terms)

    def __mul__(self, other: Size) -> Size:
        if not isinstance(other, int | Dim):
            return NotImplemented
        terms: dict[Monomial, int] = {}
        for left, a in self.terms:
            for right, b in _terms(other):
                monomial = tuple(sorted(left + right, key=str))
                terms[monomial] = terms.get(monomial, 0) + a * b
        return _size(terms)

    __radd__ = __add__
    __rmul__ = __mul__

    def __neg__(self) -> Size:
        return self * -1

    def __sub__(self, other: Size) -> Size:
        return self + -other if isinstance(other, int | Dim) else NotImplemented

    def __rsub__(self, other: Size) -> Size:
        return -self + other

    def __floordiv__(self, other: Size) -> Size:
        return floordiv(self, other) if isinstance(other, int | Dim) else NotImplemented

    def __rfloordiv__(self, other: Size) -> Size:
        return floordiv(other, self)

    def __mod__(self, other: Size) -> Size:
        return self - other * (self // other) if isinstance(other, int | Dim) else NotImplemented

    def __rmod__(self, other: Size) -> Size:
        return other - self * floordiv(other, self)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Dim) and self.terms == other.terms

    def __hash__(self) -> int:
        return self._hash

    def __bool__(self) -> bool:
        raise self._no_value("the truth of")

    def __index__(self) -> int:
        raise self._no_value("the value of")

    def __lt__(self, other: object) -> bool:
        raise self._no_value("an order for")

    __gt__ = __le__ = __ge__ = __lt__

    def _no_value(self, what: str) -> SymbolicValueError:
        return SymbolicValueError(
            f"{what} the symbolic size {self} is not known while the graph is built",
            hint="sizes compare with == and !=; give the input a number to fix it",
        )

    def __str__(self) -> str:
        if self._text is None:
            self._text = "".join(
                _term_text(monomial, coefficient, first=position == 0)
                for position, (monomial, coefficient) in enumerate(self.terms)
            )
        return self._text

    __repr__ = __str__


def dim(name: str) -> Dim:
    """The named dimension `name`, e.g. `dim("batch")`.

    Raises AttributeValueError when `name` is not an identifier or means something else in the
    printed language (`f32`, `max` …).
    """
    if not isinstance(name, str) or not _NAME.match(name) or name in _RESERVED:
        raise AttributeValueError(
            f"{name!r} can't name a dimension",
            hint="use letters, digits and _, not starting with a digit, and no reserved word",
        )
    return Dim((((name,), 1),))


def floordiv(numerator: Size, denominator: Size) -> Size:
    """The whole quotient, rounded down. Raises ZeroDivisionError for a denominator of 0."""
    if isinstance(numerator, int) and isinstance(denominator, int):
        return numerator // denominator
    if isinstance(denominator, int) and denominator <= 0:
        if denominator == 0:
            raise ZeroDivisionError(f"{numerator} divided by 0")
        return floordiv(-numerator, -denominator)
    if isinstance(denominator, Dim) and numerator == denominator:
        return 1
    whole: dict[Monomial, int] = {}
    rest: dict[Monomial, int] = {}
    for monomial, coefficient in _terms(numerator):
        quotient, left, remainder = _divide_term(monomial, coefficient, denominator)
        whole[quotient] = whole.get(quotient, 0) + left
        rest[monomial] = remainder
    remaining = _size(rest)
    if isinstance(remaining, Dim):
        whole[(Quotient(remaining, denominator),)] = 1
    elif remaining and isinstance(denominator, Dim):
        # A constant over a name: kept as it stands, with the constant as a degenerate Dim.
        whole[(Quotient(Dim((((), remaining),)), denominator),)] = 1
    return _size(whole)


def ceildiv(numerator: Size, denominator: Size) -> Size:
    """The whole quotient, rounded up."""
    return -floordiv(-numerator, denominator)


def maximum(left: Size, right: Size) -> Size:
    """The larger of two sizes."""
    return right + positive(left - right)


def minimum(left: Size, right: Size) -> Size:
    """The smaller of two sizes."""
    return left - positive(left - right)


def positive(value: Size) -> Size:
    """max(value, 0)."""
    if isinstance(value, int):
        return max(value, 0)
    if all(coefficient >= 0 for _, coefficient in value.terms):
        return value
    if all(coefficient <= 0 for _, coefficient in value.terms):
        return 0
    if value.terms[0][1] < 0:  # one of max(v, 0) and max(-v, 0) is enough: they differ by v
        return value + positive(-value)
    return _size({(Positive(value),): 1})


def product(sizes: Iterable[Size]) -> Size:
    """The product of sizes; 1 for none."""
    return reduce(lambda left, right: left * right, sizes, cast(Size, 1))


def exact_quotient(numerator: Size, denominator: Size) -> Size | None:
    """numerator / denominator when that is whole for every value of the names, else None."""
    if denominator == 0:
        return None
    quotient = floordiv(numerator, denominator)
    return quotient if quotient * denominator == numerator else None


@overload
def evaluate(size: Size, sizes: Sizes) -> int: ...
@overload
def evaluate(size: tuple[Size, ...], sizes: Sizes) -> tuple[int, ...]: ...
def evaluate(size: Size | tuple[Size, ...], sizes: Sizes) -> int | tuple[int, ...]:
    """The number(s) that a size or a shape stands for under `sizes`."""
    if isinstance(size, tuple):
        return tuple(evaluate(item, sizes) for item in size)
    return size.evaluate(sizes) if isinstance(size, Dim) else size


def names_of(sizes: Iterable[Size]) -> frozenset[str]:
    """The named dimensions that any of `sizes` depends on."""
    return frozenset(name for size in sizes if isinstance(size, Dim) for name in size.names)


def solve(size: Size, value: int, sizes: Sizes) -> tuple[str, int] | None:
    """The one unknown name of `size`, and its number, from `size == value`.

    None when `size` has no unknown name, several, or is not linear in it, or no whole number fits.
    """
    if not isinstance(size, Dim):
        return None
    unknown = size.names - sizes.keys()
    if len(unknown) != 1:
        return None
    (name,) = unknown
    slope, rest = 0, 0
    for monomial, coefficient in size.terms:
        if name not in _names(monomial):
            rest += Dim(((monomial, coefficient),)).evaluate(sizes)
        elif monomial.count(name) == 1 and len(monomial) == len(set(monomial)):
            others = tuple(atom for atom in monomial if atom != name)
            if name in _names(others):
                return None
            slope += Dim(((others, coefficient),)).evaluate(sizes)
        else:
            return None
    if slope == 0 or (value - rest) % slope or (value - rest) // slope < 0:
        return None
    return name, (value - rest) // slope


def _terms(size: Size) -> tuple[tuple[Monomial, int], ...]:
    return size.terms if isinstance(size, Dim) else (((), size),)


def _size(terms: dict[Monomial, int]) -> Size:
    """The canonical Size of a sum of terms."""
    kept = {monomial: coefficient for monomial, coefficient in terms.items() if coefficient}
    if not kept:
        return 0
    if kept.keys() == {()}:
        return kept[()]
    return Dim(tuple(sorted(kept.items(), key=_term_order)))


def _term_order(term: tuple[Monomial, int]) -> tuple[int, list[tuple[bool, str]]]:
    monomial, _ = term
    return -len(monomial), [(not isinstance(atom, str), str(atom)) for atom in monomial]


def _divide_term(
    monomial: Monomial, coefficient: int, denominator: Size
) -> tuple[Monomial, int, int]:
    """(monomial', whole, rest): coefficient*monomial = denominator*whole*monomial' + rest*monomial.

    0 <= rest < |denominator's coefficient|; all is rest when a symbolic denominator
    does not divide.
    """
    if isinstance(denominator, int):
        whole, rest = divmod(coefficient, denominator)
        return monomial, whole, rest
    if len(denominator.terms) == 1:
        factors, divisor = denominator.terms[0]
        quotient = list(monomial)
        for factor in factors:
            if factor not in quotient:
                return monomial, 0, coefficient
            quotient.remove(factor)
        whole, rest = divmod(coefficient, divisor)
        return tuple(quotient), whole, rest
    return monomial, 0, coefficient


def _names(monomial: Monomial) -> frozenset[str]:
    names: set[str] = set()
    for atom in monomial:
        if isinstance(atom, str):
            names.add(atom)
        else:
            names |= names_of(atom)
    return frozenset(names)


def _evaluate_atom(atom: Atom, sizes: Sizes) -> int:
    if isinstance(atom, Quotient):
        return evaluate(atom.numerator, sizes) // evaluate(atom.denominator, sizes)
    if isinstance(atom, Positive):
        return max(evaluate(atom.value, sizes), 0)
    if atom not in sizes:
        raise ShapeError(f"the size of dimension {atom} is not known")
    return sizes[atom]


def _term_text(monomial: Monomial, coefficient: int, *, first: bool) -> str:
    factors = [str(atom) for atom in monomial]
    if abs(coefficient) != 1 or not factors:
        factors.insert(0, str(abs(coefficient)))
    sign = ("-" if coefficient < 0 else "") if first else (" - " if coefficient < 0 else " + ")
    return sign + "*".join(factors)
