"""Settling an agreement: its whole history replayed, one statement per period.

Nothing is carried in from outside: the same versions and evaluations give the same statements,
byte for byte, in whatever order the evaluations are handed over.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from hashlib import sha256

from schemas.agreement import Agreement, OrderStep
from schemas.evaluation import ChargeFact, CircumstanceFact, PeriodEvaluation
from schemas.money import exponent
from schemas.period import first_day, label_of, next_label
from schemas.statement import SettlementStatement, StatementLine
from services.core.arithmetic import ZERO
from services.core.caps import apply_caps, apply_small_amounts
from services.core.case import Amount, Case, Settled, Sheet, step
from services.core.claims import apply_claims
from services.core.critical_failure import apply_critical_failure
from services.core.dispute_admission import admit_disputes
from services.core.earn_back import apply_earn_backs
from services.core.fees import apply_deposit, apply_fees
from services.core.judging import judge
from services.core.known import Charges, Known, Missing, Misstated
from services.core.payment import invoiced, payable
from services.core.points import convert_points
from services.core.pricing import price_results
from services.core.retainage import apply_retainages
from services.core.rounding import round_when_made, whole_units_of
from services.core.single_event import apply_single_event
from services.core.terminations import open_rights


@dataclass(frozen=True, slots=True)
class Unsettled:
    """A period that cannot be settled yet, and what it waits for."""

    period: str
    reasons: tuple[str, ...]


def settle(
    versions: Sequence[Agreement],
    evaluations: Sequence[PeriodEvaluation],
    *,
    buyer: str,
    time_zone: str,
) -> tuple[SettlementStatement | Unsettled, ...]:
    """One outcome per settlement period known, in order, from the agreement's beginning.

    Of several revisions of a period the latest counts. The version in force on a period's first
    day decides it; counters, runs and balances go on across versions. ``time_zone``: the
    programme's, for terms that speak of days.
    """
    known = _latest(evaluations)
    charges = Charges(known)
    ordered = sorted(versions, key=lambda version: (version.effective_from, version.version))
    past: list[Settled] = []
    outcomes: list[SettlementStatement | Unsettled] = []
    for period in sorted(known, key=first_day):
        version = version_for(ordered, period)
        if version is None:
            continue
        case = _case(version, period, known, charges, past, ordered, time_zone)
        outcome, remembered = _settled(case, buyer)
        outcomes.append(outcome)
        past.append(remembered)
    return tuple(outcomes)


def _settled(case: Case, buyer: str) -> tuple[SettlementStatement | Unsettled, Settled]:
    """One period's outcome, and what later periods look back at."""
    try:
        sheet = _worked(case)
        outcome, carried = _outcome(case, sheet, buyer)
    except Misstated as misstated:
        reasons = (*case.missing.reasons, str(misstated))
        return Unsettled(case.period, reasons), Settled(case.period, case.version, (), None)
    lines = outcome.lines if isinstance(outcome, SettlementStatement) else None
    remembered = Settled(
        case.period, case.version, sheet.results, lines, sheet.balances, carried, sheet.deferred
    )
    return outcome, remembered


def version_for(versions: Sequence[Agreement], period: str) -> Agreement | None:
    """The version in force on the period's first day; None where the agreement does not cover it.

    ``versions`` in order of their first day.
    """
    day = first_day(period)
    begun = [version for version in versions if version.effective_from <= day]
    if not begun:
        return None
    until = begun[-1].effective_until
    return begun[-1] if until is None or day < until else None


def _latest(evaluations: Sequence[PeriodEvaluation]) -> dict[str, Known]:
    latest: dict[str, PeriodEvaluation] = {}
    for evaluation in evaluations:
        held = latest.get(evaluation.period)
        if held is None or evaluation.revision > held.revision:
            latest[evaluation.period] = evaluation
    return {period: Known(evaluation) for period, evaluation in latest.items()}


def _case(
    version: Agreement,
    period: str,
    known: Mapping[str, Known],
    charges: Charges,
    past: Sequence[Settled],
    versions: Sequence[Agreement],
    time_zone: str,
) -> Case:
    begins = label_of(versions[0].effective_from, version.settled)
    until = versions[-1].effective_until
    ends_with = None if until is None else next_label(label_of(until, version.settled), -1)
    missing = Missing()
    if looks_back(version):
        for reason in _holes(begins, period, past):
            missing.add(reason)
    return Case(
        version, period, known[period], charges, tuple(past), begins, ends_with, time_zone, missing
    )


def _holes(begins: str, period: str, past: Sequence[Settled]) -> list[str]:
    """Why the history before a period is not whole: a settlement never guesses it."""
    if not past:
        before = begins != period
        return [f"{begins} is not evaluated yet, and terms look back at it"] if before else []
    last = past[-1]
    expected = next_label(last.period)
    if expected != period:
        return [f"{expected} is not evaluated yet, and terms look back at it"]
    if last.lines is None:
        return [f"{last.period} is not settled yet, and terms look back at it"]
    return []


def looks_back(version: Agreement) -> bool:
    """Whether any term of a version depends on earlier periods."""
    levels = any(
        level.averaged is not None
        or level.moves is not None
        or level.defaults.kind == "misses_in_window"
        or any(
            credit.due.kind == "on_run"
            or credit.rate.kind == "by_run"
            or any(factor.kind == "repeat" for factor in credit.factors)
            for credit in level.credits
        )
        for level in version.levels
    )
    caps = any(cap.window != "period" for cap in version.caps)
    terms = (version.earn_backs, version.terminations, version.banks)
    return bool(levels or caps or any(terms) or version.deposit or version.invoicing)


def _credits(case: Case, sheet: Sheet) -> Sheet:
    return apply_retainages(case, price_results(case, sheet))


def _unchanged(_: Case, sheet: Sheet) -> Sheet:
    return sheet


OPERATIONS: dict[OrderStep, Callable[[Case, Sheet], Sheet]] = {
    "levels": judge,
    "credits": _credits,
    "points": convert_points,
    "single_event": apply_single_event,
    "critical_failure": apply_critical_failure,
    "claims": apply_claims,
    "caps": apply_caps,
    "small_amounts": apply_small_amounts,
    "earn_back": apply_earn_backs,
    "fees": apply_fees,
    "deposit": apply_deposit,
    "rounding": _unchanged,
}


def _worked(case: Case) -> Sheet:
    sheet = Sheet()
    for name in case.version.order:
        before = len(sheet.amounts)
        sheet = round_when_made(case, OPERATIONS[name](case, sheet), before)
    return open_rights(case, admit_disputes(case, _with_at_risk(case, sheet)))


def _with_at_risk(case: Case, sheet: Sheet) -> Sheet:
    """The amounts at risk, for people."""
    for term in case.version.at_risk:
        amount = case.if_known(partial(Case.at_risk, name=term.at_risk))
        if amount is not None:
            sheet = sheet.with_figures({f"at-risk/{term.at_risk}": amount})
    return sheet


def _outcome(
    case: Case, sheet: Sheet, buyer: str
) -> tuple[SettlementStatement | Unsettled, Fraction]:
    """The statement, or what is waited for; and the credit that is carried to later invoices."""
    lines = _lines(case, sheet)
    total = sum(line.minor_units for line in lines)
    due = Fraction(total, 10 ** exponent(case.version.currency))
    invoice, carried = invoiced(case, due)
    sheet = sheet.with_figures({**payable(case, due), **invoice, **case.bases_used()})
    if case.missing.reasons:
        return Unsettled(case.period, tuple(case.missing.reasons)), ZERO
    version = case.version
    statement = SettlementStatement(
        programme=version.programme,
        agreement=version.agreement,
        version=version.version,
        vendor=version.vendor,
        buyer=buyer,
        period=case.period,
        currency=version.currency,
        results=sheet.results,
        lines=lines,
        total_minor=total,
        figures=dict(sorted(sheet.figures.items())),
        rights=sheet.rights,
        facts_digest=facts_digest(case.known.evaluation),
    )
    return statement, carried


def _lines(case: Case, sheet: Sheet) -> tuple[StatementLine, ...]:
    places = exponent(case.version.currency)
    return tuple(
        _statement_line(case, amount, minor, places)
        for amount, minor in zip(sheet.amounts, whole_units_of(case, sheet), strict=True)
    )


def _statement_line(case: Case, amount: Amount, minor: int, places: int) -> StatementLine:
    steps = amount.steps
    value = Fraction(minor, 10**places)
    if value != amount.value:
        how = case.version.conventions
        text = (
            f"{case.money(amount.value)} rounded {how.money_rounding.replace('_', ' ')} "
            f"({how.rounded_at}): {case.money(value)}"
        )
        steps = (*steps, step("rounding", "conventions", text, value))
    return StatementLine(
        line=amount.line,
        kind=amount.kind,
        level=amount.level,
        for_period=amount.for_period,
        minor_units=minor,
        version=case.version.version,
        steps=steps,
        events=amount.events,
    )


def facts_digest(evaluation: PeriodEvaluation) -> str:
    """SHA-256 over the evidence of all figures and the identity of all charges, circumstances."""
    parts = [
        f"{one.metric}\0{one.subject or ''}\0{one.period}\0{one.evidence.digest}"
        for one in evaluation.figures
    ]
    stated: list[ChargeFact | CircumstanceFact] = [*evaluation.charges, *evaluation.circumstances]
    parts += [f"{one.event.source}\0{one.event.id}\0{one.at.isoformat()}" for one in stated]
    return sha256("\n".join(sorted(parts)).encode()).hexdigest()
