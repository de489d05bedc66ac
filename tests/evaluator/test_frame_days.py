"""What a count reads follows what its metrics and days hold, not what is stored."""

from __future__ import annotations

from datetime import timedelta

from services.core.calendar.windows import DAY_US, microseconds
from services.evaluator import store
from services.evaluator.fact_reader import load, tallied
from services.ingest import accepted_lookup
from tests.evaluator.bench import House
from tests.evaluator.builders import up
from tests.evaluator.test_closing_queue import JANUARY

MANY = 3_000


async def with_others(house: House) -> int:
    """Frames of the metric's other days and of the day's other metrics, which nobody could read;
    gives the partition of the day's own frame."""
    event = up("e", JANUARY)
    await house.send([event], [up("next", JANUARY + timedelta(days=40))])
    day = microseconds(JANUARY) // DAY_US
    others = [
        store.StoredFrame(
            *(number, number, number, 1, 0, 0, [0], b"unreadable", bytes(16), bytes(8), b""),
            days=[(0, day + 1 + number) if number % 2 else (7, day)],
        )
        for number in range(100, 100 + MANY)
    ]
    await store.insert_frames(house.connection, event.partition, others)
    await house.connection.execute("analyze")
    return event.partition


async def read_of(house: House, table: str) -> int:
    """Rows of a table that the transaction under way has read."""
    return int(
        await house.connection.fetchval(
            "select coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0)"
            " from pg_stat_xact_user_tables where relname = $1",
            table,
        )
    )


async def test_of_many_frames_those_of_the_metric_and_its_days_are_read(house: House) -> None:
    await with_others(house)
    first = microseconds(JANUARY)
    async with house.connection.transaction():
        loaded = await load(house.connection, {0: (first, first + 1)})
        assert list(loaded.facts.ids) == ["e"]
        assert await read_of(house, "fact_frame") <= 2
        assert await read_of(house, "frame_day") <= 2


async def test_of_many_tallies_those_of_the_metric_and_its_days_are_read(house: House) -> None:
    partition = await with_others(house)
    first = microseconds(JANUARY)
    windows = [first + (1 + number) * DAY_US for number in range(MANY)]
    ones = [1] * MANY
    sums = store.Tallies([0] * MANY, windows, *[ones] * 4)
    await store.add_tallies(house.connection, partition, sums)
    await house.connection.execute("analyze")
    async with house.connection.transaction():
        found = await tallied(house.connection, {0: (first, first + 1)})
        assert [key for key in found if key[0] == partition] == [(partition, 0, first // DAY_US)]
        assert await read_of(house, "tally") <= 20


async def test_whether_an_event_counts_already_is_asked_of_the_frames_of_its_day(
    house: House,
) -> None:
    await with_others(house)
    known, unknown = up("e", JANUARY).row(), up("f", JANUARY).row()
    async with house.connection.transaction():
        found = await accepted_lookup.accepted(
            house.connection, [known, unknown], house.copy.current.metrics
        )
        assert found == {known.identity + known.payload}
        assert await read_of(house, "fact_frame") <= 2
