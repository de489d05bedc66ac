"""A buyer's programme: who takes part, who may report, and the metrics all agreements share."""

from __future__ import annotations

from fractions import Fraction
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from schemas.absence import NothingToCount
from schemas.base import (
    AcrossPeriods,
    Day,
    Language,
    Name,
    Noun,
    Number,
    Text,
    TimeZone,
    Version,
    is_unset,
)
from schemas.business_hours import BusinessHours
from schemas.ceiling import OfVendor, SharedCap
from schemas.composites import Composite, OfParts, Overlap, Product, Weighted, check_parts
from schemas.exclusions import Exclusion, Upstream
from schemas.four_eyes import FourEyes
from schemas.interruptions import Interruptions
from schemas.slices import Slices
from schemas.whose_word import SAID, SIDES, ThirdParty, WhoseWord, WordOf

SourceUri = Annotated[str, StringConstraints(pattern=r"^[!-~]{1,200}$")]
"""A CloudEvents ``source``: a URI reference, printable, without spaces; at most 200 characters."""

Unit = Literal[
    "percent", "milliseconds", "seconds", "minutes", "hours", "days", "count", "money", "points"
]
TIME_UNITS = ("milliseconds", "seconds", "minutes", "hours", "days")


VendorsSee = Literal["nothing", "figures", "events"]
"""What a vendor sees of events of other vendors that its own agreements are settled by."""


class Vendor(Noun):
    """A party that owes service levels."""

    vendor: Name = Field(description="Its name in contracts, events and statements.")
    name: Text = Field(description="Its name for people.")


class Source(Noun):
    """A system that may report, and for whom. A vendor's key can send only from its own sources."""

    source: SourceUri = Field(description="The `source` of its events.")
    reports_for: Name = Field(description="A vendor of the programme, its buyer, or a third party.")
    metrics: tuple[Name, ...] = Field(
        description="Metrics that it reports: a period waits for each source that lists one of its "
        "metrics. Empty: none, it only states charges, circumstances, corrections and answers."
    )


class _InHours(Noun):
    """What is measured over time: the hours in which it counts."""

    business_hours: BusinessHours | None = Field(
        None,
        exclude_if=is_unset,
        description="When time counts: the service hours. Left out: day and night.",
    )


class _ShareInHours(_InHours):
    """A share of what lies in hours: some windows have none."""

    nothing_to_count: NothingToCount | None = Field(
        None,
        exclude_if=is_unset,
        description="Beside business_hours and exclusions of counted_time, of a window in which "
        "no time counts, such as a Sunday. no_data: as if nothing had been reported. "
        "no_result: the period has no result. counts_as: the figure is N.",
    )

    @model_validator(mode="after")
    def _says_what_a_window_without_hours_is(self) -> Self:
        excluded = [one.taken_off for one in getattr(self, "exclusions", ())]
        less = self.business_hours is not None or "counted_time" in excluded
        if less and self.nothing_to_count is None:
            raise ValueError(
                "with business_hours, or exclusions of counted_time, there may be a window in "
                "which no time counts; state nothing_to_count: no_data, no_result or counts_as"
            )
        if not less and self.nothing_to_count is not None:
            raise ValueError(
                "nothing_to_count is of a window in which no time counts, and here all of it does; "
                "leave it out, or state business_hours"
            )
        return self


class Heartbeat(Noun):
    """By which facts it is known that somebody looked: each keeps the time after it known.

    Further from the last fact of ``metric`` than ``unknown_after_minutes`` nothing is known until
    the next one, but for reported outages.
    """

    metric: Name = Field(description="A metric of samples or status of the same subjects.")
    unknown_after_minutes: Annotated[
        Number, Field(gt=0, description="How long after such a fact the time counts as known.")
    ]
    unknown_time: Literal["left_out", "no_data"] = Field(
        description="left_out: taken out of the total, for a share of time. no_data: with any of "
        "it the figure is none."
    )


class _OfOutages(_InHours):
    """What outages leave unsaid: the time of which nobody reports, and halves of an outage."""

    silence: Literal["up", "not_observed"] = Field(
        description="A window without a fact of the metric. up: there was no outage. "
        "not_observed: there is no figure."
    )
    incomplete: Literal["wait", "left_out", "from_window_start"] = Field(
        description="A close without an open, or an end before the start. wait: the period waits "
        "for what is missing. from_window_start: a close without an open counts from the start of "
        "its window; an end before the start waits."
    )
    exclusions: tuple[Exclusion, ...] = Field(
        (),
        exclude_if=is_unset,
        description="Time in which outages are excused. Where several cover it, it is taken off "
        "once; counted_time goes before bad_time.",
    )
    interruptions: Interruptions | None = Field(
        None,
        exclude_if=is_unset,
        description="Which outages count, and which are one. Absent: all, each by itself.",
    )
    heartbeat: Heartbeat | None = Field(
        None, description="How it is known that somebody looked. Absent: silence is as stated."
    )

    @model_validator(mode="after")
    def _says_how_long_an_interruption_is(self) -> Self:
        term = self.interruptions
        if term is None:
            return self
        less = self.business_hours is not None or bool(self.exclusions)
        open_ = less and term.at_least_minutes is not None
        if open_ != (term.length is not None):
            raise ValueError(
                "length goes with at_least_minutes beside business_hours or exclusions; state "
                "there whether an interruption must be that long as_reported or as_counted, and "
                "leave it out elsewhere"
            )
        return self

    @model_validator(mode="after")
    def _excuses_in_one_way(self) -> Self:
        names = [one.exclusion for one in self.exclusions]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"exclusion {twice[0]} is stated twice; keep one, or rename it")
        bad_only = [one.exclusion for one in self.exclusions if one.taken_off == "bad_time"]
        if self.heartbeat is not None and bad_only:
            raise ValueError(
                f"exclusion {bad_only[0]} leaves its time counted, and beside a heartbeat it is "
                "open whether time in it is good or unknown where nothing is heard; write "
                "taken_off: counted_time, or leave the heartbeat out"
            )
        return self

    @model_validator(mode="after")
    def _known_one_way(self) -> Self:
        if self.heartbeat is not None and self.silence == "not_observed":
            raise ValueError(
                "the heartbeat says what was observed, and silence beside it is up; write "
                "silence: up, or leave the heartbeat out"
            )
        return self


class AvailabilityBySamples(_ShareInHours):
    """Good probes out of all probes, in percent; of those in the hours, where there are any."""

    kind: Literal["availability_by_samples"]


class AvailabilityByStatus(_ShareInHours):
    """Share of time up, in percent. A status holds from its sample until the next one.

    ``before_first``: how the stretch before the first known sample counts. ``not_observed``
    leaves it out of the denominator.
    """

    kind: Literal["availability_by_status"]
    before_first: Literal["not_observed", "up", "down"]


class AvailabilityByOutages(_OfOutages, _ShareInHours):
    """Share of time without outage, in percent. Overlapping outages are merged.

    The share is always of the time inside the window. ``across_periods``: how outages count where
    a term counts them one by one; needed only there.
    """

    kind: Literal["availability_by_outages"]
    across_periods: AcrossPeriods | None = None

    slices: Slices | None = Field(
        None,
        exclude_if=is_unset,
        description="Downtime is made of whole slices of the clock. Absent: it is exact.",
    )

    @model_validator(mode="after")
    def _slices_count_whole(self) -> Self:
        beside = {
            "business_hours": self.business_hours is not None,
            "exclusions": bool(self.exclusions),
            "heartbeat": self.heartbeat is not None,
        }
        if self.slices is not None and any(beside.values()):
            other = next(name for name, stated in beside.items() if stated)
            raise ValueError(
                f"beside {other} it is open what a slice is of which only a part counts; leave "
                "slices or the other one out"
            )
        return self


class OutageTime(_OfOutages):
    """Outage time in the metric's unit. Each outage keeps its own duration as evidence.

    ``overlap``: ``merged`` counts overlapping outages of one subject once; ``each`` counts every
    outage alone. ``part``: how a part of a unit of one outage counts. ``across_periods``: where an
    outage over the window's end counts; overlapping ones that are merged count as one. May be left
    out with ``merged`` and ``exact``, where no term counts single outages: time is then cut at the
    end.
    """

    kind: Literal["outage_time"]
    overlap: Literal["merged", "each"]
    part: Literal["exact", "started_counts", "full_only"]
    across_periods: AcrossPeriods | None = None

    @model_validator(mode="after")
    def _says_where_outages_count(self) -> Self:
        wholes = self.overlap == "each" or self.part != "exact"
        if wholes and self.across_periods is None:
            raise ValueError(
                "it counts each outage as a whole; state across_periods: where an outage over the "
                "end of a period counts (begins, ends or split)"
            )
        return self


class OutageCount(_OfOutages):
    """Number of outages.

    ``across_periods``: an outage over the window's end is counted where it begins, where it ends,
    or in every window that it touches (``split``).
    """

    kind: Literal["outage_count"]
    across_periods: AcrossPeriods


class Ratio(Noun):
    """Good out of total over all counts, in percent."""

    kind: Literal["ratio"]
    nothing_to_count: NothingToCount


class _OfValues(Noun):
    """What is measured as a value: the range that a reported one may have."""

    at_least: Number | None = Field(
        None,
        description="Smallest possible value. Absent: 0, but of money and points any.",
    )
    at_most: Number | None = Field(
        None, description="Largest possible value. Absent: 100 of percent, else any."
    )

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        low, high = self.at_least, self.at_most
        if low is not None and high is not None and low > high:
            raise ValueError("at_least is above at_most, so no value is possible; exchange them")
        return self


class Total(_OfValues):
    """Sum of what was reported: counts take ``good``, volumes and responses their value."""

    kind: Literal["total"]


class Mean(_OfValues):
    """Plain mean of the values."""

    kind: Literal["mean"]


class Extreme(_OfValues):
    """Largest or smallest value."""

    kind: Literal["maximum", "minimum"]


def _is_nearest_rank(method: object) -> bool:
    """Whether nothing is said that was not always so; it is left out of what is stored."""
    return method == "nearest_rank"


class Percentile(_OfValues):
    """The value below which so many percent of all values lie.

    ``method``: ``nearest_rank``, the smallest value with at least ``percent`` of all values at or
    below it; ``interpolated``, linear between the two closest ranks, of which the smallest value
    is 0 percent and the largest 100, as spreadsheets do.
    """

    kind: Literal["percentile"]
    percent: Annotated[Number, Field(gt=0, le=100, description="Which percentile, such as 95.")]
    method: Literal["nearest_rank", "interpolated"] = Field(
        "nearest_rank", exclude_if=_is_nearest_rank
    )


class WithinLimit(_OfValues):
    """Share of values at or under (or only under) a limit in the metric's unit, in percent."""

    kind: Literal["within_limit"]
    limit: Number = Field(description="The limit, in the metric's unit.")
    equal_is_within: bool = Field(description="Whether a value equal to the limit is within it.")


class TicketsInTime(Noun):
    """Share of tickets resolved in time, in percent, on the clock of the vendor that holds them.

    The clock runs from the moment the ticket is assigned to a vendor until it is resolved or
    handed on, and stands in the states of ``stops_in``. All stretches with one vendor are added.
    A ticket that a vendor's own source reports is with that vendor until it is assigned.
    ``resolved`` ends the clock and only ``reopened`` starts it again. A ticket counts once for
    each vendor that held it. ``across_periods``: ``ends``, in the window in which it is resolved,
    or ``begins``, in that in which it was first reported; what is still open then is waited for.
    ``open_past_limit``: whether a ticket still open, whose time with its holder is over, counts as
    late. ``late_counts``: where tickets count where they end; ``in_each_period``, at the end of
    every window until it is resolved, and in that one again; ``once``, in the window in which its
    time runs out, and not again when it is resolved. ``counts_for``: ``holder`` counts what the
    agreement's own vendor held, ``everyone`` what all vendors held.
    """

    kind: Literal["tickets_in_time"]
    limit_minutes: Annotated[
        Number, Field(gt=0, description="How long a ticket may be with a vendor, in minutes.")
    ]
    equal_is_in_time: bool = Field(description="Whether a ticket that took just that is in time.")
    stops_in: tuple[Name, ...] = Field(
        description="States in which the clock stops, such as `waiting`. Empty: it never stops."
    )
    across_periods: Literal["begins", "ends"]
    open_past_limit: Literal["late", "left_out"]
    late_counts: Literal["in_each_period", "once"] | None = None
    nothing_to_count: NothingToCount
    incomplete: Literal["wait", "left_out", "from_first_change"] = Field(
        description="A ticket whose first known change neither opens nor assigns it. wait: the "
        "period waits for its opening. from_first_change: it counts from that change; where it is "
        "its resolution, it was in time with 0 minutes."
    )
    priorities: tuple[Name, ...] = Field(
        default=(), description="Only tickets of these priorities. Empty: all."
    )
    business_hours: BusinessHours | None = Field(
        None, description="When the clock runs. Left out: day and night."
    )
    counts_for: Literal["holder", "everyone"] = "holder"

    @model_validator(mode="after")
    def _says_how_often_it_is_late(self) -> Self:
        repeats = self.across_periods == "ends" and self.open_past_limit == "late"
        if repeats != (self.late_counts is not None):
            raise ValueError(
                "late_counts goes with across_periods: ends and open_past_limit: late; state there "
                "whether an open ticket is late in_each_period or once, and leave it out elsewhere"
            )
        return self


class Declared(_OfValues):
    """The figure a named party declares for the period. The last declared figure stands."""

    kind: Literal["declared"]


class DeliveryDelay(Noun):
    """Deliveries with their delay; the figure is how many are late.

    Each delay is a part's amount: in the metric's unit where that is one of time, else in days;
    negative when early. It goes on until the delivery or until it is called off; what is called
    off before it is due is no delivery. ``across_periods``: a delivery counts in the window in
    which it is due (``begins``), in the one in which it is delivered or called off (``ends``), or
    late in each window with the time that lies in it (``split``). ``until_delivered``: with
    ``begins``, whoever prices the delay ``waits`` for the delivery, or takes it as ``late_so_far``
    at the window's end, and corrects that once it is delivered.
    """

    kind: Literal["delivery_delay"]
    nothing_to_count: NothingToCount
    across_periods: AcrossPeriods
    until_delivered: Literal["waits", "late_so_far"] | None = None

    @model_validator(mode="after")
    def _says_what_is_not_delivered(self) -> Self:
        if (self.across_periods == "begins") != (self.until_delivered is not None):
            raise ValueError(
                "until_delivered goes with across_periods: begins; state there what the delay of "
                "what is not delivered yet is (waits or late_so_far), and leave it out elsewhere"
            )
        return self


Measure = Annotated[
    AvailabilityBySamples
    | AvailabilityByStatus
    | AvailabilityByOutages
    | OutageTime
    | OutageCount
    | Ratio
    | Total
    | Mean
    | Extreme
    | Percentile
    | WithinLimit
    | TicketsInTime
    | Declared
    | DeliveryDelay
    | Product
    | Overlap
    | Weighted
    | OfParts,
    Field(discriminator="kind"),
]


class BindingSource(Noun):
    """The one source whose events count. Those of others are compared with them, and shown."""

    binding: SourceUri = Field(description="The source.")


class Metric(Noun):
    """What is counted and how. Defined once, used by any number of agreements."""

    metric: Name = Field(description="Its name in events, levels and statements.")
    name: Text = Field(description="Its name for people.")
    unit: Unit = Field(description="The unit of its values.")
    better: Literal["higher", "lower"] = Field(description="Which values are better.")
    measure: Measure = Field(description="How its events are counted.")
    tally_window: Literal["minute", "hour", "day"] = Field(
        "minute", description="Width of the running counts that an open period shows early."
    )
    decimals: Annotated[int, Field(ge=0, le=9)] = Field(
        3, description="Most decimals a reported value may have; more is refused, not rounded."
    )
    several_sources: Literal["added"] | BindingSource | None = Field(
        None,
        description="How several sources of it stand together; needed where several list it. "
        "added: all count together. binding: that one alone counts; the figures of the others are "
        "shown beside it and change nothing.",
    )
    whose_word: WordOf | None = Field(
        None,
        description="Of a declared one: whose figures count; absent: as the programme says. Of a "
        "measured one: whose events count at once that come after the close; absent: only those "
        "that are worse for whoever sends them.",
    )

    @model_validator(mode="after")
    def _reported_by_somebody(self) -> Self:
        if self.whose_word is not None and isinstance(self.measure, Composite):
            raise ValueError(
                f"metric {self.metric} is made of others, and nobody reports it; leave whose_word "
                "out, or state it of its parts"
            )
        return self

    @model_validator(mode="after")
    def _time_in_a_unit_of_time(self) -> Self:
        if isinstance(self.measure, OutageTime) and self.unit not in TIME_UNITS:
            raise ValueError(
                f"metric {self.metric} adds outage time, its unit cannot be {self.unit}; write one "
                f"of {', '.join(TIME_UNITS)}"
            )
        return self

    @model_validator(mode="after")
    def _unknown_time_can_be_left_out(self) -> Self:
        heartbeat = self.heartbeat
        share = isinstance(self.measure, AvailabilityByOutages)
        if heartbeat is not None and heartbeat.unknown_time == "left_out" and not share:
            raise ValueError(
                f"metric {self.metric} has no total to leave unknown time out of; write "
                "unknown_time: no_data"
            )
        return self

    @property
    def business_hours(self) -> BusinessHours | None:
        """The hours in which its time counts, or its clocks run; None where there are none."""
        measure = self.measure
        return measure.business_hours if isinstance(measure, _InHours | TicketsInTime) else None

    @property
    def binding(self) -> str | None:
        """The one source that counts; None where all do that report it."""
        stated = self.several_sources
        return stated.binding if isinstance(stated, BindingSource) else None

    @property
    def exclusions(self) -> tuple[Exclusion, ...]:
        """Time in which its outages are excused."""
        return self.measure.exclusions if isinstance(self.measure, _OfOutages) else ()

    @property
    def upstreams(self) -> tuple[Upstream, ...]:
        """The exclusions that are outages of other metrics."""
        return tuple(one for one in self.exclusions if isinstance(one, Upstream))

    @property
    def slices(self) -> Slices | None:
        """The slices of which its downtime is made; None where it is exact."""
        measure = self.measure
        return measure.slices if isinstance(measure, AvailabilityByOutages) else None

    @property
    def interruptions(self) -> Interruptions | None:
        """Which outages count, and which are one; None where all do by themselves."""
        return self.measure.interruptions if isinstance(self.measure, _OfOutages) else None

    @property
    def heartbeat(self) -> Heartbeat | None:
        """By which facts it is known that somebody looked; None where silence is as stated."""
        return self.measure.heartbeat if isinstance(self.measure, _OfOutages) else None

    @property
    def value_range(self) -> tuple[Number | None, Number | None]:
        """The smallest and the largest value that may be reported; None: no bound on that side.

        A time, a number of things and a share are never below nothing, a share never above all.
        """
        measure = self.measure
        low, high = (
            (measure.at_least, measure.at_most) if isinstance(measure, _OfValues) else (None, None)
        )
        if low is None and self.unit not in ("money", "points"):
            low = Fraction(0)
        if high is None and self.unit == "percent":
            high = Fraction(100)
        return low, high

    @property
    def figure_unit(self) -> Unit:
        """The unit of its figure: a share within a limit is in percent, its limit is not."""
        return "percent" if isinstance(self.measure, WithinLimit) else self.unit


class Programme(Noun):
    """One version of a buyer's programme. An applied version never changes."""

    kind: Literal["programme"]
    language: Language
    programme: Name = Field(description="Its name in agreements.")
    version: Version = Field(description="Number of the version; higher than those before.")
    effective_from: Day = Field(description="First day on which the version holds.")
    buyer: Name = Field(description="Whom the levels are owed to.")
    name: Text = Field(description="Its name for people.")
    time_zone: TimeZone = Field(description="IANA zone of the calendar that cuts periods.")
    restated_for_days: Annotated[int, Field(ge=1, le=36600)] = Field(
        description="How long after a period's end its facts may still arrive and be settled. "
        "What is older goes to review."
    )
    vendors: Annotated[
        tuple[Vendor, ...], Field(min_length=1, description="Who owes service levels.")
    ]
    third_parties: tuple[ThirdParty, ...] = Field(
        default=(), description="Who else may state something, such as an auditor."
    )
    whose_word: WhoseWord = Field(description="Whose word counts, for what is not measured.")
    sources: Annotated[
        tuple[Source, ...], Field(min_length=1, description="Which systems may report.")
    ]
    metrics: Annotated[
        tuple[Metric, ...], Field(min_length=1, description="What is counted, and how.")
    ]
    vendors_see: VendorsSee | None = Field(
        None,
        description="What a vendor sees of events of other vendors that count in its own levels. "
        "nothing; figures: how many, when and how much, not whose or which; events: all of them. "
        "Needed where there are several vendors. No amount depends on it.",
    )
    four_eyes: FourEyes | None = Field(
        None,
        description="Which acts need two: one who asks and another who agrees. Absent: none.",
    )
    shared_caps: tuple[SharedCap, ...] = Field(
        default=(), description="Ceilings over several agreements, in the order in which they cut."
    )

    @model_validator(mode="after")
    def _says_what_vendors_see(self) -> Self:
        if len(self.vendors) > 1 and self.vendors_see is None:
            raise ValueError(
                "several vendors take part; state vendors_see: what a vendor sees of the events of "
                "others that count in its own levels (nothing, figures or events)"
            )
        return self

    @model_validator(mode="after")
    def _names_are_known(self) -> Self:
        parties = [vendor.vendor for vendor in self.vendors]
        third = {one.party for one in self.third_parties}
        metrics = [metric.metric for metric in self.metrics]
        for what, names in (
            ("vendor", parties),
            ("third party", [one.party for one in self.third_parties]),
            ("metric", metrics),
            ("source", [source.source for source in self.sources]),
            ("shared cap", [cap.cap for cap in self.shared_caps]),
        ):
            doubles = sorted({name for name in names if names.count(name) > 1})
            if doubles:
                raise ValueError(f"{what} {doubles[0]} is declared twice; keep one")
        for cap in self.shared_caps:
            if isinstance(cap.over, OfVendor) and cap.over.vendor not in parties:
                raise ValueError(
                    f"shared cap {cap.cap} is over the agreements of {cap.over.vendor}, who is no "
                    "vendor of the programme; add the vendor or correct the name"
                )
        for source in self.sources:
            if source.reports_for not in {*parties, self.buyer, *third}:
                raise ValueError(
                    f"source {source.source} reports for {source.reports_for}, who is neither a "
                    "vendor of the programme nor its buyer; add the vendor or correct the name"
                )
            unknown = sorted(set(source.metrics) - set(metrics))
            if unknown:
                raise ValueError(
                    f"source {source.source} names the metric {unknown[0]}, which the programme "
                    "does not define; add it or correct the name"
                )
        for metric in self.metrics:
            if isinstance(metric.measure, Composite):
                unknown = sorted(set(metric.measure.parts) - set(metrics))
                if unknown:
                    raise ValueError(
                        f"metric {metric.metric} is made of {unknown[0]}, which the programme does "
                        "not define; add it or correct the name"
                    )
        return self

    @model_validator(mode="after")
    def _says_how_sources_stand_together(self) -> Self:
        for metric in self.metrics:
            reporting = self.sources_of(metric.metric)
            listed = ", ".join(reporting)
            if metric.several_sources is None:
                if len(reporting) > 1 and not isinstance(metric.measure, Composite):
                    raise ValueError(
                        f"metric {metric.metric} is reported by several sources, {listed}, and "
                        "does not say how they stand together; state several_sources: added (all "
                        "count together) or {binding: SOURCE} with one of them (the others are "
                        "compared)"
                    )
            elif len(reporting) < 2:
                raise ValueError(
                    f"metric {metric.metric} states several_sources and only one may report it; "
                    "leave it out, or let a second source list the metric"
                )
            elif metric.binding is not None and metric.binding not in reporting:
                raise ValueError(
                    f"metric {metric.metric} is bound to the source {metric.binding}, which does "
                    f"not report it; name one of {listed}"
                )
        return self

    @model_validator(mode="after")
    def _words_are_of_parties(self) -> Self:
        third = {one.party for one in self.third_parties}
        taken = sorted(third & {*SIDES, self.buyer, *(one.vendor for one in self.vendors)})
        if taken:
            raise ValueError(
                f"'{taken[0]}' is a side, the buyer or a vendor, and no third party; rename it"
            )
        stated = [(f"whose_word.{what}", word) for what, word in self.whose_word if what in SAID]
        stated += [
            (f"whose_word of metric {metric.metric}", metric.whose_word)
            for metric in self.metrics
            if metric.whose_word is not None
        ]
        for where, word in stated:
            if word not in {*SIDES, *third}:
                raise ValueError(
                    f"{where} is '{word}', which is neither one of {', '.join(SIDES)} nor a third "
                    "party of the programme; name one of third_parties, or correct it"
                )
        return self

    @model_validator(mode="after")
    def _heartbeats_are_facts_in_time(self) -> Self:
        for metric in self.metrics:
            if metric.heartbeat is None:
                continue
            beats = self.metric(metric.heartbeat.metric)
            if beats is None or not isinstance(
                beats.measure, AvailabilityBySamples | AvailabilityByStatus
            ):
                raise ValueError(
                    f"the heartbeat of metric {metric.metric} is {metric.heartbeat.metric}, which "
                    "is no metric of samples or status; name one"
                )
        return self

    @model_validator(mode="after")
    def _upstream_is_of_outages(self) -> Self:
        for metric in self.metrics:
            for one in metric.upstreams:
                found = self.metric(one.metric)
                if found is None or not isinstance(found.measure, _OfOutages):
                    raise ValueError(
                        f"exclusion {one.exclusion} of metric {metric.metric} is upstream of "
                        f"{one.metric}, which is no metric of outages; name one"
                    )
        needed = {one.metric: {each.metric for each in one.upstreams} for one in self.metrics}
        while ready := [name for name, above in needed.items() if not above & needed.keys()]:
            for name in ready:
                del needed[name]
        if needed:
            raise ValueError(
                f"metric {min(needed)} is excused by its own outages through what is upstream of "
                "it; take it out"
            )
        return self

    @model_validator(mode="after")
    def _composites_have_a_ground(self) -> Self:
        parts = {
            metric.metric: set(metric.measure.parts)
            for metric in self.metrics
            if isinstance(metric.measure, Composite)
        }
        while ready := [name for name, needed in parts.items() if not needed & parts.keys()]:
            for name in ready:
                del parts[name]
        if parts:
            raise ValueError(
                f"metric {min(parts)} is made of itself through its parts; take it out of them"
            )
        by_name = {metric.metric: metric for metric in self.metrics}
        for metric in self.metrics:
            if isinstance(metric.measure, Composite):
                check_parts(metric, [by_name[name] for name in metric.measure.parts])
        return self

    @property
    def parties(self) -> frozenset[str]:
        """The buyer, the vendors and the third parties."""
        third = (one.party for one in self.third_parties)
        return frozenset((self.buyer, *(one.vendor for one in self.vendors), *third))

    def sources_of(self, metric: str) -> tuple[str, ...]:
        """The sources that list a metric, in order of their names."""
        return tuple(sorted(one.source for one in self.sources if metric in one.metrics))

    def metric(self, name: str) -> Metric | None:
        """The metric of that name, or None."""
        return next((metric for metric in self.metrics if metric.metric == name), None)
