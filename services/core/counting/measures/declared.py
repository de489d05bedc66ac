"""The last figure declared for a period, and for which subjects one is declared."""

from __future__ import annotations

from fractions import Fraction

import msgspec

from services.core.calendar.windows import holds
from services.core.counting.measures.question import (
    CountedFigure,
    Question,
    positions,
)


def last_figure(question: Question) -> CountedFigure:
    """The last figure declared for the period, by time and then identity.

    Asked for all subjects, only a figure without a subject answers: figures are not added up.
    """
    facts = question.facts
    standing: int | None = None
    latest: tuple[int, int] | None = None
    for row in question.rows.tolist():
        told = msgspec.json.decode(facts.data[row])
        if told["period"] != question.need.period or told.get("subject") != question.need.subject:
            continue
        moment = int(facts.at_us[row]), row
        if latest is None or moment > latest:
            latest, standing = moment, row
    if standing is None:
        return CountedFigure(None, positions(()))
    value = Fraction(int(facts.a[standing]), 10 ** int(facts.b[standing]))
    return CountedFigure(value, positions([standing]))


def subjects(question: Question) -> tuple[str, ...]:
    """Who has a figure declared for a period that begins in the question's, in order of name."""
    told = (msgspec.json.decode(question.facts.data[row]) for row in question.rows.tolist())
    return tuple(
        sorted(
            {
                str(each["subject"])
                for each in told
                if "subject" in each and holds(question.need.period, each["period"])
            }
        )
    )
