"""The SQL of checkpoints: what is left of settled periods, and which evaluations are newer."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date

from schemas.period import first_day
from services.core.inputs.charges import AT
from services.core.inputs.evaluated import EvaluationOutline, ReadSince
from services.core.settling.checkpoints import Ahead, Checkpoint, Looking, Past, PeriodState
from services.settlement.queries import DatabaseRow
from services.shell.postgres import Connection

ByPeriod = tuple[str, str]
"""An agreement and a period of it."""


@dataclass(frozen=True, slots=True)
class EvaluationRevision:
    """The latest revision of a period's evaluation, and the digest of its body."""

    revision: int
    digest: bytes


@dataclass(frozen=True, slots=True)
class NewerEvaluation:
    """A period's latest evaluation that no checkpoint stands on by these terms.

    ``before``: what the checkpoint stands on that is stored of the period; None: there is none.
    """

    latest: EvaluationRevision
    before: EvaluationOutline | None


async def newer_evaluations(
    connection: Connection, agreements: Collection[str], terms: bytes
) -> dict[ByPeriod, NewerEvaluation]:
    """The latest evaluations that no checkpoint of these terms stands on."""
    rows = await connection.fetch(
        "with latest as (select distinct on (agreement, period) agreement, period, revision, sha256"
        "  from evaluation_received where agreement = any($1::text[])"
        "  order by agreement, period, revision desc)"
        " select agreement, period, latest.revision, latest.sha256,"
        "  evaluation, beyond, circumstances"
        " from latest left join settlement_checkpoint held using (agreement, period)"
        " where held.evaluation is distinct from latest.sha256 or held.terms <> $2",
        list(agreements),
        terms,
    )
    return {
        (row["agreement"], row["period"]): NewerEvaluation(
            EvaluationRevision(row["revision"], row["sha256"]),
            None if row["evaluation"] is None else _outline(row),
        )
        for row in rows
    }


async def checkpoint_outline(
    connection: Connection, agreement: str, period: str
) -> EvaluationOutline | None:
    """What the checkpoint of a period stands on; None where there is none."""
    row = await connection.fetchrow(
        "select evaluation, beyond, circumstances from settlement_checkpoint"
        " where agreement = $1 and period = $2",
        agreement,
        period,
    )
    return None if row is None else _outline(row)


async def looking(
    connection: Connection,
    agreements: Collection[str],
    answered: Collection[Ahead],
    beyond: Collection[str],
) -> tuple[list[Looking], set[ByPeriod]]:
    """The settled periods that looked at something that is answered otherwise now.

    And, for those that looked at the time of a period of an agreement in ``beyond``: which of
    these periods are evaluated.
    """
    rows = await connection.fetch(
        "select period, ahead from settlement_checkpoint where agreement = any($1::text[])"
        " and (ahead && $2::text[]"
        "  or exists (select from unnest(ahead) as look where look ^@ any($3::text[])))",
        list(agreements),
        [_look(one) for one in answered],
        [json.dumps([name, AT])[:-1] + "," for name in beyond],
    )
    found: list[Looking] = [(row["period"], _ahead(row["ahead"])) for row in rows]
    places = [
        (name, what)
        for _, ahead in found
        for name, (how, what) in ahead
        if how == AT and name in beyond
    ]
    evaluated = await connection.fetch(
        "select distinct agreement, period from evaluation_received"
        " join unnest($1::text[], $2::text[]) as asked(agreement, period)"
        " using (agreement, period)",
        [name for name, _ in places],
        [period for _, period in places],
    )
    return found, {(row["agreement"], row["period"]) for row in evaluated}


async def settled_since(
    connection: Connection, agreements: Collection[str], since: str
) -> dict[ByPeriod, tuple[EvaluationRevision, EvaluationOutline]]:
    """The latest evaluations of a period and all later ones that a checkpoint stands on."""
    rows = await connection.fetch(
        "select agreement, period, evaluation, beyond, circumstances, revision, sha256"
        " from settlement_checkpoint held cross join lateral ("
        "  select revision, sha256 from evaluation_received as received"
        "  where received.agreement = held.agreement and received.period = held.period"
        "  order by revision desc limit 1) as latest"
        " where agreement = any($1::text[])"
        """ and (begins, period collate "C") >= ($2, $3)""",
        list(agreements),
        first_day(since),
        since,
    )
    return {
        (row["agreement"], row["period"]): (
            EvaluationRevision(row["revision"], row["sha256"]),
            _outline(row),
        )
        for row in rows
        if row["evaluation"] == row["sha256"]
    }


async def heads(
    connection: Connection, agreements: Collection[str]
) -> dict[str, tuple[str, bytes]]:
    """The last checkpoint of each agreement: its period, and its link."""
    rows = await connection.fetch(
        "select asked.agreement, last.period, last.link from unnest($1::text[]) as asked(agreement)"
        " cross join lateral (select period, link from settlement_checkpoint as held"
        "  where held.agreement = asked.agreement"
        """  order by begins desc, period collate "C" desc limit 1) as last""",
        list(agreements),
    )
    return {row["agreement"]: (row["period"], row["link"]) for row in rows}


async def links_before(
    connection: Connection, agreements: Collection[str], period: str | None
) -> dict[str, bytes]:
    """The link of the last checkpoint before a period, by agreement; None: of all."""
    rows = await connection.fetch(
        "select asked.agreement, last.link from unnest($1::text[]) as asked(agreement)"
        " cross join lateral (select link from settlement_checkpoint as held"
        """  where held.agreement = asked.agreement and (begins, period collate "C") < ($2, $3)"""
        """  order by begins desc, period collate "C" desc limit 1) as last""",
        list(agreements),
        *_day_and_label(period),
    )
    return {row["agreement"]: row["link"] for row in rows}


async def pasts(
    connection: Connection,
    agreements: Collection[str],
    before: str | None,
    latest: int | None,
    circumstances: Collection[str] = (),
) -> dict[str, Past]:
    """What is left of the periods before one, by agreement; None: of all.

    ``latest``: so many of the last of each, and of those before them only what states something of
    another time or one of the circumstances; None: all of them.
    """
    rows = await connection.fetch(
        "select held.*, since, first from unnest($1::text[]) as asked(agreement)"
        " cross join lateral (select"
        "  (select begins from settlement_checkpoint as one where one.agreement = asked.agreement"
        """   and (begins, period collate "C") < ($2, $3)"""
        """   order by begins desc, period collate "C" desc offset $4::int limit 1) as since,"""
        "  (select min(begins) from settlement_checkpoint as one"
        "   where one.agreement = asked.agreement) as first) as reach"
        " join settlement_checkpoint as held on held.agreement = asked.agreement"
        """  and (held.begins, held.period collate "C") < ($2, $3)"""
        "  and ($4::int is null or since is null or held.begins >= since or held.beyond"
        "   or held.circumstances && $5::text[])"
        """ order by held.begins, held.period collate "C" """,
        list(agreements),
        *_day_and_label(before),
        None if latest is None else latest - 1,
        list(circumstances),
    )
    found: dict[str, list[DatabaseRow]] = defaultdict(list)
    for row in rows:
        found[row["agreement"]].append(row)
    return {
        name: Past(
            [_checkpoint(row) for row in each],
            _reach(each[0], circumstances) if latest is not None else None,
        )
        for name, each in found.items()
    }


async def replace_checkpoints(
    connection: Connection, agreement: str, since: str | None, made: Iterable[Checkpoint]
) -> None:
    """Put what was worked out in place of the checkpoints of a period and of all later ones."""
    if since is not None:
        await connection.execute(
            "delete from settlement_checkpoint where agreement = $1"
            """ and (begins, period collate "C") >= ($2, $3)""",
            agreement,
            first_day(since),
            since,
        )
    await connection.executemany(
        "insert into settlement_checkpoint (agreement, period, begins, evaluation, beyond,"
        " circumstances, ahead, covered, terms, link, looked_back, facts, after)"
        " values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
        [(agreement, *_row(one)) for one in made],
    )


def _day_and_label(period: str | None) -> tuple[date, str]:
    """The place of a period; None: after all of them."""
    return (date.max, "") if period is None else (first_day(period), period)


def _row(one: Checkpoint) -> tuple[object, ...]:
    return (
        one.period,
        first_day(one.period),
        one.outline.digest,
        one.outline.beyond,
        sorted(one.outline.circumstances),
        sorted(map(_look, one.ahead)),
        one.covered,
        one.terms,
        one.link,
        one.looked_back,
        one.state.facts.decode(),
        one.state.after.decode(),
    )


def _checkpoint(row: DatabaseRow) -> Checkpoint:
    return Checkpoint(
        row["period"],
        _outline(row),
        _ahead(row["ahead"]),
        row["covered"],
        row["terms"],
        row["link"],
        row["looked_back"],
        PeriodState(row["facts"].encode(), row["after"].encode()),
    )


def _reach(row: DatabaseRow, circumstances: Collection[str]) -> ReadSince | None:
    """How far is read, where there is more; ``row``: any of the agreement's."""
    if row["since"] is None or row["since"] <= row["first"]:
        return None
    return ReadSince(row["since"], row["first"], frozenset(circumstances))


def _outline(row: DatabaseRow) -> EvaluationOutline:
    return EvaluationOutline(row["evaluation"], row["beyond"], frozenset(row["circumstances"]))


def _look(one: Ahead) -> str:
    name, (how, what) = one
    return json.dumps([name, how, what])


def _ahead(texts: Iterable[str]) -> frozenset[Ahead]:
    found = (json.loads(text) for text in texts)
    return frozenset((name, (how, what)) for name, how, what in found)
