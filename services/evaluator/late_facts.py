"""Which closed periods the frames stored since may change. Too many is harmless, too few is not.

A period that is named here is counted again, and where nothing has changed nothing follows.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from schemas.period import first_day, next_label
from services.catalogue.snapshot import Catalogue
from services.core.calendar.windows import overlaps
from services.core.counting.carried import carries
from services.evaluator import answered, evaluation_store, queue_store
from services.evaluator.fact_reader import NO_METRIC
from services.evaluator.link_store import AgreementPlace
from services.evaluator.queue_store import FactsOfFrame, StatedByFrame
from services.shell.faults import faultpoint
from services.shell.logs import log, stack_of
from services.shell.postgres import Connection

AT_ONCE = 500
"""Frames looked at before what they change is written down."""


@dataclass(frozen=True, slots=True)
class Frame:
    """What is known of a stored frame without reading it."""

    partition: int
    number: int
    min_us: int
    max_us: int
    metrics: tuple[int, ...]

    @property
    def key(self) -> tuple[int, int]:
        """Its partition and number."""
        return self.partition, self.number


async def scan(connection: Connection, catalogue: Catalogue) -> bool:
    """Look at the frames that nobody has looked at; whether there may be more.

    Writes what it found and how far it came in one transaction.
    """
    frames = await _next_frames(connection)
    if not frames:
        return False
    facts = [
        FactsOfFrame(frame.partition, frame.number, metric, frame.min_us, frame.max_us, "facts")
        for frame in frames
        for metric in frame.metrics
        if metric != NO_METRIC
    ]
    stated: list[StatedByFrame] = []
    for row in await answered.places_of_frames(connection, [each.key for each in frames]):
        if isinstance(row.place, AgreementPlace):
            stated.append(StatedByFrame(row.partition, row.number, row.place))
        elif (metric := catalogue.numbers.get((row.place.programme, row.place.metric))) is not None:
            at_us = row.place.at_us
            facts.append(FactsOfFrame(*row[:2], metric, at_us, at_us, "correction"))
    told = {
        (each.place.agreement, period)
        for each, period in await queue_store.stated_for(connection, stated)
        if _is_told(catalogue, period, each.place)
    }
    async with connection.transaction():
        await queue_store.touch(connection, facts)
        await evaluation_store.enqueue_recounts(connection, told, "charge or circumstance")
        await evaluation_store.scan_to(connection, {each.partition: each.number for each in frames})
        faultpoint("late.before-commit")
    faultpoint("late.after-commit")
    return len(frames) == AT_ONCE


async def _next_frames(connection: Connection) -> list[Frame]:
    """Frames that were not looked at, in order, with facts or without."""
    rows = await connection.fetch(
        "select f.partition, f.number, f.min_us, f.max_us, f.metrics"
        "  from (select distinct partition from progress) p"
        "  left join touch_scan s using (partition)"
        "  cross join lateral ("
        "    select partition, number, min_us, max_us, metrics from fact_frame"
        "     where partition = p.partition and number > coalesce(s.number, -1)"
        "     order by number limit $1) f"
        " order by f.partition, f.number limit $1",
        AT_ONCE,
    )
    return [
        Frame(
            row["partition"],
            row["number"],
            row["min_us"] or 0,
            row["max_us"] or 0,
            tuple(row["metrics"]),
        )
        for row in rows
    ]


def _is_told(catalogue: Catalogue, period: str, place: AgreementPlace) -> bool:
    """Whether a period's evaluation carries what is stated; a label of no period is in none."""
    if place.until == date.max:
        return first_day(next_label(period)) > place.since
    versions = catalogue.agreements.get(place.agreement)
    if not versions:  # left out of the catalogue: any fact may change its periods
        return True
    programmes = catalogue.programmes[versions[-1].programme]
    try:
        return overlaps(period, place.label) or carries(
            programmes, versions, period, place.label, place.name
        )
    except ValueError:
        return False
    except Exception as error:  # too many is harmless, too few is not
        told = {"agreement": place.agreement, "traceback": stack_of(error)}
        log(__name__).error("late_facts_unclear", **told)
        return True
