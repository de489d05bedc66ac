"""One period counted and stored: evaluation, announcement and answers, all or nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from time import monotonic
from typing import Any, Literal

import msgspec
import pyarrow as pa

from schemas.evaluation import PeriodEvaluation
from schemas.statement import canonical
from services.catalogue.parked import resolve
from services.core.counting.evaluation import EvaluationReason
from services.core.events.corrections import RejectedCorrection
from services.core.exact.budget import Budget
from services.evaluator import closing_queue, evaluation_store, recount, refused_corrections
from services.evaluator.evaluation_store import AgreementPeriod
from services.evaluator.fact_reader import until_cancelled
from services.evaluator.recount import RecountTarget, Snapshot
from services.evaluator.topics import EvaluatorTopics
from services.shell import metrics
from services.shell.faults import faultpoint
from services.shell.logs import log
from services.shell.outbox import enqueue
from services.shell.postgres import Connection

EVALUATED = "earnback.period.evaluated.v1"
COUNTED_THROUGH = "counted-through"
"""Header: by partition of `measurements`, the offset of the last record that was counted. After a
restore the period is counted again from the same facts."""
SHOWN = 20
"""At most so many differences are told at once."""
MAX_BODY_BYTES = 12 * 1024 * 1024
"""A larger evaluation could not be published, and would hold up all that come after it."""

CloseOutcome = Literal["closed", "revised", "unchanged", "refused", "alarm"]


@dataclass(frozen=True, slots=True)
class Done:
    """What became of one close."""

    outcome: CloseOutcome
    detail: str
    revision: int | None = None


@dataclass(frozen=True, slots=True)
class CountedPeriod:
    """What a period comes to. ``news``: whether it says anything new; ``body``: canonical JSON."""

    evaluation: PeriodEvaluation
    body: bytes
    refused: tuple[RejectedCorrection, ...]
    news: bool


async def close_period(
    connection: Connection,
    topics: EvaluatorTopics,
    target: RecountTarget,
    reason: EvaluationReason,
    record: Mapping[str, Any],
    requests: Sequence[int] = (),
    most: int = recount.MOST_FACTS,
) -> Done:
    """Count a period, and store what it comes to, if that is new.

    ``record``: why now. ``requests``: orders that are answered by it. ``most``: facts. Raises what
    the core raises, OverBudget, and ValueError for what could not be published.
    """
    started = monotonic()
    snapshot = await recount.take(connection, target, most)
    found = await until_cancelled(recount.differences, snapshot)
    if found:
        return await _alarm(connection, target.place, found, requests)
    last = snapshot.last
    why: EvaluationReason = reason
    if last is not None and reason == "commanded" and last.versions != target.versions:
        why = "changed_agreement"
    faultpoint("close.counted")
    counted = await recount.in_thread(target, most, partial(_count, target, snapshot, why))
    revision = counted.evaluation.revision
    if not counted.news:
        assert last is not None
        done = Done("unchanged", f"revision {last.revision} stands", last.revision)
    else:
        done = Done("closed" if last is None else "revised", f"revision {revision}", revision)
    full = {**record, "versions": target.versions}
    await _commit(connection, topics, target, snapshot, counted, full, done, requests)
    metrics.CLOSE_SECONDS.observe(monotonic() - started)
    pa.default_memory_pool().release_unused()  # a recount may have held millions of facts
    log(__name__).info(
        "period_counted",
        agreement=target.place[0],
        period=target.place[1],
        outcome=done.outcome,
        revision=done.revision,
        reason=why,
        facts=len(snapshot.loaded.facts),
    )
    return done


def _count(
    target: RecountTarget, snapshot: Snapshot, why: EvaluationReason, budget: Budget
) -> CountedPeriod:
    last = snapshot.last
    revision = 1 if last is None else last.revision + 1
    made, refused = recount.evaluation(target, snapshot, revision, why, budget=budget)
    body = canonical(made)
    if PeriodEvaluation.model_validate_json(body) != made:
        raise ValueError("the evaluation does not read back as it was written; report this defect")
    if len(body) > MAX_BODY_BYTES:
        raise ValueError(_too_large(len(body)))
    news = last is None or not recount.same_content(made, last.body)
    return CountedPeriod(made, body, refused, news)


async def _commit(
    connection: Connection,
    topics: EvaluatorTopics,
    target: RecountTarget,
    snapshot: Snapshot,
    counted: CountedPeriod,
    record: Mapping[str, Any],
    done: Done,
    requests: Sequence[int],
) -> None:
    made = counted.evaluation
    place: AgreementPeriod = made.agreement, made.period
    async with connection.transaction():
        await refused_corrections.record(
            connection, topics.quarantine, place, snapshot.linked, counted.refused
        )
        if counted.news:
            await evaluation_store.insert(
                connection, made, counted.body, snapshot.counted_through, record
            )
            await enqueue(
                connection,
                topics.evaluations,
                made.agreement,
                event_id(made),
                announcement(made, counted.body),
                {
                    "content-type": "application/cloudevents+json",
                    COUNTED_THROUGH: json.dumps(
                        await evaluation_store.offsets_of(connection, snapshot.counted_through)
                    ),
                },
            )
        if snapshot.last is None:
            await closing_queue.move_on(connection, target)
        await evaluation_store.dequeue_recount(connection, place, snapshot.taken_at)
        await evaluation_store.resolve_alarm(connection, place)
        await resolve(connection, "evaluator", "close", [place[0]], place[1])
        await evaluation_store.answer(
            connection, requests, done.outcome, done.detail, done.revision
        )
        faultpoint("close.before-commit")
    faultpoint("close.after-commit")


async def _alarm(
    connection: Connection,
    place: AgreementPeriod,
    found: Sequence[Mapping[str, Any]],
    requests: Sequence[int],
) -> Done:
    """Stop this period's close, loudly."""
    detail = (
        f"tallies and stored facts differ in {len(found)} places, first {dict(found[0])}; the "
        "period stays open until they agree: find out which of the two was changed"
    )
    async with connection.transaction():
        await evaluation_store.raise_alarm(connection, place, found[:SHOWN])
        await evaluation_store.answer(connection, requests, "alarm", detail, None)
    log(__name__).critical(
        "tallies_differ", agreement=place[0], period=place[1], found=found[:SHOWN]
    )
    return Done("alarm", detail)


def _too_large(size: int) -> str:
    return (
        f"the evaluation has {size} bytes, {MAX_BODY_BYTES} can be published; settle the agreement "
        "in shorter periods, or spread its subjects over several metrics or agreements"
    )


def event_id(made: PeriodEvaluation) -> str:
    """The same for the same revision, whoever announces it."""
    return f"{made.agreement}/{made.period}/{made.revision}"


def announcement(made: PeriodEvaluation, body: bytes) -> bytes:
    """The CloudEvent that tells settlement of an evaluation. ``body``: its canonical JSON."""
    return msgspec.json.encode(
        {
            "specversion": "1.0",
            "id": event_id(made),
            "source": "/earnback/evaluator",
            "type": EVALUATED,
            "subject": f"{made.agreement}/{made.period}",
            "datacontenttype": "application/json",
            "data": msgspec.Raw(body),
        },
        order="sorted",
    )
