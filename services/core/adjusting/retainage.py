"""An amount kept back and released in two steps: the whole service first, then part by part."""

from __future__ import annotations

from fractions import Fraction

from schemas.remedy import Retainage
from schemas.statement import LevelResult
from services.core.exact.arithmetic import number_text, percent_of
from services.core.inputs.context import PeriodContext
from services.core.inputs.worksheet import DraftLine, Worksheet, step
from services.core.judging.levels import MISSED


def apply_retainages(context: PeriodContext, worksheet: Worksheet) -> Worksheet:
    """What is lost of each retainage, as a line."""
    for index, term in enumerate(context.version.retainages):
        lost, text = _lost(context, worksheet, term)
        made = step("retainage", f"retainages[{index}]", text, lost)
        name = f"retainage/{term.retainage}"
        line = DraftLine(name, "penalty", None, context.period, lost, (made,))
        worksheet = worksheet.adding(line).with_figures(
            {f"lost/{term.retainage}": lost, f"released/{term.retainage}": term.amount - lost}
        )
    return worksheet


def _lost(context: PeriodContext, worksheet: Worksheet, term: Retainage) -> tuple[Fraction, str]:
    whole = [one for one in worksheet.results if one.level == term.whole]
    money = context.money
    if not all(_is_released(one, term) for one in whole):
        return term.amount, f"{term.whole} is not met: all of {money(term.amount)} is lost"
    by_parts = term.amount - percent_of(term.released_on_pass, term.amount)
    good = sum(_is_released(one, term) for one in worksheet.results if one.level == term.parts)
    failing = max(term.number - good, 0)
    lost = by_parts * failing / term.number
    text = (
        f"{term.whole} is met: {number_text(term.released_on_pass)} % of {money(term.amount)} "
        f"released; {money(by_parts)} over {term.number} parts, {failing} of them not released: "
        f"{money(lost)} lost"
    )
    return lost, text


def _is_released(result: LevelResult, term: Retainage) -> bool:
    if result.standing == "no_result":
        return term.without_result == "released"
    return result.standing not in MISSED
