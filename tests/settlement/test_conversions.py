"""A charge in another currency, in the books: waited for, posted, and put right by a difference."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

from schemas.agreement import Agreement
from schemas.base import exact
from schemas.evaluation import CircumstanceFact, EventRef, PeriodEvaluation
from schemas.event import Circumstance
from schemas.statement import canonical
from services.core.settling.settlement import settle
from services.core.visibility.parties import parties_of
from tests.settlement.builders import a_programme, an_agreement, an_evaluation
from tests.settlement.house import a_house

RULE = {
    "currency": "USD",
    "kind": "of_day",
    "circumstance": "ecb-usd",
    "quoted": "foreign_for_own",
    "day": "period_end",
    "no_rate": "wait",
    "rounded": {"decimals": 2, "mode": "half_up"},
    "source": "European Central Bank",
}


def converting() -> Agreement:
    """Every point under 99 costs 5 % of the monthly charge, which may be in dollars."""
    usual = an_agreement(needs_charge=True, per_point="5").model_dump(mode="json")
    return Agreement.model_validate_json(json.dumps(usual | {"conversions": [RULE]}))


def a_month(*rates: str, revision: int = 1) -> PeriodEvaluation:
    """January at 97 %, charged 1,000 dollars, with these statements of one day's rate."""
    known = an_evaluation(9700, revision=revision, charge="1000")
    (fact,) = known.charges
    charge = fact.charge.model_copy(update={"currency": "USD"})
    stated = tuple(
        CircumstanceFact(
            event=EventRef(source="urn:town:probe/1", id=f"rate-{number}"),
            at=datetime(2025, 2, 1, tzinfo=UTC) + timedelta(hours=number),
            circumstance=Circumstance(
                agreement="hosting", circumstance="ecb-usd", period="2025-01-31", value=exact(rate)
            ),
        )
        for number, rate in enumerate(rates)
    )
    return known.model_copy(
        update={"charges": (fact.model_copy(update={"charge": charge}),), "circumstances": stated}
    )


async def test_a_missing_rate_waits_then_posts_and_a_corrected_one_posts_the_difference(
    database: str,
) -> None:
    async with a_house(database, [converting()]) as house:
        await house.settle(a_month())
        (waiting,) = await house.rows("select * from settlement_pending")
        assert "the rate ecb-usd of 2025-01-31 is not known yet" in waiting["reasons"]
        assert await house.pool.fetchval("select count(*) from statement") == 0
        await house.settle(a_month("1.25", revision=2))
        assert await house.rows("select * from settlement_pending") == []
        assert await house.owed("2025-01") == 8000
        await house.settle(a_month("1.25", "1.28", revision=3))
        entries = await house.rows("select owed_minor from ledger_entry order by position")
        assert [entry["owed_minor"] for entry in entries] == [8000, -187]


async def test_what_is_posted_is_byte_for_byte_what_the_core_says_of_the_same_facts(
    database: str,
) -> None:
    async with a_house(database, [converting()]) as house:
        known = a_month("1.25", "1.28")
        await house.settle(known)
        (row,) = await house.rows("select body from statement")
        parties = parties_of([a_programme()])
        offline = settle([converting()], [known], parties=parties, time_zone="Europe/Berlin")
        assert row["body"].encode() == canonical(offline[0])  # type: ignore[arg-type]
