"""Makes servers ready for the services: tables, topics, and the outbox's view of the topics.

Safe to repeat, and to run from several places at once; nothing is ever removed.
"""

from __future__ import annotations

from infra.migrations import migrate
from infra.topics import Profile, apply_topics, check_profile, topic_partitions
from services.catalogue.store import load
from services.shell.broker import for_librdkafka
from services.shell.outbox import declare
from services.shell.postgres import connected
from services.shell.settings import read_security

RELAYED = ("evaluations", "quarantine", "refused", "settlements", "ledger-entries")
"""Topics that are written from the outbox, and by nothing else."""


async def prepare(
    kafka: str, postgres: str, profile: Profile = "trial", *, grow_partitions: bool = False
) -> list[str]:
    """Bring both servers up to date; a sentence for each thing done, none when all was there.

    Kafka's security settings are read from the environment. Raises BadSettings, and TopicError
    before anything is done where the topics are of another profile.
    """
    options = for_librdkafka(kafka, read_security())
    await check_profile(kafka, profile, options=options)
    async with connected(postgres, name="earnback-prepare") as connection:
        done = [f"migration {name}" for name in await migrate(postgres)]
        vendors = (await load(connection)).vendors
        done += await apply_topics(
            kafka, profile, options=options, vendors=vendors, grow_partitions=grow_partitions
        )
        for topic in RELAYED:
            await declare(connection, topic, topic_partitions(topic, profile))
    return done
