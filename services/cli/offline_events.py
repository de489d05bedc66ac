"""Events from files: which count, and which are set aside with the reason."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date

from schemas.frame import Facts
from services.catalogue.snapshot import Catalogue
from services.cli.asked_periods import end_us
from services.cli.grouped import PlacedLine
from services.core.counting.evaluation import Ready
from services.core.events.facts import Row, columns
from services.core.events.horizon import Latest
from services.ingest.event_validator import ANYBODY, EventValidator
from services.ingest.rejection import EventRejection
from services.shell.http.problems import Fault


@dataclass(frozen=True, slots=True)
class UncountedEvent:
    """An event that does not count, where it stood, and why; ``also``: what else is wrong."""

    place: str
    what: str
    source: str | None
    id: str | None
    reason: str
    remedy: str
    also: tuple[Fault, ...] = ()

    def lines(self) -> list[PlacedLine]:
        """A line for each thing that is wrong with it."""
        who = " ".join(part for part in (self.what, self.source, self.id) if part)
        texts = [f"{self.reason}; {self.remedy}", *map(_told, self.also)]
        return [PlacedLine(self.place, who, text) for text in texts]


@dataclass(slots=True)
class AcceptedEvents:
    """The facts of events that count, how many were duplicates, and what does not count."""

    facts: Facts
    duplicates: int
    set_aside: list[UncountedEvent]


def accepted_events(
    catalogue: Catalogue,
    events: Iterable[tuple[str, bytes]],
    now_us: int,
    as_of: date | None = None,
) -> AcceptedEvents:
    """Judge events in the order in which they came, each identity once.

    ``now_us``: ahead of which no event may lie; ``as_of``: the end of this day instead.
    """
    latest = Latest()
    validator = EventValidator(catalogue, latest.of)
    if as_of is not None:  # exact: a day that is stated needs no tolerance for clocks
        zones = {one.time_zone for one in catalogue.programme_versions}
        now_us = max(end_us(as_of, zone) for zone in zones) - 1 - validator.ahead_us
    rows: list[Row] = []
    held: dict[bytes, bytes] = {}
    set_aside: list[UncountedEvent] = []
    duplicates = 0
    for place, raw in events:
        verdict = validator.admit(raw, ANYBODY, now_us)
        if isinstance(verdict, EventRejection):
            set_aside.append(_refused(place, verdict))
        elif verdict.identity not in held:
            held[verdict.identity] = verdict.payload
            rows.append(verdict)
            latest.accepted(verdict.source, verdict.at_us)
        elif held[verdict.identity] == verdict.payload:
            duplicates += 1
        else:
            set_aside.append(_conflict(place, verdict))
    return AcceptedEvents(columns(rows), duplicates, set_aside)


def _told(fault: Fault) -> str:
    field = f"{fault.pointer}: " if fault.pointer else ""
    return f"{field}{fault.reason}; {fault.remedy}"


def _refused(place: str, refusal: EventRejection) -> UncountedEvent:
    field = f"{refusal.pointer}: " if refusal.pointer else ""
    reason = f"{field}{refusal.detail}"
    return UncountedEvent(
        place, "refused", refusal.source, refusal.id, reason, refusal.remedy, refusal.also
    )


def _conflict(place: str, row: Row) -> UncountedEvent:
    return UncountedEvent(
        place,
        "conflict",
        row.source,
        row.id,
        "an event of that source and id came before with other content; the first counts",
        "send a correction of it, or give the new event an id of its own",
    )


def corrections_refused(stock: Ready) -> Iterator[UncountedEvent]:
    """The corrections that do not fit the events that they correct, or wait for them."""
    for each in stock.refused:
        yield UncountedEvent(
            "",
            "waiting correction" if each.waits else "refused correction",
            each.correction.source,
            each.correction.id,
            f"{each.problem.field}: {each.problem.reason}",
            each.problem.remedy,
        )
