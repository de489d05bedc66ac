"""One buyer's load beside another's close: how much longer it takes than on an idle system.

python -m bench.neighbours [--corrections N] [--closes N] [--json]

Both run in one process of each service. The one buyer has one agreement with a small month. The
other sends chains of corrections and a month of samples that is counted again and again. The
figure is a ratio of the same run, so that it says the same on any machine.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from bench.chain import Wrong
from bench.door import PER_BATCH, Client
from bench.events import METRICS, programme
from infra.progress import Progress
from schemas.agreement import Agreement
from schemas.programme import Programme, Source, Vendor
from services.catalogue import keys, store
from services.cli.show import bars, out
from services.cli.stack import stack
from services.core.events.corrections import MOST_CHAINED
from services.shell.postgres import Connection, connect

MOST_RATIO = 2.0
"""A close beside the load takes no longer than so many times one on an idle system."""
UNLIMITED = {"EARNBACK_PARTY_EVENTS_PER_SECOND": "0"}
"""The load comes as fast as it can."""
QUIET, LOUD = "quiet", "loud"
MONTH = datetime(2025, 1, 1, tzinfo=UTC)
PATIENCE_S = 120.0
"""What a single close may take before the bench gives up."""
FEW = 1000
"""Samples of the quiet buyer's month."""


def main() -> int:
    """Run it; 1 where the close of the one buyer takes more than `MOST_RATIO` times as long."""
    parser = argparse.ArgumentParser(prog="python -m bench.neighbours", description=__doc__)
    parser.add_argument("--corrections", type=int, default=10_000)
    parser.add_argument("--samples", type=int, default=100_000, help="of the loud buyer's month")
    parser.add_argument("--closes", type=int, default=30, help="on the idle system, and beside")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="earnback-bench-") as folder,
        bars() as progress,
        stack(Path(folder), environment=UNLIMITED, progress=progress) as running,
    ):
        found = asyncio.run(_measure(running.addresses, given, progress))
    out.print(json.dumps(found, indent=1) if given.json else shown(found))
    return 0 if found["ratio"] <= MOST_RATIO else 1


def shown(found: dict[str, Any]) -> str:
    """The figures in a line."""
    return (
        f"a close of one buyer, median of {found['closes']}: {found['idle_ms']:.0f} ms idle, "
        f"{found['beside_ms']:.0f} ms beside {found['corrections']:,} chained corrections and a "
        f"month of {found['samples']:,} samples of another that is counted all the time: "
        f"{found['ratio']:.2f} x (at most {MOST_RATIO:g})"
    )


async def _measure(addresses: Any, given: argparse.Namespace, progress: Progress) -> dict[str, Any]:
    connection = await connect(addresses.postgres, name="earnback-bench")
    try:
        doors = {buyer: await _door(connection, addresses.ingest, buyer) for buyer in (QUIET, LOUD)}
        await _send(doors[QUIET], _samples(QUIET, FEW))
        await _stored(connection, FEW)
        await _closes(connection, QUIET, 3)  # so that everything is warm
        idle = await _closes(connection, QUIET, given.closes)
        await _send(doors[LOUD], _samples(LOUD, given.samples))
        await _stored(connection, FEW + given.samples)
        progress("Load beside the closes", 0, 1)
        load = [
            asyncio.create_task(_send(doors[LOUD], _corrections(LOUD, given.corrections))),
            asyncio.create_task(_again(addresses.postgres)),
        ]
        beside = await _closes(connection, QUIET, given.closes)
        for task in load:
            task.cancel()
        await asyncio.gather(*load, return_exceptions=True)
        progress("Load beside the closes", 1, 1)
    finally:
        await connection.close()
    idle_ms, beside_ms = (statistics.median(each) * 1000 for each in (idle, beside))
    return {
        "idle_ms": idle_ms,
        "beside_ms": beside_ms,
        "ratio": beside_ms / idle_ms,
        "closes": given.closes,
        "corrections": given.corrections,
        "samples": given.samples,
    }


async def _door(connection: Connection, address: str, buyer: str) -> Client:
    """A buyer's programme and agreement, and its vendor's way in."""
    vendor = f"{buyer}-vendor"
    await store.apply(connection, _programme(buyer, vendor))
    await store.apply(connection, _agreement(buyer, vendor))
    key = await keys.create(connection, party=vendor, role="vendor", label="bench")
    return Client(address, key)


def _programme(buyer: str, vendor: str) -> Programme:
    source = Source(source=_source(buyer), reports_for=vendor, metrics=METRICS)
    return programme().model_copy(
        update={
            "programme": buyer,
            "buyer": f"{buyer}-buyer",
            "vendors": (Vendor(vendor=vendor, name=vendor),),
            "sources": (source,),
        }
    )


def _agreement(buyer: str, vendor: str) -> Agreement:
    level = {"level": "only", "name": "Only", "metric": METRICS[0], "expected": {"at_least": "99"}}
    level |= {"judged": "exact", "no_data": "no_result", "defaults": {"kind": "every_miss"}}
    return Agreement.model_validate(
        {
            "kind": "agreement",
            "language": 2,
            "agreement": buyer,
            "version": 1,
            "programme": buyer,
            "type": "service",
            "vendor": vendor,
            "name": buyer,
            "currency": "EUR",
            "effective_from": "2025-01-01",
            "settled": "month",
            "lateness_hours": 48,
            "conventions": {"money_rounding": "half_up", "rounded_at": "line"},
            "levels": [level],
        }
    )


def _source(buyer: str) -> str:
    return f"https://probe.example/{buyer}"


def _event(buyer: str, name: str, number: int, kind: str, data: dict[str, Any]) -> dict[str, Any]:
    at = MONTH + timedelta(hours=2, seconds=2 * number)
    return {
        "specversion": "1.0",
        "id": name,
        "source": _source(buyer),
        "type": f"earnback.{kind}.v1",
        "time": at.isoformat().replace("+00:00", "Z"),
        "data": data,
    }


def _samples(buyer: str, count: int) -> Iterator[dict[str, Any]]:
    for number in range(count):
        data = {"metric": METRICS[0], "subject": "site-00", "up": number % 200 != 0}
        yield _event(buyer, f"s-{number}", number, "sample", data)


def _corrections(buyer: str, count: int) -> Iterator[dict[str, Any]]:
    """Chains as long as they may be, one after another."""
    for number in range(count):
        chain, place = divmod(number, MOST_CHAINED)
        named = f"c-{number - 1}" if place else f"s-{chain}"
        data = {"corrects": named, "reason": "a bench"}
        yield _event(buyer, f"c-{number}", number, "correction", data)


async def _send(door: Client, events: Iterator[dict[str, Any]]) -> None:
    """All of them, in batches, as fast as answers come."""
    given = list(events)
    bodies = [
        json.dumps(given[start : start + PER_BATCH]).encode()
        for start in range(0, len(given), PER_BATCH)
    ]
    _, sent = await asyncio.to_thread(door.send, bodies, None)
    wrong = {each.status for each in sent} - {202}
    if wrong:
        raise Wrong(f"ingest answered {sorted(wrong)}")


async def _stored(connection: Connection, count: int) -> None:
    """Wait until so many facts are stored."""
    async with asyncio.timeout(PATIENCE_S):
        while await connection.fetchval("select coalesce(sum(n), 0) from fact_frame") < count:  # noqa: ASYNC110
            await asyncio.sleep(0.1)


async def _again(postgres: str) -> None:
    """Have the loud buyer's month counted again and again, by order."""
    connection = await connect(postgres, name="earnback-bench-load")
    try:
        while True:
            await _close(connection, LOUD)
    finally:
        await connection.close()


async def _closes(connection: Connection, agreement: str, count: int) -> list[float]:
    """Seconds that each of so many ordered closes takes, one after another."""
    return [await _close(connection, agreement) for _ in range(count)]


async def _close(connection: Connection, agreement: str) -> float:
    started = time.monotonic()
    number = await connection.fetchval(
        "insert into close_request (agreement, period, requested_by)"
        " values ($1, '2025-01', 'bench') returning number",
        agreement,
    )
    async with asyncio.timeout(PATIENCE_S):
        while True:
            outcome = await connection.fetchval(
                "select outcome from close_request where number = $1", number
            )
            if outcome is not None:
                break
            await asyncio.sleep(0.01)
    if outcome not in ("closed", "revised", "unchanged"):
        raise Wrong(f"the close of {agreement} was answered {outcome}")
    return time.monotonic() - started


if __name__ == "__main__":
    sys.exit(main())
