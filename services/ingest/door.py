"""The door: from the bytes of an event to a row, or to a refusal that says what to do.

A function of the bytes, the rules, who sends and what time it is: no I/O, no clock. The four
numeric types take the quick way where everything about them is as usual; all others, and all that
is wrong, go through the models of `schemas.event`, which are the law.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any, cast

import msgspec
from pydantic import ValidationError

from schemas.event import (
    EVENT_TYPES,
    KIND_OF_TYPE,
    Charge,
    Circumstance,
    CloudEvent,
    Counted,
    Figure,
    Measured,
    Response,
    Sample,
    Ticket,
    Volume,
)
from schemas.programme import Unit
from services.core.facts import (
    LARGEST,
    NO_METRIC,
    TYPE_OF_KIND,
    Row,
    canonical_data,
    identity_of,
    payload_of,
    scaled,
)
from services.ingest import refusal as why
from services.ingest.events import (
    KIND_OF_EVENT,
    QUICK_BY_TYPE,
    CountEvent,
    QuickEvent,
    SampleEvent,
    decode_event,
    microseconds_of,
)
from services.ingest.refusal import Refusal, Refused
from services.ingest.rules import MetricRule, Rules, SourceRule
from services.shell.clock import microseconds

MAX_EVENT = 64 * 1024
MAX_DEPTH = 16
AHEAD_US = 300 * 1_000_000
"""How far ahead of our clock a time may lie: clocks differ, five minutes is generous."""

JSON_TYPES = ("application/json", "text/json")

_MAX_SUBJECTS = 200_000
_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
_SUBJECT = re.compile(r"[!-~]{1,120}")
_ATTRIBUTES = frozenset(CloudEvent.model_fields)

ANY_PARTY = "*"
"""Stands for the operator, who may send for every party."""


class Door:
    """Admits events under one revision of the rules. Not for use by several threads at once."""

    def __init__(self, rules: Rules, *, ahead_us: int = AHEAD_US) -> None:
        self.rules = rules
        self._ahead_us = ahead_us
        self._subjects: set[str] = set()

    def admit(self, raw: bytes, party: str, now_us: int) -> Row | Refusal:
        """Judge one event in structured mode: the JSON of a CloudEvent."""
        if len(raw) > MAX_EVENT:
            return _too_large(len(raw))
        try:
            row = self._quick(decode_event(raw), party, now_us)
        except (msgspec.MsgspecError, RecursionError, UnicodeError):
            row = None
        if row is not None:
            return row
        return self._settled(lambda: _parsed(raw), party, now_us)

    def admit_binary(
        self,
        attributes: Mapping[str, str],
        content_type: str | None,
        data: bytes,
        party: str,
        now_us: int,
    ) -> Row | Refusal:
        """Judge one event in binary mode: attributes beside the data, names without ``ce_``."""
        if len(data) > MAX_EVENT:
            return _too_large(len(data))
        quick = QUICK_BY_TYPE.get(attributes.get("type", ""))
        if quick is not None and content_type in (None, *JSON_TYPES):
            envelope, decode_data = quick
            try:
                event = envelope(
                    specversion=attributes["specversion"],
                    id=attributes["id"],
                    source=attributes["source"],
                    time=attributes["time"],
                    data=decode_data(data),
                )
                row = self._quick(event, party, now_us) if event.specversion == "1.0" else None
            except (msgspec.MsgspecError, KeyError, RecursionError, UnicodeError):
                row = None
            if row is not None:
                return row

        def joined() -> Any:
            envelope = {name: value for name, value in attributes.items() if name in _ATTRIBUTES}
            envelope["datacontenttype"] = content_type or "application/json"
            _check_content(envelope)
            return {**envelope, "data": _parsed(data, "/data")}

        return self._settled(joined, party, now_us, attributes)

    def _quick(self, event: QuickEvent, party: str, now_us: int) -> Row | None:
        """The row of an event about which nothing is unusual; None sends it the slow way."""
        data = event.data
        rule = self.rules.metrics.get((event.source, data.metric))
        if rule is None or (rule.party != party and party != ANY_PARTY):
            return None
        kind = KIND_OF_EVENT[type(event)]
        at_us = microseconds_of(event.time)
        if (
            at_us is None
            or not now_us - rule.keep_us <= at_us <= now_us + self._ahead_us
            or kind not in rule.kinds
            or not _plain(event.id)
            or not (event.datacontenttype is None or event.datacontenttype in JSON_TYPES)
        ):
            return None
        numbers = _numbers(event, rule)
        if numbers is None or not self._is_subject(data.subject):
            return None
        a, b = numbers
        return Row(
            event.source,
            event.id,
            identity_of(event.source, event.id),
            payload_of(kind, at_us, data.metric, data.subject, a, b, ""),
            kind,
            rule.number,
            at_us,
            a,
            b,
            data.subject,
            "",
        )

    def _is_subject(self, subject: str | None) -> bool:
        """Whether a subject is written as it must be; each is looked at once."""
        if subject is None or subject in self._subjects:
            return True
        if _SUBJECT.fullmatch(subject) is None:
            return False
        if len(self._subjects) >= _MAX_SUBJECTS:
            self._subjects.clear()
        self._subjects.add(subject)
        return True

    def _settled(
        self,
        read: Callable[[], Any],
        party: str,
        now_us: int,
        known: Mapping[str, str] | None = None,
    ) -> Row | Refusal:
        """Judge by the models, and turn what is wrong into a refusal."""
        value: Any = known or {}
        try:
            value = read()
            return self._slow(value, party, now_us)
        except Refused as refused:
            return Refusal(
                refused.reason,
                refused.pointer,
                refused.detail,
                refused.remedy,
                source=_told(value, "source"),
                id=_told(value, "id"),
            )

    def _slow(self, value: Any, party: str, now_us: int) -> Row:
        event, data = read_event(value)
        source = self._source(event, party)
        at_us = microseconds(event.time)
        kind = KIND_OF_TYPE[event.type]
        self._check_time(at_us, source, now_us)
        rule = self._metric(event, data, source, kind) if isinstance(data, Measured) else None
        self._check_references(data, source)
        a, b = _columns(data, rule)
        metric, subject = (data.metric, data.subject) if isinstance(data, Measured) else ("", None)
        text = "" if kind in _QUICK_KINDS else canonical_data(data)
        return Row(
            event.source,
            event.id,
            identity_of(event.source, event.id),
            payload_of(kind, at_us, metric, subject, a, b, text),
            kind,
            rule.number if rule else NO_METRIC,
            at_us,
            a,
            b,
            subject,
            text,
        )

    def _source(self, event: CloudEvent, party: str) -> SourceRule:
        source = self.rules.sources.get(event.source)
        if source is None:
            raise Refused(
                why.UNKNOWN_SOURCE,
                "/source",
                f"no programme declares the source {event.source}",
                "correct the source, or have the buyer add it to the programme",
            )
        if party not in (source.party, ANY_PARTY):
            raise Refused(
                why.NOT_YOUR_SOURCE,
                "/source",
                f"the source {event.source} does not report for {party}",
                "send with the key, or on the topic, of the party that the source reports for",
            )
        return source

    def _check_time(self, at_us: int, source: SourceRule, now_us: int) -> None:
        if at_us > now_us + self._ahead_us:
            raise Refused(
                why.IN_THE_FUTURE,
                "/time",
                f"the time lies {(at_us - now_us) // 1_000_000} seconds ahead",
                "set the sender's clock, and send facts after they happened",
            )
        if at_us < now_us - source.keep_us:
            raise Refused(
                why.TOO_LATE,
                "/time",
                f"the time lies {(now_us - at_us) // 86_400_000_000} days back; programme "
                f"{source.programme} settles what is at most {source.keep_us // 86_400_000_000}",
                "correct the time, or take the matter to the buyer: it needs a person",
            )

    def _metric(
        self, event: CloudEvent, data: Measured, source: SourceRule, kind: int
    ) -> MetricRule:
        rule = self.rules.metrics.get((event.source, data.metric))
        if rule is None and (source.programme, data.metric) in self.rules.names:
            raise Refused(
                why.NOT_YOUR_METRIC,
                "/data/metric",
                f"the source {event.source} may not report {data.metric}",
                "correct the metric, or have the buyer add it to the source's metrics",
            )
        if rule is None:
            raise Refused(
                why.UNKNOWN_METRIC,
                "/data/metric",
                f"programme {source.programme} has no metric {data.metric}",
                "correct the metric, or have the buyer add it to the programme",
            )
        if kind not in rule.kinds:
            fitting = ", ".join(sorted(TYPE_OF_KIND[each] for each in rule.kinds))
            raise Refused(
                why.WRONG_KIND,
                "/type",
                f"{data.metric} is not made of {event.type}",
                f"send {fitting}" if fitting else "send the metrics that it is made of",
            )
        return rule

    def _check_references(self, data: Any, source: SourceRule) -> None:
        if isinstance(data, Charge | Circumstance):
            agreement = self.rules.agreements.get(data.agreement)
            if agreement is None or agreement.programme != source.programme:
                raise Refused(
                    why.UNKNOWN_AGREEMENT,
                    "/data/agreement",
                    f"programme {source.programme} has no agreement {data.agreement}",
                    "correct the agreement, or have the buyer apply it",
                )
            if isinstance(data, Charge) and data.currency != agreement.currency:
                raise Refused(
                    why.WRONG_CURRENCY,
                    "/data/currency",
                    f"the agreement is in {agreement.currency}, the charge in {data.currency}",
                    f"state the charge in {agreement.currency}",
                )
        if isinstance(data, Ticket) and data.assigned_to is not None:
            vendors = self.rules.parties[source.programme]
            if data.assigned_to not in vendors:
                raise Refused(
                    why.UNKNOWN_VENDOR,
                    "/data/assigned_to",
                    f"{data.assigned_to} is no vendor of programme {source.programme}",
                    f"name one of {', '.join(sorted(vendors))}",
                )


_QUICK_KINDS = frozenset(KIND_OF_EVENT.values())


def _numbers(event: QuickEvent, rule: MetricRule) -> tuple[int, int] | None:
    """The columns a and b, or None where the models must say what is wrong."""
    if isinstance(event, SampleEvent):
        return (1, 1) if event.data.up else (0, 1)
    if isinstance(event, CountEvent):
        good, total = event.data.good, event.data.total
        return (good, total) if 0 <= good < LARGEST and 0 <= total < LARGEST else None
    number = scaled(event.data.value)
    if number is None or event.data.unit != rule.unit or number[1] > rule.decimals:
        return None
    return number if -LARGEST < number[0] < LARGEST else None


def _columns(data: Any, rule: MetricRule | None) -> tuple[int, int]:
    """The columns a and b of data that the models accepted. Raises Refused."""
    if isinstance(data, Sample):
        return int(data.up), 1
    if isinstance(data, Counted):
        for name in ("good", "total"):
            _check_range(getattr(data, name), f"/data/{name}")
        return data.good, data.total
    if isinstance(data, Response | Volume | Figure):
        assert rule is not None
        return _scaled_value(data.value, data.unit, data.metric, rule)
    return 0, 0


def _scaled_value(value: Fraction, unit: Unit, metric: str, rule: MetricRule) -> tuple[int, int]:
    if unit != rule.unit:
        raise Refused(
            why.WRONG_UNIT,
            "/data/unit",
            f"{metric} is measured in {rule.unit}, the value is in {unit}",
            f"convert the value to {rule.unit}",
        )
    decimals = 0
    while (value * 10**decimals).denominator != 1:
        decimals += 1
        if decimals > rule.decimals:
            raise Refused(
                why.TOO_FINE,
                "/data/value",
                f"{metric} takes {rule.decimals} decimals, the value has more",
                f"round the value to {rule.decimals} decimals where it is measured",
            )
    number = int(value * 10**decimals)
    _check_range(number, "/data/value")
    return number, decimals


def _check_range(number: int, pointer: str) -> None:
    if not -LARGEST < number < LARGEST:
        raise Refused(
            why.OUT_OF_RANGE,
            pointer,
            f"the number, in its smallest decimal, reaches {LARGEST}",
            "check the value, or report it in smaller parts",
        )


def _plain(event_id: str) -> bool:
    """Whether an id is 1 to 200 printable ASCII characters without a space."""
    return (
        0 < len(event_id) <= 200
        and event_id.isascii()
        and event_id.isprintable()
        and " " not in event_id
    )


def read_event(value: Any) -> tuple[CloudEvent, Any]:
    """Read parsed JSON as a CloudEvent and its data, by the models alone. Raises Refused."""
    if not isinstance(value, dict):
        raise Refused(
            why.NOT_AN_EVENT, "", "an event is a JSON object", "send a CloudEvent as an object"
        )
    value = _with_data(value)
    _check_depth(value)
    event = cast(
        CloudEvent, _modelled(CloudEvent, {k: value[k] for k in value if k in _ATTRIBUTES})
    )
    if not _RFC3339.fullmatch(str(value["time"])):
        raise Refused(
            why.NOT_AN_EVENT,
            "/time",
            "the time is not in the form of RFC 3339",
            "write it as 2025-01-31T12:00:00Z or 2025-01-31T13:00:00+01:00",
        )
    _check_content(value)
    model = EVENT_TYPES.get(event.type)
    if model is None:
        raise Refused(
            why.UNKNOWN_TYPE,
            "/type",
            f"there is no type {event.type[:100]}",
            f"use one of {', '.join(EVENT_TYPES)}",
        )
    return event, _modelled(model, value["data"], "/data")


def _modelled(model: Any, value: Any, under: str = "") -> Any:
    try:
        # Strict, from JSON: 1 is no boolean and "5" no integer, but a time is still a string.
        return model.model_validate_json(msgspec.json.encode(value), strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        pointer = under + "".join(f"/{_escaped(part)}" for part in first["loc"])
        detail = first["msg"].removeprefix("Value error, ")
        raise Refused(
            why.NOT_AN_EVENT, pointer, detail, _remedy(first["type"], pointer, detail)
        ) from error


def _remedy(kind: str, pointer: str, detail: str) -> str:
    field = pointer.rpartition("/")[2] or "the event"
    return {
        "missing": f"add {field}",
        "extra_forbidden": f"remove {field}, or correct its name",
        "bool_type": f"write {field} as true or false",
        "int_type": f"write {field} as a whole number",
        "string_type": f"write {field} as a string",
        "timezone_aware": f"add the offset to {field}, such as Z or +01:00",
    }.get(kind, f"change {field} so that this holds: {detail}")


def _escaped(part: str | int) -> str:
    return str(part).replace("~", "~0").replace("/", "~1")


def _with_data(value: dict[str, Any]) -> dict[str, Any]:
    """The event with its data in place: CloudEvents also carries it as base64."""
    if value.get("data_base64") is None:
        return value
    if value.get("data") is not None:
        raise Refused(
            why.NOT_AN_EVENT, "/data_base64", "data is given twice", "send data or data_base64"
        )
    try:
        data = base64.b64decode(value["data_base64"], validate=True)
    except (binascii.Error, ValueError, TypeError) as error:
        raise Refused(
            why.NOT_AN_EVENT, "/data_base64", "it is not base64", "encode it anew, or send data"
        ) from error
    return {**value, "data": _parsed(data, "/data_base64")}


def _check_content(value: Mapping[str, Any]) -> None:
    content = value.get("datacontenttype")
    media, _, parameters = str(content or "application/json").lower().partition(";")
    charset = re.search(r"charset=\"?([^\";\s]+)", parameters)
    if not (media.strip() in JSON_TYPES or media.strip().endswith("+json")):
        raise Refused(
            why.WRONG_CONTENT,
            "/datacontenttype",
            f"data of type {str(content)[:100]} is not understood",
            "send the data as application/json",
        )
    if charset is not None and charset[1] not in ("utf-8", "utf8", "us-ascii"):
        raise Refused(
            why.WRONG_CONTENT,
            "/datacontenttype",
            f"the encoding {charset[1]} is not understood",
            "send the data in UTF-8",
        )


def _parsed(raw: bytes, pointer: str = "") -> Any:
    """Parse JSON strictly: UTF-8, no NaN, no trailing anything. Raises Refused."""
    try:
        return msgspec.json.decode(raw)
    except RecursionError as error:
        raise _deep(pointer) from error
    except (msgspec.MsgspecError, UnicodeError) as error:
        remedy = "send well-formed JSON in UTF-8"
        if re.search(rb"\bNaN\b|\bInfinity\b", raw):
            remedy = "JSON has no NaN and no Infinity: leave out what was not measured"
        raise Refused(why.NOT_JSON, pointer, str(error), remedy) from error


def _check_depth(value: Any, level: int = 1) -> None:
    if level > MAX_DEPTH:
        raise _deep("")
    if isinstance(value, dict):
        for each in value.values():
            _check_depth(each, level + 1)
    elif isinstance(value, list):
        for each in value:
            _check_depth(each, level + 1)


def _deep(pointer: str) -> Refused:
    return Refused(
        why.TOO_DEEP,
        pointer,
        f"the JSON is nested more than {MAX_DEPTH} levels deep",
        "send the event flat, as its schema has it",
    )


def _too_large(size: int) -> Refusal:
    return Refusal(
        why.TOO_LARGE,
        "",
        f"the event has {size} bytes; {MAX_EVENT} are taken",
        "leave out what the schema does not ask for, or split the event",
    )


def _told(value: Any, name: str) -> str | None:
    """An attribute as far as it could be read, for telling which event is meant."""
    found = value.get(name) if isinstance(value, Mapping) else None
    return found[:200] if isinstance(found, str) else None
