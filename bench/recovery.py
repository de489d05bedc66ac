"""How soon the work of a killed process goes on.

python -m bench.recovery [--rounds N] [--workers N] [--settle SECONDS] [--json]

All of earnback with its own settings. One process is killed with SIGKILL, events are written to the
vendor's topic at the same moment, and the clock runs until each part of its work goes on, with
another process of its kind or with the one that is started in its place.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

import httpx

from bench.chain import Chain, Wrong
from bench.events import Probes
from infra.progress import silent
from services.cli.show import bars, out
from services.cli.stack import SERVICES, Workers, stack
from services.shell.postgres import Connection, connected

EVENTS = 640
PATIENCE_SECONDS = 120.0
LOOK_SECONDS = 0.05

Holds = Callable[[], Awaitable[bool]]
Back = dict[str, float]
"""Seconds from the kill until a part of the work goes on."""


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser(prog="python -m bench.recovery", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="kills of each service")
    parser.add_argument("--workers", type=int, default=1, help="evaluators, and settlements")
    parser.add_argument("--settle", type=float, default=30.0, help="seconds between two kills")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    workers = Workers(evaluator=given.workers, settlement=given.workers)
    found: dict[str, list[Back]] = {service: [] for service in SERVICES}
    with (
        tempfile.TemporaryDirectory(prefix="earnback-bench-") as folder,
        bars() as progress,
        stack(Path(folder), workers=workers, progress=progress) as running,
    ):
        chain = Chain(running)
        try:
            chain.prepare(1, progress)
            for number in range(given.rounds):
                for service in SERVICES:
                    time.sleep(given.settle)
                    found[service].append(asyncio.run(one_kill(chain, service, number)))
        except Wrong as wrong:
            print(f"The bench's figures are void: {wrong}", file=sys.stderr)
            return 1
    show(found, as_json=given.json)
    return 0


async def one_kill(chain: Chain, service: str, number: int) -> Back:
    """Kill the first process of a service. Raises Wrong where its work does not go on."""
    addresses = chain.stack.addresses
    pid = chain.stack.supervisor.pid(f"{service}-1")
    async with (
        connected(addresses.postgres, name="earnback-bench") as connection,
        httpx.AsyncClient(timeout=1.0) as client,
    ):
        relayed = await _relayed(connection, pid)
        os.kill(pid, signal.SIGKILL)
        killed = time.monotonic()
        probes = Probes(seed=1, duplicates=0.0, prefix=f"{number}-{service}")
        chain.fill(probes, EVENTS, silent)
        parts: dict[str, Holds] = {
            "events counted": lambda: _counted(connection, chain.expected.total),
            "API ready": lambda: _ready(client, getattr(addresses, service)),
        }
        if relayed:
            parts["relay publishes"] = lambda: _relayed_by_others(connection, relayed)
        return await _times(parts, killed)


async def _times(parts: Mapping[str, Holds], killed: float) -> Back:
    back: Back = {}
    while len(back) < len(parts):
        if time.monotonic() - killed > PATIENCE_SECONDS:
            raise Wrong(f"not back: {', '.join(parts.keys() - back.keys())}")
        for part in parts.keys() - back.keys():
            if await parts[part]():
                back[part] = time.monotonic() - killed
        await asyncio.sleep(LOOK_SECONDS)
    return back


async def _counted(connection: Connection, total: int) -> bool:
    return bool(await connection.fetchval("select sum(n) >= $1 from fact_frame", total))


async def _ready(client: httpx.AsyncClient, address: str) -> bool:
    try:
        return (await client.get(f"{address}/readyz")).is_success
    except httpx.HTTPError:
        return False


async def _relayed(connection: Connection, pid: int) -> dict[str, str]:
    """The topics that a process relays, each with the holder of its lease."""
    rows = await connection.fetch("select topic, holder from relay_lease")
    return {row["topic"]: row["holder"] for row in rows if f":{pid}:" in row["holder"]}


async def _relayed_by_others(connection: Connection, relayed: Mapping[str, str]) -> bool:
    rows = await connection.fetch("select topic, holder from relay_lease")
    now = {row["topic"]: row["holder"] for row in rows}
    return all(now.get(topic) not in (None, holder) for topic, holder in relayed.items())


def show(found: Mapping[str, list[Back]], *, as_json: bool) -> None:
    """Print the median and the longest of each part."""
    if as_json:
        print(json.dumps(found, indent=1))
        return
    for service, rows in found.items():
        for part in sorted({part for row in rows for part in row}):
            times = [row[part] for row in rows if part in row]
            middle, longest = statistics.median(times), max(times)
            out.print(f"{service:<11}{part:<16}{middle:5.1f} s, at most {longest:5.1f} s")


if __name__ == "__main__":
    sys.exit(main())
