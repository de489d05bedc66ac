"""The SQL of checkpoints: what is left of settled periods, and which evaluations there are."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from services.core.inputs.evaluated import EvaluationOutline
from services.core.settling.checkpoints import Ahead, Checkpoint, PeriodState
from services.shell.postgres import Connection


@dataclass(frozen=True, slots=True)
class EvaluationRevision:
    """The latest revision of a period's evaluation, and the digest of its body."""

    revision: int
    digest: bytes


async def latest_revisions(
    connection: Connection, agreements: Collection[str]
) -> dict[str, dict[str, EvaluationRevision]]:
    """The latest revision of each evaluated period, by agreement."""
    rows = await connection.fetch(
        "select distinct on (agreement, period) agreement, period, revision, sha256"
        " from evaluation_received where agreement = any($1::text[])"
        " order by agreement, period, revision desc",
        list(agreements),
    )
    found: dict[str, dict[str, EvaluationRevision]] = {name: {} for name in agreements}
    for row in rows:
        found[row["agreement"]][row["period"]] = EvaluationRevision(row["revision"], row["sha256"])
    return found


async def checkpoints(
    connection: Connection, agreements: Collection[str]
) -> dict[str, dict[str, Checkpoint]]:
    """All checkpoints of agreements, by agreement and period, without their states."""
    rows = await connection.fetch(
        "select agreement, period, evaluation, beyond, circumstances, ahead, covered, link"
        " from settlement_checkpoint where agreement = any($1::text[])",
        list(agreements),
    )
    found: dict[str, dict[str, Checkpoint]] = {name: {} for name in agreements}
    for row in rows:
        outline = EvaluationOutline(
            row["evaluation"], row["beyond"], frozenset(row["circumstances"])
        )
        found[row["agreement"]][row["period"]] = Checkpoint(
            row["period"], outline, _ahead(row["ahead"]), row["link"], row["covered"], None
        )
    return found


async def states(
    connection: Connection, wanted: Mapping[str, Iterable[Checkpoint]]
) -> dict[str, dict[str, PeriodState]]:
    """The states of checkpoints, by agreement and period; none of one that has changed since."""
    asked = [(name, one.period, one.link) for name, each in wanted.items() for one in each]
    rows = await connection.fetch(
        "select agreement, period, facts, after from settlement_checkpoint"
        " join unnest($1::text[], $2::text[], $3::bytea[]) as asked(agreement, period, link)"
        " using (agreement, period, link)",
        [name for name, _, _ in asked],
        [period for _, period, _ in asked],
        [link for _, _, link in asked],
    )
    found: defaultdict[str, dict[str, PeriodState]] = defaultdict(dict)
    for row in rows:
        state = PeriodState(row["facts"].encode(), row["after"].encode())
        found[row["agreement"]][row["period"]] = state
    return found


async def replace_checkpoints(
    connection: Connection, agreement: str, old: Sequence[str], made: Iterable[Checkpoint]
) -> None:
    """Put what was worked out in place of the checkpoints of these periods."""
    if old:
        await connection.execute(
            "delete from settlement_checkpoint where agreement = $1 and period = any($2::text[])",
            agreement,
            old,
        )
    await connection.executemany(
        "insert into settlement_checkpoint (agreement, period, evaluation, beyond, circumstances,"
        " ahead, covered, link, facts, after) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        [(agreement, *_row(one)) for one in made],
    )


def _row(one: Checkpoint) -> tuple[object, ...]:
    assert one.state is not None, "it was worked out"
    return (
        one.period,
        one.outline.digest,
        one.outline.beyond,
        sorted(one.outline.circumstances),
        json.dumps(sorted(one.ahead)),
        one.covered,
        one.link,
        one.state.facts.decode(),
        one.state.after.decode(),
    )


def _ahead(text: str) -> frozenset[Ahead]:
    return frozenset((name, (how, what)) for name, (how, what) in json.loads(text))
