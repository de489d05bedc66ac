"""What schemas/topics declares, and what of it differs in a cluster."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

Profile = Literal["trial", "production"]

FOLDER = Path(__file__).parent.parent / "schemas" / "topics"
VENDOR = "{vendor}"

COPIES: Mapping[Profile, int] = {"trial": 1, "production": 3}
DURABILITY: Mapping[Profile, Mapping[str, str]] = {
    "trial": {"min.insync.replicas": "1"},
    "production": {"min.insync.replicas": "2", "unclean.leader.election.enable": "false"},
}
"""In production an acknowledged record is on two machines, and a copy that lags never leads."""


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
