"""Events after the close that change what was said of an outage, ticket or delivery before.

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
from services.core.calendar.windows import DAY_US, instant
from services.core.counting.late_corrections import (
    ClosedBefore,
    LateCorrections,
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
from services.core.events.wanted import metrics_read
from services.core.events.whose_word import StatementStanding
from services.core.exact.budget import Budget

_QUARTER_US = DAY_US // 96
"""No day begins within a quarter of an hour, in any time zone."""
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
    """What becomes of the events that change what others have said, for one agreement.

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
        unclear_metrics(agreements),
        _by_their_begin(programmes, agreements),
    )
    proposals: list[Proposal] = []
    for each in told:
        if names[each.metric] in read:
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

    def proposals(self, occurrence: ToldOccurrence, metric: str) -> Iterator[Proposal]:
        """What is proposed of an occurrence; what is without effect goes to ``held``.

        What had not come before the close of the period in which it lies is looked at after all
        else: it changes what has been counted, wherever its time puts it.
        """
        back = {each.row for each in occurrence.told if self._is_dated_back(each)}
        so_far = OccurrenceSoFar(occurrence.kind)
        for said in sorted(occurrence.told, key=lambda each: (each.row in back, each.order)):
            self.budget.spend(so_far.steps(said))
            change = so_far.change(said, dated_back=said.row in back)
            key = self._key(said)
            stands = None
            if change is not None:
                first_us = change.start_us if metric in self.by_begin else change.first_us
                period = self._period(min(first_us, change.first_us))
                subject = ProposalSubject(said.row, "correction", metric, period)
                stands = self._standing(key, said, change, subject)
                if stands is not None:
                    corrected = self.facts.ids[so_far.before(said).row]
                    yield self._proposal(occurrence, said, subject, stands, corrected)
            if stands is None or stands.counts or key in self.as_accepted:
                so_far.hear(said)
            else:
                self.held.add(key)

    def _key(self, said: OccurrenceEvent) -> EventKey:
        return self.facts.sources[self.facts.source[said.row]], self.facts.ids[said.row]

    def _is_dated_back(self, said: OccurrenceEvent) -> bool:
        closed_before = self.closed_before
        return closed_before is not None and closed_before(
            self._key(said), self._period(said.at_us)
        )

    def _period(self, at_us: int) -> str:
        """The settlement period of a moment."""
        quarter = at_us // _QUARTER_US
        if quarter not in self._periods:
            self._periods[quarter] = settled_period(self.words, instant(at_us))
        return self._periods[quarter]

    def _standing(
        self,
        key: EventKey,
        said: OccurrenceEvent,
        change: OccurrenceChange,
        subject: ProposalSubject,
    ) -> StatementStanding | None:
        """What the change comes to; None where it counts at once."""
        words, period = self.words, subject.period
        is_late = said.at_us >= words.closing_us(period) or (
            self.closed_before is not None and self.closed_before(key, period)
        )
        party = words.party_of(self.facts, said.row)
        sides = words.sides("figure", party, period)
        if not is_late or party not in (sides.buyer, sides.vendor):
            return None
        if self._is_worse_for(change, subject, is_vendor=party == sides.vendor):
            return None
        return words.standing_of(self.facts, subject, "both", None)

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
        falls = isinstance(metric.measure, AvailabilityByOutages)
        rises = (change.longer > 0) != falls
        return (rises == (metric.better == "higher")) != is_vendor

    def _proposal(
        self,
        occurrence: ToldOccurrence,
        said: OccurrenceEvent,
        subject: ProposalSubject,
        stands: StatementStanding,
        corrected: str,
    ) -> Proposal:
        source, event_id = self._key(said)
        kind = NAMED_BY[occurrence.kind]
        return Proposal(
            event=EventRef(source=source, id=event_id),
            payload=payload_text(self.facts, said.row),
            at=instant(said.at_us),
            party=self.words.party_of(self.facts, said.row),
            correction=ProposedCorrection(
                corrects=corrected,
                name=subject.name,
                period=subject.period,
                data=dict(said.data),
                reason=str(said.data.get("cause") or f"it says anew what {kind} is"),
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


def _by_their_begin(
    programmes: Sequence[Programme], agreements: Sequence[Agreement]
) -> frozenset[str]:
    """The metrics whose occurrences the period in which they begin counts as a whole, by the
    metric or by a term in any version."""
    stated = {
        metric.metric
        for version in programmes
        for metric in version.metrics
        if getattr(metric.measure, "across_periods", None) == "begins"
    }
    by_terms = {
        metric
        for agreement in agreements
        for metric, looks in looked_at(agreement).items()
        if "begins" in looks
    }
    return frozenset(stated | by_terms)
