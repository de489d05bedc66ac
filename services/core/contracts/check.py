"""What one document cannot know of itself: names of the programme, totals, terms out of reach.

Each check looks at one thing and says where, why, and what to do. None stops the others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from schemas.agreement import Agreement, AtRisk, Base, Category
from schemas.bands import Band, BandTable, Threshold
from schemas.base import Noun, written
from schemas.ceiling import Cap
from schemas.credit import AtRiskShare, Credit, Duration
from schemas.earn_back import Bank
from schemas.level import Baseline, Level, Misses
from schemas.period import label_of
from schemas.programme import Metric, Programme
from schemas.remedy import ByMisses
from services.core.calendar.windows import parts_of
from services.core.contracts.conditions import Unfit, checked, unread
from services.core.contracts.currency_check import broken_currencies
from services.core.contracts.reading import Document, Refusal
from services.core.contracts.reweighting import broken_reweighting
from services.core.contracts.shared_cap_check import unfit
from services.core.contracts.wording import Finding, Path, nearest
from services.core.contracts.worth_check import broken_worths

_TIMES = frozenset({"milliseconds", "seconds", "minutes", "hours", "days"})
_WITH_PARTS = frozenset(
    {"outage_time", "outage_count", "availability_by_outages", "tickets_in_time", "delivery_delay"}
)
_RATIOS = frozenset({"ratio", "availability_by_samples", "within_limit", "tickets_in_time"})


@dataclass(frozen=True, slots=True)
class ContractUnderCheck:
    """An agreement with the programme it belongs to."""

    agreement: Agreement
    programme: Programme

    def metric(self, name: str) -> Metric | None:
        """A metric of the programme."""
        return self.programme.metric(name)

    def levels(self) -> Iterator[tuple[Path, Level]]:
        """The levels with their paths."""
        for index, level in enumerate(self.agreement.levels):
            yield ("levels", index), level

    def credits(self) -> Iterator[tuple[Path, Level, Credit]]:
        """The credits with their paths and levels."""
        for path, level in self.levels():
            for index, credit in enumerate(level.credits):
                yield (*path, "credits", index), level, credit


def check(
    document: Document, programme: Programme | None, others: Sequence[Agreement] = ()
) -> tuple[Refusal, ...]:
    """Everything wrong with an agreement beside its programme and the versions of itself.

    ``programme``: the version in force, or None where it is not known. ``others``: versions of the
    same agreement that are applied or stand in the same files. A programme has nothing to check.
    """
    agreement = document.noun
    if not isinstance(agreement, Agreement):
        return ()
    if programme is None or programme.programme != agreement.programme:
        reason = f"the programme {agreement.programme} is not known"
        remedy = "give its file as well, or apply it first"
        return (document.refusal(("programme",), reason, remedy),)
    contract = ContractUnderCheck(agreement, programme)
    found = [one for look in _CHECKS for one in look(contract)]
    found += _against_versions(agreement, others)
    found += broken_reweighting(agreement, others)
    found += broken_currencies(agreement)
    found += unfit(agreement, programme)
    found += broken_worths(agreement, programme)
    refusals = (document.refusal(one.path, one.reason, one.remedy) for one in found)
    return tuple(sorted(refusals, key=lambda one: (one.line, one.column)))


# --- names --------------------------------------------------------------------------------------

_REFERS = {
    "metric": "metric",
    "highest": "metric",
    "lowest": "metric",
    "base": "base",
    "at_risk": "amount at risk",
    "category": "category",
    "level": "level",
    "levels": "level",
    "replaces": "level",
    "pays_for": "level",
    "whole": "level",
    "parts": "level",
    "cost": "base",
    "bank": "bank",
    "cap": "cap",
}
"""Fields that name something declared elsewhere, and what they name."""

_DECLARES: dict[type[Noun], str] = {
    Base: "base",
    AtRisk: "at_risk",
    Category: "category",
    Level: "level",
    Bank: "bank",
    Cap: "cap",
}
"""The nouns that declare a name, in the field named here."""


def _names(contract: ContractUnderCheck) -> Iterator[Finding]:
    agreement = contract.agreement
    known = {
        "metric": [metric.metric for metric in contract.programme.metrics],
        "base": [base.base for base in agreement.bases],
        "amount at risk": [term.at_risk for term in agreement.at_risk],
        "category": [term.category for term in agreement.categories],
        "level": [level.level for level in agreement.levels],
        "bank": [bank.bank for bank in agreement.banks],
        "cap": [cap.cap for cap in agreement.caps],
    }
    for path, what, name in _references(agreement, ()):
        if name not in known[what]:
            close = nearest(name, known[what])
            listed = ", ".join(known[what]) or "none"
            remedy = f"did you mean '{close}'?" if close else f"declared are: {listed}"
            yield Finding(path, f"there is no {what} '{name}'", remedy)
    vendors = [vendor.vendor for vendor in contract.programme.vendors]
    if agreement.vendor not in vendors:
        close = nearest(agreement.vendor, vendors)
        remedy = f"did you mean '{close}'?" if close else "add the vendor to the programme"
        reason = f"the programme has no vendor '{agreement.vendor}'"
        yield Finding(("vendor",), reason, remedy)


def _references(noun: Any, path: Path) -> Iterator[tuple[Path, str, str]]:
    """Every name in an agreement that refers to something, with its path and what it names."""
    if isinstance(noun, tuple):
        for index, one in enumerate(noun):
            yield from _references(one, (*path, index))
    if not isinstance(noun, Noun):
        return
    for field in type(noun).model_fields:
        value = getattr(noun, field)
        what = _REFERS.get(field)
        if what is None or _DECLARES.get(type(noun)) == field:
            yield from _references(value, (*path, field))
            continue
        names = value if isinstance(value, tuple) else (value,)
        if all(isinstance(name, str) for name in names):
            yield from (((*path, field), what, name) for name in names)
        else:
            yield from _references(value, (*path, field))


def _declared_once(contract: ContractUnderCheck) -> Iterator[Finding]:
    agreement = contract.agreement
    declared: tuple[tuple[str, str, Sequence[Any]], ...] = (
        ("bases", "base", agreement.bases),
        ("at_risk", "at_risk", agreement.at_risk),
        ("categories", "category", agreement.categories),
        ("levels", "level", agreement.levels),
        ("caps", "cap", agreement.caps),
        ("earn_backs", "earn_back", agreement.earn_backs),
        ("terminations", "term", agreement.terminations),
        ("clauses", "clause", agreement.clauses),
        ("banks", "bank", agreement.banks),
        ("fees", "fee", agreement.fees),
        ("retainages", "retainage", agreement.retainages),
    )
    for section, field, terms in declared:
        names = [getattr(term, field) for term in terms]
        for index, name in enumerate(names):
            if name in names[:index]:
                reason = f"'{name}' is declared twice in {section}"
                yield Finding((section, index, field), reason, "give it another name")


def _lines_are_told_apart(contract: ContractUnderCheck) -> Iterator[Finding]:
    for path, level in contract.levels():
        names = [credit.name for credit in level.credits]
        for index, name in enumerate(names):
            if name in names[:index]:
                which = "without a name" if name is None else f"named '{name}'"
                reason = f"two credits of level {level.level} are {which}"
                yield Finding((*path, "credits", index), reason, "give each a name of its own")


# --- totals -------------------------------------------------------------------------------------


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


# --- thresholds and units -----------------------------------------------------------------------


def _directions(contract: ContractUnderCheck) -> Iterator[Finding]:
    for path, level in contract.levels():
        metric = contract.metric(level.metric)
        if metric is None:
            continue
        for name in ("expected", "minimum"):
            threshold: Threshold | None = getattr(level, name)
            if threshold is None:
                continue
            if threshold.higher_is_met != (metric.better == "higher"):
                words = "at_most or below" if metric.better == "lower" else "at_least or above"
                reason = f"'{threshold.text()}', but of {metric.metric} {metric.better} is better"
                yield Finding((*path, name), reason, f"write {words}, or correct the metric")
            if metric.unit == "percent" and not 0 <= threshold.limit <= 100:
                reason = f"'{threshold.text()}' is no percentage from 0 to 100"
                yield Finding((*path, name), reason, "correct the limit or the metric's unit")


def _minimum_is_lower(contract: ContractUnderCheck) -> Iterator[Finding]:
    for path, level in contract.levels():
        if level.expected is None or level.minimum is None:
            continue
        gap = level.expected.limit - level.minimum.limit
        if (gap if level.expected.higher_is_met else -gap) < 0:
            reason = f"the minimum '{level.minimum.text()}' asks for more than the expected level"
            yield Finding((*path, "minimum"), reason, "swap them or correct one")


def _measured_fits(contract: ContractUnderCheck) -> Iterator[Finding]:
    agreement = contract.agreement
    label = label_of(agreement.effective_from, agreement.settled)
    for path, level in contract.levels():
        if level.measured is None:
            continue
        try:
            parts_of(label, level.measured)
        except ValueError:
            reason = f"a {agreement.settled} is not made of whole periods of a {level.measured}"
            yield Finding(
                (*path, "measured"), reason, "measure in shorter periods, or leave it out"
            )


def _units_fit(contract: ContractUnderCheck) -> Iterator[Finding]:
    for path, level, credit in contract.credits():
        quantity = credit.quantity
        if isinstance(quantity, Duration):
            metric = contract.metric(quantity.metric or level.metric)
            at = (*path, "quantity")
            if metric is None:
                continue
            kind = metric.measure.kind
            if quantity.of == "each" and kind not in _WITH_PARTS:
                reason = f"{metric.metric} ({kind}) has no single occurrences to count"
                yield Finding(
                    at, reason, "write of: total, or name a metric of outages or deliveries"
                )
            if quantity.of == "total" and metric.unit not in _TIMES:
                reason = f"{metric.metric} is in {metric.unit}, which is no time"
                yield Finding(at, reason, "name a metric whose unit is a time")
    for path, level in contract.levels():
        metric = contract.metric(level.metric)
        if level.low_volume and metric and metric.measure.kind not in _RATIOS:
            reason = f"low_volume leaves events out, but {metric.metric} is no share of events"
            yield Finding((*path, "low_volume"), reason, "leave low_volume out")


# --- terms out of reach -------------------------------------------------------------------------


def _credits_out_of_reach(contract: ContractUnderCheck) -> Iterator[Finding]:
    for path, level, credit in contract.credits():
        kind = credit.due.kind
        if kind == "on_default" and level.defaults.kind == "never":
            reason = f"due on default, but level {level.level} never defaults"
            yield Finding((*path, "due"), reason, "change the level's defaults or when it is due")
        elif kind in ("on_default", "on_run") and level.expected is None:
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


def _points_out_of_reach(contract: ContractUnderCheck) -> Iterator[Finding]:
    if contract.agreement.points is None:
        return
    for _, _, credit in contract.credits():
        if credit.rate.kind == "points" or getattr(credit.rate, "gives", "") == "points":
            return
    reason = "points are turned into money, but no credit gives points"
    yield Finding(("points",), reason, "give points in a level's credits, or leave points out")


def _counts_out_of_reach(contract: ContractUnderCheck) -> Iterator[Finding]:
    for at, rule in _windows_of_misses(contract):
        if rule.misses > rule.of_last:
            reason = f"{rule.misses} misses cannot fall into {rule.of_last} periods"
            yield Finding(at, reason, "ask for fewer misses or a longer window")


def _windows_of_misses(contract: ContractUnderCheck) -> Iterator[tuple[Path, Misses | ByMisses]]:
    for path, level in contract.levels():
        if isinstance(level.defaults, Misses):
            yield (*path, "defaults"), level.defaults
    for index, term in enumerate(contract.agreement.terminations):
        if isinstance(term, ByMisses):
            yield ("terminations", index, "misses"), term


def _earn_backs_out_of_reach(contract: ContractUnderCheck) -> Iterator[Finding]:
    paying = {
        level.level
        for _, level, credit in contract.credits()
        if credit.is_a in ("service_credit", "penalty")
    }
    for index, term in enumerate(contract.agreement.earn_backs):
        for name in term.levels:
            if name not in paying:
                reason = f"level {name} bears no credit that could be earned back"
                yield Finding(("earn_backs", index, "levels"), reason, "leave the level out")


def _money_terms_out_of_reach(contract: ContractUnderCheck) -> Iterator[Finding]:
    agreement = contract.agreement
    filled = {credit.bank for _, _, credit in contract.credits()}
    for index, bank in enumerate(agreement.banks):
        if bank.opening is None and bank.bank not in filled:
            reason = f"nothing ever credits bank {bank.bank}"
            yield Finding(("banks", index), reason, "add a banked credit or an opening, or drop it")
    if agreement.deposit is not None and agreement.effective_until is None:
        reason = "a deposit is taken in the last period but one, but the agreement has no end"
        yield Finding(("deposit",), reason, "state effective_until, or leave the deposit out")
    critical = agreement.critical_failure
    failing = agreement.level_named(critical.level or "") if critical is not None else None
    if failing is not None and failing.minimum is None and failing.moves is None:
        reason = f"level {failing.level} has no minimum, so it never fails critically"
        yield Finding(("critical_failure", "level"), reason, "state the level's minimum")
    for index, term in enumerate(agreement.retainages):
        parts = agreement.level_named(term.parts)
        if parts is not None and not parts.each_subject:
            reason = f"level {term.parts} is not judged for each subject"
            yield Finding(("retainages", index, "parts"), reason, "write each_subject: true there")


def _occurrences_are_there(contract: ContractUnderCheck) -> Iterator[Finding]:
    for path, level in contract.levels():
        metric = contract.metric(level.metric)
        if level.attributed and metric and metric.measure.kind not in _WITH_PARTS:
            reason = f"{metric.metric} has no occurrences that could be attributed"
            yield Finding((*path, "attributed"), reason, "name a metric of outages or deliveries")


def _baselines_point_the_right_way(contract: ContractUnderCheck) -> Iterator[Finding]:
    for path, level in contract.levels():
        metric = contract.metric(level.metric)
        if metric is None or not isinstance(level.moves, Baseline):
            continue
        if (level.moves.tie in ("at_least", "above")) != (metric.better == "higher"):
            reason = f"'{level.moves.tie}', but of {metric.metric} {metric.better} is better"
            yield Finding((*path, "moves", "tie"), reason, "turn the word round")


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


def _ends_after_it_begins(contract: ContractUnderCheck) -> Iterator[Finding]:
    begins, until = contract.agreement.effective_from, contract.agreement.effective_until
    if until is not None and until <= begins:
        reason = f"it begins on {begins} and ends on {until}, so it covers no day"
        yield Finding(("effective_until",), reason, "correct one of the two, or leave the end out")


def _stands_alone(contract: ContractUnderCheck) -> Iterator[Finding]:
    """A framework is never settled, and inherited terms are part of what is applied."""
    agreement = contract.agreement
    if agreement.framework:
        reason = f"{agreement.agreement} is a framework, whose terms only others have"
        yield Finding(("framework",), reason, "give it beside the agreements that inherit from it")
    if agreement.inherits is not None and not agreement.origins:
        whose = f"{agreement.inherits.agreement} version {agreement.inherits.version}"
        reason = f"the terms of {whose} are not taken over yet"
        yield Finding(("inherits",), reason, "give the file of that framework as well")


_CHECKS: tuple[Callable[[ContractUnderCheck], Iterator[Finding]], ...] = (
    _names,
    _declared_once,
    _lines_are_told_apart,
    _allocations,
    _directions,
    _minimum_is_lower,
    _measured_fits,
    _units_fit,
    _credits_out_of_reach,
    _bands_out_of_reach,
    _points_out_of_reach,
    _counts_out_of_reach,
    _earn_backs_out_of_reach,
    _money_terms_out_of_reach,
    _occurrences_are_there,
    _baselines_point_the_right_way,
    _conditions_say_yes_or_no,
    _shares_compare,
    _ends_after_it_begins,
    _stands_alone,
)


# --- versions -----------------------------------------------------------------------------------


def _against_versions(agreement: Agreement, others: Sequence[Agreement]) -> Iterator[Finding]:
    for other in others:
        if other.agreement != agreement.agreement or other == agreement:
            continue
        if other.version == agreement.version:
            reason = f"version {other.version} of {other.agreement} is there with other terms"
            yield Finding(("version",), reason, "give the changed terms a new version")
            continue
        yield from _in_order(agreement, other)
        for field in ("programme", "vendor", "currency", "settled"):
            if getattr(other, field) != getattr(agreement, field):
                reason = f"version {other.version} has {field} {getattr(other, field)}"
                yield Finding((field,), reason, f"keep the {field}, or write a new agreement")


def _in_order(agreement: Agreement, other: Agreement) -> Iterator[Finding]:
    later, earlier = (agreement, other) if agreement.version > other.version else (other, agreement)
    if later.effective_from <= earlier.effective_from:
        reason = (
            f"version {later.version} begins on {later.effective_from}, not after version "
            f"{earlier.version} ({earlier.effective_from})"
        )
        yield Finding(("effective_from",), reason, "let the later version begin later")
