"""One event that makes several levels fail is paid for once."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction

from schemas.remedy import SingleEvent
from services.core.exact.arithmetic import ZERO
from services.core.exact.compatible import compatible_sets
from services.core.inputs.absence import wait_for
from services.core.inputs.blockers import InvalidDeclaration
from services.core.inputs.context import PeriodContext
from services.core.inputs.known import precedence
from services.core.inputs.stated import misstated_text
from services.core.inputs.worksheet import DraftLine, Worksheet, counts, step


def apply_single_event(context: PeriodContext, worksheet: Worksheet) -> Worksheet:
    """Of each event's credits only those stand that the agreement keeps."""
    term = context.version.single_event
    if term is None:
        return worksheet
    by_event: dict[str, list[int]] = {}
    for index, amount in enumerate(worksheet.amounts):
        event = _event_of(context, term, amount)
        if event is not None and counts(amount) and amount.value > 0:
            by_event.setdefault(event, []).append(index)
    dropped: dict[int, str] = {}
    for event, indexes in by_event.items():
        kept = _kept(context, term, worksheet.amounts, indexes)
        dropped |= {index: event for index in indexes if index not in kept}
    amounts = tuple(
        _without(context, amount, dropped[index]) if index in dropped else amount
        for index, amount in enumerate(worksheet.amounts)
    )
    return replace(worksheet, amounts=amounts)


def _event_of(context: PeriodContext, term: SingleEvent, amount: DraftLine) -> str | None:
    window = amount.measured or context.period
    fact = context.inputs.circumstance(term.circumstance, window, amount.level, amount.subject)
    stated = fact.circumstance.values.get("event") if fact is not None else None
    return None if stated is None else str(stated)


def _kept(
    context: PeriodContext, term: SingleEvent, amounts: Sequence[DraftLine], indexes: Sequence[int]
) -> tuple[int, ...]:
    """The best set of credits that may stand side by side; the first of equal ones.

    Of equal worth the set of fewer levels, then the one whose names come first.
    """
    levels = sorted({amounts[index].level for index in indexes}, key=str)
    worth = _KEEPS[term.keep](context, term, [amounts[index] for index in indexes])
    of_level: dict[str | None, Fraction] = dict.fromkeys(levels, ZERO)
    for index in indexes:
        of_level[amounts[index].level] += worth(amounts[index])
    chosen = best_together(of_level, term.adds)
    return tuple(index for index in indexes if amounts[index].level in chosen)


def best_together(
    worth: Mapping[str | None, Fraction], adds: Sequence[tuple[str, str]]
) -> tuple[str | None, ...]:
    """The levels of the greatest worth together of which every two are a pair of ``adds``.

    ``worth``: 0 or more, by level, in order. Of equal sets the smaller, then the first in order.
    Raises ValueError where the pairs make too many sets.
    """
    order = {level: place for place, level in enumerate(worth)}
    names = tuple(level for level in worth if level is not None)
    sets: list[list[str | None]] = [
        [level for level in worth if level in each] for each in compatible_sets(names, tuple(adds))
    ]
    sets += [[level] for level in worth if level is None]
    found = []
    for each in sets:
        worthy = [level for level in each if worth[level] > 0] or each[:1]
        total = sum((worth[level] for level in worthy), ZERO)
        found.append((-total, len(worthy), [order[level] for level in worthy], worthy))
    return tuple(min(found)[3]) if found else ()


Worth = Callable[[DraftLine], Fraction]


def _largest(*_: object) -> Worth:
    return lambda amount: amount.value


def _highest_share(*_: object) -> Worth:
    return lambda amount: amount.weight if amount.weight is not None else ZERO


def _chosen(context: PeriodContext, term: SingleEvent, lines: Sequence[DraftLine]) -> Worth:
    """The level that the buyer chooses; the largest credit while the choice is of none of these.

    Raises InvalidDeclaration where a choice names a subject or a time of some of the lines only,
    for a choice is between all of an event.
    """
    levels = {line.level for line in lines}
    chosen = {_choice(context, term.choice or "", line, levels) for line in lines}
    if len(chosen) > 1:
        raise InvalidDeclaration(
            f"the circumstance {term.choice} names a subject or a time of some credits of an event "
            f"only ({', '.join(line.line for line in lines)}); state it for {context.period} "
            "without 'subject'"
        )
    (level,) = chosen
    if level is None:
        if term.if_absent == "wait" and len(levels) > 1:
            failed = ", ".join(sorted(map(str, levels)))
            what = f"the choice {term.choice} of {context.period} names none of {failed}"
            wait_for(context, what, "single_event", "state it for the level that is paid")
        return lambda amount: amount.value
    return lambda amount: Fraction(amount.level == level)


def _choice(
    context: PeriodContext, name: str, line: DraftLine, levels: Collection[str | None]
) -> str | None:
    """The last choice for a line that names one of these levels."""
    window = line.measured or context.period
    of_any = [
        fact
        for level in sorted(filter(None, levels))
        for fact in context.inputs.statements(name, window, level, line.subject)
    ]
    for fact in of_any:
        if fact.circumstance.level is None:
            wanted = "the level whose credit stands"
            raise InvalidDeclaration(misstated_text(fact, "level", None, wanted))
    stated = [fact for fact in reversed(context.inputs.stated(name)) if fact in of_any]
    best = max(stated, key=precedence, default=None)
    return best.circumstance.level if best is not None else None


_KEEPS: dict[str, Callable[[PeriodContext, SingleEvent, Sequence[DraftLine]], Worth]] = {
    "largest_credit": _largest,
    "highest_share": _highest_share,
    "chosen": _chosen,
}


def _without(context: PeriodContext, amount: DraftLine, event: str) -> DraftLine:
    text = f"{context.money(amount.value)} is not paid: event {event} is paid for by another level"
    return amount.becomes(ZERO, step("single-event", "single_event", text, ZERO))
