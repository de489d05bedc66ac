"""The books recounted: every period from its evaluation, beside the statement and the ledger."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from schemas.period import first_day
from schemas.statement import RULES, SettlementStatement
from services.core.books.ledger import Position, content_digest, targets
from services.core.settling.checkpoints import Checkpoint, PeriodState
from services.core.settling.member import NOTHING, History
from services.core.settling.one_period import PeriodOutcome
from services.settlement import parking, queries, store
from services.settlement.replay import CannotBeReplayed, replayed
from services.settlement.settling_inputs import open_histories, read_terms
from services.shell.postgres import Connection


@dataclass(frozen=True, slots=True)
class BookDifference:
    """The first thing that is stored otherwise than it is recounted.

    ``period``: empty where it is of no single one. ``what``: evaluation, figure, statement, line,
    ledger or checkpoint, with its name.
    """

    agreement: str
    period: str
    what: str
    stored: str
    recounted: str

    def text(self) -> str:
        """The difference in a line."""
        place = " ".join(filter(None, (self.agreement, self.period, self.what)))
        return f"{place}: {self.stored} is stored, {self.recounted} is recounted"


@dataclass(frozen=True, slots=True)
class VerifiedAgreement:
    """What a recount of an agreement has shown.

    ``periods``: how many were recounted. ``held``: those that only today's rules settle otherwise.
    ``parked``: why it cannot be settled now, where it is parked; nothing is compared then.
    """

    agreement: str
    periods: int
    difference: BookDifference | None = None
    held: tuple[str, ...] = ()
    parked: str = ""


@dataclass(frozen=True, slots=True)
class _Stored:
    """What stands in the books of an agreement, by period."""

    statements: Mapping[str, SettlementStatement]
    posted: Mapping[str, Mapping[Position, int]]
    waiting: Mapping[str, tuple[str, ...]]
    checkpoints: Sequence[Checkpoint]
    """Those that hold, with their states."""


async def verify(connection: Connection, agreement: str) -> VerifiedAgreement:
    """Settle an agreement from its first period, and compare all that is stored of it.

    ``connection``: in no transaction. Nothing is written.
    """
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        changed = await _changed_body(connection, agreement)
        contract = await store.contract(connection, agreement)
        terms = await read_terms(connection, agreement)
        if changed or contract is None or terms is None:
            return VerifiedAgreement(agreement, 0, changed)
        contract, known = await store.with_evaluations(connection, contract, agreement)
        opened = await open_histories(connection, terms, agreement, None)
        past = (await opened.pasts(connection, None, ())).get(agreement, NOTHING)
        periods = await queries.settled_periods(connection, agreement)
        stored = _Stored(
            await store.latest_statements(connection, agreement),
            await store.posted(connection, agreement, periods),
            await store.waiting(connection, agreement),
            past.checkpoints,
        )
        is_parked = await parking.is_parked(connection, agreement)
    histories = {name: History(opened.ruling.agreements[name], known[name]) for name in known}
    found = await replayed(contract, histories, opened.ruling.programmes)
    try:
        outcome = found.of(agreement)
    except CannotBeReplayed as failed:
        if is_parked:
            return VerifiedAgreement(agreement, 0, parked=str(failed))
        difference = BookDifference(agreement, "", "settlement", "no failure", str(failed))
        return VerifiedAgreement(agreement, 0, difference)
    if is_parked:
        return VerifiedAgreement(agreement, 0, parked="an evaluation of it is parked")
    by_period = {one.period: one for one in outcome}
    first, held = _compared(agreement, by_period, stored)
    made = {step.period: step.state() for step in found.steps[agreement]}
    if first is None:
        first = _checkpoints(agreement, made, stored)
    return VerifiedAgreement(agreement, len(by_period), first, tuple(held))


async def _changed_body(connection: Connection, agreement: str) -> BookDifference | None:
    """An evaluation or a statement that is not what its digest was taken of."""
    row = await connection.fetchrow(
        "select what, period, revision from ("
        " select 'evaluation' as what, period, revision, body, sha256 from evaluation_received"
        "  where agreement = $1"
        " union all select 'statement', period, revision, body, sha256 from statement"
        "  where agreement = $1) as kept"
        " where sha256(convert_to(body, 'UTF8')) <> sha256 order by period, what, revision limit 1",
        agreement,
    )
    if row is None:
        return None
    what = f"{row['what']} {row['revision']}"
    return BookDifference(agreement, row["period"], what, "a text", "another digest of it")


def _compared(
    agreement: str, found: Mapping[str, PeriodOutcome], stored: _Stored
) -> tuple[BookDifference | None, list[str]]:
    """The first difference in the order of periods, and the periods that are held."""
    held: list[str] = []
    for period in sorted(found.keys() | stored.statements.keys(), key=first_day):
        outcome, statement = found.get(period), stored.statements.get(period)
        if statement is not None:
            posted = stored.posted.get(period, {})
            differing = _ledger(agreement, statement, posted)
            if differing is not None:
                return differing, held
        if not isinstance(outcome, SettlementStatement):
            if period in stored.waiting or (statement is None and outcome is None):
                continue
            waits = "nothing" if outcome is None else f"that it waits ({outcome.reasons[0]})"
            there = "no reason to wait" if statement is None else "a statement"
            return BookDifference(agreement, period, "statement", there, waits), held
        if statement is None:
            there = "no statement"
            return BookDifference(agreement, period, "statement", there, _total(outcome)), held
        if content_digest(statement) == content_digest(outcome):
            continue
        if statement.rules < RULES:
            held.append(period)
            continue
        return _statement(agreement, statement, outcome), held
    return None, held


def _total(statement: SettlementStatement) -> str:
    return f"a total of {statement.total_minor} minor units"


def _ledger(
    agreement: str, statement: SettlementStatement, posted: Mapping[Position, int]
) -> BookDifference | None:
    """The first position of which the ledger holds another amount than the statement asks for."""
    due = {position: minor for position, minor in targets(statement).items() if minor}
    for position in (*due, *sorted(posted.keys() - due.keys(), key=repr)):
        booked, asked = posted.get(position, 0), due.get(position, 0)
        if booked != asked:
            what = f"ledger of line {position.line}"
            amounts = f"{booked} minor units", f"{asked} by the statement"
            return BookDifference(agreement, statement.period, what, *amounts)
    return None


def _statement(
    agreement: str, stored: SettlementStatement, recounted: SettlementStatement
) -> BookDifference:
    """The first line that differs, else the first field."""
    before = {line.line: line.minor_units for line in stored.lines}
    after = {line.line: line.minor_units for line in recounted.lines}
    for name in dict.fromkeys((*before, *after)):
        if before.get(name) != after.get(name):
            amounts = (
                "no line" if amount is None else f"{amount} minor units"
                for amount in (before.get(name), after.get(name))
            )
            return BookDifference(agreement, stored.period, f"line {name}", *amounts)
    for name in type(stored).model_fields:
        one, other = getattr(stored, name), getattr(recounted, name)
        if one != other and name != "rules":
            said = f"{one!r:.200}", f"{other!r:.200}"
            return BookDifference(agreement, stored.period, f"statement, {name}", *said)
    raise AssertionError("the digest of two equal statements differs")


def _checkpoints(
    agreement: str, made: Mapping[str, PeriodState], stored: _Stored
) -> BookDifference | None:
    """The first checkpoint that holds and is not what is left of its period."""
    for one in stored.checkpoints:
        if one.state != made[one.period]:
            return BookDifference(
                agreement, one.period, "checkpoint", "another state", "the state after the period"
            )
    return None
