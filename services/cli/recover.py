"""`earnback recover`: makes a restored database go on where the topics are.

The processes are stopped. What the topics hold beyond the database is written into its outbox as
published; facts, evaluations and statements are worked out again from the topics, in the order in
which they were. Safe to repeat.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from infra.cluster import Prepared
from services.cli.prepare import RELAYED
from services.evaluator.recovery import EvaluatedBefore, EvaluatorRecovery
from services.evaluator.settings import read_pace
from services.evaluator.topics import EvaluatorTopics
from services.settlement.finance_events import DECLARED
from services.settlement.recovery import PublishedRuns, SettlementRecovery
from services.shell.log_reader import LogReader, log_reader
from services.shell.outbox import check_topics
from services.shell.postgres import Connection, Pool, open_pool
from services.shell.prefix import beginning, under
from services.shell.progress import positions
from services.shell.settings import Settings, read
from services.shell.taken_over import (
    OutputState,
    TakenOver,
    compare,
    not_reproduced,
    take_over,
)

LOOK = 0.2
"""Seconds between two looks whether a relay still works."""
SHOWN = 20
"""So many records that the books do not say are named."""


class StillRuns(RuntimeError):
    """A process of the installation works while it is to be recovered."""


@dataclass(frozen=True, slots=True)
class _Parts:
    """What the steps share. ``evaluator``, ``settlement``: the settings of these processes."""

    evaluator: Settings
    settlement: Settings
    pool: Pool
    reader: LogReader
    topics: Sequence[str]
    """Those of the outbox, with their prefix."""
    exact: Sequence[str]
    """Those of which nothing else may be published under the same id."""


async def recover(environ: Mapping[str, str] | None = None, *, dry_run: bool = False) -> Prepared:
    """Compare the topics with the outbox, take over what it lacks, and work out the rest again.

    ``environ``: the settings of the processes. ``dry_run``: only compare and say it. What is left
    needs a person. Raises BadSettings, StillRuns, OtherInstallation, InputLost, NotOurs.
    """
    evaluator, settlement = read("evaluator", environ), read("settlement", environ)
    begin = beginning(evaluator.prefix)
    topics = [begin + topic for topic in RELAYED]
    pool = await open_pool(evaluator.postgres, name="earnback-recover")
    try:
        async with log_reader(evaluator.kafka, evaluator.security) as reader:
            exact = [begin + each for each in ("evaluations", "settlements", "ledger-entries")]
            parts = _Parts(evaluator, settlement, pool, reader, topics, exact)
            return await _recovered(parts, dry_run)
    finally:
        await pool.close()


async def _recovered(parts: _Parts, dry_run: bool) -> Prepared:
    async with parts.pool.acquire() as connection:
        await check_topics(connection, parts.topics)
        await _check_stopped(connection)
        states = await compare(connection, parts.reader, parts.topics)
        said = Prepared(tuple(_said(states, dry_run)), tuple(_lost(states)))
        said += await _inputs(parts, connection)
        if dry_run:
            return said
        await take_over(connection, states, parts.exact)
        open_records = await not_reproduced(connection, parts.exact)
    if not open_records:
        return said
    await _replay(parts, open_records)
    async with parts.pool.acquire() as connection:
        left = await not_reproduced(connection, parts.exact)
    done = len(open_records) - len(left)
    return said + Prepared(
        (f"{done} of {len(open_records)} published records are worked out again, as they were",),
        tuple(_not_said(left)),
    )


async def _replay(parts: _Parts, records: Iterable[TakenOver]) -> None:
    prefix = parts.evaluator.prefix
    own, books = under(prefix, EvaluatorTopics()), under(prefix, DECLARED)
    evaluated, runs = [], PublishedRuns()
    for each in records:
        if each.topic == own.evaluations:
            evaluated.append(EvaluatedBefore.of(each.headers, each.body))
        else:
            runs.add(each.headers, each.body)
    counting = EvaluatorRecovery(parts.evaluator, read_pace(), parts.pool, parts.reader, own)
    await counting.replay(evaluated)
    await SettlementRecovery(parts.settlement, parts.pool, parts.reader, books).replay(runs)


async def _check_stopped(connection: Connection) -> None:
    """A relay that works renews its lease; one that was killed, or that the backup remembers, lets
    it run out, which is waited for. Workers are shut out by the claim of their partitions.

    Raises StillRuns.
    """
    first: dict[str, datetime] = {}
    while True:
        rows = await connection.fetch(
            "select topic, holder, expires_at from relay_lease"
            " where expires_at > clock_timestamp() order by topic"
        )
        for row in rows:
            if row["expires_at"] > first.setdefault(row["topic"], row["expires_at"]):
                raise StillRuns(
                    f"{row['holder']} publishes {row['topic']}: stop all processes, then run this "
                    "again"
                )
        if not rows:
            return
        await asyncio.sleep(LOOK)


def _said(states: Sequence[OutputState], dry_run: bool) -> Iterable[str]:
    to_be = "to be " if dry_run else ""
    for each in states:
        place = f"{each.topic}-{each.partition}"
        if each.further:
            yield (
                f"{place}: sequence {each.given_out + 1} to {each.published} {to_be}taken over; "
                f"the next is {each.published + 1}"
            )
        elif each.published < each.given_out and each.lost is None:
            yield (
                f"{place}: ends with sequence {each.published}; the relay publishes up to "
                f"{each.given_out} from the outbox when it starts"
            )


def _lost(states: Sequence[OutputState]) -> Iterable[str]:
    for each in states:
        if each.lost is not None:
            first, last = each.lost
            yield (
                f"{each.topic}-{each.partition}: sequence {first} to {last} are neither in the "
                "topic nor in the outbox: restore the topic; the relay will not publish a hole"
            )


async def _inputs(parts: _Parts, connection: Connection) -> Prepared:
    """Whether the workers can read on from where the database is."""
    said, left = [], []
    for settings in (parts.evaluator, parts.settlement):
        for (topic, partition), offset in (await positions(connection, settings.app)).items():
            first, end = (await parts.reader.bounds(topic, [partition]))[partition]
            place = f"{topic}-{partition}"
            if offset < first:
                left.append(
                    f"{place}: the records {offset} to {first - 1} are not applied and were "
                    "removed by retention: restore the database to a later point"
                )
            elif offset > end:
                left.append(
                    f"{place}: ends at {end}, {offset} are applied: the topic was made anew or "
                    "lost its tail; check EARNBACK_KAFKA"
                )
            elif offset < end:
                said.append(f"{place}: read again from {offset}, up to {end}")
    return Prepared(tuple(said), tuple(left))


def _not_said(left: Sequence[TakenOver]) -> Iterable[str]:
    for each in left[:SHOWN]:
        told = json.loads(each.body)
        yield (
            f"{each.topic}-{each.partition} sequence {each.sequence}: {told.get('type')} "
            f"{told.get('subject')} was published and is not come to again: apply the contract "
            "version, or repeat the order or the dispute that led to it, and run this again"
        )
    if len(left) > SHOWN:
        yield f"and {len(left) - SHOWN} more"
