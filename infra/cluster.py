"""Makes the topics of a cluster what schemas/topics declares them to be.

Run it as often as you like: it creates what is missing, corrects settings that differ, and says
what it did and what it left. It never removes anything. `earnback prepare` runs it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic, sleep
from typing import Any

from confluent_kafka import KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
    NewTopic,
    OffsetSpec,
)

from infra.topics import (
    COPIES,
    DURABILITY,
    FOLDER,
    Profile,
    Topic,
    TopicError,
    declared,
    made_otherwise,
    profile_of,
)

SECONDS = 30.0
LOOK_SECONDS = 3.0
_NOT_LET_IN = (KafkaError._AUTHENTICATION, KafkaError._SSL)

_KEPT = (
    "a record's key and their number decide its partition, and identity is bound to the partition: "
    "after a change a repeat may land beside its twin instead of on it. Let all readers catch up, "
    "stop the producers, then pass --grow-partitions"
)
_FIXED = (
    "the outbox writes to so many, for ever: a record's key and their number decide its partition. "
    "Make the topic anew with that number, or restore it"
)
_Changes = Mapping[str, Mapping[str, tuple[str | None, str]]]
"""Topic to setting to its value there and its value as declared."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """What came of it. ``done``: a sentence for each thing made or changed; in a dry run, to be
    made or changed. ``left``: for each thing that is not as declared and is not changed here."""

    done: tuple[str, ...] = ()
    left: tuple[str, ...] = ()

    def __add__(self, other: Prepared) -> Prepared:
        return Prepared(self.done + other.done, self.left + other.left)


@dataclass(frozen=True, slots=True)
class WantedTopics:
    """What the topics of a cluster are to be. ``profile``: None for the one that the cluster was
    prepared with. ``vendors``: get their intake topics; those made before are kept in line too.

    ``fixed``: topics whose number of partitions was decided once. ``beginning``: of each name.
    """

    profile: Profile | None
    vendors: tuple[str, ...] = ()
    grow: bool = False
    fixed: Mapping[str, int] = field(default_factory=dict)
    beginning: str = ""
    folder: Path = FOLDER


async def apply_topics(
    bootstrap: str,
    wanted: WantedTopics,
    *,
    options: Mapping[str, Any] | None = None,
    dry_run: bool = False,
    connect_seconds: float = SECONDS,
) -> Prepared:
    """Make the cluster follow the declarations. Where all was as declared nothing is said.

    `options`: the cluster's security settings, as librdkafka names them. `dry_run`: only say it.
    Raises `TopicError` naming the topic when the cluster refuses.
    """
    told = {**(options or {}), "bootstrap.servers": bootstrap}
    return await asyncio.to_thread(_apply, told, wanted, dry_run, connect_seconds)


async def check_profile(
    bootstrap: str,
    profile: Profile,
    *,
    options: Mapping[str, Any] | None = None,
    beginning: str = "",
    connect_seconds: float = SECONDS,
) -> None:
    """Nothing where the cluster has no topics yet, or such as the profile makes.

    Raises `TopicError` naming each topic that has fewer copies, or was made by another profile:
    copies cannot be made here, and settings that ask for more copies than there are stop writers.
    """
    said: list[KafkaError] = []
    admin = AdminClient(
        {**(options or {}), "bootstrap.servers": bootstrap, "log_level": 0, "error_cb": said.append}
    )
    present = await asyncio.to_thread(_present, admin, bootstrap, connect_seconds, said)
    differing = made_otherwise(present, profile, beginning)
    if differing:
        raise TopicError(
            f"these topics do not fit the profile {profile}, and nothing was changed:\n"
            + "".join(f"  {one}\n" for one in differing)
            + f"Move them to {COPIES[profile]} copies with kafka-reassign-partitions and run this "
            f"again, or prepare with --profile {profile_of(present, beginning)}, or take an empty "
            "cluster"
        )


async def with_records(options: Mapping[str, Any], names: Sequence[str]) -> list[str]:
    """Which of these topics are there and have ever held a record; in order of name."""

    def ask() -> list[str]:
        admin = AdminClient({**options, "log_level": 0})
        present = admin.list_topics(timeout=SECONDS).topics
        places = [
            TopicPartition(name, number)
            for name in sorted(set(names) & present.keys())
            for number in present[name].partitions
        ]
        wanted = dict.fromkeys(places, OffsetSpec.latest())
        ends = _wait(admin.list_offsets(wanted, request_timeout=SECONDS)) if wanted else {}
        return sorted({place.topic for place, found in ends.items() if found.offset > 0})

    return await asyncio.to_thread(ask)


def _apply(
    options: Mapping[str, Any], wanted: WantedTopics, dry_run: bool, connect_seconds: float
) -> Prepared:
    said: list[KafkaError] = []
    admin = AdminClient({**options, "log_level": 0, "error_cb": said.append})
    present = _present(admin, str(options["bootstrap.servers"]), connect_seconds, said)
    profile = wanted.profile or profile_of(present, wanted.beginning)
    topics = _names(declared(wanted.folder, wanted.beginning).values(), wanted.vendors, present)
    numbers = {
        name: wanted.fixed.get(name, topic.partitions[profile]) for name, topic in topics.items()
    }
    missing = {name: topic for name, topic in topics.items() if name not in present}
    made = set(missing) if dry_run else _create(admin, missing, numbers, profile)
    kept = {name: topic for name, topic in topics.items() if name not in made}
    present = _all_of(kept, admin, present)
    growing, left = _not_as_declared(kept, numbers, present, profile, wanted)
    changes = _differing(admin, kept, profile)
    if not dry_run:
        _carry_out(admin, {name: numbers[name] for name in growing}, changes)
    to_be = "to be " if dry_run else ""
    created = [
        f"{name}: {to_be}created with {numbers[name]} partitions, {COPIES[profile]} copies"
        for name in missing
        if name in made
    ]
    grown = [
        f"{name}: {to_be}grown from {has} to {numbers[name]} partitions"
        for name, has in growing.items()
    ]
    changed = [
        f"{name}: {key} {to_be}changed from {old} to {new}"
        for name, values in changes.items()
        for key, (old, new) in sorted(values.items())
    ]
    return Prepared((*created, *grown, *changed), tuple(left))


def _carry_out(admin: AdminClient, numbers: Mapping[str, int], changes: _Changes) -> None:
    for name, number in numbers.items():
        _wait(admin.create_partitions([NewPartitions(name, number)], request_timeout=SECONDS))
    changed = [_alteration(name, values) for name, values in changes.items()]
    if changed:
        _wait(admin.incremental_alter_configs(changed, request_timeout=SECONDS))


def _present(
    admin: AdminClient, bootstrap: str, seconds: float, said: Sequence[KafkaError]
) -> Mapping[str, Any]:
    """The cluster's topics. `said`: where the client tells why it is not let in."""
    until = monotonic() + seconds
    while True:
        try:
            topics: Mapping[str, Any] = admin.list_topics(timeout=min(seconds, LOOK_SECONDS)).topics
            return topics
        except KafkaException as error:
            admin.poll(0)
            refused = [each for each in said if each.code() in _NOT_LET_IN]
            causes = [each.str() for each in said if each.code() != KafkaError._ALL_BROKERS_DOWN]
            if refused:
                raise TopicError(
                    f"Kafka at {bootstrap} does not let us in: {refused[-1].str()}; check the "
                    "settings EARNBACK_KAFKA_SECURITY and those that belong to it"
                ) from error
            if monotonic() > until:
                raise TopicError(
                    f"Kafka at {bootstrap}: no answer within {seconds:.0f} s "
                    f"({causes[-1] if causes else error}); check the address, and that "
                    "EARNBACK_KAFKA_SECURITY is the protocol of the listener there"
                ) from error


def _names(
    topics: Iterable[Topic], vendors: tuple[str, ...], present: Iterable[str]
) -> dict[str, Topic]:
    names: dict[str, Topic] = {}
    for topic in topics:
        if topic.per_vendor:
            names |= {topic.for_vendor(vendor): topic for vendor in vendors}
            names |= {name: topic for name in present if topic.owns(name)}
        else:
            names[topic.name] = topic
    return dict(sorted(names.items()))


def _config(topic: Topic, profile: Profile) -> dict[str, str]:
    return {**DURABILITY[profile], **topic.config}


def _all_of(
    names: Collection[str], admin: AdminClient, present: Mapping[str, Any]
) -> Mapping[str, Any]:
    """The cluster's topics once these are among them: one just made is not listed at once."""
    until = monotonic() + SECONDS
    while unseen := [name for name in names if name not in present]:
        if monotonic() > until:
            raise TopicError(
                f"topic {unseen[0]}: the cluster says that it exists and does not list it; "
                "if it is being deleted, run the command again when it is gone"
            )
        sleep(0.1)
        present = admin.list_topics(timeout=LOOK_SECONDS).topics
    return present


def _create(
    admin: AdminClient, missing: Mapping[str, Topic], wanted: Mapping[str, int], profile: Profile
) -> set[str]:
    """The topics made; those are left out that another has made meanwhile."""
    if not missing:
        return set()
    new = [
        NewTopic(
            name,
            num_partitions=wanted[name],
            replication_factor=COPIES[profile],
            config=_config(topic, profile),
        )
        for name, topic in missing.items()
    ]
    made = _wait(
        admin.create_topics(new, operation_timeout=SECONDS, request_timeout=SECONDS),
        unless=KafkaError.TOPIC_ALREADY_EXISTS,
    )
    return set(made)


def _not_as_declared(
    kept: Collection[str],
    numbers: Mapping[str, int],
    present: Mapping[str, Any],
    profile: Profile,
    wanted: WantedTopics,
) -> tuple[dict[str, int], list[str]]:
    """The topics to be grown, with how many partitions they have; and what is left, in words."""
    growing, left = {}, []
    for name in kept:
        has, wants = len(present[name].partitions), numbers[name]
        copies = min(len(partition.replicas) for partition in present[name].partitions.values())
        if copies != COPIES[profile]:
            left.append(
                f"{name}: left with {copies} copies, profile {profile} wants {COPIES[profile]}; "
                "move them with kafka-reassign-partitions"
            )
        if has != wants and name in wanted.fixed:
            left.append(f"{name}: left with {has} partitions instead of {wants}: {_FIXED}")
        elif has < wants and wanted.grow:
            growing[name] = has
        elif has < wants:
            left.append(f"{name}: left with {has} partitions, {wants} are declared: {_KEPT}")
        elif has > wants:
            left.append(
                f"{name}: left with {has} partitions, {wants} are declared; none is removed"
            )
    return growing, left


def _differing(admin: AdminClient, kept: Mapping[str, Topic], profile: Profile) -> _Changes:
    if not kept:
        return {}
    resources = [ConfigResource(ConfigResource.Type.TOPIC, name) for name in kept]
    found = _wait(admin.describe_configs(resources, request_timeout=SECONDS))
    differing = {
        resource.name: {
            key: (entries[key].value, value)
            for key, value in _config(kept[resource.name], profile).items()
            if entries[key].value != value
        }
        for resource, entries in found.items()
    }
    return {name: changes for name, changes in sorted(differing.items()) if changes}


def _alteration(name: str, values: Mapping[str, tuple[str | None, str]]) -> ConfigResource:
    entries = [
        ConfigEntry(key, value, incremental_operation=AlterConfigOpType.SET)
        for key, (_, value) in values.items()
    ]
    return ConfigResource(ConfigResource.Type.TOPIC, name, incremental_configs=entries)


def _wait(futures: Mapping[Any, Future[Any]], unless: int | None = None) -> dict[Any, Any]:
    """What came of each; those are left out that were refused with the code `unless`."""
    results = {}
    for subject, future in futures.items():
        try:
            results[subject] = future.result(SECONDS)
        except KafkaException as error:
            if error.args[0].code() == unless:
                continue
            raise TopicError(
                f"topic {subject}: the cluster refused: {error.args[0].str()}"
            ) from error
    return results
