"""Values that are measured or sent after the close of their period: which of them count at once.

The same rule holds for them as for corrections, see `late_corrections`. Whether a value is worse
for whoever sends it is seen by that value alone: so what was believed stays so, whatever else comes
and in whatever order.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np

from schemas.agreement import Agreement
from schemas.evaluation import EventRef, Proposal, ProposedCorrection
from schemas.frame import Facts
from schemas.programme import (
    AvailabilityBySamples,
    Extreme,
    Metric,
    Programme,
    Ratio,
    Total,
    WithinLimit,
)
from services.core.calendar.windows import DAY_US, QUARTER_HOUR_US, instant, label_at
from services.core.counting.late_corrections import (
    MOST_OPEN,
    ClosedBefore,
    LateCorrections,
    counts_anywhere,
    settled_period,
    unclear_metrics,
)
from services.core.counting.stated_facts import answer_facts
from services.core.counting.words import ProposalSubject, Words, payload_text, ruling
from services.core.events.corrections import EventKey
from services.core.events.facts import (
    COUNT,
    RESPONSE,
    SAMPLE,
    TYPE_OF_KIND,
    VOLUME,
    measured_data,
)
from services.core.events.wanted import metrics_read
from services.core.events.whose_word import StatementStanding
from services.core.exact.budget import Budget

MEASURED = (SAMPLE, COUNT, RESPONSE, VOLUME)
"""The kinds whose time says where they count, and that stand alone."""

_MetricDay = tuple[int, int, str]
"""Metric, subject and day."""


def late_measurements(
    facts: Facts,
    programmes: Sequence[Programme],
    agreements: Sequence[Agreement],
    names: Mapping[int, str],
    budget: Budget,
    closed_before: ClosedBefore | None = None,
    as_accepted: Collection[EventKey] = (),
) -> LateCorrections:
    """What becomes of the values that came after the close of their period, for one agreement.

    ``facts``: with the corrections that count. ``programmes``, ``agreements``: all versions.
    ``names``: metric number to name. ``closed_before``, ``as_accepted``: see `late_corrections`;
    without the first nothing is late, since a value's time says nothing of when it came. Raises
    OverBudget.
    """
    if closed_before is None:
        return LateCorrections()
    rows = closed_before.may_be_late(facts)
    read = metrics_read(programmes, agreements)
    found = [
        row
        for row in rows[np.isin(facts.kind[rows], MEASURED)].tolist()
        if names.get(int(facts.metric[row])) in read
    ]
    if not found:
        return LateCorrections()
    words = Words.of(facts, programmes, agreements)
    unclear = unclear_metrics(agreements) | _heartbeats(programmes) | _in_hours(programmes)
    search = _LateValues(facts, words, names, closed_before, unclear, budget)
    return search.found(search.late(found), as_accepted)


@dataclass(slots=True)
class _LateValues:
    """Late values looked at one by one. ``unclear``: metrics of which none is clearly worse."""

    facts: Facts
    words: Words
    names: Mapping[int, str]
    closed_before: ClosedBefore
    unclear: Collection[str]
    budget: Budget
    _periods: dict[int, str] = field(default_factory=dict)
    _days: dict[int, str] = field(default_factory=dict)

    def late(self, rows: Sequence[int]) -> list[int]:
        """Those that an interested party sent after the close, and that may change an amount."""
        facts, found = self.facts, []
        counts: dict[tuple[int, int], bool] = {}
        self.budget.spend(len(rows))
        for row in rows:
            which = int(facts.source[row]), int(facts.metric[row])
            if which not in counts:
                counts[which] = self._may_count(facts.sources[which[0]], self.names[which[1]])
            if counts[which] and self.closed_before(self._key(row), self._period(row)):
                found.append(row)
        return sorted(found, key=lambda row: (int(facts.at_us[row]), *self._key(row)))

    def _may_count(self, source: str, metric: str) -> bool:
        programmes, party = self.words.programmes, self.words.parties.get(source)
        sides = {party for each in programmes for party in (each.buyer, *_vendors(each))}
        return party in sides and counts_anywhere(programmes, metric, source)

    def found(self, late: Sequence[int], as_accepted: Collection[EventKey]) -> LateCorrections:
        """What is held, and the proposals: of the open ones no more than are listed."""
        beside = self._beside(late)
        held: set[EventKey] = set()
        proposals: list[Proposal] = []
        open_ones: dict[str, int] = {}
        for row in late:
            key, subject = self._key(row), self._subject(row)
            stands = self._standing(row, subject, beside)
            if stands is None:
                continue
            if not stands.counts and key not in as_accepted:
                held.add(key)
            party = self.words.party_of(self.facts, row)
            if stands.state == "open":
                open_ones[party] = open_ones.get(party, 0) + 1
            if stands.state != "open" or open_ones[party] <= MOST_OPEN:
                proposals.append(self._proposal(row, subject, stands))
        return LateCorrections(frozenset(held), tuple(proposals))

    def _beside(self, late: Sequence[int]) -> set[_MetricDay]:
        """Where other values of the same metric, subject and day stand beside the late ones."""
        facts = self.facts
        if not late:
            return set()
        at_us = facts.at_us[late]
        near = (facts.at_us >= at_us.min() - DAY_US) & (facts.at_us <= at_us.max() + DAY_US)
        near &= np.isin(facts.metric, np.unique(facts.metric[late])) & np.isin(facts.kind, MEASURED)
        near[late] = False
        columns = (facts.metric, facts.subject, facts.at_us // QUARTER_HOUR_US, facts.source)
        stack = np.stack([column[near].astype(np.int64) for column in columns])
        return {
            (metric, subject, self._day(quarter))
            for metric, subject, quarter, source in np.unique(stack, axis=1).T.tolist()
            if counts_anywhere(self.words.programmes, self.names[metric], facts.sources[source])
        }

    def _key(self, row: int) -> EventKey:
        return self.facts.sources[self.facts.source[row]], self.facts.ids[row]

    def _period(self, row: int) -> str:
        quarter = int(self.facts.at_us[row]) // QUARTER_HOUR_US
        if quarter not in self._periods:
            self._periods[quarter] = settled_period(self.words, instant(quarter * QUARTER_HOUR_US))
        return self._periods[quarter]

    def _day(self, quarter: int) -> str:
        if quarter not in self._days:
            zone = self.words.programmes[-1].time_zone
            self._days[quarter] = label_at(instant(quarter * QUARTER_HOUR_US), zone, "day")
        return self._days[quarter]

    def _subject(self, row: int) -> ProposalSubject:
        name = self.names[int(self.facts.metric[row])]
        return ProposalSubject(row, "correction", name, self._period(row))

    def _standing(
        self, row: int, subject: ProposalSubject, beside: Collection[_MetricDay]
    ) -> StatementStanding | None:
        """What a late value comes to; None where it counts at once."""
        facts, words = self.facts, self.words
        party = words.party_of(facts, row)
        place = (
            int(facts.metric[row]),
            int(facts.subject[row]),
            self._day(int(facts.at_us[row]) // QUARTER_HOUR_US),
        )
        metric = ruling(words.programmes, subject.period).metric(subject.name)
        if metric is not None and subject.name not in self.unclear and place in beside:
            rise = _rise(facts, row, metric)
            is_vendor = party != ruling(words.programmes, subject.period).buyer
            if rise and ((rise > 0) == (metric.better == "higher")) != is_vendor:
                return None
        return words.told_late(facts, subject, changes=False)

    def _proposal(self, row: int, subject: ProposalSubject, stands: StatementStanding) -> Proposal:
        facts, (source, event_id) = self.facts, self._key(row)
        kind, code = int(facts.kind[row]), int(facts.subject[row])
        pair = int(facts.value[row]), int(facts.scale_or_total[row])
        told = None if code < 0 else facts.subjects[code]
        return Proposal(
            event=EventRef(source=source, id=event_id),
            payload=payload_text(facts, row),
            at=instant(int(facts.at_us[row])),
            party=self.words.party_of(facts, row),
            correction=ProposedCorrection(
                name=subject.name,
                period=subject.period,
                data=measured_data(kind, subject.name, *pair, told),
                reason=f"the {TYPE_OF_KIND[kind].split('.')[1]} came after the close",
            ),
            state=stands.state or "open",
            awaits=stands.awaits,
            answers=answer_facts(stands),
        )


def _vendors(programme: Programme) -> list[str]:
    return [each.vendor for each in programme.vendors]


def _heartbeats(programmes: Sequence[Programme]) -> frozenset[str]:
    """Metrics whose every value says of another one that somebody looked."""
    found = (metric.heartbeat for each in programmes for metric in each.metrics)
    return frozenset(each.metric for each in found if each is not None)


def _in_hours(programmes: Sequence[Programme]) -> frozenset[str]:
    """Metrics of which a value may count for nothing, and so may be the first that does."""
    return frozenset(
        metric.metric
        for each in programmes
        for metric in each.metrics
        if metric.business_hours is not None
    )


def _rise(facts: Facts, row: int, metric: Metric) -> int:
    """1 where one more value makes a figure rise or stay, -1 where it makes it fall or stay,
    whatever else was measured; 0 where that cannot be told.

    A status is 0: how long it holds is for the next one to say.
    """
    measure, kind = metric.measure, int(facts.kind[row])
    value, scale_or_total = int(facts.value[row]), int(facts.scale_or_total[row])
    if isinstance(measure, AvailabilityBySamples | Ratio):
        total = 1 if kind == SAMPLE else scale_or_total
        return 0 if total == 0 else (value == total) - (value == 0)
    if kind not in (RESPONSE, VOLUME):
        return 0
    if isinstance(measure, Extreme):
        return 1 if measure.kind == "maximum" else -1
    exact = Fraction(value, 10**scale_or_total)
    if isinstance(measure, Total):
        return (exact > 0) - (exact < 0)
    if isinstance(measure, WithinLimit):
        is_within = exact < measure.limit or (exact == measure.limit and measure.equal_is_within)
        return 1 if is_within else -1
    return 0
