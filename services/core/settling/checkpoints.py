"""An agreement after one settled period, as it is stored; and from which period on it holds.

Settling is a fold: a period follows from its evaluation and from what is left of the periods before
it. What is left of one is its checkpoint. It holds as long as the evaluations that it stands on are
the same: those up to its period, and what was looked at in later ones.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from hashlib import sha256

from pydantic import TypeAdapter

from schemas.agreement import Agreement
from schemas.evaluation import PeriodEvaluation
from schemas.period import first_day
from schemas.programme import Programme
from schemas.statement import RULES, LevelResult, StatementLine
from services.core.inputs.charges import ALL, AT, NAMED, LookedAt
from services.core.inputs.evaluated import EvaluationOutline, ReadSince
from services.core.inputs.history import LineSums, SettledPeriod
from services.core.inputs.known import MeasuredSeries, PeriodInputs
from services.core.inputs.worksheet import Balance, Deferred
from services.core.visibility.parties import Parties

FORMAT = 2
"""Of what is stored: with another one, no checkpoint holds."""

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
    sums: LineSums

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
            settled.sums,
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
            self.sums,
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
    the period. ``terms``: what `terms_digest` gave. ``link``: the digest of all this and of the
    checkpoint before. ``looked_back``: so many periods back its own looked at others.
    """

    period: str
    outline: EvaluationOutline
    ahead: frozenset[Ahead]
    covered: bool
    terms: bytes
    link: bytes
    looked_back: int
    state: PeriodState


@dataclass(frozen=True, slots=True)
class Past:
    """What is left of the settled periods of an agreement, oldest first.

    ``read``: as far as it is read, where that is not all; what is before it is there for what it
    states.
    """

    checkpoints: Sequence[Checkpoint] = ()
    read: ReadSince | None = None


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


def link(
    before: bytes,
    terms: bytes,
    period: str,
    outline: EvaluationOutline,
    ahead: Collection[Ahead],
    state: PeriodState,
) -> bytes:
    """The digest of a checkpoint. ``before``: that of the one before it, empty for the first."""
    made = sha256(before + b"\0" + terms + period.encode() + b"\0" + outline.digest)
    made.update(repr(sorted(ahead)).encode() + b"\0" + state.facts + b"\0" + state.after)
    return made.digest()


@dataclass(frozen=True, slots=True)
class EvaluationChange:
    """An evaluation that no checkpoint stands on yet. ``before``: the one it takes the place of."""

    agreement: str
    period: str
    before: EvaluationOutline | None
    now: EvaluationOutline

    @property
    def beyond(self) -> bool:
        """Whether either of the two states something of another time than its period's."""
        return self.now.beyond or (self.before is not None and self.before.beyond)

    def answered(self) -> frozenset[Ahead]:
        """What can have been looked at and be answered otherwise now, by its name."""
        names = self.now.circumstances | (self.before.circumstances if self.before else frozenset())
        looks = [(AT, self.period), (ALL, ""), *((NAMED, name) for name in names)]
        return frozenset((self.agreement, look) for look in looks)


Looking = tuple[str, Collection[Ahead]]
"""A settled period, and what it looked at in later evaluations."""


def first_touched(
    changes: Collection[EvaluationChange],
    looking: Iterable[Looking],
    evaluated: Collection[tuple[str, str]],
) -> str | None:
    """The first period that is to be worked out; None where none is.

    ``looking``: at least those that looked at something that a change answers; those that looked
    at the time of a period, where a change speaks of another time than its own. ``evaluated``:
    which of these periods are evaluated, by agreement: nothing beside that speaks of their time.
    """
    answered = frozenset[Ahead]().union(*(one.answered() for one in changes))
    beyond = {one.agreement for one in changes if one.beyond}
    touched = [one.period for one in changes]
    for period, ahead in looking:
        for name, (how, what) in ahead:
            unsaid = how == AT and name in beyond and (name, what) not in evaluated
            if unsaid or (name, (how, what)) in answered:
                touched.append(period)
    return min(touched, key=in_order, default=None)


def in_order(period: str) -> tuple[object, str]:
    """The place of a period among those of agreements."""
    return first_day(period), period
