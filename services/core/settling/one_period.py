"""One period of one agreement: from what is known, by the order of operations, to a statement."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from hashlib import sha256

from schemas.agreement import Agreement, OrderStep
from schemas.evaluation import ChargeFact, CircumstanceFact, PeriodEvaluation
from schemas.money import MOST, exponent
from schemas.statement import RULES, LevelResult, SettlementStatement, StatementLine
from services.core.adjusting.caps import apply_caps, apply_small_amounts
from services.core.adjusting.claims import apply_claims
from services.core.adjusting.critical_failure import apply_critical_failure
from services.core.adjusting.earn_back import apply_earn_backs
from services.core.adjusting.fees import apply_deposit, apply_fees
from services.core.adjusting.retainage import apply_retainages
from services.core.adjusting.single_event import apply_single_event
from services.core.exact.arithmetic import ZERO
from services.core.inputs.blockers import InvalidDeclaration
from services.core.inputs.context import PeriodContext
from services.core.inputs.history import SettledPeriod, added_up
from services.core.inputs.worksheet import DraftLine, Worksheet, step
from services.core.judging.levels import judge
from services.core.pricing.credits import price_results
from services.core.pricing.points import convert_points
from services.core.settling.dispute_admission import admit_disputes
from services.core.settling.floor import floored
from services.core.settling.payment import invoiced, payable
from services.core.settling.rounding import round_when_made, whole_units_of
from services.core.settling.terminations import open_rights


@dataclass(frozen=True, slots=True)
class Unsettled:
    """A period that cannot be settled yet, and what it waits for."""

    period: str
    reasons: tuple[str, ...]


PeriodOutcome = SettlementStatement | Unsettled


def _credits(context: PeriodContext, worksheet: Worksheet) -> Worksheet:
    return apply_retainages(context, price_results(context, worksheet))


def _unchanged(_: PeriodContext, worksheet: Worksheet) -> Worksheet:
    return worksheet


OPERATIONS: dict[OrderStep, Callable[[PeriodContext, Worksheet], Worksheet]] = {
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


def up_to_caps(context: PeriodContext) -> Worksheet:
    """The order of operations up to the agreement's own caps, these included.

    Raises Misstated where a circumstance does not say what a term looks for.
    """
    return _worked(context, Worksheet(), context.version.order[: _after_caps(context.version)])


def settled(
    context: PeriodContext, worksheet: Worksheet, buyer: str
) -> tuple[PeriodOutcome, SettledPeriod]:
    """The rest of the order, the outcome, and what later periods look back at.

    Raises Misstated as `up_to_caps` does.
    """
    worksheet = _worked(context, worksheet, context.version.order[_after_caps(context.version) :])
    worksheet = open_rights(context, admit_disputes(context, _with_at_risk(context, worksheet)))
    outcome, carried = _outcome(context, worksheet, buyer)
    lines = outcome.lines if isinstance(outcome, SettlementStatement) else None
    last = context.history.last
    remembered = SettledPeriod(
        context.period,
        context.version,
        worksheet.results,
        lines,
        worksheet.balances,
        carried,
        worksheet.deferred,
        added_up(() if last is None else last.sums, lines or ()),
    )
    return outcome, remembered


def not_settled(context: PeriodContext, *reasons: str) -> tuple[Unsettled, SettledPeriod]:
    """The outcome of a period that cannot be worked out to its end, for these reasons as well."""
    waits = Unsettled(context.period, (*context.blockers.reasons, *reasons))
    last = context.history.last
    sums = () if last is None else last.sums
    return waits, SettledPeriod(context.period, context.version, (), None, sums=sums)


def _after_caps(version: Agreement) -> int:
    return version.order.index("caps") + 1


def _worked(context: PeriodContext, worksheet: Worksheet, steps: Sequence[OrderStep]) -> Worksheet:
    for name in steps:
        before = len(worksheet.amounts)
        worksheet = round_when_made(context, OPERATIONS[name](context, worksheet), before)
    return worksheet


def _with_at_risk(context: PeriodContext, worksheet: Worksheet) -> Worksheet:
    """The amounts at risk, for people."""
    for term in context.version.at_risk:
        amount = context.if_known(partial(PeriodContext.at_risk, name=term.at_risk))
        if amount is not None:
            worksheet = worksheet.with_figures({f"at-risk/{term.at_risk}": amount})
    return worksheet


def _outcome(
    context: PeriodContext, worksheet: Worksheet, buyer: str
) -> tuple[PeriodOutcome, Fraction]:
    """The statement, or what is waited for; and the credit that is carried to later invoices."""
    lines = _lines(context, worksheet)
    total = sum(line.minor_units for line in lines)
    due = Fraction(total, 10 ** exponent(context.version.currency))
    invoice, carried = invoiced(context, due)
    worksheet = worksheet.with_figures({**payable(context, due), **invoice, **context.bases_used()})
    if context.blockers.reasons:
        return Unsettled(context.period, tuple(context.blockers.reasons)), ZERO
    version = context.version
    statement = SettlementStatement(
        programme=version.programme,
        agreement=version.agreement,
        version=version.version,
        vendor=version.vendor,
        buyer=buyer,
        period=context.period,
        currency=version.currency,
        results=tuple(_told(context, result) for result in worksheet.results),
        lines=lines,
        total_minor=total,
        figures=dict(sorted(worksheet.figures.items())),
        rights=worksheet.rights,
        facts_digest=facts_digest(context.inputs.evaluation),
        rules=RULES,
    )
    return statement, carried


def _told(context: PeriodContext, result: LevelResult) -> LevelResult:
    """A result as the statement has it: it names no event of another vendor."""
    if result.evidence is None:
        return result
    telling = context.inputs.references.events(result.evidence.telling)
    evidence = result.evidence.model_copy(update={"telling": telling})
    return result.model_copy(update={"evidence": evidence})


def _lines(context: PeriodContext, worksheet: Worksheet) -> tuple[StatementLine, ...]:
    units = whole_units_of(context, worksheet)
    _can_be_booked(context, worksheet, units)
    lines = [
        (_rounded(context, amount, minor), minor)
        for amount, minor in zip(worksheet.amounts, units, strict=True)
    ]
    return tuple(_statement_line(context, *line) for line in floored(context, lines))


def _can_be_booked(context: PeriodContext, worksheet: Worksheet, units: Sequence[int]) -> None:
    """Raises InvalidDeclaration for an amount that is too large, and for two of one name.

    A name is made of level, credit and subject, and a subject may hold the sign between them.
    """
    seen: set[str] = set()
    total = 0
    for amount, minor in zip(worksheet.amounts, units, strict=True):
        total += minor
        if max(abs(minor), abs(total)) > MOST:
            raise InvalidDeclaration(
                f"{amount.line} comes to {context.money(amount.value)}, which is too large to be "
                "booked; correct the facts that it stands on"
            )
        if amount.line in seen:
            raise InvalidDeclaration(
                f"two amounts are named {amount.line}: a subject reads like a credit or another "
                "subject of its level; report it under another name"
            )
        seen.add(amount.line)


def _rounded(context: PeriodContext, amount: DraftLine, minor: int) -> DraftLine:
    """A line in whole minor units, with the step that says so where it was not."""
    value = Fraction(minor, 10 ** exponent(context.version.currency))
    if value == amount.value:
        return amount
    how = context.version.conventions
    text = (
        f"{context.money(amount.value)} rounded {how.money_rounding.replace('_', ' ')} "
        f"({how.rounded_at}): {context.money(value)}"
    )
    return amount.becomes(value, step("rounding", "conventions", text, value))


def _statement_line(context: PeriodContext, amount: DraftLine, minor: int) -> StatementLine:
    return StatementLine(
        line=amount.line,
        kind=amount.kind,
        level=amount.level,
        for_period=amount.for_period,
        minor_units=minor,
        version=context.version.version,
        steps=amount.steps,
        events=context.inputs.references.events(amount.events),
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
