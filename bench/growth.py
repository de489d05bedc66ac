"""What one further month costs when one thing doubles and all others stay.

python -m bench.growth [--axes agreements levels months facts sources subjects] [--times 3] [--json]

An installation on a Postgres of its own, without Kafka: frames are applied, periods are closed and
evaluations are settled as the workers do it. The months before are settled by one process; the
further month is a process's own, whose time and memory are told. All agreements have the same
levels, judged for each subject, over metrics that they share.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, time
from itertools import pairwise
from multiprocessing import get_context
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

from infra.embedded.postgres import EmbeddedPostgres
from infra.migrations import migrate
from schemas.agreement import Agreement
from schemas.frame import FRAME_CONTENT_TYPE
from schemas.period import first_day, next_label
from schemas.programme import Programme
from schemas.whose_word import SAID
from services.catalogue import store as catalogue
from services.catalogue.cached import CatalogueCopy
from services.cli.show import out
from services.core.calendar.windows import microseconds
from services.core.events.facts import Row, identity_of, payload_of
from services.evaluator.apply import Frames
from services.evaluator.closing import Closer
from services.evaluator.settings import Pace
from services.evaluator.topics import EvaluatorTopics
from services.ingest.framing import frames_of
from services.settlement.consumer import Settler
from services.settlement.finance_events import DECLARED
from services.shell import progress
from services.shell.frames import CONTENT_TYPE, partition_of
from services.shell.logs import configure
from services.shell.metrics import Health
from services.shell.outbox import declare
from services.shell.postgres import Connection, Pool, connect, open_pool
from services.shell.steps import Dense, Record, commit

PARTITIONS = 4
APP = "earnback-evaluator"
TOPICS = EvaluatorTopics()
FIRST = "2022-01"
SAMPLE = 0
VENDORS = 4
LATEST = "select coalesce(max(seq), 0) from outbox where topic = $1"
EVALUATED = "select body, headers from outbox where topic = $1 and seq > $2 order by seq"


@dataclass(frozen=True, slots=True)
class Size:
    """How much there is. ``months``: settled before the further one. ``facts``: of each metric in
    a month; each level is of a metric of its own."""

    agreements: int = 8
    levels: int = 8
    months: int = 6
    facts: int = 2_000
    sources: int = 4
    subjects: int = 4


AXES = tuple(Size.__dataclass_fields__)


@dataclass(frozen=True, slots=True)
class MonthCost:
    """Of the further month, in ms: processor time of the process to apply its frames, to close and
    to settle, and the time of all on the clock, Postgres included. ``mib``: the most memory that
    the process had, its start and the load of what it holds included."""

    apply_ms: float
    close_ms: float
    settle_ms: float
    wall_ms: float
    mib: float


def main() -> int:
    """Run it, and print a table."""
    parser = argparse.ArgumentParser(prog="python -m bench.growth", description=__doc__)
    parser.add_argument("--axes", nargs="*", choices=AXES, default=list(AXES))
    parser.add_argument("--times", type=int, default=3, help="so often each is doubled")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    sizes = dict.fromkeys(size for _, size in _wanted(given))
    found = {size: _measured(size) for size in sizes}
    if given.json:
        rows = [asdict(size) | asdict(found[size]) for size in sizes]
        out.print(json.dumps(rows, indent=1))
        return 0
    for axis, size in _wanted(given):
        one = found[size]
        out.print(
            f"{axis:10} {getattr(size, axis):7,}: apply {one.apply_ms:9,.0f} ms, close"
            f" {one.close_ms:9,.0f} ms, settle {one.settle_ms:9,.0f} ms of the processor;"
            f" {one.wall_ms:9,.0f} ms in all; {one.mib:6,.0f} MiB"
        )
    return 0


def _wanted(given: argparse.Namespace) -> Iterator[tuple[str, Size]]:
    for axis in given.axes:
        for doubled in range(given.times + 1):
            yield axis, replace(Size(), **{axis: getattr(Size(), axis) << doubled})


def _measured(size: Size) -> MonthCost:
    """The further month of an installation of this size, each part in a process of its own."""
    with tempfile.TemporaryDirectory(prefix="earnback-bench-") as folder:
        postgres = EmbeddedPostgres(Path(folder)).start()
        try:
            _alone(_begin, postgres.dsn, size)
            return _alone(_further, postgres.dsn, size)
        finally:
            postgres.stop()


def _alone(work: Any, *given: Any) -> Any:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as one:
        return one.submit(work, *given).result()


def _begin(dsn: str, size: Size) -> None:
    """The contracts, and the months before."""
    configure("bench", "error")

    async def begin() -> None:
        await migrate(dsn)
        connection = await connect(dsn, name="bench")
        for topic in (TOPICS.evaluations, TOPICS.quarantine):
            await declare(connection, topic, 1)
        for topic in (DECLARED.settlements, DECLARED.ledger_entries):
            await declare(connection, topic, 1)
        await catalogue.apply(connection, _programme(size))
        for number in range(size.agreements):
            await catalogue.apply(connection, _agreement(number, size))
        await connection.close()
        async with _Installation(dsn, size) as installation:
            for place in range(size.months):
                await installation.month(place)
        connection = await connect(dsn, name="bench")
        await connection.execute("vacuum analyze")
        await connection.close()

    asyncio.run(begin())


def _further(dsn: str, size: Size) -> MonthCost:
    configure("bench", "error")

    async def further() -> MonthCost:
        async with _Installation(dsn, size) as installation:
            took = await installation.month(size.months)
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        return MonthCost(*took, mib=most)

    return asyncio.run(further())


class _Installation:
    """The evaluator and settlement of one process, without their topics."""

    def __init__(self, dsn: str, size: Size) -> None:
        self._dsn, self._size = dsn, size
        self._settler = Settler(seconds=3600)

    async def __aenter__(self) -> _Installation:
        self._pool: Pool = await open_pool(self._dsn, name="bench")
        self._connection: Connection = await connect(self._dsn, name="bench")
        self._copy = CatalogueCopy(self._pool)
        await self._copy.refresh()
        async with self._connection.transaction():
            self._claims = await progress.claim(
                self._connection, APP, TOPICS.measurements, dict.fromkeys(range(PARTITIONS), 0)
            )
        self._frames = Frames(lambda: self._copy)
        await self._frames.load(self._connection, self._claims)
        self._closer = Closer(
            app=APP,
            catalogue=self._copy,
            connect=lambda: connect(self._dsn, name="bench-closer"),
            ends=self._ends,
            pace=Pace(idle_after=10**8, quiet=10**7, every=1.0),
            health=Health(),
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._connection.close()
        await self._pool.close()

    async def _ends(self) -> dict[int, int]:
        return {each: held.next_offset for each, held in self._claims.items()}

    async def month(self, place: int) -> tuple[float, float, float, float]:
        """Apply, close and settle a month. Gives ms of the processor for each, and on the clock."""
        frames = self._records(place)
        period = next_label(FIRST, place)
        wall = perf_counter()
        times = [process_time()]
        for partition, records in frames.items():
            held = self._claims[partition]
            self._claims[partition], done = await commit(
                self._pool, held, records, self._frames, Dense.BY_OFFSET
            )
            if done.committed is not None:
                done.committed()
        times.append(process_time())
        before = await self._connection.fetchval(LATEST, TOPICS.evaluations)
        for number in range(self._size.agreements):
            place_of = f"agreement-{number}", period
            await self._closer.count(self._connection, place_of, "closed", {})
        times.append(process_time())
        await self._settle(before)
        times.append(process_time())
        apply, close, settle = ((after - at) * 1000 for at, after in pairwise(times))
        return apply, close, settle, (perf_counter() - wall) * 1000

    async def _settle(self, before: int) -> None:
        rows = await self._connection.fetch(EVALUATED, TOPICS.evaluations, before)
        assert len(rows) == self._size.agreements, "each agreement was evaluated once"
        for number, row in enumerate(rows):
            headers = tuple(
                (name, value.encode()) for name, value in json.loads(row["headers"]).items()
            )
            record = Record(number, number, None, bytes(row["body"]), headers)
            assert await self._settler.prepare(self._pool, [record]) == 1
            async with self._pool.acquire() as connection, connection.transaction():
                await self._settler.apply(connection, 0, [record])

    def _records(self, place: int) -> dict[int, list[Record]]:
        """The frames of a month, by partition."""
        size = self._size
        begins = datetime.combine(first_day(next_label(FIRST, place)), time(), UTC)
        every = 28 * 86_400_000_000 // size.facts
        by_source: dict[str, list[Row]] = {}
        for metric in range(size.levels):
            number = self._copy.current.numbers["bench", f"metric-{metric}"]
            for fact in range(size.facts):
                source = _source((fact // size.subjects) % size.sources)
                row = _row(source, number, metric, microseconds(begins) + fact * every, fact, size)
                by_source.setdefault(source, []).append(row)
        found: dict[int, list[Record]] = {}
        for source, rows in by_source.items():
            partition = partition_of(source, PARTITIONS)
            held = found.setdefault(partition, [])
            for frame in frames_of(sorted(rows, key=lambda row: row.at_us)):
                offset = self._claims[partition].next_offset + len(held)
                kind = ((CONTENT_TYPE, FRAME_CONTENT_TYPE.encode()),)
                held.append(Record(offset, 0, None, frame, kind))
        return found


def _row(source: str, number: int, metric: int, at_us: int, fact: int, size: Size) -> Row:
    """A sample; every fiftieth finds the subject down."""
    name, subject, up = f"{metric}-{at_us}", f"site-{fact % size.subjects}", int(fact % 50 != 0)
    return Row(
        source=source,
        id=name,
        identity=identity_of(source, name),
        payload=payload_of(SAMPLE, at_us, f"metric-{metric}", subject, up, 1, ""),
        kind=SAMPLE,
        metric=number,
        at_us=at_us,
        value=up,
        scale_or_total=1,
        subject=subject,
        data="",
    )


def _source(number: int) -> str:
    return f"urn:probe:{number}"


def _programme(size: Size) -> Programme:
    names = [f"metric-{number}" for number in range(size.levels)]
    vendors = [f"vendor-{number}" for number in range(VENDORS)]
    return Programme.model_validate(
        {
            "kind": "programme",
            "language": 2,
            "programme": "bench",
            "version": 1,
            "effective_from": "2022-01-01",
            "buyer": "town",
            "name": "Bench",
            "time_zone": "Europe/Berlin",
            "restated_for_days": 3650,
            "vendors_see": "figures",
            "whose_word": dict.fromkeys(SAID, "either"),
            "vendors": [{"vendor": each, "name": each} for each in vendors],
            "sources": [
                {"source": _source(each), "reports_for": "town", "metrics": names}
                for each in range(size.sources)
            ],
            "metrics": [
                {
                    "metric": name,
                    "name": name,
                    "unit": "percent",
                    "better": "higher",
                    "measure": {"kind": "availability_by_samples"},
                    "several_sources": "added",
                }
                for name in names
            ],
        }
    )


def _agreement(number: int, size: Size) -> Agreement:
    """Each level costs an amount for each subject that misses it."""
    return Agreement.model_validate(
        {
            "kind": "agreement",
            "language": 2,
            "agreement": f"agreement-{number}",
            "version": 1,
            "programme": "bench",
            "type": "service",
            "vendor": f"vendor-{number % VENDORS}",
            "name": f"agreement-{number}",
            "currency": "EUR",
            "effective_from": "2022-01-01",
            "settled": "month",
            "lateness_hours": 48,
            "conventions": {"money_rounding": "half_up", "rounded_at": "line"},
            "levels": [_level(each) for each in range(size.levels)],
        }
    )


def _level(number: int) -> dict[str, Any]:
    return {
        "level": f"level-{number}",
        "name": f"Level {number}",
        "metric": f"metric-{number}",
        "each_subject": True,
        "expected": {"at_least": 99},
        "judged": "exact",
        "no_data": "no_result",
        "defaults": {"kind": "every_miss"},
        "credits": [
            {
                "is_a": "service_credit",
                "due": {"kind": "on_default"},
                "quantity": {"kind": "one"},
                "rate": {"kind": "amount", "amount": "10.00", "currency": "EUR"},
            }
        ],
    }


if __name__ == "__main__":
    sys.exit(main())
