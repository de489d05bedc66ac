"""Brokers that ask for TLS and passwords: every kind of client is let in, or says why it is not."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from secrets import token_hex

import pytest
from aiokafka import AIOKafkaProducer
from confluent_kafka import Consumer, TopicPartition

from infra.cluster import Prepared, WantedTopics, apply_topics
from infra.processes import Child
from infra.topics import TopicError
from services.shell.broker import for_aiokafka, for_librdkafka
from services.shell.settings import BadSettings, Settings, read, read_security
from tests.shell.secured import KEY_PASSWORD, PASSWORD, Secured, secured

TRIAL = WantedTopics("trial")
WAYS = [
    ("SSL", ""),
    ("SASL_SSL", "PLAIN"),
    ("SASL_SSL", "SCRAM-SHA-256"),
    ("SASL_SSL", "SCRAM-SHA-512"),
    ("SASL_PLAINTEXT", "SCRAM-SHA-512"),
]


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    with secured(tmp_path_factory.mktemp("secured")) as running:
        asyncio.run(apply_topics(running.plain, TRIAL))
        yield running


@pytest.mark.parametrize(("protocol", "mechanism"), WAYS)
async def test_every_way_in_is_taken_by_both_kinds_of_client(
    broker: Secured, protocol: str, mechanism: str
) -> None:
    told = broker.environ(protocol, mechanism)
    kafka, security = told["EARNBACK_KAFKA"], read_security(told)
    said = await apply_topics(
        kafka,
        WantedTopics("trial", ((v := token_hex(4)),)),
        options=for_librdkafka(kafka, security),
    )
    assert said == Prepared((f"intake.{v}: created with 4 partitions, 1 copies",))
    producer = AIOKafkaProducer(**for_aiokafka(kafka, security))
    await producer.start()
    try:
        sent = await producer.send_and_wait(f"intake.{v}", b"hello", partition=0)
    finally:
        await producer.stop()
    reader = Consumer({**for_librdkafka(kafka, security), "group.id": token_hex(4)})
    try:
        reader.assign([TopicPartition(f"intake.{v}", 0, sent.offset)])
        message = await asyncio.to_thread(reader.poll, 60)
        assert message is not None
        assert message.value() == b"hello"
    finally:
        reader.close()


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256"])
async def test_a_wrong_password_is_told_at_once_by_what_prepares_the_topics(
    broker: Secured, mechanism: str
) -> None:
    told = broker.environ("SASL_SSL", mechanism, "not the password")
    kafka, security = told["EARNBACK_KAFKA"], read_security(told)
    with pytest.raises(TopicError) as refused:
        await apply_topics(kafka, TRIAL, options=for_librdkafka(kafka, security))
    assert f"Kafka at {kafka} does not let us in" in str(refused.value)
    assert "Authentication failed" in str(refused.value)
    assert "check the settings EARNBACK_KAFKA_SECURITY" in str(refused.value)
    assert "not the password" not in str(refused.value)


async def test_a_broker_whose_certificate_nobody_known_has_signed_is_not_trusted(
    broker: Secured,
) -> None:
    told = {**broker.environ("SASL_SSL", "PLAIN"), "EARNBACK_KAFKA_CA": str(broker.foreign_ca)}
    kafka, security = told["EARNBACK_KAFKA"], read_security(told)
    with pytest.raises(TopicError, match="certificate verify failed"):
        await apply_topics(kafka, TRIAL, options=for_librdkafka(kafka, security))


async def test_a_client_without_a_certificate_and_one_without_tls_are_told_what_is_wrong(
    broker: Secured,
) -> None:
    told = broker.environ("SSL")
    bare = read_security(
        {name: told[name] for name in told if "_KEY" not in name and "ERT" not in name}
    )
    options = for_librdkafka(broker.mutual, bare)
    with pytest.raises(TopicError, match="certificate required"):
        await apply_topics(broker.mutual, TRIAL, options=options, connect_seconds=5.0)
    with pytest.raises(TopicError, match="EARNBACK_KAFKA_SECURITY is the protocol of the listener"):
        await apply_topics(broker.sasl_ssl, TRIAL, connect_seconds=1.0)


@pytest.mark.parametrize("service", ["ingest", "evaluator", "settlement"])
def test_a_service_with_a_wrong_password_ends_says_why_and_does_not_tell_the_password(
    broker: Secured, database: str, tmp_path: Path, service: str
) -> None:
    told = broker.environ("SASL_SSL", "SCRAM-SHA-512", "not the password")
    child = _started(service, tmp_path, {**told, "EARNBACK_POSTGRES": database})
    try:
        assert child.wait(60) == 70, child.tail()
    finally:
        child.kill()
    said = child.log.read_text()
    assert "SaslAuthenticationFailed: Authentication failed" in said
    assert "check EARNBACK_KAFKA, EARNBACK_KAFKA_SECURITY" in child.tail(1)
    assert "not the password" not in said


@pytest.mark.parametrize("service", ["ingest", "evaluator", "settlement"])
def test_a_service_with_settings_that_do_not_fit_together_does_not_start(
    service: str, tmp_path: Path
) -> None:
    wrong = {"EARNBACK_KAFKA_SECURITY": "SASL_PLAINTEXT", "EARNBACK_KAFKA_MECHANISM": "PLAIN"}
    named = {"EARNBACK_KAFKA_USER": "u", "EARNBACK_KAFKA_PASSWORD": PASSWORD}
    child = _started(service, tmp_path, {**GOOD, **wrong, **named})
    try:
        assert child.wait(60) == 78, child.tail()
    finally:
        child.kill()
    assert "would be readable on the way): take SASL_SSL" in child.tail()
    assert PASSWORD not in child.log.read_text()


def _started(service: str, folder: Path, told: Mapping[str, str]) -> Child:
    clean = {name: value for name, value in os.environ.items() if "EARNBACK" not in name}
    command = [sys.executable, "-m", f"services.{service}"]
    return Child(command, log=folder / f"{service}.log", env={**clean, **told})


GOOD = {"EARNBACK_KAFKA": "a:1", "EARNBACK_POSTGRES": "postgresql://u:dsn-pass@h/d"}
SASL = {
    "EARNBACK_KAFKA_SECURITY": "sasl_ssl",
    "EARNBACK_KAFKA_MECHANISM": "scram-sha-512",
    "EARNBACK_KAFKA_USER": "u",
    "EARNBACK_KAFKA_PASSWORD": PASSWORD,
}


def without(*names: str) -> dict[str, str]:
    return {name: value for name, value in SASL.items() if name not in names}


@pytest.mark.parametrize(
    ("told", "names", "says"),
    [
        ({"EARNBACK_KAFKA_SECURITY": "TLS"}, "EARNBACK_KAFKA_SECURITY", "give PLAINTEXT or SSL or"),
        (
            SASL | {"EARNBACK_KAFKA_MECHANISM": "GSSAPI"},
            "EARNBACK_KAFKA_MECHANISM",
            "give PLAIN or",
        ),
        (without("EARNBACK_KAFKA_SECURITY"), "EARNBACK_KAFKA_PASSWORD", "has no effect while"),
        (without("EARNBACK_KAFKA_USER"), "EARNBACK_KAFKA_USER", "SASL_SSL needs it"),
        (without("EARNBACK_KAFKA_PASSWORD"), "EARNBACK_KAFKA_PASSWORD", "SASL_SSL needs it"),
        ({"EARNBACK_KAFKA_CA": __file__}, "EARNBACK_KAFKA_CA", "has no effect while"),
        (SASL | {"EARNBACK_KAFKA_CA": "gone.pem"}, "EARNBACK_KAFKA_CA", "there is no such file"),
        (SASL | {"EARNBACK_KAFKA_CA": __file__}, "EARNBACK_KAFKA_CA", "give files in PEM"),
        (SASL | {"EARNBACK_KAFKA_KEY": __file__}, "EARNBACK_KAFKA_CERTIFICATE", "belong together"),
        (
            SASL | {"EARNBACK_KAFKA_KEY_PASSWORD": PASSWORD},
            "EARNBACK_KAFKA_KEY_PASSWORD",
            "has no effect without EARNBACK_KAFKA_KEY",
        ),
        (
            SASL | {"EARNBACK_KAFKA_PASSWORD_FILE": "x"},
            "EARNBACK_KAFKA_PASSWORD",
            "EARNBACK_KAFKA_PASSWORD_FILE are both set",
        ),
        (
            without("EARNBACK_KAFKA_PASSWORD") | {"EARNBACK_KAFKA_PASSWORD_FILE": "gone"},
            "EARNBACK_KAFKA_PASSWORD_FILE",
            "cannot be read (No such file or directory): give a readable file",
        ),
    ],
)
def test_settings_that_do_not_fit_together_are_refused_with_name_reason_and_remedy(
    told: Mapping[str, str], names: str, says: str
) -> None:
    with pytest.raises(BadSettings) as bad:
        read("evaluator", {**GOOD, **told})
    assert any(line.startswith(names) and says in line for line in str(bad.value).splitlines())
    assert PASSWORD not in str(bad.value)


def test_a_key_whose_password_is_wrong_is_refused_at_the_start(broker: Secured) -> None:
    told = broker.environ("SSL") | {"EARNBACK_KAFKA_KEY_PASSWORD": "of another door"}
    with pytest.raises(BadSettings, match="EARNBACK_KAFKA_KEY_PASSWORD cannot be used") as bad:
        read_security(told)
    assert "of another door" not in str(bad.value)


def test_a_password_comes_from_a_file_as_well_and_is_in_no_repr(
    broker: Secured, tmp_path: Path
) -> None:
    (tmp_path / "password").write_text(f"{PASSWORD}\n")
    told = without("EARNBACK_KAFKA_PASSWORD")
    settings = read(
        "evaluator",
        {**GOOD, **told, "EARNBACK_KAFKA_PASSWORD_FILE": str(tmp_path / "password")},
    )
    assert settings.security.password == PASSWORD
    assert PASSWORD not in repr(settings)
    assert "dsn-pass" not in repr(settings)
    assert KEY_PASSWORD not in repr(read_security(broker.environ("SSL")))


def test_what_asks_for_nothing_is_what_it_was() -> None:
    settings = Settings("evaluator", "a:1,b:2", "postgresql://h/d")
    assert for_aiokafka(settings.kafka, settings.security) == {
        "bootstrap_servers": ["a:1", "b:2"],
        "security_protocol": "PLAINTEXT",
    }
    assert for_librdkafka(settings.kafka, settings.security) == {
        "bootstrap.servers": "a:1,b:2",
        "security.protocol": "plaintext",
    }
