"""From the bytes of an event to a row, or to a rejection that says what to do.

A function of the bytes, the rules, who sends, what time it is and how far the source has come: no
I/O, no clock. How an event is written is checked here and in `services.ingest.events`; what it
says, in `services.core.events.acceptance`, by the same rules as offline.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from schemas.strict_json import may_repeat_keys, quoted_in
from services.catalogue.snapshot import Catalogue
from services.core.events.acceptance import accept
from services.core.events.facts import TYPE_OF_KIND, Row
from services.core.events.rejections import RejectionCode
from services.core.events.roles import Sender
from services.core.events.rules import FactRule, Rules, rules_of
from services.core.events.two_for_decisions import AgreedDecisions, TwoForDecisions
from services.ingest.decision_request import asked_for
from services.ingest.events import (
    JSON_TYPES,
    decode_data,
    decode_envelope,
    joined,
    may_repeat_keys_of,
    microseconds_of,
    parsed,
    read_event,
    too_deep,
)
from services.ingest.rejection import TOO_LARGE, EventRejected, EventRejection, from_core

MAX_EVENT = 64 * 1024
ANYBODY = None
"""Stands for the operator, who may send for every party."""

LatestOf = Callable[[str], int | None]
"""The latest event time accepted from a source, as `horizon.Latest.of` of the core has it."""

_MALFORMED = (msgspec.MsgspecError, RecursionError, UnicodeError, KeyError)


class EventValidator:
    """Admits events under one revision of the catalogue."""

    def __init__(
        self,
        catalogue: Catalogue,
        latest_of: LatestOf | None = None,
        *,
        agreed: AgreedDecisions | None = None,
    ) -> None:
        """Prepare the rules. Raises ValueError where two programmes claim one source.

        ``latest_of``: how far a source has come, asked for every event; left out, or where it
        gives None, nothing is too old. ``agreed``: the decisions that two have agreed on; None:
        one is enough, as for events from files.
        """
        self.revision = catalogue.revision
        self._rules: Rules = rules_of(
            catalogue.programme_versions,
            catalogue.agreement_versions,
            catalogue.numbers,
        )
        self._two = None if agreed is None else TwoForDecisions(self._rules, agreed)
        self.ahead_us = self._rules.ahead_us
        self.latest_of: LatestOf = latest_of or dict[str, int]().get

    def newest_rule(self, row: Row, metric: str) -> FactRule | None:
        """What the newest version says about events like this row; None where an older one judged.

        ``metric``: its name. Only for kinds that move a metric.
        """
        rule = self._rules.paths[row.source, TYPE_OF_KIND[row.kind], metric][0]
        return rule if row.at_us >= rule.from_us else None

    def admit(self, raw: bytes, sender: Sender | None, now_us: int) -> Row | EventRejection:
        """Judge one event in structured mode: the JSON of a CloudEvent."""
        if len(raw) > MAX_EVENT:
            return _too_large(len(raw))
        try:
            event = decode_envelope(raw)
        except _MALFORMED:
            return self._by_the_model(lambda: parsed(raw), sender, now_us)
        at_us = microseconds_of(event.time)
        content = event.datacontenttype
        if (
            at_us is None
            or (content is not None and content not in JSON_TYPES)
            or too_deep(raw, event.data)
            or may_repeat_keys_of(raw, event)
        ):
            return self._by_the_model(lambda: parsed(raw), sender, now_us)
        return self._judged(event.source, event.id, event.type, at_us, event.data, sender, now_us)

    def admit_binary(
        self,
        attributes: Mapping[str, str],
        content_type: str | None,
        raw: bytes,
        sender: Sender | None,
        now_us: int,
    ) -> Row | EventRejection:
        """Judge one event in binary mode: attributes beside the data, names without ``ce_``."""
        if len(raw) > MAX_EVENT:
            return _too_large(len(raw))

        def whole() -> Any:
            return joined(attributes, content_type, raw)

        try:
            data = decode_data(raw)
            source, event_id, kind = attributes["source"], attributes["id"], attributes["type"]
            at_us = microseconds_of(attributes["time"])
            usual = attributes["specversion"] == "1.0" and content_type in (None, *JSON_TYPES)
        except _MALFORMED:
            return self._by_the_model(whole, sender, now_us, attributes)
        if (
            at_us is None
            or not usual
            or too_deep(raw, data)
            or may_repeat_keys(raw, quoted_in(data))
        ):
            return self._by_the_model(whole, sender, now_us, attributes)
        return self._judged(source, event_id, kind, at_us, data, sender, now_us)

    def _judged(
        self,
        source: str,
        event_id: str,
        kind: str,
        at_us: int,
        data: Mapping[str, Any],
        sender: Sender | None,
        now_us: int,
    ) -> Row | EventRejection:
        latest = self.latest_of(source)
        verdict = accept(self._rules, source, event_id, kind, at_us, data, sender, now_us, latest)
        if isinstance(verdict, Row):
            lacking = None if self._two is None else self._two.lacks_second(verdict)
            return verdict if lacking is None else asked_for(verdict, lacking)
        row = None
        if verdict.code is RejectionCode.BEYOND_HORIZON:
            # Its age alone stands against it; it may have been accepted when it was young.
            young = accept(self._rules, source, event_id, kind, at_us, data, sender, now_us)
            row = young if isinstance(young, Row) else None
        return from_core(verdict, source, event_id, row)

    def _by_the_model(
        self,
        read: Callable[[], Any],
        sender: Sender | None,
        now_us: int,
        known: Mapping[str, str] | None = None,
    ) -> Row | EventRejection:
        """Read an unusual event by the model; what is wrong with it becomes a refusal."""
        value: Any = known or {}
        try:
            value = read()
            event, at_us = read_event(value)
        except EventRejected as refused:
            return refused.refusal(_told(value, "source"), _told(value, "id"))
        return self._judged(event.source, event.id, event.type, at_us, event.data, sender, now_us)


def _too_large(size: int) -> EventRejection:
    return EventRejection(
        TOO_LARGE,
        "",
        f"the event has {size} bytes; at most {MAX_EVENT} are accepted",
        "leave out what the schema does not ask for, or split the event",
    )


def _told(value: Any, name: str) -> str | None:
    """An attribute as far as it could be read, for telling which event is meant."""
    found = value.get(name) if isinstance(value, Mapping) else None
    return found[:200] if isinstance(found, str) else None
