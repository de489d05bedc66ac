"""Reads what vendors write to Kafka themselves: topics ``intake.<vendor>``, into frames.

The hot path, in a thread of its own. Records are read in batches, decoded once, and leave as
frames. The group's offset moves only after the broker has acknowledged every frame of a batch and
the database has every refusal: what is read twice after a crash is counted and kept once. Vendors
share each batch equally: what one of them sends does not wait for what another one has sent.
"""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from time import monotonic
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Message, TopicPartition

from services.catalogue.snapshot import Catalogue
from services.core.events.two_for_decisions import AgreedDecisions
from services.ingest.clients import ACK_SECONDS, common_options, frame_sender, topic_reader
from services.ingest.compiled.lazy_loops import LazyLoops
from services.ingest.event_validator import EventValidator
from services.ingest.fair_queue import FairQueue
from services.ingest.framing import HEADERS, cut
from services.ingest.lag import LagWatch
from services.ingest.party_rate import EventRate
from services.ingest.record_judge import RecordJudge
from services.ingest.rejection_store import RejectedRecord
from services.ingest.topics import IngestTopics
from services.shell import metrics
from services.shell.broker import NONE, Security
from services.shell.clock import now_us
from services.shell.faults import faultpoint
from services.shell.logs import log

BATCH = 20_000
WITHIN = 0.05
"""A batch is this many records, or what came within this many seconds."""
MOST_BATCHES = 4
"""Batches sent and not yet acknowledged; with more, reading waits."""


class IntakeFailed(Exception):
    """The intake cannot go on. The process ends and starts again from the last offset."""


@dataclass(slots=True)
class _Batch:
    """What was read at once: the offsets behind it, and the acknowledgements it waits for."""

    offsets: dict[tuple[str, int], int] = field(default_factory=dict)
    outstanding: int = 0
    failure: str | None = None

    def acknowledged(self, error: Any, _: Any) -> None:
        """Called by the producer for each record of the batch."""
        self.outstanding -= 1
        if error is not None and self.failure is None:
            self.failure = str(error)


class Intake:
    """One reader. `run` is the thread; `stop` ends it after what was read is acknowledged."""

    def __init__(
        self,
        kafka: str,
        *,
        group: str,
        topics: IngestTopics,
        catalogue: Callable[[], Catalogue],
        latest: Mapping[str, int],
        agreed: AgreedDecisions,
        events: EventRate,
        keep: Callable[[Sequence[RejectedRecord]], int],
        loops: LazyLoops,
        session: tuple[int, int] = (6, 1),
        stall: float = 30.0,
        security: Security = NONE,
    ) -> None:
        """``latest``: how far each source has come; a mapping that is kept current. ``agreed``:
        what two have agreed on, likewise. ``events``: how many of a party are taken. ``keep``:
        persists rejections and returns after commit; it may block, and reading waits with it. It
        gives how many of them are duplicates of what counts already, and so no rejections.
        ``loops``: what judges batches at once, when it is there.
        ``session``: seconds of the session timeout and between heartbeats. ``stall``: seconds in
        which records wait and none is read, before the reader is opened anew."""
        self._names = topics
        self._catalogue, self._latest, self._keep = catalogue, latest, keep
        self._agreed, self._events = agreed, events
        self._waits = False
        self._stall, self._session = stall, session[0]
        self._open_anew_after = monotonic() + stall
        self._stopping = threading.Event()
        self._sent: deque[_Batch] = deque()
        self._acknowledged: dict[tuple[str, int], int] = {}
        self._commit_again: set[tuple[str, int]] = set()
        self._topics: frozenset[str] = frozenset()
        self._queue = FairQueue()
        self._paused: frozenset[tuple[str, int]] = frozenset()
        self._loops = loops
        self._judge: RecordJudge | None = None
        common = common_options(kafka, security, group)
        self._open = partial(
            topic_reader, common, group=group, session=session, on_commit=self._committed
        )
        self._consumer = self._open()
        self._producer = frame_sender(common)
        self._lag = LagWatch(common, group, self._acknowledged, stall)
        self._partitions = 0
        _count(accepted=0, duplicate=0, rejected=0)

    def stop(self) -> None:
        """Ask `run` to return."""
        self._stopping.set()

    def run(self) -> None:
        """Read until stopped.

        Raises IntakeFailed or KafkaException when it cannot go on; nothing unacknowledged is
        committed then.
        """
        self._lag.start()
        try:
            self._partitions = _partitions_of(self._producer, self._names.measurements)
            while not self._stopping.is_set():
                self._follow_catalogue()
                found = self._read() if self._topics else []
                self._step(found)
                self._open_anew_if_it_hangs(is_at_work=bool(found))
                if not self._topics:
                    self._stopping.wait(WITHIN)
            self._settle(0)
        finally:
            self._lag.stop()
            self._consumer.close()

    def _open_anew_if_it_hangs(self, *, is_at_work: bool) -> None:
        """Replace a reader that gets nothing though records wait.

        The client may hang so after its broker was away, without a word of it (librdkafka, issue
        5153); what helps is a new one. It goes on from the committed offsets.
        """
        if is_at_work or self._sent or len(self._queue) or self._paused:
            self._open_anew_after = monotonic() + self._stall
        elif self._lag.stuck and monotonic() > self._open_anew_after:
            log(__name__).warning("intake_opened_anew", partitions=sorted(self._lag.stuck))
            self._consumer.close()
            self._lag.ours, self._paused = frozenset(), frozenset()
            self._consumer = self._open()
            self._subscribe()
            # The group may wait for the old member until its session ends: one that gave up its
            # place meanwhile would be waited for in turn.
            self._open_anew_after = monotonic() + max(self._stall, 2 * self._session)

    def _read(self) -> list[Any]:
        """The next batch, equally of all topics that have something; each partition in its order.

        Raises IntakeFailed where reading failed.
        """
        if len(self._topics) == 1 and not len(self._queue):
            return self._of_one_topic()
        found = self._records(0 if len(self._queue) and not self._waits else WITHIN)
        while found:
            for message in found:
                self._queue.put(message)
            self._pause(self._queue.hold())
            found = [] if self._queue.is_full else self._records(0)
        batch = self._queue.take(BATCH, lambda topic: self._events.left(self._vendor(topic)))
        self._waits = not batch
        for topic, number in Counter(message.topic() for message in batch).items():
            self._events.took(self._vendor(topic), number)
        self._pause(self._queue.hold())
        return batch

    def _of_one_topic(self) -> list[Any]:
        """The next batch where there is one topic: none while its vendor has to wait."""
        (topic,) = self._topics
        may = self._events.left(self._vendor(topic))
        self._pause(self._topics if may < 1 else frozenset())
        found = self._records(WITHIN, BATCH if may >= BATCH else max(1, int(may)))
        self._events.took(self._vendor(topic), len(found))
        return found

    def _vendor(self, topic: str) -> str:
        """Who speaks through a topic: the vendor that it is bound to."""
        return topic.removeprefix(self._names.intake)

    def _records(self, within: float, most: int = BATCH) -> list[Any]:
        """What the client has, without what is no record."""
        messages: list[Any] = self._consumer.consume(most, within)
        if not any(map(Message.error, messages)):
            return messages
        found = []
        for message in messages:
            if message.error() is None:
                found.append(message)
            else:
                _check(message.error())
        return found

    def _pause(self, held: frozenset[str]) -> None:
        """Read on everything but these topics. What the client has of them it will fetch again."""
        wanted = frozenset(place for place in self._lag.ours if place[0] in held)
        if pausing := wanted - self._paused:
            self._consumer.pause(_partitions(pausing))
        if resuming := self._paused - wanted:
            self._consumer.resume(_partitions(resuming))
        self._paused = wanted

    def _follow_catalogue(self) -> None:
        """Take up a new revision of the catalogue: its rules, and the topics of its vendors."""
        catalogue = self._catalogue()
        if self._judge is not None and self._judge.revision == catalogue.revision:
            return
        validator = EventValidator(catalogue, self._latest.get, agreed=self._agreed)
        self._judge = RecordJudge(validator, self._partitions, self._loops, self._vendor)
        topics = frozenset(self._names.intake + vendor for vendor in catalogue.vendors)
        changed, self._topics = topics != self._topics, topics
        if topics and changed:
            self._subscribe()

    def _subscribe(self) -> None:
        topics = sorted(self._topics)
        self._consumer.subscribe(topics, on_assign=self._assigned, on_revoke=self._revoked)
        log(__name__).info("intake_subscribed", topics=topics)

    def _assigned(self, _: Any, assigned: Sequence[TopicPartition]) -> None:
        self._lag.ours |= _places(assigned)
        faultpoint("intake.assigned")

    def _revoked(self, _: Any, revoked: Sequence[TopicPartition]) -> None:
        """Settle what was read before another reader goes on from the committed offsets."""
        faultpoint("intake.revoked")
        self._settle(0)
        gone = _places(revoked)
        self._queue.forget(gone)
        self._paused -= gone
        done = {place: self._acknowledged.pop(place) for place in gone & self._acknowledged.keys()}
        # Once more, and waiting: what is on its way may be refused, and nobody would repeat it.
        # Not when all ends: the broker may be gone, and stopping must not wait for it.
        if not self._stopping.is_set():
            self._commit_offsets(done, wait=True)
        self._commit_again -= gone
        self._lag.ours -= gone

    def _step(self, messages: list[Any]) -> None:
        """Judge a batch of records, send what came of it, and commit what is acknowledged."""
        if messages:
            assert self._judge is not None
            judged = self._judge.judge(messages, now_us())
            _count(accepted=len(messages) - len(judged.refused))
            batch = _Batch(offsets=_offsets_after(messages))
            faultpoint("intake.before-send")
            for partition, facts in judged.facts:
                for frame in cut(facts):
                    self._send(batch, frame, partition=partition, headers=HEADERS)
            faultpoint("intake.after-send")
            if judged.refused:
                self._producer.poll(0)
                repeats = self._keep(judged.refused)
                _count(duplicate=repeats, rejected=len(judged.refused) - repeats)
            self._sent.append(batch)
        self._producer.poll(0)
        self._settle(MOST_BATCHES)
        self._commit_what_failed()

    def _send(self, batch: _Batch, value: bytes, **more: Any) -> None:
        batch.outstanding += 1
        while True:
            try:
                self._producer.produce(
                    self._names.measurements, value, on_delivery=batch.acknowledged, **more
                )
                return
            except BufferError:  # the producer's queue is full: let the broker catch up
                self._producer.poll(0.1)

    def _settle(self, most: int) -> None:
        """Commit acknowledged batches in order, waiting until at most ``most`` are left."""
        while self._sent:
            first = self._sent[0]
            if first.failure is not None:
                raise IntakeFailed(f"the broker did not accept a record: {first.failure}")
            if first.outstanding:
                if len(self._sent) <= most:
                    return
                self._producer.poll(0.1)
                continue
            faultpoint("intake.before-commit")
            self._acknowledged.update(first.offsets)
            self._commit_offsets(first.offsets, wait=self._stopping.is_set())
            faultpoint("intake.after-commit")
            self._sent.popleft()

    def _commit_offsets(self, offsets: Mapping[tuple[str, int], int], *, wait: bool) -> None:
        wanted = [
            TopicPartition(topic, partition, offset)
            for (topic, partition), offset in offsets.items()
        ]
        if not wanted:
            return
        try:
            self._consumer.commit(offsets=wanted, asynchronous=not wait)
        except KafkaException as error:
            # Read again by whoever has the partition now, and counted once by the evaluator.
            log(__name__).warning("intake_commit_failed", error=str(error))

    def _committed(self, error: Any, partitions: Sequence[TopicPartition]) -> None:
        """Called by the consumer when the broker has answered a commit.

        One that meets a rebalance is refused. Where no record follows, nothing else would ever
        commit these offsets, and the group would seem to lag for good.
        """
        failed = [each for each in partitions if error is not None or each.error is not None]
        self._commit_again |= _places(failed) & self._acknowledged.keys()

    def _commit_what_failed(self) -> None:
        """Commit again, as far as everything is acknowledged by now."""
        offsets = {place: self._acknowledged[place] for place in self._commit_again}
        self._commit_again.clear()
        self._commit_offsets(offsets, wait=False)


def _offsets_after(messages: Sequence[Any]) -> dict[tuple[str, int], int]:
    """Of each partition the offset behind its last record."""
    places = zip(map(Message.topic, messages), map(Message.partition, messages), strict=True)
    last = dict(zip(places, map(Message.offset, messages), strict=True))
    return {place: offset + 1 for place, offset in last.items()}


def _places(partitions: Sequence[TopicPartition]) -> frozenset[tuple[str, int]]:
    return frozenset((each.topic, each.partition) for each in partitions)


def _partitions(places: frozenset[tuple[str, int]]) -> list[TopicPartition]:
    return [TopicPartition(*place) for place in sorted(places)]


def _count(**outcomes: int) -> None:
    """Add to what the metric shows. What is refused is counted when it is certain to be none of
    what counts already; a twin among what was accepted, only the evaluator sees."""
    for outcome, number in outcomes.items():
        metrics.EVENTS.labels("intake", outcome).inc(number)


def _check(error: Any) -> None:
    """Pass over what mends itself. Raises IntakeFailed for what does not."""
    if error.code() in (KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._PARTITION_EOF):
        return  # a new vendor's topic is not there yet
    if error.fatal() or not error.retriable():
        raise IntakeFailed(f"reading failed: {error}")
    log(__name__).warning("intake_reading", error=str(error))


def _partitions_of(producer: Any, topic: str) -> int:
    found = producer.list_topics(topic, timeout=ACK_SECONDS).topics[topic]
    if found.error is not None or not found.partitions:
        raise IntakeFailed(f"topic {topic} is not there; run 'earnback prepare' before starting")
    return len(found.partitions)
