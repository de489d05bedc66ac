"""CloudEvents as they come: read in one pass where they are as usual, by the model where not.

The model in `schemas.event` is the law. `Envelope` takes a part of what the model takes, in a
tenth of the time; whatever it does not take is judged, and explained, by the model.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import msgspec
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from schemas.event import CloudEvent
from schemas.strict_json import RepeatedKey, check_keys, may_repeat_keys, quoted_in
from services.core.events.rejections import MOST_FAULTS
from services.ingest import rejection as why
from services.ingest.rejection import EventRejected
from services.shell.clock import microseconds
from services.shell.http.problems import Fault, fault_of

MAX_DEPTH = 16
JSON_TYPES = ("application/json", "text/json")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_US = timedelta(microseconds=1)
_ATTRIBUTES = frozenset(CloudEvent.model_fields)
_CHARSETS = ("utf-8", "utf8", "us-ascii")
_SHAPES = frozenset({"--T::Z", "--T::."})
_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)


class Envelope(msgspec.Struct, gc=False):
    """An event whose attributes have the types that they should have; data still plain JSON."""

    specversion: Literal["1.0"]
    id: str
    source: str
    type: str
    time: str
    data: dict[str, Any]
    datacontenttype: str | None = None
    dataschema: str | None = None
    subject: str | None = None
    data_base64: None = None


decode_envelope = msgspec.json.Decoder(Envelope).decode
decode_data = msgspec.json.Decoder(dict[str, Any]).decode


def microseconds_of(time: str) -> int | None:
    """Microseconds since 1970 of a time in UTC as most clocks write it: ``2025-01-31T12:00:00Z``.

    None for any other spelling, right or wrong. Digits beyond microseconds are cut off.
    """
    # Times that come together share their minute, and there are few seconds with milliseconds.
    minute, rest = _MINUTES.get(time[:17]), _SECONDS.get(time[17:])
    if minute is None or rest is None:
        return _read_and_remembered(time)
    return minute + rest


_MINUTES: dict[str, int] = {}
_SECONDS: dict[str, int] = {}
_MOST_REMEMBERED = 70_000


def _read_and_remembered(time: str) -> int | None:
    found = _read(time)
    if found is None:
        return None
    for known in (_MINUTES, _SECONDS):
        if len(known) >= _MOST_REMEMBERED:
            known.clear()
    minute = _read(f"{time[:17]}00Z")
    assert minute is not None, "a time is read digit by digit"
    _MINUTES[time[:17]], _SECONDS[time[17:]] = minute, found - minute
    return found


def _read(time: str) -> int | None:
    # Every third character from the fifth is punctuation; looking at all of them at once is quick.
    if time[4:20:3] not in _SHAPES or time[-1] != "Z" or not time[-2].isdigit():
        return None
    try:
        return (datetime.fromisoformat(time) - _EPOCH) // _US
    except ValueError:
        return None


def may_repeat_keys_of(raw: bytes, event: Envelope) -> bool:
    """Whether the JSON of an event may have a key twice; also where it has other attributes."""
    given = (event.datacontenttype, event.dataschema, event.subject)
    optional = sum(text is not None for text in given)
    return may_repeat_keys(raw, 2 * (5 + optional) + 1 + quoted_in(event.data))


def too_deep(raw: bytes, data: Any) -> bool:
    """Whether data is nested too deeply. Few brackets answer for most."""
    return raw.count(b"{") + raw.count(b"[") > MAX_DEPTH and _depth(data) > MAX_DEPTH


def read_event(value: Any) -> tuple[Envelope, int]:
    """Read parsed JSON as an event by the model; its time in µs. Raises EventRejected."""
    if not isinstance(value, dict):
        raise EventRejected(
            why.NOT_AN_EVENT, "", "an event is a JSON object", "send a CloudEvent as an object"
        )
    value = _with_data(value)
    if _depth(value) > MAX_DEPTH:
        raise _deep("")
    event = _modelled({name: value[name] for name in value if name in _ATTRIBUTES})
    if not _RFC3339.fullmatch(str(value["time"])):
        raise EventRejected(
            why.NOT_AN_EVENT,
            "/time",
            "the time is not in the form of RFC 3339",
            "write it as 2025-01-31T12:00:00Z or 2025-01-31T13:00:00+01:00",
        )
    check_content(event.datacontenttype)
    envelope = Envelope("1.0", event.id, event.source, event.type, value["time"], value["data"])
    return envelope, microseconds(event.time)


def parsed(raw: bytes, pointer: str = "") -> Any:
    """Parse JSON strictly: UTF-8, no NaN, no trailing anything. Raises EventRejected."""
    try:
        value = msgspec.json.decode(raw)
        check_keys(raw)
        return value
    except RepeatedKey as error:
        raise EventRejected(why.NOT_JSON, pointer, str(error), "give each key once") from error
    except RecursionError as error:
        raise _deep(pointer) from error
    except (msgspec.MsgspecError, UnicodeError) as error:
        remedy = "send well-formed JSON in UTF-8"
        if re.search(rb"\bNaN\b|\bInfinity\b", raw):
            remedy = "JSON has no NaN and no Infinity: leave out what was not measured"
        raise EventRejected(why.NOT_JSON, pointer, str(error), remedy) from error


def check_content(content: str | None) -> None:
    """Refuse data that is not JSON in UTF-8, by its content type. Raises EventRejected."""
    media, _, parameters = (content or JSON_TYPES[0]).lower().partition(";")
    charset = re.search(r"charset=\"?([^\";\s]+)", parameters)
    if not (media.strip() in JSON_TYPES or media.strip().endswith("+json")):
        raise EventRejected(
            why.WRONG_CONTENT,
            "/datacontenttype",
            f"data of type {media.strip()[:100]} is not understood",
            "send the data as application/json",
        )
    if charset is not None and charset[1] not in _CHARSETS:
        raise EventRejected(
            why.WRONG_CONTENT,
            "/datacontenttype",
            f"the encoding {charset[1][:40]} is not understood",
            "send the data in UTF-8",
        )


def joined(attributes: Mapping[str, str], content_type: str | None, data: bytes) -> dict[str, Any]:
    """An event of binary mode as it would be in structured mode. Raises EventRejected."""
    check_content(content_type)
    envelope = {name: value for name, value in attributes.items() if name in _ATTRIBUTES}
    return {**envelope, "datacontenttype": content_type, "data": parsed(data, "/data")}


def _modelled(value: dict[str, Any]) -> CloudEvent:
    try:
        # From JSON and strictly: "1" is no number, but a time is still a string.
        return CloudEvent.model_validate_json(msgspec.json.encode(value), strict=True)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)
        first, *also = [_fault(each) for each in found[:MOST_FAULTS]]
        raise EventRejected(
            why.NOT_AN_EVENT, first.pointer, first.reason, first.remedy, also
        ) from error


def _fault(found: ErrorDetails) -> Fault:
    fault = fault_of({**found, "loc": ("body", *found["loc"])})
    if found["type"] != "missing":
        return fault
    return replace(fault, remedy=f"add {fault.pointer[1:]}")


def _with_data(value: dict[str, Any]) -> dict[str, Any]:
    """The event with its data in place: CloudEvents also carries it as base64."""
    if value.get("data_base64") is None:
        return value
    if value.get("data") is not None:
        raise EventRejected(
            why.NOT_AN_EVENT, "/data_base64", "data is given twice", "send data or data_base64"
        )
    try:
        data = base64.b64decode(value["data_base64"], validate=True)
    except (binascii.Error, ValueError, TypeError) as error:
        raise EventRejected(
            why.NOT_AN_EVENT, "/data_base64", "it is not base64", "encode it again, or send data"
        ) from error
    return {**value, "data": parsed(data, "/data_base64")}


def _depth(value: Any, level: int = 1) -> int:
    """How deep lists and objects are nested; stops counting when it is too deep."""
    if level > MAX_DEPTH or not isinstance(value, dict | list):
        return level
    inside = value.values() if isinstance(value, dict) else value
    return max((_depth(each, level + 1) for each in inside), default=level)


def _deep(pointer: str) -> EventRejected:
    return EventRejected(
        why.TOO_DEEP,
        pointer,
        f"the JSON is nested more than {MAX_DEPTH} levels deep",
        "send the event flat, as its schema has it",
    )
