"""Exact numbers: rounding by a stated mode, parts of a unit, and how numbers are written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from math import ceil, floor

from schemas.bands import RoundingMode
from schemas.base import written
from schemas.credit import PartOfUnit
from schemas.money import exponent

_HALF = Fraction(1, 2)
MOST_SHOWN = 200
"""A longer ratio is told by its first decimals only."""
ZERO = Fraction(0)
ONE = Fraction(1)
HUNDRED = Fraction(100)

# Each takes a value that is not negative; the sign is put back afterwards, so that "up" is away
# from zero and an amount owed one way rounds as the same amount owed the other way.
_MODES: dict[RoundingMode, Callable[[Fraction], int]] = {
    "half_up": lambda value: floor(value + _HALF),
    "half_down": lambda value: ceil(value - _HALF),
    "half_even": round,
    "up": ceil,
    "down": floor,
}

_PARTS: dict[PartOfUnit, Callable[[Fraction], Fraction]] = {
    "counts_in_full": lambda value: Fraction(ceil(value)),
    "does_not_count": lambda value: Fraction(floor(value)),
    "in_proportion": lambda value: value,
}

_PART_WORDS: dict[PartOfUnit, str] = {
    "counts_in_full": "a part counts in full",
    "does_not_count": "a part does not count",
    "in_proportion": "a part counts in proportion",
}


def rounded(value: Fraction, decimals: int, mode: RoundingMode) -> Fraction:
    """The value at so many decimals."""
    scale = 10**decimals
    whole = _MODES[mode](abs(value) * scale)
    return Fraction(whole if value >= 0 else -whole, scale)


def whole_units(value: Fraction, part: PartOfUnit) -> Fraction:
    """Units that are not negative, with a part of one taken as agreed."""
    return _PARTS[part](value)


def part_words(part: PartOfUnit) -> str:
    """The agreed word on a part of a unit, for an explanation."""
    return _PART_WORDS[part]


def percent_of(percent: Fraction, amount: Fraction) -> Fraction:
    """So many percent of an amount, exact."""
    return percent * amount / HUNDRED


def listed(names: Sequence[str], most: int = 5) -> str:
    """Names for people: the first few, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def number_text(value: Fraction) -> str:
    """A number for people: decimals where it ends, else the ratio and about how much that is."""
    text = written(value)
    if "/" not in text:
        return text
    if len(text) > MOST_SHOWN:
        return f"about {written(rounded(value, 6, 'half_up'))}, a ratio of {len(text) - 1} digits"
    return f"{text} (about {written(rounded(value, 6, 'half_up'))})"


def money_text(value: Fraction, currency: str) -> str:
    """An amount in main units for people: ``5,000.00``; finer parts are shown, never rounded."""
    places = exponent(currency)
    scaled = value * 10**places
    if scaled.denominator != 1:
        return number_text(value)
    whole, _, decimals = written(abs(value)).partition(".")
    sign = "-" if value < 0 else ""
    ending = f".{decimals.ljust(places, '0')}" if places else ""
    return f"{sign}{int(whole):,}{ending}"
