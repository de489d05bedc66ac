"""Levels that move: raised by a run of good periods, or found from a baseline.

What is in force follows from the earlier results alone, each of which keeps the level it was
judged by; nothing is carried beside them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, get_args

from schemas.agreement import Agreement
from schemas.bands import Rounding, Threshold
from schemas.base import kept
from schemas.level import Baseline, Level, Ratchet
from schemas.period import next_label
from schemas.statement import LevelResult, Tie
from services.core.exact.arithmetic import ZERO, percent_of, rounded
from services.core.inputs.context import PeriodContext


@dataclass(frozen=True, slots=True)
class LevelInForce:
    """What a level asks for in one period. None: nothing yet."""

    expected: Threshold | None
    minimum: Threshold | None


def in_force(level: Level, earlier: Iterable[LevelResult]) -> LevelInForce:
    """The level for the period after ``earlier``, results under the same term, latest first."""
    if level.moves is None:
        return LevelInForce(level.expected, level.minimum)
    return _MOVES[type(level.moves)](level, level.moves, earlier)


@dataclass(frozen=True, slots=True)
class UnderSameTerm(Iterable[LevelResult]):
    """A level's earlier results as far back as its term is the same, the latest first.

    A version that states another level, or another way to move it, begins anew. ``own``: those of
    the same settlement period, in order. Only those are here where the level does not move: nothing
    looks back then.
    """

    context: PeriodContext
    level: Level
    subject: str | None
    own: Sequence[LevelResult]

    def __iter__(self) -> Iterator[LevelResult]:
        yield from reversed(self.own)
        if self.level.moves is None:
            return
        for settled in self.context.history.latest_first():
            if not _same(level_of(settled.version, self.level.level), self.level):
                return
            for result in reversed(settled.results):
                if (result.level, result.subject) == (self.level.level, self.subject):
                    yield result


def level_of(version: Agreement, name: str) -> Level | None:
    """A version's level of that name."""
    return next((one for one in version.levels if one.level == name), None)


def _same(one: Level | None, other: Level) -> bool:
    if one is None:
        return False
    return (one.metric, one.expected, one.minimum, one.moves) == (
        other.metric,
        other.expected,
        other.minimum,
        other.moves,
    )


def word_of(threshold: Threshold) -> Tie:
    """Which of the four words a limit uses."""
    return next(word for word in get_args(Tie) if getattr(threshold, word) is not None)


def _limit(word: str, value: Fraction) -> Threshold:
    return Threshold.model_validate({word: value})


def _as_agreed(how: Any, value: Fraction) -> Fraction:
    return rounded(value, how.decimals, how.mode) if isinstance(how, Rounding) else kept(value)


def _raised(level: Level, term: Ratchet, earlier: Iterable[LevelResult]) -> LevelInForce:
    assert level.expected is not None
    word = word_of(level.expected)
    latest = next(iter(earlier), None)
    last = None if latest is None else latest.expected
    now = level.expected.limit if last is None else last
    run = _run(term, earlier, lambda result: _is_good(term.asks, result, now))
    if len(run) < term.periods:
        return LevelInForce(_limit(word, now), level.minimum)
    mean = sum(run, ZERO) / len(run)
    new = now + percent_of(term.way_to_mean, mean - now)
    if term.at_most_of_gap is not None and term.perfect is not None:
        most = now + percent_of(term.at_most_of_gap, term.perfect - now)
        new = min(new, most) if level.expected.higher_is_met else max(new, most)
    return LevelInForce(_limit(word, _as_agreed(term.rounded, new)), level.minimum)


def _is_good(asks: str, result: LevelResult, level: Fraction) -> bool:
    """Met under the level that is still in force; better than it where that is asked."""
    if result.expected != level or result.result is None:
        return False
    if asks == "any_result":
        return True
    if result.standing != "met":
        return False
    return asks == "met" or result.result != level


def _found(_: Level, term: Baseline, earlier: Iterable[LevelResult]) -> LevelInForce:
    known = next((one for one in earlier if one.expected is not None), None)
    if known is not None and known.expected is not None:
        minimum = None if known.minimum is None else _limit(term.tie, known.minimum)
        return LevelInForce(_limit(term.tie, known.expected), minimum)
    run = _run(term, earlier, lambda _: True)
    if len(run) < term.periods:
        return LevelInForce(None, None)
    mean = _as_agreed(term.rounded, sum(run, ZERO) / len(run))
    worst = min(run) if term.tie in ("at_least", "above") else max(run)
    minimum = _limit(term.tie, worst) if term.minimum == "worst" else None
    return LevelInForce(_limit(term.tie, mean), minimum)


def _run(
    term: Ratchet | Baseline,
    earlier: Iterable[LevelResult],
    good: Callable[[LevelResult], bool],
) -> list[Fraction]:
    """The results of the unbroken run that ends with the latest period, as many as asked."""
    values: list[Fraction] = []
    wanted = None
    for result in earlier:
        adjacent = wanted is None or result.period == wanted
        wanted = next_label(result.period, -1)
        if not adjacent or len(values) == term.periods:
            break
        if result.result is None and term.no_data == "is_passed_over":
            continue
        if result.result is None or not good(result):
            break
        values.append(result.result)
    return values


_MOVES: dict[type, Callable[[Level, Any, Iterable[LevelResult]], LevelInForce]] = {
    Ratchet: _raised,
    Baseline: _found,
}
