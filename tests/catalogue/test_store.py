"""What is applied stays as it is, and comes back as it was."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import asyncpg
import pytest

from schemas.programme import Programme
from services.catalogue import api_key, keys
from services.catalogue.cached import CatalogueCopy
from services.catalogue.revision import revision
from services.catalogue.snapshot import SourceOwner
from services.catalogue.store import NotApplicable, apply, load
from services.shell.postgres import Connection, Pool, open_pool
from tests.catalogue.builders import DESK, NARROW, PROBE, TOWN, a_programme, an_agreement


@pytest.fixture
async def connection(database: str) -> AsyncIterator[Connection]:
    connection = await asyncpg.connect(database)
    yield connection
    await connection.close()


async def test_what_is_applied_is_loaded_as_it_was(connection: Connection) -> None:
    await apply(connection, a_programme())
    await apply(connection, an_agreement())
    catalogue = await load(connection)
    assert catalogue.programmes == {"campus": (a_programme(),)}
    assert catalogue.agreements == {"campus-network": (an_agreement(),)}
    assert catalogue.sources[PROBE] == SourceOwner("campus", "north")
    assert catalogue.sources[TOWN] == SourceOwner("campus", "town")
    assert catalogue.source(NARROW).metrics == ("net.availability",)
    assert catalogue.vendors == ("desk", "north")


async def test_every_metric_has_a_number_both_ways(connection: Connection) -> None:
    await apply(connection, a_programme())
    catalogue = await load(connection)
    names = [metric.metric for metric in a_programme().metrics]
    assert [catalogue.numbers["campus", name] for name in names] == list(range(len(names)))
    assert [catalogue.metric(number).metric for number in range(len(names))] == names


async def test_applying_the_same_version_again_changes_nothing(connection: Connection) -> None:
    first = await apply(connection, a_programme())
    again = await apply(connection, a_programme())
    assert (first.already, again.already) == (False, True)
    assert await revision(connection) == first.revision == again.revision


async def test_another_text_under_an_applied_version_is_refused(connection: Connection) -> None:
    await apply(connection, a_programme())
    with pytest.raises(NotApplicable, match="give the changed text the version 2"):
        await apply(connection, a_programme(name="Another"))
    await apply(connection, an_agreement())
    with pytest.raises(NotApplicable, match="agreement campus-network version 1 is applied"):
        await apply(connection, an_agreement(lateness_hours=25))
    assert (await load(connection)).agreements["campus-network"] == (an_agreement(),)


async def test_numbers_stay_when_a_later_version_reorders_and_adds(connection: Connection) -> None:
    await apply(connection, a_programme())
    before = (await load(connection)).numbers
    added = a_programme().metrics[0].model_copy(update={"metric": "net.second"})
    await apply(connection, a_programme(2, metrics=[added, *reversed(a_programme().metrics)]))
    after = await load(connection)
    assert {name: after.numbers[name] for name in before} == before
    assert after.numbers["campus", "net.second"] == len(before)
    assert [each.version for each in after.programmes["campus"]] == [1, 2]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"effective_from": "2024-12-31"}, "choose that day or a later one"),
        ({"buyer": "city", "sources": [{"source": PROBE, "reports_for": "north"}]}, "buyer"),
        ({"time_zone": "Europe/Paris"}, "start another programme"),
        ({"sources": [{"source": PROBE, "reports_for": "desk"}]}, "a source never moves"),
    ],
)
async def test_a_version_that_contradicts_the_one_before_is_refused(
    connection: Connection, change: dict[str, object], told: str
) -> None:
    await apply(connection, a_programme())
    with pytest.raises(NotApplicable, match=told):
        await apply(connection, a_programme(2, **change))
    assert (await load(connection)).programmes["campus"] == (a_programme(),)


async def test_a_metric_keeps_its_unit(connection: Connection) -> None:
    await apply(connection, a_programme())
    changed = [
        metric.model_copy(update={"unit": "seconds"}) if metric.metric == "net.rtt" else metric
        for metric in a_programme().metrics
    ]
    with pytest.raises(NotApplicable, match=r"net\.rtt has the unit seconds"):
        await apply(connection, a_programme(2, metrics=changed))


async def test_a_source_of_one_programme_is_refused_in_another(connection: Connection) -> None:
    await apply(connection, a_programme())
    with pytest.raises(NotApplicable, match="already reports for desk in programme campus"):
        await apply(
            connection,
            a_programme(programme="park", sources=[{"source": DESK, "reports_for": "desk"}]),
        )


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"programme": "park"}, "apply the programme first"),
        ({"vendor": "south"}, "its vendors are north, desk"),
    ],
)
async def test_an_agreement_needs_its_programme_and_vendor(
    connection: Connection, change: dict[str, object], told: str
) -> None:
    await apply(connection, a_programme())
    with pytest.raises(NotApplicable, match=told):
        await apply(connection, an_agreement(**change))


async def test_an_older_version_does_not_come_after_a_newer_one(connection: Connection) -> None:
    await apply(connection, a_programme())
    await apply(connection, an_agreement(2))
    with pytest.raises(NotApplicable, match="version 1 is older than version 2"):
        await apply(connection, an_agreement(1))


async def test_an_agreement_keeps_its_vendor(connection: Connection) -> None:
    await apply(connection, a_programme())
    await apply(connection, an_agreement())
    with pytest.raises(NotApplicable, match="give the new one another id"):
        await apply(connection, an_agreement(2, vendor="desk"))


@pytest.mark.parametrize(
    "statement",
    [
        "update programme_version set body = 'x'",
        "delete from agreement_version",
        "truncate metric_number",
        "update source_owner set party = 'desk'",
        "delete from api_key",
    ],
)
async def test_the_database_itself_refuses_changes(connection: Connection, statement: str) -> None:
    await apply(connection, a_programme())
    await apply(connection, an_agreement())
    await keys.create(connection, party="north", role="vendor", label="x")
    with pytest.raises(asyncpg.RestrictViolationError, match="append-only"):
        await connection.execute(statement)


async def test_two_who_apply_different_texts_at_once_do_not_both_succeed(database: str) -> None:
    first, second = await asyncpg.connect(database), await asyncpg.connect(database)
    results = await asyncio.gather(
        apply(first, a_programme()),
        apply(second, a_programme(name="Another")),
        return_exceptions=True,
    )
    catalogue = await load(first)
    await first.close()
    await second.close()
    assert sum(isinstance(result, NotApplicable) for result in results) == 1
    assert len(catalogue.programmes["campus"]) == 1
    assert len(catalogue.numbers) == len(a_programme().metrics)


async def test_a_key_is_known_by_its_text_and_nothing_else(connection: Connection) -> None:
    text = await keys.create(connection, party="north", role="vendor", label="probe")
    known = (await load(connection)).keys
    found = api_key.recognise(known, text)
    assert found is not None
    assert (found.party, found.role) == ("north", "vendor")
    assert api_key.recognise(known, text[:-1] + ("A" if text[-1] != "A" else "B")) is None
    assert api_key.recognise(known, "") is None
    stored = await connection.fetch("select * from api_key")
    assert text.split("_", 2)[2] not in str(stored)
    assert text not in repr(found)


async def test_a_revoked_key_is_gone_from_every_copy(database: str) -> None:
    pool = await open_pool(database, name="test", size=2)
    copy = CatalogueCopy(pool, every=0.05)
    await copy.start()
    async with pool.acquire() as connection:
        text = await keys.create(connection, party="north", role="vendor", label="probe")
        await _until(lambda: api_key.recognise(copy.current.keys, text) is not None)
        await keys.revoke(connection, text.split("_")[1], reason="lost")
        await _until(lambda: api_key.recognise(copy.current.keys, text) is None)
        with pytest.raises(keys.UnknownKey, match="no key has the prefix"):
            await keys.revoke(connection, "nothere", reason="lost")
    await copy.stop()
    await pool.close()


async def test_those_who_ask_at_once_share_a_look_and_each_gets_what_was_there_before_it_asked(
    database: str,
) -> None:
    pool = await open_pool(database, name="test", size=2)
    counted = _CountedPool(pool)
    copy = CatalogueCopy(counted)
    first = asyncio.create_task(copy.refresh())
    await asyncio.sleep(0)  # it looks now: what follows may come too late for it
    async with pool.acquire() as connection:
        text = await keys.create(connection, party="north", role="vendor", label="probe")
    await asyncio.gather(first, *(copy.refresh() for _ in range(20)))
    assert api_key.recognise(copy.current.keys, text) is not None
    assert 2 <= counted.taken <= 3
    await pool.close()


async def test_a_look_that_failed_counts_for_nobody(database: str) -> None:
    pool = await open_pool(database, name="test", size=1)
    copy = CatalogueCopy(pool)
    async with pool.acquire() as held:
        asking = [asyncio.create_task(copy.refresh()) for _ in range(3)]
        await asyncio.sleep(0.05)
        asking[0].cancel()
        text = await keys.create(held, party="north", role="vendor", label="probe")
    await asyncio.gather(*asking[1:])
    assert api_key.recognise(copy.current.keys, text) is not None
    await pool.close()


async def test_an_unknown_role_is_refused(connection: Connection) -> None:
    with pytest.raises(ValueError, match="use one of vendor"):
        await keys.create(connection, party="north", role="king", label="x")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("header", "text"),
    [("Bearer abc", "abc"), ("bearer  abc ", "abc"), ("Basic abc", None), ("", None), (None, None)],
)
def test_a_key_is_read_from_the_authorization_header(header: str | None, text: str | None) -> None:
    assert api_key.bearer(header) == text


class _CountedPool:
    def __init__(self, pool: Pool) -> None:
        self._pool, self.taken = pool, 0

    def acquire(self) -> Any:
        self.taken += 1
        return self._pool.acquire()


async def _until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not true():  # noqa: ASYNC110 - what is waited for happens in the copy's own task
            await asyncio.sleep(0.02)


def stricter(day: str) -> Programme:
    """A second version of the programme that counts the network's availability otherwise."""
    metrics = [
        metric.model_copy(update={"better": "lower"})
        if metric.metric == an_agreement().levels[0].metric
        else metric
        for metric in a_programme().metrics
    ]
    return a_programme(2, effective_from=day, metrics=metrics)


async def test_a_programme_version_that_starts_inside_a_period_is_refused(
    connection: Connection,
) -> None:
    await apply(connection, a_programme())
    await apply(connection, an_agreement())
    with pytest.raises(NotApplicable, match=r"2025-05-15, inside 2025-05 of agreement campus-net"):
        await apply(connection, stricter("2025-05-15"))
    assert (await apply(connection, stricter("2025-05-01"))).already is False


async def test_an_agreement_beside_a_version_inside_its_period_is_refused(
    connection: Connection,
) -> None:
    await apply(connection, a_programme())
    await apply(connection, stricter("2025-05-15"))
    with pytest.raises(NotApplicable, match="agreement campus-network version 1: version 2 of the"):
        await apply(connection, an_agreement())
    ended = an_agreement(effective_until="2025-05-01")
    assert (await apply(connection, ended)).already is False
    later = an_agreement(2, effective_from="2025-06-01")
    assert (await apply(connection, later)).already is False
