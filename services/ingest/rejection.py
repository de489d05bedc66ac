"""Why an event is rejected, as a value: which field, why, and what to do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from services.catalogue.four_eyes import RequestedAct
from services.core.events.facts import Row
from services.core.events.rejections import Rejection
from services.core.events.rejections import RejectionCode as Code
from services.shell.http.problems import Fault


@dataclass(frozen=True, slots=True)
class ProblemKind:
    """A kind of refusal. ``code`` is the last part of the problem's type."""

    code: str
    status: int
    title: str


NOT_JSON = ProblemKind("not-json", 400, "The event is not JSON.")
TOO_LARGE = ProblemKind("event-too-large", 413, "The event is too large.")
TOO_DEEP = ProblemKind("too-deep", 400, "The event is nested too deeply.")
NOT_AN_EVENT = ProblemKind("invalid-event", 422, "The event does not fit its schema.")
WRONG_CONTENT = ProblemKind("wrong-content", 415, "The event's content type is not understood.")
CONFLICT = ProblemKind("conflict", 409, "The same event was sent with another content.")
FOUR_EYES = ProblemKind("four-eyes", 403, "Another has to agree to the decision.")
TOO_MANY_SUBJECTS = ProblemKind("too-many-subjects", 429, "The party has as many as it may.")
QUOTA_USED_UP = ProblemKind("quota-used-up", 429, "No more refused events are kept today.")

_TITLES: dict[Code, tuple[int, str]] = {
    Code.UNKNOWN_TYPE: (422, "The event's type is not known."),
    Code.KIND_NOT_OF_ROLE: (403, "The role may not send this kind of event."),
    Code.UNKNOWN_SOURCE: (422, "The event's source is not known."),
    Code.BAD_IDENTITY: (422, "The event's identity is not written as it must be."),
    Code.IN_THE_FUTURE: (422, "The event's time has not come yet."),
    Code.BAD_DATA: (422, "The data does not fit the schema of its type."),
    Code.UNKNOWN_METRIC: (422, "The metric is not known."),
    Code.METRIC_NOT_OF_SOURCE: (403, "The source may not report this metric."),
    Code.KIND_DOES_NOT_FIT: (422, "The metric is not made of this type of event."),
    Code.WRONG_UNIT: (422, "The value has another unit than the metric."),
    Code.NOT_EXACT: (422, "The number is not exact."),
    Code.TOO_MANY_DECIMALS: (422, "The value has more decimals than the metric."),
    Code.TOO_LARGE: (422, "The number is too large."),
    Code.NEGATIVE_COUNT: (422, "The count is below zero."),
    Code.GOOD_EXCEEDS_TOTAL: (422, "There are more good ones than there are in total."),
    Code.OUT_OF_RANGE: (422, "The value is outside the possible range."),
    Code.TIMES_OUT_OF_ORDER: (422, "The times contradict each other."),
    Code.UNKNOWN_VENDOR: (422, "The vendor is not known."),
    Code.UNKNOWN_AGREEMENT: (422, "The agreement is not known."),
    Code.ANSWER_OF_ANOTHER_PARTY: (403, "The answer is another party's to give."),
    Code.UNKNOWN_BASE: (422, "The agreement has no such charge."),
    Code.UNKNOWN_LEVEL: (422, "The agreement has no such level."),
    Code.WRONG_CURRENCY: (422, "The amount has another currency."),
    Code.WRONG_PERIOD: (422, "The period is longer or shorter than what is asked for."),
    Code.BEYOND_HORIZON: (422, "The event's period can no longer be settled."),
}
REASONS: dict[Code, ProblemKind] = {
    code: ProblemKind(code.value.replace("_", "-"), *_TITLES[code]) for code in Code
}
"""The core's codes as kinds of problem. Every code has its own, checked when this is loaded."""


@dataclass(frozen=True, slots=True)
class EventRejection:
    """One event turned away. ``pointer`` is a JSON pointer into the event ("" for all of it).

    ``source`` and ``id`` as far as they could be read. ``more`` goes into the problem document.
    ``for_review``: well formed, but a person must decide; it is kept in quarantine.
    """

    reason: ProblemKind
    pointer: str
    detail: str
    remedy: str
    source: str | None = None
    id: str | None = None
    more: tuple[tuple[str, str], ...] = ()
    for_review: bool = False
    row: Row | None = None
    """What it would count as. Set where the very same event may have been accepted before; then
    it is a repeat, and no refusal."""
    asks: RequestedAct | None = None
    """What another has to agree to before the very same event is let through."""
    also: tuple[Fault, ...] = ()
    """What else is wrong with it, where that is known: a sender mends all of it at once."""

    def document(self) -> dict[str, Any]:
        """The problem document (RFC 9457) of this one event."""
        return {
            "type": f"/problems/{self.reason.code}",
            "title": self.reason.title,
            "status": self.reason.status,
            "code": self.reason.code,
            "detail": self.told,
            "errors": [each.document() for each in (self._first, *self.also)],
            **dict(self.more),
        }

    @property
    def told(self) -> str:
        """Why, for whoever reads it away from its pointer: with the field's name."""
        field = self.pointer.rpartition("/")[2]
        return self.detail if field in self.detail else f"{field}: {self.detail}"

    @property
    def _first(self) -> Fault:
        return Fault(self.pointer, self.detail, self.remedy)


class EventRejected(Exception):
    """Carries a refusal out of the checks; caught where the event came in."""

    def __init__(
        self,
        reason: ProblemKind,
        pointer: str,
        detail: str,
        remedy: str,
        also: Sequence[Fault] = (),
    ) -> None:
        super().__init__(f"{reason.code} at '{pointer}': {detail}; {remedy}")
        self.reason, self.pointer, self.detail, self.remedy = reason, pointer, detail, remedy
        self.also = tuple(also)

    def refusal(self, source: str | None, event_id: str | None) -> EventRejection:
        """The refusal of the event that these checks were about."""
        return EventRejection(
            self.reason,
            self.pointer,
            self.detail,
            self.remedy,
            source=source,
            id=event_id,
            also=self.also,
        )


def from_core(
    problem: Rejection, source: str, event_id: str, row: Row | None = None
) -> EventRejection:
    """A rejection of the core as one of ingest."""
    return EventRejection(
        REASONS[problem.code],
        problem.field,
        problem.reason,
        problem.remedy,
        source=source,
        id=event_id,
        for_review=problem.for_review,
        row=row,
        also=tuple(Fault(each.field, each.reason, each.remedy) for each in problem.also),
    )
