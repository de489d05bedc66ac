"""A period counted again from the stored facts, and held against the running tallies."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from schemas.agreement import Agreement
from schemas.evaluation import PeriodEvaluation
from schemas.frame import Facts
from schemas.programme import Programme
from services.catalogue.snapshot import Catalogue
from services.core.counting.evaluation import EvaluationReason, evaluate, needs, ready
from services.core.events.corrections import RejectedCorrection
from services.core.events.facts import CORRECTION, identity_of, joined
from services.evaluator import evaluation_store, fact_reader
from services.evaluator.columns import identities_from
from services.evaluator.evaluation_store import Last
from services.evaluator.fact_reader import EVER, NO_METRIC, Key, Loaded, Span, Sums
from services.evaluator.identity_index import Identity
from services.evaluator.store import frame_bodies
from services.evaluator.watermark import version_of
from services.shell.frames import read_batch
from services.shell.postgres import Connection


class NoSuchPeriod(Exception):
    """The agreement has no such settlement period, or there is no such agreement."""


@dataclass(frozen=True, slots=True)
class RecountTarget:
    """One agreement's period, with everything the catalogue says of it.

    ``spans``: metric number to the facts that are needed; -1 for those that name no metric.
    """

    programmes: tuple[Programme, ...]
    agreements: tuple[Agreement, ...]
    period: str
    numbers: Mapping[tuple[str, str], int]
    spans: Mapping[int, Span]
    metrics: frozenset[str]

    @property
    def place(self) -> evaluation_store.AgreementPeriod:
        return self.agreements[-1].agreement, self.period

    @property
    def versions(self) -> tuple[int, ...]:
        return tuple(version.version for version in self.agreements)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What one moment of the database says of a subject.

    ``facts``: those of the spans. ``extra``: facts elsewhere that corrections point at.
    ``counted_through``: partition to its last frame at that moment.
    """

    loaded: Loaded
    extra: Facts | None
    tallies: Mapping[Key, Sums]
    counted_through: Mapping[int, int]
    last: Last | None


def target_of(catalogue: Catalogue, agreement: str, period: str) -> RecountTarget:
    """What is to be counted. Raises NoSuchPeriod, saying which part is unknown."""
    agreements = catalogue.agreements.get(agreement)
    if not agreements:
        raise NoSuchPeriod(f"agreement {agreement} is not applied; apply it or correct the name")
    programmes = catalogue.programmes[agreements[-1].programme]
    _check_period(agreements, period)
    spans: dict[int, Span] = {NO_METRIC: EVER}
    metrics = set()
    for need in needs(programmes, agreements, period):
        number = catalogue.numbers.get((programmes[-1].programme, need.metric))
        metrics.add(need.metric)
        if number is not None:
            since = EVER[0] if need.since_us is None or need.last_before else need.since_us
            spans[number] = (since, EVER[1] if need.until_us is None else need.until_us)
    return RecountTarget(
        programmes, agreements, period, catalogue.numbers, spans, frozenset(metrics)
    )


def _check_period(agreements: Sequence[Agreement], period: str) -> None:
    if version_of(agreements, period) is None:
        lengths = sorted({version.settled for version in agreements})
        raise NoSuchPeriod(
            f"{period} is no settlement period of agreement {agreements[-1].agreement}, which is "
            f"settled by {' or '.join(lengths)} from {agreements[0].effective_from}"
        )


async def take(connection: Connection, target: RecountTarget) -> Snapshot:
    """Read everything at one moment, in a transaction of its own."""
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        last = await evaluation_store.last(connection, *target.place)
        counted_through = await evaluation_store.last_frames(connection)
        tallies = await fact_reader.tallied(connection, target.spans)
        loaded = await fact_reader.load(connection, target.spans)
        extra = await _corrected_elsewhere(connection, loaded)
    return Snapshot(loaded, extra, tallies, counted_through, last)


def differences(snapshot: Snapshot) -> list[dict[str, Any]]:
    """Where the tallies and the stored facts say different things; empty when they agree."""
    counted = fact_reader.counted(snapshot.loaded)
    found = []
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
    target: RecountTarget, snapshot: Snapshot, revision: int, reason: EvaluationReason
) -> tuple[PeriodEvaluation, tuple[RejectedCorrection, ...]]:
    """The evaluation, and the corrections that could not be applied. Takes as long as it takes."""
    stock = ready(target.programmes, facts_in(snapshot), target.numbers)
    made = evaluate(
        target.programmes,
        target.agreements,
        target.period,
        stock,
        target.numbers,
        revision,
        reason,
    )
    return made, stock.refused


def facts_in(snapshot: Snapshot) -> Facts:
    """All facts of a snapshot."""
    parts = [snapshot.loaded.facts, *([snapshot.extra] if snapshot.extra is not None else [])]
    return joined(parts)


def same_content(evaluation: PeriodEvaluation, body: str) -> bool:
    """Whether a new revision would say nothing new, as with another version of tzdata alone."""
    before = PeriodEvaluation.model_validate_json(body)
    alike = {"revision": before.revision, "reason": before.reason, "tzdata": before.tzdata}
    return evaluation.model_copy(update=alike) == before


async def _corrected_elsewhere(connection: Connection, loaded: Loaded) -> Facts | None:
    """Facts outside the spans that corrections point at: what they become may lie within."""
    missing = _missing_targets(loaded)
    batches = []
    for partition, wanted in sorted(missing.items()):
        rows = await find_rows(connection, partition, wanted)
        bodies = await frame_bodies(connection, partition, sorted(rows))
        for number, places in sorted(rows.items()):
            batches.append(read_batch(bodies[number]).take(pa.array(places)))
    return fact_reader.as_facts(batches) if batches else None


def _missing_targets(loaded: Loaded) -> dict[int, set[Identity]]:
    """By partition, the identities that corrections name and that are not loaded."""
    facts = loaded.facts
    targets: dict[int, set[Identity]] = {}
    for row in np.flatnonzero(facts.kind == CORRECTION).tolist():
        identity = corrected_identity(facts.sources[facts.source[row]], facts.data[row])
        targets.setdefault(int(loaded.partition[row]), set()).add(identity)
    for wanted in targets.values():
        highs = np.array([high for high, _ in wanted], np.uint64)
        for row in np.flatnonzero(np.isin(facts.id_high, highs)).tolist():
            wanted.discard((int(facts.id_high[row]), int(facts.id_low[row])))
    return {partition: wanted for partition, wanted in targets.items() if wanted}


def corrected_identity(source: str, data: str) -> Identity:
    """The identity of the event that a correction names."""
    digest = identity_of(source, str(json.loads(data)["corrects"]))
    return int.from_bytes(digest[:8], "big"), int.from_bytes(digest[8:], "big")


async def find_rows(
    connection: Connection, partition: int, wanted: Iterable[Identity]
) -> dict[int, list[int]]:
    """Number of each frame that holds a wanted identity, with the rows. Reads identities only.

    To be called inside a transaction.
    """
    keys = set(wanted)
    highs = np.array(sorted({high for high, _ in keys}), np.uint64)
    found: dict[int, list[int]] = {}
    cursor = connection.cursor(
        "select number, ids from fact_frame where partition = $1 and n > 0 order by number",
        partition,
        prefetch=64,
    )
    async for row in cursor:
        high, low = identities_from(row["ids"])
        for place in np.flatnonzero(np.isin(high, highs)).tolist():
            if (int(high[place]), int(low[place])) in keys:
                found.setdefault(row["number"], []).append(place)
    return found
