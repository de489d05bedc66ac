"""Earning credits back: by good results afterwards, by the year's mean, and what a balance pays."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import chain
from typing import Any, Literal

from schemas.earn_back import Deferral, EarnBackAfterRun, EarnBackByYear
from schemas.period import first_day, next_label
from schemas.statement import LevelResult, StatementLine
from services.core.adjusting.balances import close_balances, set_off
from services.core.adjusting.returned_credits import line_name, still_to_return
from services.core.calendar.days import contract_year
from services.core.exact.arithmetic import ZERO, number_text, percent_of
from services.core.inputs.banking import main_to_minor, minor_to_main
from services.core.inputs.context import PeriodContext
from services.core.inputs.history import SettledPeriod
from services.core.inputs.worksheet import (
    OWED_BY_VENDOR,
    Balance,
    Deferred,
    DraftLine,
    ReturnedCredit,
    Worksheet,
    counts,
    step,
)


def apply_earn_backs(context: PeriodContext, worksheet: Worksheet) -> Worksheet:
    """Deferred credits first, then balances are set off, then new earn-backs are found."""
    worksheet = set_off(context, _deferred(context, worksheet))
    for index, term in enumerate(context.version.earn_backs):
        worksheet = _EARN_BACKS[type(term)](context, worksheet, term, f"earn_backs[{index}]")
    return close_balances(context, worksheet)


# --- deferred -----------------------------------------------------------------------------------


def _deferred(context: PeriodContext, worksheet: Worksheet) -> Worksheet:
    """Deferred credits whose run is broken become payable; this period's are put off."""
    worksheet = _resolved(context, worksheet)
    for index, term in enumerate(context.version.earn_backs):
        if isinstance(term, Deferral):
            worksheet = _put_off(context, worksheet, term, f"earn_backs[{index}]")
    return worksheet


def _put_off(context: PeriodContext, worksheet: Worksheet, term: Deferral, path: str) -> Worksheet:
    if context.ends_with == context.period and term.at_end == "payable":
        return worksheet
    kept: list[DraftLine] = []
    held: list[Deferred] = []
    for amount in worksheet.amounts:
        covered = counts(amount, term.levels) and amount.for_period == context.period
        barred = term.barred_below_minimum and _below_minimum(worksheet.results, amount.level)
        if not covered or barred or amount.level is None or amount.value <= 0:
            kept.append(amount)
            continue
        item = Deferred(term.earn_back, amount.line, amount.level, context.period, amount.value)
        text = f"{context.money(amount.value)} is deferred: {term.periods} good periods undo it"
        if context.ends_with == context.period:
            text = f"{context.money(amount.value)} is dropped: the agreement ends with this period"
            worksheet = _dropped(worksheet, item)
        else:
            held.append(item)
        kept.append(amount.becomes(ZERO, step("deferred", path, text, ZERO)))
    return replace(worksheet, amounts=tuple(kept), deferred=(*worksheet.deferred, *held))


def _dropped(worksheet: Worksheet, item: Deferred) -> Worksheet:
    """With a credit that was put off and is lost, as the agreement ends."""
    before = worksheet.figures.get(f"dropped/{item.name}")
    held = before if isinstance(before, Fraction) else ZERO
    return worksheet.with_figures({f"dropped/{item.name}": held + item.amount})


def _resolved(context: PeriodContext, worksheet: Worksheet) -> Worksheet:
    """Broken runs make credits payable now; complete ones undo them; the rest waits on."""
    terms = {
        term.earn_back: term for term in context.version.earn_backs if isinstance(term, Deferral)
    }
    waiting: list[Deferred] = []
    payable: list[DraftLine] = []
    last = context.history.last
    for item in () if last is None else last.deferred:
        term = terms.get(item.name)
        verdict = (
            _run_after(context, worksheet, term, item.period, item.level)[0] if term else "broken"
        )
        ends = context.ends_with == context.period
        if verdict == "open" and not ends:
            waiting.append(item)
        elif verdict == "broken" or (verdict == "open" and term and term.at_end == "payable"):
            payable.append(_payable_now(context, item))
        elif verdict == "open":
            worksheet = _dropped(worksheet, item)
    return replace(worksheet.adding(*payable), deferred=tuple(waiting))


def _payable_now(context: PeriodContext, item: Deferred) -> DraftLine:
    text = f"the credit of {item.period} was not undone: {context.money(item.amount)} is payable"
    return DraftLine(
        line=f"deferred/{item.name}/{item.line}/{item.period}",
        kind="service_credit",
        level=item.level,
        for_period=item.period,
        value=item.amount,
        steps=(step("deferred", "earn_backs", text, item.amount),),
    )


# --- after a run of good periods ----------------------------------------------------------------


def _after_run(
    context: PeriodContext, worksheet: Worksheet, term: EarnBackAfterRun, path: str
) -> Worksheet:
    for settled in _in_reach(context, worksheet, term):
        for level, credited in _credited(settled, term):
            if _earned_now(context, worksheet, term, settled, level):
                worksheet = _give(context, worksheet, term, path, settled, level, credited)
    return worksheet


def _in_reach(
    context: PeriodContext, worksheet: Worksheet, term: EarnBackAfterRun
) -> Sequence[SettledPeriod]:
    """The past periods whose run may be complete with this one.

    Where no period can be passed over, that is the one so many periods before.
    """
    passed_over = term.asks != "no_credit" and term.no_data == "is_passed_over"
    if passed_over:
        return _with_passed_over(context, worksheet, term)
    failed = context.history.back(term.periods)
    return () if failed is None else (failed,)


def _with_passed_over(
    context: PeriodContext, worksheet: Worksheet, term: EarnBackAfterRun
) -> Sequence[SettledPeriod]:
    """As far back as a run of any level may still be complete with this period and not before."""
    levels = {one.level for one in worksheet.results}
    runs = {level: 1 for level in levels if _good_period(context, worksheet, term, None, level)}
    found: list[SettledPeriod] = []
    after = context.period
    for row in context.history.latest_first() if runs else ():
        if next_label(row.period) != after:
            break
        found.append(row)
        after = row.period
        for level in list(runs):
            verdict = _good_period(context, worksheet, term, row, level)
            runs[level] += verdict is True
            if verdict is False or runs[level] > term.periods:
                del runs[level]
        if not runs:
            break
    return found[::-1]


def _credited(settled: SettledPeriod, term: EarnBackAfterRun) -> Iterator[tuple[str | None, int]]:
    """What a past period credited, per level; as one sum where no credit at all is asked for."""
    if term.asks == "no_credit":
        paid = settled.amount(OWED_BY_VENDOR, term.levels)
        paid += settled.amount(frozenset({"set_off"}), term.levels)
        if paid > 0:
            yield None, paid
        return
    own = [line for line in settled.lines or () if line.for_period == settled.period]
    yield from _by_level(own, term.levels).items()


def _by_level(lines: Sequence[StatementLine], levels: tuple[str, ...]) -> dict[str, int]:
    sums: dict[str, int] = {}
    for line in lines:
        if line.kind in OWED_BY_VENDOR and line.level and (not levels or line.level in levels):
            sums[line.level] = sums.get(line.level, 0) + line.minor_units
    return {level: amount for level, amount in sums.items() if amount > 0}


def _earned_now(
    context: PeriodContext,
    worksheet: Worksheet,
    term: EarnBackAfterRun,
    failed: SettledPeriod,
    level: str | None,
) -> bool:
    """Whether the run after a failing period is complete with this period, and unbroken."""
    if term.barred_below_minimum and _below_minimum(failed.results, level):
        return False
    return _run_after(context, worksheet, term, failed.period, level) == ("earned", context.period)


def _below_minimum(results: Sequence[LevelResult], level: str | None) -> bool:
    return any(
        one.standing == "below_minimum" for one in results if level is None or one.level == level
    )


EarnBackState = tuple[Literal["earned", "broken", "open"], str]


def _run_after(
    context: PeriodContext,
    worksheet: Worksheet,
    term: EarnBackAfterRun | Deferral,
    failed: str,
    level: str | None,
) -> EarnBackState:
    """What became of the run after a failing period, and in which period that was decided."""
    good = 0
    period = failed
    for row in chain(context.history.after(failed), [None]):
        period = next_label(period)
        own = row.period if row else context.period
        verdict = _good_period(context, worksheet, term, row, level) if own == period else False
        if verdict is False:
            return "broken", own
        good += verdict is True
        if good == term.periods:
            return "earned", own
    return "open", context.period


def _good_period(
    context: PeriodContext,
    worksheet: Worksheet,
    term: EarnBackAfterRun | Deferral,
    row: SettledPeriod | None,
    level: str | None,
) -> bool | None:
    """True: a good period. False: it breaks the run. None: without data, and passed over."""
    if term.asks == "no_credit":
        due = row.amount(OWED_BY_VENDOR, term.levels) if row else worksheet.owed(term.levels)
        return due == 0
    results = row.results if row else worksheet.results
    own = [one for one in results if one.level == level]
    with_data = [one for one in own if one.standing != "no_result"]
    if not with_data:
        return None if term.no_data == "is_passed_over" else False
    if len(with_data) < len(own) and term.no_data == "breaks_the_run":
        return False
    return all(_is_good(one, term.asks) for one in with_data)


def _is_good(result: LevelResult, asks: str) -> bool:
    if result.standing != "met":
        return False
    if asks == "met" or result.result is None or result.expected is None:
        return asks == "met"
    return result.result != result.expected


def _give(
    context: PeriodContext,
    worksheet: Worksheet,
    term: EarnBackAfterRun,
    path: str,
    failed: SettledPeriod,
    level: str | None,
    credited: int,
) -> Worksheet:
    credit = minor_to_main(context, credited)
    wanted = percent_of(term.percent, credit)
    levels = term.levels if level is None else (level,)
    value, more = _not_returned(context, worksheet, levels, failed.period, credit, wanted)
    if value < wanted and not value:
        return worksheet
    text = (
        f"{term.periods} good periods after {failed.period}: {number_text(term.percent)} % of "
        f"{context.money(credit)} = {context.money(wanted)} earned back{more}"
    )
    made = step("earn-back", path, text, value)
    if term.given_as == "balance":
        usable = next_label(context.period)
        last = None if term.lasts is None else next_label(usable, term.lasts - 1)
        minor = main_to_minor(context, value)
        given = ReturnedCredit(level, context.period, minor)
        balance = Balance(term.earn_back, failed.period, minor, usable, last, given=given)
        return replace(worksheet, balances=(*worksheet.balances, balance))
    return worksheet.adding(_line(term.earn_back, level, failed.period, -value, made))


def _not_returned(
    context: PeriodContext,
    worksheet: Worksheet,
    levels: tuple[str, ...],
    period: str,
    credit: Fraction,
    wanted: Fraction,
) -> tuple[Fraction, str]:
    """What may still come back of a period's credit, and words where that is less than wanted."""
    left = still_to_return(context, worksheet, levels, period, credit)
    if wanted <= left:
        return wanted, ""
    return left, f", of which {context.money(left)} has not come back before"


def _line(name: str, level: str | None, for_period: str, value: Fraction, made: Any) -> DraftLine:
    return DraftLine(
        line=line_name(name, level, for_period),
        kind="earn_back",
        level=level,
        for_period=for_period,
        value=value,
        steps=(made,),
    )


# --- by the year's mean -------------------------------------------------------------------------


def _by_year(
    context: PeriodContext, worksheet: Worksheet, term: EarnBackByYear, path: str
) -> Worksheet:
    year = context.contract_year()
    if not _is_last_of_year(context, year):
        return worksheet
    history = list(context.history.since(year[0]))
    for level in context.version.levels:
        if level.level not in (term.levels or (level.level,)):
            continue
        results = [one for row in history for one in row.results if one.level == level.level]
        results += [one for one in worksheet.results if one.level == level.level]
        mean = _mean(results, term)
        target = term.target or level.expected
        if mean is None or target is None or not target.met_by(mean):
            continue
        barred = any(one.standing == "below_minimum" for one in results)
        if barred and term.barred_below_minimum:
            continue
        worksheet = _relieve(context, worksheet, term, path, level.level, history, mean)
    return worksheet


def _is_last_of_year(context: PeriodContext, year: list[str]) -> bool:
    begins, following = first_day(context.begins), next_label(context.period)
    belongs_to = context.version.conventions.period_belongs_to
    return contract_year(begins, following, belongs_to)[0] != year[0]


def _mean(results: list[LevelResult], term: EarnBackByYear) -> Fraction | None:
    values = [one.result for one in results if one.result is not None]
    if not values or (len(values) < len(results) and term.no_data == "no_earn_back"):
        return None
    return sum(values, ZERO) / len(values)


def _relieve(
    context: PeriodContext,
    worksheet: Worksheet,
    term: EarnBackByYear,
    path: str,
    level: str,
    history: list[SettledPeriod],
    mean: Fraction,
) -> Worksheet:
    """Each period's credit of the level comes back on a line of its own."""
    why = f"the year's mean of {level} is {number_text(mean)}"
    rows = [
        (row.period, minor_to_main(context, row.amount(OWED_BY_VENDOR, (level,))))
        for row in history
    ]
    for period, credit in [*rows, (context.period, worksheet.owed((level,)))]:
        if credit <= 0:
            continue
        wanted = percent_of(term.percent, credit)
        value, more = _not_returned(context, worksheet, (level,), period, credit, wanted)
        if value < wanted and not value:
            continue
        text = (
            f"{why}: {number_text(term.percent)} % of {context.money(credit)} of {period} = "
            f"{context.money(wanted)} earned back{more}"
        )
        made = step("earn-back", path, text, value)
        worksheet = worksheet.adding(_line(term.earn_back, level, period, -value, made))
    return worksheet


def _as_it_is(_: PeriodContext, worksheet: Worksheet, __: Deferral, ___: str) -> Worksheet:
    return worksheet  # deferred before balances are set off


_EARN_BACKS: dict[type, Callable[[PeriodContext, Worksheet, Any, str], Worksheet]] = {
    Deferral: _as_it_is,
    EarnBackAfterRun: _after_run,
    EarnBackByYear: _by_year,
}
