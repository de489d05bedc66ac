"""What of a period's credits has come back already, and how much still may.

A term that asks for periods without any credit gives back credits of several levels as one sum, and
others give back those of one level. They are held to one limit: from which level a sum comes is
left open, so it takes as much as those before it allow, and no credit comes back twice.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from schemas.agreement import Agreement
from schemas.statement import StatementLine
from services.core.adjusting.credit_room import CreditRoom, Levels
from services.core.exact.arithmetic import ZERO
from services.core.inputs.banking import minor_to_main
from services.core.inputs.context import PeriodContext
from services.core.inputs.worksheet import Balance, DraftLine, Worksheet


def still_to_return(
    context: PeriodContext, worksheet: Worksheet, levels: Levels, period: str, credit: Fraction
) -> Fraction:
    """The most that may still come back of a period's credits, in main units.

    ``levels``: whose credits they are, none named: all. ``credit``: what they came to, less what
    balances paid of it.
    """
    returned = list(_returned(context, worksheet, period))
    room = _credits_of(context, worksheet, period)
    for own, amount in returned:
        room.take(own, amount)
    within = sum(
        (amount for own, amount in returned if not levels or (own and set(own) <= set(levels))),
        ZERO,
    )
    return max(min(room.left(levels), credit - within), ZERO)


def line_name(name: str, level: str | None, period: str) -> str:
    """The name of a line by which a period's credit comes back."""
    whose = f"{level}/" if level else ""
    return f"earn-back/{name}/{whose}{period}"


def _credits_of(context: PeriodContext, worksheet: Worksheet, period: str) -> CreditRoom:
    """The credits of the period by level, of which nothing has come back."""
    if period == context.period:
        return CreditRoom.of((one.kind, one.level, one.value) for one in worksheet.amounts)
    row = context.history.of(period)
    assert row is not None, "what comes back was credited in a period that is settled"
    return CreditRoom.of(
        (one.kind, one.level, minor_to_main(context, one.minor_units)) for one in row.lines or ()
    )


def _returned(
    context: PeriodContext, worksheet: Worksheet, period: str
) -> Iterator[tuple[Levels, Fraction]]:
    """Each amount that came back of a period's credits, and of which levels, in order."""
    for row in context.history.since(period):
        for line in row.lines or ():
            if _is_of(line, period):
                yield _levels(row.version, line, period), -minor_to_main(context, line.minor_units)
        yield from _put_by(context, row.version, row.period, row.balances, period)
    for draft in worksheet.amounts:
        if _is_of(draft, period):
            yield _levels(context.version, draft, period), -draft.value
    yield from _put_by(context, context.version, context.period, worksheet.balances, period)


def _is_of(line: StatementLine | DraftLine, period: str) -> bool:
    return line.kind == "earn_back" and line.for_period == period


def _levels(version: Agreement, line: StatementLine | DraftLine, period: str) -> Levels:
    if line.level is not None:
        return (line.level,)
    terms = (
        term.levels
        for term in version.earn_backs
        if line_name(term.earn_back, None, period) == line.line
    )
    return next(terms, ())


def _put_by(
    context: PeriodContext,
    version: Agreement,
    given_in: str,
    balances: tuple[Balance, ...],
    period: str,
) -> Iterator[tuple[Levels, Fraction]]:
    """What came back as balances that a period gave, used up or not.

    A balance cannot be used in the period that gives it, so that period always remembers it.
    """
    terms = {term.earn_back: term.levels for term in version.earn_backs}
    for balance in balances:
        given = balance.given
        if given is None or (given.period, balance.for_period) != (given_in, period):
            continue
        levels = (given.level,) if given.level is not None else terms.get(balance.name, ())
        yield levels, minor_to_main(context, given.minor)
