"""What the closer finds to do: by time, from tables that follow contracts and evaluations."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

from services.catalogue import store as catalogue
from services.evaluator import closing_queue, queue_store, recount
from services.evaluator.closing_queue import ClosingQueue, register
from services.evaluator.late_facts import scan
from services.evaluator.queue_store import NextClose
from services.shell.postgres import Connection
from tests.evaluator.bench import House
from tests.evaluator.builders import CIRRUS, NIMBUS, TOWN, Event, an_agreement, up

JANUARY = datetime(2025, 1, 10, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


async def heard(house: House, at: datetime) -> None:
    """Something of every source at a time, and what a closer does then."""
    await house.send(*([up(f"at{at}", at, each)] for each in (NIMBUS, CIRRUS, TOWN)))
    await house.look()


async def next_period(house: House, agreement: str = "hosting") -> str | None:
    found = await queue_store.period_of(house.connection, agreement)
    return None if found is None else found.period


async def touched(house: House) -> list[tuple[str, str]]:
    rows = await house.connection.fetch("select agreement, period from touched order by 1, 2")
    return [tuple(row) for row in rows]


async def test_the_next_period_is_the_first_that_is_not_closed_in_whatever_order(house: House):
    await heard(house, JANUARY)
    assert await next_period(house) == "2025-01"
    await house.ask_to_close("hosting", "2025-02")
    await house.look()
    assert await next_period(house) == "2025-01"
    await house.ask_to_close("hosting", "2025-01")
    await house.look()
    assert await next_period(house) == "2025-03"


async def test_an_agreement_that_has_ended_has_no_next_period(house: House):
    await catalogue.apply(house.connection, an_agreement("brief", effective_until="2025-02-01"))
    await heard(house, datetime(2025, 3, 1, tzinfo=UTC))
    assert [made.period for made in await house.evaluations("brief")] == ["2025-01"]
    assert await next_period(house, "brief") is None
    assert await next_period(house) == "2025-02"


async def test_a_new_version_moves_the_next_close_and_what_closed_periods_need(house: House):
    await heard(house, datetime(2025, 2, 10, tzinfo=UTC))
    before = await queue_store.period_of(house.connection, "hosting")
    later = an_agreement(version=2, effective_from="2025-02-01", lateness_hours=72)
    await catalogue.apply(house.connection, later)
    await house.look()
    after = await queue_store.period_of(house.connection, "hosting")
    assert before is not None
    assert after == NextClose("2025-02", before.due_us + 24 * 3600 * 10**6)
    assert await queue_store.followed(house.connection) == {"hosting": (2, 1)}


async def test_a_frame_finds_the_periods_that_it_may_change_and_no_others(house: House):
    for month in (1, 2, 3):
        await heard(house, datetime(2025, month, 20, tzinfo=UTC))
    await catalogue.apply(house.connection, an_agreement("other", "latency"))
    await heard(house, datetime(2025, 4, 20, tzinfo=UTC))
    assert await touched(house) == []
    await house.copy.refresh()
    late = datetime(2025, 2, 20, tzinfo=UTC)
    await house.send([up("late", late)], [Event("l", late, CIRRUS, metric="latency")])
    await house.send([up("new", datetime(2025, 4, 21, tzinfo=UTC))])
    assert not await scan(house.connection, house.copy.current)
    assert await touched(house) == [("hosting", "2025-02"), ("other", "2025-02")]


async def test_a_pass_without_news_asks_as_much_however_much_is_closed(house: House):
    asked: list[int] = []
    for month in (2, 9):
        await heard(house, datetime(2025, month, 20, tzinfo=UTC))
        closer = house.closer()
        await closer.look(house.connection)  # it takes over from the one before
        said: list[str] = []
        house.connection.add_query_logger(lambda record, said=said: said.append(record.query))
        await closer.look(house.connection)
        asked.append(len(said))
    assert len(await house.evaluations()) == 8
    assert asked[0] == asked[1] < 20


async def test_a_close_by_an_older_contract_leaves_the_queue_to_the_newer_one(house: House):
    await heard(house, JANUARY)
    old = recount.target_of(house.copy.current, "hosting", "2025-01")
    await catalogue.apply(
        house.connection, an_agreement(version=2, effective_from="2025-02-01", lateness_hours=72)
    )
    await house.look()
    assert not await register(house.connection, old)
    await closing_queue.move_on(house.connection, old)
    assert await next_period(house) == "2025-01"


async def test_what_was_closed_meanwhile_is_worked_out_again(house: House):
    await heard(house, datetime(2025, 2, 10, tzinfo=UTC))
    await house.connection.execute(
        "update next_close set period = '2025-01', due_us = 0 where agreement = 'hosting'"
    )
    await house.look()
    assert await next_period(house) == "2025-02"
    assert len(await house.evaluations()) == 1


async def test_any_fact_may_change_what_cannot_be_told(house: House, monkeypatch: Any):
    await heard(house, datetime(2025, 2, 10, tzinfo=UTC))
    await house.copy.refresh()
    with monkeypatch.context() as patched:
        patched.setattr(recount, "spans_of", _fails)
        await house.connection.execute("update next_close set versions = 9")
        assert await ClosingQueue().follow(house.connection, house.copy.current)
    await house.send([Event("l", JANUARY + HOUR, CIRRUS, metric="latency")])
    await scan(house.connection, house.copy.current)
    assert await touched(house) == [("hosting", "2025-01")]
    await house.connection.execute("delete from touched; update next_close set versions = 9")
    assert await ClosingQueue().follow(house.connection, house.copy.current)
    await house.send([Event("m", JANUARY + HOUR, CIRRUS, metric="latency")])
    await scan(house.connection, house.copy.current)
    assert await touched(house) == []


def _fails(*_: Any) -> Any:
    raise ArithmeticError("by nothing")


async def test_periods_that_are_closed_in_the_middle_of_a_change_are_not_forgotten(
    house: House, monkeypatch: Any
):
    """A period that is registered while its agreement is worked out is worked out with it."""
    await heard(house, JANUARY)
    await house.copy.refresh()
    target = recount.target_of(house.copy.current, "hosting", "2025-01")
    real = queue_store.lock
    registered: list[bool] = []

    async def meanwhile(connection: Connection, agreement: str) -> Any:
        if not registered:
            registered.append(True)
            await queue_store.put_counted(
                connection,
                "hosting",
                [queue_store.PeriodNeeds("2025-01", {}, (date.min, date.max))],
            )
        return await real(connection, agreement)

    monkeypatch.setattr(queue_store, "lock", meanwhile)
    await house.connection.execute("update next_close set versions = 9")
    assert await ClosingQueue().follow(house.connection, house.copy.current)
    spans = await house.connection.fetch("select metric, first_us, past_us from counted_span")
    assert {row[0]: (row[1], row[2]) for row in spans} == dict(target.spans)
