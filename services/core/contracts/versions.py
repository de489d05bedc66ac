"""Which version rules a period: never one that came after the period was settled."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date

from schemas.agreement import Agreement
from schemas.ceiling import OfAgreements, OfProgramme, SharedCap
from schemas.period import first_day, next_label
from schemas.programme import Programme


def first_open_day(settled: Iterable[str]) -> date | None:
    """The day after the last settled period; None where nothing is settled yet."""
    return max((first_day(next_label(period)) for period in settled), default=None)


def prospective(
    versions: Sequence[Agreement], applies_from: Mapping[int, date | None]
) -> tuple[Agreement, ...]:
    """The versions as settlement lets them rule: none reaches back before ``applies_from``.

    A version that would have ended before it could begin does not rule at all.
    """
    ruling = []
    for version in versions:
        earliest = applies_from[version.version]
        if earliest is None or version.effective_from >= earliest:
            ruling.append(version)
        elif version.effective_until is None or version.effective_until > earliest:
            ruling.append(version.model_copy(update={"effective_from": earliest}))
    return tuple(ruling)


def version_for(versions: Sequence[Agreement], period: str) -> Agreement | None:
    """The version in force on the period's first day; None where the agreement does not cover it.

    ``versions`` in order of their first day.
    """
    day = first_day(period)
    begun = [version for version in versions if version.effective_from <= day]
    if not begun:
        return None
    until = begun[-1].effective_until
    return begun[-1] if until is None or day < until else None


def caps_for(programmes: Sequence[Programme], period: str) -> tuple[tuple[int, SharedCap], ...]:
    """The shared caps of the version in force on the period's first day, with their places."""
    day = first_day(period)
    begun = [one for one in programmes if one.effective_from <= day]
    if not begun:
        return ()
    newest = max(begun, key=lambda one: (one.effective_from, one.version))
    return tuple(enumerate(newest.shared_caps))


def prospective_programmes(
    versions: Sequence[Programme], applies_from: Mapping[int, date | None]
) -> tuple[Programme, ...]:
    """The versions as settlement lets their shared caps rule, as `prospective` does it."""
    ruling = []
    for version in versions:
        earliest = applies_from[version.version]
        begins = version.effective_from
        if earliest is not None and begins < earliest:
            version = version.model_copy(update={"effective_from": earliest})
        ruling.append(version)
    return tuple(ruling)


def covers(cap: SharedCap, agreement: str, vendor: str) -> bool:
    """Whether a cap is over the agreement of that name and vendor."""
    over = cap.over
    if isinstance(over, OfAgreements):
        return agreement in over.agreements
    return isinstance(over, OfProgramme) or over.vendor == vendor
