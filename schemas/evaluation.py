"""What the evaluator says of one agreement's period: figures counted from facts, and its facts.

Each agreement's evaluation carries the figures that it needs, so that settlement needs nothing
else. A metric that several agreements use is counted for each of them, from the same facts.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from schemas.absence import CountsAs
from schemas.base import AcrossPeriods, Count, Instant, Name, Noun, Text, WorkedOut, is_unset
from schemas.event import Charge, Circumstance, EventId, Figure, Subject
from schemas.period import PeriodLabel, Window
from schemas.programme import SourceUri, Unit

Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


WITHHELD = "urn:earnback:withheld"
"""Source of an `EventRef` that names no event: its id tells what is withheld apart, and no more."""


class EventRef(Noun):
    """The identity of an event, or a reference in its place (source ``urn:earnback:withheld``)."""

    source: SourceUri = Field(description="The event's `source`.")
    id: EventId = Field(description="The event's `id`.")


class WithheldThing(Noun):
    """What a reference in a statement stands for: an event, or an occurrence."""

    reference: str = Field(description="As it stands in the statement: `withheld-` and a number.")
    vendor: Name | None = Field(None, description="Whose it is.")
    source: SourceUri | None = Field(None, description="The source that reports it.")
    event: EventId | None = Field(None, description="The event's `id`.")
    occurrence: str | None = Field(
        None, description="The name of the outage, ticket or delivery as reported."
    )


class Evidence(Noun):
    """Which facts a figure was counted from.

    ``digest``: SHA-256 over the sorted identities and payload hashes of all counted facts.
    ``telling``: the first events, in order of time, that made the figure worse. The
    counted facts are not only those of the metric that lie in the window: a composite counts those
    of its parts, a state that began earlier counts on, and corrections move facts.
    """

    facts: Count = Field(description="How many facts were counted.")
    digest: Digest
    telling: tuple[EventRef, ...] = ()


class WholeOccurrence(Noun):
    """All of an occurrence that reaches over an end of the window, whatever of it is counted.

    Times in the unit of the part. Where it is not over, as far as is known, ``amount`` is its time
    up to the window's end.
    """

    start: Instant
    end: Instant | None = Field(None, description="Absent: it was not over yet.")
    counts: AcrossPeriods = Field(
        description="Where it counts, by the version of the programme in which it began."
    )
    amount: WorkedOut
    before: WorkedOut = Field(description="Its time before the window began.")
    so_far: WorkedOut = Field(description="Its time up to the window's end.")


class Part(Noun):
    """One occurrence inside a figure: an outage, a ticket, a delivery, a vendor's share."""

    part: str = Field(description="Its name: outage, ticket or delivery as reported.")
    subject: Subject | None = None
    vendor: Name | None = None
    start: Instant | None = None
    end: Instant | None = None
    amount: WorkedOut = Field(
        description="In the metric's unit. Where that is no time: minutes for tickets and outages, "
        "days for deliveries, percent for the parts of a composite."
    )
    value: WorkedOut | None = Field(None, description="Worth of what is late, in main units.")
    good: bool | None = None
    events: tuple[EventRef, ...] = ()
    whole: WholeOccurrence | None = Field(
        None, description="Where it reaches over an end of the window. Absent: it lies within."
    )
    weight: WorkedOut | None = Field(
        None, exclude_if=is_unset, description="Of a part of a weighted figure: what it weighs."
    )
    pieces: tuple[Window, ...] = Field(
        (),
        exclude_if=is_unset,
        description="Where not all of its time counts: the stretches that do.",
    )


class OtherFigure(Noun):
    """A figure declared for a longer or a shorter period than the one that was asked for."""

    period: PeriodLabel
    event: EventRef


class Counting(Noun):
    """How occurrences became a figure, so that their attributed shares can be counted alike."""

    measure: Literal[
        "availability_by_outages",
        "outage_time",
        "outage_count",
        "tickets_in_time",
        "delivery_delay",
    ]
    unit: Unit
    overlap: Literal["merged", "each"] | None = Field(None, description="Of outage time.")
    part: Literal["exact", "started_counts", "full_only"] | None = Field(
        None, description="Of outage time."
    )
    nothing_to_count: Literal["no_data", "no_result"] | CountsAs | None = Field(
        None, description="Of tickets and deliveries: what follows where none is left."
    )


class IncompleteOccurrence(Noun):
    """An occurrence of which a half is not there, and what the metric states for it."""

    part: str = Field(description="Its name: outage or ticket as reported.")
    subject: Subject | None = None
    missing: Literal["open", "end_after_start", "opened"] = Field(
        description="open: an outage closes that nobody opened. end_after_start: it ends before "
        "it starts. opened: a ticket was never opened."
    )
    counts: Literal["waits", "left_out", "from_window_start", "from_first_change"]
    events: tuple[EventRef, ...] = ()


class ExcludedTime(Noun):
    """What an exclusion of the metric came to in the window."""

    exclusion: Name
    taken_off: Literal["bad_time", "counted_time"]
    bad_seconds: WorkedOut = Field(description="Outages in it, within business hours.")
    windows: tuple[Window, ...] = Field(
        (), description="When it was, where it recurs. What is upstream is told by its own figure."
    )


class ComparedFigure(Noun):
    """What another source than the binding one says. It changes nothing."""

    source: SourceUri
    value: WorkedOut | None
    total: WorkedOut | None = None
    facts: Count


class MetricFigure(Noun):
    """One metric's figure in one window, for one subject or for all of them."""

    metric: Name
    subject: Subject | None = None
    period: PeriodLabel
    window: Window
    value: WorkedOut | None = Field(description="In the metric's unit. None: there was no data.")
    good: WorkedOut | None = Field(None, description="Numerator of a ratio.")
    total: WorkedOut | None = Field(
        None, description="Denominator of a ratio, or number of values."
    )
    nothing_to_count: Literal["no_data", "no_result", "counts_as"] | None = Field(
        None,
        description="Facts say that there was nothing to count, and the metric states this for "
        "it. None: there was something, or no fact at all.",
    )
    unknown_seconds: WorkedOut | None = Field(
        None, description="Time of which the heartbeat says that nobody looked."
    )
    counted_seconds: WorkedOut | None = Field(
        None,
        exclude_if=is_unset,
        description="Where not all of the window counts: how much of it does.",
    )
    incomplete: tuple[IncompleteOccurrence, ...] = ()
    excluded: tuple[ExcludedTime, ...] = Field(
        (), exclude_if=is_unset, description="What each exclusion of the metric came to."
    )
    without_exclusions: WorkedOut | None = Field(
        None, exclude_if=is_unset, description="What the value is where nothing is excluded."
    )
    bad_slices: Count | None = Field(
        None, exclude_if=is_unset, description="How many slices of the clock are downtime."
    )
    short_interruptions: Count | None = Field(
        None,
        exclude_if=is_unset,
        description="How many interruptions of the window are too short to count.",
    )
    parts: tuple[Part, ...] = Field((), description="The occurrences that count in it.")
    in_pieces: bool = Field(
        False, description="A share of time: its parts are what lies inside the window."
    )
    touching: tuple[Part, ...] = Field(
        (),
        description="Occurrences that touch the window and count in another one, where a term of "
        "the agreement looks at them.",
    )
    unfinished: tuple[Subject, ...] = Field(
        (), description="Parts that count here as a whole and are not over; they are waited for."
    )
    others: tuple[OtherFigure, ...] = Field(
        default=(),
        description="Where no figure is declared for the window itself: those declared for a "
        "longer or shorter period of its time. What reads the figure waits.",
    )
    compared: tuple[ComparedFigure, ...] = Field(
        (), description="Where one source is binding: the figures of the others, by source."
    )
    counting: Counting | None = Field(
        None,
        description="Where a level of the agreement counts attributed shares of occurrences.",
    )
    evidence: Evidence


class ChargeFact(Noun):
    """A charge with the event that states it."""

    event: EventRef
    at: Instant
    charge: Charge


class CircumstanceFact(Noun):
    """A circumstance with the event that states it."""

    event: EventRef
    at: Instant
    circumstance: Circumstance


class AnswerFact(Noun):
    """An answer to a proposal with its event."""

    event: EventRef
    at: Instant
    party: Name
    answer: Literal["accept", "reject"]
    reason: Text


class ProposedCorrection(Noun):
    """A correction, or an event that is told after the close and does as one does, by a party in
    its own interest after the close of its event's period."""

    corrects: EventId | None = Field(
        None,
        description="The event that it corrects, or its correction. Absent: it adds what nobody "
        "had told or measured.",
    )
    name: Name = Field(description="Metric, base or circumstance of the event.")
    period: PeriodLabel = Field(description="The settlement period that was closed before it.")
    data: dict[str, Any] | None = Field(
        None,
        description="Data that would replace the event's, or be added. With neither data nor time "
        "it is taken back.",
    )
    time: Instant | None = Field(None, description="Time that would replace the event's.")
    reason: Text


class Proposal(Noun):
    """What a party has stated whose word does not count, with the answers to it.

    One of charge, circumstance, figure and correction. An accepted one is also among the period's
    charges or circumstances, or counted; the others have no effect.
    """

    event: EventRef
    payload: str = Field(description="Hash of what it says, which an answer repeats.")
    at: Instant
    party: Name = Field(description="Who has stated it.")
    charge: Charge | None = None
    circumstance: Circumstance | None = None
    figure: Figure | None = None
    correction: ProposedCorrection | None = None
    state: Literal["open", "accepted", "rejected"]
    by_silence: bool = Field(False, description="Nobody has answered in the time that is agreed.")
    awaits: tuple[Name, ...] = Field((), description="Who can still take it over or reject it.")
    answers: tuple[AnswerFact, ...] = ()


class PeriodEvaluation(Noun):
    """All that settlement needs to settle one agreement's period, at one revision.

    ``revision`` 1 is the close; a later one carries what came late. Charges and circumstances are
    those whose ``period`` has time in common with this settlement period, as they stand after
    corrections, in order of time and identity: of several about one thing the last one stands. The
    agreement's first period carries as well what caps' openings state of the time before it; its
    last one what is charged for the period after it, where a base is the next period's charge.
    """

    programme: Name
    agreement: Name
    period: PeriodLabel
    revision: Annotated[int, Field(ge=1)]
    reason: Literal["closed", "commanded", "late_facts", "changed_agreement"]
    figures: tuple[MetricFigure, ...]
    charges: tuple[ChargeFact, ...]
    circumstances: tuple[CircumstanceFact, ...]
    proposals: tuple[Proposal, ...] = Field(
        (), description="What was stated of this period by parties whose word does not count."
    )
    tzdata: str | None = Field(
        None, description="Version of the time zone database that cut the windows; null: not noted."
    )
