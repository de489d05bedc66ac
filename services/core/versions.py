"""From when on a version of an agreement rules: never inside a period settled before it came."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date

from schemas.agreement import Agreement
from schemas.period import first_day, next_label


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
