"""The events that moved a figure: what was counted, and the corrections that changed it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import msgspec
import numpy as np

from schemas.agreement import Agreement
from schemas.evaluation import EventRef
from schemas.frame import Facts
from schemas.period import Window
from schemas.programme import Programme
from services.core.calendar.windows import instant
from services.core.counting.evaluation import agreement_at, programme_at, ready, window_at
from services.core.counting.late_corrections import ClosedBefore
from services.core.counting.measures.counting import Counter, FactIndex
from services.core.counting.measures.question import Need, digest, reference
from services.core.counting.stated_facts import stated_facts
from services.core.events.corrections import EventKey
from services.core.events.facts import (
    CORRECTION,
    TYPE_OF_KIND,
    Index,
    identity_of,
    number,
    payload_bytes,
    taken,
)
from services.core.events.horizon import Horizon

EventIdentity = tuple[int, int]
"""The two halves of an event's identity."""
Place = tuple[int, int, int]
"""A place in the order of a figure's events: time in microseconds, then identity."""


@dataclass(frozen=True, slots=True)
class EvidenceEvent:
    """An event that moved a figure.

    ``payload``: hash of what it says after corrections, 32 hexadecimal digits, and 16 of a
    fact that a release before stored. ``corrects``: the id of the event that it corrects; None for
    an event that was counted itself.
    """

    event: EventRef
    type: str
    time: datetime
    metric: str | None
    subject: str | None
    payload: str
    corrects: str | None


@dataclass(frozen=True, slots=True)
class FigureEvidence:
    """All events that moved a figure, in order of time and identity.

    ``counted`` and ``corrections`` are positions in ``facts`` and ``raw``. ``digest``: as in the
    figure's evidence, over the events that were counted.
    """

    facts: Facts
    counted: Index
    raw: Facts
    corrections: Index
    digest: str

    def page(
        self, after: Place | None, limit: int, names: Mapping[int, str]
    ) -> tuple[list[EvidenceEvent], Place | None]:
        """So many events from a place on, and the place to go on from; None at the end.

        ``names``: metric number to name.
        """
        rows = np.concatenate([self.counted, self.corrections])
        which = np.repeat([0, 1], [len(self.counted), len(self.corrections)])
        at_us, high, low = (
            np.concatenate(
                [getattr(self.facts, name)[self.counted], getattr(self.raw, name)[self.corrections]]
            )
            for name in ("at_us", "id_high", "id_low")
        )
        order = np.lexsort((low, high, at_us))
        if after is not None:
            same = at_us[order] == after[0]
            later = (high[order] > np.uint64(after[1])) | (
                (high[order] == np.uint64(after[1])) & (low[order] > np.uint64(after[2]))
            )
            order = order[(at_us[order] > after[0]) | (same & later)]
        shown = [self._event(int(which[one]), int(rows[one]), names) for one in order[:limit]]
        if len(order) <= limit:
            return shown, None
        last = order[limit - 1]
        return shown, (int(at_us[last]), int(high[last]), int(low[last]))

    def _event(self, which: int, row: int, names: Mapping[int, str]) -> EvidenceEvent:
        facts = self.raw if which else self.facts
        code = int(facts.subject[row])
        return EvidenceEvent(
            reference(facts, row),
            TYPE_OF_KIND[int(facts.kind[row])],
            instant(int(facts.at_us[row])),
            names.get(int(facts.metric[row])),
            None if code < 0 else facts.subjects[code],
            payload_bytes(int(facts.payload_high[row]), int(facts.payload_low[row])).hex(),
            _corrects(facts, row) if which else None,
        )


def evidence_of(
    programmes: Sequence[Programme],
    agreements: Sequence[Agreement],
    need: Need,
    facts: Facts,
    metric_numbers: Mapping[tuple[str, str], int],
    horizon: Horizon | None = None,
    closed_before: ClosedBefore | None = None,
) -> FigureEvidence:
    """What moved the figure of a need: the metric, subject and period of a result.

    ``facts``, ``horizon``: raw, as `ready` takes them. ``closed_before``: see `late_corrections`.
    A correction is listed where the event that it corrects is counted, or would be without it; so
    is a correction of such a correction. One that is only proposed moves nothing.
    """
    need = replace(need, vendor=agreement_at(agreements, need.period).vendor)
    window = window_at(programmes, need.period)
    stock = ready(programmes, facts, metric_numbers, horizon, agreements)
    stands = stock.of(agreements, closed_before)
    known = programmes, agreements, need, window, metric_numbers
    standing, counted = _counted(stands.fact_index, *known)
    corrections = _not_held(facts, stands.late.held)
    if len(corrections):
        plain = taken(facts, np.flatnonzero(facts.kind != CORRECTION))
        without = ready(programmes, plain, metric_numbers, horizon, agreements)
        before, rows = _counted(without.of(agreements, closed_before).fact_index, *known)
        moved = {*_identities(standing, counted), *_identities(before, rows)}
        corrections = _of_these(facts, corrections, moved)
    return FigureEvidence(standing, counted, facts, corrections, digest(standing, counted))


def _not_held(facts: Facts, held: Collection[EventKey]) -> Index:
    """The corrections that are no mere proposals."""
    rows = np.flatnonzero(facts.kind == CORRECTION)
    keys = [(facts.sources[facts.source[row]], facts.ids[row]) for row in rows.tolist()]
    return rows[[key not in held for key in keys]] if held else rows


def _counted(
    index: FactIndex,
    programmes: Sequence[Programme],
    agreements: Sequence[Agreement],
    need: Need,
    window: Window,
    metric_numbers: Mapping[tuple[str, str], int],
) -> tuple[Facts, Index]:
    stated = stated_facts(index.facts, programmes, agreements, need.period)
    programme = programme_at(programmes, need.period)
    counter = Counter(programme, index, metric_numbers, figures=stated.figures)
    return index.facts, counter.answer(need, window).rows


def _identities(facts: Facts, rows: Index) -> set[EventIdentity]:
    return set(zip(facts.id_high[rows].tolist(), facts.id_low[rows].tolist(), strict=True))


def _of_these(facts: Facts, corrections: Index, moved: set[EventIdentity]) -> Index:
    """The corrections of these events, and the corrections of such corrections."""
    targets = {row: _target(facts, row) for row in corrections.tolist()}
    found: dict[int, None] = {}
    while more := [row for row, target in targets.items() if target in moved and row not in found]:
        found |= dict.fromkeys(more)
        moved |= _identities(facts, np.array(more, np.intp))
    each_once = {_identity(facts, row): row for row in sorted(found, reverse=True)}
    return np.array(sorted(each_once.values()), np.intp)


def _identity(facts: Facts, row: int) -> EventIdentity:
    return int(facts.id_high[row]), int(facts.id_low[row])


def _target(facts: Facts, row: int) -> EventIdentity:
    made = identity_of(facts.sources[facts.source[row]], _corrects(facts, row))
    return number(made[:8]), number(made[8:])


def _corrects(facts: Facts, row: int) -> str:
    return str(msgspec.json.decode(facts.data[row])["corrects"])
