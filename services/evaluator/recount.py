"""A period counted again from the stored facts, and held against the running tallies."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, TypeVar

import numpy as np
from pydantic import ValidationError

from schemas.agreement import Agreement
from schemas.evaluation import PeriodEvaluation
from schemas.frame import Facts
from schemas.period import first_day, label_of, next_label
from schemas.programme import Programme
from services.catalogue.parked import input_digest
from services.catalogue.snapshot import Catalogue
from services.core.calendar.windows import bounds_us
from services.core.counting.evaluation import (
    EvaluationReason,
    evaluate,
    needs,
    ready,
    window_at,
)
from services.core.events.corrections import EventKey, RejectedCorrection
from services.core.events.facts import joined
from services.core.events.horizon import Horizon, horizons_of
from services.core.exact.budget import UNBOUNDED, Budget, OverBudget
from services.evaluator import (
    evaluation_store,
    fact_reader,
    link_store,
    occurrence_store,
    occurrences,
)
from services.evaluator.columns import identity_bytes
from services.evaluator.evaluation_store import Last
from services.evaluator.fact_reader import EVER, Key, Loaded, Span, Sums, whole_days
from services.evaluator.linked_rows import LinkedRows
from services.evaluator.stored_after import Closes, StoredAfter, closes_of, stored_after
from services.evaluator.watermark import version_of
from services.shell.postgres import Connection

T = TypeVar("T")


class NoSuchPeriod(ValueError):
    """The agreement has no such settlement period, or there is no such agreement."""


@dataclass(frozen=True, slots=True)
class RecountTarget:
    """One agreement's period, with everything the catalogue says of it.

    ``spans``: metric number to the facts that are needed. ``days``: the first day, and the day
    after the last, of what charges and circumstances may be stated for. ``occurrences``: of metrics
    of which all facts are needed, in which time they can matter; see `FactSpan`.
    """

    programmes: tuple[Programme, ...]
    agreements: tuple[Agreement, ...]
    period: str
    numbers: Mapping[tuple[str, str], int]
    spans: Mapping[int, Span]
    metrics: frozenset[str]
    days: tuple[date, date]
    horizon: Horizon
    occurrences: Mapping[int, Span]

    @property
    def programme(self) -> str:
        return self.programmes[-1].programme

    @property
    def by_name(self) -> dict[str, Span]:
        """The spans by the metric's name."""
        names = {number: metric for (_, metric), number in self.numbers.items()}
        return {names[number]: span for number, span in self.spans.items()}

    @property
    def place(self) -> evaluation_store.AgreementPeriod:
        return self.agreements[-1].agreement, self.period

    @property
    def versions(self) -> tuple[int, ...]:
        return tuple(version.version for version in self.agreements)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What one moment of the database says of a subject.

    ``loaded``: facts of the spans. ``linked``: what belongs to the period and lies in no span.
    ``stored_after``: whether a period had been closed when an event was stored.
    ``astray``: links to facts that are not there. ``counted_through``: partition to its last frame
    at that moment, which is not before ``taken_at``.
    """

    loaded: Loaded
    linked: Loaded
    astray: tuple[Mapping[str, Any], ...]
    stored_after: StoredAfter
    tallies: Mapping[Key, Sums]
    counted_through: Mapping[int, int]
    last: Last | None
    taken_at: datetime


def target_of(catalogue: Catalogue, agreement: str, period: str) -> RecountTarget:
    """What is to be counted. Raises NoSuchPeriod, saying which part is unknown."""
    agreements = catalogue.agreements.get(agreement)
    if not agreements:
        why = catalogue.why_unreadable(agreement)
        raise NoSuchPeriod(
            why or f"agreement {agreement} is not applied; apply it or correct the name"
        )
    programmes = catalogue.programmes[agreements[-1].programme]
    _check_period(agreements, period)
    wanted = spans_of(programmes, agreements, period)
    name = programmes[-1].programme
    known = {metric: catalogue.numbers.get((name, metric)) for metric in wanted}
    numbers = {metric: number for metric, number in known.items() if number is not None}
    spans = {number: wanted[metric] for metric, number in numbers.items()}
    return RecountTarget(
        programmes,
        agreements,
        period,
        catalogue.numbers,
        spans,
        frozenset(wanted),
        days_of(agreements, period),
        horizons_of(catalogue.programmes, catalogue.agreement_versions)[programmes[-1].programme],
        {
            numbers[metric]: window
            for metric, window in windows_of(programmes, agreements, period).items()
            if metric in numbers
        },
    )


def spans_of(
    programmes: Sequence[Programme], agreements: Sequence[Agreement], period: str
) -> dict[str, Span]:
    """By metric, the facts that are needed to count a period."""
    return {
        need.metric: (
            EVER[0] if need.since_us is None or need.last_before else need.since_us,
            EVER[1] if need.until_us is None else need.until_us,
        )
        for need in needs(programmes, agreements, period)
    }


def windows_of(
    programmes: Sequence[Programme], agreements: Sequence[Agreement], period: str
) -> dict[str, Span]:
    """By metric of which all facts are needed, in which time its occurrences can matter: in its
    windows, and in the period, whose proposals are listed; of the first one also before it."""
    since, until = bounds_us(window_at(programmes, period))
    if _is_first(agreements, period):
        since = EVER[0]
    return {
        need.metric: (min(since, need.window_us[0]), max(until, need.window_us[1]))
        for need in needs(programmes, agreements, period)
        if need.since_us is None and need.window_us is not None
    }


def _is_first(agreements: Sequence[Agreement], period: str) -> bool:
    return period == label_of(agreements[0].effective_from, agreements[0].settled)


def days_of(agreements: Sequence[Agreement], period: str) -> tuple[date, date]:
    """The days that charges and circumstances of a period's evaluation may be for: its own, those
    of the next period, and for the first period all before it. See `carries`."""
    until = first_day(next_label(next_label(period)))
    return date.min if _is_first(agreements, period) else first_day(period), until


def _check_period(agreements: Sequence[Agreement], period: str) -> None:
    if version_of(agreements, period) is None:
        lengths = sorted({version.settled for version in agreements})
        raise NoSuchPeriod(
            f"{period} is no settlement period of agreement {agreements[-1].agreement}, which is "
            f"settled by {' or '.join(lengths)} from {agreements[0].effective_from}"
        )


MOST_FACTS = 50_000_000
"""So many facts are read for one period, where nothing else is said."""
STEPS_A_FACT = 4
"""So many steps a count may take for each fact that might be read."""
FEW_FACTS = 250_000
"""Steps are counted as for so many facts at least: few facts can be asked for in many ways."""


async def take(
    connection: Connection, target: RecountTarget, most: int = MOST_FACTS, *, whole: bool = False
) -> Snapshot:
    """Read everything at one moment, in a transaction of its own.

    ``whole``: also of occurrences all that was ever told, which comes to the same.

    Raises ValueError while facts from before the links are not linked, and OverBudget where the
    period needs more than so many facts.
    """
    taken_at = await evaluation_store.moment(connection)
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        if await link_store.is_behind(connection):
            raise ValueError(
                "facts that were stored by an earlier release are being put in order; ask again in "
                "a minute"
            )
        last = await evaluation_store.last(connection, *target.place)
        counted_through = await evaluation_store.last_frames(connection)
        reading = await _reading(connection, target, counted_through, whole=whole)
        tallies = await fact_reader.tallied(connection, reading.spans)
        _check_budget(target, sum(sums[0] for sums in tallies.values()), most)
        loaded = await fact_reader.load(connection, reading.spans)
        rows = await _linked(connection, target, reading, loaded, most)
        linked = rows.loaded()
        closes = reading.closes or await closes_of(
            connection,
            target.programmes,
            target.agreements,
            (loaded.facts, linked.facts),
            counted_through,
        )
    late = fact_reader.until_cancelled(
        stored_after, loaded, rows.stored_in, closes, target.programmes
    )
    after = await late
    astray = tuple(rows.astray)
    return Snapshot(loaded, linked, astray, after, tallies, counted_through, last, taken_at)


@dataclass(frozen=True, slots=True)
class _Reading:
    """What is read of a target. ``occurrences``: of the metrics that are read in their windows
    alone, the time. ``closes``: of the agreement, all of them where it was asked for them.
    ``partitions``: how many there are frames of.
    """

    spans: Mapping[int, Span]
    occurrences: Mapping[int, Span]
    closes: Closes
    partitions: int


async def _reading(
    connection: Connection, target: RecountTarget, newest: Mapping[int, int], *, whole: bool
) -> _Reading:
    own = {metric: span for metric, span in target.occurrences.items() if metric in target.spans}
    if whole or not own or await occurrence_store.is_behind(connection):
        return _Reading(target.spans, {}, {}, 0)
    closes = await closes_of(connection, target.programmes, target.agreements, None, newest)
    return _Reading({**target.spans, **own}, own, closes, 1 + max(newest, default=0))


def _check_budget(target: RecountTarget, facts: int, most: int) -> None:
    if facts > most:
        raise OverBudget(
            f"{target.place[1]} of {target.place[0]} needs {facts} facts, and at most {most} are "
            "read for one period; settle the agreement in shorter periods, report counts instead "
            "of single samples, or raise EARNBACK_MOST_FACTS"
        )


def differences(snapshot: Snapshot, budget: Budget = UNBOUNDED) -> list[dict[str, Any]]:
    """Where the tallies and the stored facts say different things; empty when they agree.

    Raises OverBudget.
    """
    counted = fact_reader.counted(snapshot.loaded, budget)
    found = [dict(each) for each in snapshot.astray]
    for key in sorted(counted.keys() | snapshot.tallies.keys()):
        facts, tally = counted.get(key, (0, 0, 0, 0)), snapshot.tallies.get(key, (0, 0, 0, 0))
        if facts != tally:
            partition, metric, day = key
            found.append(
                {
                    "partition": partition,
                    "metric": metric,
                    "day": str(np.datetime64(day, "D")),
                    "facts": facts,
                    "tally": tally,
                }
            )
    return found


def evaluation(
    target: RecountTarget,
    snapshot: Snapshot,
    revision: int,
    reason: EvaluationReason,
    as_accepted: Collection[EventKey] = (),
    budget: Budget = UNBOUNDED,
) -> tuple[PeriodEvaluation, tuple[RejectedCorrection, ...]]:
    """The evaluation, and the corrections that could not be applied. Raises OverBudget.

    ``as_accepted``: proposed corrections that are to be taken as accepted.
    """
    facts, versions = facts_in(snapshot, budget), target.agreements
    known = ready(target.programmes, facts, target.numbers, target.horizon, versions, budget)
    stock = known.of(versions, snapshot.stored_after, as_accepted)
    made = evaluate(
        target.programmes,
        target.agreements,
        target.period,
        stock,
        target.numbers,
        revision,
        reason,
        budget,
    )
    return made, stock.refused


async def in_thread(target: RecountTarget, most: int, work: Callable[..., T]) -> T:
    """What ``work(budget=…)`` comes to, in a thread that ends when nobody waits for it any more.

    ``most``: facts that may be read for a period; the count takes so many steps for each at most.
    Raises OverBudget.
    """
    remedy = (
        f"settle {target.place[0]} in shorter periods, measure fewer parts of a period, report "
        "fewer subjects, or raise EARNBACK_MOST_FACTS"
    )
    budget = Budget(max(most, FEW_FACTS) * STEPS_A_FACT, remedy)
    try:
        return await asyncio.to_thread(work, budget=budget)
    except asyncio.CancelledError:
        budget.stop()
        raise


def facts_in(snapshot: Snapshot, budget: Budget = UNBOUNDED) -> Facts:
    """All facts of a snapshot. Raises OverBudget."""
    return joined([snapshot.loaded.facts, snapshot.linked.facts], budget)


def same_content(evaluation: PeriodEvaluation, body: str) -> bool:
    """Whether a new revision would say nothing new, as with another version of tzdata alone."""
    try:
        before = PeriodEvaluation.model_validate_json(body)
    except ValidationError:  # an earlier release kept what this one cannot read
        return False
    alike = {"revision": before.revision, "reason": before.reason, "tzdata": before.tzdata}
    return evaluation.model_copy(update=alike) == before


async def inputs_of(connection: Connection, target: RecountTarget) -> str:
    """The digest of what a count stands on: contract versions, the tallies of its facts, and which
    linked facts belong to it.

    Far cheaper than the count itself.
    """
    programmes = tuple((one.programme, one.version) for one in target.programmes)
    tallies = await fact_reader.tallied(connection, target.spans)
    linked = await link_store.own(
        connection, target.programme, target.by_name, target.place[0], target.days
    )
    ids = sorted(each.id128 for each in linked)
    return input_digest(target.versions, programmes, sorted(tallies.items()), ids)


async def _linked(
    connection: Connection, target: RecountTarget, reading: _Reading, loaded: Loaded, most: int
) -> LinkedRows:
    """What no span holds and the period needs all the same: charges and circumstances of the
    agreement, corrections, and the facts that corrections take from or bring into a span; and of
    occurrences that matter to it, what was told outside of the time that is read.
    """
    places = await link_store.own(
        connection, target.programme, target.by_name, target.place[0], target.days
    )
    _check_budget(target, len(loaded.facts) + len(places), most)
    found = LinkedRows(stored_in={each.id128: (each.partition, each.number) for each in places})
    inside = _inside(loaded, places)
    places = [each for each in places if each.id128 not in inside]
    await found.read(connection, places)
    if reading.occurrences:
        known = {each[:3] for each in places}
        named = {
            one
            for partition, batch in found.batches
            for one in occurrences.named_in(partition, batch)
        }
        late = occurrences.lateness(
            target.programmes,
            target.agreements,
            target.period,
            reading.closes,
            reading.partitions,
        )
        days = {metric: whole_days(span) for metric, span in reading.occurrences.items()}
        until = {metric: whole_days(target.spans[metric])[1] for metric in days}
        further = await occurrence_store.beyond(connection, days, until, late, named)
        further = [each for each in further if each[:3] not in known]
        _check_budget(target, len(loaded.facts) + len(places) + len(further), most)
        await found.read(connection, further)
    return found


def _inside(loaded: Loaded, places: Sequence[link_store.Located]) -> set[bytes]:
    """Which of these are loaded already; what is loaded is in order of identity."""
    highs = np.array(sorted({int.from_bytes(each.id128[:8], "big") for each in places}), np.uint64)
    facts = loaded.facts
    first, past = (np.searchsorted(facts.id_high, highs, side) for side in ("left", "right"))
    rows = (row for ends in zip(first.tolist(), past.tolist(), strict=True) for row in range(*ends))
    return {identity_bytes(int(facts.id_high[row]), int(facts.id_low[row])) for row in rows}
