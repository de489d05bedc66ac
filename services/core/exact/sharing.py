"""Splitting an amount so that the parts add up to it: largest remainder."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import floor

from services.core.exact.arithmetic import ZERO


def largest_remainder(exact: Sequence[Fraction], total: int) -> list[int]:
    """Whole units near the exact parts that add up to ``total``.

    ``total`` is the sum of the parts rounded to a whole unit in any direction. Each part gets its
    floor; the units that are left go to the parts with the largest remainder, the first of equal
    ones first. A part that is whole already never gets a unit.
    """
    shares = [floor(part) for part in exact]
    left = total - sum(shares)
    remainders = [part - share for part, share in zip(exact, shares, strict=True)]
    takers = sorted(
        (index for index, rest in enumerate(remainders) if rest),
        key=lambda index: (-remainders[index], index),
    )
    assert 0 <= left <= len(takers), "the total is not the rounded sum of the parts"
    for index in takers[:left]:
        shares[index] += 1
    return shares


def in_proportion(parts: Sequence[Fraction], total: Fraction) -> list[Fraction]:
    """The parts scaled so that they add up to ``total``; all zero when they add up to zero."""
    before = sum(parts, ZERO)
    if before == 0:
        return [ZERO for _ in parts]
    return [part * total / before for part in parts]
