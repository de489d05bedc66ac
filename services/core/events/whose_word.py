"""Whose word counts, and what becomes of what another party states: the one place that says so.

A statement of a party whose word counts stands at once. Any other is a proposal: it stands once
those whose word counts have accepted it, and by silence where the programme has a rule of it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from schemas.agreement import Agreement
from schemas.credit import Duration
from schemas.event import ProposalAnswer
from schemas.frame import Facts
from schemas.nested import nouns_in
from schemas.programme import Programme
from schemas.whose_word import Silence
from services.core.calendar.windows import DAY_US
from services.core.events.facts import ANSWER

ProposalState = Literal["open", "accepted", "rejected"]
CLAIM = "claim"


@dataclass(frozen=True, slots=True)
class Sides:
    """The parties of an agreement."""

    buyer: str
    vendor: str


@dataclass(frozen=True, slots=True)
class GivenAnswer:
    """An answer with its event."""

    source: str
    id: str
    party: str
    at_us: int
    answer: ProposalAnswer


@dataclass(frozen=True, slots=True)
class StatementStanding:
    """What a statement comes to. ``since_us``: from when it stands, where it does.

    ``state``: None where it counts by itself. ``awaits``: who has yet to answer a proposal.
    """

    state: ProposalState | None
    since_us: int
    awaits: tuple[str, ...] = ()
    answers: tuple[GivenAnswer, ...] = ()
    by_silence: bool = False

    @property
    def counts(self) -> bool:
        return self.state in (None, "accepted")


def sides_of(programme: Programme, agreement: Agreement, states: str, party: str) -> Sides:
    """The sides of a statement. Of what agreements may share, a figure and what is measured,
    whichever vendor states it."""
    vendors = {one.vendor for one in programme.vendors}
    own = states in ("figure", "correction") and party in vendors
    return Sides(programme.buyer, party if own else agreement.vendor)


def decisions_of(agreement: Agreement) -> frozenset[str]:
    """The circumstances by which a party makes a choice, and does not state what happened."""
    found = {CLAIM} if agreement.claim is not None else set()
    if agreement.critical_failure is not None:
        found.add(agreement.critical_failure.decision)
    if agreement.single_event is not None and agreement.single_event.choice is not None:
        found.add(agreement.single_event.choice)
    durations = (one for one in nouns_in(agreement.levels) if isinstance(one, Duration))
    found.update(one.asked for one in durations if one.asked is not None)
    return frozenset(found)


def word_of(
    programme: Programme,
    agreement: Agreement,
    decisions: Collection[str],
    states: str,
    name: str,
) -> str:
    """Whose word counts for a charge, a circumstance or a figure of that name.

    ``decisions``: those of the agreement, see `decisions_of`.
    """
    if states == "figure":
        metric = programme.metric(name)
        own = metric.whose_word if metric is not None else None
        return own or programme.whose_word.figures
    for each in agreement.whose_word:
        if (each.states, each.name) == (states, name):
            return each.of
    if states == "charge":
        return programme.whose_word.charges
    if name in decisions:
        return programme.whose_word.decisions
    return programme.whose_word.circumstances


def awaited(word: str, party: str, sides: Sides) -> frozenset[str]:
    """Who has to accept what a party states before it counts; nobody where its word counts."""
    both = frozenset((sides.buyer, sides.vendor))
    if word == "both":
        return both - {party}
    if word == "either":
        return frozenset() if party in both else both
    named = {"buyer": sides.buyer, "vendor": sides.vendor}.get(word, word)
    return frozenset({named}) - {party}


def standing(
    word: str,
    party: str,
    at_us: int,
    sides: Sides,
    answers: Sequence[GivenAnswer],
    silence: Silence | None,
    closing_us: int,
) -> StatementStanding:
    """What a statement of a party comes to.

    ``at_us``: its time. ``answers``: all that were given to it. ``closing_us``: when its period can
    be closed by event time, for the rule of silence.
    """
    needed = awaited(word, party, sides)
    if not needed:
        return StatementStanding(None, at_us)
    ends_us = None if silence is None else at_us + silence.after_days * DAY_US
    is_silent = ends_us is not None and ends_us <= closing_us
    given = [
        one
        for one in sorted(answers, key=lambda one: (one.at_us, one.source, one.id))
        if one.party in needed and not (is_silent and one.at_us > (ends_us or 0))
    ]
    last = {one.party: one for one in given}
    refused = [one for one in last.values() if one.answer.answer == "reject"]
    left = needed - last.keys()
    told = tuple(given)
    if refused:
        return StatementStanding("rejected", at_us, (), told)
    if not left or (word == "either" and last):
        return StatementStanding(
            "accepted", max(at_us, *(one.at_us for one in last.values())), (), told
        )
    if is_silent and silence is not None and ends_us is not None:
        state: ProposalState = "accepted" if silence.counts_as == "accepted" else "rejected"
        return StatementStanding(state, ends_us, (), told, by_silence=True)
    return StatementStanding("open", at_us, tuple(sorted(left)), told)


AnswersByProposal = Mapping[tuple[str, str], Sequence[GivenAnswer]]
"""Source and id of a proposal to its answers."""


def answers_in(
    facts: Facts, parties: Mapping[str, str]
) -> dict[tuple[str, str], list[GivenAnswer]]:
    """All answers among facts, by the source and id of what they answer.

    ``parties``: source to the party that it reports for.
    """
    found: dict[tuple[str, str], list[GivenAnswer]] = {}
    for row in np.flatnonzero(facts.kind == ANSWER).tolist():
        answer = ProposalAnswer.model_validate_json(facts.data[row])
        source = facts.sources[facts.source[row]]
        given = GivenAnswer(
            source, facts.ids[row], parties.get(source, ""), int(facts.at_us[row]), answer
        )
        found.setdefault((answer.of_source, answer.of_id), []).append(given)
    return found


def fitting(
    answers: Iterable[GivenAnswer],
    states: str,
    name: str,
    period: str,
    agreement: str,
    payload: str,
) -> tuple[GivenAnswer, ...]:
    """The answers that name the proposal as it is; one that names another changes nothing.

    ``payload``: the hash of what it says after corrections. So nobody changes what is accepted.
    """
    wanted = states, name, period, agreement, payload
    return tuple(one for one in answers if _named(one.answer) == wanted)


def _named(answer: ProposalAnswer) -> tuple[str, ...]:
    return answer.states, answer.name, answer.period, answer.agreement, answer.of_payload


def parties_of(programmes: Iterable[Programme]) -> dict[str, str]:
    """Source to the party that it reports for, by the newest version that declares it."""
    ordered = sorted(programmes, key=lambda one: one.version)
    return {source.source: source.reports_for for one in ordered for source in one.sources}
