"""How much of each level's credits is set off already, and what a balance may still pay for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from typing import Self

from services.core.exact.arithmetic import ZERO
from services.core.inputs.worksheet import OWED_BY_VENDOR, Worksheet

LevelName = str | None
"""None: credits of no single level, such as those of points."""
Levels = tuple[str, ...]
"""What a balance pays for. Empty: everything."""


@dataclass(slots=True)
class SetOffRoom:
    """The credits of a period by level, and how much of each the balances take, in main units.

    What a balance took stays taken in its amount. From which of its levels is decided as late as
    possible, so that a balance of few levels finds room wherever one of many levels can give way.
    """

    credits: Mapping[LevelName, Fraction]
    _taken: dict[tuple[Levels, LevelName], Fraction] = field(default_factory=dict)

    @classmethod
    def of(cls, worksheet: Worksheet) -> Self:
        """Nothing is set off yet."""
        credits: dict[LevelName, Fraction] = {}
        for one in worksheet.amounts:
            if one.kind in OWED_BY_VENDOR:
                credits[one.level] = credits.get(one.level, ZERO) + one.value
        return cls(credits)

    def left(self, levels: Levels) -> Fraction:
        """The most that a balance for these levels may take."""
        aside = SetOffRoom(self.credits, dict(self._taken))
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
