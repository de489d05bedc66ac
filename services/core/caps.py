"""Ceilings on a period's credits, in the order stated, and what becomes of small amounts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

from schemas.ceiling import Cap, DropSmall, EarnedBack, RaiseSmall
from schemas.credit import AmountLimit
from schemas.money import exponent
from schemas.statement import LineKind
from services.core.arithmetic import ZERO, rounded
from services.core.case import OWED_BY_VENDOR, Case, Sheet, counts, step
from services.core.known import stated_number
from services.core.pricing import limit_amount
from services.core.sharing import in_proportion

_WINDOWS: dict[str, Callable[[Case, Cap], list[str]]] = {
    "period": lambda case, _: [case.period],
    "trailing": lambda case, cap: case.window(cap.periods or 1),
    "contract_year": lambda case, _: case.contract_year(),
    "term": lambda case, _: case.term(),
}


def apply_caps(case: Case, sheet: Sheet) -> Sheet:
    """Every cap in turn; each sees what the one before it left."""
    sheet = before_caps(sheet)
    for index, cap in enumerate(case.version.caps):
        sheet = _apply(case, sheet, cap, f"caps[{index}]")
    return sheet


def before_caps(sheet: Sheet) -> Sheet:
    """With the sum of credits noted as it was before any cap or small-amount rule."""
    if "credits-before-caps" in sheet.figures:
        return sheet
    return sheet.with_figures({"credits-before-caps": sheet.owed()})


def _apply(case: Case, sheet: Sheet, cap: Cap, term: str) -> Sheet:
    window = _WINDOWS[cap.window](case, cap)
    due = sheet.owed(cap.levels)
    if due <= 0 and case.if_known(lambda aside: _ceiling(aside, cap, window)) is None:
        return sheet  # nothing is due, so nothing waits for the ceiling's charges
    seen = case.seen
    ceiling = _ceiling(case, cap, window)
    given = _given(case, cap, window[:-1])
    headroom = max(ceiling - given, ZERO)
    sheet = sheet.with_figures({f"headroom/{cap.cap}": headroom})
    if due >= headroom:
        sheet = replace(sheet, full=sheet.full | {cap.cap})
    if due <= headroom:
        return sheet
    money = case.money
    held = f"ceiling {money(ceiling)}"
    if cap.window != "period":
        held += f" from {window[0]} to {window[-1]}, {money(given)} of it given before"
    text = f"cap {cap.cap}: {money(due)} cut to {money(headroom)} ({held})"
    if isinstance(cap.limit, AmountLimit):
        text += "".join(f"; {one.text}" for one in case.steps_since(seen))
    return scaled(sheet, cap.levels, headroom, "cap", term, text)


def scaled(
    sheet: Sheet, levels: Sequence[str], total: Fraction, rule: str, term: str, text: str
) -> Sheet:
    """The credits of some levels in proportion, so that together they are ``total``."""
    touched = [amount for amount in sheet.amounts if counts(amount, levels)]
    values = iter(in_proportion([amount.value for amount in touched], total))
    return replace(
        sheet,
        amounts=tuple(
            amount.becomes(value := next(values), step(rule, term, text, value))
            if counts(amount, levels)
            else amount
            for amount in sheet.amounts
        ),
    )


def _ceiling(case: Case, cap: Cap, window: list[str]) -> Fraction:
    if isinstance(cap.limit, AmountLimit):
        return limit_amount(case, cap.limit)
    # What no version covers has no charges either: only a period that is settled has.
    settled = [label for label in window if label == case.period or case.past.of(label)]
    own = sum((limit_amount(case, cap.limit, period=label) for label in settled), ZERO)
    charges = _opening(case, cap, "charges")
    return own + charges * _share(cap)


def _share(cap: Cap) -> Fraction:
    percent = getattr(cap.limit, "percent", ZERO)
    return Fraction(percent) / 100


def _given(case: Case, cap: Cap, earlier: list[str]) -> Fraction:
    """Credits already given in the window, in main units; after earn-back where that is agreed."""
    kinds = kinds_given(cap.earned_back)
    known = (case.past.of(label) for label in earlier)
    minor = sum(settled.amount(kinds, cap.levels) for settled in known if settled)
    return _opening(case, cap, "credits") + Fraction(minor, 10 ** exponent(case.version.currency))


def kinds_given(earned_back: EarnedBack | None) -> frozenset[LineKind]:
    """The kinds of line that use up a cap over several periods, by what is said of earn-backs."""
    earn_backs: frozenset[LineKind] = frozenset({"earn_back"})
    return OWED_BY_VENDOR | earn_backs if earned_back == "frees_the_cap" else OWED_BY_VENDOR


def _opening(case: Case, cap: Cap, what: str) -> Fraction:
    """What was charged or credited in the window before the first period settled here."""
    if cap.opening is None:
        return ZERO
    fact = case.known.circumstance(cap.opening)
    return stated_number(fact, what) if fact is not None else ZERO


def apply_small_amounts(case: Case, sheet: Sheet) -> Sheet:
    """Drop or raise a small total, as agreed."""
    sheet = before_caps(sheet)
    term = case.version.small_amounts
    if term is None or sheet.owed() <= 0:
        return sheet
    due = sheet.owed()
    if term.compared == "rounded":
        places = exponent(case.version.currency)
        due = rounded(due, places, case.version.conventions.money_rounding)
    return _SMALL[type(term)](case, sheet, term, due)


def _drop(case: Case, sheet: Sheet, term: DropSmall, due: Fraction) -> Sheet:
    if due > term.only_above:
        return sheet
    text = f"{case.money(due)} is not above {case.money(term.only_above)}: dropped"
    return scaled(sheet, (), ZERO, "small-amount", "small_amounts", text)


def _raise(case: Case, sheet: Sheet, term: RaiseSmall, due: Fraction) -> Sheet:
    if due >= term.amount:
        return sheet
    text = f"{case.money(due)} is less than {case.money(term.amount)}: raised to it"
    return scaled(sheet, (), term.amount, "small-amount", "small_amounts", text)


_SMALL: dict[type, Callable[[Case, Sheet, Any, Fraction], Sheet]] = {
    DropSmall: _drop,
    RaiseSmall: _raise,
}
