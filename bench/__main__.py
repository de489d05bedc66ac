"""Measures the chain beside the raw limit of the same machine, in the same run.

python -m bench [--events N] [--rounds N] [--json]
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from bench import report
from bench.chain import Chain, Wrong, ask
from bench.door import PER_BATCH, bodies
from bench.events import EVERY_MS, Probes
from bench.processes import cpu_seconds, known, peak_mib, share_mib
from infra.progress import Progress
from services.cli.show import bars
from services.cli.stack import Workers, stack

SETTINGS = {"EARNBACK_SESSION_TIMEOUT": "60", "EARNBACK_PARTY_EVENTS_PER_SECOND": "0"}
"""The intake stands still while its topic is filled, and should not lose its place meanwhile. All
events are one party's: its rate would be measured, not the chain's."""


def main() -> int:
    """Run the bench and print what came of it."""
    given = _options()
    with (
        tempfile.TemporaryDirectory(prefix="earnback-bench-") as folder,
        bars() as progress,
        stack(
            Path(folder),
            workers=Workers(ingest=given.ingest),
            environment=SETTINGS,
            progress=progress,
        ) as running,
    ):
        try:
            found = measure(Chain(running), given, progress)
        except Wrong as wrong:
            print(f"The bench's figures are void: {wrong}", file=sys.stderr)
            return 1
    if given.json:
        print(json.dumps(found, indent=1))
    else:
        report.show(found)
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000, help="events of a round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--duplicates", type=float, default=0.02, help="part of them sent again")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--batches", type=int, default=400, help="of 500 events over HTTP")
    parser.add_argument("--ingest", type=int, default=1, help="processes of the intake")
    parser.add_argument("--json", action="store_true", help="the figures as JSON")
    return parser.parse_args()


def measure(chain: Chain, given: argparse.Namespace, progress: Progress) -> dict[str, Any]:
    """All rounds, then the door. Raises Wrong where a count is not what it must be."""
    chain.prepare(given.seed, progress)
    rounds = [one_round(chain, number, given, progress) for number in range(given.rounds)]
    door = over_http(chain, given, progress) if given.batches else None
    return {
        "machine": report.machine(),
        "events": given.events,
        "duplicates": given.duplicates,
        "rounds": rounds,
        "door": door,
        "memory_peak_mib": _memory(chain),
        "checked": chain.verify(),
    }


def one_round(
    chain: Chain, number: int, given: argparse.Namespace, progress: Progress
) -> dict[str, Any]:
    """Fill the topic, read it raw, then let the chain have the very same records."""
    name = f"Round {number + 1}"
    probes = Probes(
        seed=given.seed + number,
        duplicates=given.duplicates,
        prefix=f"{number:03d}",
        first_tick=_tick(number),
    )
    with chain.intake_stopped() as release:
        ranges = chain.fill(probes, given.events, progress)
        raw = {each: chain.raw(ranges, each) for each in ("msgspec", "json")}
        plain = chain.raw(ranges, "msgspec", fastest=False)
        before = _processor(chain)
        load, started = os.getloadavg()[0], release()
        seconds = chain.wait(progress, name) - started
    after = _processor(chain)
    chain.verify()
    rate, limit = given.events / seconds, given.events / raw["msgspec"]["seconds"]
    return {
        "raw_per_second": limit,
        "raw_json_per_second": given.events / raw["json"]["seconds"],
        "raw_as_it_comes_per_second": given.events / plain["seconds"],
        "raw_cpu_us": raw["msgspec"]["cpu_seconds"] / given.events * 1e6,
        "chain_per_second": rate,
        "ratio": rate / limit,
        "ratio_json": rate / (given.events / raw["json"]["seconds"]),
        "ratio_as_it_comes": rate / (given.events / plain["seconds"]),
        "chain_cpu_us": {
            part: (after[part] - before[part]) / given.events * 1e6 for part in sorted(before)
        },
        "load_average_before": load,
    }


def over_http(chain: Chain, given: argparse.Namespace, progress: Progress) -> dict[str, Any]:
    """The door under a client of its own, and its events counted to the end of the chain."""
    told: dict[str, Any] = {
        "seed": given.seed,
        "duplicates": given.duplicates,
        "prefix": "http",
        "first_tick": _tick(given.rounds),
    }
    progress("HTTP door", 0, 1)
    before = _processor(chain)
    found = ask(
        "bench.door",
        {
            "address": chain.stack.addresses.ingest,
            "key": chain.stack.addresses.key,
            "probes": told,
            "batches": given.batches,
        },
    )
    same = Probes(**told)
    for batches in found["batches"]:
        bodies(same, batches)
    # What the door itself knows to be a repetition goes no further.
    same.expected.duplicates -= found["told_duplicate"]
    chain.expect(same.expected)
    chain.wait(progress, "Events of the door")
    after, sent = _processor(chain), PER_BATCH * sum(found["batches"])
    found["cpu_us"] = {part: (after[part] - before[part]) / sent * 1e6 for part in sorted(before)}
    chain.verify()
    progress("HTTP door", 1, 1)
    return found


def _tick(number: int) -> int:
    """Each round a stretch of time of its own, far from the others."""
    return (number + 1) * 30 * 86_400_000 // EVERY_MS


def _processor(chain: Chain) -> dict[str, float]:
    if not known():
        return {}
    return {part: cpu_seconds(pids) for part, pids in chain.pids().items()}


def _memory(chain: Chain) -> dict[str, float]:
    """Peaks; of Postgres, whose processes share their memory, what they hold at the end."""
    if not known():
        return {}
    return {
        part: share_mib(pids) if part == "postgres" else peak_mib(pids[0])
        for part, pids in chain.pids().items()
    }


if __name__ == "__main__":
    sys.exit(main())
