"""Settling on from checkpoints comes to what the replay from the first period comes to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from fractions import Fraction
from functools import cache
from hashlib import sha256
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.agreement import Agreement
from schemas.evaluation import PeriodEvaluation
from schemas.period import first_day
from schemas.programme import Programme
from schemas.statement import canonical
from services.core.inputs.evaluated import EvaluationOutline
from services.core.inputs.history import NotRead
from services.core.settling.checkpoints import Chain, Checkpoint, PeriodState, terms_digest
from services.core.settling.fold import Continuation
from services.core.settling.member import History
from services.core.settling.one_period import PeriodOutcome, Unsettled
from services.core.settling.settlement import SettledTogether, settle_each
from services.core.visibility.parties import Parties
from tests.core.adjusting.test_shared_caps import cap, programme
from tests.core.told import evaluation, months, terms

TOWN = Parties("town")
MONTHS = months(6)


@dataclass
class Books:
    """What a service keeps: the latest evaluations, the checkpoints, and what was worked out."""

    versions: dict[str, list[Agreement]]
    programmes: Sequence[Programme] = ()
    evaluations: dict[str, dict[str, PeriodEvaluation]] = field(default_factory=dict)
    checkpoints: dict[str, dict[str, Checkpoint]] = field(default_factory=dict)
    states: dict[str, dict[str, PeriodState]] = field(default_factory=dict)
    outcomes: dict[str, dict[str, PeriodOutcome]] = field(default_factory=dict)
    worked_out: list[str] = field(default_factory=list)
    """The periods of the last run."""

    def take(self, one: PeriodEvaluation) -> None:
        """Settle on with one more evaluation."""
        self.evaluations.setdefault(one.agreement, {})[one.period] = one
        self.settle_on()

    def settle_on(self) -> None:
        """Work out what does not hold any more, and keep it."""
        names = sorted(self.versions)
        outlines = {
            name: {
                period: EvaluationOutline.of(one, sha256(canonical(one)).digest())
                for period, one in self.evaluations.get(name, {}).items()
            }
            for name in names
        }
        digest = terms_digest(self.versions, self.programmes, TOWN, "UTC", {}, "1")
        going_on = Continuation.of(Chain(digest, outlines), self.checkpoints)
        self.worked_out = sorted({each for name in names for each in going_on.to_read(name)})
        found = self._found(going_on, names)
        for name, made in going_on.after(found).items():
            kept = going_on.kept(name)
            own, states = self.checkpoints.get(name, {}), self.states.get(name, {})
            self.checkpoints[name] = {each: own[each] for each in kept}
            self.checkpoints[name] |= {one.period: one.with_state(None) for one in made}
            self.states[name] = {each: states[each] for each in kept}
            self.states[name] |= {one.period: one.state for one in made if one.state}
            outcomes = self.outcomes.get(name, {})
            self.outcomes[name] = {each: outcomes[each] for each in kept if each in outcomes}
            self.outcomes[name] |= {each.period: each for each in found.outcomes[name]}

    def _found(self, going_on: Continuation, names: Sequence[str]) -> SettledTogether:
        """With the last state read only; with all of them where that is not enough."""
        try:
            return self._settled(going_on, names, last=1)
        except NotRead:
            return self._settled(going_on, names, last=1000)

    def _settled(self, going_on: Continuation, names: Sequence[str], last: int) -> SettledTogether:
        histories = {
            name: History(
                self.versions[name],
                [self.evaluations[name][each] for each in going_on.to_read(name)],
                going_on.before(name, self._read(name, going_on.kept(name)[-last:])),
            )
            for name in names
        }
        return settle_each(histories, self.programmes, parties=TOWN, time_zone="UTC")

    def _read(self, name: str, periods: Sequence[str]) -> dict[str, PeriodState]:
        return {each: self.states[name][each] for each in periods}

    def replayed(self) -> SettledTogether:
        """What the replay from the first period comes to."""
        histories = {
            name: History(each, tuple(self.evaluations.get(name, {}).values()))
            for name, each in self.versions.items()
        }
        return settle_each(histories, self.programmes, parties=TOWN, time_zone="UTC")

    def assert_as_replayed(self) -> None:
        """All that is kept is what the replay comes to, byte for byte."""
        found = self.replayed()
        assert not found.failed
        for name, outcomes in found.outcomes.items():
            kept = sorted(
                self.outcomes.get(name, {}).values(), key=lambda one: first_day(one.period)
            )
            assert list(map(_bytes, kept)) == list(map(_bytes, outcomes))


def _bytes(outcome: PeriodOutcome) -> object:
    return outcome if isinstance(outcome, Unsettled) else canonical(outcome)


CAP_OF_TERM = "caps: [{cap: all, window: term, limit: {kind: amount, amount: 150}%s}]\n"
RUN = (
    "barred_below_minimum: false, no_data: %s, given_as: %s}]\n"
    "caps: [{cap: month, window: period, limit: {kind: percent_of, percent: 8, base: fee}}]\n"
)
FURTHER = (
    "",
    "caps: [{cap: a, window: trailing, periods: 3, earned_back: still_counts, "
    "limit: {kind: percent_of, percent: 5, base: fee}}]\n",
    CAP_OF_TERM % "",
    CAP_OF_TERM % ", opening: brought",
    "earn_backs: [{kind: after_good_run, earn_back: run, periods: 1, asks: met, percent: 50, "
    + RUN % ("breaks_the_run", "balance"),
    "earn_backs: [{kind: after_good_run, earn_back: run, periods: 2, asks: met, percent: 100, "
    + RUN % ("is_passed_over", "amount"),
    "earn_backs: [{kind: deferred, earn_back: later, periods: 2, asks: met, at_end: payable, "
    "barred_below_minimum: false, no_data: breaks_the_run}]\n",
    "terminations: [{kind: misses, term: out, level: uptime, misses: 2, of_last: 3}]\n",
)


@cache
def _read(further: str) -> bytes:
    return terms(further).model_dump_json(exclude_unset=True).encode()


def _text(further: str) -> dict[str, Any]:
    text: dict[str, Any] = msgspec.json.decode(_read(further))
    return text


@st.composite
def versions(draw: st.DrawFn, name: str) -> Agreement:
    """The usual agreement with terms that look back, ahead, or at what was before."""
    text = _text(draw(st.sampled_from(FURTHER))) | {"agreement": name}
    text["bases"][0] |= {
        "of_period": draw(st.sampled_from(["same", "same", "next"])),
        "longer_charge": draw(st.sampled_from(["refused", "by_days"])),
    }
    text["levels"][0] |= draw(st.sampled_from(SHAPES))
    return Agreement.model_validate(text)


SHAPES: Sequence[Mapping[str, Any]] = (
    {},
    {"averaged": {"periods": 3, "missing_period": "use_what_is_there"}},
    {
        "moves": {"kind": "ratchet", "periods": 2, "asks": "met", "way_to_mean": "50",
                  "rounded": "exact", "no_data": "is_passed_over"},
    },
    {
        "minimum": {"at_least": "98.5"},
        "defaults": {"kind": "misses_in_window", "misses": 2, "of_last": 3,
                     "below_minimum_counts": True},
    },
)  # fmt: skip


@st.composite
def evaluations(draw: st.DrawFn, name: str) -> PeriodEvaluation:
    """A month with what its terms read; some of it may be missing, or speak of nobody."""
    said: list[tuple[str, Mapping[str, Any]]] = []
    month = draw(st.sampled_from(MONTHS))
    if draw(st.integers(0, 3)) == 0:
        said.append(("brought", {"values": {"charges": 0, "credits": draw(st.integers(0, 99))}}))
    if draw(st.integers(0, 5)) == 0:
        said.append(("claim", {"subject": draw(st.sampled_from(["north", "nowhere"]))}))
    result = draw(st.sampled_from([None, 98, 99, Fraction("99.5")]))
    fee = draw(st.sampled_from([None, 700, 1000]))
    north: dict[str | tuple[str, str], object] = (
        {("uptime", "north"): 99} if draw(st.booleans()) else {}
    )
    made = evaluation(month, result, fee=fee, figures=north, circumstances=said)
    return made.model_copy(update={"agreement": name})


@st.composite
def worlds(draw: st.DrawFn) -> tuple[Books, list[PeriodEvaluation | Agreement]]:
    """One agreement or two under a cap, and what becomes known of them, in any order."""
    names = ["hosting", "network"][: draw(st.integers(1, 2))]
    shared = cap(130, window="trailing", periods=2, earned_back="still_counts")
    limit = {"kind": "percent_of", "percent": 9, "base": "fee"}
    caps = draw(st.sampled_from([[], [shared], [cap(limit=limit)]])) if len(names) > 1 else []
    first = {name: draw(versions(name)) for name in names}
    changes: list[PeriodEvaluation | Agreement] = []
    for _ in range(draw(st.integers(2, 9))):
        name = draw(st.sampled_from(names))
        if draw(st.integers(0, 7)):
            changes.append(draw(evaluations(name)))
        else:
            begins = date(2025, draw(st.integers(2, 5)), 1)
            later = {"version": 2, "effective_from": begins}
            changes.append(draw(versions(name)).model_copy(update=later))
    books = Books({name: [one] for name, one in first.items()}, [programme(*caps)] if caps else ())
    return books, changes


def a_book(*further: str, **of_base: str) -> Books:
    """One agreement, settled from January on."""
    text = _text("".join(further))
    text["bases"][0] |= of_base
    return Books({"hosting": [Agreement.model_validate(text)]})


def test_a_further_month_is_worked_out_alone() -> None:
    books = a_book(FURTHER[1])
    for month in MONTHS:
        books.take(evaluation(month, 98))
        assert books.worked_out == [month]


def test_a_change_is_worked_out_from_its_month_on() -> None:
    books = a_book(FURTHER[1])
    for month in MONTHS:
        books.take(evaluation(month, 98))
    books.take(evaluation(MONTHS[3], 99, revision=2))
    assert books.worked_out == MONTHS[3:]
    books.versions["hosting"].append(
        terms().model_copy(update={"version": 2, "effective_from": date(2025, 6, 1)})
    )
    books.settle_on()
    assert books.worked_out == MONTHS


def test_a_month_that_looked_ahead_is_worked_out_again_when_that_is_there() -> None:
    books = a_book(of_period="next")
    books.take(evaluation(MONTHS[0], 98))
    books.take(evaluation(MONTHS[1], 99))
    assert books.worked_out == MONTHS[:2]
    books.take(evaluation(MONTHS[2], 99))
    assert books.worked_out == MONTHS[2:3], "a month that is met asks for no charge"


@given(worlds())
@settings(max_examples=60, deadline=None)
def test_the_fold_comes_to_what_the_replay_comes_to(
    world: tuple[Books, list[PeriodEvaluation | Agreement]],
) -> None:
    books, changes = world
    for change in changes:
        if isinstance(change, Agreement):
            books.versions[change.agreement][1:] = [change]
            books.settle_on()
        else:
            books.take(change)
        books.assert_as_replayed()
