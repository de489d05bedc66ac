"""Evaluations in, statements and ledger entries out: one transaction per batch, nothing twice."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
from pydantic import ValidationError

from schemas.evaluation import PeriodEvaluation
from schemas.ledger_entry import SettlementRun
from schemas.statement import SettlementStatement, canonical
from services.core.books import ledger
from services.core.contracts.versions import first_open_day, prospective, prospective_programmes
from services.core.settling.one_period import Unsettled
from services.core.settling.settlement import History, settle_together
from services.settlement import gauges, store
from services.settlement.finance_events import DECLARED, Posting, SettlementTopics
from services.settlement.store import LatestRevision, SettlementTerms, Unprocessable
from services.shell.clock import now
from services.shell.logs import log
from services.shell.postgres import Connection
from services.shell.progress import PartitionClaim
from services.shell.steps import Record, StepResult

EVALUATED = "earnback.period.evaluated.v1"


class Settler:
    """The handler of the topic ``evaluations``. It holds nothing in memory."""

    def __init__(
        self, topics: SettlementTopics = DECLARED, *, clock: Callable[[], datetime] = now
    ) -> None:
        self._topics = topics
        self._clock = clock

    async def load(self, connection: Connection, claims: Mapping[int, PartitionClaim]) -> None:
        """Nothing is held per partition; show what waits since before this process."""
        await gauges.show_pending(connection)

    def forget(self, partitions: Collection[int]) -> None:
        """Nothing is held per partition."""

    async def apply(
        self, connection: Connection, partition: int, records: Sequence[Record]
    ) -> StepResult:
        """Settle what each evaluation changes. What can never be applied is set aside."""
        counts: Counter[str] = Counter()
        told = [(record, _read(record)) for record in records]
        await store.take_turn(
            connection, {one.agreement for _, one in told if isinstance(one, PeriodEvaluation)}
        )
        for record, evaluation in told:
            try:
                counts.update(await self._one(connection, evaluation))
            except Unprocessable as reason:
                await store.refuse(
                    connection,
                    topic=self._topics.evaluations,
                    partition=partition,
                    offset=record.offset,
                    body=record.value,
                    reason=str(reason),
                )
                log(__name__).error("evaluation_refused", offset=record.offset, reason=str(reason))
                counts["refused"] += 1
        waiting = await gauges.pending(connection)
        return StepResult(committed=lambda: gauges.count(counts, waiting))

    async def _one(
        self, connection: Connection, evaluation: PeriodEvaluation | Unprocessable
    ) -> Counter[str]:
        """Settle one evaluation. Raises Unprocessable before anything of it is written."""
        if isinstance(evaluation, Unprocessable):
            raise evaluation
        contract = await store.contract(connection, evaluation.agreement)
        if contract is None:
            raise Unprocessable(
                f"agreement {evaluation.agreement} is not applied; apply it, then have the "
                "period closed again by command"
            )
        if not await store.receive(connection, evaluation):
            return Counter(repeated=1)
        return await _settle(
            connection, contract, evaluation, topics=self._topics, at=self._clock()
        )


def _read(record: Record) -> PeriodEvaluation | Unprocessable:
    try:
        return read(record)
    except Unprocessable as reason:
        return reason


def read(record: Record) -> PeriodEvaluation:
    """The evaluation in a record: a CloudEvent, structured or binary.

    Raises Unprocessable where it is none.
    """
    try:
        if (record.header("content-type") or "").startswith("application/cloudevents"):
            envelope = msgspec.json.decode(record.value)
            kind, data = envelope["type"], envelope["data"]
        else:
            kind, data = record.header("ce_type"), msgspec.json.decode(record.value)
        if kind != EVALUATED:
            raise Unprocessable(f"its type is {kind}; only {EVALUATED} is read from this topic")
        return PeriodEvaluation.model_validate_json(msgspec.json.encode(data))
    except (msgspec.DecodeError, KeyError, TypeError) as error:
        raise Unprocessable(f"not a CloudEvent in JSON: {error!r}") from None
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise Unprocessable(f"not an evaluation: {place}: {first['msg']}") from None


@dataclass(frozen=True, slots=True)
class _Books:
    """An agreement as it stands before a run."""

    history: History
    standing: Mapping[str, LatestRevision]
    posted: Mapping[str, Mapping[ledger.Position, int]]
    waiting: Mapping[str, tuple[str, ...]]


async def _settle(
    connection: Connection,
    contract: SettlementTerms,
    evaluation: PeriodEvaluation,
    *,
    topics: SettlementTopics,
    at: datetime,
) -> Counter[str]:
    """Settle the agreement anew, with all that share a cap with it, and post what differs.

    The agreement evaluated always gets a run; another one where the evaluation changes something
    for it.
    """
    books = {name: await _open(connection, name, contract) for name in contract.agreements}
    first_open = first_open_day(period for one in books.values() for period in one.standing)
    activated = await store.activate_programmes(
        connection, contract.programmes, applies_from=first_open
    )
    outcomes = await asyncio.to_thread(
        settle_together,
        {name: one.history for name, one in books.items()},
        prospective_programmes(contract.programmes, activated),
        buyer=contract.buyer,
        time_zone=contract.time_zone,
    )
    postings: list[Posting] = []
    for name, outcome in outcomes.items():
        waiting = {each.period: each.reasons for each in outcome if isinstance(each, Unsettled)}
        settled = [each for each in outcome if isinstance(each, SettlementStatement)]
        same = waiting == books[name].waiting and not news(settled, books[name].standing)
        if same and name != evaluation.agreement:
            continue
        run = await store.begin_run(connection, name, evaluation, at=at)
        await store.wait(connection, run, waiting)
        own = changed(run, settled, books[name].standing, books[name].posted)
        _say(run, own, waiting)
        postings += own
    await store.post(connection, postings, topics=topics, at=at)
    first = sum(posting.revision == 1 for posting in postings)
    return Counter(settled=1, posted=first, adjusted=len(postings) - first)


async def _open(connection: Connection, agreement: str, contract: SettlementTerms) -> _Books:
    versions = contract.agreements[agreement]
    standing = await store.standings(connection, agreement)
    applies_from = await store.activate(
        connection,
        agreement,
        [version.version for version in versions],
        applies_from=first_open_day(standing),
    )
    return _Books(
        History(
            prospective(versions, applies_from), await store.evaluations(connection, agreement)
        ),
        standing,
        await store.posted(connection, agreement),
        await store.waiting(connection, agreement),
    )


def news(
    statements: Sequence[SettlementStatement], standing: Mapping[str, LatestRevision]
) -> list[SettlementStatement]:
    """The statements that say something other than what stands."""
    return [
        each
        for each in statements
        if each.period not in standing
        or standing[each.period].content_digest != ledger.content_digest(each)
    ]


def changed(
    run: SettlementRun,
    statements: Sequence[SettlementStatement],
    standing: Mapping[str, LatestRevision],
    posted: Mapping[str, Mapping[ledger.Position, int]],
) -> list[Posting]:
    """The statements that say something new, with the entries that they book."""
    postings = []
    for statement in news(statements, standing):
        last = standing.get(statement.period)
        entries = ledger.differences(posted.get(statement.period, {}), statement, run=run.run_id)
        postings.append(
            Posting(
                statement=statement,
                body=canonical(statement),
                revision=last.revision + 1 if last else 1,
                run_id=run.run_id,
                entries=entries,
            )
        )
    return postings


def _say(run: SettlementRun, postings: Sequence[Posting], waiting: Mapping[str, Any]) -> None:
    log(__name__).info(
        "settled",
        agreement=run.agreement,
        caused_by=run.caused_by,
        run=str(run.run_id),
        because_of=run.because_of,
        revision=run.revision,
        statements=[f"{each.statement.period}#{each.revision}" for each in postings],
        entries=sum(len(each.entries) for each in postings),
        waiting=sorted(waiting),
    )
