"""Which disputes over a settlement are admitted: in time, with an error, large enough."""

from __future__ import annotations

from schemas.evaluation import CircumstanceFact
from schemas.remedy import DisputeTerms
from services.core.calendar_days import working_day_after
from services.core.case import Case, Sheet
from services.core.known import stated_day, stated_number


def admit_disputes(case: Case, sheet: Sheet) -> Sheet:
    """Each dispute of the period as a figure: admitted or not."""
    term = case.version.disputes
    if term is None:
        return sheet
    figures = {
        _name(fact): admitted(term, fact) for fact in case.known.circumstances(term.circumstance)
    }
    return sheet.with_figures(figures)


def _name(fact: CircumstanceFact) -> str:
    subject = fact.circumstance.subject
    return "dispute-admitted" if subject is None else f"dispute-admitted/{subject}"


def admitted(term: DisputeTerms, fact: CircumstanceFact) -> bool:
    """All three: raised by the n-th working day after the run, an error, enough effect."""
    last = working_day_after(stated_day(fact, "run_on"), term.working_days, term.holidays)
    in_time = stated_day(fact, "raised_on") <= last
    error = fact.circumstance.values.get("error") is True or not term.needs_error
    return in_time and error and term.effect.met_by(stated_number(fact, "effect"))
