"""One event that makes several levels fail is paid for once."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import combinations

from schemas.remedy import SingleEvent
from services.core.arithmetic import ZERO
from services.core.case import Amount, Case, Sheet, counts, step


def apply_single_event(case: Case, sheet: Sheet) -> Sheet:
    """Of each event's credits only those stand that the agreement keeps."""
    term = case.version.single_event
    if term is None:
        return sheet
    by_event: dict[str, list[int]] = {}
    for index, amount in enumerate(sheet.amounts):
        event = _event_of(case, term, amount)
        if event is not None and counts(amount) and amount.value > 0:
            by_event.setdefault(event, []).append(index)
    dropped: dict[int, str] = {}
    for event, indexes in by_event.items():
        kept = _kept(case, term, sheet.amounts, indexes)
        dropped |= {index: event for index in indexes if index not in kept}
    amounts = tuple(
        _without(case, amount, dropped[index]) if index in dropped else amount
        for index, amount in enumerate(sheet.amounts)
    )
    return replace(sheet, amounts=amounts)


def _event_of(case: Case, term: SingleEvent, amount: Amount) -> str | None:
    fact = case.known.circumstance(term.circumstance, amount.level, amount.subject)
    stated = fact.circumstance.values.get("event") if fact is not None else None
    return None if stated is None else str(stated)


def _kept(
    case: Case, term: SingleEvent, amounts: Sequence[Amount], indexes: Sequence[int]
) -> tuple[int, ...]:
    """The best set of credits that may stand side by side; the first of equal ones."""
    levels = {amounts[index].level for index in indexes}
    worth = _KEEPS[term.keep](case, term, levels)
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


Worth = Callable[[Amount], Fraction]


def _largest(*_: object) -> Worth:
    return lambda amount: amount.value


def _highest_share(*_: object) -> Worth:
    return lambda amount: amount.weight if amount.weight is not None else ZERO


def _chosen(case: Case, term: SingleEvent, levels: Collection[str | None]) -> Worth:
    """The level that the buyer chooses; the largest credit while the choice is of none of these."""
    stated = case.known.circumstances(term.choice or "")
    level = stated[-1].circumstance.level if stated else None
    if level is None or level not in levels:
        return lambda amount: amount.value
    return lambda amount: Fraction(amount.level == level)


_KEEPS: dict[str, Callable[[Case, SingleEvent, Collection[str | None]], Worth]] = {
    "largest_credit": _largest,
    "highest_share": _highest_share,
    "chosen": _chosen,
}


def _without(case: Case, amount: Amount, event: str) -> Amount:
    text = f"{case.money(amount.value)} is not paid: event {event} is paid for by another level"
    return amount.becomes(ZERO, step("single-event", "single_event", text, ZERO))
