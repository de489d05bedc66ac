"""What is not there: why a period waits for it, or what the term states instead."""

from __future__ import annotations

from fractions import Fraction

from schemas.absence import CountsAs, IfAbsentYesNo
from schemas.evaluation import CircumstanceFact, IncompleteOccurrence, MetricFigure
from services.core.inputs.context import PeriodContext
from services.core.inputs.known import says_yes


def number_or_wait(
    context: PeriodContext, if_absent: object, what: str, reader: str, send: str
) -> Fraction | None:
    """The number that a term states for an absent fact; None where nothing counts or it waits.

    ``what``: the fact, with its subject and period. ``reader``: the term that reads it. ``send``:
    what brings the fact.
    """
    if isinstance(if_absent, CountsAs):
        return if_absent.counts_as
    if if_absent == "wait":
        wait_for(context, what, reader, send)
    return None


def wait_for(context: PeriodContext, what: str, reader: str, send: str) -> None:
    """Note that the period waits for a fact, and what to do."""
    context.blockers.add(f"{what}, which {reader} reads; {send}, or state if_absent there")


def said_or_wait(
    context: PeriodContext,
    fact: CircumstanceFact | None,
    if_absent: IfAbsentYesNo,
    name: str,
    reader: str,
) -> bool:
    """Whether a circumstance holds, or what the term states where it is not stated.

    ``name``: the circumstance with its period.
    """
    if fact is not None:
        return says_yes(fact)
    if if_absent == "wait":
        what = f"the circumstance {name} is not stated"
        wait_for(context, what, reader, "state it, with holds: false where it did not happen")
    return if_absent == "holds"


def no_figure(metric: str, subject: str | None, period: str, figure: MetricFigure | None) -> str:
    """Which figure is not there, in words."""
    whose = f" of {subject}" if subject is not None else ""
    why = " (there was nothing to count)" if figure and figure.nothing_to_count else ""
    return f"the metric {metric}{whose} has no figure of {period}{why}"


def halves_awaited(context: PeriodContext) -> None:
    """Note every occurrence that a metric lets the period wait for, as a half of it is missing."""
    for figure in context.inputs.evaluation.figures:
        for half in figure.incomplete:
            if half.counts == "waits":
                references = context.inputs.references
                events = ", ".join(event.id for event in references.events(half.events))
                context.blockers.add(
                    f"{references.occurrence(half)} of the metric {figure.metric} "
                    f"{_WORDS[half.missing]} (events {events}); send what is missing, or correct "
                    "them"
                )


def half_text(context: PeriodContext, half: IncompleteOccurrence) -> str:
    """What is missing of an occurrence, and how it counts."""
    name = context.inputs.references.occurrence(half)
    return f"{name} {_WORDS[half.missing]}: {half.counts.replace('_', ' ')}"


_WORDS = {
    "open": "closes and was never opened",
    "end_after_start": "ends before it starts",
    "opened": "was never opened",
}
"""What is missing of an incomplete occurrence."""
