"""Events after the close that tell of an outage, ticket or delivery, or change what was said of it.

They do what a correction does, and the same rule holds for them: see `late_corrections`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from schemas.agreement import Agreement
from schemas.evaluation import EventRef, Proposal, ProposedCorrection
from schemas.frame import Facts
from schemas.programme import (
    AvailabilityByOutages,
    DeliveryDelay,
    Metric,
    OutageTime,
    Programme,
)
from services.core.calendar.windows import QUARTER_HOUR_US, instant
from services.core.counting.late_corrections import (
    ClosedBefore,
    LateCorrections,
    counts_anywhere,
    settled_period,
    unclear_metrics,
)
from services.core.counting.measures.boundaries import looked_at
from services.core.counting.occurrences import (
    NAMED_BY,
    OccurrenceChange,
    OccurrenceEvent,
    OccurrenceSoFar,
    ToldOccurrence,
)
from services.core.counting.stated_facts import answer_facts
from services.core.counting.words import ProposalSubject, Words, payload_text, ruling
from services.core.events.corrections import EventKey
from services.core.events.wanted import metrics_read, upstream_of
from services.core.events.whose_word import StatementStanding
from services.core.exact.budget import Budget

_LengthMeasure = AvailabilityByOutages | OutageTime | DeliveryDelay


def late_changes(
    facts: Facts,
    told: Sequence[ToldOccurrence],
    programmes: Sequence[Programme],
    agreements: Sequence[Agreement],
    names: Mapping[int, str],
    budget: Budget,
    closed_before: ClosedBefore | None = None,
    as_accepted: Collection[EventKey] = (),
) -> LateCorrections:
    """What becomes of the events that tell of occurrences after the close, for one agreement.

    ``facts``: with the corrections that count. ``told``: the occurrences among them.
    ``programmes``, ``agreements``: all versions. ``names``: metric number to name.
    ``closed_before``, ``as_accepted``: see `late_corrections`. Raises OverBudget.
    """
    if not told:
        return LateCorrections()
    read = metrics_read(programmes, agreements)
    search = _ChangeSearch(
        facts,
        Words.of(facts, programmes, agreements),
        budget,
        closed_before,
        as_accepted,
        unclear_metrics(agreements) | upstream_of(programmes, read),
        _by_their_begin(programmes, agreements),
    )
    proposals: list[Proposal] = []
    for each in told:
        if names[each.metric] in read and counts_anywhere(
            programmes, names[each.metric], each.source
        ):
            proposals += search.proposals(each, names[each.metric])
    proposals.sort(key=lambda each: (each.at, each.event.source, each.event.id))
    return LateCorrections(frozenset(search.held), tuple(proposals))


@dataclass(slots=True)
class _ChangeSearch:
    """Occurrences looked at one after another. ``by_begin``: see `_by_their_begin`."""

    facts: Facts
    words: Words
    budget: Budget
    closed_before: ClosedBefore | None
    as_accepted: Collection[EventKey]
    unclear: Collection[str]
    by_begin: Collection[str]
    held: set[EventKey] = field(default_factory=set)
    _periods: dict[int, str] = field(default_factory=dict)
    _closings: dict[str, int] = field(default_factory=dict)

    def proposals(self, occurrence: ToldOccurrence, metric: str) -> Iterator[Proposal]:
        """What is proposed of an occurrence; what is without effect goes to ``held``.

        What only goes on with an occurrence that is itself proposed waits with it.
        """
        back = {each.row for each in occurrence.told if self._is_dated_back(each)}
        so_far, is_begun = OccurrenceSoFar(occurrence.kind), False
        for said in self._in_turn(occurrence, back):
            self.budget.spend(so_far.steps(said))
            change = so_far.change(said, dated_back=said.row in back)
            key, stands, is_late = self._key(said), None, False
            if change is not None:
                subject = self._subject(said, change, metric)
                is_late = self._is_late(said, subject.period)
                stands = self._standing(said, change, subject) if is_late else None
                if stands is not None:
                    before = so_far.before(said) if so_far.told else None
                    yield self._proposal(occurrence, said, subject, stands, before)
            goes_on = is_begun and not so_far.told and not is_late
            if goes_on or not (stands is None or stands.counts or key in self.as_accepted):
                self.held.add(key)
            else:
                so_far.is_admitted |= not so_far.told and is_late and stands is None
                so_far.hear(said)
            is_begun = True

    def _in_turn(self, occurrence: ToldOccurrence, back: Collection[int]) -> list[OccurrenceEvent]:
        """The order in which what is told is looked at: that of time.

        But what had not come before the close of the period in which it lies (``back``) comes after
        all else: it changes what has been counted, wherever its time puts it. Where nothing at all
        had come before the first one's close, there was nothing to change.
        """
        if not back or self._is_all_after(occurrence):
            return list(occurrence.told)
        return sorted(occurrence.told, key=lambda each: (each.row in back, each.order))

    def _is_all_after(self, occurrence: ToldOccurrence) -> bool:
        first = self._period(occurrence.told[0].at_us)
        return all(self._came_after(each, first) for each in occurrence.told)

    def _key(self, said: OccurrenceEvent) -> EventKey:
        return self.facts.sources[self.facts.source[said.row]], self.facts.ids[said.row]

    def _came_after(self, said: OccurrenceEvent, period: str) -> bool:
        closed_before = self.closed_before
        return closed_before is not None and closed_before(self._key(said), period)

    def _is_dated_back(self, said: OccurrenceEvent) -> bool:
        return self._came_after(said, self._period(said.at_us))

    def _is_late(self, said: OccurrenceEvent, period: str) -> bool:
        """Whether it was told after the close of a period."""
        if period not in self._closings:
            self._closings[period] = self.words.closing_us(period)
        return said.at_us >= self._closings[period] or self._came_after(said, period)

    def _period(self, at_us: int) -> str:
        """The settlement period of a moment."""
        quarter = at_us // QUARTER_HOUR_US
        if quarter not in self._periods:
            self._periods[quarter] = settled_period(self.words, instant(at_us))
        return self._periods[quarter]

    def _subject(
        self, said: OccurrenceEvent, change: OccurrenceChange, metric: str
    ) -> ProposalSubject:
        """What is proposed: of the first period that is changed, or to which something is added."""
        first_us = change.first_us
        if metric in self.by_begin and not change.adds:
            first_us = min(first_us, change.start_us)
        return ProposalSubject(said.row, "correction", metric, self._period(first_us))

    def _standing(
        self, said: OccurrenceEvent, change: OccurrenceChange, subject: ProposalSubject
    ) -> StatementStanding | None:
        """What comes of what is told after the close; None where it counts at once."""
        words, period = self.words, subject.period
        party = words.party_of(self.facts, said.row)
        sides = words.sides("figure", party, period)
        if party not in (sides.buyer, sides.vendor):
            return None
        if self._is_worse_for(change, subject, is_vendor=party == sides.vendor):
            return None
        return words.told_late(self.facts, subject, changes=not change.adds)

    def _is_worse_for(
        self, change: OccurrenceChange, subject: ProposalSubject, *, is_vendor: bool
    ) -> bool:
        """Whether a change makes a figure clearly worse for the one who makes it."""
        if change.only_calls_off:  # it is the buyer to whom it is owed
            return not is_vendor
        metric = ruling(self.words.programmes, subject.period).metric(subject.name)
        if metric is None or subject.name in self.unclear or not change.longer:
            return False
        if metric.heartbeat is not None or not _is_in_pieces(self.words.programmes, metric):
            return False
        if change.is_first and not _is_up_by_silence(self.words.programmes, metric):
            return False
        falls = isinstance(metric.measure, AvailabilityByOutages)
        rises = (change.longer > 0) != falls
        return (rises == (metric.better == "higher")) != is_vendor

    def _proposal(
        self,
        occurrence: ToldOccurrence,
        said: OccurrenceEvent,
        subject: ProposalSubject,
        stands: StatementStanding,
        before: OccurrenceEvent | None,
    ) -> Proposal:
        source, event_id = self._key(said)
        kind = NAMED_BY[occurrence.kind]
        tells = f"it says anew what {kind} is" if before is not None else f"it tells of {kind}"
        return Proposal(
            event=EventRef(source=source, id=event_id),
            payload=payload_text(self.facts, said.row),
            at=instant(said.at_us),
            party=self.words.party_of(self.facts, said.row),
            correction=ProposedCorrection(
                corrects=None if before is None else self.facts.ids[before.row],
                name=subject.name,
                period=subject.period,
                data=dict(said.data),
                reason=str(said.data.get("cause") or tells),
            ),
            state=stands.state or "open",
            awaits=stands.awaits,
            answers=answer_facts(stands),
        )


def _is_in_pieces(programmes: Sequence[Programme], metric: Metric) -> bool:
    """Whether each period counts the time of an occurrence that lies in it, by every version: so
    that a longer one is never better anywhere."""
    found = [version.metric(metric.metric) for version in programmes]
    return all(
        isinstance(each.measure, _LengthMeasure) and each.measure.across_periods in (None, "split")
        for each in found
        if each is not None
    )


def _is_up_by_silence(programmes: Sequence[Programme], metric: Metric) -> bool:
    """Whether a window without an outage has a figure, so that one more makes it no better."""
    found = [version.metric(metric.metric) for version in programmes]
    return all(
        isinstance(each.measure, AvailabilityByOutages | OutageTime)
        and each.measure.silence == "up"
        for each in found
        if each is not None
    )


def _by_their_begin(
    programmes: Sequence[Programme], agreements: Sequence[Agreement]
) -> frozenset[str]:
    """The metrics whose occurrences the period in which they begin counts as a whole, by the
    metric or by a term in any version, or by which only those count that are long enough."""
    stated = {
        metric.metric
        for version in programmes
        for metric in version.metrics
        if getattr(metric.measure, "across_periods", None) == "begins"
        or metric.interruptions
        or metric.slices
    }
    by_terms = {
        metric
        for agreement in agreements
        for metric, looks in looked_at(agreement).items()
        if "begins" in looks
    }
    return frozenset(stated | by_terms)
