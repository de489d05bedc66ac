"""The page about a run: what was done, what was compared, and the figures."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from string import Template

from infra.embedded.postgres import MAJOR
from tests.chaos.oracle import CHECKS
from tests.chaos.run import Outcome
from tests.chaos.schedule import points
from tests.commit_proxy import Fate

PAGE = Path(__file__).parent / "page.md"
LOCK = Path(__file__).parents[2] / "infra/embedded/kafka-jars.lock"


def page(outcome: Outcome, took: float, no_disks: str) -> str:
    """The page, as Markdown. ``took``: seconds of the whole run. ``no_disks``: why no disk was
    filled, where none could be."""
    faults = _table(("fault", "how often"), _faults(outcome))
    if no_disks:
        faults += "\nNo disk was filled: this machine does not let one be mounted.\n"
    text = Template(PAGE.read_text())
    return text.substitute(faults=faults, run=_last_run(outcome, took))


def not_reached(outcome: Outcome) -> list[str]:
    """The points at which nobody died."""
    return [each for each in points() if not outcome.died_at[each]]


def _faults(outcome: Outcome) -> Iterable[tuple[str, str]]:
    struck, wanted = outcome.struck, outcome.plan.wanted
    reached = len(points()) - len(not_reached(outcome))
    yield "worker killed (SIGKILL) at a random moment", f"{struck['kill']}"
    died = sum(outcome.died_at.values())
    yield f"worker killed at a point; {reached} of {len(points())} points", f"{died}"
    yield "worker stopped (SIGSTOP) past its session, then going on", f"{struck['stop']}"
    yield "further worker joins, and leaves in order", f"{struck['join']}"
    yield "connection to Postgres cut before a commit", f"{outcome.lost[Fate.UNSENT]}"
    yield "answer to a commit lost: the server has committed", f"{outcome.lost[Fate.UNHEARD]}"
    yield "database killed as it was told to commit", f"{outcome.lost[Fate.SERVER_LOST]}"
    yield "database killed at a random moment", f"{struck['kill server database']}"
    yield "broker killed as a relay commits", f"{struck['kill server in commit broker']}"
    yield "broker killed at a random moment", f"{struck['kill server broker']}"
    yield "disk of the database full for some seconds", f"{struck['full disk database']}"
    yield "disk of the broker full for some seconds", f"{struck['full disk broker']}"
    yield "clocks jump, by up to 36 hours each way", f"{struck['clock']}"
    assert wanted.kills == struck["kill"], "the schedule was carried out"


def _last_run(outcome: Outcome, took: float) -> str:
    told = [(what, f"{number:,}") for what, number in outcome.figures.items()]
    told += [(f"{what}, s", f"{seconds:,.0f}") for what, seconds in outcome.took.items()]
    told.append(("whole run, s", f"{took:,.0f}"))
    missed = not_reached(outcome)
    return "\n".join(
        (
            "## The last run\n",
            f"{datetime.now(UTC):%Y-%m-%d}, seed {outcome.plan.seed}, events for "
            f"{outcome.plan.seconds / 60:g} minutes; {len(os.sched_getaffinity(0))} cores, "
            f"{platform.system()} {platform.machine()}, Python {platform.python_version()}, "
            f"Kafka {_kafka()}, Postgres {MAJOR}. All {len(CHECKS)} comparisons, the orders, "
            "`earnback verify` and the rebuilt database: as they must be.\n",
            _table(("", ""), told),
            f"SHA-256 over all statements: `{outcome.statements}`.\n",
            "Deaths at each point:\n",
            _table(
                ("point", "deaths"),
                ((f"`{name}`", f"{outcome.died_at[name]}") for name in points()),
            ),
            f"Not reached: {', '.join(f'`{each}`' for each in missed)}.\n" if missed else "",
        )
    )


def _kafka() -> str:
    """The version of the broker, as its jars are pinned."""
    found = re.search(r"kafka_2\.13:([0-9.]+)", LOCK.read_text())
    assert found is not None
    return found[1]


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(head)} |", f"|{'|'.join(['---'] * len(head))}|"]
    lines += [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join(lines) + "\n"
