"""A topic of an outbox has one writer: a record of anybody else would stop its relay for good."""

from __future__ import annotations

from infra.topics import declared
from services.cli.prepare import RELAYED
from services.ingest.topics import IngestTopics


def test_the_doors_write_to_no_topic_of_an_outbox() -> None:
    assert IngestTopics().measurements not in RELAYED


def test_what_the_doors_refuse_goes_through_the_outbox() -> None:
    assert IngestTopics().refused in RELAYED


def test_every_topic_of_an_outbox_is_declared_with_one_producer() -> None:
    producers = {name: topic.producers for name, topic in declared().items() if name in RELAYED}
    assert set(producers) == set(RELAYED)
    assert all(len(each) == 1 for each in producers.values())
