"""Which disputes over a settlement are admitted: in time, with an error, large enough."""

from __future__ import annotations

from datetime import date

from schemas.evaluation import CircumstanceFact
from schemas.remedy import DisputeTerms
from services.core.calendar.days import working_day_after
from services.core.inputs.context import PeriodContext
from services.core.inputs.stated import stated_day, stated_number
from services.core.inputs.worksheet import Worksheet


def admit_disputes(context: PeriodContext, worksheet: Worksheet) -> Worksheet:
    """Each dispute of the period as a figure: admitted or not."""
    term = context.version.disputes
    if term is None:
        return worksheet
    figures = {
        _name(fact): admitted(term, fact)
        for fact in context.inputs.of_any(term.circumstance, context.period)
    }
    return worksheet.with_figures(figures)


def _name(fact: CircumstanceFact) -> str:
    said = fact.circumstance
    return "/".join(filter(None, ("dispute-admitted", said.level, said.subject)))


def last_day(term: DisputeTerms, run_on: date) -> date:
    """The last day on which a settlement that was run on a day may be disputed."""
    return working_day_after(run_on, term.working_days, term.holidays)


def admitted(term: DisputeTerms, fact: CircumstanceFact) -> bool:
    """All three: raised by the n-th working day after the run, an error, enough effect."""
    in_time = stated_day(fact, "raised_on") <= last_day(term, stated_day(fact, "run_on"))
    error = fact.circumstance.values.get("error") is True or not term.needs_error
    return in_time and error and term.effect.met_by(stated_number(fact, "effect"))
