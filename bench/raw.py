"""The raw limit: read a topic with librdkafka and decode its JSON; nothing else is done.

With the settings that read fastest here, and also as librdkafka comes: then a full queue is left
alone for a second (``fetch.queue.backoff.ms``), and a reader waits without knowing why.

A process of its own, as the intake is one. Told by a line of JSON on its input, it answers with
one on its output.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from confluent_kafka import Consumer, TopicPartition

BATCH = 10_000
DECODERS: Mapping[str, Callable[[bytes], Any]] = {
    "msgspec": msgspec.json.Decoder().decode,
    "json": json.loads,
}
FASTEST: Mapping[str, Any] = {
    "fetch.message.max.bytes": 4 * 1024 * 1024,
    "queued.min.messages": 100_000,
    "fetch.queue.backoff.ms": 5,
}
PATIENCE_SECONDS = 30.0


def read(
    kafka: str,
    topic: str,
    ranges: Mapping[int, tuple[int, int]],
    decoder: str,
    settings: Mapping[str, Any],
) -> dict[str, float]:
    """Seconds on the clock and on the processor for these offsets, and how many events came."""
    decode = DECODERS[decoder]
    consumer = Consumer(
        {
            "bootstrap.servers": kafka,
            "group.id": "bench-raw",
            "enable.auto.commit": False,
            **settings,
        }
    )
    consumer.list_topics(topic, timeout=PATIENCE_SECONDS)
    wanted = sum(last - first for first, last in ranges.values())
    ends = {partition: last for partition, (_, last) in ranges.items()}
    seen, started, processor = 0, time.perf_counter(), time.process_time()
    consumer.assign([TopicPartition(topic, each, first) for each, (first, _) in ranges.items()])
    last_seen = started
    while seen < wanted:
        messages = consumer.consume(BATCH, 0.05)
        for message in messages:
            if message.error() is not None:
                raise RuntimeError(f"reading {topic} failed: {message.error()}")
            decode(message.value())
            seen += message.offset() < ends[message.partition()]
        last_seen = time.perf_counter() if messages else last_seen
        if time.perf_counter() - last_seen > PATIENCE_SECONDS:
            raise RuntimeError(f"{topic}: {seen} of {wanted} events came, then nothing more")
    took = {
        "events": seen,
        "seconds": time.perf_counter() - started,
        "cpu_seconds": time.process_time() - processor,
    }
    consumer.close()
    return took


if __name__ == "__main__":
    told = json.loads(sys.stdin.readline())
    spans = {int(partition): span for partition, span in told["ranges"].items()}
    given = FASTEST if told["fastest"] else {}
    print(json.dumps(read(told["kafka"], told["topic"], spans, told["decoder"], given)))
