"""Who sent the answers to proposals: key and person, which no event says. For the audit."""

from __future__ import annotations

from collections.abc import Sequence

from services.catalogue.audit import Author
from services.core.events.facts import Row
from services.shell.postgres import Connection


async def note(connection: Connection, answers: Sequence[Row], by: Author) -> None:
    """Write down who sends these answers; who has sent one before stays its sender."""
    await connection.execute(
        "insert into answer_sender (source, event_id, key_prefix, party, role, person)"
        " select source, id, $3, $4, $5, $6 from unnest($1::text[], $2::text[]) as a(source, id)"
        " on conflict do nothing",
        [each.source for each in answers],
        [each.id for each in answers],
        by.key,
        by.party,
        by.role,
        by.person,
    )
