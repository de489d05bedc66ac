"""Makes servers ready for the services: tables, topics, and the outbox's view of the topics.

Safe to repeat, and to run from several places at once; nothing is ever removed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from infra.cluster import Prepared, WantedTopics, apply_topics, check_profile, with_records
from infra.migrations import MigrationError, Missing, migrate, missing
from infra.topics import Profile, topic_partitions
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
    dry_run: bool = False,
) -> Prepared:
    """Bring both servers up to date; nothing is said where all was there.

    ``prefix``: of this installation, where several share a server. ``dry_run``: only say what would
    be made and changed. Kafka's security settings are read from the environment. Raises
    BadSettings, and before anything is done TopicError where the topics are of another profile,
    OtherInstallation where the database or the topics are of another installation, MigrationError
    where the roles are not there and cannot be made.
    """
    options, begin = for_librdkafka(kafka, read_security()), beginning(prefix)
    await check_profile(kafka, profile, options=options, beginning=begin)
    async with connected(postgres, name="earnback-prepare") as connection:
        await _check_owner(connection, prefix, options)
        lacking = await missing(connection, role_beginning(prefix))
        if lacking.roles and not lacking.makes_roles:
            raise MigrationError(_no_roles(lacking))
        done = Prepared(tuple(_of_database(lacking, "to be " if dry_run else "")))
        if not dry_run:
            await migrate(postgres, beginning=role_beginning(prefix))
        known = {} if dry_run and lacking.migrations else await known_topics(connection)
        vendors = () if dry_run and lacking.migrations else (await load(connection)).vendors
        wanted = WantedTopics(profile, tuple(vendors), grow_partitions, known, begin)
        done += await apply_topics(kafka, wanted, options=options, dry_run=dry_run)
        for topic in () if dry_run else RELAYED:
            name = begin + topic
            await declare(connection, name, known.get(name) or topic_partitions(topic, profile))
    return done


def _of_database(lacking: Missing, to_be: str) -> Iterator[str]:
    yield from (f"role {name}: {to_be}created" for name in lacking.roles)
    yield from (f"migration {name}: {to_be}applied" for name in lacking.migrations)


def _no_roles(lacking: Missing) -> str:
    return (
        f"the roles {', '.join(lacking.roles)} are not there, and this login may not make roles: "
        "give EARNBACK_POSTGRES with one that has CREATEROLE, or have them made as "
        "infra/postgres/roles.sql does; nothing was changed"
    )


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
