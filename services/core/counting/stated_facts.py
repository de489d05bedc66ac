"""Charges, circumstances and declared figures: what counts, and what is only proposed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

import numpy as np

from schemas.agreement import Agreement
from schemas.evaluation import AnswerFact, ChargeFact, CircumstanceFact, EventRef, Proposal
from schemas.event import Charge, Circumstance, Figure
from schemas.frame import Facts
from schemas.period import first_day
from schemas.programme import Programme
from services.core.calendar.windows import instant, microseconds, overlaps, window_of
from services.core.counting.carried import carries
from services.core.counting.measures.counting import DeclaredFigures
from services.core.counting.measures.question import reference
from services.core.events.facts import CHARGE, CIRCUMSTANCE, FIGURE
from services.core.events.wanted import lengths_asked
from services.core.events.whose_word import (
    GivenAnswer,
    StatementStanding,
    answers_in,
    decisions_of,
    fitting,
    parties_of,
    sides_of,
    standing,
    word_of,
)

_OneStatement = TypeVar("_OneStatement", Charge, Circumstance, Figure)


@dataclass(frozen=True, slots=True)
class StatedFacts:
    """What is stated of an agreement's period, in the order in which it came to stand.

    Of charges the last of each name; of circumstances all, as several may be stated about one
    thing. ``proposals``: what a party stated whose word does not count, whatever became of it.
    """

    charges: tuple[ChargeFact, ...]
    circumstances: tuple[CircumstanceFact, ...]
    proposals: tuple[Proposal, ...]
    figures: DeclaredFigures


@dataclass(frozen=True, slots=True)
class _StatedRow:
    """A charge or circumstance with its place among the facts and what it comes to."""

    row: int
    said: Charge | Circumstance | Figure
    party: str
    standing: StatementStanding


def stated_facts(
    facts: Facts, programmes: Sequence[Programme], agreements: Sequence[Agreement], period: str
) -> StatedFacts:
    """What is stated for time of a settlement period, and what its terms look at beside it.

    ``facts``: as they stand after corrections. ``programmes``, ``agreements``: all versions of the
    programme and of the agreement. What is stated of another time: see `carries`.
    """
    words = _Words.of(facts, programmes, agreements)
    asked = lengths_asked(programmes, agreements)
    found = [
        *_rows(facts, CHARGE, Charge, words, period),
        *_rows(facts, CIRCUMSTANCE, Circumstance, words, period),
    ]
    figures = [
        each
        for each in _rows(facts, FIGURE, Figure, words, period)
        if each.party and _name(each.said) in asked
    ]
    counted = sorted(
        (each for each in found if each.standing.counts), key=lambda each: each.standing.since_us
    )
    charges: dict[tuple[str, str, str | None, bool | None], ChargeFact] = {}
    circumstances = []
    for each in counted:
        event, at = reference(facts, each.row), _at(facts, each.row)
        if isinstance(each.said, Circumstance):
            circumstances.append(CircumstanceFact(event=event, at=at, circumstance=each.said))
            continue
        assert isinstance(each.said, Charge), "figures are counted elsewhere"
        charge = each.said
        name = charge.base, charge.period, charge.subject, charge.credit_note
        charges.pop(name, None)
        charges[name] = ChargeFact(event=event, at=at, charge=charge)
    proposed = [each for each in (*found, *figures) if each.standing.state is not None]
    return StatedFacts(
        tuple(charges.values()),
        tuple(circumstances),
        tuple(_proposal(facts, each) for each in proposed),
        _declared(figures),
    )


def _declared(figures: Sequence[_StatedRow]) -> DeclaredFigures:
    """What becomes of declared figures: those that do not count are left out."""
    left_out = [each.row for each in figures if not each.standing.counts]
    since_us = {
        each.row: each.standing.since_us for each in figures if each.standing.state == "accepted"
    }
    return DeclaredFigures(np.array(sorted(left_out), np.intp), since_us)


def _rows(
    facts: Facts,
    kind: int,
    model: type[_OneStatement],
    words: _Words,
    period: str,
) -> Iterator[_StatedRow]:
    """What was stated of this agreement and matters to the period, by time and identity."""
    programmes, agreements = words.programmes, words.agreements
    rows = np.flatnonzero(facts.kind == kind)
    for row in rows[np.argsort(facts.at_us[rows], kind="stable")].tolist():
        said = model.model_validate_json(facts.data[row])
        if isinstance(said, Figure):
            matters = overlaps(period, said.period)
        else:
            matters = said.agreement == agreements[0].agreement and (
                overlaps(period, said.period)
                or carries(programmes, agreements, period, said.period, _name(said))
            )
        if matters:
            party = words.parties.get(facts.sources[facts.source[row]], "")
            yield _StatedRow(row, said, party, words.standing_of(facts, row, said, party))


@dataclass(frozen=True, slots=True)
class _Words:
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
    ) -> _Words:
        """``facts`` hold the answers; the versions are all there are."""
        parties = parties_of(programmes)
        decisions = {each.version: decisions_of(each) for each in agreements}
        return cls(programmes, agreements, parties, answers_in(facts, parties), decisions)

    def standing_of(
        self, facts: Facts, row: int, said: Charge | Circumstance | Figure, party: str
    ) -> StatementStanding:
        """What a statement of a party comes to, by the versions that rule its period."""
        programme = _ruling(self.programmes, said.period)
        agreement = _ruling(self.agreements, said.period)
        states, name = _KINDS[type(said)], _name(said)
        given = self.answers.get((facts.sources[facts.source[row]], facts.ids[row]), ())
        payload = _payload(facts, row)
        return standing(
            word_of(programme, agreement, self.decisions[agreement.version], states, name),
            party,
            int(facts.at_us[row]),
            sides_of(programme, agreement, states, party),
            fitting(given, states, name, said.period, agreement.agreement, payload),
            programme.whose_word.silence,
            _closing_us(programme, agreement, said.period),
        )


_OneVersion = TypeVar("_OneVersion", Programme, Agreement)


def _ruling(versions: Sequence[_OneVersion], label: str) -> _OneVersion:
    """The version in force on a period's first day; before the first version, the first."""
    ordered = sorted(versions, key=lambda each: each.version, reverse=True)
    day = first_day(label)
    return next((each for each in ordered if each.effective_from <= day), ordered[-1])


def _closing_us(programme: Programme, agreement: Agreement, label: str) -> int:
    """From when a period can be closed, in event time."""
    end = window_of(label, programme.time_zone).end
    return microseconds(end) + agreement.lateness_hours * 3_600_000_000


_KINDS: dict[type, str] = {Charge: "charge", Circumstance: "circumstance", Figure: "figure"}


def _name(said: Charge | Circumstance | Figure) -> str:
    if isinstance(said, Figure):
        return said.metric
    return said.base if isinstance(said, Charge) else said.circumstance


def _proposal(facts: Facts, each: _StatedRow) -> Proposal:
    found = each.standing
    return Proposal(
        event=reference(facts, each.row),
        payload=_payload(facts, each.row),
        at=_at(facts, each.row),
        party=each.party,
        charge=each.said if isinstance(each.said, Charge) else None,
        circumstance=each.said if isinstance(each.said, Circumstance) else None,
        figure=each.said if isinstance(each.said, Figure) else None,
        state=found.state or "open",
        by_silence=found.by_silence,
        awaits=found.awaits,
        answers=tuple(
            AnswerFact(
                event=EventRef(source=one.source, id=one.id),
                at=instant(one.at_us),
                party=one.party,
                answer=one.answer.answer,
                reason=one.answer.reason,
            )
            for one in found.answers
        ),
    )


def _payload(facts: Facts, row: int) -> str:
    return f"{int(facts.payload[row]):016x}"


def _at(facts: Facts, row: int) -> datetime:
    return instant(int(facts.at_us[row]))
