"""Evaluations in, statements and ledger entries out: one transaction per batch, nothing twice.

What evaluations change is worked out first, in no transaction; the transaction only compares what
that stood on with what is there by then, and writes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from hashlib import sha256
from typing import Any

import msgspec
from pydantic import ValidationError

from schemas.evaluation import PeriodEvaluation
from schemas.ledger_entry import SettlementRun
from services.catalogue import audit
from services.catalogue.parked import resolve
from services.core.contracts.versions import first_open_day
from services.core.settling.one_period import Unsettled
from services.settlement import gauges, parking, proposal_store, queries, store
from services.settlement.checkpoint_store import replace_checkpoints
from services.settlement.finance_events import DECLARED, Posting, SettlementTopics
from services.settlement.proposal_store import ToldChange
from services.settlement.replay import postings
from services.settlement.settling_inputs import OpenHistories
from services.settlement.store import Unprocessable
from services.settlement.working_out import PreparedSettlement, work_out
from services.shell.clock import now
from services.shell.logs import correlated, log
from services.shell.postgres import Connection, Overtaken, Pool, is_of_the_work
from services.shell.progress import PartitionClaim
from services.shell.steps import Record, StepResult

EVALUATED = "earnback.period.evaluated.v1"
SETTLE_SECONDS = 60.0
"""So long one evaluation may take, where nothing else is said."""


class Settler:
    """The handler of the topic ``evaluations``. In memory is what it has prepared, no more."""

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
        self._ahead: dict[tuple[str, str, int], PreparedSettlement | Exception | None] = {}
        self._read: dict[int, tuple[Record, PeriodEvaluation | Unprocessable]] = {}

    async def load(self, connection: Connection, claims: Mapping[int, PartitionClaim]) -> None:
        """Nothing is held per partition; show what waits since before this process."""
        await gauges.show_pending(connection)

    def forget(self, partitions: Collection[int]) -> None:
        """Nothing is held per partition."""

    async def prepare(self, pool: Pool, records: Sequence[Record]) -> int:
        """Work out what the first evaluations change that do not depend on one another.

        Of agreements that share a cap, one at a time. Gives how many records that are.
        """
        self._ahead, self._read = {}, {}
        together: set[str] = set()
        async with pool.acquire() as connection:
            for place, record in enumerate(records):
                evaluation = self._given(record)
                if isinstance(evaluation, Unprocessable):
                    continue
                if evaluation.agreement in together:
                    return place
                together |= {evaluation.agreement}
                if not await store.is_received(connection, evaluation):
                    found = await self._work_out(connection, evaluation)
                    self._ahead[_identity(evaluation)] = found
                    if not isinstance(
                        found, PreparedSettlement
                    ):  # whom it shares a cap with is not known
                        return place + 1
                    together |= set(found.opened.names)
        return len(records)

    async def _work_out(
        self, connection: Connection, evaluation: PeriodEvaluation
    ) -> PreparedSettlement | Exception | None:
        """What an evaluation comes to, or what it fails for; None where it is of no agreement."""
        with correlated(_trace(evaluation)):
            try:
                return await work_out(connection, evaluation, seconds=self._seconds)
            except Exception as error:
                if not is_of_the_work(error):
                    raise
                return error

    async def apply(
        self, connection: Connection, partition: int, records: Sequence[Record]
    ) -> StepResult:
        """Post what was prepared of each evaluation. What can never be applied is set aside.

        Raises Overtaken where something was not prepared, or does not fit any more.
        """
        counts: Counter[str] = Counter()
        given = [(record, self._given(record)) for record in records]
        await store.take_turn(
            connection, {one.agreement for _, one in given if isinstance(one, PeriodEvaluation)}
        )
        told: list[ToldChange] = []
        fresh: list[PeriodEvaluation] = []
        for record, evaluation in given:
            try:
                if await self._receive(connection, evaluation, told):
                    assert isinstance(evaluation, PeriodEvaluation), "what is received was read"
                    fresh.append(evaluation)
                else:
                    counts["repeated"] += 1
            except Unprocessable as reason:
                await store.refuse(
                    connection,
                    topic=self._topics.evaluations,
                    partition=partition,
                    offset=record.offset,
                    body=record.value,
                    reason=str(reason),
                )
                # Why may hold what an event says: it is told by GET /v1/refused-evaluations.
                log(__name__).error("evaluation_refused", partition=partition, offset=record.offset)
                counts["refused"] += 1
        book = gauges.BookHold()
        for evaluation in fresh:  # all is compared by now: others wait for the book from here
            counts.update(await self._posted_or_parked(connection, evaluation, book))
        waiting = await gauges.pending(connection)
        for author, change in told:  # last: others wait from then
            await audit.record(connection, author, change)

        def committed() -> None:
            gauges.count(counts, waiting)
            book.released()

        return StepResult(committed=committed)

    async def _receive(
        self,
        connection: Connection,
        evaluation: PeriodEvaluation | Unprocessable,
        told: list[ToldChange],
    ) -> bool:
        """Keep an evaluation; False where it is kept already.

        ``told``: gets what the audit is to say. Raises Unprocessable before anything is written,
        and Overtaken.
        """
        if isinstance(evaluation, Unprocessable):
            raise evaluation
        if not await store.is_applied(connection, evaluation.agreement):
            raise Unprocessable(
                f"agreement {evaluation.agreement} is not applied; apply it, then have the "
                "period closed again by command"
            )
        if not await store.receive(connection, evaluation):
            return False
        told += await proposal_store.keep(connection, evaluation)
        await _check_still_fits(connection, evaluation, self._ahead.get(_identity(evaluation)))
        return True

    async def _posted_or_parked(
        self, connection: Connection, evaluation: PeriodEvaluation, book: gauges.BookHold
    ) -> Counter[str]:
        """Post what was prepared of an evaluation, or park it for what it fails for."""
        agreement, period = evaluation.agreement, evaluation.period
        found = self._ahead[_identity(evaluation)]
        with correlated(_trace(evaluation)):
            try:
                if isinstance(found, Exception):
                    raise found
                assert found is not None, "it was checked that it fits"
                async with connection.transaction():
                    return await _post(
                        connection,
                        evaluation,
                        found,
                        topics=self._topics,
                        at=self._clock(),
                        taken=book.taken,
                    )
            except Exception as error:
                if not is_of_the_work(error):
                    raise
                await parking.park_evaluation(connection, agreement, period, error)
                return Counter(parked=1)

    def _given(self, record: Record) -> PeriodEvaluation | Unprocessable:
        """The evaluation in a record, read once."""
        held = self._read.get(record.offset)
        if held is None or held[0] is not record:
            held = self._read[record.offset] = record, _read(record)
        return held[1]

    async def try_again(self, connection: Connection, agreement: str, period: str) -> None:
        """Settle the latest evaluation of a period that is parked. Raises what it fails for.

        ``connection``: in no transaction.
        """
        evaluation = await store.evaluation_at(connection, agreement, period)
        if evaluation is None or not await parking.is_parked(connection, agreement, period):
            return
        found = await work_out(connection, evaluation, seconds=self._seconds)
        async with connection.transaction():
            await store.take_turn(connection, {agreement})
            await _check_still_fits(connection, evaluation, found)
            assert found is not None, "it was checked that it fits"
            await _post(connection, evaluation, found, topics=self._topics, at=self._clock())


def _identity(evaluation: PeriodEvaluation) -> tuple[str, str, int]:
    return evaluation.agreement, evaluation.period, evaluation.revision


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


async def _check_still_fits(
    connection: Connection,
    evaluation: PeriodEvaluation,
    found: PreparedSettlement | Exception | None,
) -> None:
    """Raises Overtaken where an evaluation, received by now, would not be settled from the same."""
    if found is None:
        raise Overtaken(f"{evaluation.agreement} was not worked out beforehand")
    if isinstance(found, PreparedSettlement):
        try:
            fits = await found.opened.still_fit(connection, evaluation.agreement)
        except Exception as error:
            if not is_of_the_work(error):
                raise
            raise Overtaken(f"{evaluation.agreement} cannot be read any more") from error
        if not fits:
            raise Overtaken(f"{evaluation.agreement} was settled by another meanwhile")


async def _post(
    connection: Connection,
    evaluation: PeriodEvaluation,
    worked_out: PreparedSettlement,
    *,
    topics: SettlementTopics,
    at: datetime,
    taken: Callable[[], None] = lambda: None,
) -> Counter[str]:
    """Post what was worked out, and fits.

    The agreement evaluated always gets a run; another one where the evaluation changes something
    for it. Another one that cannot be worked out is parked, and what depends on it waits.
    """
    found = worked_out.found
    await _activate(connection, worked_out.opened)
    made: list[Posting] = []
    for name in found.outcomes:
        made += await _run(connection, evaluation, name, worked_out, at)
    since = worked_out.opened.going_on.since
    for name in worked_out.opened.names:
        await replace_checkpoints(connection, name, since, worked_out.after.get(name, ()))
    await store.post(connection, made, topics=topics, at=at, taken=taken)
    await store.check_now(connection)
    await resolve(connection, "settlement", "evaluation", found.outcomes)
    await parking.park_failed(connection, found.failed, evaluation.period)
    first = sum(posting.revision == 1 for posting in made)
    return Counter(settled=1, posted=first, adjusted=len(made) - first)


async def _run(
    connection: Connection,
    evaluation: PeriodEvaluation,
    name: str,
    worked_out: PreparedSettlement,
    at: datetime,
) -> list[Posting]:
    """What an agreement posts, as a run of its own; nothing where nothing changes for it."""
    outcome = worked_out.found.outcomes[name]
    before = await store.waiting(connection, name)
    opened = worked_out.opened
    kept = [each for each in before if not opened.going_on.is_open(each)]
    waiting = {each: before[each] for each in kept}
    waiting |= {each.period: each.reasons for each in outcome if isinstance(each, Unsettled)}
    told = worked_out.told[name]
    if waiting == before and not told and name != evaluation.agreement:
        return []
    run = await store.begin_run(connection, name, evaluation, at=at)
    revisions = opened.revisions[name]
    found_in = {each: revisions[each].revision for each in waiting if each not in kept}
    await store.wait(connection, run, waiting, found_in)
    posted = await store.posted(connection, name, [each.statement.period for each in told])
    made = postings(run, told, opened.standing[name], posted)
    _say(run, made, waiting)
    return made


async def _activate(connection: Connection, opened: OpenHistories) -> None:
    """Write down from when on versions rule that settlement meets for the first time."""
    if opened.ruling.all_activated:
        return
    agreements = opened.contract.agreements
    standing = {name: await queries.settled_periods(connection, name) for name in agreements}
    for name, versions in agreements.items():
        await store.activate(
            connection,
            name,
            [version.version for version in versions],
            applies_from=first_open_day(standing[name]),
        )
    await store.activate_programmes(
        connection,
        opened.contract.programmes,
        applies_from=first_open_day(period for each in standing.values() for period in each),
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
