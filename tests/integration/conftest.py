"""One installation for the tests on real input: everything goes through it once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from services.cli.stack import Workers
from tests.integration.clouds import clouds
from tests.integration.desk import desk
from tests.integration.living import Living, living, wait_for
from tests.integration.probes import probes
from tests.integration.real import Place, Set


@dataclass
class Through:
    """A set of real input that has gone through the chain.

    ``answers``: what the door said, by status. ``refused``: id to the code of the problem.
    ``by_event_time``: periods that closed by themselves. ``settled``: periods with a statement.
    """

    given: Set
    contracts: Path
    events: Path
    answers: Counter[str] = field(default_factory=Counter)
    refused: dict[str, str] = field(default_factory=dict)
    by_event_time: set[Place] = field(default_factory=set)
    settled: set[Place] = field(default_factory=set)


@dataclass
class Chain:
    """The installation, and each set by its name."""

    living: Living
    sets: dict[str, Through]


@pytest.fixture(scope="package")
def chain(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Chain]:
    """Real input of nine years, oldest first, through a whole installation."""
    folder = tmp_path_factory.mktemp("real")
    # Event time goes forward over all that share a partition, whoever they are.
    given = [desk(), clouds(), probes()]
    sets = {each.name: Through(each, *each.write(folder / each.name)) for each in given}
    with living(folder / "earnback", request.config, Workers(ingest=2)) as running:
        for through in sets.values():
            running.apply(through.contracts)
        for through in sets.values():
            _send(running, through)
        running.wait_until_seen()
        for through in sets.values():
            _wait_for_closes(running, through.given)
            running.close(through.given.expected)  # counts what came late, too
            _look_at_reasons(running, through)
        yield Chain(running, sets)


def _send(running: Living, through: Through) -> None:
    """Every party sends its own events with a key of its own."""
    given = through.given
    clients = {
        party: running.client_of(
            running.stack.key_for(party, "procurement" if party == given.buyer else "vendor")
        )
        for party in given.parties
    }
    try:
        for party, events in given.deliveries():
            for result in running.submit(clients[party], events):
                through.answers[result["status"]] += 1
                if result["status"] == "rejected":
                    through.refused[result["id"]] = result["problem"]["code"]
    finally:
        for client in clients.values():
            client.close()


def _wait_for_closes(running: Living, given: Set) -> None:
    """Wait until event time has closed what it passes."""
    for agreement in sorted({agreement for agreement, _ in given.expected}):
        wait_for(
            f"{agreement} to close",
            lambda a=agreement: running.reasons(a).keys() >= set(given.by_itself),
        )


def _look_at_reasons(running: Living, through: Through) -> None:
    for agreement in sorted({agreement for agreement, _ in through.given.expected}):
        through.settled |= {(agreement, period) for period in running.documents(agreement)}
        for period, reason in running.reasons(agreement).items():
            if reason == "closed":
                through.by_event_time.add((agreement, period))
