"""Settling on from checkpoints comes to what the replay from the first period comes to."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
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
from services.core.inputs.evaluated import EvaluationOutline, ReadSince
from services.core.inputs.history import NotRead
from services.core.settling.checkpoints import (
    Checkpoint,
    EvaluationChange,
    Past,
    first_touched,
    terms_digest,
)
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
        terms = terms_digest(self.versions, self.programmes, TOWN, "UTC", {}, "1")
        since = self._since(terms)
        outlines = {name: {} if since is None else self._outlines(name, since) for name in names}
        links = {name: each[-1].link for name in names if (each := self._kept(name, since))}
        going_on = Continuation(terms, since, outlines, links)
        self.worked_out = sorted({each for name in names for each in going_on.to_read(name)})
        found = self._found(going_on)
        for name, outcomes in found.outcomes.items():
            made = going_on.after(found).get(name, ())
            kept = [*self._kept(name, since), *made]
            self.checkpoints[name] = {one.period: one for one in kept}
            before = self.outcomes.get(name, {})
            held = {each: one for each, one in before.items() if not going_on.is_open(each)}
            self.outcomes[name] = held | {each.period: each for each in outcomes}

    def _since(self, terms: bytes) -> str | None:
        changes = []
        for name in self.evaluations:
            for period, outline in self._outlines(name).items():
                held = self.checkpoints.get(name, {}).get(period)
                if held is None or (held.outline.digest, held.terms) != (outline.digest, terms):
                    before = None if held is None else held.outline
                    changes.append(EvaluationChange(name, period, before, outline))
        looking = [
            (one.period, one.ahead) for each in self.checkpoints.values() for one in each.values()
        ]
        evaluated = {(name, period) for name, each in self.evaluations.items() for period in each}
        return first_touched(changes, looking, evaluated)

    def _outlines(self, name: str, since: str | None = None) -> dict[str, EvaluationOutline]:
        return {
            period: EvaluationOutline.of(one, sha256(canonical(one)).digest())
            for period, one in self.evaluations.get(name, {}).items()
            if since is None or first_day(period) >= first_day(since)
        }

    def _kept(self, name: str, since: str | None) -> list[Checkpoint]:
        """The checkpoints before a period, oldest first."""
        held = self.checkpoints.get(name, {}).values()
        kept = (one for one in held if since is None or first_day(one.period) < first_day(since))
        return sorted(kept, key=lambda one: first_day(one.period))

    def _found(self, going_on: Continuation) -> SettledTogether:
        """With the last checkpoint only, and what is asked for; with all where that is too few."""
        circumstances: set[str] = set()
        for latest in (1, 1, 1, None):
            try:
                return self._settled(going_on, latest, circumstances)
            except NotRead as wanted:
                circumstances |= {wanted.circumstance} if wanted.circumstance else set()
        raise AssertionError("all checkpoints were there")

    def _settled(
        self, going_on: Continuation, latest: int | None, circumstances: Collection[str]
    ) -> SettledTogether:
        histories = {
            name: History(
                versions,
                [self.evaluations[name][each] for each in going_on.to_read(name)],
                _past(self._kept(name, going_on.since), latest, circumstances),
            )
            for name, versions in self.versions.items()
        }
        return settle_each(histories, self.programmes, parties=TOWN, time_zone="UTC")

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


def _past(kept: Sequence[Checkpoint], latest: int | None, circumstances: Collection[str]) -> Past:
    """So many of the last, and of those before what states something."""
    if latest is None or len(kept) <= latest:
        return Past(kept)
    extra = [
        one
        for one in kept[:-latest]
        if one.outline.beyond or one.outline.circumstances & set(circumstances)
    ]
    read = ReadSince(
        first_day(kept[-latest].period), first_day(kept[0].period), frozenset(circumstances)
    )
    return Past([*extra, *kept[-latest:]], read)


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
