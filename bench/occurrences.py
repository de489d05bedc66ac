"""What it takes to close one month of outages of many sites, by how many months are stored.

python -m bench.occurrences [--months N ...] [--sites N] [--json]

Each site has three outages a month, one of them over the month's end in one case of thirty. A
level judges each site. Counted is the last month that is stored, as a close counts it: facts read
from Postgres, then the evaluation. Medians of three.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import statistics
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, time, timedelta
from time import perf_counter
from typing import Any

from bench.events import PROGRAMME, SOURCES, VENDOR, programme
from bench.own_database import own_database
from infra.migrations import migrate
from schemas.agreement import Agreement
from schemas.event import KIND_OF_TYPE
from schemas.period import first_day, next_label
from schemas.programme import Programme
from services.catalogue import store as catalogue
from services.catalogue.cached import CatalogueCopy
from services.cli.show import out
from services.core.calendar.windows import labels_between, microseconds
from services.core.events.facts import Row, identity_of, payload_of
from services.evaluator import occurrences, recount, store
from services.evaluator.columns import checked, joined
from services.evaluator.frame_rows import stored_frames
from services.evaluator.identity_index import NEW
from services.ingest.framing import frames_of
from services.shell.postgres import Connection, connect, open_pool
from services.shell.steps import Record

METRIC, KIND = "outages", KIND_OF_TYPE["earnback.outage.v1"]
FIRST = "2022-01"
OUTAGES = 3
TIMES = 3


@dataclass(frozen=True, slots=True)
class Cost:
    """Medians in milliseconds. ``events``: stored. ``facts``: of them read for the month."""

    months: int
    events: int
    facts: int
    read_ms: float
    count_ms: float


def main() -> int:
    """Run it, and print the figures."""
    parser = argparse.ArgumentParser(prog="python -m bench.occurrences", description=__doc__)
    parser.add_argument("--months", type=int, nargs="+", default=[9, 18, 36])
    parser.add_argument("--sites", type=int, default=200)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    with own_database() as dsn:
        found = asyncio.run(_measure(dsn, sorted(given.months), given.sites))
    if given.json:
        out.print(json.dumps([asdict(each) for each in found], indent=1))
    else:
        for each in found:
            out.print(
                f"{each.months:4} months, {each.events:9,} events: {each.facts:7,} facts read in"
                f" {each.read_ms:8.1f} ms, counted in {each.count_ms:8.1f} ms"
            )
    return 0


async def _measure(dsn: str, sizes: list[int], sites: int) -> list[Cost]:
    await migrate(dsn)
    connection = await connect(dsn, name="bench")
    pool = await open_pool(dsn, name="bench-pool", size=1)
    found: list[Cost] = []
    try:
        await catalogue.apply(connection, _programme())
        await catalogue.apply(connection, _agreement())
        copy = CatalogueCopy(pool)
        await copy.refresh()
        outages = _Outages(sites)
        months = labels_between(FIRST, _after(FIRST, sizes[-1] - 1))
        for place, month in enumerate(months, 1):
            await outages.store(connection, month)
            if place in sizes:
                await connection.execute("vacuum analyze")
                target = recount.target_of(copy.current, "bench", month)
                found.append(await _cost(connection, target, place, outages.events))
            await _closed(connection, month, outages.frames - 1)
    finally:
        await pool.close()
        await connection.close()
    return found


async def _cost(
    connection: Connection, target: recount.RecountTarget, months: int, events: int
) -> Cost:
    read, counted, facts = [], [], 0
    for _ in range(TIMES):
        started = perf_counter()
        snapshot = await recount.take(connection, target)
        read.append((perf_counter() - started) * 1000)
        started = perf_counter()
        made, _ = recount.evaluation(target, snapshot, 1, "closed")
        counted.append((perf_counter() - started) * 1000)
        facts = len(snapshot.loaded.facts) + len(snapshot.linked.facts)
        assert len(made.figures) > 1
    return Cost(months, events, facts, statistics.median(read), statistics.median(counted))


class _Outages:
    """Outages of all sites, stored a day at a time. One may go on into the next month."""

    def __init__(self, sites: int) -> None:
        self.frames = self.events = 0
        self._sites = sites
        self._random = random.Random(1)
        self._later: list[Row] = []

    async def store(self, connection: Connection, month: str) -> None:
        """All events of a month, in order of time, a frame a day."""
        start, past = (
            datetime.combine(first_day(each), time(), UTC) for each in (month, _after(month, 1))
        )
        rows = sorted([*self._later, *self._rows(month, start, past)], key=lambda row: row.at_us)
        edge = microseconds(past)
        self._later = [row for row in rows if row.at_us >= edge]
        days: dict[int, list[Row]] = {}
        for row in rows:
            if row.at_us < edge:
                days.setdefault(row.at_us // 86_400_000_000, []).append(row)
        for day in sorted(days):
            for body in frames_of(days[day]):
                await self._store(connection, body)
            self.events += len(days[day])

    async def _store(self, connection: Connection, body: bytes) -> None:
        batch = checked(body)
        columns = joined([batch])
        verdict = columns.kind * 0 + NEW
        given = [(Record(self.frames, 0, None, body, ()), batch)]
        frames, numbers = stored_frames(given, columns, verdict, self.frames)
        await store.insert_frames(connection, 0, frames)
        await occurrences.note(connection, 0, columns, verdict == NEW, numbers)
        self.frames += len(frames)

    def _rows(self, month: str, start: datetime, past: datetime) -> Iterator[Row]:
        hours = (past - start) // timedelta(hours=1)
        for site in range(self._sites):
            for each in range(OUTAGES):
                name = f"{month}-{site}-{each}"
                at = start + timedelta(minutes=self._random.randrange(60 * (hours - 8)))
                if each == 0 and self._random.random() < 0.1:
                    at = past - timedelta(hours=2)
                end = at + timedelta(minutes=self._random.randrange(5, 300))
                yield _row(name, "open", at, f"site-{site:03d}")
                yield _row(name, "close", end, f"site-{site:03d}")


def _row(name: str, phase: str, at: datetime, subject: str) -> Row:
    data = json.dumps(
        {"metric": METRIC, "outage": name, "phase": phase, "subject": subject},
        separators=(",", ":"),
    )
    at_us, event_id = microseconds(at), f"{name}-{phase}"
    return Row(
        source=SOURCES[0],
        id=event_id,
        identity=identity_of(SOURCES[0], event_id),
        payload=payload_of(KIND, at_us, METRIC, subject, 0, 0, data),
        kind=KIND,
        metric=0,
        at_us=at_us,
        value=0,
        scale_or_total=0,
        subject=subject,
        data=data,
    )


async def _closed(connection: Connection, month: str, last: int) -> None:
    """A month closed three days after its end, when nothing of the next one was stored."""
    await connection.execute(
        "insert into evaluation (agreement, period, revision, programme, reason, body, sha256,"
        " cover, record, closed_at) values ('bench', $1, 1, $2, 'closed', '{}', $3, $4,"
        " '{\"versions\": [1]}', $5)",
        month,
        PROGRAMME,
        bytes(32),
        json.dumps({"0": last}),
        datetime.combine(first_day(next_label(month)), time(), UTC) + timedelta(days=3),
    )


def _after(month: str, many: int) -> str:
    for _ in range(many):
        month = next_label(month)
    return month


def _programme() -> Programme:
    bench = programme()
    metric: dict[str, Any] = {
        "metric": METRIC,
        "name": METRIC,
        "unit": "percent",
        "better": "higher",
        "measure": {
            "kind": "availability_by_outages",
            "silence": "up",
            "incomplete": "left_out",
        },
        "several_sources": "added",
    }
    document = bench.model_dump(mode="json")
    document["metrics"] = [metric]
    for source in document["sources"]:
        source["metrics"] = [METRIC]
    return Programme.model_validate(document | {"effective_from": "2022-01-01"})


def _agreement() -> Agreement:
    level = {
        "level": "each-site",
        "name": "Each site",
        "metric": METRIC,
        "expected": {"at_least": "99"},
        "judged": "exact",
        "each_subject": True,
        "no_data": "no_result",
        "defaults": {"kind": "every_miss"},
    }
    return Agreement.model_validate(
        {
            "kind": "agreement",
            "language": 2,
            "agreement": "bench",
            "version": 1,
            "programme": PROGRAMME,
            "type": "service",
            "vendor": VENDOR,
            "name": "bench",
            "currency": "EUR",
            "effective_from": "2022-01-01",
            "settled": "month",
            "lateness_hours": 48,
            "conventions": {"money_rounding": "half_up", "rounded_at": "line"},
            "levels": [level],
        }
    )


if __name__ == "__main__":
    sys.exit(main())
