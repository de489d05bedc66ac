"""The settlement statement: what one agreement's period comes to, line by line, with the reasons.

A statement is a function of the agreement's versions and the evaluations known; it holds no
moment of its making and no run, so that anyone can compute it again, byte for byte. Which run
posted it, and what difference that run booked, is the run's own record.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from pydantic import Field, StrictBool

from schemas.base import Name, Noun, Text, WorkedOut
from schemas.evaluation import Digest, EventRef, Evidence
from schemas.event import Subject
from schemas.money import Currency, MinorUnits
from schemas.period import PeriodLabel

RULES = 2
"""The version of the rules that this release settles by. It is raised with every release whose
rules give any statement another content; what earlier ones settled is restated by order only."""

LineKind = Literal["service_credit", "penalty", "earn_back", "bonus", "fee", "set_off", "deposit"]
Standing = Literal["met", "below_expected", "below_minimum", "excused", "no_result", "reported"]
Tie = Literal["at_least", "above", "at_most", "below"]
"""Which word a promise uses: it decides whether a result equal to the limit meets it."""


StatementFigure = Annotated[StrictBool | WorkedOut | str, Field(union_mode="left_to_right")]
"""As `schemas.event.Stated`, for what was worked out."""


class Step(Noun):
    """One operation of the calculation, as a person would write it down."""

    rule: Name = Field(description="Which operation.")
    term: str = Field(
        description="The agreement's term, as a path such as `levels[0].credits[0].rate`."
    )
    text: Text = Field(description="The operation in words, with its numbers.")
    value: WorkedOut | None = Field(
        None, description="What came out, in the unit of the operation; null where it is no number."
    )


class LevelResult(Noun):
    """How one service level stood in one measurement period."""

    level: Name = Field(description="The level, as the agreement names it.")
    metric: Name | None = Field(description="The metric whose figure is judged.")
    subject: Subject | None = Field(
        None, description="The subject that is judged on its own; null: all together."
    )
    period: PeriodLabel = Field(description="The measurement period.")
    figure: WorkedOut | None = Field(
        description="As measured, in the metric's unit. Null: nothing was measured."
    )
    result: WorkedOut | None = Field(
        description="As judged: attributed, averaged, rounded where agreed. In the metric's unit."
    )
    expected: WorkedOut | None = Field(
        description="The expected level in force, in the metric's unit. Null: none is stated."
    )
    expected_tie: Tie | None = Field(
        None, description="The word of the expected level, which decides the tie."
    )
    minimum: WorkedOut | None = Field(
        None, description="The minimum level in force, in the metric's unit. Null: none is stated."
    )
    minimum_tie: Tie | None = Field(
        None, description="The word of the minimum level, which decides the tie."
    )
    standing: Standing = Field(description="Where the result puts the vendor.")
    defaulted: bool = Field(description="Whether the miss counts as a service level default.")
    points: WorkedOut | None = Field(
        None, description="Service points of this result. Null: it scores none."
    )
    evidence: Evidence | None = Field(
        None, description="Which facts the figure was counted from. Null: there is no figure."
    )
    steps: tuple[Step, ...] = Field(
        default=(), description="How the figure became the result and the result its standing."
    )


class StatementLine(Noun):
    """One amount. Positive: the vendor owes the buyer; negative: the buyer owes the vendor."""

    line: str = Field(
        description="Its name: the same in every run for the same thing, so that a later run books "
        "the difference."
    )
    kind: LineKind = Field(description="What the amount is.")
    level: Name | None = Field(None, description="The level it is for. Null: for no single level.")
    for_period: PeriodLabel = Field(description="The period whose performance it answers for.")
    minor_units: MinorUnits = Field(
        description="The amount in whole minor units of the statement's currency."
    )
    version: Annotated[int, Field(ge=1, description="Agreement version that decides it.")]
    steps: tuple[Step, ...] = Field(description="How the amount came about, in order.")
    events: tuple[EventRef, ...] = Field(
        default=(),
        description="Events that the amount itself rests on: charges, rates, occurrences.",
    )


class TerminationRight(Noun):
    """A right that the period opened, and until when it may be exercised."""

    term: Name = Field(description="The agreement's term that gives the right.")
    because: Text = Field(description="What opened it, in words.")
    exercise_until: str | None = Field(
        None,
        description="The last day on which it may be exercised. Null: the term states no last day.",
    )


class SettlementStatement(Noun):
    """What one agreement's period comes to."""

    programme: Name = Field(description="The buyer's programme.")
    agreement: Name = Field(description="The agreement that is settled.")
    version: Annotated[
        int, Field(ge=1, description="Its version in force on the period's first day.")
    ]
    vendor: Name = Field(description="Who owes the service levels.")
    buyer: Name = Field(description="Whom they are owed to.")
    period: PeriodLabel = Field(description="The settlement period.")
    currency: Currency = Field(description="The agreement's currency, by ISO 4217.")
    results: tuple[LevelResult, ...] = Field(
        description="How each level stood, by level, subject and measurement period."
    )
    lines: tuple[StatementLine, ...] = Field(description="The amounts.")
    total_minor: MinorUnits = Field(
        description="Sum of the lines, in whole minor units. Positive: the vendor owes the buyer."
    )
    figures: dict[str, StatementFigure | None] = Field(
        default_factory=dict,
        description="Named amounts on the way: at-risk amounts, headroom, balances, bases.",
    )
    rights: tuple[TerminationRight, ...] = Field(
        default=(), description="Rights to end the agreement that the period opened."
    )
    facts_digest: Digest = Field(description="SHA-256 over the evidence of all figures and facts.")
    rules: Annotated[int, Field(ge=1)] = Field(
        1, description="The version of earnback's rules that made the statement; absent: 1."
    )


def canonical(noun: Noun) -> bytes:
    """The one way a noun is written where bytes are compared: JSON, keys sorted, no spaces.

    Numbers that matter are integers or strings (RFC 8785 would write them the same).
    """
    return msgspec.json.encode(noun.model_dump(mode="json"), order="sorted")
