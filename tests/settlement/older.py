"""Books as an older release of earnback left them: statements of rules 1 with other amounts."""

from __future__ import annotations

from datetime import UTC, datetime

from schemas.evaluation import PeriodEvaluation
from schemas.statement import SettlementStatement
from services.core.settling.settlement import settle
from services.core.visibility.parties import Parties
from services.settlement import store
from services.settlement.finance_events import DECLARED
from services.settlement.replay import news, postings
from tests.settlement.house import House


def as_older_rules_would(statement: SettlementStatement, minor: int) -> SettlementStatement:
    """The statement of an older release, which gave its one line another amount."""
    (line,) = statement.lines
    return statement.model_copy(
        update={
            "lines": (line.model_copy(update={"minor_units": minor}),),
            "total_minor": minor,
            "rules": 1,
        }
    )


async def settled_by_an_older_release(
    house: House, evaluation: PeriodEvaluation, minor: int
) -> None:
    """Receive an evaluation and post its period as an older release did, with that amount."""
    at = datetime(2025, 3, 1, tzinfo=UTC)
    name, period = evaluation.agreement, evaluation.period
    async with house.pool.acquire() as connection, connection.transaction():
        assert await store.receive(connection, evaluation)
        contract = await store.contract(connection, name)
        assert contract is not None
        versions = contract.agreements[name]
        await store.activate(connection, name, [one.version for one in versions], applies_from=None)
        known = await store.evaluations(connection, name)
        # It named every event, whosever it was.
        parties = Parties(contract.parties.buyer)
        outcomes = settle(versions, known, parties=parties, time_zone=contract.time_zone)
        today = next(one for one in outcomes if one.period == period)
        assert isinstance(today, SettlementStatement)
        run = await store.begin_run(connection, name, evaluation, at=at)
        standing = (await store.standings(connection, [name]))[name]
        made = news([as_older_rules_would(today, minor)], standing)
        booked = await store.posted(connection, name, [period])
        await store.post(connection, postings(run, made, standing, booked), topics=DECLARED, at=at)
