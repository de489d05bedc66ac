"""Where a contract looks at the worth of deliveries: only where single ones are counted."""

from __future__ import annotations

from collections.abc import Iterator

from schemas.agreement import Agreement
from schemas.credit import (
    Amount,
    Credit,
    DayOf,
    Duration,
    FractionOf,
    PercentOf,
    WorthLimit,
    WorthOf,
    WorthOfEach,
)
from schemas.programme import DeliveryDelay, Programme
from services.core.contracts.wording import FieldPath, Finding

_PRICES_EACH = (WorthOf, Amount, PercentOf, FractionOf, DayOf)
"""Rates that price a unit of one occurrence as one of any other: the sum is that of its parts."""


def broken_worths(agreement: Agreement, programme: Programme) -> Iterator[Finding]:
    """Terms that look at a worth that nothing they look at can state."""
    for index, level in enumerate(agreement.levels):
        for number, credit in enumerate(level.credits):
            path: FieldPath = ("levels", index, "credits", number)
            yield from _of_credit(path, credit, level.metric, programme)
    for index, cap in enumerate(agreement.caps):
        if isinstance(cap.limit, WorthLimit):
            yield _without_deliveries(("caps", index, "limit"))
    failure = agreement.critical_failure
    if failure is not None and isinstance(failure.withheld_at_most, WorthLimit):
        yield _without_deliveries(("critical_failure", "withheld_at_most"))


def _of_credit(
    path: FieldPath, credit: Credit, metric: str, programme: Programme
) -> Iterator[Finding]:
    single = _counts_deliveries(credit, metric, programme)
    if isinstance(credit.rate, WorthOf) and not single:
        reason = "worth_of needs a duration of deliveries that state their worth"
        remedy = "count a duration of: each of a metric of deliveries, or use another rate"
        yield Finding((*path, "rate"), reason, remedy)
    if isinstance(credit.at_most, WorthLimit | WorthOfEach) and not single:
        reason = f"{credit.at_most.kind} needs a duration of deliveries that state their worth"
        remedy = "count a duration of: each of a metric of deliveries, or use another limit"
        yield Finding((*path, "at_most"), reason, remedy)
    elif isinstance(credit.at_most, WorthOfEach) and not isinstance(credit.rate, _PRICES_EACH):
        reason = f"{credit.rate.kind} prices all deliveries together, and the ceiling is of each"
        yield Finding((*path, "at_most"), reason, "use worth_of as rate, or as limit")


def _counts_deliveries(credit: Credit, metric: str, programme: Programme) -> bool:
    """Whether its quantity is of single deliveries: nothing else states a worth."""
    quantity = credit.quantity
    if not isinstance(quantity, Duration) or quantity.of != "each":
        return False
    counted = programme.metric(quantity.metric or metric)
    return counted is None or isinstance(counted.measure, DeliveryDelay)


def _without_deliveries(path: FieldPath) -> Finding:
    reason = "worth_of is a ceiling of the deliveries that one credit counts, and here are none"
    return Finding(path, reason, "use it as at_most of a credit, or another limit here")
