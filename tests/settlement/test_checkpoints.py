"""Settlement goes on from what is left of settled periods, and can do without it."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg
import pytest

from schemas.agreement import Agreement
from schemas.evaluation import CircumstanceFact
from schemas.period import next_label
from services.core.settling.settlement import settle_each
from services.settlement import replay
from services.settlement.consumer import Settler
from services.settlement.verification import verify
from services.shell.postgres import Overtaken
from tests.settlement.builders import (
    a_programme,
    a_record,
    a_shared_cap,
    an_agreement,
    an_evaluation,
)
from tests.settlement.house import House, a_house

MONTHS = [f"2025-{month:02}" for month in range(1, 6)]
WORKED_OUT = list[tuple[str, list[str], int]]
"""Of each agreement that was settled: its name, the periods read, and the checkpoints before."""


@pytest.fixture
def worked_out(monkeypatch: pytest.MonkeyPatch) -> WORKED_OUT:
    """What settlement works out."""
    seen: WORKED_OUT = []

    def looked_at(histories: Any, *rest: Any, **given: Any) -> Any:
        for name, each in histories.items():
            seen.append(
                (name, [one.period for one in each.evaluations], len(each.before.checkpoints))
            )
        return settle_each(histories, *rest, **given)

    monkeypatch.setattr(replay, "settle_each", looked_at)
    return seen


async def test_a_further_month_reads_no_other_and_a_late_fact_those_after_it(
    database: str, worked_out: WORKED_OUT
) -> None:
    async with a_house(database) as house:
        await house.settle(*(an_evaluation(9700, period=period) for period in MONTHS))
        assert worked_out == [("hosting", [month], place) for place, month in enumerate(MONTHS)]
        worked_out.clear()
        await house.settle(an_evaluation(9600, period=MONTHS[2], revision=2))
        assert worked_out == [("hosting", MONTHS[2:], 2)]
        assert [await house.owed(period) for period in MONTHS] == [
            20000,
            20000,
            30000,
            20000,
            20000,
        ]
        worked_out.clear()
        await house.pool.execute("delete from settlement_checkpoint where period = '2025-02'")
        await house.settle(an_evaluation(9700, period="2025-06"))
        assert worked_out == [("hosting", [*MONTHS[1:], "2025-06"], 1)]
        assert await house.pool.fetchval("select count(*) from statement") == 7


async def test_under_a_shared_cap_all_go_on_from_the_same_month(
    database: str, worked_out: WORKED_OUT
) -> None:
    async with a_house(database, programme=a_programme(a_shared_cap("300"))) as house:
        for period in MONTHS[:3]:
            await house.settle(
                an_evaluation(9700, period=period),
                an_evaluation(9500, agreement="network", period=period),
            )
        worked_out.clear()
        await house.settle(an_evaluation(9900, period=MONTHS[1], revision=2))
        assert worked_out == [("hosting", MONTHS[1:3], 1), ("network", MONTHS[1:3], 1)]
        assert [await house.owed(period, "network") for period in MONTHS[:3]] == [
            20000,
            30000,
            20000,
        ]
        async with house.pool.acquire() as connection:
            for name in ("hosting", "network"):
                assert (await verify(connection, name)).difference is None


async def test_what_looks_far_back_or_ahead_is_read_as_far_as_it_looks(
    database: str, worked_out: WORKED_OUT
) -> None:
    """Each month's base is the next one's charge; one cap is over eighteen months, one over all."""
    months = [next_label("2025-01", place) for place in range(20)]
    async with a_house(database, [_looking_far()]) as house, house.pool.acquire() as connection:
        await house.settle(*(an_evaluation(9700, period=each, charge="1000") for each in months))
        assert worked_out[-2:] == [("hosting", months[17:19], 17), ("hosting", months[18:], 18)]
        assert await house.owed(months[0]) == 2000
        worked_out.clear()
        said = an_evaluation(9700, period=months[19], revision=2, charge="1000")
        fact = CircumstanceFact.model_validate(
            {
                "event": {"source": "urn:town:probe/1", "id": "brought"},
                "at": said.figures[0].window.end,
                "circumstance": {
                    "agreement": "hosting",
                    "circumstance": "brought",
                    "period": months[19],
                    "values": {"credits": "5"},
                },
            }
        )
        await house.settle(said.model_copy(update={"circumstances": (fact,)}))
        assert worked_out[-1] == ("hosting", months, 0), "each month has looked for it"
        worked_out.clear()
        await house.settle(an_evaluation(9700, period="2026-09", charge="1000"))
        assert [periods for _, periods, _ in worked_out][-1] == [months[19], "2026-09"]
        assert (await verify(connection, "hosting")).difference is None


def _looking_far() -> Agreement:
    told = an_agreement(per_point="1", needs_charge=True).model_dump(mode="json")
    told["bases"][0]["of_period"] = "next"
    limit = {"kind": "percent_of", "percent": 10, "base": "monthly"}
    amount = {"kind": "amount", "amount": "500"}
    told["caps"] = [
        {
            "cap": "far",
            "window": "trailing",
            "periods": 18,
            "earned_back": "still_counts",
            "limit": limit,
        },
        {"cap": "all", "window": "term", "opening": "brought", "limit": amount,
         "earned_back": "still_counts", "if_absent": "nothing"},
    ]  # fmt: skip
    return Agreement.model_validate(told)


async def test_what_was_worked_out_before_another_settled_is_not_posted(database: str) -> None:
    async with a_house(database) as house:
        record = a_record(an_evaluation(9700))
        assert await house.settler.prepare(house.pool, [record]) == 1
        await House(house.pool, Settler()).settle(an_evaluation(9600, period="2025-02"))
        async with house.pool.acquire() as connection:
            with pytest.raises(Overtaken):
                async with connection.transaction():
                    await house.settler.apply(connection, 0, [record])
        assert await house.pool.fetchval("select count(*) from evaluation_received") == 1
        await house.apply(record)
        assert [await house.owed(period) for period in MONTHS[:2]] == [20000, 30000]


async def test_evaluations_that_do_not_depend_on_one_another_are_taken_together(
    database: str,
) -> None:
    async with a_house(database) as house:
        given = [
            an_evaluation(9700),
            an_evaluation(9700, agreement="network"),
            an_evaluation(9700, period="2025-02"),
        ]
        records = [a_record(one, offset=place) for place, one in enumerate(given)]
        assert await house.settler.prepare(house.pool, records) == 2


async def test_nobody_waits_for_the_book_while_something_is_worked_out(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is worked out stands in no transaction: whoever else posts is not held up by it."""
    async with a_house(database) as house:
        seen: list[Any] = []

        def looked_at(histories: Any, *rest: Any, **given: Any) -> Any:
            seen.append(_open_transactions(database))
            return settle_each(histories, *rest, **given)

        monkeypatch.setattr(replay, "settle_each", looked_at)
        await house.settle(an_evaluation(9700))
        assert seen == [0]


def _open_transactions(database: str) -> int:
    """How many sessions of the house are in a transaction; asked from the thread that works."""

    async def asked() -> int:
        connection = await asyncpg.connect(database)
        try:
            return int(
                await connection.fetchval(
                    "select count(*) from pg_stat_activity where datname = current_database()"
                    " and pid <> pg_backend_pid() and xact_start is not null"
                )
            )
        finally:
            await connection.close()

    return asyncio.run(asked())


async def test_the_first_thing_that_is_stored_otherwise_is_told(database: str) -> None:
    async with a_house(database) as house, house.pool.acquire() as connection:
        await house.settle(*(an_evaluation(9700, period=period) for period in MONTHS[:3]))
        found = await verify(connection, "hosting")
        assert (found.periods, found.difference, found.held, found.parked) == (3, None, (), "")
        await connection.execute("set session_replication_role = replica")
        await connection.execute(
            "update settlement_checkpoint set after = replace(after, '\"lacks\":null',"
            " '\"lacks\":\"x\"') where period = '2025-02'"
        )
        assert await _told(connection) == (
            "hosting 2025-02 checkpoint: another state is stored, the state after the period is "
            "recounted"
        )
        await connection.execute(
            "update ledger_entry set minor_units = minor_units + 1 where period = '2025-03'"
        )
        assert await _told(connection) == (
            "hosting 2025-03 ledger of line uptime: 20001 minor units is stored, 20000 by "
            "the statement is recounted"
        )
        await connection.execute(
            "update statement set body = replace(body, '20000', '20002'),"
            " sha256 = sha256(convert_to(replace(body, '20000', '20002'), 'UTF8'))"
            " where period = '2025-02'"
        )
        await connection.execute(
            "update ledger_entry set minor_units = 20002 where period = '2025-02'"
        )
        assert await _told(connection) == (
            "hosting 2025-02 line uptime: 20002 minor units is stored, 20000 minor units "
            "is recounted"
        )
        await connection.execute(
            "update evaluation_received set body = body || ' ' where period = '2025-01'"
        )
        assert await _told(connection) == (
            "hosting 2025-01 evaluation 1: a text is stored, another digest of it is recounted"
        )


async def _told(connection: Any) -> str:
    found = await verify(connection, "hosting")
    assert found.difference is not None
    return found.difference.text()
