"""Every worked contract meets events with values at the ends of what is accepted, in the real
consumer on a real database: nothing ends, all is settled, waits, or is parked; honest ones go on.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice

import pytest

from schemas.evaluation import PeriodEvaluation
from schemas.statement import SettlementStatement, canonical
from services.catalogue.store import NotApplicable, apply
from services.shell.logs import configure
from tests.core.golden.production import Contracts, Event, Refused, evaluations, load
from tests.extremes import altered, stories
from tests.settlement.builders import a_record, an_evaluation
from tests.settlement.house import House, a_house

VARIANTS = 5
"""Altered stories of each contract; each is a further revision of its periods."""
MONTHS = 3
"""Periods settled of each agreement, at most."""


def variants(events: Sequence[Event], first: int) -> Iterator[list[Event]]:
    """The events as they are, then with one of them altered."""
    yield list(events)
    for place, event in islice(altered(events, first), 0, VARIANTS * 3, 3):
        yield [*events[:place], event, *events[place + 1 :]]


def evaluated(
    contracts: Contracts, name: str, events: Sequence[Event], through: str, revision: int
) -> list[PeriodEvaluation]:
    """The first periods as the evaluator sends them; none where ingest refuses the events."""
    try:
        made = evaluations(contracts, name, events, through, revision)[:MONTHS]
    except (Refused, ValueError):
        return []
    for one in made:
        assert PeriodEvaluation.model_validate_json(canonical(one)) == one
    return made


async def applied(house: House, contracts: Contracts) -> list[str]:
    names = []
    async with house.pool.acquire() as connection:
        for name in contracts.names():
            try:
                for version in contracts.versions(name):
                    await apply(connection, version)
                names.append(name)
            except NotApplicable:  # the worked cases use a name for two contracts now and then
                continue
    return names


@pytest.fixture(autouse=True)
def _plain_logs() -> None:
    configure("test", "critical")


async def test_extreme_facts_end_nothing_whatever_the_contract(database: str) -> None:
    told = list(stories())
    assert len(told) > 20
    became: Counter[str] = Counter()
    honest = [an_evaluation(9700), an_evaluation(9600, agreement="network")]
    async with a_house(database) as house:
        async with house.pool.acquire() as connection:
            await apply(connection, load(told[0][0]).programme)
        sent: set[tuple[str, str]] = set()
        offset = 0
        for number, (file, through, events) in enumerate(told):
            contracts = load(file)
            for name in await applied(house, contracts):
                for revision, variant in enumerate(variants(events, number), 1):
                    made = evaluated(contracts, name, variant, through, revision)
                    became["refused by ingest"] += not made
                    if made:
                        sent |= {(one.agreement, one.period) for one in made}
                        batch = [
                            *made,
                            *(
                                one.model_copy(update={"revision": offset + 1})
                                for one in honest[: number % 3]
                            ),
                        ]
                        await house.apply(
                            *(a_record(one, offset=offset + n) for n, one in enumerate(batch))
                        )
                        offset += len(batch)
        parked = await house.rows("select * from parked_work where resolved_at is null")
        standing = await house.rows("select agreement, period, body from latest_statement")
        waits = await house.rows("select agreement, period from settlement_pending")
        for row in standing:
            SettlementStatement.model_validate_json(row["body"])
        known = {(row["agreement"], row["period"]) for row in (*parked, *standing, *waits)}
        assert sent <= known
        assert (await house.owed("2025-01"), await house.owed("2025-01", "network")) == (
            20000,
            30000,
        )
        assert [json.dumps(row, default=str) for row in parked] == []
