"""The factors of symbolic sizes that are no plain numbers: names, whole quotients, positive parts.

`dim` writes sizes as sums of products of these. What is here needs no arithmetic on sizes: how
atoms are ordered, what names they hold, and which sums of them can't be negative.
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from graphwright.graph.dim import Dim, Size

Atom: TypeAlias = "str | Quotient | Positive"
Monomial: TypeAlias = tuple[Atom, ...]
Terms: TypeAlias = tuple[tuple[Monomial, int], ...]


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


def atom_order(atom: Atom) -> tuple[bool, str]:
    """Names first, by the alphabet; then the rest as they are printed."""
    return not isinstance(atom, str), str(atom)


def term_order(term: tuple[Monomial, int]) -> tuple[int, list[tuple[bool, str]]]:
    """Most factors first, then by the factors: a monomial order, as polynomial division needs."""
    monomial, _ = term
    return -len(monomial), [atom_order(atom) for atom in monomial]


def names_in(monomial: Monomial) -> frozenset[str]:
    """The named dimensions that a product of atoms depends on."""
    names: set[str] = set()
    for atom in monomial:
        if isinstance(atom, str):
            names.add(atom)
        else:
            inner = (atom.value,) if isinstance(atom, Positive) else atom
            for size in inner:
                for factors, _ in terms_of(size):
                    names |= names_in(factors)
    return frozenset(names)


def terms_of(size: Size) -> Terms:
    """The terms of a size; a number is one term without factors."""
    return (((), size),) if isinstance(size, int) else size.terms


def divide_term(
    monomial: Monomial, coefficient: int, denominator: Terms
) -> tuple[Monomial, int, int]:
    """(monomial', whole, rest): coefficient*monomial = denominator*whole*monomial' + rest*monomial.

    0 <= rest < the denominator's coefficient; all is rest when the denominator is a sum, or has a
    factor that `monomial` lacks.
    """
    quotient = list(monomial)
    for factor in denominator[0][0]:
        if factor not in quotient:
            return monomial, 0, coefficient
        quotient.remove(factor)
    if len(denominator) > 1:
        return monomial, 0, coefficient
    whole, rest = divmod(coefficient, denominator[0][1])
    return tuple(quotient), whole, rest


def term_text(monomial: Monomial, coefficient: int, *, first: bool) -> str:
    """One term with its sign, as it stands in a sum."""
    factors = [str(atom) for atom in monomial]
    if abs(coefficient) != 1 or not factors:
        factors.insert(0, str(abs(coefficient)))
    sign = ("-" if coefficient < 0 else "") if first else (" - " if coefficient < 0 else " + ")
    return sign + "*".join(factors)


class _Budget:
    """How many steps a proof may still take: sizes nested deeply could take any number."""

    def __init__(self) -> None:
        self.steps = 1000

    def spend(self) -> bool:
        self.steps -= 1
        return self.steps >= 0


def never_negative(terms: Iterable[tuple[Monomial, int]], budget: _Budget | None = None) -> bool:
    """True when the sum is shown to be zero or more for all values of its names, which are too.

    Quotients and positive parts that are subtracted are held against larger ones of the same kind,
    or replaced by what bounds them, until no coefficient is negative: n - floordiv(n, 2) is at
    least n - n/2. A False may only mean that this was too coarse.
    """
    budget = budget or _Budget()
    bound = {monomial: Fraction(coefficient) for monomial, coefficient in terms}
    if not all(_atom_never_negative(atom, budget) for monomial in bound for atom in monomial):
        return False
    while negative := [monomial for monomial, coefficient in bound.items() if coefficient < 0]:
        for monomial in negative:
            larger = _dominating(monomial, bound, budget) or _upper_bound(monomial, budget)
            if larger is None or not budget.spend():
                return False
            coefficient = bound.pop(monomial)
            for factors, part in larger:
                bound[factors] = bound.get(factors, Fraction(0)) + coefficient * part
    return True


def _dominating(
    monomial: Monomial, bound: dict[Monomial, Fraction], budget: _Budget
) -> list[tuple[Monomial, Fraction]] | None:
    """A term of `bound`, with as large a coefficient, that is never less than `monomial`."""
    if len(monomial) != 1:
        return None
    for other, coefficient in bound.items():
        if len(other) == 1 and coefficient >= -bound[monomial]:
            if not budget.spend():
                return None
            if _monotone(other[0], monomial[0], budget):
                return [(other, Fraction(1))]
    return None


def _monotone(larger: Atom, smaller: Atom, budget: _Budget) -> bool:
    """True when both are the same rising function, of one size and of one never greater."""
    if isinstance(larger, Positive) and isinstance(smaller, Positive):
        above, below = larger.value, smaller.value
    elif isinstance(larger, Quotient) and isinstance(smaller, Quotient):
        if larger.denominator != smaller.denominator:
            return False
        above, below = larger.numerator, smaller.numerator
    else:
        return False
    difference = dict(above.terms)
    for monomial, coefficient in below.terms:
        difference[monomial] = difference.get(monomial, 0) - coefficient
    return never_negative(difference.items(), budget)


def _atom_never_negative(atom: Atom, budget: _Budget) -> bool:
    if isinstance(atom, Quotient):
        return budget.spend() and all(never_negative(terms_of(size), budget) for size in atom)
    return True


def _upper_bound(monomial: Monomial, budget: _Budget) -> list[tuple[Monomial, Fraction]] | None:
    """Terms whose sum is at least `monomial`, none of whose atoms is negative; one atom is gone."""
    for position, atom in enumerate(monomial):
        if isinstance(atom, Quotient) and isinstance(atom.denominator, int):
            size, divisor = atom.numerator, atom.denominator
        elif isinstance(atom, Positive):
            size, divisor = atom.value, 1
        else:
            continue
        kept = [(factors, coefficient) for factors, coefficient in size.terms if coefficient > 0]
        if all(_atom_never_negative(inner, budget) for factors, _ in kept for inner in factors):
            others = monomial[:position] + monomial[position + 1 :]
            return [
                (tuple(sorted(others + factors, key=atom_order)), Fraction(coefficient, divisor))
                for factors, coefficient in kept
            ]
    return None
