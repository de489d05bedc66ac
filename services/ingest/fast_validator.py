"""The usual events, quickly: samples, counts, responses and volumes as most probes send them.

The event validator judges every kind of event, and its verdict is authoritative. This learns from
it: once it has accepted an event, others of the same source, type, metric and subject can differ
only in id, time and value, and those are checked here. Whatever is new or unusual goes to the event
validator. A test compares the two.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import blake2b
from typing import Any, Literal, NamedTuple

import msgspec

from schemas.strict_json import may_repeat_keys
from services.core.events.facts import LARGEST, Row, scaled
from services.core.events.roles import Sender
from services.ingest.column_builder import ColumnBuilder, SeriesKey, SeriesTable
from services.ingest.event_validator import MAX_EVENT, EventValidator
from services.ingest.events import JSON_TYPES, microseconds_of
from services.ingest.rejection import EventRejection
from services.shell.frames import partition_of

MOST_KNOWN = 100_000
"""With more combinations than this, learning starts anew."""


class _Data(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    metric: str
    subject: str | None = None


class _SampleData(_Data, kw_only=True, gc=False, forbid_unknown_fields=True):
    up: bool


class _CountData(_Data, kw_only=True, gc=False, forbid_unknown_fields=True):
    good: int
    total: int


class _ValueData(_Data, kw_only=True, gc=False, forbid_unknown_fields=True):
    unit: str
    value: int | str


class _FastEvent(msgspec.Struct, gc=False, tag_field="type", forbid_unknown_fields=True):
    """Attributes that the specification names; events with others are for the event validator."""

    specversion: Literal["1.0"]
    id: str
    source: str
    time: str
    datacontenttype: str | None = None
    dataschema: str | None = None
    subject: str | None = None


class _SampleEvent(_FastEvent, kw_only=True, gc=False, tag="earnback.sample.v1"):
    data: _SampleData


class _CountEvent(_FastEvent, kw_only=True, gc=False, tag="earnback.count.v1"):
    data: _CountData


class _ResponseEvent(_FastEvent, kw_only=True, gc=False, tag="earnback.response.v1"):
    data: _ValueData


class _VolumeEvent(_FastEvent, kw_only=True, gc=False, tag="earnback.volume.v1"):
    data: _ValueData


_decode = msgspec.json.Decoder(_SampleEvent | _CountEvent | _ResponseEvent | _VolumeEvent).decode
_UNUSUAL = (msgspec.MsgspecError, RecursionError, UnicodeError)


class LearnedSeries(NamedTuple):
    """What the verdict on one event says about others like it."""

    source: str
    kind: int
    metric: str
    subject: str | None
    sender: Sender | None
    from_us: int
    """The newest version of the programme holds from here on; older ones are not learned."""
    horizon_us: int
    unit: str
    decimals: int
    lowest: int
    highest: int
    is_possible: Callable[[int, int], bool]
    identity: str
    """How the text begins whose hash is the identity."""
    before: str
    after: str
    """What stands before and after the time in the text whose hash is the payload."""
    series: int
    partition: int


_UsualEvent = tuple[LearnedSeries, str, bytes, bytes, int, int, int]
"""What it is like, its id, identity and payload, time, value, and scale or total."""


class FastValidator:
    """Validates events under one catalogue revision: into column builders, one per partition, or
    one by one into rows."""

    def __init__(
        self, validator: EventValidator, partitions: int, most_known: int = MOST_KNOWN
    ) -> None:
        self.validator, self._partitions, self._most_known = validator, partitions, most_known
        self.latest_of = validator.latest_of
        self._known: dict[tuple[str, str, str | None, type[Any]], LearnedSeries] = {}
        self.news: dict[int, LearnedSeries] = {}
        """What was learned since it was last looked at, by the number of its series."""
        self.series = SeriesTable()
        self.builders: list[ColumnBuilder] = []
        self.take_builders()

    def take_builders(self) -> Sequence[ColumnBuilder]:
        """The builders as they are, by partition; what comes next goes into new ones."""
        full, self.builders = self.builders, [ColumnBuilder() for _ in range(self._partitions)]
        return full

    def forget(self) -> None:
        """Keep memory bounded, where sources send ever new subjects. Only between batches."""
        if len(self.series.keys) > self._most_known:
            self._known, self.news, self.series = {}, {}, SeriesTable()

    def take(self, raw: bytes, sender: Sender | None, now_us: int) -> EventRejection | None:
        """Judge one event in structured mode; gives why it does not count, else None."""
        found: Any = self._judged(raw, sender, now_us)
        if found.__class__ is not tuple:
            return self.put(found)
        known, event_id, identity, payload, at_us, value, scale_or_total = found
        builder = self.builders[known.partition]
        builder.series.append(known.series)
        builder.ids.append(event_id)
        builder.identities.append(identity)
        builder.payloads.append(payload)
        builder.at_us.append(at_us)
        builder.value.append(value)
        builder.scale_or_total.append(scale_or_total)
        return None

    def admit(self, raw: bytes, sender: Sender | None, now_us: int) -> Row | EventRejection:
        """Judge one event in structured mode, as the event validator does."""
        found: Any = self._judged(raw, sender, now_us)
        if found.__class__ is not tuple:
            return found  # type: ignore[no-any-return]
        known, event_id, identity, payload, at_us, value, scale_or_total = found
        source, kind, metric, subject = self.series.keys[known.series]
        # A named tuple is made of a plain one in half of the time that its own constructor takes.
        return _made(
            Row, (source, event_id, identity, payload, kind, metric, at_us, value,
                  scale_or_total, subject, ""),
        )  # fmt: skip

    def _judged(
        self, raw: bytes, sender: Sender | None, now_us: int
    ) -> _UsualEvent | Row | EventRejection:
        """A plain tuple where the event is as usual, else the event validator's verdict."""
        try:
            event = _decode(raw)
        except _UNUSUAL:
            return self.validator.admit(raw, sender, now_us)
        data, event_id = event.data, event.id
        latest = self.latest_of(event.source)
        known = self._known.get((event.source, data.metric, data.subject, event.__class__))
        at_us = microseconds_of(event.time)
        if (
            known is None
            or at_us is None
            or sender != known.sender
            or not known.from_us <= at_us <= now_us + self.validator.ahead_us
            or (latest is not None and latest - at_us > known.horizon_us)
            or event.datacontenttype not in _CONTENT
            or not (event_id.isascii() and event_id.isprintable() and 0 < len(event_id) <= 200)
            or " " in event_id
            or len(raw) > MAX_EVENT
            or may_repeat_keys(raw, _quoted(event))
        ):
            return self._learned(raw, event, sender, now_us)
        if event.__class__ is _SampleEvent:
            value, scale_or_total = (1 if data.up else 0), 1
        else:
            pair = _pair(known, data)
            if pair is None:
                return self.validator.admit(raw, sender, now_us)
            value, scale_or_total = pair
        said = f"{known.before}{at_us}{known.after}{value}\0{scale_or_total}\0"
        return (
            known,
            event_id,
            blake2b(f"{known.identity}{event_id}".encode(), digest_size=16).digest(),
            blake2b(said.encode(), digest_size=16).digest(),
            at_us,
            value,
            scale_or_total,
        )

    def put(self, verdict: Row | EventRejection) -> EventRejection | None:
        """Take a verdict: a row goes into its builder, a rejection is given back."""
        if isinstance(verdict, EventRejection):
            return verdict
        builder = self.builders[partition_of(verdict.source, self._partitions)]
        builder.add(verdict, self.series)
        return None

    def _learned(
        self, raw: bytes, event: Any, sender: Sender | None, now_us: int
    ) -> Row | EventRejection:
        """Have it validated, and where it is accepted, know others like it from now on."""
        verdict = self.validator.admit(raw, sender, now_us)
        if isinstance(verdict, Row):
            metric = event.data.metric
            rule = self.validator.newest_rule(verdict, metric)
            if rule is not None:
                key = (verdict.source, metric, verdict.subject, event.__class__)
                self._known[key] = known = LearnedSeries(
                    source=verdict.source,
                    kind=verdict.kind,
                    metric=metric,
                    subject=verdict.subject,
                    sender=sender,
                    from_us=rule.from_us,
                    horizon_us=rule.horizon_us,
                    unit=rule.unit,
                    decimals=rule.decimals,
                    lowest=rule.lowest,
                    highest=rule.highest,
                    is_possible=rule.is_possible,
                    identity=f"{verdict.source}\0",
                    before=f"{verdict.kind}\0",
                    after=f"\0{metric}\0{verdict.subject or ''}\0",
                    series=self.series.number(
                        SeriesKey(verdict.source, verdict.kind, verdict.metric, verdict.subject)
                    ),
                    partition=partition_of(verdict.source, self._partitions),
                )
                self.news[known.series] = known
        return verdict


_made = tuple.__new__
_CONTENT = (None, *JSON_TYPES)
_QUOTED = {_SampleData: 14, _CountData: 15, _ValueData: 16}
"""Keys and texts of the event where nothing optional is given and the value is a number."""


def _quoted(event: Any) -> int:
    """Keys and texts of an event: an optional one brings a key and a text."""
    data = event.data
    number = _QUOTED[data.__class__]
    if data.subject is not None:
        number += 2
    if event.datacontenttype is not None:
        number += 2
    if event.dataschema is not None:
        number += 2
    if event.subject is not None:
        number += 2
    return number + (data.__class__ is _ValueData and data.value.__class__ is str)


def _pair(known: LearnedSeries, data: Any) -> tuple[int, int] | None:
    """The two columns of a count or a value; None where the validator must say why not."""
    if data.__class__ is _CountData:
        good, total = data.good, data.total
        return (good, total) if 0 <= good <= total < LARGEST else None
    pair = scaled(data.value)
    if data.unit != known.unit or pair is None or pair[1] > known.decimals:
        return None
    return pair if -LARGEST < pair[0] < LARGEST and known.is_possible(*pair) else None
