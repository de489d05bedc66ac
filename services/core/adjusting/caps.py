"""Ceilings on a period's credits, in the order stated, and what becomes of small amounts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

from schemas.ceiling import Cap, DropSmall, EarnedBack, RaiseSmall
from schemas.credit import AmountLimit, AtRiskLimit, PercentLimit
from schemas.money import exponent
from schemas.period import first_day, next_label
from schemas.remedy import ByCap
from schemas.statement import LineKind
from services.core.exact.arithmetic import ZERO, rounded
from services.core.exact.sharing import in_proportion
from services.core.inputs.context import PeriodContext
from services.core.inputs.openings import (
    LookBack,
    is_stated,
    looks_before,
    money_of,
    openings_in,
    unstated,
)
from services.core.inputs.worksheet import OWED_BY_VENDOR, Worksheet, counts, step
from services.core.pricing.ceilings import limit_amount

_WINDOWS: dict[str, Callable[[PeriodContext, Cap], list[str]]] = {
    "period": lambda context, _: [context.period],
    "trailing": lambda context, cap: context.window(cap.periods or 1),
    "contract_year": lambda context, _: context.contract_year(),
    "term": lambda context, _: context.term(),
}


def apply_caps(context: PeriodContext, worksheet: Worksheet) -> Worksheet:
    """Every cap in turn; each sees what the one before it left."""
    worksheet = before_caps(worksheet)
    for index, cap in enumerate(context.version.caps):
        worksheet = _apply(context, worksheet, cap, f"caps[{index}]")
    return worksheet


def before_caps(worksheet: Worksheet) -> Worksheet:
    """With the sum of credits noted as it was before any cap or small-amount rule."""
    if "credits-before-caps" in worksheet.figures:
        return worksheet
    return worksheet.with_figures({"credits-before-caps": worksheet.owed()})


def _apply(context: PeriodContext, worksheet: Worksheet, cap: Cap, term: str) -> Worksheet:
    window = _WINDOWS[cap.window](context, cap)
    due = worksheet.owed(cap.levels)
    reason = _unstated(context, cap, term)
    if reason is not None and (due > 0 or _opens_a_right(context, cap)):
        context.blockers.add(reason)
    if due <= 0 and (
        reason is not None or context.if_known(lambda aside: _ceiling(aside, cap, window)) is None
    ):
        return worksheet  # nothing is due, so nothing waits for the opening or the charges
    seen = context.seen
    ceiling = _ceiling(context, cap, window)
    given = _given(context, cap, window[:-1])
    headroom = max(ceiling - given, ZERO)
    worksheet = worksheet.with_figures({f"headroom/{cap.cap}": headroom})
    if due >= headroom:
        worksheet = replace(worksheet, full=worksheet.full | {cap.cap})
    if due <= headroom:
        return worksheet
    money = context.money
    held = f"ceiling {money(ceiling)}"
    if cap.window != "period":
        held += f" from {window[0]} to {window[-1]}, {money(given)} of it given before"
    text = f"cap {cap.cap}: {money(due)} cut to {money(headroom)} ({held})"
    if isinstance(cap.limit, AmountLimit):
        text += "".join(f"; {one.text}" for one in context.steps_since(seen))
    return scaled(worksheet, cap.levels, headroom, "cap", term, text)


def scaled(
    worksheet: Worksheet, levels: Sequence[str], total: Fraction, rule: str, term: str, text: str
) -> Worksheet:
    """The credits of some levels in proportion, so that together they are ``total``."""
    touched = [amount for amount in worksheet.amounts if counts(amount, levels)]
    values = iter(in_proportion([amount.value for amount in touched], total))
    return replace(
        worksheet,
        amounts=tuple(
            amount.becomes(value := next(values), step(rule, term, text, value))
            if counts(amount, levels)
            else amount
            for amount in worksheet.amounts
        ),
    )


def _ceiling(context: PeriodContext, cap: Cap, window: list[str]) -> Fraction:
    if isinstance(cap.limit, AmountLimit):
        return limit_amount(context, cap.limit)
    # What no version covers has no charges either: only a period that is settled has.
    settled = [label for label in window if label == context.period or context.history.of(label)]
    own = sum((limit_amount(context, cap.limit, period=label) for label in settled), ZERO)
    share = _share(context, cap)
    return own + share * _opening(context, cap, "charges") if share else own


def _share(context: PeriodContext, cap: Cap) -> Fraction:
    """The part of the charges that is the ceiling, where it is one."""
    if isinstance(cap.limit, PercentLimit):
        return cap.limit.percent / 100
    if isinstance(cap.limit, AtRiskLimit):
        return context.at_risk_term(cap.limit.at_risk).percent / 100
    return ZERO


def _given(context: PeriodContext, cap: Cap, earlier: list[str]) -> Fraction:
    """Credits already given in the window, in main units; after earn-back where that is agreed.

    Those that are put off use up the cap as well: they may become payable without another look.
    """
    kinds = kinds_given(cap.earned_back)
    last = context.history.last
    if last is None:
        return _opening(context, cap, "credits")
    if cap.window == "term":
        minor = last.amount_so_far(kinds, cap.levels)
    else:
        known = (context.history.of(label) for label in earlier)
        minor = sum(settled.amount(kinds, cap.levels) for settled in known if settled)
    put_off = last.put_off(earlier, cap.levels)
    given = Fraction(minor, 10 ** exponent(context.version.currency)) + put_off
    return _opening(context, cap, "credits") + given


def kinds_given(earned_back: EarnedBack | None) -> frozenset[LineKind]:
    """The kinds of line that use up a cap over several periods, by what is said of earn-backs."""
    earn_backs: frozenset[LineKind] = frozenset({"earn_back"})
    return OWED_BY_VENDOR | earn_backs if earned_back == "frees_the_cap" else OWED_BY_VENDOR


def _opening(context: PeriodContext, cap: Cap, what: str) -> Fraction:
    """What was charged or credited in the window before the first period settled here."""
    if cap.opening is None:
        return ZERO
    facts = openings_in(context.charges, cap.opening, _look_back(context, cap))
    return money_of(context.charges, context.version, context.blockers, facts, what)


def _look_back(context: PeriodContext, cap: Cap) -> LookBack:
    begins = first_day(context.begins)
    since = {
        "trailing": first_day(next_label(context.period, 1 - (cap.periods or 1))),
        "contract_year": first_day(context.contract_year()[0]),
    }
    since_then = since.get(cap.window, begins)
    return LookBack(cap.window, context.period, context.begins, begins, since_then)


def _unstated(context: PeriodContext, cap: Cap, term: str) -> str | None:
    """Why the headroom is not known, where nobody states the opening; else None."""
    look = _look_back(context, cap)
    if cap.opening is None or cap.if_absent == "nothing" or not looks_before(look):
        return None
    if is_stated(context.charges, cap.opening, context.period):
        return None
    values = "'charges' and 'credits'" if _share(context, cap) else "'credits'"
    return unstated(cap.opening, term, values, look)


def _opens_a_right(context: PeriodContext, cap: Cap) -> bool:
    """Whether somebody may terminate when the cap is reached, as it can be where nothing is due."""
    terms = context.version.terminations
    return any(isinstance(term, ByCap) and term.cap == cap.cap for term in terms)


def apply_small_amounts(context: PeriodContext, worksheet: Worksheet) -> Worksheet:
    """Drop or raise a small total, as agreed."""
    worksheet = before_caps(worksheet)
    term = context.version.small_amounts
    if term is None or worksheet.owed() <= 0:
        return worksheet
    due = worksheet.owed()
    if term.compared == "rounded":
        places = exponent(context.version.currency)
        due = rounded(due, places, context.version.conventions.money_rounding)
    return _SMALL[type(term)](context, worksheet, term, due)


def _drop(
    context: PeriodContext, worksheet: Worksheet, term: DropSmall, due: Fraction
) -> Worksheet:
    if due > term.only_above:
        return worksheet
    text = f"{context.money(due)} is not above {context.money(term.only_above)}: dropped"
    return scaled(worksheet, (), ZERO, "small-amount", "small_amounts", text)


def _raise(
    context: PeriodContext, worksheet: Worksheet, term: RaiseSmall, due: Fraction
) -> Worksheet:
    if due >= term.amount:
        return worksheet
    text = f"{context.money(due)} is less than {context.money(term.amount)}: raised to it"
    return scaled(worksheet, (), term.amount, "small-amount", "small_amounts", text)


_SMALL: dict[type, Callable[[PeriodContext, Worksheet, Any, Fraction], Worksheet]] = {
    DropSmall: _drop,
    RaiseSmall: _raise,
}
