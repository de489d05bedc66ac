"""Terms of the whole agreement that can never do anything.

Nothing reads them, fills them, or is ever cut by them.

What is inherited from a framework is left alone: another agreement may need it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from schemas.agreement import Agreement
from schemas.base import Noun
from schemas.ceiling import DropSmall
from schemas.composites import Composite
from schemas.credit import ByBand, PointsEach
from schemas.earn_back import Deferral, EarnBackAfterRun, EarnBackByYear
from schemas.period_cycle import cycle_of
from schemas.points import MarginalPoints, PointTable
from schemas.programme import (
    Programme,
)
from schemas.remedy import ByMean, ByMisses, ByOccurrence
from services.core.contracts.inheritance import NAMED_BY
from services.core.contracts.level_effects import (
    can_be_missed,
    idle_in_table,
    never_a_percentage,
)
from services.core.contracts.wording import FieldPath, Finding
from services.core.exact.compatible import TooManySets, compatible_sets

_CREDITS = ("service_credit", "penalty", "two_way")
_LEAVE_OUT = "leave it out"


def idle_money_terms(agreement: Agreement, programme: Programme) -> Iterator[Finding]:
    """Everything stated of the agreement as a whole that never has an effect."""
    inherited = {origin.term for origin in agreement.origins}
    for look in _CHECKS:
        for finding in look(agreement, programme):
            if _term(agreement, finding.path) not in inherited:
                yield finding


def _term(agreement: Agreement, path: FieldPath) -> str:
    """A path's term as origins name it: ``points``, ``caps.yearly``."""
    section = str(path[0])
    if len(path) < 2 or not isinstance(path[1], int) or section not in NAMED_BY:
        return section
    return f"{section}.{getattr(getattr(agreement, section)[path[1]], NAMED_BY[section])}"


def _paying(agreement: Agreement) -> set[str]:
    """The levels of which a credit or penalty can be owed in money."""
    return {
        level.level
        for level in agreement.levels
        for credit in level.credits
        if credit.is_a in _CREDITS and not _gives_points(credit.rate)
    }


def _gives_points(rate: Any) -> bool:
    return isinstance(rate, PointsEach) or (isinstance(rate, ByBand) and rate.gives == "points")


def _owes(agreement: Agreement) -> bool:
    """Whether the vendor can ever owe a credit or a penalty."""
    others = (agreement.points, agreement.critical_failure, agreement.retainages)
    return bool(_paying(agreement)) or any(others)


# --- declared and not used ----------------------------------------------------------------------


def _declared_for_nothing(agreement: Agreement, _: Programme) -> Iterator[Finding]:
    used = set(_names_in(agreement))
    for section, field in (("at_risk", "at_risk"), ("categories", "category")):
        for index, term in enumerate(getattr(agreement, section)):
            name = getattr(term, field)
            counted = getattr(term, "allocations_total", None) == "exactly"  # refused for its total
            if (field, name) not in used and not counted:
                what = "amount at risk" if field == "at_risk" else field
                reason = f"no credit or ceiling reads the {what} {name}"
                yield Finding((section, index), reason, "leave it out, or name it where it counts")


def _names_in(noun: Any) -> Iterator[tuple[str, str]]:
    """Every amount at risk and category that a term reads; not where it is declared."""
    if isinstance(noun, tuple):
        for one in noun:
            yield from _names_in(one)
    elif isinstance(noun, Noun):
        declares = next(iter(type(noun).model_fields))
        for field in type(noun).model_fields:
            value = getattr(noun, field)
            if field in ("at_risk", "category") and isinstance(value, str) and field != declares:
                yield field, value
            else:
                yield from _names_in(value)


# --- what is cut, claimed, put off --------------------------------------------------------------


def _nothing_owed(agreement: Agreement, _: Programme) -> Iterator[Finding]:
    """Terms about credits and penalties where none can ever be owed."""
    if _owes(agreement):
        return
    reason = "no level bears a credit or penalty, and no other term makes one"
    remedy = "give a level a credit or penalty, or leave it out"
    for section in ("small_amounts", "single_event", "claim", "deposit", "invoicing"):
        if getattr(agreement, section) is not None:
            yield Finding((section,), reason, remedy)
    for section in ("caps", "earn_backs"):
        for index, _term in enumerate(getattr(agreement, section)):
            yield Finding((section, index), reason, remedy)


def _caps(agreement: Agreement, _: Programme) -> Iterator[Finding]:
    for index, cap in enumerate(agreement.caps):
        yield from _without_credit(("caps", index, "levels"), cap.levels, agreement, "be cut")
        if cap.earned_back is not None and not agreement.earn_backs:
            reason = "nothing is earned back in this agreement"
            yield Finding(("caps", index, "earned_back"), reason, _LEAVE_OUT)
        one_period = cap.window == "contract_year" and cycle_of(agreement.settled).months == 12
        if one_period and cap.opening is not None:
            reason = "a contract year is one settlement period, before which none counts"
            yield Finding(("caps", index, "opening"), reason, _LEAVE_OUT)


def _without_credit(
    path: FieldPath, levels: tuple[str, ...], agreement: Agreement, what: str
) -> Iterator[Finding]:
    """Levels that are there, and of which nothing is ever owed."""
    paying = _paying(agreement)
    for name in levels:
        if name not in paying and agreement.level_named(name) is not None:
            reason = f"level {name} bears no credit or penalty in money that could {what}"
            yield Finding(path, reason, "leave the level out")


def _banks(agreement: Agreement, _: Programme) -> Iterator[Finding]:
    for index, bank in enumerate(agreement.banks):
        path: FieldPath = ("banks", index)
        yield from _without_credit((*path, "pays_for"), bank.pays_for, agreement, "be paid from it")
        if not bank.pays_for and not _owes(agreement):
            reason = f"no credit or penalty is ever paid from bank {bank.bank}"
            yield Finding(path, reason, "give a level a credit, or leave the bank out")


def _small_amounts(agreement: Agreement, _: Programme) -> Iterator[Finding]:
    term = agreement.small_amounts
    if isinstance(term, DropSmall) and term.only_above <= 0:
        reason = "no credit above zero is dropped"
        yield Finding(("small_amounts", "only_above"), reason, "state an amount above zero")
    elif term is not None and not isinstance(term, DropSmall) and term.amount <= 0:
        reason = "no credit above zero is raised to this"
        yield Finding(("small_amounts", "amount"), reason, "state an amount above zero")


def _earn_backs(agreement: Agreement, _: Programme) -> Iterator[Finding]:
    """Good results are asked for of a level that asks for nothing."""
    paying = _paying(agreement)
    for index, term in enumerate(agreement.earn_backs):
        path: FieldPath = ("earn_backs", index)
        if isinstance(term, EarnBackAfterRun):
            if term.lasts is not None and term.given_as == "amount":
                reason = "an amount is booked back at once, so it does not last"
                yield Finding((*path, "lasts"), reason, "leave it out, or write given_as: balance")
            if term.asks == "no_credit":
                continue
        if isinstance(term, EarnBackByYear) and term.target is not None:
            continue
        covered = [
            level
            for level in agreement.levels
            if level.level in paying and (not term.levels or level.level in term.levels)
        ]
        if covered and not any(map(can_be_missed, covered)):
            names = ", ".join(level.level for level in covered)
            reason = f"good results are asked for of {names}, without an expected level"
            verb = "undone" if isinstance(term, Deferral) else "earned back"
            remedy = f"state expected, or leave it out: nothing is ever {verb}"
            yield Finding(path, reason, remedy)


# --- remedies -----------------------------------------------------------------------------------


def _single_event(agreement: Agreement, _: Programme) -> Iterator[Finding]:
    term, paying = agreement.single_event, _paying(agreement)
    if term is None:
        return
    if len(paying) == 1:
        reason = f"only level {min(paying)} bears a credit, so no event is ever paid for twice"
        yield Finding(("single_event",), reason, _LEAVE_OUT)
    seen: set[frozenset[str]] = set()
    for index, pair in enumerate(term.adds):
        path: FieldPath = ("single_event", "adds", index)
        both = frozenset(pair)
        unknown = sorted(name for name in both if agreement.level_named(name) is None)
        if unknown:
            yield Finding(path, f"there is no level '{unknown[0]}'", "name two levels")
        elif len(both) < 2:
            yield Finding(path, f"the pair names '{pair[0]}' twice", "name two levels")
        elif both in seen:
            yield Finding(path, f"{pair[0]} and {pair[1]} are a pair already", _LEAVE_OUT)
        else:
            yield from _without_credit(path, pair, agreement, "stand beside another")
        seen.add(both)
    try:
        compatible_sets(tuple(sorted(paying)), term.adds)
    except TooManySets as error:
        remedy = "name fewer pairs, or give levels that stand together a credit of their own"
        yield Finding(("single_event", "adds"), str(error), remedy)


def _critical_failure(agreement: Agreement, _: Programme) -> Iterator[Finding]:
    term = agreement.critical_failure
    if term is not None:
        path: FieldPath = ("critical_failure", "replaces")
        yield from _without_credit(path, term.replaces, agreement, "be replaced")


def _retainages(agreement: Agreement, _: Programme) -> Iterator[Finding]:
    for index, term in enumerate(agreement.retainages):
        for field in ("whole", "parts"):
            level = agreement.level_named(getattr(term, field))
            if level is not None and not can_be_missed(level):
                reason = f"level {level.level} has no expected level, so nothing is ever lost by it"
                yield Finding(("retainages", index, field), reason, "state its expected level")


def _terminations(agreement: Agreement, programme: Programme) -> Iterator[Finding]:
    for index, term in enumerate(agreement.terminations):
        path: FieldPath = ("terminations", index)
        if isinstance(term, ByMisses | ByMean):
            level = agreement.level_named(term.level)
            metric = programme.metric(level.metric) if level is not None else None
            if isinstance(term, ByMisses) and level is not None and not can_be_missed(level):
                reason = f"level {level.level} has no expected level, so it is never missed"
                yield Finding((*path, "level"), reason, "state expected, or name another level")
            percent = metric is not None and metric.figure_unit == "percent"
            if isinstance(term, ByMean) and percent and never_a_percentage(term.region):
                reason = f"no mean of percentages is ever {term.region.text()}"
                yield Finding((*path, "region"), reason, "correct the limit")
        if isinstance(term, ByOccurrence):
            yield from _occurrences((*path, "metric"), term, programme)


_WITH_OCCURRENCES = frozenset(
    {"outage_time", "outage_count", "availability_by_outages", "tickets_in_time", "delivery_delay"}
)


def _occurrences(path: FieldPath, term: ByOccurrence, programme: Programme) -> Iterator[Finding]:
    metric = programme.metric(term.metric)
    if metric is not None and metric.measure.kind not in _WITH_OCCURRENCES:
        made = "is made of other metrics" if isinstance(metric.measure, Composite) else "has none"
        reason = f"a single occurrence of {term.metric} is looked at, but it {made}"
        yield Finding(path, reason, "name a metric of outages, tickets or deliveries")


def _points(agreement: Agreement, _: Programme) -> Iterator[Finding]:
    term = agreement.points
    if isinstance(term, PointTable):
        path: FieldPath = ("points", "table")
        yield from idle_in_table(path, term.table)
        if term.table.gives == "points":
            reason = "points are turned into money here, and the table gives points"
            yield Finding((*path, "gives"), reason, "write gives: percent with a base, or amount")
    if isinstance(term, MarginalPoints) and not (
        term.point_value and any(b.factor for b in term.bands)
    ):
        yield Finding(("points",), "every point is worth 0", "correct it, or leave points out")


_CHECKS: tuple[Callable[[Agreement, Programme], Iterator[Finding]], ...] = (
    _declared_for_nothing,
    _nothing_owed,
    _caps,
    _banks,
    _small_amounts,
    _earn_backs,
    _single_event,
    _critical_failure,
    _retainages,
    _terminations,
    _points,
)
