"""Judges the records of a batch from the vendors' topics: what counts, and what is refused."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Any, NamedTuple

from confluent_kafka import Message

from schemas.frame import Facts
from services.core.events.facts import Row
from services.core.events.roles import Sender
from services.ingest.compiled.batch_validator import BatchValidator
from services.ingest.compiled.lazy_loops import LazyLoops
from services.ingest.compiled.loops import Loops
from services.ingest.event_validator import EventValidator
from services.ingest.fast_validator import FastValidator
from services.ingest.rejection import EventRejection
from services.ingest.rejection_store import RecordPosition, RejectedRecord

_BINARY_MARK = "ce_specversion"
Headers = list[tuple[str, bytes]] | None


class JudgedRecords(NamedTuple):
    """What counts, in order of arrival by partition of `measurements`; and what does not."""

    facts: list[tuple[int, Facts]]
    refused: list[RejectedRecord]


class RecordJudge:
    """Judges under one revision of the catalogue."""

    def __init__(
        self,
        validator: EventValidator,
        partitions: int,
        loops: LazyLoops,
        vendor_of: Callable[[str], str],
    ) -> None:
        """``partitions``: of `measurements`. ``vendor_of``: whom a topic belongs to."""
        self._validator, self._partitions = validator, partitions
        self._fast = FastValidator(validator, partitions)
        self._loops, self._vendor_of = loops, vendor_of
        self._batches: BatchValidator | None = None

    @property
    def revision(self) -> int:
        """That of the catalogue."""
        return self._validator.revision

    def judge(self, messages: Sequence[Any], now_us: int) -> JudgedRecords:
        """Judge records, those of a partition in their order."""
        raws = [raw or b"" for raw in map(Message.value, messages)]
        headers: list[Headers] = list(map(Message.headers, messages))
        senders = self._senders(messages)
        loops = self._loops.of(len(messages))
        # What nothing is known of yet, each event would be handed over by itself.
        if loops is None or not self._fast.series.keys:
            return self._one_by_one(messages, raws, headers, senders, now_us)
        return self._at_once(loops, messages, raws, headers, senders, now_us)

    def _senders(self, messages: Sequence[Any]) -> list[tuple[Sender, int]]:
        """Who sends, and how many records in a row are of the same topic."""
        return [
            (Sender(self._vendor_of(topic), "vendor"), sum(1 for _ in run))
            for topic, run in groupby(map(Message.topic, messages))
        ]

    def _at_once(
        self,
        loops: Loops,
        messages: Sequence[Any],
        raws: list[bytes],
        headers: Sequence[Headers],
        senders: Sequence[tuple[Sender, int]],
        now_us: int,
    ) -> JudgedRecords:
        if self._batches is None:
            self._batches = BatchValidator(self._fast, loops, self._partitions)
        events = raws
        if any(headers):
            # In binary mode the value is not the event.
            events = [b"" if _is_binary(h) else raw for raw, h in zip(raws, headers, strict=True)]
        judged = self._batches.judged(events, senders, now_us)
        refused = []
        handed_over = judged.handed_over
        who = _by_place(senders) if handed_over else []
        for place in handed_over:
            found = self._verdict(raws[place], headers[place], who[place], now_us)
            if isinstance(found, Row):
                judged.put(place, found)
            else:
                refused.append(_rejected(messages[place], who[place], raws[place], found, now_us))
        facts = list(judged.by_partition())
        self._fast.forget()
        return JudgedRecords(facts, refused)

    def _one_by_one(
        self,
        messages: Sequence[Any],
        raws: Sequence[bytes],
        headers: Sequence[Headers],
        senders: Sequence[tuple[Sender, int]],
        now_us: int,
    ) -> JudgedRecords:
        take, put, refused = self._fast.take, self._fast.put, []
        given = zip(raws, headers, _by_place(senders), strict=True)
        for place, (raw, own, sender) in enumerate(given):
            if own is None:
                found = take(raw, sender, now_us)
            else:
                found = put(self._verdict(raw, own, sender, now_us))
            if found is not None:
                refused.append(_rejected(messages[place], sender, raw, found, now_us))
        series = self._fast.series
        facts = [
            (partition, builder.facts(series))
            for partition, builder in enumerate(self._fast.take_builders())
            if len(builder)
        ]
        self._fast.forget()
        return JudgedRecords(facts, refused)

    def _verdict(
        self, raw: bytes, headers: Headers, sender: Sender, now_us: int
    ) -> Row | EventRejection:
        """Judge one record; in binary mode its headers are the event's envelope."""
        if not _is_binary(headers):
            return self._fast.admit(raw, sender, now_us)
        texts = _texts(headers)
        attributes = {name[3:]: value for name, value in texts.items() if name.startswith("ce_")}
        content = texts.get("content-type")
        return self._validator.admit_binary(attributes, content, raw, sender, now_us)


def _by_place(senders: Sequence[tuple[Sender, int]]) -> list[Sender]:
    return [sender for sender, count in senders for _ in range(count)]


def _rejected(
    message: Any, sender: Sender, raw: bytes, refusal: EventRejection, now_us: int
) -> RejectedRecord:
    place = RecordPosition(message.topic(), message.partition(), message.offset())
    return RejectedRecord(place, sender.party, raw, refusal, now_us, _texts(message.headers()))


def _is_binary(headers: Headers) -> bool:
    return headers is not None and _BINARY_MARK in _texts(headers)


def _texts(headers: Headers) -> dict[str, str]:
    """A record's headers as text; what is no text shows as replacement characters."""
    return {
        name.lower(): value.decode("utf-8", "replace")
        for name, value in headers or ()
        if value is not None
    }
