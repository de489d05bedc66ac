"""When the broker is away: nothing is acknowledged, and nothing that was is lost."""

from __future__ import annotations

import json
from pathlib import Path

import httpx

from infra.embedded.kafka import EmbeddedKafka
from tests.ingest.conftest import an_ingest


def test_without_a_broker_nothing_is_acknowledged_and_nothing_that_was_is_lost(
    database: str, tmp_path: Path
) -> None:
    with (
        EmbeddedKafka(tmp_path / "kafka") as broker,
        an_ingest(broker.bootstrap, database, tmp_path) as ingest,
    ):
        ingest.start("http,intake")

        def post(event_id: str) -> httpx.Response:
            return ingest.post(json.dumps(ingest.event(event_id)).encode())

        assert post("before").status_code == 202
        broker.stop()
        refused = post("during")
        assert (refused.status_code, refused.json()["code"]) == (503, "broker-unavailable")
        assert int(refused.headers["retry-after"]) > 0
        assert httpx.get(f"{ingest.url}/readyz", timeout=60).status_code == 503
        assert httpx.get(f"{ingest.url}/livez", timeout=60).status_code == 200
        broker.start()
        ingest.wait_for(lambda: post("during").status_code == 202, "it does not come back")
        assert post("after").status_code == 202
        assert {row.id for row in ingest.rows(3)} == {"before", "during", "after"}
        assert len({(row.identity, row.payload) for row in ingest.rows(3)}) == 3
        ingest.produce(
            f"intake.{ingest.vendor('north')}",
            [(json.dumps(ingest.event("over-kafka")).encode(), [])],
        )
        ingest.wait_for(
            lambda: "over-kafka" in {row.id for row in ingest.rows(3)},
            "the intake does not come back",
        )
