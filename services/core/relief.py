"""Misses that are excused: by proofs in time, by volume, by what somebody states."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, timedelta
from typing import Any

from schemas.level import Level, ReliefByCircumstance, ReliefByProof, ReliefByVolume
from schemas.statement import Step
from services.core.arithmetic import number_text
from services.core.calendar_days import local_day, months_after
from services.core.case import Case, step
from services.core.known import says_yes, stated_day

Excuse = tuple[bool, str]


def excuses(
    case: Case, level: Level, subject: str | None, period: str, term: str
) -> tuple[bool, tuple[Step, ...]]:
    """Whether a miss is excused by any of the level's reliefs, and what each came to."""
    steps = []
    excused = False
    for index, relief in enumerate(level.relief):
        holds, text = _RELIEFS[type(relief)](case, relief, level, subject, period)
        steps.append(step("relief", f"{term}.relief[{index}]", text))
        excused = excused or holds
    return excused, tuple(steps)


def _by_proof(case: Case, term: ReliefByProof, level: Level, subject: str | None, _: str) -> Excuse:
    facts = [
        fact
        for fact in case.known.circumstances(term.circumstance)
        if fact.circumstance.level in (None, level.level)
        and fact.circumstance.subject in (None, subject)
    ]
    failed = [
        stated_day(fact, "failed_on") for fact in facts if "failed_on" in fact.circumstance.values
    ]
    if not failed:
        return False, "not excused: nobody states the day of the failure and proves an excuse"
    last = _last_day(term, failed[-1])
    missing = [name for name in term.proofs if not _proved(case, name, facts, last)]
    if missing:
        return False, f"not excused: not proved by {last}: {', '.join(missing)}"
    return True, f"excused: {', '.join(term.proofs)} proved by {last}"


def _last_day(term: ReliefByProof, failed_on: date) -> date:
    if term.within_months:
        return months_after(failed_on, term.within_months)
    return failed_on + timedelta(days=term.within_days)


def _proved(case: Case, name: str, facts: Sequence[Any], last: date) -> bool:
    return any(
        fact.circumstance.values.get(name) is True and local_day(fact.at, case.time_zone) <= last
        for fact in facts
    )


def _by_volume(
    case: Case, term: ReliefByVolume, level: Level, subject: str | None, period: str
) -> Excuse:
    figure = case.known.figure(term.metric, subject, period) or case.known.figure(
        term.metric, None, period
    )
    stated = case.known.circumstance(term.normal_from or "", level.level, subject)
    normal = term.normal if term.normal is not None else stated and stated.circumstance.value
    if figure is None or figure.value is None or not normal:
        return False, "not excused: the volume or the normal volume is not known"
    times = figure.value / normal
    said = f"{number_text(figure.value)} is {number_text(times)} times {number_text(normal)}"
    if not term.times_normal.met_by(times):
        return False, f"not excused: {said}, not {term.times_normal.text()} times"
    if term.notice and says_yes(case.known.circumstance(term.notice, level.level, subject)):
        return False, f"not excused: {said}, but notice was given"
    return True, f"excused: {said}, without notice"


def _by_circumstance(
    case: Case, term: ReliefByCircumstance, level: Level, subject: str | None, _: str
) -> Excuse:
    holds = says_yes(case.known.circumstance(term.circumstance, level.level, subject))
    return holds, f"{'excused' if holds else 'not excused'}: {term.circumstance}"


_RELIEFS: dict[type, Callable[[Case, Any, Level, str | None, str], Excuse]] = {
    ReliefByProof: _by_proof,
    ReliefByVolume: _by_volume,
    ReliefByCircumstance: _by_circumstance,
}
