"""Applies contract files to a running earnback: checked whole first, then version by version."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from infra.topics import apply_topics
from schemas.agreement import Agreement
from schemas.programme import Programme
from services.catalogue.store import apply, load
from services.cli.files import read_contracts
from services.cli.person import command_author
from services.cli.stack import Addresses
from services.settlement.effective_versions import rules_from
from services.shell.broker import for_librdkafka
from services.shell.postgres import Connection, connected
from services.shell.settings import read_security


async def apply_files(where: Addresses, paths: Sequence[Path]) -> list[str]:
    """Apply all documents, programmes first; a sentence for each. New vendors get their topic.

    Raises Faulty when one document is refused: then none is applied.
    """
    options = for_librdkafka(where.kafka, read_security())
    async with connected(where.postgres, name="earnback-apply") as connection:
        known = await load(connection)
        found = read_contracts(paths, known.programme_versions, known.agreement_versions).in_order()
        told = []
        async with connection.transaction():
            nouns: list[Programme | Agreement] = [*found.programmes, *found.agreements]
            for noun in nouns:
                done = await apply(connection, noun, by=command_author())
                state = "was applied before" if done.already else "is applied"
                since = await _rules_later(connection, noun)
                told.append(f"{noun.kind} {done.name} version {done.version} {state}{since}")
        vendors = (await load(connection)).vendors
    return told + await apply_topics(where.kafka, None, options=options, vendors=vendors)


async def _rules_later(connection: Connection, noun: Programme | Agreement) -> str:
    """Why a version does not rule from its own first day, where it does not."""
    if not isinstance(noun, Agreement):
        return ""
    since = await rules_from(connection, noun)
    if since <= noun.effective_from:
        return ""
    return f"; it rules from {since}, not from {noun.effective_from}: what is settled stays"
