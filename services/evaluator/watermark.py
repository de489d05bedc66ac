"""How far event time has come for an agreement, and which source holds it back."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from schemas.agreement import Agreement
from schemas.period import first_day, label_of, next_label, period_length
from schemas.period_cycle import same_length
from schemas.programme import Programme
from services.core.calendar.days import local_day
from services.core.calendar.windows import bounds_us, how_many, instant, window_of
from services.shell.frames import partition_of
from services.shell.postgres import Connection

HOUR_US = 3_600_000_000


@dataclass(frozen=True, slots=True)
class SourceMark:
    """How far one source has come.

    ``latest_us``: latest event time accepted, None for none. ``silent_s``: seconds of the wall
    clock since something of it was last applied, or since it was declared. ``behind``: records of
    its partition wait that are not applied.
    """

    source: str
    latest_us: int | None
    silent_s: float
    behind: bool


@dataclass(frozen=True, slots=True)
class Watermark:
    """``at_us``: no source that counts is behind it; None while one has said nothing.

    ``held_by``: the source that holds it there. ``idle``: sources that were passed over.
    """

    at_us: int | None
    held_by: str | None
    idle: tuple[str, ...]


def watermark(marks: Iterable[SourceMark], idle_after_s: float) -> Watermark:
    """The least event time over the sources that are not idle.

    A source is idle when everything its partition holds is applied and nothing of it has come for
    ``idle_after_s`` seconds. Where all are idle the latest of them counts: none can hold back the
    others any more.
    """
    every = sorted(marks, key=lambda mark: mark.source)
    idle = [mark for mark in every if not mark.behind and mark.silent_s >= idle_after_s]
    live = [mark for mark in every if mark not in idle]
    passed_over = tuple(mark.source for mark in idle)
    if not live:
        times = [mark.latest_us for mark in idle if mark.latest_us is not None]
        return Watermark(max(times, default=None), None, passed_over)
    least = min(live, key=lambda mark: -(2**63) if mark.latest_us is None else mark.latest_us)
    return Watermark(least.latest_us, least.source, passed_over)


def feeding(programmes: Iterable[Programme], metrics: Collection[str]) -> frozenset[str]:
    """The sources that list one of these metrics."""
    return frozenset(
        source.source
        for programme in programmes
        for source in programme.sources
        if not set(source.metrics).isdisjoint(metrics)
    )


async def source_marks(
    connection: Connection,
    app: str,
    topic: str,
    ends: Mapping[int, int] | None,
    sources: Collection[str],
) -> dict[str, SourceMark]:
    """How far these sources have come, as far as they are declared. ``ends``: of the topic's
    partitions, as the broker says; what it does not tell of counts as behind."""
    rows = await connection.fetch(
        "select partition, next_offset from progress where app = $1 and topic = $2", app, topic
    )
    reached = {row["partition"]: row["next_offset"] for row in rows}
    count = max([*reached, *(ends or {}), -1]) + 1
    known = ends or {}
    upto_date = {each for each, offset in reached.items() if offset >= known.get(each, 2**63)}
    found = await connection.fetch(
        "select o.source, l.latest_us, extract(epoch from clock_timestamp()"
        "   - coalesce(l.heard_at, o.declared_at))::float8 as silent_s"
        "  from source_owner o left join (select source, max(latest_us) as latest_us,"
        "    max(heard_at) as heard_at from source_latest group by source) l using (source)"
        " where o.source = any($1::text[])",
        sorted(sources),
    )
    return {
        row["source"]: SourceMark(
            row["source"],
            row["latest_us"],
            row["silent_s"],
            not count or partition_of(row["source"], count) not in upto_date,
        )
        for row in found
    }


async def latest_of_programmes(connection: Connection) -> dict[str, int]:
    """The latest event time that was accepted for each programme."""
    rows = await connection.fetch(
        "select programme, max(latest_us) as latest_us"
        "  from source_owner join source_latest using (source) group by programme"
    )
    return {row["programme"]: row["latest_us"] for row in rows}


def periods(versions: Sequence[Agreement], zone: str, since: str | None = None) -> Iterator[str]:
    """The settlement periods of all versions, one after another, to the end of the last version.

    ``versions`` are sorted. A version ends where it says, or where the next one begins. ``since``:
    from this period on. An agreement that never ends has periods to the end of the calendar.
    """
    start = None if since is None else first_day(since)
    for version, past in zip(versions, _ends(versions), strict=True):
        first = version.effective_from if start is None else max(version.effective_from, start)
        label = label_of(first, version.settled)
        while past is None or first_day(label) < past:
            if version_of(versions, label) is version and _exists(label, zone):
                yield label
            label = next_label(label)


def begun_count(versions: Sequence[Agreement], zone: str, at_us: int) -> int:
    """How many have begun; days that a zone's calendar skipped are counted too."""
    today, found = local_day(instant(at_us), zone), 0
    for version, past in zip(versions, _ends(versions), strict=True):
        first = label_of(version.effective_from, version.settled)
        last = label_of(today, version.settled)
        count = how_many(first, last)
        if past is not None:
            count = min(count, how_many(first, label_of(past, version.settled)) - 1)
        found += max(count, 0)
    return found


def _ends(versions: Sequence[Agreement]) -> list[date | None]:
    """The day after the last of each version; None where it goes on."""
    following = [*(each.effective_from for each in versions[1:]), None]
    ends: list[date | None] = []
    for version, after in zip(versions, following, strict=True):
        days = [each for each in (version.effective_until, after) if each is not None]
        ends.append(min(days, default=None))
    return ends


def _exists(label: str, zone: str) -> bool:
    """Whether a zone's calendar has the period: a few skipped a day."""
    try:
        window_of(label, zone)
    except ValueError:
        return False
    return True


def version_of(versions: Sequence[Agreement], period: str) -> Agreement | None:
    """The version whose settlement period this is; None when it is none."""
    day = first_day(period)
    in_force = [each for each in versions if each.effective_from <= day]
    if not in_force:
        return None
    version = in_force[-1]
    fits = same_length(period_length(period), version.settled) and _may_hold(version, period)
    return version if fits else None


def due_at_us(version: Agreement, period: str, zone: str) -> int:
    """The event time at which a period is closed without being told."""
    return bounds_us(window_of(period, zone))[1] + version.lateness_hours * HOUR_US


def _may_hold(version: Agreement, label: str) -> bool:
    return version.effective_until is None or first_day(label) < version.effective_until
