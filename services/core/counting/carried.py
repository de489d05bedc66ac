"""What is stated of a time that no period of the agreement covers, and which evaluation carries it.

The first period's carries what was stated of the time before the agreement: openings, and rates
at which they are converted. The last one's carries what is stated of the period after it where a
base is the charge of the next period. Without that nobody would ever read them.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from schemas.agreement import Agreement
from schemas.period import first_day, label_of, next_label
from schemas.programme import Programme
from services.core.calendar.windows import overlaps
from services.core.events.stated_numbers import IN_USE


def carries(
    programmes: Sequence[Programme],
    agreements: Sequence[Agreement],
    period: str,
    stated_for: str,
    name: str,
) -> bool:
    """Whether a settlement period's evaluation carries a charge or circumstance of another time.

    ``programmes``, ``agreements``: all versions of its programme and of itself. ``stated_for``: the
    period that was stated. ``name``: of the base or the circumstance. What is stated of the period
    itself is not asked for here.
    """
    ordered = sorted(agreements, key=lambda one: (one.effective_from, one.version))
    first = ordered[0]
    if first_day(next_label(stated_for)) <= first.effective_from:
        is_first = period == label_of(first.effective_from, first.settled)
        return is_first and name in openings(programmes, agreements) | _rates(agreements)
    ruling = _in_force(ordered, first_day(period))
    following = next_label(period)
    if ruling is None or not overlaps(following, stated_for):
        return False
    if _in_force(ordered, first_day(following)) is not None:
        return False
    bases = {base.base for base in ruling.bases if base.of_period == "next"}
    return bool(bases) and name in bases | {IN_USE} | _rates((ruling,))


def openings(programmes: Sequence[Programme], agreements: Sequence[Agreement]) -> frozenset[str]:
    """The circumstances that state what was given before the agreement was settled here."""
    caps = [cap.opening for agreement in agreements for cap in agreement.caps]
    banks = [bank.opening for agreement in agreements for bank in agreement.banks]
    shared = [cap.opening for programme in programmes for cap in programme.shared_caps]
    return frozenset(name for name in (*caps, *banks, *shared) if name is not None)


def _rates(agreements: Sequence[Agreement]) -> frozenset[str]:
    rules = [rule for agreement in agreements for rule in agreement.conversions]
    return frozenset(rule.circumstance for rule in rules if rule.kind != "agreed")


def _in_force(ordered: Sequence[Agreement], day: date) -> Agreement | None:
    """The version that covers a day; None before the first, after the end and in between."""
    begun = [version for version in ordered if version.effective_from <= day]
    if not begun:
        return None
    until = begun[-1].effective_until
    return begun[-1] if until is None or day < until else None
