"""The last figure declared for a period, and for which subjects one is declared."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

import msgspec

from schemas.evaluation import OtherFigure
from schemas.period import first_day
from services.core.calendar.windows import overlaps
from services.core.counting.measures.question import (
    NO_TIMES,
    CountedFigure,
    Question,
    positions,
    reference,
)


def last_figure(question: Question, since_us: Mapping[int, int] = NO_TIMES) -> CountedFigure:
    """The last figure declared for the period, by time and then identity.

    Asked for all subjects, only a figure without a subject answers: figures are not added up.
    Where none is, those for longer or shorter periods are named: they are not split or joined.
    ``since_us``: position to the time from which a figure stands that was proposed and accepted.
    """
    facts = question.facts
    standing: int | None = None
    latest: tuple[int, int] | None = None
    others: list[OtherFigure] = []
    for row in question.rows.tolist():
        told = msgspec.json.decode(facts.data[row])
        if told.get("subject") != question.need.subject:
            continue
        if told["period"] != question.need.period:
            if overlaps(question.need.period, told["period"]):
                others.append(OtherFigure(period=told["period"], event=reference(facts, row)))
            continue
        moment = since_us.get(row, int(facts.at_us[row])), row
        if latest is None or moment > latest:
            latest, standing = moment, row
    if standing is None:
        in_order = sorted(others, key=lambda one: (first_day(one.period), one.period))
        return CountedFigure(None, positions(()), others=tuple(in_order))
    value = Fraction(int(facts.value[standing]), 10 ** int(facts.scale_or_total[standing]))
    return CountedFigure(value, positions([standing]))


def subjects(question: Question) -> tuple[str, ...]:
    """Who has a figure declared for time of the question's period, in order of name."""
    told = (msgspec.json.decode(question.facts.data[row]) for row in question.rows.tolist())
    return tuple(
        sorted(
            {
                str(each["subject"])
                for each in told
                if "subject" in each and overlaps(question.need.period, each["period"])
            }
        )
    )
