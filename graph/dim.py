"""Sizes of dimensions: numbers, names, and arithmetic on them in a canonical form.

A `Size` is a Python int or a `Dim`. A `Dim` is a polynomial with integer coefficients in *atoms*:
names (`batch`), whole quotients (`floordiv(width, 2)`) and positive parts (`max(width - 3, 0)`).
Terms and factors are sorted and merged, and of the ways to write a quotient or a positive part one
is chosen, so that equal sizes are structurally equal: always for polynomials, and for what shape
inference makes of slices, strides and paddings.

>>> n = dim("n")
>>> (n + 1) * 2 - n
n + 2
>>> (6 * n + 3) // 3
2*n + 1
>>> -(-n // 3) == ceildiv(n, 3)
True
>>> n - n
0

Named dimensions are whole numbers, zero or more; a size divided by is not zero.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import lru_cache, reduce
from typing import TypeAlias, cast, overload

from graphwright.graph.atom import (
    Atom,
    Monomial,
    Positive,
    Quotient,
    Terms,
    atom_order,
    divide_term,
    names_in,
    never_negative,
    term_order,
    term_text,
    terms_of,
)
from graphwright.graph.dtype import SHORT_NAMES
from graphwright.graph.errors import AttributeValueError, ShapeError, SymbolicValueError

Sizes: TypeAlias = Mapping[str, int]

_NAME = re.compile(r"[A-Za-z_]\w*\Z", re.ASCII)
_MOST_TERMS = 500
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


class Dim:
    """A symbolic size. Made by `dim(name)` and by arithmetic; never equal to an int."""

    __slots__ = ("_hash", "_text", "terms")

    terms: Terms

    def __init__(self, terms: Terms) -> None:
        self.terms = terms
        self._hash = hash(terms)
        self._text: str | None = None

    @property
    def names(self) -> frozenset[str]:
        """The named dimensions it depends on."""
        return frozenset(name for monomial, _ in self.terms for name in names_in(monomial))

    def evaluate(self, sizes: Sizes) -> int:
        """Its value under `sizes`.

        Raises ShapeError when a name is missing or a divisor is 0.
        """
        total = 0
        for monomial, coefficient in self.terms:
            for atom in monomial:
                coefficient *= _evaluate_atom(atom, sizes)
            total += coefficient
        return total

    def __add__(self, other: Size) -> Size:
        if not isinstance(other, int | Dim):
            return NotImplemented
        return _sum(self, other)

    def __mul__(self, other: Size) -> Size:
        if not isinstance(other, int | Dim):
            return NotImplemented
        return _product(self, other)

    __radd__ = __add__
    __rmul__ = __mul__

    def __neg__(self) -> Size:
        return self * -1

    def __sub__(self, other: Size) -> Size:
        return self + -other if isinstance(other, int | Dim) else NotImplemented

    def __rsub__(self, other: Size) -> Size:
        return -self + other if isinstance(other, int | Dim) else NotImplemented

    def __floordiv__(self, other: Size) -> Size:
        return floordiv(self, other) if isinstance(other, int | Dim) else NotImplemented

    def __rfloordiv__(self, other: Size) -> Size:
        return floordiv(other, self) if isinstance(other, int | Dim) else NotImplemented

    def __mod__(self, other: Size) -> Size:
        return self - other * (self // other) if isinstance(other, int | Dim) else NotImplemented

    def __rmod__(self, other: Size) -> Size:
        if not isinstance(other, int | Dim):
            return NotImplemented
        return other - self * floordiv(other, self)

    def __eq__(self, other: object) -> bool:
        # A tensor on the right compares its elements.
        if not isinstance(other, int | Dim):
            return NotImplemented
        return self is other or (isinstance(other, Dim) and self.terms == other.terms)

    def __hash__(self) -> int:
        return self._hash

    def __bool__(self) -> bool:
        raise self._no_value("the truth of")

    def __index__(self) -> int:
        raise self._no_value("the value of")

    def __lt__(self, other: object) -> bool:
        if not isinstance(other, int | Dim):
            return NotImplemented
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
                term_text(monomial, coefficient, first=position == 0)
                for position, (monomial, coefficient) in enumerate(_readable(self.terms))
            )
        return self._text

    __repr__ = __str__


Size: TypeAlias = int | Dim


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
    if isinstance(denominator, int):
        if isinstance(numerator, int):
            return numerator // denominator
        if denominator == 0:
            raise ZeroDivisionError(f"{numerator} divided by 0")
        if denominator < 0:
            return floordiv(-numerator, -denominator)
    elif denominator.terms[0][1] < 0:
        return floordiv(-numerator, -denominator)
    else:
        exact = _divide(terms_of(numerator), denominator.terms)
        if exact is not None:
            return exact
    whole: dict[Monomial, int] = {}
    rest: dict[Monomial, int] = {}
    for monomial, coefficient in terms_of(numerator):
        quotient, count, left = divide_term(monomial, coefficient, terms_of(denominator))
        whole[quotient] = whole.get(quotient, 0) + count
        rest[monomial] = left
    remaining = _size(rest)
    if isinstance(denominator, int):
        return _size(whole) + _quotient(remaining, denominator)
    return _size(whole) + _symbolic_quotient(remaining, denominator)


def ceildiv(numerator: Size, denominator: Size) -> Size:
    """The whole quotient, rounded up. Raises ZeroDivisionError for a denominator of 0."""
    if isinstance(numerator, int) and isinstance(denominator, int):
        return -(-numerator // denominator)
    if never_negative(terms_of(denominator)):
        return floordiv(numerator + denominator - 1, denominator)
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
    if never_negative(value.terms):
        return value
    negated = cast(Dim, -value)
    if never_negative(negated.terms):
        return 0
    content = math.gcd(*(coefficient for _, coefficient in value.terms))
    if content > 1:
        return content * positive(value // content)
    flat = _without_inner_maximum(value)
    if flat is not None:
        return positive(flat)
    # One of max(v, 0) and max(-v, 0) is enough: they differ by v.
    if value.terms[0][1] < 0 or _without_inner_maximum(negated) is not None:
        return value + positive(negated)
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
        others = list(monomial)
        if name in others:
            others.remove(name)
        if name in names_in(tuple(others)):
            return None
        term = Dim(((tuple(others), coefficient),)).evaluate(sizes)
        if len(others) < len(monomial):
            slope += term
        else:
            rest += term
    if slope == 0 or (value - rest) % slope or (value - rest) // slope < 0:
        return None
    return name, (value - rest) // slope


# The same few sizes are added and multiplied again and again while a graph is compiled.
@lru_cache(maxsize=4096)
def _sum(left: Dim, right: Size) -> Size:
    terms = dict(left.terms)
    for monomial, coefficient in terms_of(right):
        terms[monomial] = terms.get(monomial, 0) + coefficient
    return _size(terms)


@lru_cache(maxsize=4096)
def _product(left: Dim, right: Size) -> Size:
    _check_length(len(left.terms) * len(terms_of(right)) // 8)
    terms: dict[Monomial, int] = {}
    for first, a in left.terms:
        for second, b in terms_of(right):
            monomial = tuple(sorted(first + second, key=atom_order))
            terms[monomial] = terms.get(monomial, 0) + a * b
    return _size(terms)


def _size(terms: dict[Monomial, int]) -> Size:
    """The canonical Size of a sum of terms."""
    kept = {monomial: coefficient for monomial, coefficient in terms.items() if coefficient}
    if not kept:
        return 0
    if kept.keys() == {()}:
        return kept[()]
    _check_length(len(kept))
    return Dim(tuple(sorted(kept.items(), key=term_order)))


def _check_length(terms: int) -> None:
    """Sums multiply quickly: better an error than a program that stands still."""
    if terms > _MOST_TERMS:
        raise ShapeError(
            f"a symbolic size grows to more than {_MOST_TERMS} terms",
            hint="give some of the dimensions numbers, or one name to a whole product",
        )


def _divide(numerator: Terms, denominator: Terms) -> Size | None:
    """The polynomial whose product with `denominator` is `numerator`, if there is one."""
    quotient: dict[Monomial, int] = {}
    rest: Size = _size(dict(numerator))
    divisor = Dim(denominator)
    while rest != 0:
        monomial, coefficient = terms_of(rest)[0]
        factors, whole, left = divide_term(monomial, coefficient, denominator[:1])
        if left:
            return None
        quotient[factors] = whole
        rest = rest - divisor * _size({factors: whole})
    return _size(quotient)


def _quotient(numerator: Size, denominator: int) -> Size:
    """floordiv of what remains after division: all coefficients are from 0 to denominator - 1."""
    if isinstance(numerator, int):
        return 0  # it is less than the denominator
    factors = {monomial: coefficient for monomial, coefficient in numerator.terms if monomial}
    constant = dict(numerator.terms).get((), 0)
    common = math.gcd(denominator, *factors.values())
    if common > 1:
        reduced = {monomial: coefficient // common for monomial, coefficient in factors.items()}
        return floordiv(_size({**reduced, (): constant // common}), denominator // common)
    for monomial, coefficient in factors.items():
        inner = monomial[0] if len(monomial) == coefficient == 1 else None
        if isinstance(inner, Quotient) and isinstance(inner.denominator, int):
            # ⌊(⌊a/b⌋ + r)/d⌋ = ⌊(a + b r)/(b d)⌋
            rest = numerator - _size({monomial: 1})
            scaled = inner.numerator + inner.denominator * rest
            return floordiv(scaled, inner.denominator * denominator)
    # ⌊v/d⌋ = -⌊(-v + d - 1)/d⌋: of the two ways to write it, the one with the smaller numbers.
    mirrored = {monomial: denominator - coefficient for monomial, coefficient in factors.items()}
    mirrored[()] = denominator - 1 - constant
    if [*mirrored.values()] < [*factors.values(), constant]:
        return _size(dict.fromkeys(factors, 1)) - floordiv(_size(mirrored), denominator)
    return _size({(Quotient(numerator, denominator),): 1})


def _symbolic_quotient(numerator: Size, denominator: Dim) -> Size:
    """floordiv of what remains after division by a size with names: common factors cancel."""
    if numerator == 0:
        return 0
    terms = (*terms_of(numerator), *denominator.terms)
    common = math.gcd(*(coefficient for _, coefficient in terms))
    shared = Counter(terms[0][0])
    for monomial, _ in terms:
        shared &= Counter(monomial)
    if common > 1 or shared:
        factor = _size({tuple(sorted(shared.elements(), key=atom_order)): common})
        return floordiv(floordiv(numerator, factor), floordiv(denominator, factor))
    if isinstance(numerator, int):
        numerator = Dim((((), numerator),))  # a degenerate one, so that atoms are made of Dims
    return _size({(Quotient(numerator, denominator),): 1})


def _without_inner_maximum(value: Dim) -> Size | None:
    """a - b for max(a, 0) - b where b is never negative: above 0 they are the same. Else None."""
    for monomial, coefficient in value.terms:
        inner = monomial[0] if len(monomial) == coefficient == 1 else None
        if isinstance(inner, Positive):
            rest = value - _size({monomial: 1})
            if never_negative(terms_of(-rest)):
                return inner.value + rest
    return None


def _evaluate_atom(atom: Atom, sizes: Sizes) -> int:
    if isinstance(atom, Quotient):
        divisor = evaluate(atom.denominator, sizes)
        if divisor == 0:
            raise ShapeError(f"the size {atom} divides by {atom.denominator}, which is 0")
        return evaluate(atom.numerator, sizes) // divisor
    if isinstance(atom, Positive):
        return max(evaluate(atom.value, sizes), 0)
    if atom not in sizes:
        raise ShapeError(f"the size of dimension {atom} is not known")
    return sizes[atom]


def _readable(terms: Terms) -> Terms:
    """The same sum with fewer subtractions: floordiv(n + 1, 2), not n - floordiv(n, 2)."""
    shown = dict(terms)
    for monomial, coefficient in terms:
        atom = monomial[0] if len(monomial) == 1 else None
        if coefficient == -1 and isinstance(atom, Quotient) and isinstance(atom.denominator, int):
            factors = [term for term in atom.numerator.terms if term[0]]
            if all(shown.get(factor, 0) > 0 for factor, _ in factors):
                for factor, _ in factors:
                    shown[factor] -= 1
                del shown[monomial]
                whole = _size(dict.fromkeys([factor for factor, _ in factors], atom.denominator))
                mirrored = cast(Dim, whole - atom.numerator + (atom.denominator - 1))
                shown[(Quotient(mirrored, atom.denominator),)] = 1
    return tuple((m, c) for m, c in sorted(shown.items(), key=term_order) if c)
