"""Charges, circumstances and declared figures: what counts, and what is only proposed."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import TypeVar

import numpy as np

from schemas.agreement import Agreement
from schemas.evaluation import AnswerFact, ChargeFact, CircumstanceFact, EventRef, Proposal
from schemas.event import Charge, Circumstance, Figure
from schemas.frame import Facts
from schemas.programme import Programme
from services.core.calendar.windows import instant, overlaps
from services.core.counting.carried import carries
from services.core.counting.measures.counting import DeclaredFigures
from services.core.counting.measures.question import reference
from services.core.counting.words import ProposalSubject, Words, payload_text, ruling
from services.core.events.corrections import EventKey
from services.core.events.facts import CHARGE, CIRCUMSTANCE, FIGURE
from services.core.events.wanted import lengths_asked
from services.core.events.whose_word import StatementStanding

LAST_US = 2**62
"""Later than every event."""

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
    facts: Facts,
    programmes: Sequence[Programme],
    agreements: Sequence[Agreement],
    period: str,
    as_accepted: Collection[EventKey] = (),
) -> StatedFacts:
    """What is stated for time of a settlement period, and what its terms look at beside it.

    ``facts``: as they stand after corrections. ``programmes``, ``agreements``: all versions of the
    programme and of the agreement. What is stated of another time: see `carries`. ``as_accepted``:
    proposals that are taken as accepted after all others.
    """
    words = Words.of(facts, programmes, agreements)
    asked = lengths_asked(programmes, agreements)
    found = [
        *_rows(facts, CHARGE, Charge, words, period, as_accepted),
        *_rows(facts, CIRCUMSTANCE, Circumstance, words, period, as_accepted),
    ]
    figures = [
        each
        for each in _rows(facts, FIGURE, Figure, words, period, as_accepted)
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
    words: Words,
    period: str,
    as_accepted: Collection[EventKey],
) -> Iterator[_StatedRow]:
    """What was stated of this agreement and matters to the period, by time and identity."""
    programmes, agreements = words.programmes, words.agreements
    rows = np.flatnonzero(facts.kind == kind)
    for row in rows[np.argsort(facts.at_us[rows], kind="stable")].tolist():
        said = _read(model, facts.data[row])
        if isinstance(said, Figure):
            matters = overlaps(period, said.period)
        else:
            matters = said.agreement == agreements[0].agreement and (
                overlaps(period, said.period)
                or carries(programmes, agreements, period, said.period, _name(said))
            )
        if matters:
            states, name = _KINDS[type(said)], _name(said)
            stands = words.standing_of(
                facts,
                ProposalSubject(row, states, name, said.period),
                words.word(states, name, said.period),
                ruling(programmes, said.period).whose_word.silence,
            )
            if (facts.sources[facts.source[row]], facts.ids[row]) in as_accepted:
                stands = StatementStanding("accepted", LAST_US)
            yield _StatedRow(row, said, words.party_of(facts, row), stands)


@lru_cache(maxsize=8192)
def _read(model: type[_OneStatement], text: bytes) -> _OneStatement:
    """What a fact states. Each period of each agreement asks for those of all of them."""
    return model.model_validate_json(text)


_KINDS: dict[type, str] = {Charge: "charge", Circumstance: "circumstance", Figure: "figure"}


def _name(said: Charge | Circumstance | Figure) -> str:
    if isinstance(said, Figure):
        return said.metric
    return said.base if isinstance(said, Charge) else said.circumstance


def _proposal(facts: Facts, each: _StatedRow) -> Proposal:
    found = each.standing
    return Proposal(
        event=reference(facts, each.row),
        payload=payload_text(facts, each.row),
        at=_at(facts, each.row),
        party=each.party,
        charge=each.said if isinstance(each.said, Charge) else None,
        circumstance=each.said if isinstance(each.said, Circumstance) else None,
        figure=each.said if isinstance(each.said, Figure) else None,
        state=found.state or "open",
        by_silence=found.by_silence,
        awaits=found.awaits,
        answers=answer_facts(found),
    )


def answer_facts(found: StatementStanding) -> tuple[AnswerFact, ...]:
    """The answers to a proposal, as its evaluation lists them."""
    return tuple(
        AnswerFact(
            event=EventRef(source=one.source, id=one.id),
            at=instant(one.at_us),
            party=one.party,
            answer=one.answer.answer,
            reason=one.answer.reason,
        )
        for one in found.answers
    )


def _at(facts: Facts, row: int) -> datetime:
    return instant(int(facts.at_us[row]))
