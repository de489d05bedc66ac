"""A small programme, its agreement, and events as frames, written by hand."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import pyarrow as pa

from schemas.agreement import Agreement
from schemas.event import KIND_OF_TYPE
from schemas.frame import FRAME_CONTENT_TYPE
from schemas.programme import Programme
from schemas.whose_word import SAID
from services.core.calendar.windows import microseconds
from services.core.events.facts import Row, columns, identity_of, payload_before_of, payload_of
from services.shell.frames import CONTENT_TYPE, encode, partition_of, read_batch
from services.shell.steps import Record
from tests.reporting import with_reporters

NIMBUS = "urn:nimbus:probe/1"
CIRRUS = "urn:cirrus:probe/1"
TOWN = "urn:town:probe/2"
# Each hashes to a partition of its own.
SOURCES = {NIMBUS: "nimbus", CIRRUS: "cirrus", TOWN: "town"}
METRICS = ("availability", "latency", "incidents")
NUMBERS = {metric: number for number, metric in enumerate(METRICS)}
PARTITIONS = 4


def a_programme(**changes: Any) -> Programme:
    """A town with two vendors; three sources report availability, latency and incidents."""
    document = {
        "kind": "programme",
        "language": 2,
        "programme": "campus",
        "version": 1,
        "effective_from": "2025-01-01",
        "buyer": "town",
        "name": "Campus services",
        "time_zone": "Europe/Berlin",
        "restated_for_days": 100,
        "vendors_see": "figures",
        "whose_word": dict.fromkeys(SAID, "either"),
        "vendors": [
            {"vendor": "nimbus", "name": "Nimbus"},
            {"vendor": "cirrus", "name": "Cirrus"},
        ],
        "sources": [{"source": each, "reports_for": party} for each, party in SOURCES.items()],
        "metrics": [
            _metric("availability", "percent", "higher", {"kind": "availability_by_samples"}),
            _metric("latency", "milliseconds", "lower", {"kind": "mean"}),
            _metric(
                "incidents",
                "count",
                "lower",
                {
                    "kind": "outage_count",
                    "silence": "up",
                    "incomplete": "left_out",
                    "across_periods": "begins",
                },
            ),
        ],
    }
    return Programme.model_validate(with_reporters(document | changes))


def _metric(name: str, unit: str, better: str, measure: Mapping[str, Any]) -> dict[str, Any]:
    return {"metric": name, "name": name, "unit": unit, "better": better, "measure": measure}


def an_agreement(
    agreement: str = "hosting", metric: str = "availability", **changes: Any
) -> Agreement:
    """A month's figure of one metric, without money; closed two days after the month."""
    better = "at_least" if metric == "availability" else "at_most"
    document = {
        "kind": "agreement",
        "language": 2,
        "agreement": agreement,
        "version": 1,
        "programme": "campus",
        "type": "service",
        "vendor": "nimbus",
        "name": agreement,
        "currency": "EUR",
        "effective_from": "2025-01-01",
        "settled": "month",
        "lateness_hours": 48,
        "conventions": {"money_rounding": "half_up", "rounded_at": "line"},
        "levels": [
            {
                "level": "only",
                "name": "Only level",
                "metric": metric,
                "expected": {better: "99"},
                "judged": "exact",
                "no_data": "no_result",
                "defaults": {"kind": "every_miss"},
            }
        ],
    }
    return Agreement.model_validate(document | changes)


@dataclass(frozen=True)
class Event:
    """An event of the tests: identity, what it says, and when.

    ``number``: of the metric; None: as in a catalogue of one programme.
    """

    id: str
    at: datetime
    source: str = NIMBUS
    type: str = "earnback.sample.v1"
    metric: str | None = "availability"
    value: int = 1
    scale_or_total: int = 1
    subject: str | None = None
    data: str = ""
    number: int | None = None

    def but(self, **changes: Any) -> Event:
        """The same event with other words."""
        return replace(self, **changes)

    @property
    def partition(self) -> int:
        return partition_of(self.source, PARTITIONS)

    def row(self) -> Row:
        at_us, kind = microseconds(self.at), KIND_OF_TYPE[self.type]
        named = self.metric or ""
        number = NUMBERS.get(named, -1) if self.number is None else self.number
        return Row(
            source=self.source,
            id=self.id,
            identity=identity_of(self.source, self.id),
            payload=payload_of(
                kind, at_us, named, self.subject, self.value, self.scale_or_total, self.data
            ),
            kind=kind,
            metric=number,
            at_us=at_us,
            value=self.value,
            scale_or_total=self.scale_or_total,
            subject=self.subject,
            data=self.data,
        )


def up(name: str, at: datetime, source: str = NIMBUS) -> Event:
    """A probe that was answered."""
    return Event(name, at, source)


def down(name: str, at: datetime, source: str = NIMBUS) -> Event:
    """A probe that was not answered."""
    return Event(name, at, source, value=0)


def correction(
    name: str,
    at: datetime,
    of: Event,
    data: Mapping[str, Any] | None = None,
    time: datetime | None = None,
) -> Event:
    """Takes an event back, or puts other data or another time in its place."""
    said: dict[str, Any] = {"corrects": of.id, "reason": "wrong"}
    if data is not None:
        said["data"] = data
    if time is not None:
        said["time"] = time.isoformat()
    text = json.dumps(said, sort_keys=True, separators=(",", ":"))
    return Event(name, at, of.source, "earnback.correction.v1", None, 0, 0, data=text)


def accepts(of: Event, period: str = "2025-01", **more: Any) -> Event:
    """The other side takes a late correction over, a minute after it was made."""
    said = {
        "agreement": "hosting",
        "states": "correction",
        "name": "availability",
        "period": period,
        "of_source": of.source,
        "of_id": of.id,
        "of_payload": of.row().payload.hex(),
        "answer": "accept",
        "reason": "seen",
    }
    own = NIMBUS if of.source == TOWN else TOWN
    at = of.at + timedelta(minutes=1)
    return stated(f"yes-{of.id}", at, "answer", own, **{**said, **more})


def stated(name: str, /, at: datetime, kind: str, source: str = NIMBUS, **said: Any) -> Event:
    """A charge or a circumstance: what is said of an agreement's period."""
    text = json.dumps(said, sort_keys=True, separators=(",", ":"))
    return Event(name, at, source, f"earnback.{kind}.v1", None, 0, 0, data=text)


def frame(events: Iterable[Event]) -> bytes:
    """One frame of these events."""
    return encode(columns([event.row() for event in events]))


def as_version_1(body: bytes) -> bytes:
    """A frame as the release before wrote it: hashes of payloads have 64 bits."""
    batch = read_batch(body)
    names = ["payload" if name == "payload_high" else name for name in batch.schema.names]
    kept = [place for place, name in enumerate(names) if name != "payload_low"]
    fields = [batch.schema.field(place).with_name(names[place]) for place in kept]
    schema = pa.schema(fields, metadata={b"earnback.frame.version": b"1"})
    sink = pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(compression="lz4")
    with pa.ipc.new_stream(sink, schema, options=options) as writer:
        writer.write_batch(pa.record_batch([batch.column(place) for place in kept], schema=schema))
    return bytes(sink.getvalue())


def of_release_before(event: Event) -> Row:
    """The row of an event as the release before made it."""
    row = event.row()
    return row._replace(payload=payload_before_of(row, event.metric or ""))


def record(offset: int, events: Sequence[Event] | bytes) -> Record:
    """The Kafka record that carries a frame, or whatever bytes are given."""
    value = events if isinstance(events, bytes) else frame(events)
    return Record(offset, 0, None, value, ((CONTENT_TYPE.decode(), FRAME_CONTENT_TYPE.encode()),))
