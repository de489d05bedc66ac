"""How much of each level's credits is taken already, and what may still be taken of them.

What takes are balances that are set off, and credits that come back.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from typing import Self

from schemas.statement import LineKind
from services.core.exact.arithmetic import ZERO
from services.core.inputs.worksheet import OWED_BY_VENDOR

LevelName = str | None
"""None: credits of no single level, such as those of points."""
Levels = tuple[str, ...]
"""Whose credits are taken. Empty: everything."""


@dataclass(slots=True)
class CreditRoom:
    """The credits of a period by level, and how much of each is taken, in main units.

    What was taken stays taken in its amount. From which of its levels is decided as late as
    possible, so that what takes of few levels finds room wherever one of many levels can give way.
    """

    credits: Mapping[LevelName, Fraction]
    _taken: dict[tuple[Levels, LevelName], Fraction] = field(default_factory=dict)

    @classmethod
    def of(cls, amounts: Iterable[tuple[LineKind, LevelName, Fraction]]) -> Self:
        """Of lines by kind, level and amount; nothing is taken yet."""
        credits: dict[LevelName, Fraction] = {}
        for kind, level, value in amounts:
            if kind in OWED_BY_VENDOR:
                credits[level] = credits.get(level, ZERO) + value
        return cls(credits)

    def left(self, levels: Levels) -> Fraction:
        """The most that may be taken of these levels."""
        aside = CreditRoom(self.credits, dict(self._taken))
        return aside.take(levels, sum(self.credits.values(), ZERO) - sum(self._taken.values()))

    def take(self, levels: Levels, at_most: Fraction) -> Fraction:
        """Take so much, or what there is; how much it was."""
        took = ZERO
        while took < at_most and (way := self._way(levels)):
            amount = min(at_most - took, self._width(way))
            self._shift(way, amount)
            took += amount
        return took

    def _within(self, levels: Levels) -> Sequence[LevelName]:
        return [one for one in self.credits if not levels or one in levels]

    def _used(self, level: LevelName) -> Fraction:
        return sum((value for (_, one), value in self._taken.items() if one == level), ZERO)

    def _way(self, levels: Levels) -> list[tuple[Levels, LevelName]]:
        """Who takes from which level instead, so that room comes free; empty where none does.

        Each takes from its level and leaves that of the one before; the last level has room.
        """
        ways: list[list[tuple[Levels, LevelName]]] = [[]]
        takers, seen = [levels], {levels}
        while takers:
            taker, way = takers.pop(0), ways.pop(0)
            for level in self._within(taker):
                if self.credits[level] > self._used(level):
                    return [*way, (taker, level)]
                for (other, one), value in self._taken.items():
                    if one == level and value and other not in seen:
                        seen.add(other)
                        takers.append(other)
                        ways.append([*way, (taker, level)])
        return []

    def _width(self, way: Sequence[tuple[Levels, LevelName]]) -> Fraction:
        """How much can go this way at once."""
        last = way[-1][1]
        held = [self._taken[taker, level] for (_, level), (taker, _) in pairwise(way)]
        return min([self.credits[last] - self._used(last), *held])

    def _shift(self, way: Sequence[tuple[Levels, LevelName]], amount: Fraction) -> None:
        for step in way:
            self._taken[step] = self._taken.get(step, ZERO) + amount
        for (_, level), (taker, _) in pairwise(way):
            self._taken[taker, level] -= amount
