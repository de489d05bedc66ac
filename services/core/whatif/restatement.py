"""What a settled period would come to by today's rules, beside the statement that stands.

A new release posts nothing by itself: a statement names the version of the rules that made it, and
where today's rules would settle its period otherwise, a person orders the restatement.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from schemas.base import written
from schemas.statement import LevelResult, LineKind, SettlementStatement, StatementLine
from services.core.settling.one_period import PeriodOutcome, Unsettled


@dataclass(frozen=True, slots=True)
class LineDifference:
    """A line that today's rules give another amount. None: the statement has no such line."""

    line: str
    kind: LineKind
    level: str | None
    for_period: str
    standing_minor: int | None
    today_minor: int | None


@dataclass(frozen=True, slots=True)
class HeldDifference:
    """A settled period that today's rules would settle otherwise; nothing of it is posted.

    ``today`` is Unsettled where today's rules would wait: then there is nothing to restate yet.
    ``other``: what differs beside the lines, in words.
    """

    standing: SettlementStatement
    today: PeriodOutcome
    lines: tuple[LineDifference, ...]
    other: tuple[str, ...]


def held_difference(
    standing: SettlementStatement, today: PeriodOutcome | None
) -> HeldDifference | None:
    """How a standing statement and today's outcome differ; None where they say the same.

    The words of steps are left out, and so is what only one of the two releases states: a figure
    that is named since is no difference. ``today`` is None where nothing covers the period.
    """
    if today is None:
        return None
    if isinstance(today, Unsettled):
        return HeldDifference(standing, today, (), ())
    lines = tuple(_lines(standing, today))
    other = (*_results(standing, today), *_rights(standing, today), *_figures(standing, today))
    if not lines and not other and standing.currency == today.currency:
        return None
    return HeldDifference(standing, today, lines, other)


def _lines(standing: SettlementStatement, today: SettlementStatement) -> Iterator[LineDifference]:
    then = {_key(line): line.minor_units for line in standing.lines}
    now = {_key(line): line.minor_units for line in today.lines}
    for key in dict.fromkeys((*now, *then)):
        if then.get(key) != now.get(key):
            yield LineDifference(*key, standing_minor=then.get(key), today_minor=now.get(key))


def _key(line: StatementLine) -> tuple[str, LineKind, str | None, str]:
    return line.line, line.kind, line.level, line.for_period


def _results(standing: SettlementStatement, today: SettlementStatement) -> Iterator[str]:
    then = {(each.level, each.subject, each.period): each for each in standing.results}
    now = {(each.level, each.subject, each.period): each for each in today.results}
    for key in dict.fromkeys((*now, *then)):
        was, would = _judged(then.get(key)), _judged(now.get(key))
        if was != would:
            level, subject, period = key
            of_whom = f" of {subject}" if subject else ""
            yield f"level {level}{of_whom} in {period}: {was}, today {would}"


def _judged(result: LevelResult | None) -> str:
    if result is None:
        return "not judged"
    words = [result.standing.replace("_", " ")]
    words += ["a default"] if result.defaulted else []
    words += [] if result.result is None else [f"result {written(result.result)}"]
    words += [] if result.points is None else [f"{written(result.points)} points"]
    return ", ".join(words)


def _rights(standing: SettlementStatement, today: SettlementStatement) -> Iterator[str]:
    then = {each.term: each.exercise_until for each in standing.rights}
    now = {each.term: each.exercise_until for each in today.rights}
    for term in dict.fromkeys((*now, *then)):
        if term not in now:
            yield f"right {term}: opened, today not"
        elif term not in then:
            yield f"right {term}: not opened, today opened"
        elif then[term] != now[term]:
            yield f"right {term}: until {then[term] or 'any day'}, today {now[term] or 'any day'}"


def _figures(standing: SettlementStatement, today: SettlementStatement) -> Iterator[str]:
    for name in sorted(standing.figures.keys() & today.figures.keys()):
        was, would = standing.figures[name], today.figures[name]
        if was != would:
            yield f"figure {name}: {_stated(was)}, today {_stated(would)}"


def _stated(value: object) -> str:
    return written(value) if isinstance(value, Fraction) else str(value)
