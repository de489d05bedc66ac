"""The long form, on servers of its own that are killed as well, and its report.

python -m tests.chaos [--seed N] [--kills N] [--minutes N] [--events N] [--report FILE]
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import SystemRandom

from infra import keeper, supervisor
from infra.embedded.kafka import EmbeddedKafka
from infra.embedded.postgres import EmbeddedPostgres
from infra.keeper import Keeper
from tests.chaos import report
from tests.chaos.disk import Disk, NoDisk, disk
from tests.chaos.havoc import Hands
from tests.chaos.run import Plan, carried_out
from tests.chaos.schedule import Wanted, points
from tests.conftest import a_database

LOGS = Path("build/chaos-logs")
SOURCES = 6.5
"""Six sources of the vendors; the buyer's desk sends half as much as one."""


def main() -> None:
    """Run it, and write the report. Raises AssertionError where anything is not as it must be."""
    given = _options()
    began = time.monotonic()

    def say(line: str) -> None:
        print(f"{time.monotonic() - began:6.1f}  {line}", flush=True)

    # Who is killed on purpose every few seconds is not to wait for it.
    supervisor.BACKOFF_SECONDS_MAX = 1.0
    keeper.PAUSE_SECONDS_MAX, keeper.MOST_FAILURES = 2.0, 10_000
    say(f"SEED={given.seed}")
    with (
        tempfile.TemporaryDirectory(prefix="earnback-chaos-") as folder,
        _servers(Path(folder)) as own,
        a_database(own.database.dsn) as database,
    ):
        servers = {"broker": own.kafka, "database": own.database}
        hands = Hands(Path(folder) / "hands", servers, own.disks)
        plan = Plan(
            given.seed,
            each=round(given.events / SOURCES),
            seconds=given.minutes * 60,
            wanted=_wanted(given.kills, has_disks=bool(own.disks)),
            quiet=420.0,
        )
        kafka = own.kafka.bootstrap
        with _logs_kept(Path(folder)):
            outcome = carried_out(plan, kafka, database, Path(folder), hands, say)
        outcome.figures["servers started again"] = sum("runs again" in each for each in own.told)
    took = time.monotonic() - began
    say(
        f"all as it must be; nobody died at: {', '.join(report.not_reached(outcome)) or 'no point'}"
    )
    given.report.parent.mkdir(exist_ok=True)
    given.report.write_text(report.page(outcome, took, own.no_disks))


@contextmanager
def _logs_kept(folder: Path) -> Iterator[None]:
    """Where it fails, what workers and servers wrote is left for whoever has to find out."""
    try:
        yield
    except BaseException:
        shutil.rmtree(LOGS, ignore_errors=True)
        shutil.copytree(folder / "logs", LOGS)
        for log in folder.glob("*/server/*.log"):
            shutil.copy(log, LOGS)
        raise


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=SystemRandom().randrange(10**6))
    parser.add_argument("--kills", type=int, default=200, help="of workers at random moments")
    parser.add_argument("--minutes", type=float, default=11.0, help="how long events flow")
    parser.add_argument("--events", type=int, default=1_050_000, help="distinct ones, about")
    parser.add_argument("--report", type=Path, default=Path("build/chaos.md"))
    return parser.parse_args()


def _wanted(kills: int, *, has_disks: bool) -> Wanted:
    """The other faults in proportion."""

    def share(of_a_whole_run: int) -> int:
        return max(1, round(of_a_whole_run * kills / 200))

    return Wanted(
        kills=kills,
        sample=None if kills >= 100 else share(len(points())) + 6,
        stops=share(3),
        joins=share(12),
        unsent=share(12),
        unheard=share(24),
        clocks=share(15),
        server_kills=share(2),
        server_kills_in_commit=share(2),
        full_disks=1 if has_disks else 0,
    )


@dataclass
class _Own:
    """Servers of this run's own. ``no_disks``: why they have none that can be filled."""

    kafka: EmbeddedKafka
    database: EmbeddedPostgres
    disks: dict[str, Disk]
    no_disks: str
    told: list[str]


@contextmanager
def _servers(folder: Path) -> Iterator[_Own]:
    """A broker and a database that are started again whenever they end."""
    with ExitStack() as held:
        disks: dict[str, Disk] = {}
        no_disks = ""
        places = {name: folder / name for name in ("broker", "database")}
        try:
            for name, place in places.items():
                disks[name] = held.enter_context(disk(place))
        except NoDisk as reason:
            disks, no_disks = {}, str(reason)
        database = held.enter_context(EmbeddedPostgres(places["database"] / "server"))
        kafka = held.enter_context(EmbeddedKafka(places["broker"] / "server"))
        told: list[str] = []
        held.enter_context(Keeper({"the broker": kafka, "the database": database}, told.append))
        yield _Own(kafka, database, disks, no_disks, told)


if __name__ == "__main__":
    main()
