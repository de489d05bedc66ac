"""Prices: shares add up, quantities have a unit, and each credit can become due."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

from schemas.bands import Band, BandTable, Threshold
from schemas.base import written
from schemas.credit import AtRiskShare, Duration
from services.core.contracts.conditions import Unfit, checked, unread
from services.core.contracts.level_effects import can_be_missed
from services.core.contracts.under_check import WITH_PARTS, Check, ContractUnderCheck
from services.core.contracts.wording import Finding

_TIMES = frozenset({"milliseconds", "seconds", "minutes", "hours", "days"})


def _allocations(contract: ContractUnderCheck) -> Iterator[Finding]:
    """The level's share, the last of its shares, counts towards its category's total."""
    for index, category in enumerate(contract.agreement.categories):
        shares = [
            credit.rate.shares[-1]
            for _, _, credit in contract.credits()
            if isinstance(credit.rate, AtRiskShare)
            and credit.rate.category == category.category
            and credit.rate.shares
            and not credit.rate.unallocated
        ]
        total = sum(shares, Fraction(0))
        at_most = category.allocations_total == "at_most"
        if total > category.percent or (not at_most and total != category.percent):
            listed = " + ".join(f"{written(share)} %" for share in shares) or "nothing"
            bound = "more than" if total > category.percent else "not"
            reason = (
                f"the level shares of category {category.category} total {written(total)} % "
                f"({listed}), {bound} {written(category.percent)} %"
            )
            yield Finding(("categories", index), reason, "change the shares so that they fit")


def _units_fit(contract: ContractUnderCheck) -> Iterator[Finding]:
    for path, level, credit in contract.credits():
        quantity = credit.quantity
        if isinstance(quantity, Duration):
            metric = contract.metric(quantity.metric or level.metric)
            at = (*path, "quantity")
            if metric is None:
                continue
            kind = metric.measure.kind
            if quantity.of == "each" and kind not in WITH_PARTS:
                reason = f"{metric.metric} ({kind}) has no single occurrences to count"
                yield Finding(
                    at, reason, "write of: total, or name a metric of outages or deliveries"
                )
            if quantity.of == "total" and metric.unit not in _TIMES:
                reason = f"{metric.metric} is in {metric.unit}, which is no time"
                yield Finding(at, reason, "name a metric whose unit is a time")


def _credits_out_of_reach(contract: ContractUnderCheck) -> Iterator[Finding]:
    for path, level, credit in contract.credits():
        kind = credit.due.kind
        if kind == "on_default" and level.defaults.kind == "never":
            reason = f"due on default, but level {level.level} never defaults"
            yield Finding((*path, "due"), reason, "change the level's defaults or when it is due")
        elif kind in ("on_default", "on_run") and not can_be_missed(level):
            reason = f"level {level.level} has no expected level, so it is never missed"
            yield Finding((*path, "due"), reason, "state expected, or due: every_period")
        if getattr(credit.rate, "over", None) == "run" and kind != "on_run":
            reason = "over: run needs a credit that is due on a run"
            yield Finding((*path, "rate", "over"), reason, "write due: {kind: on_run, ...}")


def _bands_out_of_reach(contract: ContractUnderCheck) -> Iterator[Finding]:
    for path, level, credit in contract.credits():
        rate = credit.rate
        metric = contract.metric(level.metric)
        if not isinstance(rate, BandTable) or getattr(rate, "of", "") != "result":
            continue
        met_is_priced = credit.due.kind != "on_default" or level.expected is None
        for index, band in enumerate(rate.bands):
            at = (*path, "rate", "bands", index)
            if metric is not None and metric.unit == "percent" and _beyond_percent(band):
                reason = f"no percentage is ever in '{band.text()}'"
                yield Finding(at, reason, "correct the band")
            elif not met_is_priced and band.gives and _always_met(band, level.expected):
                reason = (
                    f"'{band.text()}' gives {written(band.gives)}, but such a result meets the "
                    "level and nothing is due"
                )
                yield Finding(at, reason, "correct the band or the expected level")


def _beyond_percent(band: Band) -> bool:
    low, high = band.lower, band.upper
    above = low is not None and (low.value > 100 or (low.value == 100 and not low.closed))
    below = high is not None and (high.value < 0 or (high.value == 0 and not high.closed))
    return above or below


def _always_met(band: Band, expected: Threshold | None) -> bool:
    """Whether every value of the band meets the expected level."""
    if expected is None:
        return False
    end = band.lower if expected.higher_is_met else band.upper
    if end is None:
        return False
    beyond = end.value > expected.limit if expected.higher_is_met else end.value < expected.limit
    return beyond or (
        end.value == expected.limit and (expected.met_by(end.value) or not end.closed)
    )


def _conditions_say_yes_or_no(contract: ContractUnderCheck) -> Iterator[Finding]:
    for path, _, credit in contract.credits():
        if credit.when is None:
            continue
        try:
            checked(credit.when)
        except Unfit as unfit:
            yield Finding((*path, "when", "holds"), unfit.reason, unfit.remedy)
            continue
        for name in unread(credit.when):
            reason = f"the condition never uses '{name}'"
            yield Finding((*path, "when", "reads"), reason, "leave it out, or use it")


def _shares_compare(contract: ContractUnderCheck) -> Iterator[Finding]:
    """Where the highest share is kept, every credit has one, and all are shares of one kind."""
    term = contract.agreement.single_event
    if term is None or term.keep != "highest_share":
        return
    first: str | None = None
    for path, level, credit in contract.credits():
        if credit.is_a not in ("service_credit", "penalty"):
            continue
        share = _share_of(credit.rate)
        if share is None:
            reason = f"the credit of {level.level} is no share, so it cannot be the highest"
        elif first is not None and share != first:
            reason = f"the credit of {level.level} is a share of {share}, another one of {first}"
        else:
            first = share
            continue
        remedy = "price all credits by shares of one kind, or write keep: largest_credit"
        yield Finding((*path, "rate"), reason, remedy)


def _share_of(rate: Any) -> str | None:
    if rate.kind == "at_risk_share":
        return "an amount at risk"
    percent = rate.kind == "percent_of" or getattr(rate, "gives", None) == "percent"
    return "a charge" if percent else None


CHECKS: tuple[Check, ...] = (
    _allocations,
    _units_fit,
    _credits_out_of_reach,
    _bands_out_of_reach,
    _conditions_say_yes_or_no,
    _shares_compare,
)
