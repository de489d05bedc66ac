"""Whom a circumstance speaks of: the lines of its level and subject, in the time that it names."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from services.core.inputs.blockers import InvalidDeclaration
from services.core.inputs.context import PeriodContext
from services.core.inputs.worksheet import DraftLine, PointsScored, Worksheet

OfLine = TypeVar("OfLine")
LineQuestion = Callable[[str, str | None, str | None], OfLine]
"""Asked with the window, the level and the subject."""


def of_line(
    context: PeriodContext,
    worksheet: Worksheet,
    line: DraftLine,
    name: str,
    ask: LineQuestion[OfLine],
) -> OfLine:
    """What a circumstance says of a line: of its level and subject, in the window it is for.

    A line of points is for all that scored them. Raises InvalidDeclaration where the circumstance
    ``name`` says one thing of some of these and another of the others.
    """
    scored = _scored(worksheet, line)
    if not scored:
        return ask(line.measured or context.period, line.level, line.subject)
    answers = [ask(one.period, one.level, one.subject) for one in scored]
    if any(answer != answers[0] for answer in answers):
        levels = ", ".join(sorted({one.level for one in scored}))
        raise InvalidDeclaration(
            f"the circumstance {name} does not speak of all of {levels} in {context.period}, whose "
            f"points are one amount, '{line.line}'; state it for {context.period} without 'level' "
            "and 'subject'"
        )
    return answers[0]


def _scored(worksheet: Worksheet, line: DraftLine) -> Sequence[PointsScored]:
    """Whose points a line is for; none where it is no line of points."""
    if line.level is not None or line.line.partition("/")[0] != "points":
        return ()
    return [one for one in worksheet.points if line.subject in (None, one.subject)]
