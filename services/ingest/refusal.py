"""Why the door turns an event away, as a value: which field, why, and what to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Reason:
    """A kind of refusal. ``code`` is the last part of the problem's type."""

    code: str
    status: int
    title: str


NOT_JSON = Reason("not-json", 400, "The event is not JSON.")
TOO_LARGE = Reason("event-too-large", 413, "The event is too large.")
TOO_DEEP = Reason("too-deep", 400, "The event is nested too deeply.")
NOT_AN_EVENT = Reason("invalid-event", 422, "The event does not fit its schema.")
UNKNOWN_TYPE = Reason("unknown-type", 422, "The event's type is not known.")
WRONG_CONTENT = Reason("wrong-content", 415, "The event's content type is not understood.")
UNKNOWN_SOURCE = Reason("unknown-source", 422, "The event's source is not known.")
NOT_YOUR_SOURCE = Reason("not-your-source", 403, "The source reports for another party.")
UNKNOWN_METRIC = Reason("unknown-metric", 422, "The metric is not known.")
NOT_YOUR_METRIC = Reason("not-your-metric", 403, "The source may not report this metric.")
WRONG_KIND = Reason("wrong-kind", 422, "The metric is not made of this type of event.")
WRONG_UNIT = Reason("wrong-unit", 422, "The value has another unit than the metric.")
TOO_FINE = Reason("too-fine", 422, "The value has more decimals than the metric.")
OUT_OF_RANGE = Reason("out-of-range", 422, "The number is too large.")
IN_THE_FUTURE = Reason("in-the-future", 422, "The event's time has not come yet.")
TOO_LATE = Reason("too-late", 422, "The event's period can no longer be settled.")
UNKNOWN_AGREEMENT = Reason("unknown-agreement", 422, "The agreement is not known.")
UNKNOWN_VENDOR = Reason("unknown-vendor", 422, "The vendor is not known.")
WRONG_CURRENCY = Reason("wrong-currency", 422, "The amount has another currency.")
CONFLICT = Reason("conflict", 409, "The same event was sent with another content.")

REASONS = tuple(value for value in list(globals().values()) if isinstance(value, Reason))


@dataclass(frozen=True, slots=True)
class Refusal:
    """One event turned away. ``pointer`` is a JSON pointer into the event ("" for all of it).

    ``source`` and ``id`` as far as they could be read. ``more`` goes into the problem document.
    """

    reason: Reason
    pointer: str
    detail: str
    remedy: str
    source: str | None = None
    id: str | None = None
    more: tuple[tuple[str, str], ...] = ()

    def document(self) -> dict[str, Any]:
        """The problem document (RFC 9457) of this one event."""
        return {
            "type": f"/problems/{self.reason.code}",
            "title": self.reason.title,
            "status": self.reason.status,
            "code": self.reason.code,
            "detail": self.detail,
            "errors": [
                {
                    "in": "body",
                    "pointer": self.pointer,
                    "reason": self.detail,
                    "remedy": self.remedy,
                }
            ],
            **dict(self.more),
        }


class Refused(Exception):
    """Carries a refusal out of the checks; caught where the event came in."""

    def __init__(self, reason: Reason, pointer: str, detail: str, remedy: str) -> None:
        super().__init__(f"{reason.code} at '{pointer}': {detail}; {remedy}")
        self.reason, self.pointer, self.detail, self.remedy = reason, pointer, detail, remedy
