"""An agreement after one settled period, as it is stored; and from which period on it holds.

Settling is a fold: a period follows from its evaluation and from what is left of the periods before
it. What is left of one is its checkpoint. A chain of digests tells whether it still holds: each
link is made of the link before and of all that its period stood on. From the first link that comes
out otherwise, periods are worked out anew.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from hashlib import sha256

from pydantic import TypeAdapter

from schemas.agreement import Agreement
from schemas.evaluation import PeriodEvaluation
from schemas.period import first_day
from schemas.programme import Programme
from schemas.statement import RULES, LevelResult, StatementLine
from services.core.inputs.charges import ALL, AT, NAMED, LookedAt
from services.core.inputs.evaluated import EvaluationOutline
from services.core.inputs.history import SettledPeriod
from services.core.inputs.known import MeasuredSeries, PeriodInputs
from services.core.inputs.worksheet import Balance, Deferred
from services.core.visibility.parties import Parties

FORMAT = 1
"""Of what is stored, and of what a link is made of: with another one, no checkpoint holds."""

Ahead = tuple[str, LookedAt]
"""Something that a period looked at in later evaluations, or did not find, of an agreement."""


@dataclass(frozen=True, slots=True)
class PeriodFacts:
    """What later periods look at of a period's evaluation: all that it says but its figures."""

    evaluation: PeriodEvaluation
    measured: tuple[MeasuredSeries, ...]

    @classmethod
    def of(cls, inputs: PeriodInputs) -> PeriodFacts:
        """Those of a period that is worked out."""
        bare = inputs.evaluation.model_copy(update={"figures": (), "proposals": ()})
        return cls(bare, tuple(sorted(inputs.measured, key=str)))


@dataclass(frozen=True, slots=True)
class PeriodRecord:
    """What later periods look back at, as `SettledPeriod`. ``version``: its number."""

    version: int
    results: tuple[LevelResult, ...]
    lines: tuple[StatementLine, ...] | None
    balances: tuple[Balance, ...]
    carried: Fraction
    deferred: tuple[Deferred, ...]

    @classmethod
    def of(cls, settled: SettledPeriod) -> PeriodRecord:
        """That of a period that is worked out."""
        return cls(
            settled.version.version,
            settled.results,
            settled.lines,
            settled.balances,
            settled.carried,
            settled.deferred,
        )

    def settled(self, period: str, versions: Sequence[Agreement]) -> SettledPeriod:
        """The period as later ones look back at it."""
        version = next(one for one in versions if one.version == self.version)
        return SettledPeriod(
            period,
            version,
            self.results,
            self.lines,
            self.balances,
            self.carried,
            self.deferred,
        )


@dataclass(frozen=True, slots=True)
class AfterPeriod:
    """An agreement after one period.

    ``record``: None where no version covers the period. ``lacks``: why the history up to here is
    not whole, if it is not.
    """

    record: PeriodRecord | None
    lacks: str | None


@dataclass(frozen=True, slots=True)
class PeriodState:
    """An agreement after one period, in canonical JSON."""

    facts: bytes
    after: bytes


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """An agreement after one period, and what it stands on.

    ``ahead``: what its period looked at in later evaluations. ``covered``: whether a version covers
    the period. ``state``: None where it was not read.
    """

    period: str
    outline: EvaluationOutline
    ahead: frozenset[Ahead]
    link: bytes
    covered: bool
    state: PeriodState | None

    def with_state(self, state: PeriodState | None) -> Checkpoint:
        """The same, read or not."""
        return replace(self, state=state)


_FACTS = TypeAdapter(PeriodFacts)
_AFTER = TypeAdapter(AfterPeriod)


def written(facts: PeriodFacts, after: AfterPeriod) -> PeriodState:
    """What is stored of a period."""
    return PeriodState(_FACTS.dump_json(facts), _AFTER.dump_json(after))


def facts_of(state: PeriodState) -> PeriodFacts:
    """What is stored of a period's evaluation."""
    return _FACTS.validate_json(state.facts)


def after_of(state: PeriodState) -> AfterPeriod:
    """What is stored of an agreement after a period."""
    return _AFTER.validate_json(state.after)


def terms_digest(
    versions: Mapping[str, Sequence[Agreement]],
    programmes: Sequence[Programme],
    parties: Parties,
    time_zone: str,
    unread: Mapping[str, str],
    release: str,
) -> bytes:
    """The digest of all that agreements are settled by, besides evaluations.

    ``release``: of the program. Another one, or other rules, works all periods out anew.
    """
    said = sha256(f"{FORMAT}\0{RULES}\0{release}\0{time_zone}\0{parties.buyer}".encode())
    for name in sorted(versions):
        for version in versions[name]:
            said.update(f"\0{name}\0{version.model_dump_json()}".encode())
    for programme in programmes:
        said.update(f"\0{programme.model_dump_json()}".encode())
    told = (sorted(parties.vendors), sorted(parties.sources.items()), sorted(unread.items()))
    said.update(repr(told).encode())
    return said.digest()


@dataclass(frozen=True, slots=True)
class Chain:
    """The links of agreements that are settled together.

    ``terms``: what `terms_digest` gives. ``outlines``: of all evaluations, by agreement and period.
    """

    terms: bytes
    outlines: Mapping[str, Mapping[str, EvaluationOutline]]

    def periods(self) -> list[str]:
        """All evaluated periods, in order."""
        return sorted({each for one in self.outlines.values() for each in one}, key=in_order)

    def evaluated(self, period: str) -> Iterator[str]:
        """The agreements of which the period is evaluated, in order of name."""
        return (name for name in sorted(self.outlines) if period in self.outlines[name])

    def link(self, before: bytes, period: str, ahead: Collection[Ahead]) -> bytes:
        """The link of a period. ``ahead``: of all agreements that are settled in it."""
        made = sha256(before + period.encode())
        for name in self.evaluated(period):
            made.update(f"\0{name}\0".encode() + self.outlines[name][period].digest)
        for name, (how, what) in sorted(ahead):
            made.update(f"\0{name}\0{how}\0{what}\0".encode())
            for digest in self._answer(name, how, what):
                made.update(digest)
        return made.digest()

    def _answer(self, name: str, how: str, what: str) -> Iterator[bytes]:
        """The digests of the evaluations that can have answered what was looked at."""
        own = self.outlines[name]
        if how == AT and what in own:
            return iter((own[what].digest,))
        found = (own[period] for period in sorted(own, key=in_order))
        if how == AT:
            return (one.digest for one in found if one.beyond)
        if how == NAMED:
            return (one.digest for one in found if what in one.circumstances)
        assert how == ALL, "there are three ways to look"
        return (one.digest for one in found)

    def holds_until(
        self, checkpoints: Mapping[str, Mapping[str, Checkpoint]]
    ) -> tuple[str | None, bytes]:
        """The first period to be worked out, None where all hold; and the link before it."""
        link = self.terms
        for period in self.periods():
            stored = [checkpoints.get(name, {}).get(period) for name in self.evaluated(period)]
            held = [one for one in stored if one is not None]
            if len(held) < len(stored):
                return period, link
            ahead = {each for one in held for each in one.ahead}
            made = self.link(link, period, ahead)
            if any(one.link != made for one in held):
                return period, link
            link = made
        return None, link


def in_order(period: str) -> tuple[object, str]:
    """The place of a period among those of agreements."""
    return first_day(period), period
