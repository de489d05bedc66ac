"""How far back a fact may lie: in no period that is past all settling."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from schemas.agreement import Agreement
from schemas.frame import Int32s, Int64s
from schemas.period import PeriodLength
from services.catalogue.snapshot import Catalogue
from services.core.tally import metric_windows
from services.core.windows import DAY_US, bounds_us, instant, label_at, window_of

Bools = npt.NDArray[np.bool_]

_BY_LENGTH: tuple[PeriodLength, ...] = ("day", "month", "quarter", "half_year", "year")
_NEVER = -(2**63)


@dataclass(frozen=True, slots=True)
class _Programme:
    """What the horizon needs to know of a programme."""

    days: int
    zone: str
    longest: PeriodLength


class Horizon:
    """Oldest event times that may still be counted, at one revision of the catalogue.

    A programme restates a period for so many days after its end. So a fact is too old when the
    longest period of the programme's agreements that holds it ended so many days before the
    watermark; what names no metric is too old when it is so for every programme.
    """

    def __init__(self, catalogue: Catalogue) -> None:
        self.revision = catalogue.revision
        agreements = [versions[-1] for versions in catalogue.agreements.values()]
        self._programmes = {
            name: _Programme(
                max(version.restated_for_days for version in versions),
                versions[-1].time_zone,
                _longest(each for each in agreements if each.programme == name),
            )
            for name, versions in catalogue.programmes.items()
        }
        self.tally_windows = metric_windows(
            (version for versions in catalogue.programmes.values() for version in versions),
            catalogue.numbers,
        )
        self._of_agreement = {each.agreement: each.programme for each in agreements}
        self._of_metric = {number: named[0] for number, named in catalogue.metrics.items()}

    def knows(self, metrics: Iterable[int]) -> bool:
        """Whether every metric number is the catalogue's; -1 is."""
        return all(metric == -1 or metric in self._of_metric for metric in metrics)

    def cutoff_us(self, metric: int, watermark_us: int) -> int:
        """The oldest event time that is not too old, in microseconds since 1970 UTC."""
        if metric != -1:
            return _cutoff(self._programmes[self._of_metric[metric]], watermark_us)
        return min(
            (_cutoff(each, watermark_us) for each in self._programmes.values()), default=_NEVER
        )

    def stated_us(self, metric: int, said: Mapping[str, Any]) -> int | None:
        """Where the period that a fact states begins; None where it states none.

        A charge, a circumstance or a declared figure is told after its period: the period decides.
        """
        if metric == -1:
            name = self._of_agreement.get(str(said.get("agreement")))
        else:
            name = self._of_metric[metric]
        if name is None or "period" not in said:
            return None
        return bounds_us(window_of(str(said["period"]), self._programmes[name].zone))[0]

    def too_old(
        self, metric: Int32s, at_us: Int64s, told_us: Int64s, watermark_us: int | None
    ) -> Bools:
        """Which rows are too old, in the order of arrival.

        Each is held against the latest time that came before it, so that how rows were cut into
        batches changes nothing. ``told_us``: the time each row is about. ``watermark_us``: the
        latest before the first row.
        """
        old = np.zeros(len(at_us), np.bool_)
        if not len(at_us):
            return old
        first = int(at_us[0]) if watermark_us is None else watermark_us
        before = np.maximum.accumulate(np.concatenate(([first], at_us[:-1])))
        distinct, place = np.unique(metric, return_inverse=True)
        latest = int(before[-1])
        cutoffs = np.array([self.cutoff_us(each, latest) for each in distinct.tolist()])
        for row in np.flatnonzero(told_us < cutoffs[place]).tolist():
            old[row] = int(told_us[row]) < self.cutoff_us(int(metric[row]), int(before[row]))
        return old


def _longest(agreements: Iterable[Agreement]) -> PeriodLength:
    lengths = [each.settled for each in agreements]
    return max(lengths, key=_BY_LENGTH.index, default="month")


def _cutoff(programme: _Programme, watermark_us: int) -> int:
    since = instant(watermark_us - programme.days * DAY_US)
    label = label_at(since, programme.zone, programme.longest)
    return bounds_us(window_of(label, programme.zone))[0]
