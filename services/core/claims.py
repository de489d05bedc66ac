"""Credits that must be claimed: paid when the claim came in time, else forfeit."""

from __future__ import annotations

from datetime import date, timedelta

from schemas.period import first_day, label_of, next_label
from schemas.remedy import Claim
from services.core.arithmetic import ZERO
from services.core.calendar_days import local_day, working_day_after
from services.core.caps import before_caps, scaled
from services.core.case import Case, Sheet
from services.core.known import stated_day

CLAIM = "claim"


def apply_claims(case: Case, sheet: Sheet) -> Sheet:
    """Without a claim in time nothing is paid; the lines stay, with the reason."""
    term = case.version.claim
    if term is None or sheet.owed() == 0:
        return sheet
    last = last_day(term, case.period)
    claimed = _claimed_on(case)
    if claimed is None:
        text = f"not claimed; a claim must arrive by {last}"
    elif claimed > last:
        text = f"claimed on {claimed}, later than {last}: forfeit"
    else:
        return sheet.with_figures({"claimed-on": claimed.isoformat()})
    return scaled(before_caps(sheet), (), ZERO, "claim", "claim", text)


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


def _claimed_on(case: Case) -> date | None:
    """The day of the first claim: as the claim states it, else the day its event came in."""
    days = [
        stated_day(fact, "on")
        if "on" in fact.circumstance.values
        else local_day(fact.at, case.time_zone)
        for fact in case.known.circumstances(CLAIM)
    ]
    return min(days, default=None)
