"""Where a contract attributes occurrences: only where there are some, and all can be read."""

from __future__ import annotations

from collections.abc import Iterator

from schemas.agreement import Agreement
from schemas.composites import Composite
from schemas.level import Attribution, Level
from schemas.programme import (
    AvailabilityByOutages,
    DeliveryDelay,
    OutageCount,
    OutageTime,
    Programme,
    TicketsInTime,
)
from schemas.remedy import ByOccurrence
from services.core.contracts.references import metrics_in
from services.core.contracts.wording import FieldPath, Finding

_OF_OCCURRENCES = AvailabilityByOutages | OutageTime | OutageCount | TicketsInTime | DeliveryDelay


def broken_attributions(agreement: Agreement, programme: Programme) -> Iterator[Finding]:
    """Attributions without meaning, and terms of which it is open what is attributed of them."""
    for index, level in enumerate(agreement.levels):
        path: FieldPath = ("levels", index)
        if level.attributed is not None:
            yield from _of_level((*path, "attributed"), level, level.attributed, programme)
            yield from _other_metrics((*path, "credits"), level, programme)
    for index, term in enumerate(agreement.terminations):
        if isinstance(term, ByOccurrence):
            yield from _of_one_right(("terminations", index, "metric"), agreement, term)


def _of_level(
    path: FieldPath, level: Level, term: Attribution, programme: Programme
) -> Iterator[Finding]:
    metric = programme.metric(level.metric)
    if metric is not None and not isinstance(metric.measure, _OF_OCCURRENCES):
        reason = f"{metric.metric} has no occurrences that could be attributed"
        yield Finding(path, reason, "name a metric of outages, tickets or deliveries")
    if metric is not None and metric.slices is not None:
        reason = f"{metric.metric} counts slices of the clock, and a slice is nobody's occurrence"
        yield Finding(path, reason, "leave out the slices of the metric, or attribute nothing")
    parties = [share.attributed_to for share in term.shares]
    for index, party in enumerate(parties):
        if party in parties[:index]:
            reason = f"'{party}' is listed twice, and the first share counts"
            yield Finding((*path, "shares", index), reason, "keep one of them")
    if not any(share.percent for share in term.shares) and term.unattributed != "counts_in_full":
        reason = "every share is 0 %, so no occurrence ever counts"
        yield Finding((*path, "shares"), reason, "list whose occurrences count, with a percentage")


def _other_metrics(path: FieldPath, level: Level, programme: Programme) -> Iterator[Finding]:
    """Occurrences of another metric: nobody says whom they are attributed to."""
    for at, name in metrics_in(level.credits, path):
        if name != level.metric and _has_occurrences(name, programme):
            reason = (
                f"level {level.level} counts what is attributed of {level.metric}, and its credit "
                f"reads {name}, whose occurrences are not attributed"
            )
            remedy = f"read {level.metric}, or price {name} in a level of its own"
            yield Finding(at, reason, remedy)


def _has_occurrences(name: str, programme: Programme) -> bool:
    metric = programme.metric(name)
    if metric is None:
        return False
    if isinstance(metric.measure, Composite):
        return any(_has_occurrences(part, programme) for part in metric.measure.parts)
    return isinstance(metric.measure, _OF_OCCURRENCES)


def _of_one_right(path: FieldPath, agreement: Agreement, term: ByOccurrence) -> Iterator[Finding]:
    levels = [level for level in agreement.levels if level.metric == term.metric]
    for level in levels[1:]:
        if level.attributed != levels[0].attributed:
            reason = (
                f"levels {levels[0].level} and {level.level} attribute the occurrences of "
                f"{term.metric} differently, so it is open how long one took"
            )
            remedy = "look at a metric that one level counts, or attribute alike"
            yield Finding(path, reason, remedy)
            return
