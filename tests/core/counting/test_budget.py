"""Work counts its steps: more than there may be, or than anybody waits for, ends it."""

from __future__ import annotations

from typing import Any

import pytest

from services.core.counting.evaluation import evaluate
from services.core.exact.budget import Budget, OverBudget
from services.core.settling.member import History
from services.core.settling.settlement import (
    settle_each,
)
from services.core.visibility.parties import Parties
from tests.core.said import NUMBERS, PROBE, PROGRAMME, Said, agreement, facts, moment
from tests.core.told import evaluation, months, terms

EVERY_DAY = agreement([{"metric": "merged", "measured": "day"}])


def outages(count: int) -> list[Said]:
    """So many outages of an hour, one a day from 1 January on, again and again."""
    return [
        Said(PROBE, f"{phase}-{number}", "outage", moment(f"2025-01-{number % 28 + 1:02} {hour}"),
             {"metric": "merged", "outage": f"o{number}", "phase": phase})
        for number in range(count)
        for phase, hour in (("open", "10:00"), ("close", "11:00"))
    ]  # fmt: skip


def counted(count: int, budget: Budget) -> Any:
    known = facts(outages(count))
    return evaluate([PROGRAMME], [EVERY_DAY], "2025-01", known, NUMBERS, 1, "closed", budget)


def test_a_count_takes_a_step_for_each_fact_and_window() -> None:
    """31 days each look at all 20 facts, one by one."""
    enough = Budget(31 * (20 + 2))
    assert counted(10, enough) == counted(10, Budget())
    with pytest.raises(OverBudget, match=r"this takes more than 619 steps; measure by month"):
        counted(10, Budget(31 * 20 - 1, "measure by month"))


def test_what_is_told_is_looked_at_once_for_all_subjects() -> None:
    """A step for each of 40 facts, and a few for each of 20 subjects: not 40 for each of them."""
    known = facts(
        [
            each._replace(data={**each.data, "subject": f"site-{each.data['outage']}"})
            for each in outages(20)
        ]
    )
    every = agreement([{"metric": "merged", "each_subject": True}])
    budget = Budget(40 + 4 * (20 + 1))
    made = evaluate([PROGRAMME], [every], "2025-01", known, NUMBERS, 1, "closed", budget)
    assert [figure.value for figure in made.figures] == [1200, *[60] * 20]


def test_a_count_that_nobody_waits_for_ends() -> None:
    budget = Budget()
    budget.stop()
    with pytest.raises(OverBudget, match="nobody waits"):
        counted(1, budget)


def test_a_settlement_that_nobody_waits_for_ends_in_failures() -> None:
    history = History([terms()], [evaluation(month, 98) for month in months(3)])
    both = {"one": history, "other": history}
    budget = Budget(100)
    found = settle_each(both, (), parties=Parties("town"), time_zone="UTC", budget=budget)
    assert set(found.outcomes) == set(both)
    budget.stop()
    found = settle_each(both, (), parties=Parties("town"), time_zone="UTC", budget=budget)
    assert found.outcomes == {}
    assert all(isinstance(one.error, OverBudget) for one in found.failed.values())


def test_the_rest_is_settled_where_the_budget_ends_within_one_agreement() -> None:
    """A budget is of all that are settled together; what was done before it ended stays done."""
    history = History([terms()], [evaluation("2025-01", 98)])
    few = Budget(5)
    found = settle_each(
        {"a": history, "b": history}, (), parties=Parties("t"), time_zone="UTC", budget=few
    )
    assert set(found.failed) == {"b"}
    assert [len(one) for one in found.outcomes.values()] == [1]
