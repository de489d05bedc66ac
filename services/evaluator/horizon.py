"""Which facts come too late: they lie beyond the horizon of their programme and go to review.

The rule is `services.core.events.horizon`; here it is held against many rows at once. Each row
meets the latest event time accepted from its source before it, so how rows were cut into steps
changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec
import numpy as np

from schemas.frame import Bools, Int8s, Int32s, Int64s
from services.catalogue.snapshot import Catalogue
from services.core.events.facts import CORRECTION, STATES_A_PERIOD
from services.core.events.horizon import Horizon, Latest, horizons_of
from services.core.events.tally_windows import metric_windows
from services.evaluator.columns import Columns, sources_of
from services.evaluator.identity_index import CONFLICT, DUPLICATE, NEW
from services.evaluator.payloads import Payloads

REVIEW = 4
"""A fact beyond the horizon, beside the verdicts of `seen`."""
_STATED = (*STATES_A_PERIOD, CORRECTION)
_NEVER = -(2**63)


class Horizons:
    """What a step needs to know of the catalogue, at one revision of it."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.revision = catalogue.revision
        horizons = horizons_of(
            catalogue.programmes,
            catalogue.agreement_versions,
        )
        self._of_source = {
            source: horizons[owner.programme] for source, owner in catalogue.sources.items()
        }
        self._metrics = catalogue.metrics
        self.tally_windows = metric_windows(
            catalogue.programme_versions,
            catalogue.numbers,
        )

    def knows(self, metrics: Iterable[int]) -> bool:
        """Whether every metric number is the catalogue's; -1 is."""
        return all(metric == -1 or metric in self._metrics for metric in metrics)

    def knows_sources(self, sources: Iterable[str]) -> bool:
        """Whether the catalogue says whose each source is."""
        return all(source in self._of_source for source in sources)

    def judge(self, columns: Columns, verdict: Int8s, latest: Latest) -> Int8s:
        """Turn what is new and too late into REVIEW, and what hangs on it into what it then is.

        ``verdict``: NEW, DUPLICATE or CONFLICT per row. ``latest``: before the first row; it is
        not changed. A source that the catalogue does not know has no horizon.
        """
        names, code = sources_of(columns.batches)
        about = self._about_us(columns, names, code)
        reached = np.full(len(names), _NEVER, np.int64)
        np.maximum.at(reached, code, columns.at_us)
        cutoffs = np.array(
            [
                self._cutoff_us(name, latest, int(at))
                for name, at in zip(names, reached, strict=True)
            ]
        )
        late = (verdict == NEW) & (about < cutoffs[code])
        if late.any():
            return self._in_order(columns, verdict, latest, names, code, about, late)
        return verdict

    def _cutoff_us(self, source: str, latest: Latest, reached_us: int) -> int:
        """What the cutoff of a source comes to at most in a step that reaches that far."""
        horizon = self._of_source.get(source)
        known = latest.of(source)
        most = reached_us if known is None else max(reached_us, known)
        return _NEVER if horizon is None else horizon.cutoff_us(most)

    def _about_us(self, columns: Columns, names: Sequence[str], code: Int32s) -> Int64s:
        """The last instant that each row is about.

        A correction is about when it was made and where it puts its event; the period that it takes
        its event from is looked at when it is counted.
        """
        about = columns.at_us.copy()
        for row in np.flatnonzero(np.isin(columns.kind, _STATED)).tolist():
            horizon = self._of_source.get(names[code[row]])
            index, place = columns.place(row)
            said = msgspec.json.decode(columns.batches[index].column("data")[place].as_py())
            if horizon is not None and columns.kind[row] == CORRECTION:
                about[row] = horizon.about_correction_us(int(about[row]), said)
            elif horizon is not None:
                about[row] = horizon.about_us(int(about[row]), said.get("period"))
        return about

    def _in_order(
        self,
        columns: Columns,
        verdict: Int8s,
        latest: Latest,
        names: Sequence[str],
        code: Int32s,
        about: Int64s,
        late: Bools,
    ) -> Int8s:
        """Decide row by row where some may be too late.

        An identity whose first row went to review is not accepted: the next row that names it is
        judged as if it were the first.
        """
        decided = verdict.copy()
        sources, payloads = np.unique(code[late]), Payloads(columns, self._metrics)
        doubtful = np.isin(columns.high, columns.high[late])
        rows = np.flatnonzero(np.isin(code, sources) & ((verdict == NEW) | doubtful))
        before = {place: latest.of(names[place]) for place in sources.tolist()}
        accepted: dict[tuple[int, int], bytes] = {}
        for row in rows.tolist():
            source, at_us = int(code[row]), int(columns.at_us[row])
            if doubtful[row]:
                identity = (int(columns.high[row]), int(columns.low[row]))
                if identity in accepted:
                    same = payloads.repeats(accepted[identity], row)
                    decided[row] = DUPLICATE if same else CONFLICT
                    continue
                if self._is_late(names[source], int(about[row]), before[source]):
                    decided[row] = REVIEW
                    continue
                accepted[identity] = payloads.of(row)
                decided[row] = NEW
            reached = before[source]
            before[source] = at_us if reached is None else max(reached, at_us)
        return decided

    def _is_late(self, source: str, about_us: int, latest_us: int | None) -> bool:
        horizon: Horizon | None = self._of_source.get(source)
        return horizon is not None and horizon.is_beyond(about_us, latest_us)


def moved(columns: Columns, verdict: Int8s, latest: Latest) -> dict[str, int]:
    """The sources that came further by the rows that are NEW: the new latest of each."""
    names, code = sources_of(columns.batches)
    fresh = verdict == NEW
    reached = np.full(len(names), _NEVER, np.int64)
    np.maximum.at(reached, code[fresh], columns.at_us[fresh])
    further = {}
    for name, at_us in zip(names, reached.tolist(), strict=True):
        known = latest.of(name)
        if at_us != _NEVER and (known is None or at_us > known):
            further[name] = at_us
    return further
