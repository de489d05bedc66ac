"""Makes servers ready for the services: tables, topics, and the outbox's view of the topics.

Safe to repeat, and to run from several places at once; nothing is ever removed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from infra.migrations import migrate
from infra.topics import (
    Profile,
    apply_topics,
    check_profile,
    topic_partitions,
    with_records,
)
from services.catalogue.store import load
from services.shell.broker import for_librdkafka
from services.shell.outbox import OtherInstallation, declare, known_topics
from services.shell.postgres import Connection, connected
from services.shell.prefix import beginning, role_beginning
from services.shell.settings import read_security

RELAYED = ("evaluations", "quarantine", "refused", "settlements", "ledger-entries")
"""Topics that are written from the outbox, and by nothing else."""


async def prepare(
    kafka: str,
    postgres: str,
    profile: Profile = "trial",
    *,
    prefix: str = "",
    grow_partitions: bool = False,
) -> list[str]:
    """Bring both servers up to date; a sentence for each thing done, none when all was there.

    ``prefix``: of this installation, where several share a server. Kafka's security settings are
    read from the environment. Raises BadSettings, and before anything is done TopicError where the
    topics are of another profile, and OtherInstallation where the database or the topics are of
    another installation.
    """
    options, begin = for_librdkafka(kafka, read_security()), beginning(prefix)
    await check_profile(kafka, profile, options=options, beginning=begin)
    async with connected(postgres, name="earnback-prepare") as connection:
        await _check_owner(connection, prefix, options)
        roles = role_beginning(prefix)
        done = [f"migration {name}" for name in await migrate(postgres, beginning=roles)]
        vendors = (await load(connection)).vendors
        done += await apply_topics(
            kafka,
            profile,
            options=options,
            vendors=vendors,
            grow_partitions=grow_partitions,
            beginning=begin,
        )
        for topic in RELAYED:
            await declare(connection, begin + topic, topic_partitions(topic, profile))
    return done


async def installed_prefix(connection: Connection) -> str | None:
    """The prefix that the database was prepared with; None where it was not prepared yet."""
    if not await connection.fetchval("select to_regclass('outbox_head') is not null"):
        return None
    for topic in sorted(await known_topics(connection)):
        for name in RELAYED:
            if topic == name or topic.endswith(f".{name}"):
                return topic.removesuffix(name).removesuffix(".")
    return None


async def _check_owner(connection: Connection, prefix: str, options: Mapping[str, Any]) -> None:
    installed = await installed_prefix(connection)
    if installed is None:
        begin = beginning(prefix)
        used = await with_records(options, [begin + topic for topic in RELAYED])
        if used:
            raise OtherInstallation(
                f"the database is new and these topics hold records already: {', '.join(used)}. "
                "They are another installation's: set EARNBACK_PREFIX, which sets two on one "
                "cluster apart, or restore the database that they belong to; nothing was changed"
            )
    elif installed != prefix:
        raise OtherInstallation(
            f"the database was prepared with {_said(installed)}, and {_said(prefix)} is given; a "
            "prefix is chosen once: give the same, or another database; nothing was changed"
        )


def _said(prefix: str) -> str:
    return f"EARNBACK_PREFIX={prefix}" if prefix else "no EARNBACK_PREFIX"
