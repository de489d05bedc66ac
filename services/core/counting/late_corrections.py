"""Corrections that come after the close of their event's period: which of them count at once.

A party that the agreement makes pay or be paid has an interest in what it corrects. Until its
period can be closed, its correction counts at once; afterwards it is a proposal to the other side.
It counts at once all the same where the party's own word counts for what it corrects, where it
makes a measured value clearly worse for the party itself, and where the party is a third one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from fractions import Fraction
from typing import Any, Protocol

import msgspec

from schemas.agreement import Agreement
from schemas.evaluation import EventRef, Proposal, ProposedCorrection
from schemas.frame import Facts
from schemas.period import first_day, label_of
from schemas.programme import Metric, Programme, WithinLimit
from services.core.calendar.windows import instant, label_at
from services.core.counting.stated_facts import answer_facts
from services.core.counting.words import ProposalSubject, Words, payload_text, ruling
from services.core.events.corrections import Acceptor, EventKey, RootedCorrection
from services.core.events.facts import (
    ANSWER,
    CHARGE,
    CIRCUMSTANCE,
    COUNT,
    FIGURE,
    NO_METRIC,
    RESPONSE,
    SAMPLE,
    STATES_A_PERIOD,
    TYPE_OF_KIND,
    Index,
    Row,
)
from services.core.events.wanted import metrics_read, read_beside_levels
from services.core.events.whose_word import StatementStanding, awaited

MOST_OPEN = 1000
"""So many open ones of each party are listed as proposals; those beyond follow as these are
answered."""


class ClosedBefore(Protocol):
    """What is known of when events came, whatever time they state."""

    def __call__(self, key: EventKey, period: str) -> bool:
        """Whether a period had been closed when an event was accepted."""

    def may_be_late(self, facts: Facts) -> Index:
        """The rows of measured values among which all are that came after the close of the period
        in which their time lies."""


@dataclass(frozen=True, slots=True)
class LateCorrections:
    """``held``: events without effect in the agreement: corrections, and what is measured or told
    after the close. ``proposals``: with their answers."""

    held: frozenset[EventKey] = frozenset()
    proposals: tuple[Proposal, ...] = ()

    def and_also(self, others: LateCorrections) -> LateCorrections:
        """Both together; of the open ones as many as are listed."""
        found = sorted((*self.proposals, *others.proposals), key=lambda each: each.at)
        return LateCorrections(self.held | others.held, tuple(_listed(found)))


NOTHING_LATE = LateCorrections()


def late_corrections(
    facts: Facts,
    made: Sequence[RootedCorrection],
    programmes: Sequence[Programme],
    agreements: Sequence[Agreement],
    names: Mapping[int, str],
    judge: Acceptor,
    refused: Collection[EventKey] = (),
    closed_before: ClosedBefore | None = None,
    as_accepted: Collection[EventKey] = (),
) -> LateCorrections:
    """What becomes of the corrections that one agreement is settled by.

    ``facts``: raw and distinct. ``made``: the corrections among them, as `rooted` finds them.
    ``programmes``, ``agreements``: all versions. ``names``: metric
    number to name. ``refused``: corrections that do not fit anyway. ``closed_before``: None where
    nothing is known but the times of events. ``as_accepted``: proposals to be taken as accepted.
    """
    if not made:
        return LateCorrections()
    search = _Search(
        facts,
        Words.of(facts, programmes, agreements),
        names,
        judge,
        metrics_read(programmes, agreements),
        unclear_metrics(agreements),
    )
    held: dict[EventKey, None] = {}
    proposals: list[Proposal] = []
    for each in made:
        subject = search.subject_of(each)
        if subject is None or each.key in refused:
            continue
        late = each.at_us >= search.words.closing_us(subject.period) or (
            closed_before is not None and closed_before(each.key, subject.period)
        )
        stands = search.standing_of(each, subject, late=late)
        counts = stands is None or stands.counts or each.key in as_accepted
        search.note(each, counts=counts)
        if not counts:
            held[each.key] = None
        if stands is not None:
            proposals.append(_proposal(facts, search.words, each, subject, stands))
    return LateCorrections(frozenset(held), tuple(proposals))


def _listed(proposals: Iterable[Proposal]) -> Iterator[Proposal]:
    """Of the open ones the first of each party: one does not take the other's room."""
    open_ones: Counter[str] = Counter()
    for each in proposals:
        open_ones[each.party] += each.state == "open"
        if each.state != "open" or open_ones[each.party] <= MOST_OPEN:
            yield each


@dataclass(slots=True)
class _Search:
    """Corrections looked at one after another. ``standing``: by row of an event, what it says as
    far as corrections that count have changed it; None: that cannot be compared.

    ``read``: metrics that the agreement looks at. ``unclear``: see `unclear_metrics`.
    """

    facts: Facts
    words: Words
    names: Mapping[int, str]
    judge: Acceptor
    read: Collection[str]
    unclear: Collection[str]
    standing: dict[int, Row | None] = field(default_factory=dict)

    def subject_of(self, made: RootedCorrection) -> ProposalSubject | None:
        """What a correction is about in the agreement, by the first period that it touches; None
        where it is about nothing that the agreement looks at."""
        facts, row = self.facts, made.event_row
        kind, metric = int(facts.kind[row]), int(facts.metric[row])
        told = msgspec.json.decode(facts.data[row]) if kind in STATES_A_PERIOD else {}
        if metric == NO_METRIC:
            if kind == ANSWER or told["agreement"] != self.words.agreements[0].agreement:
                return None
            name = told["base"] if kind == CHARGE else told["circumstance"]
        else:
            name = self.names[metric]
            if name not in self.read:
                return None
        at_us = int(facts.at_us[row])
        first = self._period(told["period"]) if told else self._period_at(instant(at_us))
        periods = {first, *self._moved_to(made, states_a_period=bool(told))}
        period = min(periods, key=self.words.closing_us)
        return ProposalSubject(made.row, "correction", name, period)

    def _moved_to(self, made: RootedCorrection, *, states_a_period: bool) -> Iterator[str]:
        """The settlement periods into which a correction puts its event, as far as it says so.

        One of a correction says it in what it puts in place of that.
        """
        said: Mapping[str, Any] = made.correction.model_dump(mode="json")
        depth = 0
        while isinstance(inner := said.get("data"), Mapping) and "corrects" in inner:
            said, depth = inner, depth + 1
        if depth == 0 and not made.is_direct:
            return
        data = said.get("data")
        if states_a_period:
            if isinstance(data, Mapping) and isinstance(label := data.get("period"), str):
                with suppress(ValueError):  # it does not fit, and a count says so
                    yield self._period(label)
        elif isinstance(time := said.get("time"), str):
            with suppress(ValueError):
                yield self._period_at(datetime.fromisoformat(time))

    def _period_at(self, at: datetime) -> str:
        return settled_period(self.words, at)

    def _period(self, label: str) -> str:
        return _settled_label(self.words, label)

    def standing_of(
        self, made: RootedCorrection, subject: ProposalSubject, *, late: bool
    ) -> StatementStanding | None:
        """What a correction comes to; None where it counts at once."""
        words, party = self.words, self.words.party_of(self.facts, made.row)
        programme = ruling(words.programmes, subject.period)
        sides = words.sides("figure", party, subject.period)
        if not late or party not in (sides.buyer, sides.vendor):
            return None
        word = self._word(made.event_row, subject)
        if not awaited(word, party, sides):
            return None
        if self._is_worse_for(made, programme, is_vendor=party == sides.vendor):
            return None
        return words.standing_of(self.facts, subject, word, None)

    def _word(self, event_row: int, subject: ProposalSubject) -> str:
        """Whose word counts for the corrected event. What is measured takes both sides."""
        states = _STATES.get(int(self.facts.kind[event_row]))
        if states is None:
            return "both"
        return self.words.word(states, subject.name, subject.period)

    def note(self, made: RootedCorrection, *, counts: bool) -> None:
        """Remember what an event says from a correction on that counts."""
        if counts:
            self.standing[made.event_row] = self._instead(made)

    def _instead(self, made: RootedCorrection) -> Row | None:
        """What a correction puts in place of its event; None where that cannot be compared."""
        facts, row, said = self.facts, made.event_row, made.correction
        if not made.is_direct or said.data is None or said.time is not None:
            return None
        source, event_id = facts.sources[facts.source[row]], facts.ids[row]
        type_, at_us = TYPE_OF_KIND[int(facts.kind[row])], int(facts.at_us[row])
        found = self.judge(source, event_id, type_, at_us, said.data)
        return found if isinstance(found, Row) else None

    def _is_worse_for(
        self, made: RootedCorrection, programme: Programme, *, is_vendor: bool
    ) -> bool:
        """Whether a correction makes a measured value clearly worse for the one who makes it."""
        row = made.event_row
        metric = programme.metric(self.names.get(int(self.facts.metric[row]), ""))
        before = self.standing.get(row, _row_at(self.facts, row))
        after = self._instead(made)
        if metric is None or before is None or after is None or metric.metric in self.unclear:
            return False
        if (before.metric, before.subject) != (after.metric, after.subject):
            return False
        rise = _rise(metric, before, after)
        is_better = (rise > 0) == (metric.better == "higher")
        return rise != 0 and is_better != is_vendor


def settled_period(words: Words, at: datetime) -> str:
    """The settlement period of a moment; what is before the first one is in it."""
    return _settled_label(words, label_at(at, words.programmes[-1].time_zone, "day"))


def _settled_label(words: Words, label: str) -> str:
    """The settlement period in which a period begins; what is before the first one is in it."""
    version = ruling(words.agreements, label)
    first = min(words.agreements, key=lambda each: each.version)
    return label_of(max(first_day(label), first.effective_from), version.settled)


def _rise(metric: Metric, before: Row, after: Row) -> Fraction:
    """Above 0 where the figure rises or stays, below where it falls or stays, whatever else was
    measured; 0 where that cannot be told."""
    if isinstance(metric.measure, WithinLimit):
        return Fraction(0)
    if before.kind == SAMPLE:
        return Fraction(after.value - before.value)
    if before.kind == COUNT and before.scale_or_total == after.scale_or_total:
        return Fraction(after.value - before.value)
    if before.kind == RESPONSE:
        scale, other = Fraction(10) ** before.scale_or_total, Fraction(10) ** after.scale_or_total
        return after.value / other - before.value / scale
    return Fraction(0)


def _row_at(facts: Facts, row: int) -> Row:
    code = int(facts.subject[row])
    return Row(
        facts.sources[facts.source[row]],
        facts.ids[row],
        b"",
        b"",
        int(facts.kind[row]),
        int(facts.metric[row]),
        int(facts.at_us[row]),
        int(facts.value[row]),
        int(facts.scale_or_total[row]),
        None if code < 0 else facts.subjects[code],
        facts.data[row],
    )


def counts_anywhere(programmes: Iterable[Programme], metric: str, source: str) -> bool:
    """Whether events of a source count in a metric, by any version: those that are only compared
    with the binding source's change no amount."""
    found = (version.metric(metric) for version in programmes)
    return any(each is not None and each.binding in (None, source) for each in found)


def unclear_metrics(agreements: Sequence[Agreement]) -> frozenset[str]:
    """Metrics of which a worse result may be better for whoever owes it: those that prices or
    reliefs read beside levels, and those of levels that earlier results move."""
    found: set[str] = set()
    for agreement in agreements:
        for level in agreement.levels:
            found.update(read_beside_levels(agreement))
            if level.moves is not None:
                found.add(level.metric)
    return frozenset(found)


_STATES = {CHARGE: "charge", CIRCUMSTANCE: "circumstance", FIGURE: "figure"}


def _proposal(
    facts: Facts,
    words: Words,
    made: RootedCorrection,
    subject: ProposalSubject,
    stands: StatementStanding,
) -> Proposal:
    said = made.correction
    return Proposal(
        event=EventRef(source=made.key[0], id=made.key[1]),
        payload=payload_text(facts, made.row),
        at=instant(made.at_us),
        party=words.party_of(facts, made.row),
        correction=ProposedCorrection(
            corrects=said.corrects,
            name=subject.name,
            period=subject.period,
            data=said.data,
            time=said.time,
            reason=said.reason,
        ),
        state=stands.state or "open",
        awaits=stands.awaits,
        answers=answer_facts(stands),
    )
