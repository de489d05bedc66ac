"""The whole chain towards a broker that asks for TLS and a password."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Producer

from services.cli.stack import stack
from services.shell.broker import for_librdkafka
from services.shell.settings import BadSettings, read_security
from tests.integration.living import QUICK, entered, wait_for
from tests.shell.secured import PASSWORD, Secured, secured

EXAMPLES = Path(__file__).parents[2] / "schemas/examples/events"


@pytest.fixture
def broker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, database: str) -> Iterator[Secured]:
    """A broker, and an environment that knows how to be let in."""
    with secured(tmp_path) as running:
        for name, value in running.environ("SASL_SSL", "SCRAM-SHA-512").items():
            monkeypatch.setenv(name, value)
        monkeypatch.delenv("EARNBACK_KAFKA_PASSWORD")
        (tmp_path / "password").write_text(PASSWORD)
        monkeypatch.setenv("EARNBACK_KAFKA_PASSWORD_FILE", str(tmp_path / "password"))
        monkeypatch.setenv("EARNBACK_POSTGRES", database)
        yield running


def test_events_by_http_and_by_the_vendors_own_topic_are_settled_through_a_broker_with_passwords(
    broker: Secured, tmp_path: Path
) -> None:
    events = [json.loads(line) for line in (EXAMPLES / "first-month.ndjson").open()]
    with (
        stack(tmp_path / "home", environment=QUICK) as running,
        entered(running) as living,
    ):
        assert "intake.north: created with 4 partitions, 1 copies" in living.apply(EXAMPLES)
        results = living.submit(living.client, [events[0], *events[2:]])
        assert {result["status"] for result in results} == {"accepted"}
        producer = Producer(for_librdkafka(broker.sasl_ssl, read_security()))
        producer.produce("intake.north", json.dumps(events[1]))
        assert producer.flush(20) == 0
        living.last[events[1]["source"]] = events[1]["id"]
        living.wait_until_seen()
        assert living.close([("campus-network", "2025-01")])["closed"] == 1
        wait_for("the statement", lambda: bool(living.documents("campus-network")))
        logs = "".join(path.read_text() for path in (tmp_path / "home/logs").iterdir())
    assert PASSWORD not in logs


def test_a_broker_started_here_is_not_used_with_settings_for_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("EARNBACK_KAFKA", raising=False)
    monkeypatch.setenv("EARNBACK_KAFKA_SECURITY", "SSL")
    with (
        pytest.raises(BadSettings, match="the broker started here has no authentication"),
        stack(tmp_path),
    ):
        pytest.fail("it was started")
