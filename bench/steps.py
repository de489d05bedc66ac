"""What a pass of the closer and a load of the catalogue cost, and how many rows they read.

python -m bench.steps [--agreements N] [--periods N] [--decisions N] [--json]

On a database of its own, with agreements whose periods are closed and decisions that two have
agreed on. Rows read are those that Postgres returned from tables and indexes, over the whole
database.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import statistics
import sys
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, time
from time import perf_counter, process_time
from typing import Any

from bench.events import METRICS, SOURCES, programme
from bench.own_database import own_database
from infra.migrations import migrate
from schemas.agreement import Agreement
from schemas.period import first_day, next_label
from schemas.programme import Programme, Vendor
from schemas.statement import canonical
from services.catalogue import store as catalogue
from services.catalogue.cached import CatalogueCopy
from services.cli.show import out
from services.core.calendar.windows import DAY_US, microseconds
from services.evaluator import store
from services.evaluator.closing import Closer
from services.evaluator.settings import Pace
from services.shell import progress
from services.shell.metrics import Health
from services.shell.postgres import Connection, Pool, connect, open_pool

VENDORS = 100
PARTITIONS = 4
TOPIC, APP = "measurements", "earnback-evaluator"
FIRST = "2022-01"
LATE = datetime(2022, 1, 15, tzinfo=UTC)
TIMES = 10

Step = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Cost:
    """``ms``: median of a few times. ``cpu_ms``: processor time of the process that does the step,
    without Postgres. ``rows``: read from tables and indexes, of one time."""

    what: str
    ms: float
    cpu_ms: float
    rows: int


def main() -> int:
    """Run it, and print the figures."""
    parser = argparse.ArgumentParser(prog="python -m bench.steps", description=__doc__)
    parser.add_argument("--agreements", type=int, default=1000)
    parser.add_argument("--periods", type=int, default=36, help="closed, of each agreement")
    parser.add_argument("--decisions", type=int, default=20_000, help="that two have agreed on")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    with own_database() as dsn:
        found = asyncio.run(_measure(dsn, given))
    if given.json:
        out.print(json.dumps([asdict(each) for each in found], indent=1))
    else:
        for each in found:
            out.print(
                f"{each.what:50} {each.ms:10.1f} ms, {each.cpu_ms:10.1f} of the processor,"
                f" {each.rows:10,} rows"
            )
    return 0


async def _measure(dsn: str, given: argparse.Namespace) -> list[Cost]:
    await migrate(dsn)
    connection = await connect(dsn, name="bench")
    pool = await open_pool(dsn, name="bench-pool", size=1)
    try:
        now = await _fill(connection, given)
        return await _costs(dsn, connection, pool, now)
    finally:
        await pool.close()
        await connection.close()


async def _costs(dsn: str, connection: Connection, pool: Pool, now: datetime) -> list[Cost]:
    copy = CatalogueCopy(pool)
    closers = [_closer(dsn, copy) for _ in range(2)]

    async def look() -> None:
        await closers[0].look(connection)

    async def follow() -> None:
        while True:
            await look()
            if closers[0].follows:
                return

    async def cost(what: str, step: Step, times: int = 1, before: Step | None = None) -> None:
        found.append(await _cost((connection, pool), what, step, times, before))

    found: list[Cost] = []
    await cost("the catalogue loaded", copy.refresh)
    await cost("the first passes after the upgrade", follow)
    closers.pop(0)
    await cost("the first pass of the next closer", follow)
    await cost("a pass without news", look, TIMES)
    for begin, what, at in ((0, "of this month", now), (100, "of the first closed month", LATE)):
        frames = iter([_frame(begin + place, at) for place in range(TIMES)])

        async def arrive(frames: Any = frames) -> None:
            await store.insert_frames(connection, 0, [next(frames)])

        await cost(f"a pass with a frame {what}", look, TIMES, arrive)
    await _agree(connection, 1)
    await connection.execute("update catalogue_revision set revision = revision + 1")
    await cost("the catalogue after its revision has moved", copy.refresh)
    await cost("a pass after that", follow)
    return found


def _closer(dsn: str, copy: CatalogueCopy) -> Closer:
    async def ends() -> dict[int, int]:
        return dict.fromkeys(range(PARTITIONS), 0)

    async def dial() -> Connection:
        return await connect(dsn, name="bench-closer")

    # What is found is not counted: nothing rests for so long.
    pace = Pace(idle_after=10**8, quiet=10**7, every=1.0)
    return Closer(app=APP, catalogue=copy, connect=dial, ends=ends, pace=pace, health=Health())


async def _cost(
    readers: tuple[Connection, Pool], what: str, step: Step, times: int, before: Step | None
) -> Cost:
    """Time a step, and count the rows of its last time."""
    took, worked, rows = [], [], 0
    for _ in range(times):
        if before is not None:
            await before()
        at_first = await _rows(*readers)
        started, busy = perf_counter(), process_time()
        await step()
        took.append((perf_counter() - started) * 1000)
        worked.append((process_time() - busy) * 1000)
        rows = await _rows(*readers) - at_first
    return Cost(what, statistics.median(took), statistics.median(worked), rows)


async def _rows(connection: Connection, pool: Pool) -> int:
    """Rows that these two have read so far."""
    for each in (pool, connection):
        await each.execute("select pg_stat_force_next_flush()")
    return int(
        await connection.fetchval(
            "select sum(seq_tup_read + coalesce(idx_tup_fetch, 0)) from pg_stat_user_tables"
        )
    )


async def _fill(connection: Connection, given: argparse.Namespace) -> datetime:
    """One programme, its agreements with a level for each metric, and what is closed of them.

    Gives the time that the sources have come to, in the first period that is open.
    """
    await catalogue.apply(connection, _programme())
    agreements = [_agreement(number) for number in range(given.agreements)]
    bodies = [canonical(each) for each in agreements]
    await connection.executemany(
        "insert into agreement_version (agreement, version, programme, vendor, effective_from,"
        " body, sha256) values ($1, 1, $2, $3, $4, $5, $6)",
        [
            (
                each.agreement,
                each.programme,
                each.vendor,
                each.effective_from,
                body.decode(),
                hashlib.sha256(body).digest(),
            )
            for each, body in zip(agreements, bodies, strict=True)
        ],
    )
    await connection.execute("update catalogue_revision set revision = revision + 1")
    periods = [FIRST]
    while len(periods) < given.periods:
        periods.append(next_label(periods[-1]))
    digest = hashlib.sha256(b"{}").digest()
    await connection.execute(
        "insert into evaluation (agreement, period, revision, programme, reason, body, sha256,"
        " cover, record) select a, p, 1, 'bench', 'closed', '{}', $3, '{}', '{\"versions\": [1]}'"
        " from unnest($1::text[]) a, unnest($2::text[]) p",
        [each.agreement for each in agreements],
        periods,
        digest,
    )
    async with connection.transaction():
        await progress.claim(connection, APP, TOPIC, dict.fromkeys(range(PARTITIONS), 0))
    now = datetime.combine(first_day(next_label(periods[-1])), time(12), UTC)
    await store.note_latest(connection, 0, dict.fromkeys(SOURCES, microseconds(now)))
    await _agree(connection, given.decisions)
    await connection.execute("analyze")
    return now


async def _agree(connection: Connection, decisions: int) -> None:
    """Decisions that two have agreed on."""
    await connection.execute(
        "with asked as (insert into four_eyes_request (request_id, kind, party, about, digest,"
        "   content, role, expires_at)"
        "  select gen_random_uuid(), 'decision', 'bench-buyer', 'bench',"
        "   substr(sha256(convert_to(gen_random_uuid()::text, 'UTF8')), 1, 24), '{}',"
        "   'procurement', clock_timestamp() + interval '30 days'"
        "    from generate_series(1, $1) returning request_id)"
        " insert into four_eyes_answer (request_id, agreed, reason, key_prefix, key_party, role)"
        " select request_id, true, 'bench', 'bench', 'bench-buyer', 'procurement' from asked",
        decisions,
    )


def _programme() -> Programme:
    vendors = tuple(Vendor(vendor=each, name=each) for each in map(_vendor, range(VENDORS)))
    bench = programme()
    return bench.model_copy(
        update={
            "vendors": (*bench.vendors, *vendors),
            "vendors_see": "figures",
            "effective_from": LATE.date().replace(day=1),
        }
    )


def _vendor(number: int) -> str:
    return f"vendor-{number % VENDORS}"


def _agreement(number: int) -> Agreement:
    levels = [
        {
            "level": metric,
            "name": metric,
            "metric": metric,
            "expected": {"at_least": "99"},
            "judged": "exact",
            "no_data": "no_result",
            "defaults": {"kind": "every_miss"},
        }
        for metric in METRICS
    ]
    return Agreement.model_validate(
        {
            "kind": "agreement",
            "language": 2,
            "agreement": f"agreement-{number}",
            "version": 1,
            "programme": "bench",
            "type": "service",
            "vendor": _vendor(number),
            "name": f"agreement-{number}",
            "currency": "EUR",
            "effective_from": "2022-01-01",
            "settled": "month",
            "lateness_hours": 48,
            "conventions": {"money_rounding": "half_up", "rounded_at": "line"},
            "levels": levels,
        }
    )


def _frame(number: int, at: datetime) -> store.StoredFrame:
    """A frame with facts of one metric at one time, as far as the closer looks at it."""
    at_us = microseconds(at)
    day = at_us // DAY_US
    return store.StoredFrame(
        number, number, number, 1, at_us, at_us, [0], b"", bytes(16), bytes(8), b"", [(0, day)]
    )


if __name__ == "__main__":
    sys.exit(main())
