"""Makes the topics of a cluster what schemas/topics declares them to be.

Run it as often as you like: it creates what is missing, corrects settings that differ, and says
what it did. It never removes anything. `earnback prepare` runs it.
"""

from __future__ import annotations

import asyncio
import tomllib
from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from pathlib import Path
from time import monotonic, sleep
from typing import Any, Literal

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

Profile = Literal["trial", "production"]

FOLDER = Path(__file__).parent.parent / "schemas" / "topics"
SECONDS = 30.0
LOOK_SECONDS = 3.0
_NOT_LET_IN = (KafkaError._AUTHENTICATION, KafkaError._SSL)
VENDOR = "{vendor}"

COPIES: Mapping[Profile, int] = {"trial": 1, "production": 3}
DURABILITY: Mapping[Profile, Mapping[str, str]] = {
    "trial": {"min.insync.replicas": "1"},
    "production": {"min.insync.replicas": "2", "unclean.leader.election.enable": "false"},
}
"""In production an acknowledged record is on two machines, and a copy that lags never leads."""

_KEPT = (
    "a record's key and their number decide its partition, and identity is bound to the partition: "
    "after a change a repeat may land beside its twin instead of on it. Let all readers catch up, "
    "stop the producers, then pass --grow-partitions"
)


class TopicError(RuntimeError):
    """A declaration is wrong, or the cluster can't be made to follow it."""


@dataclass(frozen=True)
class Topic:
    """One declared topic. `name` may hold `{vendor}`; `config` is in Kafka's own words."""

    name: str
    description: str
    key: str
    producers: tuple[str, ...]
    consumers: tuple[str, ...]
    versions: Mapping[int, Mapping[str, str]]
    partitions: Mapping[Profile, int]
    config: Mapping[str, str]

    @property
    def per_vendor(self) -> bool:
        return VENDOR in self.name

    def for_vendor(self, vendor: str) -> str:
        """The name of one vendor's topic."""
        return self.name.replace(VENDOR, vendor)

    def owns(self, name: str) -> bool:
        """Whether a topic of the cluster is this one, or one made from this template."""
        before, found, after = self.name.partition(VENDOR)
        if not found:
            return name == self.name
        return name.startswith(before) and name.endswith(after) and name != before + after


def declared(folder: Path = FOLDER, beginning: str = "") -> dict[str, Topic]:
    """All declarations, by name. `TopicError` naming file and field for a malformed one.

    `beginning`: what each name begins with, where several installations share the cluster.
    """
    read = [_read(path) for path in sorted(folder.glob("*.toml"))]
    topics = [replace(topic, name=beginning + topic.name) for topic in read]
    return {topic.name: topic for topic in topics}


def _read(path: Path) -> Topic:
    content = tomllib.loads(path.read_text())
    wanted = set(Topic.__dataclass_fields__)
    if content.keys() != wanted:
        raise TopicError(
            f"{path.name}: missing {sorted(wanted - content.keys())}, unknown "
            f"{sorted(content.keys() - wanted)}; a topic declares {sorted(wanted)}"
        )
    if set(content["partitions"]) != set(COPIES):
        raise TopicError(f"{path.name}: partitions must be given for each of {sorted(COPIES)}")
    return Topic(
        **{
            **content,
            "producers": tuple(content["producers"]),
            "consumers": tuple(content["consumers"]),
            "versions": {int(number): version for number, version in content["versions"].items()},
        }
    )


def topic_partitions(name: str, profile: Profile = "trial") -> int:
    """How many partitions the topic is declared with. `TopicError` for one that is not declared."""
    for topic in declared().values():
        if topic.owns(name):
            return topic.partitions[profile]
    raise TopicError(f"topic {name}: not declared; add a file for it to schemas/topics")


async def apply_topics(
    bootstrap: str,
    profile: Profile | None,
    *,
    options: Mapping[str, Any] | None = None,
    vendors: Iterable[str] = (),
    grow_partitions: bool = False,
    folder: Path = FOLDER,
    beginning: str = "",
    connect_seconds: float = SECONDS,
) -> list[str]:
    """Make the cluster follow the declarations; a sentence for each thing done or left undone.

    An empty list means that all was as declared. `profile`: None for the one that the cluster was
    prepared with. Vendors get their intake topics; those made before are kept in line too.
    `options`: the cluster's security settings, as librdkafka names them. `beginning`: of each name.
    Raises `TopicError` naming the topic when the cluster refuses.
    """
    topics = tuple(declared(folder, beginning).values())
    return await asyncio.to_thread(
        _apply,
        {**(options or {}), "bootstrap.servers": bootstrap},
        profile,
        topics,
        tuple(vendors),
        grow_partitions,
        beginning,
        connect_seconds,
    )


def profile_of(present: Mapping[str, Any], beginning: str = "") -> Profile:
    """The profile that a cluster's topics were made with; trial where none is there yet.

    Told by the copies of those that no vendor has to himself: an administrator may have moved one.
    """
    copies = [
        min(len(partition.replicas) for partition in present[name].partitions.values())
        for name, topic in declared(beginning=beginning).items()
        if not topic.per_vendor and name in present
    ]
    return "production" if copies and max(copies) >= COPIES["production"] else "trial"


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


def made_otherwise(present: Mapping[str, Any], profile: Profile, beginning: str = "") -> list[str]:
    """What differs of each topic of a cluster that another profile made; in order of name."""
    wants = COPIES[profile]
    other = profile_of(present, beginning) != profile
    said = []
    for topic in declared(beginning=beginning).values():
        for name in filter(topic.owns, present):
            partitions = present[name].partitions
            copies = min(len(partition.replicas) for partition in partitions.values())
            if copies < wants or (other and copies != wants):
                said.append(
                    f"{name}: {copies} copies and {len(partitions)} partitions, where {profile} "
                    f"has {wants} and {topic.partitions[profile]}"
                )
    return sorted(said)


def _apply(
    options: Mapping[str, Any],
    profile: Profile | None,
    topics: tuple[Topic, ...],
    vendors: tuple[str, ...],
    grow: bool,
    beginning: str,
    connect_seconds: float,
) -> list[str]:
    said: list[KafkaError] = []
    admin = AdminClient({**options, "log_level": 0, "error_cb": said.append})
    present = _present(admin, str(options["bootstrap.servers"]), connect_seconds, said)
    profile = profile or profile_of(present, beginning)
    wanted = _names(topics, vendors, present)
    missing = {name: topic for name, topic in wanted.items() if name not in present}
    made = _create(admin, missing, profile)
    kept = {name: topic for name, topic in wanted.items() if name not in made}
    present = _all_of(kept, admin, present)
    return [
        *made.values(),
        *_partitions(admin, kept, present, profile, grow),
        *_configure(admin, kept, profile),
    ]


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


def _create(admin: AdminClient, missing: Mapping[str, Topic], profile: Profile) -> dict[str, str]:
    """A sentence for each topic made; those are left out that another has made meanwhile."""
    if not missing:
        return {}
    new = [
        NewTopic(
            name,
            num_partitions=topic.partitions[profile],
            replication_factor=COPIES[profile],
            config=_config(topic, profile),
        )
        for name, topic in missing.items()
    ]
    made = _wait(
        admin.create_topics(new, operation_timeout=SECONDS, request_timeout=SECONDS),
        unless=KafkaError.TOPIC_ALREADY_EXISTS,
    )
    return {
        name: f"{name}: created with {topic.partitions[profile]} partitions, "
        f"{COPIES[profile]} copies"
        for name, topic in missing.items()
        if name in made
    }


def _partitions(
    admin: AdminClient,
    kept: Mapping[str, Topic],
    present: Mapping[str, Any],
    profile: Profile,
    grow: bool,
) -> list[str]:
    said = []
    for name, topic in kept.items():
        has, wants = len(present[name].partitions), topic.partitions[profile]
        copies = min(len(partition.replicas) for partition in present[name].partitions.values())
        if copies != COPIES[profile]:
            said.append(
                f"{name}: left with {copies} copies, profile {profile} wants {COPIES[profile]}; "
                "move them with kafka-reassign-partitions"
            )
        if has < wants and grow:
            _wait(admin.create_partitions([NewPartitions(name, wants)], request_timeout=SECONDS))
            said.append(f"{name}: grown from {has} to {wants} partitions")
        elif has < wants:
            said.append(f"{name}: left with {has} partitions, {wants} are declared: {_KEPT}")
        elif has > wants:
            said.append(
                f"{name}: left with {has} partitions, {wants} are declared; none is removed"
            )
    return said


def _configure(admin: AdminClient, kept: Mapping[str, Topic], profile: Profile) -> list[str]:
    if not kept:
        return []
    resources = [ConfigResource(ConfigResource.Type.TOPIC, name) for name in kept]
    found = _wait(admin.describe_configs(resources, request_timeout=SECONDS))
    said, changed = [], []
    for resource, entries in found.items():
        differing = {
            key: value
            for key, value in _config(kept[resource.name], profile).items()
            if entries[key].value != value
        }
        for key, value in differing.items():
            said.append(f"{resource.name}: {key} changed from {entries[key].value} to {value}")
        if differing:
            changed.append(_alteration(resource.name, differing))
    if changed:
        _wait(admin.incremental_alter_configs(changed, request_timeout=SECONDS))
    return sorted(said)


def _alteration(name: str, values: Mapping[str, str]) -> ConfigResource:
    entries = [
        ConfigEntry(key, value, incremental_operation=AlterConfigOpType.SET)
        for key, value in values.items()
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
