"""One period of one agreement: from what is known, by the order of operations, to a statement."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from hashlib import sha256

from schemas.agreement import Agreement, OrderStep
from schemas.evaluation import ChargeFact, CircumstanceFact, PeriodEvaluation
from schemas.money import exponent
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


Outcome = SettlementStatement | Unsettled


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


def up_to_caps(case: Case) -> Sheet:
    """The order of operations up to the agreement's own caps, these included.

    Raises Misstated where a circumstance does not say what a term looks for.
    """
    return _worked(case, Sheet(), case.version.order[: _after_caps(case.version)])


def settled(case: Case, sheet: Sheet, buyer: str) -> tuple[Outcome, Settled]:
    """The rest of the order, the outcome, and what later periods look back at.

    Raises Misstated as `up_to_caps` does.
    """
    sheet = _worked(case, sheet, case.version.order[_after_caps(case.version) :])
    sheet = open_rights(case, admit_disputes(case, _with_at_risk(case, sheet)))
    outcome, carried = _outcome(case, sheet, buyer)
    lines = outcome.lines if isinstance(outcome, SettlementStatement) else None
    remembered = Settled(
        case.period, case.version, sheet.results, lines, sheet.balances, carried, sheet.deferred
    )
    return outcome, remembered


def not_settled(case: Case, *reasons: str) -> tuple[Unsettled, Settled]:
    """The outcome of a period that cannot be worked out to its end, for these reasons as well."""
    waits = Unsettled(case.period, (*case.missing.reasons, *reasons))
    return waits, Settled(case.period, case.version, (), None)


def _after_caps(version: Agreement) -> int:
    return version.order.index("caps") + 1


def _worked(case: Case, sheet: Sheet, steps: Sequence[OrderStep]) -> Sheet:
    for name in steps:
        before = len(sheet.amounts)
        sheet = round_when_made(case, OPERATIONS[name](case, sheet), before)
    return sheet


def _with_at_risk(case: Case, sheet: Sheet) -> Sheet:
    """The amounts at risk, for people."""
    for term in case.version.at_risk:
        amount = case.if_known(partial(Case.at_risk, name=term.at_risk))
        if amount is not None:
            sheet = sheet.with_figures({f"at-risk/{term.at_risk}": amount})
    return sheet


def _outcome(case: Case, sheet: Sheet, buyer: str) -> tuple[Outcome, Fraction]:
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
