"""One event that makes several levels fail is paid for once."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import combinations

from schemas.remedy import SingleEvent
from services.core.exact.arithmetic import ZERO
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
    """The best set of credits that may stand side by side; the first of equal ones."""
    levels = {amounts[index].level for index in indexes}
    worth = _KEEPS[term.keep](context, term, [amounts[index] for index in indexes])
    best: tuple[int, ...] = ()
    most = Fraction(-1)
    for size in range(1, len(levels) + 1):
        for chosen in combinations(sorted(levels, key=str), size):
            if not _may_stand(term, chosen):
                continue
            own = tuple(index for index in indexes if amounts[index].level in chosen)
            value = sum((worth(amounts[index]) for index in own), ZERO)
            if value > most:
                best, most = own, value
    return best


def _may_stand(term: SingleEvent, levels: Sequence[str | None]) -> bool:
    pairs = {frozenset(pair) for pair in term.adds}
    return all(frozenset(pair) in pairs for pair in combinations(levels, 2))


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
