"""One event that makes several levels fail is paid for once."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import combinations

from schemas.remedy import SingleEvent
from services.core.exact.arithmetic import ZERO
from services.core.inputs.context import PeriodContext
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
    fact = context.inputs.circumstance(term.circumstance, amount.level, amount.subject)
    stated = fact.circumstance.values.get("event") if fact is not None else None
    return None if stated is None else str(stated)


def _kept(
    context: PeriodContext, term: SingleEvent, amounts: Sequence[DraftLine], indexes: Sequence[int]
) -> tuple[int, ...]:
    """The best set of credits that may stand side by side; the first of equal ones."""
    levels = {amounts[index].level for index in indexes}
    worth = _KEEPS[term.keep](context, term, levels)
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


def _chosen(context: PeriodContext, term: SingleEvent, levels: Collection[str | None]) -> Worth:
    """The level that the buyer chooses; the largest credit while the choice is of none of these."""
    stated = context.inputs.circumstances(term.choice or "")
    level = stated[-1].circumstance.level if stated else None
    if level is None or level not in levels:
        return lambda amount: amount.value
    return lambda amount: Fraction(amount.level == level)


_KEEPS: dict[str, Callable[[PeriodContext, SingleEvent, Collection[str | None]], Worth]] = {
    "largest_credit": _largest,
    "highest_share": _highest_share,
    "chosen": _chosen,
}


def _without(context: PeriodContext, amount: DraftLine, event: str) -> DraftLine:
    text = f"{context.money(amount.value)} is not paid: event {event} is paid for by another level"
    return amount.becomes(ZERO, step("single-event", "single_event", text, ZERO))
