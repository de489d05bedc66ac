"""Topics: what schemas/topics declares is what the cluster has."""

from __future__ import annotations

import asyncio
import re
import secrets
from dataclasses import replace
from pathlib import Path

import pytest
from confluent_kafka.admin import (
    AdminClient,
    ConfigResource,
    NewTopic,
    PartitionMetadata,
    TopicMetadata,
)

from infra.cluster import Prepared, WantedTopics, apply_topics
from infra.topics import (
    COPIES,
    FOLDER,
    TopicError,
    declared,
    made_otherwise,
    profile_of,
    topic_partitions,
)
from services.cli.prepare import prepare
from tests.infra.waiting import eventually
from tests.ladder import Rung

ALL = sorted(declared())


def config(kafka: str, name: str) -> dict[str, str]:
    """A topic's settings as the cluster has them."""
    resource = ConfigResource(ConfigResource.Type.TOPIC, name)
    admin = AdminClient({"bootstrap.servers": kafka})
    entries = admin.describe_configs([resource])[resource].result(30)
    return {key: entry.value for key, entry in entries.items()}


def partitions(kafka: str, name: str) -> int:
    """How many partitions the cluster lists for a topic."""
    listed = AdminClient({"bootstrap.servers": kafka}).list_topics(timeout=10).topics
    return len(listed[name].partitions)


def one_topic(folder: Path, name: str, partitions: int, retention: int = 1000) -> None:
    """A folder that declares a single topic."""
    (folder / "topic.toml").write_text(
        f'name = "{name}"\ndescription = "d"\nkey = "k"\nproducers = ["p"]\nconsumers = ["c"]\n'
        f'[versions.1]\nschema = "s:S"\nexamples = "e"\n'
        f"[partitions]\ntrial = {partitions}\nproduction = {partitions}\n"
        f'[config]\n"retention.ms" = "{retention}"\n'
    )


@pytest.fixture
def one(tmp_path: Path) -> str:
    """Name of the only topic that `tmp_path` declares, with two partitions."""
    name = f"test-{secrets.token_hex(4)}"
    one_topic(tmp_path, name, 2)
    return name


@pytest.mark.parametrize("name", ALL)
def test_each_declares_a_key_its_users_and_a_version(name: str) -> None:
    topic = declared()[name]
    assert topic.description.strip()
    assert topic.key
    assert topic.producers
    assert topic.consumers
    assert 1 in topic.versions
    assert all(version.keys() == {"schema", "examples"} for version in topic.versions.values())


@pytest.mark.parametrize("name", ALL)
def test_retention_is_a_decision_and_not_a_default(name: str) -> None:
    assert "retention.ms" in declared()[name].config
    assert declared()[name].config["cleanup.policy"] == "delete"


def test_file_and_topic_have_one_name() -> None:
    stems = {path.stem for path in FOLDER.glob("*.toml")}
    assert stems == {re.sub(r"\.\{vendor\}$", "", name) for name in ALL}


def test_a_field_that_is_missing_is_named(tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_text('name = "bad"\ncolour = "red"\n')
    with pytest.raises(TopicError, match=r"bad\.toml: missing .*'key'.* unknown \['colour'\]"):
        declared(tmp_path)


def test_partitions_are_those_of_the_declaration() -> None:
    assert topic_partitions("measurements") == 4
    assert topic_partitions("intake.northwind") == 4
    with pytest.raises(TopicError, match="nothing: not declared"):
        topic_partitions("nothing")


def _with_copies(*names: str, copies: int) -> dict[str, TopicMetadata]:
    partition = PartitionMetadata()
    partition.replicas = list(range(copies))
    found = {}
    for name in names:
        found[name] = TopicMetadata()
        found[name].partitions = {0: partition}
    return found


def test_a_new_vendor_gets_its_topic_by_the_profile_that_the_cluster_was_prepared_with() -> None:
    assert profile_of({}) == "trial"
    assert profile_of(_with_copies("measurements", "evaluations", copies=1)) == "trial"
    assert profile_of(_with_copies("measurements", "evaluations", copies=3)) == "production"
    moved = _with_copies("evaluations", copies=2) | _with_copies("measurements", copies=3)
    assert profile_of(moved) == "production"
    assert profile_of(_with_copies("not-ours", copies=3)) == "trial"


def test_topics_of_another_profile_are_named() -> None:
    made = _with_copies("measurements", "intake.north", "not-ours", copies=1)
    assert made_otherwise({}, "production") == made_otherwise(made, "trial") == []
    assert made_otherwise(made, "production") == [
        "intake.north: 1 copies and 1 partitions, where production has 3 and 12",
        "measurements: 1 copies and 1 partitions, where production has 3 and 24",
    ]
    whole = _with_copies("measurements", "evaluations", copies=3)
    assert made_otherwise(whole, "production") == []
    assert len(made_otherwise(whole, "trial")) == 2, "less durable than it was, in silence"
    moved = whole | _with_copies("evaluations", copies=2)
    assert [one.split(":")[0] for one in made_otherwise(moved, "production")] == ["evaluations"]
    assert made_otherwise(whole | _with_copies("evaluations", copies=5), "production") == []


async def test_a_cluster_of_the_trial_profile_is_not_prepared_for_production(
    servers: Rung, topics: tuple[str, ...]
) -> None:
    before = config(servers.kafka, topics[0])
    with pytest.raises(TopicError, match="do not fit the profile production, and nothing was") as e:
        await prepare(servers.kafka, "postgresql://nobody@127.0.0.1:1/none", "production")
    assert "measurements: 1 copies and 4 partitions, where production has 3" in str(e.value)
    assert "or prepare with --profile trial" in str(e.value)
    assert config(servers.kafka, topics[0]) == before


async def test_the_profile_of_a_prepared_cluster_is_found(
    servers: Rung, topics: tuple[str, ...]
) -> None:
    assert await apply_topics(servers.kafka, WantedTopics(None)) == Prepared()


async def test_all_are_made_as_declared(servers: Rung, topics: tuple[str, ...]) -> None:
    present = AdminClient({"bootstrap.servers": servers.kafka}).list_topics(timeout=10).topics
    for name in topics:
        assert len(present[name].partitions) == declared()[name].partitions["trial"]
        found = config(servers.kafka, name)
        assert {key: found[key] for key in declared()[name].config} == declared()[name].config


async def test_applying_twice_changes_nothing(servers: Rung, topics: tuple[str, ...]) -> None:
    assert await apply_topics(servers.kafka, WantedTopics("trial")) == Prepared()


async def test_a_vendor_gets_an_intake_topic_that_is_kept_in_line(servers: Rung) -> None:
    vendor = f"v{secrets.token_hex(4)}"
    said = await apply_topics(servers.kafka, WantedTopics("trial", (vendor,)))
    assert f"intake.{vendor}: created with 4 partitions, 1 copies" in said.done
    assert await apply_topics(servers.kafka, WantedTopics("trial")) == Prepared()


async def test_a_setting_that_differs_is_set_right_and_told(
    servers: Rung, one: str, tmp_path: Path
) -> None:
    await apply_topics(servers.kafka, WantedTopics("trial", folder=tmp_path))
    one_topic(tmp_path, one, 2, retention=2000)
    said = await apply_topics(servers.kafka, WantedTopics("trial", folder=tmp_path))
    assert said == Prepared((f"{one}: retention.ms changed from 1000 to 2000",))
    # The controller has it; the broker that is asked hears of it a moment later.
    assert eventually(lambda: config(servers.kafka, one)["retention.ms"] == "2000")


async def test_commands_at_the_same_time_make_a_topic_once(
    servers: Rung, one: str, tmp_path: Path
) -> None:
    said = await asyncio.gather(
        *(apply_topics(servers.kafka, WantedTopics("trial", folder=tmp_path)) for _ in range(8))
    )
    made = Prepared((f"{one}: created with 2 partitions, 1 copies",))
    assert sorted(said, key=lambda each: len(each.done)) == [*[Prepared()] * 7, made]
    assert config(servers.kafka, one)["retention.ms"] == "1000"


async def test_partitions_grow_only_when_asked_and_the_reason_is_told(
    servers: Rung, one: str, tmp_path: Path
) -> None:
    await apply_topics(servers.kafka, WantedTopics("trial", folder=tmp_path))
    one_topic(tmp_path, one, 3)
    told = await apply_topics(servers.kafka, WantedTopics("trial", folder=tmp_path))
    (said,) = told.left
    assert said.startswith(f"{one}: left with 2 partitions, 3 are declared")
    assert "identity is bound to the partition" in said
    said_then = await apply_topics(servers.kafka, WantedTopics("trial", grow=True, folder=tmp_path))
    assert said_then == Prepared((f"{one}: grown from 2 to 3 partitions",))
    assert eventually(lambda: partitions(servers.kafka, one) == 3)
    assert await apply_topics(servers.kafka, WantedTopics("trial", folder=tmp_path)) == Prepared()


async def test_a_number_of_partitions_that_was_decided_once_is_not_changed(
    servers: Rung, one: str, tmp_path: Path
) -> None:
    """That of a topic that the outbox writes: the profile may have asked for fewer then."""
    wanted = WantedTopics("trial", grow=True, folder=tmp_path, fixed={one: 1})
    made = await apply_topics(servers.kafka, wanted)
    assert made == Prepared((f"{one}: created with 1 partitions, 1 copies",))
    assert await apply_topics(servers.kafka, wanted) == Prepared()
    (left,) = (await apply_topics(servers.kafka, replace(wanted, fixed={one: 3}))).left
    assert left.startswith(f"{one}: left with 1 partitions instead of 3: the outbox writes to so")
    assert partitions(servers.kafka, one) == 1


async def test_a_dry_run_says_the_same_and_touches_nothing(
    servers: Rung, one: str, tmp_path: Path
) -> None:
    wanted = WantedTopics("trial", grow=True, folder=tmp_path)
    said = await apply_topics(servers.kafka, wanted, dry_run=True)
    assert said == Prepared((f"{one}: to be created with 2 partitions, 1 copies",))
    assert one not in AdminClient({"bootstrap.servers": servers.kafka}).list_topics().topics
    await apply_topics(servers.kafka, wanted)
    one_topic(tmp_path, one, 3, retention=2000)
    assert await apply_topics(servers.kafka, wanted, dry_run=True) == Prepared(
        (
            f"{one}: to be grown from 2 to 3 partitions",
            f"{one}: retention.ms to be changed from 1000 to 2000",
        )
    )
    assert partitions(servers.kafka, one) == 2
    assert config(servers.kafka, one)["retention.ms"] == "1000"


async def test_partitions_and_copies_that_do_not_fit_are_told(
    servers: Rung, one: str, tmp_path: Path
) -> None:
    admin = AdminClient({"bootstrap.servers": servers.kafka})
    admin.create_topics([NewTopic(one, 5, 1)])[one].result(30)
    said = await apply_topics(servers.kafka, WantedTopics("production", folder=tmp_path))
    assert (
        f"{one}: left with 1 copies, profile production wants {COPIES['production']}"
        in said.left[0]
    )
    assert said.left[1].startswith(f"{one}: left with 5 partitions, 2 are declared")


async def test_a_cluster_too_small_for_the_profile_is_named(
    servers: Rung, one: str, tmp_path: Path
) -> None:
    with pytest.raises(TopicError, match=rf"topic {one}: the cluster refused"):
        await apply_topics(servers.kafka, WantedTopics("production", folder=tmp_path))


async def test_a_wrong_address_is_named() -> None:
    with pytest.raises(TopicError, match=r"Kafka at 127\.0\.0\.1:1: no answer within 1 s"):
        await apply_topics("127.0.0.1:1", WantedTopics("trial"), connect_seconds=1.0)
