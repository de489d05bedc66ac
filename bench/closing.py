"""What it takes the evaluator to close one further month of many agreements that share metrics.

python -m bench.closing [--agreements N] [--levels N] [--months N] [--json]

One programme; every agreement has a level for each metric, with a value every quarter of an hour,
as many months as are stored. Each agreement's last month is closed and committed, one after
another, over one connection. Processor time of the process itself, without Postgres.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, time, timedelta
from time import perf_counter, process_time

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
from services.evaluator import recount, store
from services.evaluator.columns import checked, joined
from services.evaluator.frame_rows import stored_frames
from services.evaluator.identity_index import NEW
from services.evaluator.period_close import close_period
from services.evaluator.tallies import tallies
from services.evaluator.topics import EvaluatorTopics
from services.ingest.framing import frames_of
from services.shell.outbox import declare
from services.shell.postgres import Connection, connect, open_pool
from services.shell.steps import Record

KIND = KIND_OF_TYPE["earnback.sample.v1"]
FIRST = "2022-01"
EVERY = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class Cost:
    """Of all agreements together. ``facts``: of one month of all metrics."""

    agreements: int
    levels: int
    months: int
    facts: int
    seconds: float
    cpu_seconds: float
    peak_mib: float


def main() -> int:
    """Run it, and print the figures."""
    parser = argparse.ArgumentParser(prog="python -m bench.closing", description=__doc__)
    parser.add_argument("--agreements", type=int, default=1000)
    parser.add_argument("--levels", type=int, default=20)
    parser.add_argument("--months", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    with own_database() as dsn:
        found = asyncio.run(_measure(dsn, given))
    if given.json:
        out.print(json.dumps(asdict(found), indent=1))
    else:
        out.print(
            f"{found.agreements:,} agreements of {found.levels} levels, {found.facts:,} facts a"
            f" month: {found.seconds:.1f} s, {found.cpu_seconds:.1f} s of the processor,"
            f" {found.peak_mib:.0f} MiB"
        )
    return 0


async def _measure(dsn: str, given: argparse.Namespace) -> Cost:
    await migrate(dsn)
    connection = await connect(dsn, name="bench")
    pool = await open_pool(dsn, name="bench-pool", size=1)
    topics = EvaluatorTopics()
    try:
        for topic in (topics.evaluations, topics.quarantine):
            await declare(connection, topic, 4)
        await catalogue.apply(connection, _programme(given.levels))
        for number in range(given.agreements):
            await catalogue.apply(connection, _agreement(number, given.levels))
        copy = CatalogueCopy(pool)
        await copy.refresh()
        months = labels_between(FIRST, _after(FIRST, given.months - 1))
        facts = 0
        for month in months:
            facts = await _store(connection, month, given.levels)
        await connection.execute("vacuum analyze")
        started, busy = perf_counter(), process_time()
        for number in range(given.agreements):
            target = recount.target_of(copy.current, f"agreement-{number}", months[-1])
            done = await close_period(connection, topics, target, "closed", {})
            assert done.outcome == "closed", done
        return Cost(
            given.agreements,
            given.levels,
            given.months,
            facts,
            perf_counter() - started,
            process_time() - busy,
            resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        )
    finally:
        await pool.close()
        await connection.close()


async def _store(connection: Connection, month: str, levels: int) -> int:
    """A month's values of all metrics, a frame or more a day; how many."""
    start, past = (
        datetime.combine(first_day(each), time(), UTC) for each in (month, next_label(month))
    )
    number = await connection.fetchval("select coalesce(max(number), -1) + 1 from fact_frame")
    stored = 0
    while start < past:
        rows = list(_rows(start, levels))
        for body in frames_of(rows):
            batch = checked(body)
            columns = joined([batch])
            verdict = columns.kind * 0 + NEW
            given = [(Record(number, 0, None, body, ()), batch)]
            frames, _ = stored_frames(given, columns, verdict, number)
            await store.insert_frames(connection, 0, frames)
            sums = tallies(columns, verdict == NEW, {})
            await store.add_tallies(connection, 0, sums)
            number += len(frames)
        stored += len(rows)
        start += timedelta(days=1)
    return stored


def _rows(start: datetime, levels: int) -> Iterator[Row]:
    for place in range(timedelta(days=1) // EVERY):
        at = start + place * EVERY
        for metric in range(levels):
            event_id, at_us = f"{at:%Y%m%d%H%M}-{metric}", microseconds(at)
            up = int(place % 90 != metric)
            yield Row(
                source=SOURCES[0],
                id=event_id,
                identity=identity_of(SOURCES[0], event_id),
                payload=payload_of(KIND, at_us, _metric(metric), None, up, 1, ""),
                kind=KIND,
                metric=metric,
                at_us=at_us,
                value=up,
                scale_or_total=1,
                subject=None,
                data="",
            )


def _after(month: str, many: int) -> str:
    for _ in range(many):
        month = next_label(month)
    return month


def _metric(number: int) -> str:
    return f"availability-{number:02d}"


def _programme(levels: int) -> Programme:
    document = programme().model_dump(mode="json")
    names = [_metric(number) for number in range(levels)]
    document["metrics"] = [
        {**document["metrics"][0], "metric": name, "name": name} for name in names
    ]
    for source in document["sources"]:
        source["metrics"] = names
    return Programme.model_validate(document | {"effective_from": "2022-01-01"})


def _agreement(number: int, levels: int) -> Agreement:
    return Agreement.model_validate(
        {
            "kind": "agreement",
            "language": 2,
            "agreement": f"agreement-{number}",
            "version": 1,
            "programme": PROGRAMME,
            "type": "service",
            "vendor": VENDOR,
            "name": f"agreement-{number}",
            "currency": "EUR",
            "effective_from": "2022-01-01",
            "settled": "month",
            "lateness_hours": 48,
            "conventions": {"money_rounding": "half_up", "rounded_at": "line"},
            "levels": [
                {
                    "level": _metric(each),
                    "name": _metric(each),
                    "metric": _metric(each),
                    "expected": {"at_least": "99"},
                    "judged": "exact",
                    "no_data": "no_result",
                    "defaults": {"kind": "every_miss"},
                }
                for each in range(levels)
            ],
        }
    )


if __name__ == "__main__":
    sys.exit(main())
