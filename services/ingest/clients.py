"""The Kafka clients of the intake: one that reads the vendors' topics, one that sends frames."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from confluent_kafka import Consumer, Producer

from services.shell.broker import Security, for_librdkafka

ACK_SECONDS = 30.0
"""How long the broker has to acknowledge what was sent."""


def common_options(kafka: str, security: Security, name: str) -> dict[str, Any]:
    """What all clients of one intake are given: how they find the broker, and who they are."""
    return {
        **for_librdkafka(kafka, security),
        "client.id": name,
        "logger": logging.getLogger("librdkafka"),
    }


def topic_reader(
    common: Mapping[str, Any],
    *,
    group: str,
    session: tuple[int, int],
    on_commit: Callable[[Any, Any], None],
) -> Consumer:
    """A member of the group that reads topics ``intake.<vendor>``; it commits when it is told to.

    ``session``: seconds without a heartbeat after which the group goes on without it, and
    between heartbeats.
    """
    return Consumer(
        {
            **common,
            "group.id": group,
            "enable.auto.commit": False,
            "on_commit": on_commit,
            "auto.offset.reset": "earliest",
            "session.timeout.ms": session[0] * 1000,
            "heartbeat.interval.ms": session[1] * 1000,
            "partition.assignment.strategy": "cooperative-sticky",
            "topic.metadata.refresh.interval.ms": 10_000,
            "allow.auto.create.topics": False,
            "fetch.min.bytes": 1,
            "fetch.message.max.bytes": 4 * 1024 * 1024,
            "queued.min.messages": 60_000,
            "queued.max.messages.kbytes": 32 * 1024,
            # Else a full queue is left alone for a second, whatever is taken from it meanwhile.
            "fetch.queue.backoff.ms": 5,
            "check.crcs": True,
        }
    )


def frame_sender(common: Mapping[str, Any]) -> Producer:
    """Sends frames in order and once."""
    return Producer(
        {
            **common,
            "enable.idempotence": True,
            "acks": "all",
            # Frames are compressed inside; once more would only cost time.
            "compression.type": "none",
            "linger.ms": 0,
            "message.max.bytes": 4 * 1024 * 1024,
            "delivery.timeout.ms": int(ACK_SECONDS * 1000),
        }
    )
