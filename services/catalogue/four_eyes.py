"""Four-eyes in Postgres: an act becomes a request, and is carried out once another has agreed."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

from schemas.audit import AuditAction
from schemas.four_eyes import FourEyesAct, RequestKind, RequestState
from schemas.programme import Programme
from services.catalogue.audit import AuditedChange, Author, record
from services.shell.postgres import Connection, Pool

MOST_OPEN = 500
"""Requests of one party that may be open at a time."""
_TURN = 0x666F_7572_6579_6573
"""Number of the advisory lock under which requests are made and answered, one after the other."""
_STATE = """
    case when d.request_id is not null then 'done'
         when a.agreed then 'agreed'
         when not a.agreed then 'declined'
         when r.expires_at <= clock_timestamp() then 'expired'
         else 'open' end
"""
REQUEST = f"""
    select r.*, a.agreed, a.reason, a.key_prefix as by_key, a.key_party as by_party,
           a.role as by_role, a.person as by_person, a.answered_at, d.outcome, {_STATE} as state
      from four_eyes_request r
      left join four_eyes_answer a using (request_id)
      left join four_eyes_done d using (request_id)
"""  # noqa: S608 - constants of this file
"""Requests with their answers and what they came to, and the state of each."""
RequestRow = Any


@dataclass(frozen=True, slots=True)
class RequestedAct:
    """An act that two have to want. ``party``: whose it is; ``days``: how long it may be agreed to.

    ``content``: canonical JSON of what is asked for. ``digest``: by which it is known again.
    """

    kind: RequestKind
    party: str
    days: int
    about: str
    content: str
    digest: bytes
    programme: str | None = None
    agreement: str | None = None
    period: str | None = None


class AgreementNeeded(Exception):
    """An act that is not carried out before another has agreed to it. Ask for it by `ask`."""

    def __init__(self, act: RequestedAct) -> None:
        super().__init__(f"{act.kind} {act.about} of {act.party} needs the agreement of another")
        self.act = act


class TooManyRequests(ValueError):
    """A party has as many open requests as it may have."""


class NotToBeAnswered(ValueError):
    """A request that this one cannot answer, or that has come to its end. The text says why."""


def days_for(programme: Programme | None, act: FourEyesAct) -> int | None:
    """How long a request for such an act is open; None where the programme does not ask for two."""
    rule = programme.four_eyes if programme is not None else None
    return rule.expires_after_days if rule is not None and act in rule.acts else None


def digest_of(kind: RequestKind, party: str, content: str) -> bytes:
    """By what the request of an act is known when the act comes again."""
    return hashlib.sha256(json.dumps([kind, party, content]).encode()).digest()


async def let_through(connection: Connection, act: RequestedAct, outcome: str) -> None:
    """Take up the agreement to an act, once. ``outcome``: where what it comes to is found.

    Raises AgreementNeeded where nobody has agreed, or the agreement was taken up or has expired.
    """
    done = await connection.fetchval(
        "insert into four_eyes_done (request_id, outcome)"
        " select request_id, $2 from four_eyes_request r join four_eyes_answer a using (request_id)"
        "  where digest = $1 and agreed and expires_at > clock_timestamp()"
        "    and not exists (select from four_eyes_done d where d.request_id = r.request_id)"
        "  order by r.position limit 1 on conflict do nothing returning request_id",
        act.digest,
        outcome,
    )
    if done is None:
        raise AgreementNeeded(act)


async def carried_out(connection: Connection, request_id: UUID, outcome: str) -> None:
    """Write down that a request was carried out, in the transaction of its agreement."""
    await connection.execute(
        "insert into four_eyes_done (request_id, outcome) values ($1, $2)", request_id, outcome
    )


async def ask(connection: Connection, act: RequestedAct, by: Author) -> UUID:
    """Write down a request, in the caller's transaction; one that is open is the same request.

    Raises TooManyRequests.
    """
    await connection.execute("select pg_advisory_xact_lock($1)", _TURN)
    known: UUID | None = await connection.fetchval(
        f"select request_id from ({REQUEST}) r where digest = $1 and state = 'open'",  # noqa: S608
        act.digest,
    )
    if known is not None:
        return known
    opened = await connection.fetchval(
        "select count(*) from four_eyes_request r where party = $1"
        " and expires_at > clock_timestamp()"
        " and not exists (select from four_eyes_answer a where a.request_id = r.request_id)",
        act.party,
    )
    if opened >= MOST_OPEN:
        raise TooManyRequests(
            f"{act.party} has {opened} open requests, and may have {MOST_OPEN}; agree to them or "
            "decline them first"
        )
    request_id = uuid4()
    await connection.execute(
        "insert into four_eyes_request (request_id, kind, party, programme, agreement, period,"
        " about, digest, content, key_prefix, key_party, role, person, expires_at)"
        " values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13,"
        "  clock_timestamp() + make_interval(days => $14))",
        request_id,
        act.kind,
        act.party,
        act.programme,
        act.agreement,
        act.period,
        act.about,
        act.digest,
        act.content,
        by.key,
        by.party,
        by.role,
        by.person,
        act.days,
    )
    row = await request(connection, request_id)
    await record(connection, by, _change(row, AuditAction.REQUEST_MADE, None))
    return request_id


async def agreed_after(connection: Connection, position: int) -> tuple[int, list[bytes]]:
    """Identity and payload, in one, of each event with a decision that two have agreed on, among
    the answers after one; and the position of the last of these."""
    rows = await connection.fetch(
        "select a.position, r.digest, a.agreed and r.kind = 'decision' as counts"
        "  from four_eyes_answer a join four_eyes_request r using (request_id)"
        " where a.position > $1 order by a.position",
        position,
    )
    through: int = rows[-1]["position"] if rows else position
    return through, [row["digest"] for row in rows if row["counts"]]


async def unsent_decisions(connection: Connection | Pool, most: int) -> list[RequestRow]:
    """Requests for decisions that are agreed to, and of which the event is not sent yet."""
    found: list[RequestRow] = await connection.fetch(
        "select r.* from four_eyes_request r join four_eyes_answer a using (request_id)"
        " where kind = 'decision' and agreed"
        "   and not exists (select from four_eyes_done d where d.request_id = r.request_id)"
        " order by a.position limit $1",
        most,
    )
    return found


async def decision_sent(connection: Connection | Pool, request_id: UUID, outcome: str) -> None:
    """Write down that the event of a decision was sent; several may have done it."""
    await connection.execute(
        "insert into four_eyes_done (request_id, outcome) values ($1, $2) on conflict do nothing",
        request_id,
        outcome,
    )


async def request(connection: Connection, request_id: UUID) -> RequestRow:
    """A request with its answer; None where there is none."""
    return await connection.fetchrow(f"{REQUEST} where r.request_id = $1", request_id)


async def answer(
    connection: Connection, request_id: UUID, *, agreed: bool, reason: str, by: Author
) -> RequestRow:
    """Agree to a request or decline it, in the caller's transaction; the request as it is then.

    The caller carries out what was agreed to, and then calls `write_down`. Raises NotToBeAnswered.
    """
    await connection.execute("select pg_advisory_xact_lock($1)", _TURN)
    row = await request(connection, request_id)
    state: RequestState = row["state"]
    if state != "open":
        raise NotToBeAnswered(f"the request is {state}; ask for the act again where it is needed")
    if row["kind"] == "key" and row["about"] == by.key:
        raise NotToBeAnswered("a key does not decide on its own end; use another key")
    if agreed:
        _another(row, by)
    await connection.execute(
        "insert into four_eyes_answer (request_id, agreed, reason, key_prefix, key_party, role,"
        " person) values ($1, $2, $3, $4, $5, $6, $7)",
        request_id,
        agreed,
        reason,
        by.key,
        by.party,
        by.role,
        by.person,
    )
    return await request(connection, request_id)


async def write_down(connection: Connection, row: RequestRow, by: Author) -> RequestRow:
    """Write the answer to a request into the audit; the request as it is then.

    Last in the transaction, after what was agreed to is carried out.
    """
    answered = await request(connection, row["request_id"])
    action = AuditAction.REQUEST_AGREED if answered["agreed"] else AuditAction.REQUEST_DECLINED
    await record(connection, by, _change(answered, action, answered["reason"]))
    return answered


def _another(row: RequestRow, by: Author) -> None:
    """Check that whoever agrees is not who asked: by the key, and by the person where one is known.

    Raises NotToBeAnswered.
    """
    if row["key_prefix"] is not None and row["key_prefix"] == by.key:
        raise NotToBeAnswered("the key that asked does not agree; use another key of the party")
    asked = row["person"]
    if asked is not None and by.person is None:
        raise NotToBeAnswered(
            "a person is named who asked, and nobody who agrees; name who uses the key, by the "
            "header On-Behalf-Of or by EARNBACK_PERSON"
        )
    if asked is not None and by.person is not None and _same(asked, by.person):
        raise NotToBeAnswered(f"{asked} asked for it; somebody else has to agree")


def _same(one: str, other: str) -> bool:
    return " ".join(one.split()).casefold() == " ".join(other.split()).casefold()


def _change(row: RequestRow, action: AuditAction, reason: str | None) -> AuditedChange:
    """What happens to a request concerns the party alone: no programme is named, as what concerns
    one is read by all its vendors."""
    return AuditedChange(
        action,
        str(row["request_id"]),
        agreement=row["agreement"],
        period=row["period"],
        vendor=row["party"],
        buyer=row["party"],
        reason=reason,
    )
