"""What it takes to read the facts that one close needs, by how many frames are stored besides.

python -m bench.reading [--frames N ...] [--json]

Each frame holds 200 facts of one metric and one day; they lie over 36 months and 64 metrics or
more. Read is one metric's month, as a close reads it, and beside it, in the same run, the same
frames found by looking at every row of `fact_frame`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from time import perf_counter
from typing import Any

import numpy as np

from bench.own_database import own_database
from infra.migrations import migrate
from services.cli.show import out
from services.core.calendar.windows import DAY_US, microseconds
from services.core.events.facts import Row, identity_of
from services.evaluator import store
from services.evaluator.fact_reader import load
from services.ingest.framing import frames_of
from services.shell.postgres import Connection, connect

METRICS, DAYS, FACTS = 64, 36 * 30, 200
FIRST_US = microseconds(datetime(2022, 1, 1, tzinfo=UTC))
TIMES = 10
AT_ONCE = 1_000

EVERY_ROW = """
    select partition, number, frame from fact_frame
     where $1 = any(metrics) and max_us >= $2 and min_us < $3 order by partition, number
"""


@dataclass(frozen=True, slots=True)
class Cost:
    """Medians in milliseconds: of a close's read, and of the search through every row."""

    frames: int
    read_ms: float
    every_row_ms: float


def main() -> int:
    """Run it, and print the figures."""
    parser = argparse.ArgumentParser(prog="python -m bench.reading", description=__doc__)
    parser.add_argument("--frames", type=int, nargs="+", default=[40_000, 80_000, 160_000, 320_000])
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    with own_database() as dsn:
        found = asyncio.run(_measure(dsn, sorted(given.frames)))
    if given.json:
        out.print(json.dumps([asdict(each) for each in found], indent=1))
    else:
        for each in found:
            out.print(
                f"{each.frames:9,} frames: {each.read_ms:8.2f} ms,"
                f" {each.every_row_ms:8.2f} ms through every row"
            )
    return 0


async def _measure(dsn: str, sizes: list[int]) -> list[Cost]:
    await migrate(dsn)
    connection = await connect(dsn, name="bench")
    found: list[Cost] = []
    stored = 0
    try:
        for size in sizes:
            while stored < size:
                many = min(AT_ONCE, size - stored)
                await store.insert_frames(
                    connection, 0, [_frame(stored + each) for each in range(many)]
                )
                stored += many
            await connection.execute("vacuum analyze")
            found.append(await _cost(connection, size))
    finally:
        await connection.close()
    return found


async def _cost(connection: Connection, size: int) -> Cost:
    first = FIRST_US + (DAYS // 2) * DAY_US
    month = first, first + 30 * DAY_US

    async def read() -> None:
        await load(connection, {1: month})

    async def every_row() -> None:
        async for _ in connection.cursor(EVERY_ROW, 1, *month, prefetch=32):
            pass

    return Cost(size, await _median(connection, read), await _median(connection, every_row))


async def _median(connection: Connection, step: Callable[[], Awaitable[None]]) -> float:
    took = []
    for _ in range(TIMES):
        started = perf_counter()
        async with connection.transaction():
            await step()
        took.append((perf_counter() - started) * 1000)
    return statistics.median(took)


def _frame(number: int) -> store.StoredFrame:
    """Every metric is written each day, in turn; then come further metrics, so that the month that
    is read stays the same."""
    day, metric = number // METRICS % DAYS, number % METRICS + number // (METRICS * DAYS) * METRICS
    at_us = FIRST_US + day * DAY_US
    return store.StoredFrame(
        number,
        number,
        number,
        FACTS,
        at_us,
        at_us + FACTS - 1,
        [metric],
        _body(metric, at_us),
        np.arange(number * 2 * FACTS, (number + 1) * 2 * FACTS, dtype=">u8").tobytes(),
        bytes(8 * FACTS),
        b"",
        [(metric, at_us // DAY_US)],
    )


def _body(metric: int, at_us: int) -> bytes:
    rows: list[Any] = [
        Row(
            source="https://probe.example/p",
            id=f"{at_us}-{place}",
            identity=identity_of("https://probe.example/p", f"{at_us}-{place}"),
            payload=bytes(8),
            kind=0,
            metric=metric,
            at_us=at_us + place,
            value=1,
            scale_or_total=1,
            subject=None,
            data="",
        )
        for place in range(FACTS)
    ]
    (frame,) = frames_of(rows)
    return frame


if __name__ == "__main__":
    sys.exit(main())
