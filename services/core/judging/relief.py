"""Misses that are excused: by proofs in time, by volume, by what somebody states."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

from schemas.evaluation import CircumstanceFact
from schemas.level import Level, ReliefByCircumstance, ReliefByProof, ReliefByVolume
from schemas.statement import Step
from services.core.calendar.days import local_day, months_after
from services.core.calendar.windows import covers
from services.core.exact.arithmetic import number_text
from services.core.inputs.absence import no_figure, said_or_wait, wait_for
from services.core.inputs.context import PeriodContext
from services.core.inputs.known import says_yes
from services.core.inputs.stated import stated_day
from services.core.inputs.worksheet import step

Excuse = tuple[bool, str]


def excuses(
    context: PeriodContext, level: Level, subject: str | None, period: str, term: str
) -> tuple[bool, tuple[Step, ...]]:
    """Whether a miss is excused by any of the level's reliefs, and what each came to."""
    steps = []
    excused = False
    aside = replace(context, blockers=replace(context.blockers, reasons=[]))
    for index, relief in enumerate(level.relief):
        path = f"{term}.relief[{index}]"
        holds, text = _RELIEFS[type(relief)](aside, relief, level, subject, period, path)
        steps.append(step("relief", path, text))
        excused = excused or holds
    if not excused:  # what one relief waits for does not matter where another one holds
        for reason in aside.blockers.reasons:
            context.blockers.add(reason)
    return excused, tuple(steps)


def _by_proof(
    context: PeriodContext,
    term: ReliefByProof,
    level: Level,
    subject: str | None,
    period: str,
    _: str,
) -> Excuse:
    facts = context.inputs.statements(term.circumstance, period, level.level, subject)
    failed = [
        day
        for fact in facts
        if "failed_on" in fact.circumstance.values
        and _is_of(fact, day := stated_day(fact, "failed_on"), period)
    ]
    if not failed:
        return False, "not excused: nobody states the day of the failure and proves an excuse"
    last = _last_day(term, failed[-1])
    blockers = [name for name in term.proofs if not _proved(context, name, facts, last)]
    if blockers:
        return False, f"not excused: not proved by {last}: {', '.join(blockers)}"
    return True, f"excused: {', '.join(term.proofs)} proved by {last}"


def _is_of(fact: CircumstanceFact, failed_on: date, period: str) -> bool:
    """Whether the day of a failure is the period's: of more than it, a statement names its days."""
    return fact.circumstance.period == period or covers(period, failed_on.isoformat())


def _last_day(term: ReliefByProof, failed_on: date) -> date:
    if term.within_months:
        return months_after(failed_on, term.within_months)
    return failed_on + timedelta(days=term.within_days)


def _proved(context: PeriodContext, name: str, facts: Sequence[Any], last: date) -> bool:
    return any(
        fact.circumstance.values.get(name) is True and local_day(fact.at, context.time_zone) <= last
        for fact in facts
    )


def _by_volume(
    context: PeriodContext,
    term: ReliefByVolume,
    level: Level,
    subject: str | None,
    period: str,
    path: str,
) -> Excuse:
    figure = context.inputs.figure(term.metric, subject, period) or context.inputs.figure(
        term.metric, None, period
    )
    normal = term.normal
    if term.normal_from is not None:
        stated = context.inputs.amount_stated(term.normal_from, period, level.level, subject)
        normal = stated.circumstance.value if stated is not None else None
    if figure is None or figure.value is None:
        what = no_figure(term.metric, subject, period, figure)
        return _unknown_volume(context, term, what, path, f"send events of {term.metric}")
    if not normal:
        what = f"the circumstance {term.normal_from} of {period} states no normal volume"
        return _unknown_volume(context, term, what, path, "state it with a value above zero")
    times = figure.value / normal
    said = f"{number_text(figure.value)} is {number_text(times)} times {number_text(normal)}"
    if not term.times_normal.met_by(times):
        return False, f"not excused: {said}, not {term.times_normal.text()} times"
    notice = term.notice and context.inputs.circumstance(term.notice, period, level.level, subject)
    if notice and says_yes(notice):
        return False, f"not excused: {said}, but notice was given"
    return True, f"excused: {said}, without notice"


def _unknown_volume(
    context: PeriodContext, term: ReliefByVolume, what: str, path: str, send: str
) -> Excuse:
    if term.if_absent == "wait":
        wait_for(context, what, path, send)
    holds = term.if_absent == "holds"
    said = "excused" if holds else "not excused"
    return holds, f"{said}: the volume or the normal volume is not known"


def _by_circumstance(
    context: PeriodContext,
    term: ReliefByCircumstance,
    level: Level,
    subject: str | None,
    period: str,
    path: str,
) -> Excuse:
    fact = context.inputs.circumstance(term.circumstance, period, level.level, subject)
    holds = said_or_wait(context, fact, term.if_absent, f"{term.circumstance} of {period}", path)
    said = "is not stated" if fact is None else "holds" if holds else "is denied"
    return holds, f"{'excused' if holds else 'not excused'}: {term.circumstance} {said}"


_RELIEFS: dict[type, Callable[[PeriodContext, Any, Level, str | None, str, str], Excuse]] = {
    ReliefByProof: _by_proof,
    ReliefByVolume: _by_volume,
    ReliefByCircumstance: _by_circumstance,
}
