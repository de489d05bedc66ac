"""Where occurrences over the end of a period count: stated before one is priced, and kept."""

from __future__ import annotations

from collections.abc import Iterator

from schemas.agreement import Agreement
from schemas.credit import Duration
from schemas.programme import (
    AvailabilityByOutages,
    OutageTime,
    Programme,
    TicketsInTime,
)
from services.core.contracts.wording import FieldPath, Finding

_MAY_BE_SILENT = (AvailabilityByOutages, OutageTime)
"""Measures whose own figure needs no convention: time is cut at the end of a period."""


def broken_occurrences(agreement: Agreement, programme: Programme) -> Iterator[Finding]:
    """Terms that count occurrences which nothing says where they count."""
    for path, term, name in _of_each(agreement):
        metric = programme.metric(name)
        if metric is None:
            continue
        measure = metric.measure
        silent = isinstance(measure, _MAY_BE_SILENT) and measure.across_periods is None
        if silent and term.across_periods is None:
            reason = f"{name} does not say where an outage over the end of a period counts"
            remedy = "state across_periods at the metric or here: begins, ends or split"
            yield Finding(path, reason, remedy)
        if term.across_periods == "split" and isinstance(measure, TicketsInTime):
            reason = f"the tickets of {name} are not cut at the end of a period"
            yield Finding((*path, "across_periods"), reason, "write begins or ends")


def occurrences_moved(agreement: Agreement, other: Agreement) -> Iterator[Finding]:
    """A term keeps where occurrences count: one over the change would count twice, or nowhere."""
    before = {_place(other, path): term for path, term, _ in _of_each(other)}
    for path, term, _ in _of_each(agreement):
        was = before.get(_place(agreement, path))
        if was is None or was.across_periods == term.across_periods:
            continue
        reason = (
            f"in version {other.version} it is {was.across_periods or 'as the metric says'}, so "
            "what reaches over the change of version would count twice or not at all"
        )
        remedy = (
            "keep it, or change it at the metric, where each occurrence counts by the version in "
            "which it began"
        )
        yield Finding((*path, "across_periods"), reason, remedy)


def _of_each(agreement: Agreement) -> Iterator[tuple[FieldPath, Duration, str]]:
    """The durations of single occurrences, with their paths and metrics."""
    for index, level in enumerate(agreement.levels):
        for number, credit in enumerate(level.credits):
            term = credit.quantity
            if isinstance(term, Duration) and term.of == "each":
                path: FieldPath = ("levels", index, "credits", number, "quantity")
                yield path, term, term.metric or level.metric


def _place(agreement: Agreement, path: FieldPath) -> tuple[str, str | None]:
    """What a term is known by in every version: its level and the credit's name."""
    level = agreement.levels[int(path[1])]
    return level.level, level.credits[int(path[3])].name
