"""Applies contract files to a running earnback: checked whole first, then version by version."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from infra.cluster import WantedTopics, apply_topics
from schemas.agreement import Agreement
from schemas.programme import Programme
from services.catalogue.four_eyes import AgreementNeeded, RequestedAct, ask
from services.catalogue.store import NotApplicable, apply, load
from services.cli.client import AskedForByCommand
from services.cli.files import read_contracts
from services.cli.person import command_author
from services.cli.prepare import installed_prefix
from services.cli.stack import Addresses
from services.settlement.effective_versions import rules_from
from services.shell.broker import for_librdkafka
from services.shell.outbox import known_topics
from services.shell.postgres import Connection, connected
from services.shell.prefix import beginning
from services.shell.settings import read_security


async def apply_files(
    where: Addresses, paths: Sequence[Path], reason: str | None = None
) -> list[str]:
    """Apply all documents, programmes first; a sentence for each. New vendors get their topic.

    ``reason``: why, for the audit. Raises Faulty when one document is refused, and
    AskedForByCommand where another has to agree: then none is applied.
    """
    options = for_librdkafka(where.kafka, read_security())
    async with connected(where.postgres, name="earnback-apply") as connection:
        known = await load(connection)
        found = read_contracts(paths, known.programme_versions, known.agreement_versions).in_order()
        told = []
        nouns: list[Programme | Agreement] = [*found.programmes, *found.agreements]
        try:
            async with connection.transaction():
                for noun in nouns:
                    done = await apply(connection, noun, by=command_author(), reason=reason)
                    state = "was applied before" if done.already else "is applied"
                    since = await _rules_later(connection, noun)
                    told.append(f"{noun.kind} {done.name} version {done.version} {state}{since}")
        except AgreementNeeded as needed:
            raise AskedForByCommand(await _asked_for(connection, nouns)) from needed
        vendors = (await load(connection)).vendors
        prefix = await installed_prefix(connection) or ""
        fixed = await known_topics(connection)
    wanted = WantedTopics(None, tuple(vendors), fixed=fixed, beginning=beginning(prefix))
    topics = await apply_topics(where.kafka, wanted, options=options)
    return [*told, *topics.done, *topics.left]


async def _asked_for(connection: Connection, nouns: Sequence[Programme | Agreement]) -> list[str]:
    """Ask for all that is new and needs the agreement of another; the requests. None is applied.

    What stands on a version that is asked for itself is asked for when that is applied.
    """
    needed: list[RequestedAct] = []
    attempt = connection.transaction()
    await attempt.start()
    try:
        for noun in nouns:
            try:
                await apply(connection, noun, by=command_author())
            except AgreementNeeded as one:
                needed.append(one.act)
            except NotApplicable:
                if not needed:
                    raise
    finally:
        await attempt.rollback()
    async with connection.transaction():
        return [str(await ask(connection, act, command_author())) for act in needed]


async def _rules_later(connection: Connection, noun: Programme | Agreement) -> str:
    """Why a version does not rule from its own first day, where it does not."""
    if not isinstance(noun, Agreement):
        return ""
    since = await rules_from(connection, noun)
    if since <= noun.effective_from:
        return ""
    return f"; it rules from {since}, not from {noun.effective_from}: what is settled stays"
