"""Credits that must be claimed: paid when the claim came in time, else forfeit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date, timedelta
from fractions import Fraction
from functools import partial

from schemas.money import exponent
from schemas.period import first_day, label_of, next_label
from schemas.remedy import Claim
from services.core.adjusting.caps import apply_caps, apply_small_amounts, before_caps
from services.core.adjusting.narrowing import of_line
from services.core.calendar.days import local_day, working_day_after
from services.core.exact.arithmetic import ZERO, rounded
from services.core.inputs.blockers import Blockers
from services.core.inputs.context import PeriodContext
from services.core.inputs.stated import stated_day
from services.core.inputs.worksheet import DraftLine, Worksheet, counts, step

CLAIM = "claim"


def apply_claims(context: PeriodContext, worksheet: Worksheet) -> Worksheet:
    """What is not claimed in time is not paid; its lines stay, with the reason."""
    term = context.version.claim
    if term is None or worksheet.owed() == 0:
        return worksheet
    last = last_day(term, context.period)
    claimed = {
        index: of_line(context, worksheet, line, CLAIM, partial(_claimed_on, context))
        for index, line in enumerate(worksheet.amounts)
        if counts(line)
    }
    in_time = [day for day in claimed.values() if day is not None and day <= last]
    if in_time:
        worksheet = worksheet.with_figures({"claimed-on": min(in_time).isoformat()})
    if len(in_time) == len(claimed):
        return worksheet
    worksheet = before_caps(worksheet)
    if None in claimed.values():
        in_full = _as_claimed(worksheet, {at: day or last for at, day in claimed.items()}, last)
        worksheet = worksheet.with_figures(_claimable(context, in_full, last))
    return _as_claimed(worksheet, claimed, last)


def _as_claimed(worksheet: Worksheet, claimed: Mapping[int, date | None], last: date) -> Worksheet:
    """The lines as their claims leave them. ``claimed``: position to the day of the claim."""
    amounts = tuple(
        _claimed(line, claimed[index], last) if index in claimed else line
        for index, line in enumerate(worksheet.amounts)
    )
    return replace(worksheet, amounts=amounts)


def _claimed(line: DraftLine, claimed: date | None, last: date) -> DraftLine:
    """A line as its claim leaves it. ``claimed``: the day of the first one; None: there is none."""
    if claimed is None:
        text = f"not claimed; a claim must arrive by {last}"
    elif claimed > last:
        text = f"claimed on {claimed}, later than {last}: forfeit"
    else:
        return line
    return line.becomes(ZERO, step("claim", "claim", text, ZERO))


def _claimable(
    context: PeriodContext, worksheet: Worksheet, last: date
) -> dict[str, Fraction | str | bool | None]:
    """What a claim would bring, under the agreement's own caps, and until when it may come.

    Only the last day where the caps stand on a charge that is not known yet.
    """
    aside = replace(context, blockers=Blockers())
    for name in context.version.order[context.version.order.index("claims") + 1 :]:
        if name in _LIMITS:
            worksheet = _LIMITS[name](aside, worksheet)
    figures: dict[str, Fraction | str | bool | None] = {"claim-by": last.isoformat()}
    if not aside.blockers.reasons:
        mode = context.version.conventions.money_rounding
        places = exponent(context.version.currency)
        figures["claimable"] = rounded(worksheet.owed(), places, mode)
    return figures


_LIMITS: dict[str, Callable[[PeriodContext, Worksheet], Worksheet]] = {
    "caps": apply_caps,
    "small_amounts": apply_small_amounts,
}
"""What is still done to credits that are claimed, as far as the agreement alone decides it."""


def last_day(term: Claim, period: str) -> date:
    """The last day on which a claim for a period is in time."""
    end = first_day(next_label(period)) - timedelta(days=1)
    if term.within_days is not None:
        return end + timedelta(days=term.within_days)
    if term.within_working_days is not None:
        return working_day_after(end, term.within_working_days, term.holidays or ())
    assert term.within_months is not None
    after = label_of(end, "month")
    return first_day(next_label(after, term.within_months + 1)) - timedelta(days=1)


def _claimed_on(
    context: PeriodContext, window: str, level: str | None, subject: str | None
) -> date | None:
    """The day of the first claim: as the claim states it, else the day its event came in."""
    days = [
        stated_day(fact, "on")
        if "on" in fact.circumstance.values
        else local_day(fact.at, context.time_zone)
        for fact in context.inputs.statements(CLAIM, window, level, subject)
    ]
    return min(days, default=None)
