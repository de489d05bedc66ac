"""Everything derived is made anew from the topics, and must be the same to the byte."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from services.cli.recover import recover
from services.cli.verifying import verified
from tests.chaos.installation import Installation

BYTES = {
    "evaluations": "select agreement, period, revision, body from evaluation order by 1, 2, 3",
    "statements": "select position, agreement, period, revision, body from statement order by 1",
    "ledger": "select position, entry_id, agreement, period, line, debit_account, credit_account,"
    " minor_units from ledger_entry order by 1",
}


def assert_rebuilt_is_the_same(made: Installation) -> dict[str, int]:
    """`earnback recover` over a backup from before the first event gives the same evaluations,
    statements and ledger. No worker runs. Gives how many rows were compared."""
    environment = {
        "EARNBACK_KAFKA": made.kafka,
        "EARNBACK_POSTGRES": made.backup,
        "EARNBACK_PREFIX": made.prefix,
    }
    done = asyncio.run(recover(environment))
    assert not done.left, done.left
    anew = replace(made, postgres=made.backup)
    compared = {}
    for what, query in BYTES.items():
        before, after = made.rows(query), anew.rows(query)
        assert [tuple(row) for row in after] == [tuple(row) for row in before], what
        compared[what] = len(before)
    return compared


def assert_verified(made: Installation) -> None:
    """`earnback verify` finds nothing stored otherwise than it is recounted."""

    async def differences() -> list[str]:
        return [
            one.difference.text()
            async for one in verified(made.postgres, [], facts=True)
            if one.difference is not None
        ]

    assert not asyncio.run(differences())
