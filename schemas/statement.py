"""The settlement statement: what one agreement's period comes to, line by line, with the reasons.

A statement is a function of the agreement's versions and the evaluations known; it holds no
moment of its making and no run, so that anyone can compute it again, byte for byte. Which run
posted it, and what difference that run booked, is the run's own record.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from pydantic import Field

from schemas.base import Name, Noun, Number, Text, WorkedOut
from schemas.evaluation import Digest, EventRef, Evidence
from schemas.event import Stated, Subject
from schemas.money import Currency, MinorUnits
from schemas.period import PeriodLabel

RULES = 2
"""The version of the rules that this release settles by. It is raised with every release whose
rules give any statement another content; what earlier ones settled is restated by order only."""

LineKind = Literal["service_credit", "penalty", "earn_back", "bonus", "fee", "set_off", "deposit"]
Standing = Literal["met", "below_expected", "below_minimum", "excused", "no_result", "reported"]


class Step(Noun):
    """One operation of the calculation, as a person would write it down.

    ``rule`` names the operation (a step of the order of operations); ``term`` points at the
    agreement's term, as a path such as ``levels[0].credit.rate``; ``value`` is what came out.
    """

    rule: Name
    term: str
    text: Text
    value: WorkedOut | None = None


class LevelResult(Noun):
    """How one service level stood in one measurement period."""

    level: Name
    metric: Name | None
    subject: Subject | None = None
    period: PeriodLabel
    figure: Number | None = Field(description="As measured, in the metric's unit.")
    result: Number | None = Field(description="As judged: averaged, rounded where agreed.")
    expected: Number | None
    minimum: Number | None = None
    standing: Standing
    defaulted: bool = Field(description="Whether the miss counts as a service level default.")
    points: Number | None = None
    evidence: Evidence | None = None
    steps: tuple[Step, ...] = ()


class StatementLine(Noun):
    """One amount. Positive: the vendor owes the buyer; negative: the buyer owes the vendor.

    ``line`` is the same in every run for the same thing, so that a later run books differences.
    """

    line: str
    kind: LineKind
    level: Name | None = None
    for_period: PeriodLabel = Field(description="The period whose performance it answers for.")
    minor_units: MinorUnits
    version: Annotated[int, Field(ge=1, description="Agreement version that decides it.")]
    steps: tuple[Step, ...]
    events: tuple[EventRef, ...] = ()


class TerminationRight(Noun):
    """A right that the period opened, and until when it may be exercised."""

    term: Name
    because: Text
    exercise_until: str | None = None


class SettlementStatement(Noun):
    """What one agreement's period comes to."""

    programme: Name
    agreement: Name
    version: Annotated[int, Field(ge=1)]
    vendor: Name
    buyer: Name
    period: PeriodLabel
    currency: Currency
    results: tuple[LevelResult, ...]
    lines: tuple[StatementLine, ...]
    total_minor: MinorUnits = Field(description="Sum of the lines.")
    figures: dict[str, Stated | None] = Field(
        default_factory=dict,
        description="Named amounts on the way: at-risk amounts, headroom, balances, bases.",
    )
    rights: tuple[TerminationRight, ...] = ()
    facts_digest: Digest = Field(description="SHA-256 over the evidence of all figures and facts.")
    rules: Annotated[int, Field(ge=1)] = Field(
        1, description="The version of earnback's rules that made the statement; absent: 1."
    )


def canonical(noun: Noun) -> bytes:
    """The one way a noun is written where bytes are compared: JSON, keys sorted, no spaces.

    Numbers that matter are integers or strings (RFC 8785 would write them the same).
    """
    return msgspec.json.encode(noun.model_dump(mode="json"), order="sorted")
