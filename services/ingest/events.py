"""The four numeric types of event as typed structs, for decoding in one pass.

They come by the million, so they have a way of their own past the models in `schemas.event`. What
they accept is a part of what the models accept; whatever they do not take is judged by the models.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import msgspec

from schemas.event import KIND_OF_TYPE
from schemas.programme import Unit

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_US = timedelta(microseconds=1)


class _Data(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    metric: str


class SampleData(_Data, gc=False):
    """Data of a sample, as `schemas.event.Sample`."""

    up: bool
    subject: str | None = None


class CountData(_Data, gc=False):
    """Data of a count, as `schemas.event.Counted`."""

    good: int
    total: int
    subject: str | None = None


class ValueData(_Data, gc=False):
    """Data of a response or a volume, as `schemas.event.Response` and `Volume`."""

    value: int | str
    unit: Unit
    subject: str | None = None


class _Event(msgspec.Struct, tag_field="type", gc=False):
    specversion: Literal["1.0"]
    id: str
    source: str
    time: str


class SampleEvent(_Event, tag="earnback.sample.v1", gc=False):
    """The envelope of a sample."""

    data: SampleData
    datacontenttype: str | None = None
    dataschema: str | None = None
    subject: str | None = None
    data_base64: None = None


class CountEvent(_Event, tag="earnback.count.v1", gc=False):
    """The envelope of a count."""

    data: CountData
    datacontenttype: str | None = None
    dataschema: str | None = None
    subject: str | None = None
    data_base64: None = None


class ResponseEvent(_Event, tag="earnback.response.v1", gc=False):
    """The envelope of a response time."""

    data: ValueData
    datacontenttype: str | None = None
    dataschema: str | None = None
    subject: str | None = None
    data_base64: None = None


class VolumeEvent(_Event, tag="earnback.volume.v1", gc=False):
    """The envelope of a volume."""

    data: ValueData
    datacontenttype: str | None = None
    dataschema: str | None = None
    subject: str | None = None
    data_base64: None = None


QuickEvent = SampleEvent | CountEvent | ResponseEvent | VolumeEvent

decode_event = msgspec.json.Decoder(QuickEvent).decode
"""One event in structured mode. Raises msgspec.MsgspecError for what is not of the four types."""

QUICK_BY_TYPE: dict[str, tuple[Any, Any]] = {
    "earnback.sample.v1": (SampleEvent, msgspec.json.Decoder(SampleData).decode),
    "earnback.count.v1": (CountEvent, msgspec.json.Decoder(CountData).decode),
    "earnback.response.v1": (ResponseEvent, msgspec.json.Decoder(ValueData).decode),
    "earnback.volume.v1": (VolumeEvent, msgspec.json.Decoder(ValueData).decode),
}
"""Type to envelope and decoder of the data, for binary mode."""

KIND_OF_EVENT: dict[type, int] = {
    envelope: KIND_OF_TYPE[name] for name, (envelope, _) in QUICK_BY_TYPE.items()
}


def microseconds_of(time: str) -> int | None:
    """Microseconds since 1970 of a time in UTC as most clocks write it: ``2025-01-31T12:00:00Z``.

    None for any other spelling, right or wrong. Digits beyond microseconds are cut off.
    """
    if (
        len(time) < 20
        or time[-1] != "Z"
        or time[10] != "T"
        or time[7] != "-"
        or time[16] != ":"
        or time[19] not in ".Z"
        or not time[-2].isdigit()
    ):
        return None
    try:
        return (datetime.fromisoformat(time) - _EPOCH) // _US
    except ValueError:
        return None
