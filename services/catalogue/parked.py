"""Work on one agreement that failed is parked: kept with its reason, while all other work goes on.

What is parked is tried again when what it was tried with has changed, never before: the digest of
that is kept with it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from importlib.metadata import version
from traceback import extract_tb
from typing import Literal, get_args

from pydantic import ValidationError

from schemas.base import TZDATA
from schemas.statement import RULES
from services.shell import metrics
from services.shell.logs import correlated_if_alone, correlation_id, log
from services.shell.postgres import Connection

Service = Literal["evaluator", "settlement"]
What = Literal["programme", "agreement", "close", "late_facts", "evaluation", "restatement"]

RELEASE = f"{version('earnback')}/{RULES}/{TZDATA}"
"""What the program itself brings to every piece of work."""
DEFECT = "working it out failed"
"""So begins what is said of an exception that nobody foresaw; what follows may be any value."""
MOST_TEXT = 2000
"""Characters of a reason that are kept."""


@dataclass(frozen=True, slots=True)
class WorkItem:
    """A piece of work on one agreement, or on one contract. What does not apply is empty."""

    what: What
    programme: str = ""
    agreement: str = ""
    period: str = ""


@dataclass(frozen=True, slots=True)
class WorkFailure:
    """Why a piece of work failed: to a person, the class that was raised, and where."""

    reason: str
    error: str
    place: str

    @classmethod
    def of(cls, error: BaseException) -> WorkFailure:
        """What an exception says: ValueError speaks to people, anything else is a defect."""
        first = error.__cause__ if error.__cause__ is not None else error
        said = str(error)
        if not (isinstance(error, ValueError) and said) or isinstance(error, ValidationError):
            said = (
                f"{DEFECT} ({type(first).__name__}: {first}); this is a defect of earnback: report "
                "it with the contract and the period"
            )
        return cls(_kept(said), type(first).__name__, _place(first))


def _kept(text: str) -> str:
    # Postgres takes no NUL in a text.
    return text.replace("\0", "\ufffd")[:MOST_TEXT]


def _place(error: BaseException) -> str:
    """Where it was raised: the last line that is ours."""
    frames = extract_tb(error.__traceback__)
    own = [one for one in frames if "/services/" in one.filename or "/schemas/" in one.filename]
    if not frames:
        return "unknown"
    last = (own or frames)[-1]
    path = last.filename
    for folder in ("services", "schemas"):
        _, found, rest = path.rpartition(f"/{folder}/")
        if found:
            path = f"{folder}/{rest}"
            break
    return f"{path}:{last.lineno} {last.name}"


def input_digest(*parts: object) -> str:
    """The digest of what a piece of work is tried with; this release is always part of it."""
    text = "\0".join([RELEASE, *(repr(part) for part in parts)])
    return sha256(text.encode("utf-8", "backslashreplace")).hexdigest()


async def park(
    connection: Connection, service: Service, item: WorkItem, failure: WorkFailure, tried: str
) -> None:
    """Keep a piece of work that failed; a further failure of the same work counts as an attempt.

    ``tried``: the digest of what it was tried with. Its trace id is the correlation id of the work.
    """
    with correlated_if_alone(item.what):
        await _kept_as_parked(connection, service, item, failure, tried)
        log(__name__).error(
            "parked",
            what=item.what,
            programme=item.programme,
            agreement=item.agreement,
            period=item.period,
            error=failure.error,  # why is told in /v1/pending, to those who may read it
            place=failure.place,
        )


async def _kept_as_parked(
    connection: Connection, service: Service, item: WorkItem, failure: WorkFailure, tried: str
) -> None:
    await connection.execute(
        "insert into parked_work (service, what, programme, agreement, period, vendor, buyer,"
        " reason, error, place, input, trace_id)"
        " select $1, $2, coalesce(nullif($3, ''), a.programme, ''), $4, $5, a.vendor, p.buyer,"
        " $6, $7, $8, $9, $10"
        "  from (select 1) one"
        "  left join lateral (select programme, vendor from agreement_version"
        "    where agreement = $4 order by version desc limit 1) a on true"
        # Not read as JSON: it may be a body that nobody can read.
        "  left join lateral (select substring(body from"
        """    '"buyer"\\s*:\\s*"([a-z0-9._-]+)"') as buyer from programme_version"""
        "    where programme = coalesce(nullif($3, ''), a.programme)"
        "    order by version desc limit 1) p on true"
        " on conflict (service, what, programme, agreement, period) where resolved_at is null"
        " do update set reason = excluded.reason, error = excluded.error, place = excluded.place,"
        " input = excluded.input, trace_id = excluded.trace_id,"
        " attempts = parked_work.attempts + 1, last_at = clock_timestamp()",
        service,
        item.what,
        item.programme,
        item.agreement,
        item.period,
        failure.reason,
        failure.error,
        failure.place,
        tried,
        correlation_id(),
    )


async def resolve(
    connection: Connection,
    service: Service,
    what: What,
    agreements: Iterable[str],
    period: str | None = None,
) -> None:
    """Say that parked work of these agreements has succeeded; ``period`` None: all of it."""
    await connection.execute(
        "update parked_work set resolved_at = clock_timestamp() where resolved_at is null"
        " and service = $1 and what = $2 and agreement = any($3::text[])"
        " and ($4::text is null or period = $4)",
        service,
        what,
        list(agreements),
        period,
    )


async def show_parked(connection: Connection, service: Service) -> None:
    """Show how much work of a service is parked, by what it is."""
    rows = await connection.fetch(
        "select what, count(*) as n from parked_work"
        " where resolved_at is null and service = $1 group by what",
        service,
    )
    found = {row["what"]: row["n"] for row in rows}
    for what in get_args(What):
        metrics.PARKED.labels(service, what).set(found.get(what, 0))
