"""Evaluations in, statements and ledger entries out: one transaction per batch, nothing twice."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Collection, Coroutine, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from hashlib import sha256
from time import monotonic
from typing import Any, TypeVar

import msgspec
from pydantic import ValidationError

from schemas.evaluation import PeriodEvaluation
from schemas.ledger_entry import SettlementRun
from schemas.programme import Programme
from schemas.statement import SettlementStatement
from services.catalogue import audit
from services.catalogue.parked import resolve
from services.core.contracts.versions import first_open_day, prospective, prospective_programmes
from services.core.exact.budget import OverBudget
from services.core.settling.one_period import PeriodOutcome, Unsettled
from services.core.settling.settlement import History
from services.settlement import gauges, parking, proposal_store, store
from services.settlement.finance_events import DECLARED, Posting, SettlementTopics
from services.settlement.proposal_store import ToldChange
from services.settlement.replay import (
    OpenBooks,
    changed,
    digests,
    news,
    replayed,
    settled_otherwise,
)
from services.settlement.store import SettlementTerms, Unprocessable
from services.shell.clock import now
from services.shell.logs import correlated, log
from services.shell.postgres import Connection, is_of_the_work
from services.shell.progress import PartitionClaim
from services.shell.steps import Record, StepResult

EVALUATED = "earnback.period.evaluated.v1"
SETTLE_SECONDS = 60.0
"""So long one evaluation may take, where nothing else is said."""
Result = TypeVar("Result")
_SIGN_OF_LIFE = 5.0
"""Seconds between two statements of a transaction that waits: servers end one that says nothing."""


class Settler:
    """The handler of the topic ``evaluations``. It holds nothing in memory."""

    def __init__(
        self,
        topics: SettlementTopics = DECLARED,
        *,
        clock: Callable[[], datetime] = now,
        seconds: float = SETTLE_SECONDS,
    ) -> None:
        """``seconds``: what takes longer is parked."""
        self._topics = topics
        self._clock = clock
        self._seconds = seconds

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
        given = [(record, _read(record)) for record in records]
        await store.take_turn(
            connection, {one.agreement for _, one in given if isinstance(one, PeriodEvaluation)}
        )
        told: list[ToldChange] = []
        for record, evaluation in given:
            try:
                counts.update(await self._one(connection, evaluation, told))
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
        for author, change in told:  # last: others wait from then
            await audit.record(connection, author, change)
        return StepResult(committed=lambda: gauges.count(counts, waiting))

    async def _one(
        self,
        connection: Connection,
        evaluation: PeriodEvaluation | Unprocessable,
        told: list[ToldChange],
    ) -> Counter[str]:
        """Settle one evaluation, or park it. Raises Unprocessable before anything is written.

        ``told``: gets what the audit is to say.
        """
        if isinstance(evaluation, Unprocessable):
            raise evaluation
        if not await store.is_applied(connection, evaluation.agreement):
            raise Unprocessable(
                f"agreement {evaluation.agreement} is not applied; apply it, then have the "
                "period closed again by command"
            )
        if not await store.receive(connection, evaluation):
            return Counter(repeated=1)
        told += await proposal_store.keep(connection, evaluation)
        agreement, period = evaluation.agreement, evaluation.period
        with correlated(_trace(evaluation)):
            try:
                async with connection.transaction():
                    return await _settle(
                        connection,
                        evaluation,
                        topics=self._topics,
                        at=self._clock(),
                        seconds=self._seconds,
                    )
            except Exception as error:
                if not is_of_the_work(error):
                    raise
                await parking.park_evaluation(connection, agreement, period, error)
                return Counter(parked=1)

    async def try_again(self, connection: Connection, agreement: str, period: str) -> None:
        """Settle the latest evaluation of a period that is parked, inside a transaction.

        Raises what it fails for.
        """
        await store.take_turn(connection, {agreement})
        evaluation = await store.latest_evaluation(connection, agreement, period)
        if evaluation is None or not await parking.is_parked(connection, agreement, period):
            return
        await _settle(
            connection, evaluation, topics=self._topics, at=self._clock(), seconds=self._seconds
        )


def _read(record: Record) -> PeriodEvaluation | Unprocessable:
    try:
        return read(record)
    except Unprocessable as reason:
        return reason
    except Exception as error:  # nested too deep, or in another way that no reader expects
        return Unprocessable(f"not an evaluation that can be read: {type(error).__name__}: {error}")


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
    evaluation: PeriodEvaluation,
    *,
    topics: SettlementTopics,
    at: datetime,
    seconds: float,
) -> Counter[str]:
    """Settle the agreement anew, with all that share a cap with it, and post what differs.

    The agreement evaluated always gets a run; another one where the evaluation changes something
    for it. Another one that cannot be worked out is parked, and what depends on it waits. Raises
    what the agreement evaluated fails for, and OverBudget where it takes longer than so many
    seconds.
    """
    contract = await store.contract(connection, evaluation.agreement)
    assert contract is not None, "an agreement is applied before it is evaluated"
    contract, known = await store.with_evaluations(connection, contract, evaluation.agreement)
    books = {name: await _open(connection, name, contract, known[name]) for name in known}
    first_open = first_open_day(period for one in books.values() for period in one.standing)
    activated = await store.activate_programmes(
        connection, contract.programmes, applies_from=first_open
    )
    programmes = prospective_programmes(contract.programmes, activated)
    work = replayed(contract, _histories(books), programmes)
    found = await within(connection, work, seconds, contract.agreements)
    found.of(evaluation.agreement)
    outcomes = found.outcomes
    untouched = await _untouched(
        connection, contract, books, programmes, outcomes, evaluation, seconds
    )
    postings: list[Posting] = []
    for name, outcome in outcomes.items():
        waiting = {each.period: each.reasons for each in outcome if isinstance(each, Unsettled)}
        settled = [
            each
            for each in outcome
            if isinstance(each, SettlementStatement) and each.period not in untouched[name]
        ]
        same = waiting == books[name].waiting and not news(settled, books[name].standing)
        if same and name != evaluation.agreement:
            continue
        run = await store.begin_run(connection, name, evaluation, at=at)
        await store.wait(connection, run, waiting)
        own = changed(run, settled, books[name].standing, books[name].posted)
        _say(run, own, waiting)
        postings += own
    await store.post(connection, postings, topics=topics, at=at)
    await store.check_now(connection)
    await resolve(connection, "settlement", "evaluation", outcomes)
    await parking.park_failed(connection, found.failed, evaluation.period)
    first = sum(posting.revision == 1 for posting in postings)
    return Counter(settled=1, posted=first, adjusted=len(postings) - first)


async def _untouched(
    connection: Connection,
    contract: SettlementTerms,
    books: Mapping[str, OpenBooks],
    programmes: Sequence[Programme],
    outcomes: Mapping[str, Sequence[PeriodOutcome]],
    evaluation: PeriodEvaluation,
    seconds: float,
) -> Mapping[str, Collection[str]]:
    """The settled periods of each agreement that only today's rules settle otherwise.

    Older rules made what stands, and without the evaluation today's rules would come to the same
    as with it. Nothing of these is posted before a person orders it.
    """
    older = {
        name: settled_otherwise(outcome, books[name].standing) for name, outcome in outcomes.items()
    }
    if not any(older.values()):
        return older
    evaluated = evaluation.agreement
    kept = await store.evaluations(connection, evaluated, without=evaluation)
    before = {**_histories(books), evaluated: replace(books[evaluated].history, evaluations=kept)}
    work = replayed(contract, before, programmes)
    earlier = await within(connection, work, seconds, contract.agreements)
    return {
        name: {
            period
            for period, _ in older[name].items() & digests(earlier.outcomes.get(name, ())).items()
        }
        for name in older
    }


async def within(
    connection: Connection, work: Coroutine[Any, Any, Result], seconds: float, names: Iterable[str]
) -> Result:
    """What a piece of work comes to, while the transaction shows that it lives.

    ``names``: of the agreements that it is about. Raises OverBudget after so many seconds; what
    was begun in a thread ends there by itself.
    """
    task, started = asyncio.ensure_future(work), monotonic()
    try:
        while not (await asyncio.wait({task}, timeout=min(_SIGN_OF_LIFE, seconds)))[0]:
            if monotonic() - started >= seconds:
                raise OverBudget(
                    f"settling {' and '.join(sorted(names))} takes longer than {seconds:g} seconds;"
                    " settle in longer periods, let fewer agreements share a cap, or raise "
                    "EARNBACK_SETTLE_SECONDS"
                )
            await connection.fetchval("select 1")
        return task.result()
    finally:
        task.cancel()


def _histories(books: Mapping[str, OpenBooks]) -> dict[str, History]:
    return {name: one.history for name, one in books.items()}


async def _open(
    connection: Connection,
    agreement: str,
    contract: SettlementTerms,
    evaluations: Sequence[PeriodEvaluation],
) -> OpenBooks:
    versions = contract.agreements[agreement]
    standing = await store.standings(connection, agreement)
    applies_from = await store.activate(
        connection,
        agreement,
        [version.version for version in versions],
        applies_from=first_open_day(standing),
    )
    return OpenBooks(
        History(prospective(versions, applies_from), evaluations),
        standing,
        await store.posted(connection, agreement),
        await store.waiting(connection, agreement),
    )


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


def _trace(evaluation: PeriodEvaluation) -> str:
    """The correlation id of all that an evaluation causes. It names nobody: it goes out with what
    is booked for other agreements under the same cap, too."""
    place = f"{evaluation.agreement}/{evaluation.period}/{evaluation.revision}"
    return f"evaluation-{sha256(place.encode()).hexdigest()[:16]}"
