"""The usual events, quickly: samples, counts, responses and volumes as most probes send them.

The door judges every kind of event, and its verdict is the law. This learns from it: once the door
has taken an event, others of the same source, type, metric and subject can differ from it only in
id, time and value, and those are looked at here. Whatever is new or not quite as usual goes to the
door. A test holds the two against each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import Any, Literal, NamedTuple

import msgspec

from services.core.events.facts import LARGEST, Row, scaled
from services.ingest.column_builder import Form, Forms, Sheet
from services.ingest.event_validator import MAX_EVENT, Door
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


class _Event(msgspec.Struct, gc=False, tag_field="type", forbid_unknown_fields=True):
    """Attributes that the specification names; events with others are for the door to read."""

    specversion: Literal["1.0"]
    id: str
    source: str
    time: str
    datacontenttype: str | None = None
    dataschema: str | None = None
    subject: str | None = None


class _Sample(_Event, kw_only=True, gc=False, tag="earnback.sample.v1"):
    data: _SampleData


class _Count(_Event, kw_only=True, gc=False, tag="earnback.count.v1"):
    data: _CountData


class _Response(_Event, kw_only=True, gc=False, tag="earnback.response.v1"):
    data: _ValueData


class _Volume(_Event, kw_only=True, gc=False, tag="earnback.volume.v1"):
    data: _ValueData


_decode = msgspec.json.Decoder(_Sample | _Count | _Response | _Volume).decode
_UNUSUAL = (msgspec.MsgspecError, RecursionError, UnicodeError)


class _Known(NamedTuple):
    """What the door's verdict on one event says about others like it."""

    party: str | None
    from_us: int
    """The newest version of the programme holds from here on; older ones are not learned."""
    horizon_us: int
    unit: str
    decimals: int
    identity: str
    """How the text begins whose hash is the identity."""
    before: str
    after: str
    """What stands before and after the time in the text whose hash is the payload."""
    form: int
    sheet: int


class Taker:
    """Puts what it is given on sheets, one a partition. Lives as long as its door."""

    def __init__(self, door: Door, partitions: int, most_known: int = MOST_KNOWN) -> None:
        self._door, self._partitions, self._most_known = door, partitions, most_known
        self._latest_of = door.latest_of
        self._known: dict[tuple[str, str, str | None, type[Any]], _Known] = {}
        self.forms = Forms()
        self.sheets: list[Sheet] = []
        self.turn()

    def turn(self) -> Sequence[Sheet]:
        """The sheets as they are, by partition; what comes next goes on new ones."""
        full, self.sheets = self.sheets, [Sheet() for _ in range(self._partitions)]
        return full

    def forget(self) -> None:
        """Keep memory bounded, where sources send ever new subjects. Only between sheets."""
        if len(self.forms.table) > self._most_known:
            self._known, self.forms = {}, Forms()

    def take(self, raw: bytes, party: str | None, now_us: int) -> EventRejection | None:
        """Judge one event in structured mode; what counts is on its sheet, else why it does not."""
        try:
            event = _decode(raw)
        except _UNUSUAL:
            return self.put(self._door.admit(raw, party, now_us))
        data, event_id = event.data, event.id
        latest = self._latest_of(event.source)
        known = self._known.get((event.source, data.metric, data.subject, event.__class__))
        at_us = microseconds_of(event.time)
        if (
            known is None
            or at_us is None
            or party != known.party
            or not known.from_us <= at_us <= now_us + self._door.ahead_us
            or (latest is not None and latest - at_us > known.horizon_us)
            or event.datacontenttype not in _CONTENT
            or not (event_id.isascii() and event_id.isprintable() and 0 < len(event_id) <= 200)
            or " " in event_id
            or len(raw) > MAX_EVENT
        ):
            return self._learn(raw, event, party, now_us)
        if event.__class__ is _Sample:
            a, b = (1 if data.up else 0), 1
        else:
            pair = _pair(known, data)
            if pair is None:
                return self.put(self._door.admit(raw, party, now_us))
            a, b = pair
        said = f"{known.before}{at_us}{known.after}{a}\0{b}\0"
        sheet = self.sheets[known.sheet]
        sheet.forms.append(known.form)
        sheet.ids.append(event_id)
        sheet.identities.append(
            blake2b(f"{known.identity}{event_id}".encode(), digest_size=16).digest()
        )
        sheet.payloads.append(blake2b(said.encode(), digest_size=8).digest())
        sheet.at_us.append(at_us)
        sheet.a.append(a)
        sheet.b.append(b)
        return None

    def put(self, verdict: Row | EventRejection) -> EventRejection | None:
        """Take the door's verdict: a row goes on its sheet, a refusal is given back."""
        if isinstance(verdict, EventRejection):
            return verdict
        sheet = self.sheets[partition_of(verdict.source, self._partitions)]
        sheet.add(verdict, self.forms)
        return None

    def _learn(
        self, raw: bytes, event: Any, party: str | None, now_us: int
    ) -> EventRejection | None:
        """Have the door judge, and where it takes the event, know others like it from now on."""
        verdict = self._door.admit(raw, party, now_us)
        if isinstance(verdict, Row):
            metric = event.data.metric
            rule = self._door.newest_rule(verdict, metric)
            if rule is not None:
                key = (verdict.source, metric, verdict.subject, event.__class__)
                self._known[key] = _Known(
                    party=party,
                    from_us=rule.from_us,
                    horizon_us=rule.horizon_us,
                    unit=rule.unit,
                    decimals=rule.decimals,
                    identity=f"{verdict.source}\0",
                    before=f"{verdict.kind}\0",
                    after=f"\0{metric}\0{verdict.subject or ''}\0",
                    form=self.forms.number(
                        Form(verdict.source, verdict.kind, verdict.metric, verdict.subject)
                    ),
                    sheet=partition_of(verdict.source, self._partitions),
                )
        return self.put(verdict)


_CONTENT = (None, *JSON_TYPES)


def _pair(known: _Known, data: Any) -> tuple[int, int] | None:
    """The two columns of a count or a value; None where the door must say why not."""
    if data.__class__ is _CountData:
        good, total = data.good, data.total
        return (good, total) if 0 <= good <= total < LARGEST else None
    pair = scaled(data.value)
    if data.unit != known.unit or pair is None or pair[1] > known.decimals:
        return None
    return pair if -LARGEST < pair[0] < LARGEST else None
