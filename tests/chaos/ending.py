"""What a run still has to do, and waiting until that is nothing."""

from __future__ import annotations

import time
from collections.abc import Callable

from services.cli.stack import Stack
from tests.chaos.feed import KINDS, MONTHS
from tests.chaos.installation import Installation

LAST_WORDS = 15


def until_quiet(
    made: Installation, running: Stack, seconds: float, say: Callable[[str], None]
) -> None:
    """Wait until nothing is left to do: twice in a row, a moment apart."""
    began, calm = time.monotonic(), 0
    while calm < 2:
        left = unfinished(made)
        calm = 0 if left else calm + 1
        if time.monotonic() - began > seconds:
            say("\n".join(_tails(running)))
            raise AssertionError(f"not done: {left}")
        time.sleep(1.0)
    closed, again = made.rows(
        "select count(*), count(*) filter (where revision > 1) from evaluation"
    )[0]
    say(f"quiet {time.monotonic() - began:.0f} s later; {closed} closes, {again} of them again")


def unfinished(made: Installation) -> list[str]:
    """What is still to be done, in words."""
    intake = [f"intake.{vendor}" for vendor in made.vendors.values()]
    applied = {
        ("measurements", row["partition"]): row["next_offset"]
        for row in made.rows(
            "select partition, next_offset from progress where topic like '%.measurements'"
        )
    }
    read = {
        "intake is not read": made.read_by("ingest-intake", intake) == made.ends(*intake),
        "facts are not applied": applied == made.ends("measurements"),
    }
    left = [what for what, done in read.items() if not done]
    for what, query in _ASKED.items():
        number = made.value(query)
        if number:
            left.append(f"{number} {what}")
    return left


_ASKED = {
    "frames looked at for touched periods": "select count(*) from"
    " (select partition, max(number) as number from fact_frame group by 1) f"
    " left join touch_scan s using (partition) where s.number is distinct from f.number",
    "periods to count again": "select count(*) from touched",
    "periods not closed": f"select {len(KINDS) * len(MONTHS)} - count(distinct"
    " (agreement, period)) from evaluation where agreement like '%-deal'",
    "evaluations not settled": "select (select count(*) from evaluation)"
    " - (select count(*) from evaluation_received)",
    "periods not settled": "select count(*) from settlement_pending",
    "records not published": "select coalesce(sum(head.next_seq - 1"
    " - coalesce(at.published_seq, head.next_seq - 1 - n.rows)), 0) from outbox_head head"
    " left join relay_position at using (topic, partition) cross join lateral"
    " (select count(*) as rows from outbox o where (o.topic, o.partition)"
    " = (head.topic, head.partition)) n",
}


def _tails(running: Stack) -> list[str]:
    """The last words of every worker, for whoever has to find out."""
    supervisor = running.supervisor
    return [
        f"--- {name} ({supervisor.restarts(name)} restarts)\n"
        + "\n".join(supervisor.log(name).read_text(errors="replace").splitlines()[-LAST_WORDS:])
        for name in supervisor.names()
    ]
