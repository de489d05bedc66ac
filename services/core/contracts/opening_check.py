"""Whether what was charged before can be part of a cap's ceiling."""

from __future__ import annotations

from collections.abc import Iterator

from schemas.agreement import Agreement
from schemas.credit import DaysLimit, WorthLimit
from services.core.contracts.wording import Finding


def broken_openings(agreement: Agreement) -> Iterator[Finding]:
    """Openings of caps whose ceiling no charge of the time before could be added to."""
    for index, cap in enumerate(agreement.caps):
        if cap.opening is None or not isinstance(cap.limit, DaysLimit | WorthLimit):
            continue
        what = "days" if isinstance(cap.limit, DaysLimit) else "what was late"
        reason = (
            f"the ceiling of cap {cap.cap} goes by {what}, and an opening states only charges and "
            "credits, so the time before would use up the cap and never raise it"
        )
        remedy = "state the limit as a percentage, an amount at risk or an amount"
        yield Finding(("caps", index, "opening"), reason, remedy)
