"""That the oracle can fail: it must find each of these, done to a copy of what was right."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from dataclasses import replace

import asyncpg

from tests.chaos.installation import Installation, a_copy
from tests.chaos.oracle import CHECKS, Expected

DAMAGES = {
    "a frame of facts is lost": (
        "facts",
        "delete from fact_frame where (partition, number) ="
        " (select partition, number from fact_frame where n > 0 order by n, 1, 2 limit 1)",
    ),
    "a frame of facts is stored twice": (
        "facts",
        "insert into fact_frame select (jsonb_populate_record(f, jsonb_build_object('number',"
        " (select max(number) + 1 from fact_frame), 'first_offset', 1000000000,"
        " 'last_offset', 1000000000))).* from fact_frame f where n > 0"
        " order by partition, number limit 1",
    ),
    "an event is counted twice in a tally": (
        "tallies",
        "update tally set n = n + 1 where ctid = (select ctid from tally where n > 0 limit 1)",
    ),
    "a conflict is forgotten": ("set aside", "delete from quarantine_item"),
    "a figure is changed": (
        "figures",
        'update evaluation set body = replace(body, \'"good":"\', \'"good":"1\')',
    ),
    "a statement is changed": (
        "statements",
        "update statement set body = replace(body, 'EUR', 'USD')",
    ),
    "a ledger entry is doubled": (
        "ledger",
        "update ledger_entry set minor_units = 2 * minor_units"
        " where position = (select min(position) from ledger_entry)",
    ),
    "an entry is told to finance and not in the ledger": (
        "topics",
        "delete from ledger_entry where position = (select max(position) from ledger_entry)",
    ),
    "what is parked is forgotten": ("parked", "update parked_work set resolved_at = now()"),
}
"""What is done, to the check that must find it and how it is done."""


def assert_each_damage_is_found(
    made: Installation, expected: Expected, damages: Collection[str]
) -> int:
    """Gives how many there were. No worker runs."""
    for what in damages:
        check, statement = DAMAGES[what]
        with a_copy(made.postgres) as copy:
            asyncio.run(_done_past_the_guards(copy, statement))
            try:
                CHECKS[check](replace(made, postgres=copy), expected)
            except AssertionError:
                continue
        raise AssertionError(f"not found: {what}")
    return len(damages)


async def _done_past_the_guards(database: str, statement: str) -> None:
    """Carry a statement out as one who switches the triggers off."""
    connection = await asyncpg.connect(database)
    try:
        await connection.execute("set session_replication_role = replica")
        tag = await connection.execute(statement)
        assert not tag.endswith(" 0"), statement
    finally:
        await connection.close()
