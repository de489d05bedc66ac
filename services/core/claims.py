"""Credits that must be claimed: paid when the claim came in time, else forfeit."""

from __future__ import annotations

from datetime import date

from schemas.period import first_day, label_of, next_label
from services.core.arithmetic import ZERO
from services.core.calendar_days import local_day
from services.core.caps import scaled
from services.core.case import Case, Sheet
from services.core.known import day_of

CLAIM = "claim"


def apply_claims(case: Case, sheet: Sheet) -> Sheet:
    """Without a claim in time nothing is paid; the lines stay, with the reason."""
    term = case.version.claim
    if term is None or sheet.owed() == 0:
        return sheet
    after = label_of(first_day(next_label(case.period)), "month")
    deadline = first_day(next_label(after, term.within_months))
    claimed = _claimed_on(case)
    if claimed is None:
        text = f"not claimed; a claim must arrive before {deadline}"
    elif claimed >= deadline:
        text = f"claimed on {claimed}, after the last day before {deadline}: forfeit"
    else:
        return sheet.with_figures({"claimed-on": claimed.isoformat()})
    return scaled(sheet, (), ZERO, "claim", "claim", text)


def _claimed_on(case: Case) -> date | None:
    """The day of the first claim: as the claim states it, else the day its event came in."""
    days = [
        day_of(fact.circumstance.values["on"])
        if "on" in fact.circumstance.values
        else local_day(fact.at, case.time_zone)
        for fact in case.known.circumstances(CLAIM)
    ]
    return min(days, default=None)
