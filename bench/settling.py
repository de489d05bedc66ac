"""What one further period costs settlement, by how many are settled before it.

python -m bench.settling [--days 10 100 400] [--months 36] [--levels 20] [--steps 5] [--json]

One agreement, settled by the day or by the month, with as many levels and a cap over a trailing
window, on a Postgres of its own and without Kafka: evaluations are handed to settlement one by one
as its worker does it. The replay of all periods from the first one is timed beside: so long the
core takes without checkpoints.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import time
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec

from infra.embedded.postgres import EmbeddedPostgres
from infra.migrations import migrate
from schemas.agreement import Agreement
from schemas.evaluation import PeriodEvaluation
from schemas.period import first_day, next_label
from schemas.programme import Programme
from schemas.whose_word import SAID
from services.catalogue.store import apply
from services.cli.show import out
from services.core.settling.settlement import settle
from services.core.visibility.parties import Parties
from services.settlement.consumer import EVALUATED, Settler
from services.settlement.finance_events import DECLARED
from services.shell.logs import configure
from services.shell.outbox import declare
from services.shell.postgres import Pool, open_pool
from services.shell.steps import Record


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser(prog="python -m bench.settling", description=__doc__)
    parser.add_argument("--days", type=int, nargs="*", default=[10, 100, 400])
    parser.add_argument("--months", type=int, nargs="*", default=[36])
    parser.add_argument("--levels", type=int, default=20)
    parser.add_argument("--steps", type=int, default=5, help="further periods that are timed")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    configure("bench", "error")
    with tempfile.TemporaryDirectory(prefix="earnback-bench-") as folder:
        postgres = EmbeddedPostgres(Path(folder)).start()
        try:
            migrate_to(postgres.dsn)
            rows = asyncio.run(_measure(postgres.dsn, given))
        finally:
            postgres.stop()
    out.print(json.dumps(rows, indent=1) if given.json else "\n".join(map(shown, rows)))
    return 0


def migrate_to(dsn: str) -> None:
    """Bring the database up to date."""
    asyncio.run(migrate(dsn))


def shown(row: dict[str, Any]) -> str:
    """The figures in a line."""
    return (
        f"{row['levels']} levels, {row['before']} settled by {row['settled']} before: one further "
        f"{row['one_ms']:,.1f} ms (processor {row['one_cpu_ms']:,.1f} ms; median of "
        f"{row['steps']}), the replay of all {row['replay_cpu_ms']:,.0f} ms of processor"
    )


async def _measure(dsn: str, given: argparse.Namespace) -> list[dict[str, Any]]:
    pool = await open_pool(dsn, name="earnback-bench")
    try:
        async with pool.acquire() as connection:
            for topic in (DECLARED.settlements, DECLARED.ledger_entries):
                await declare(connection, topic, 2)
            await apply(connection, the_programme(given.levels))
        wanted = (("day", given.days), ("month", given.months))
        return [row for how, at in wanted for row in await _one(pool, how, sorted(at), given)]
    finally:
        await pool.close()


async def _one(
    pool: Pool, settled: str, at: list[int], given: argparse.Namespace
) -> list[dict[str, Any]]:
    """Settle an agreement on and on; time some further periods after so many."""
    if not at:
        return []
    versions = [an_agreement(f"by-{settled}", settled, given.levels)]
    async with pool.acquire() as connection:
        await apply(connection, versions[0])
    first = "2025-01-01" if settled == "day" else "2022-01"
    labels = [next_label(first, place) for place in range(at[-1] + given.steps)]
    made = [_evaluation(settled, each, given.levels, n) for n, each in enumerate(labels)]
    settler = Settler(seconds=3600)
    taken = [await _settle(pool, settler, each) for each in made]
    rows = []
    for before in at:
        timed = taken[before : before + given.steps]
        started = time.process_time()
        settle(versions, made[:before], parties=Parties("town"), time_zone="UTC")
        replayed = time.process_time() - started
        rows.append(
            {
                "settled": settled,
                "levels": given.levels,
                "before": before,
                "steps": given.steps,
                "one_ms": statistics.median(wall for wall, _ in timed),
                "one_cpu_ms": statistics.median(cpu for _, cpu in timed),
                "replay_cpu_ms": replayed * 1000,
            }
        )
    return rows


async def _settle(pool: Pool, settler: Settler, one: PeriodEvaluation) -> tuple[float, float]:
    """Settle an evaluation as the worker does; milliseconds, on the clock and of this process."""
    record = Record(
        0, 0, None, _envelope(one), (("content-type", b"application/cloudevents+json"),)
    )
    wall, cpu = time.perf_counter(), time.process_time()
    assert await settler.prepare(pool, [record]) == 1
    async with pool.acquire() as connection, connection.transaction():
        await settler.apply(connection, 0, [record])
    return (time.perf_counter() - wall) * 1000, (time.process_time() - cpu) * 1000


def _envelope(one: PeriodEvaluation) -> bytes:
    return msgspec.json.encode({"type": EVALUATED, "data": one.model_dump(mode="json")})


def the_programme(levels: int) -> Programme:
    """A programme with so many metrics, of one vendor."""
    names = [f"metric-{number}" for number in range(levels)]
    return Programme.model_validate(
        {
            "kind": "programme",
            "language": 2,
            "programme": "bench",
            "version": 1,
            "effective_from": "2022-01-01",
            "buyer": "town",
            "name": "Bench",
            "time_zone": "UTC",
            "restated_for_days": 3650,
            "vendors_see": "figures",
            "whose_word": dict.fromkeys(SAID, "either"),
            "vendors": [{"vendor": "nimbus", "name": "Nimbus"}],
            "sources": [{"source": "urn:nimbus", "reports_for": "nimbus", "metrics": names}],
            "metrics": [
                {
                    "metric": name,
                    "name": name,
                    "unit": "percent",
                    "better": "higher",
                    "measure": {"kind": "ratio", "nothing_to_count": "no_data"},
                }
                for name in names
            ],
        }
    )


def an_agreement(name: str, settled: str, levels: int) -> Agreement:
    """Each level costs 1 % of the fee where it is missed; a cap over the last 12 periods."""
    return Agreement.model_validate(
        {
            "kind": "agreement",
            "language": 2,
            "agreement": name,
            "version": 1,
            "programme": "bench",
            "type": "service",
            "vendor": "nimbus",
            "name": name,
            "currency": "EUR",
            "effective_from": "2025-01-01" if settled == "day" else "2022-01-01",
            "settled": settled,
            "lateness_hours": 1,
            "conventions": {"money_rounding": "half_up", "rounded_at": "line"},
            "bases": [
                {
                    "base": "fee",
                    "of_period": "same",
                    "if_missing": "wait",
                    "part_of_period": "full_charge",
                    "longer_charge": "refused",
                }
            ],
            "caps": [
                {
                    "cap": "trailing",
                    "window": "trailing",
                    "periods": 12,
                    "earned_back": "still_counts",
                    "limit": {"kind": "percent_of", "percent": 10, "base": "fee"},
                }
            ],
            "levels": [_level(number) for number in range(levels)],
        }
    )


def _level(number: int) -> dict[str, Any]:
    return {
        "level": f"level-{number}",
        "name": f"Level {number}",
        "metric": f"metric-{number}",
        "expected": {"at_least": 99},
        "judged": "exact",
        "no_data": "no_result",
        "defaults": {"kind": "every_miss"},
        "credits": [
            {
                "is_a": "service_credit",
                "due": {"kind": "on_default"},
                "quantity": {"kind": "one"},
                "rate": {"kind": "percent_of", "percent": 1, "base": "fee"},
                "factors": [{"kind": "repeat", "factor": "1.5", "no_data": "ends_the_run"}],
            }
        ],
    }


def _evaluation(settled: str, period: str, levels: int, place: int) -> PeriodEvaluation:
    """A period in which every fifth level is missed, another one each time."""
    begins, ends = (f"{first_day(one)}T00:00:00+00:00" for one in (period, next_label(period)))
    return PeriodEvaluation.model_validate(
        {
            "programme": "bench",
            "agreement": f"by-{settled}",
            "period": period,
            "revision": 1,
            "reason": "closed",
            "figures": [
                {
                    "metric": f"metric-{number}",
                    "period": period,
                    "window": {"start": begins, "end": ends},
                    "value": "98" if (number + place) % 5 == 0 else "99.5",
                    "good": 98,
                    "total": 100,
                    "evidence": {
                        "facts": 100,
                        "digest": sha256(f"{period}{number}".encode()).hexdigest(),
                        "telling": [
                            {"source": "urn:nimbus", "id": f"miss-{period}-{number}-{one}"}
                            for one in range(5)
                        ],
                    },
                }
                for number in range(levels)
            ],
            "charges": [
                {
                    "event": {"source": "urn:erp", "id": f"fee-{period}"},
                    "at": ends,
                    "charge": {
                        "agreement": f"by-{settled}",
                        "base": "fee",
                        "period": period,
                        "amount": "1000",
                        "currency": "EUR",
                    },
                }
            ],
            "circumstances": [],
        }
    )


if __name__ == "__main__":
    sys.exit(main())
