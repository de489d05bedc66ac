"""Whose word counts in one agreement, and what was answered to whom."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from schemas.agreement import Agreement
from schemas.frame import Facts
from schemas.period import first_day
from schemas.programme import Programme
from schemas.whose_word import Silence
from services.core.calendar.windows import microseconds, window_of
from services.core.events.facts import payload_bytes
from services.core.events.whose_word import (
    GivenAnswer,
    Sides,
    StatementStanding,
    answers_in,
    awaited,
    decisions_of,
    fitting,
    parties_of,
    sides_of,
    standing,
    word_of,
)


@dataclass(frozen=True, slots=True)
class ProposalSubject:
    """What may be proposed: the row of its event, and what an answer to it names."""

    row: int
    states: str
    name: str
    period: str


@dataclass(frozen=True, slots=True)
class Words:
    """Whose word counts in an agreement, and what was answered.

    ``parties``: source to the party that it reports for. ``decisions``: by version of the
    agreement; one search through its terms serves all that is stated.
    """

    programmes: Sequence[Programme]
    agreements: Sequence[Agreement]
    parties: Mapping[str, str]
    answers: Mapping[tuple[str, str], Sequence[GivenAnswer]]
    decisions: Mapping[int, frozenset[str]]

    @classmethod
    def of(
        cls, facts: Facts, programmes: Sequence[Programme], agreements: Sequence[Agreement]
    ) -> Words:
        """``facts`` hold the answers; the versions are all there are."""
        parties = parties_of(programmes)
        decisions = {each.version: decisions_of(each) for each in agreements}
        return cls(programmes, agreements, parties, answers_in(facts, parties), decisions)

    def party_of(self, facts: Facts, row: int) -> str:
        """The party that an event speaks for; empty where its source is of no party."""
        return self.parties.get(facts.sources[facts.source[row]], "")

    def word(self, states: str, name: str, period: str) -> str:
        """Whose word counts for a charge, a circumstance or a figure of a period."""
        agreement = ruling(self.agreements, period)
        decisions = self.decisions[agreement.version]
        return word_of(ruling(self.programmes, period), agreement, decisions, states, name)

    def told_late(
        self, facts: Facts, subject: ProposalSubject, *, changes: bool
    ) -> StatementStanding | None:
        """What an event comes to that is told after the close; None where its party's word counts.

        ``changes``: it changes what was said before, which takes both sides. What is new is for
        those whose word the metric states.
        """
        metric = ruling(self.programmes, subject.period).metric(subject.name)
        own = metric.whose_word if metric is not None and not changes else None
        word, party = own or "both", self.party_of(facts, subject.row)
        if not awaited(word, party, self.sides(subject.states, party, subject.period)):
            return None
        return self.standing_of(facts, subject, word, None)

    def sides(self, states: str, party: str, period: str) -> Sides:
        """The sides of what a party states."""
        agreement = ruling(self.agreements, period)
        return sides_of(ruling(self.programmes, period), agreement, states, party)

    def standing_of(
        self, facts: Facts, subject: ProposalSubject, word: str, silence: Silence | None
    ) -> StatementStanding:
        """What a statement comes to, by the versions that rule its period."""
        row, period = subject.row, subject.period
        party = self.party_of(facts, row)
        given = self.answers.get((facts.sources[facts.source[row]], facts.ids[row]), ())
        agreement = self.agreements[0].agreement
        return standing(
            word,
            party,
            int(facts.at_us[row]),
            self.sides(subject.states, party, period),
            fitting(
                given, subject.states, subject.name, period, agreement, payload_text(facts, row)
            ),
            silence,
            self.closing_us(period),
        )

    def closing_us(self, period: str) -> int:
        """From when a period can be closed, in event time."""
        end = window_of(period, ruling(self.programmes, period).time_zone).end
        lateness = ruling(self.agreements, period).lateness_hours
        return microseconds(end) + lateness * 3_600_000_000


_OneVersion = TypeVar("_OneVersion", Programme, Agreement)


def ruling(versions: Sequence[_OneVersion], label: str) -> _OneVersion:
    """The version in force on a period's first day; before the first version, the first."""
    ordered = sorted(versions, key=lambda each: each.version, reverse=True)
    day = first_day(label)
    return next((each for each in ordered if each.effective_from <= day), ordered[-1])


def payload_text(facts: Facts, row: int) -> str:
    """The hash of what an event says, as an answer repeats it."""
    return payload_bytes(int(facts.payload_high[row]), int(facts.payload_low[row])).hex()
