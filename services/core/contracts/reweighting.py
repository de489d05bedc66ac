"""Whether a new version may change the shares of the amounts at risk, by the rule before it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from schemas.agreement import Agreement, Reweighting
from services.core.calendar.days import months_after
from services.core.contracts.wording import Finding


def broken_reweighting(agreement: Agreement, others: Sequence[Agreement]) -> Iterator[Finding]:
    """What breaks the rule that the version before states. ``others``: versions of the same one.

    The rule of the version before binds, also where the new version states another.
    """
    older = [
        one
        for one in others
        if one.agreement == agreement.agreement and one.version < agreement.version
    ]
    history = [*sorted(older, key=lambda one: one.version), agreement]
    changing = [new for old, new in pairwise(history) if new.shares() != old.shares()]
    if agreement not in changing:
        return
    before = history[-2]
    if before.reweighting is not None:
        yield from _too_often(before, before.reweighting, changing)
        yield from _too_soon(before, before.reweighting, agreement)


def _too_often(
    before: Agreement, rule: Reweighting, changing: Sequence[Agreement]
) -> Iterator[Finding]:
    year = changing[-1].effective_from.year
    same_year = [one for one in changing if one.effective_from.year == year]
    if len(same_year) > rule.per_calendar_year:
        which = ", ".join(str(one.version) for one in same_year)
        reason = (
            f"version {before.version} lets shares change {rule.per_calendar_year} times in a "
            f"calendar year; in {year} they change with version {which}"
        )
        yield Finding(("effective_from",), reason, "begin in another year, or keep the shares")


def _too_soon(before: Agreement, rule: Reweighting, agreement: Agreement) -> Iterator[Finding]:
    notified = agreement.notified_on
    months = f"{rule.notice_months} months' notice"
    if notified is None:
        reason = f"shares change, and version {before.version} asks for {months}"
        yield Finding(("notified_on",), reason, "state notified_on, the day of the notice")
        return
    earliest = months_after(notified, rule.notice_months)
    if agreement.effective_from < earliest:
        reason = (
            f"notified on {notified}, shares may change from {earliest} on: version "
            f"{before.version} asks for {months}"
        )
        yield Finding(("effective_from",), reason, "begin later, or keep the shares")
