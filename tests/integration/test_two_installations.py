"""Two installations share one Kafka cluster and one Postgres server, with a prefix between them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from infra.logins import service_logins
from services.cli.demo import read_committed
from services.cli.prepare import prepare
from services.cli.stack import stack
from services.shell.outbox import OtherInstallation
from tests.conftest import a_database
from tests.integration.conftest import Chain
from tests.integration.living import QUICK, Living, entered

EXAMPLES = Path(__file__).parents[2] / "schemas/examples/events"
AGREEMENT, MONTH = "campus-network", "2025-01"
PREFIX = "other"


@pytest.fixture(scope="module")
def other(chain: Chain, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Living]:
    """A second installation over the servers of the first."""
    where = chain.living.stack.addresses
    with pytest.MonkeyPatch.context() as patch, a_database(where.postgres) as database:
        patch.setenv("EARNBACK_KAFKA", where.kafka)
        patch.setenv("EARNBACK_POSTGRES", database)
        told = {**QUICK, "EARNBACK_PREFIX": PREFIX}
        with (
            stack(tmp_path_factory.mktemp("other"), environment=told) as running,
            entered(running) as living,
        ):
            yield living


def test_neither_reads_or_settles_what_is_the_others(chain: Chain, other: Living) -> None:
    """The same agreement, sources and event ids in both; the second has one failure more."""
    first = chain.living
    events = [json.loads(line) for line in (EXAMPLES / "first-month.ndjson").open()]
    worse = [{**event, "data": {**event["data"], "up": False}} for event in events[:1]]
    assert events[0]["data"]["up"], "the event that differs was a success"
    before = _counted(first)
    for living, given in ((first, events), (other, [*worse, *events[1:]])):
        living.apply(EXAMPLES)
        assert {each["status"] for each in living.submit(living.client, given)} == {"accepted"}
        living.wait_until_seen()
        living.close([(AGREEMENT, MONTH)])
    assert _counted(other) == len(events)
    assert _counted(first) == before + len(events)
    ours, theirs = (each.documents(AGREEMENT)[MONTH] for each in (first, other))
    assert ours != theirs, "one failure more"
    kafka = first.stack.addresses.kafka
    told = [record["data"] for record in read_committed(kafka, f"{PREFIX}.settlements")]
    assert [(each["agreement"], each["period"]) for each in told] == [(AGREEMENT, MONTH)]
    assert other.client.get("/v1/quarantine")["items"] == []


def test_no_role_of_one_has_a_right_in_the_database_of_the_other(
    chain: Chain, other: Living
) -> None:
    async def ask() -> None:
        theirs = other.stack.addresses.postgres
        login = (await service_logins(theirs, ["ingest"], f"{PREFIX}_"))["ingest"]
        own = await asyncpg.connect(login)
        away = await asyncpg.connect(login, database=_name(chain.living))
        try:
            await own.fetch("select from fact_frame limit 1")
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await away.fetch("select from fact_frame limit 1")
        finally:
            await own.close()
            await away.close()

    asyncio.run(ask())


def test_what_belongs_to_another_installation_is_not_taken_over(chain: Chain) -> None:
    """Nothing is made where a prefix is forgotten, or is another than the database's."""
    where = chain.living.stack.addresses
    with (
        a_database(where.postgres) as database,
        pytest.raises(OtherInstallation, match="topics hold records already: evaluations, "),
    ):
        asyncio.run(prepare(where.kafka, database))
    with pytest.raises(OtherInstallation, match="with no EARNBACK_PREFIX, and EARNBACK_PREFIX=x"):
        asyncio.run(prepare(where.kafka, where.postgres, prefix="x"))


def _counted(living: Living) -> int:
    async def ask() -> Any:
        connection = await asyncpg.connect(living.stack.addresses.postgres)
        try:
            return await connection.fetchval("select coalesce(sum(n), 0) from fact_frame")
        finally:
            await connection.close()

    return int(asyncio.run(ask()))


def _name(living: Living) -> str:
    return living.stack.addresses.postgres.rpartition("/")[2]
