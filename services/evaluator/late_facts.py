"""Which closed periods the frames stored since may change. Too many is harmless, too few is not.

A period that is named here is counted again, and where nothing has changed nothing follows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
import numpy as np

from schemas.frame import Facts
from services.catalogue.snapshot import Catalogue
from services.core.calendar.windows import microseconds, overlaps
from services.core.counting.carried import carries
from services.core.events.facts import CHARGE, CIRCUMSTANCE, CORRECTION
from services.evaluator import evaluation_store, recount
from services.evaluator.evaluation_store import AgreementPeriod
from services.evaluator.fact_reader import NO_METRIC, as_facts
from services.evaluator.recount import RecountTarget
from services.evaluator.store import frame_bodies
from services.shell.frames import read_batch
from services.shell.postgres import Connection

AT_ONCE = 2000
"""Frames looked at in one transaction."""
_CHAIN = 32
"""Corrections of corrections are followed so far; a longer chain touches everything."""


@dataclass(frozen=True, slots=True)
class Frame:
    """What is known of a stored frame without reading it."""

    partition: int
    number: int
    min_us: int
    max_us: int
    metrics: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ClosedPeriod:
    """A closed period and the frames that its newest evaluation has counted."""

    target: RecountTarget
    counted_through: Mapping[int, int]

    def has_counted(self, partition: int, number: int) -> bool:
        """Whether the newest evaluation knows this frame."""
        return number <= self.counted_through.get(partition, -1)

    def needs(self, metric: int, first_us: int, last_us: int) -> bool:
        """Whether facts of a metric within these times, both included, can matter to it."""
        span = self.target.spans.get(metric)
        return span is not None and span[0] <= last_us and first_us < span[1]

    def needs_one(self, metric: int, names: Iterable[str], times: Iterable[int]) -> bool:
        """Whether a fact of the metric, or of one of these names, at one of these times matters."""
        programme = self.target.agreements[-1].programme
        others = {self.target.numbers.get((programme, name)) for name in names}
        metrics = {metric, *(number for number in others if number is not None)}
        return any(self.needs(each, at, at) for each in metrics for at in times)


TargetOf = Callable[[Catalogue, AgreementPeriod], RecountTarget | None]


async def scan(connection: Connection, catalogue: Catalogue, target_of: TargetOf) -> bool:
    """Look at the frames that nobody has looked at; whether there may be more.

    Writes what it found and how far it came in one transaction.
    """
    async with connection.transaction():
        frames = await _next_frames(connection)
        if not frames:
            return False
        periods = []
        for place, counted_through in (await evaluation_store.counted_through(connection)).items():
            target = target_of(catalogue, place)
            if target is not None:
                periods.append(ClosedPeriod(target, counted_through))
        recount_queue: dict[AgreementPeriod, str] = {}
        for frame in frames:
            await _look(connection, frame, periods, recount_queue)
        await evaluation_store.enqueue_recounts(connection, recount_queue)
        await evaluation_store.scan_to(connection, {each.partition: each.number for each in frames})
    return len(frames) == AT_ONCE


async def _next_frames(connection: Connection) -> list[Frame]:
    """Frames that were not looked at, in order, with facts or without."""
    rows = await connection.fetch(
        "select f.partition, f.number, f.min_us, f.max_us, f.metrics"
        "  from (select distinct partition from progress) p"
        "  left join touch_scan s using (partition)"
        "  cross join lateral ("
        "    select partition, number, min_us, max_us, metrics from fact_frame"
        "     where partition = p.partition and number > coalesce(s.number, -1)"
        "     order by number limit $1) f"
        " order by f.partition, f.number limit $1",
        AT_ONCE,
    )
    return [
        Frame(
            row["partition"],
            row["number"],
            row["min_us"] or 0,
            row["max_us"] or 0,
            tuple(row["metrics"]),
        )
        for row in rows
    ]


async def _look(
    connection: Connection,
    frame: Frame,
    periods: Iterable[ClosedPeriod],
    recount_queue: dict[AgreementPeriod, str],
) -> None:
    open_to = [
        each
        for each in periods
        if each.target.place not in recount_queue
        and not each.has_counted(frame.partition, frame.number)
    ]
    for each in open_to:
        if any(
            metric != NO_METRIC and each.needs(metric, frame.min_us, frame.max_us)
            for metric in frame.metrics
        ):
            recount_queue[each.target.place] = "facts"
    if open_to and NO_METRIC in frame.metrics:
        await _look_inside(connection, frame, open_to, recount_queue)


async def _look_inside(
    connection: Connection,
    frame: Frame,
    periods: list[ClosedPeriod],
    recount_queue: dict[AgreementPeriod, str],
) -> None:
    """Facts that name no metric say themselves which period they touch."""
    bodies = await frame_bodies(connection, frame.partition, [frame.number])
    facts = as_facts([read_batch(bodies[frame.number])])
    for row in np.flatnonzero(facts.metric == NO_METRIC).tolist():
        if facts.kind[row] == CORRECTION:
            for each in await _corrected(connection, frame.partition, facts, row, periods):
                recount_queue[each.target.place] = "correction"
        else:
            for each in _stated(facts, row, periods):
                recount_queue[each.target.place] = "charge or circumstance"


def _stated(facts: Facts, row: int, periods: Iterable[ClosedPeriod]) -> list[ClosedPeriod]:
    """The periods that a charge or a circumstance is for."""
    if facts.kind[row] not in (CHARGE, CIRCUMSTANCE):
        return []
    return _for_period(msgspec.json.decode(facts.data[row]), periods)


def _for_period(said: Mapping[str, Any], periods: Iterable[ClosedPeriod]) -> list[ClosedPeriod]:
    if "agreement" not in said or "period" not in said:
        return []
    return [
        each
        for each in periods
        if each.target.place[0] == said["agreement"]
        and _carried(
            each.target, str(said["period"]), str(said.get("base", said.get("circumstance")))
        )
    ]


def _carried(target: RecountTarget, label: str, name: str) -> bool:
    """Whether an evaluation carries what is stated of a period; a label of none is in none."""
    try:
        return overlaps(target.period, label) or carries(
            target.programmes, target.agreements, target.period, label, name
        )
    except ValueError:
        return False


async def _corrected(
    connection: Connection, partition: int, facts: Facts, row: int, periods: list[ClosedPeriod]
) -> list[ClosedPeriod]:
    """The periods of the event that a correction names, before and after the correction.

    Charges may move to another period by their data: then both the old and the new one count.
    """
    times: list[int] = []
    names: set[str] = set()
    stated: list[ClosedPeriod] = []
    for _ in range(_CHAIN):
        said: dict[str, Any] = msgspec.json.decode(facts.data[row])
        if said.get("time"):
            times.append(_us(said["time"]))
        instead: dict[str, Any] = said.get("data") or {}
        names.add(str(instead.get("metric")))
        stated += _for_period(instead, periods)
        identity = recount.corrected_identity(facts.sources[facts.source[row]], facts.data[row])
        found = await recount.find_rows(connection, partition, [identity])
        if not found:
            return stated  # it came first: its event, when it comes, touches what it touches
        number, rows = next(iter(found.items()))
        bodies = await frame_bodies(connection, partition, [number])
        facts, row = as_facts([read_batch(bodies[number]).slice(rows[0], 1)]), 0
        if facts.kind[0] == CORRECTION:
            continue
        metric = int(facts.metric[0])
        if metric == NO_METRIC:
            return stated + _stated(facts, 0, periods)
        times.append(int(facts.at_us[0]))
        return [each for each in periods if each.needs_one(metric, names, times)]
    return periods


def _us(text: str) -> int:
    return microseconds(datetime.fromisoformat(text))
