"""The chain towards a broker that allows each user what docs/operating.md lists, and no more."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
from confluent_kafka import Consumer, KafkaError, Message, Producer, TopicPartition
from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourcePatternType,
    ResourceType,
)

from infra.cluster import Prepared, WantedTopics, apply_topics
from infra.keeper import Keeper
from infra.processes import free_port
from infra.servers import Servers
from infra.supervisor import Supervisor
from infra.topics import TopicError
from services.catalogue.keys import create
from services.cli.prepare import RELAYED, prepare
from services.cli.stack import Addresses, Stack
from services.shell.broker import for_librdkafka
from services.shell.settings import read_security
from tests.docs.pages import names, page, rows, section
from tests.integration.living import QUICK, Living, entered, wait_for
from tests.shell.secured import OPERATOR, Secured, secured
from tests.shown import shown

EXAMPLES = Path(__file__).parents[2] / "schemas/examples/events"
LISTED = rows(section(page("operating.md"), "### ACLs"))
PREFIX = "acme"
"""With one, so that a name that is left without it shows: its ACL is missing."""
EVERY_ACL = AclBindingFilter(
    ResourceType.ANY,
    None,
    ResourcePatternType.ANY,
    None,
    None,
    AclOperation.ANY,
    AclPermissionType.ANY,
)
SERVICES = ("ingest", "evaluator", "settlement")
OPERATIONS = {
    "Read": AclOperation.READ,
    "Write": AclOperation.WRITE,
    "Create": AclOperation.CREATE,
    "Describe": AclOperation.DESCRIBE,
    "DescribeConfigs": AclOperation.DESCRIBE_CONFIGS,
    "AlterConfigs": AclOperation.ALTER_CONFIGS,
}


def named_here(name: str) -> str:
    """A topic, group or transactional id of the page as it is called with the prefix."""
    return f"{PREFIX}.{name}"


def _listed() -> Iterator[AclBinding]:
    """The ACLs of the page."""
    for user, resource, named, may in LISTED:
        kind = ResourceType[resource.upper().replace(" ", "_")]
        for name in names(named):
            pattern = ResourcePatternType["PREFIXED" if name.endswith("*") else "LITERAL"]
            for word in may.split(", "):
                yield AclBinding(
                    kind,
                    named_here(name.removesuffix("*")),
                    pattern,
                    f"User:{names(user)[0]}",
                    "*",
                    OPERATIONS[word],
                    AclPermissionType.ALLOW,
                )


def _as(broker: Secured, user: str) -> dict[str, str]:
    return broker.environ("SASL_SSL", "PLAIN", user=user)


def _options(broker: Secured, user: str) -> dict[str, Any]:
    told = _as(broker, user)
    return for_librdkafka(told["EARNBACK_KAFKA"], read_security(told))


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Secured]:
    """A broker that knows the users of the page and holds its ACLs."""
    users = {names(row[0])[0] for row in LISTED}
    with secured(tmp_path, guarded=users) as running:
        admin, listed = AdminClient(_options(running, OPERATOR)), set(_listed())
        for done in admin.create_acls(list(listed)).values():
            done.result(30)
        # The controller has them; the broker hears of it a moment later.
        wait_for("the ACLs", lambda: set(admin.describe_acls(EVERY_ACL).result(30)) == listed)
        yield running


@contextmanager
def _started(broker: Secured, database: str, key: str, folder: Path) -> Iterator[Living]:
    """The three services, each as its own user."""
    ports: dict[str, int] = {}
    for name in SERVICES:
        ports[name] = free_port(taken=ports.values())
    urls = {name: f"http://127.0.0.1:{port}" for name, port in ports.items()}
    clean = {name: value for name, value in os.environ.items() if "EARNBACK" not in name}
    with Supervisor(folder / "logs") as supervisor:
        for name, port in ports.items():
            told = {
                **QUICK,
                **_as(broker, name),
                "EARNBACK_PREFIX": PREFIX,
                "EARNBACK_POSTGRES": database,
                "EARNBACK_EVALUATOR": urls["evaluator"],
                "EARNBACK_HTTP_PORT": str(port),
            }
            supervisor.start(name, [sys.executable, "-m", f"services.{name}"], {**clean, **told})
        for url in urls.values():
            wait_for(f"{url} to be ready", lambda url=url: _is_ready(url))
        addresses = Addresses(broker.sasl_ssl, database, **urls, key=key)
        pair = Servers(broker.sasl_ssl, database)
        with entered(Stack(addresses, supervisor, pair, (urls["ingest"],), Keeper({}))) as living:
            yield living
        assert {name: supervisor.restarts(name) for name in SERVICES} == dict.fromkeys(SERVICES, 0)


def _is_ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz", timeout=10).status_code == 200
    except httpx.TransportError:
        return False


async def _operator_of(database: str) -> str:
    connection = await asyncpg.connect(database)
    try:
        return await create(connection, party="operator", role="admin", label="test")
    finally:
        await connection.close()


def _sent(broker: Secured, user: str, topic: str, value: bytes) -> KafkaError | None:
    """Write a record as a user; why it was not taken."""
    producer = Producer(_options(broker, user))
    said: list[KafkaError | None] = []

    def told(error: KafkaError | None, _: Message) -> None:
        said.append(error)

    producer.produce(topic, value, on_delivery=told)
    assert producer.flush(30) == 0
    return said[0]


def test_the_acls_of_the_page_are_enough_for_the_whole_chain_and_let_nobody_do_more(
    broker: Secured, empty_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database, ours = empty_database, [named_here(topic) for topic in RELAYED]
    for name, value in _as(broker, "prepare").items():
        monkeypatch.setenv(name, value)
    asyncio.run(prepare(broker.sasl_ssl, database, prefix=PREFIX))
    _change(broker, named_here("measurements"), "retention.ms", "1000")
    assert asyncio.run(prepare(broker.sasl_ssl, database, prefix=PREFIX)) == Prepared(
        ("acme.measurements: retention.ms changed from 1000 to 34560000000",)
    )
    text = (EXAMPLES / "first-month.ndjson").read_text()
    key = asyncio.run(_operator_of(database))
    with _started(broker, database, key, tmp_path) as living:
        assert "acme.intake.north: created with 4 partitions, 1 copies" in living.apply(EXAMPLES)
        _pass_a_month(broker, living, "2025-01", text)
        held = _published(broker, dict.fromkeys(ours, 0))
        wait_for("the lag", lambda: _tells(living, "earnback_intake_lag_records") == {0.0})
    # Who publishes looks first at what was published last; now there is something.
    with _started(broker, database, key, tmp_path) as living:
        later = text.replace("2025-01-31", "2025-02-28").replace("2025-01", "2025-02")
        _pass_a_month(broker, living, "2025-02", later.replace("jan-", "feb-"))
        _published(broker, held)
    refused = _sent(broker, "north", named_here("measurements"), b"not a frame")
    assert refused is not None
    assert refused.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED
    with pytest.raises(TopicError, match="the cluster refused"):
        asyncio.run(
            apply_topics(
                broker.sasl_ssl, WantedTopics("trial", ("new",)), options=_options(broker, "ingest")
            )
        )


def _pass_a_month(broker: Secured, living: Living, month: str, text: str) -> None:
    """A month with events from both doors, a conflict, something unreadable, and its close."""
    events = [json.loads(line) for line in text.splitlines()]
    results = living.submit(living.client, [events[0], *events[2:]])
    assert {result["status"] for result in results} == {"accepted"}
    living.wait_until_seen()
    contrary = {**events[0], "data": events[1]["data"]}
    for value in (json.dumps(events[1]), json.dumps(contrary), "poison"):
        assert _sent(broker, "north", named_here("intake.north"), value.encode()) is None
    living.last[events[1]["source"]] = events[1]["id"]
    living.wait_until_seen()
    assert living.close([("campus-network", month)])["closed"] == 1


def _change(broker: Secured, topic: str, name: str, value: str) -> None:
    """Set a topic's setting, as the operator."""
    entry = ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
    changed = ConfigResource(ConfigResource.Type.TOPIC, topic, incremental_configs=[entry])
    admin = AdminClient(_options(broker, OPERATOR))
    for done in admin.incremental_alter_configs([changed]).values():
        done.result(30)

    def is_known() -> bool:
        (found,) = admin.describe_configs([changed]).values()
        return bool(found.result(30)[name].value == value)

    wait_for(f"{name} of {topic}", is_known)


def _published(broker: Secured, before: Mapping[str, int]) -> dict[str, int]:
    """Wait until each topic holds more than before; how much they hold."""
    reader = Consumer({**_options(broker, OPERATOR), "group.id": "test"})
    try:
        for topic, held in before.items():
            wait_for(f"more on {topic}", lambda topic=topic, held=held: _held(reader, topic) > held)
        return {topic: _held(reader, topic) for topic in before}
    finally:
        reader.close()


def _held(reader: Consumer, topic: str) -> int:
    """Records, and marks of transactions, that a topic holds."""
    partitions = reader.list_topics(topic, 20).topics[topic].partitions
    return sum(reader.get_watermark_offsets(TopicPartition(topic, n), 20)[1] for n in partitions)


def _tells(living: Living, name: str) -> set[float]:
    return set(shown(living.stack.addresses.ingest, name))
