"""Whether what is compared is rounded no more coarsely than what it is compared with.

A value rounded to two decimals never lies between two limits of three: it would change sides.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction

from schemas.agreement import Agreement
from schemas.bands import BandTable, Rounding, Threshold
from schemas.base import written
from schemas.credit import ByBand, FactorByBand, OnTrigger
from schemas.level import Level, Ratchet
from schemas.points import PointTable
from services.core.contracts.wording import FieldPath, Finding


def coarse_roundings(agreement: Agreement) -> Iterator[Finding]:
    """Every rounding that is coarser than a limit or an end that the rounded value meets."""
    for index, level in enumerate(agreement.levels):
        path: FieldPath = ("levels", index)
        yield from _of_level(path, level)
        for number, credit in enumerate(level.credits):
            at: FieldPath = (*path, "credits", number)
            if isinstance(credit.rate, ByBand):
                yield from _of_table((*at, "rate"), credit.rate)
            for place, factor in enumerate(credit.factors):
                if isinstance(factor, FactorByBand):
                    yield from _of_table((*at, "factors", place), factor)
    if isinstance(agreement.points, PointTable):
        yield from _of_table(("points", "table"), agreement.points.table)


def _of_level(path: FieldPath, level: Level) -> Iterator[Finding]:
    if isinstance(level.moves, Ratchet) and isinstance(level.moves.rounded, Rounding):
        start = [level.expected.limit] if level.expected is not None else []
        at = (*path, "moves", "rounded")
        yield from _coarser(at, level.moves.rounded, start, "the level that moves")
    if not isinstance(level.judged, Rounding):
        return
    at = (*path, "judged")
    limits = [one.limit for one in (level.expected, level.minimum) if one is not None]
    yield from _coarser(at, level.judged, limits, "a limit of the level")
    moved = level.moves.rounded if level.moves is not None else None
    if isinstance(moved, Rounding) and moved.decimals > level.judged.decimals:
        reason = (
            f"the result is rounded to {level.judged.decimals} decimals, and the level that moves "
            f"to {moved.decimals}"
        )
        yield Finding(at, reason, "round the result to as many decimals as the level")
    for credit in level.credits:
        if isinstance(credit.due, OnTrigger):
            limit = _limit(credit.due.result)
            yield from _coarser(at, level.judged, limit, "the limit by which a credit is due")
        if isinstance(credit.rate, ByBand) and credit.rate.of == "result":
            yield from _coarser(at, level.judged, _ends(credit.rate), "an end of its table")


def _limit(threshold: Threshold) -> list[Fraction]:
    return [threshold.limit]


def _of_table(path: FieldPath, table: BandTable) -> Iterator[Finding]:
    if table.rounded is not None:
        yield from _coarser((*path, "rounded"), table.rounded, _ends(table), "an end of the table")


def _ends(table: BandTable) -> list[Fraction]:
    return [end.value for band in table.bands for end in (band.lower, band.upper) if end]


def _coarser(
    path: FieldPath, how: Rounding, limits: Iterable[Fraction], what: str
) -> Iterator[Finding]:
    """One finding for the first limit that has more decimals than what is compared with it."""
    for limit in limits:
        if (limit * 10**how.decimals).denominator != 1:
            reason = (
                f"a value rounded to {how.decimals} decimals is compared with {written(limit)}, "
                f"{what}, which has more"
            )
            yield Finding(path, reason, f"round no more coarsely than {written(limit)} is written")
            return
