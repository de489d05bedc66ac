"""One run: events flow through the whole chain while everything fails that may fail, and in the
end all is compared with a plain count."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from services.cli.stack import Stack
from tests.chaos.damage import DAMAGES, assert_each_damage_is_found
from tests.chaos.ending import until_quiet
from tests.chaos.feed import Feed, feed
from tests.chaos.havoc import Hands, Havoc
from tests.chaos.installation import SESSION_TIMEOUT, Installation, at_work, founded
from tests.chaos.oracle import CHECKS, Expected, digest
from tests.chaos.orders import Orders
from tests.chaos.rebuilt import assert_rebuilt_is_the_same, assert_verified
from tests.chaos.schedule import AT_START, Blow, Wanted, schedule
from tests.chaos.sending import Sending
from tests.commit_proxy import CommitProxy, Fate, in_a_thread

Say = Callable[[str], None]


@dataclass(frozen=True)
class Plan:
    """What a run is to do. ``each``: events of a vendor's source. ``seconds``: how long events
    flow; all blows fall in this time. ``quiet``: seconds in which the rest must be done.
    ``damages``: so many are tried on the oracle, None: all."""

    seed: int
    each: int
    seconds: float
    wanted: Wanted
    quiet: float
    damages: int | None = None


@dataclass
class Outcome:
    """What a run has done. ``struck``: blows by kind and, for servers, by name. ``died_at``: point
    to processes that died there. ``lost``: what became of commits. ``figures``: what was counted.
    ``took``: seconds of each part."""

    plan: Plan
    struck: Counter[str] = field(default_factory=Counter)
    died_at: Counter[str] = field(default_factory=Counter)
    lost: Counter[Fate] = field(default_factory=Counter)
    figures: dict[str, int] = field(default_factory=dict)
    took: dict[str, float] = field(default_factory=dict)
    statements: str = ""

    @property
    def kills(self) -> int:
        """Processes killed, at random moments and at points."""
        return self.struck["kill"] + sum(self.died_at.values())


def carried_out(
    plan: Plan, kafka: str, database: str, folder: Path, hands: Hands, say: Say
) -> Outcome:
    """Run it. ``database``: empty before. Raises AssertionError where anything is not as it must
    be."""
    outcome, clock = Outcome(plan), _StopWatch()
    blows = schedule(
        Random(plan.seed), plan.seconds, SESSION_TIMEOUT, plan.wanted, [*hands.servers]
    )
    given = feed(Random(plan.seed), plan.each)
    outcome.took["events made"] = clock.lap()
    with founded(kafka, database, folder) as made:
        further = hands.prepare()
        _arm_before_the_start(blows, hands)
        proxy = CommitProxy(database, hands.fate, hands.kill_database)
        with in_a_thread(proxy) as through, at_work(made, through, folder, further) as running:
            acknowledged = _under_fire(outcome, made, running, given, blows, hands, say)
            outcome.took["under fire"] = clock.lap()
            until_quiet(made, running, plan.quiet, say)
            outcome.took["until quiet"] = clock.lap()
        expected = Expected(given, acknowledged)
        _compare(outcome, made, expected, clock, say)
    outcome.lost = hands.lost
    return outcome


def _arm_before_the_start(blows: list[Blow], hands: Hands) -> None:
    for blow in [each for each in blows if each.target in AT_START]:
        blows.remove(blow)
        hands.leave(blow.target)


def _under_fire(
    outcome: Outcome,
    made: Installation,
    running: Stack,
    given: Feed,
    blows: list[Blow],
    hands: Hands,
    say: Say,
) -> set[tuple[str, str]]:
    """Send everything while the blows fall. Gives what HTTP has acknowledged."""
    plan = outcome.plan
    havoc = Havoc(running.supervisor, hands, blows, say)
    orders = Orders(made, running.addresses.settlement, running.addresses.key, plan.seed)
    sending = Sending(plan.seconds, given.conflicts)
    havoc.begin()
    orders.begin()
    for number, ((sender, door), items) in enumerate(given.streams.items()):
        if door == "http":
            seed = plan.seed + number
            sending.over_http(sender, running.ingest_urls, made.keys[sender], items, seed)
        else:
            topic = made.topic(f"intake.{made.vendors[sender]}")
            sending.over_kafka(sender, made.kafka, topic, items)
    sending.wait(2 * plan.seconds + 120)
    havoc.end(plan.seconds + 120)
    orders.end()
    orders.assert_answered()
    outcome.struck.update(f"{each.what} {_server(each)}".strip() for each in havoc.struck)
    outcome.died_at = hands.died_at()
    outcome.struck["kill server in commit broker"] -= hands.missed
    restarts = {name: running.supervisor.restarts(name) for name in running.supervisor.names()}
    assert all(restarts.values()), f"a worker was never started again: {restarts}"
    outcome.figures |= {
        "events sent": given.sent,
        "events that count": len(given.events),
        "conflicts": len(given.conflicts),
        "acknowledged over HTTP": len(sending.acknowledged),
        "requests made again": sending.repeated,
        "orders": len(orders.given),
        "workers started again": sum(restarts.values()),
        "closed under fire": made.value("select count(*) from evaluation"),
    }
    assert outcome.figures["closed under fire"] > 0, "no period was closed while the blows fell"
    say(f"{outcome.figures}")
    return sending.acknowledged


def _server(blow: Blow) -> str:
    return blow.target if blow.what in ("kill server", "kill server in commit", "full disk") else ""


def _compare(
    outcome: Outcome, made: Installation, expected: Expected, clock: _StopWatch, say: Say
) -> None:
    """Hold everything against the oracle, then the oracle against damages."""
    plan = outcome.plan
    expected.settle(made)
    outcome.took["counted and settled apart"] = clock.lap()
    for what, check in CHECKS.items():
        check(made, expected)
        say(f"{what}: as expected")
    assert_verified(made)
    outcome.took["compared"] = clock.lap()
    compared = assert_rebuilt_is_the_same(made)
    outcome.figures |= {f"{what} rebuilt": number for what, number in compared.items()}
    outcome.took["rebuilt"] = clock.lap()
    outcome.figures["damages found"] = assert_each_damage_is_found(
        made, expected, Random(plan.seed).sample([*DAMAGES], plan.damages or len(DAMAGES))
    )
    outcome.took["damaged"] = clock.lap()
    outcome.statements = digest(expected.statements)
    say(f"{outcome.took}")


class _StopWatch:
    def __init__(self) -> None:
        self._at = time.monotonic()

    def lap(self) -> float:
        """Seconds since the last one."""
        before, self._at = self._at, time.monotonic()
        return self._at - before
