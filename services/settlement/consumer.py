"""Evaluations in, statements and ledger entries out: one transaction per batch, nothing twice."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
from pydantic import ValidationError

from schemas.evaluation import PeriodEvaluation
from schemas.ledger_entry import SettlementRun
from schemas.statement import SettlementStatement, canonical
from services.core import ledger
from services.core.settlement import Unsettled, settle
from services.core.versions import first_open_day, prospective
from services.settlement import gauges, store
from services.settlement.announcements import DECLARED, Posting, Topics
from services.settlement.store import Contract, Standing, Unprocessable
from services.shell.clock import now
from services.shell.logs import log
from services.shell.postgres import Connection
from services.shell.progress import Claim
from services.shell.steps import Applied, Record

EVALUATED = "earnback.period.evaluated.v1"


class Settler:
    """The handler of the topic ``evaluations``. It holds nothing in memory."""

    def __init__(self, topics: Topics = DECLARED, *, clock: Callable[[], datetime] = now) -> None:
        self._topics = topics
        self._clock = clock

    async def load(self, connection: Connection, claims: Mapping[int, Claim]) -> None:
        """Nothing is held per partition; show what waits since before this process."""
        await gauges.show_pending(connection)

    def forget(self, partitions: Collection[int]) -> None:
        """Nothing is held per partition."""

    async def apply(
        self, connection: Connection, partition: int, records: Sequence[Record]
    ) -> Applied:
        """Settle what each evaluation changes. What can never be applied is set aside."""
        counts: Counter[str] = Counter()
        for record in records:
            try:
                counts.update(await self._one(connection, record))
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
        return Applied(committed=lambda: gauges.count(counts, waiting))

    async def _one(self, connection: Connection, record: Record) -> Counter[str]:
        """Settle one evaluation. Raises Unprocessable before anything of it is written."""
        evaluation = read(record)
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


async def _settle(
    connection: Connection,
    contract: Contract,
    evaluation: PeriodEvaluation,
    *,
    topics: Topics,
    at: datetime,
) -> Counter[str]:
    """One run: settle the whole agreement anew and post what differs from what is posted."""
    agreement = evaluation.agreement
    standing = await store.standings(connection, agreement)
    applies_from = await store.take_up(
        connection,
        agreement,
        [version.version for version in contract.versions],
        applies_from=first_open_day(standing),
    )
    run_id = ledger.run_id(
        agreement=agreement, because_of=evaluation.period, revision=evaluation.revision
    )
    run = await store.begin_run(connection, run_id, evaluation, at=at)
    outcome = await asyncio.to_thread(
        settle,
        prospective(contract.versions, applies_from),
        await store.evaluations(connection, agreement),
        buyer=contract.buyer,
        time_zone=contract.time_zone,
    )
    waiting = {each.period: each.reasons for each in outcome if isinstance(each, Unsettled)}
    settled = [each for each in outcome if isinstance(each, SettlementStatement)]
    await store.wait(connection, run, waiting)
    postings = changed(run, settled, standing, await store.posted(connection, agreement))
    await store.post(connection, postings, topics=topics, at=at)
    _say(run, postings, waiting)
    first = sum(posting.revision == 1 for posting in postings)
    return Counter(settled=1, posted=first, adjusted=len(postings) - first)


def changed(
    run: SettlementRun,
    statements: Sequence[SettlementStatement],
    standing: Mapping[str, Standing],
    posted: Mapping[str, Mapping[ledger.Position, int]],
) -> list[Posting]:
    """The statements that say something new, with the entries that they book."""
    postings = []
    for statement in statements:
        last = standing.get(statement.period)
        if last is not None and last.substance == ledger.substance(statement):
            continue
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
        run=str(run.run_id),
        because_of=run.because_of,
        revision=run.revision,
        statements=[f"{each.statement.period}#{each.revision}" for each in postings],
        entries=sum(len(each.entries) for each in postings),
        waiting=sorted(waiting),
    )
