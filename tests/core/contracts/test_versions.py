"""From when on a version of an agreement rules."""

from __future__ import annotations

from datetime import date

from services.core.contracts.versions import first_open_day, prospective, prospective_programmes
from tests.core.adjusting.test_shared_caps import cap
from tests.core.adjusting.test_shared_caps import programme as under_caps
from tests.settlement.builders import an_agreement

OPEN = date(2025, 3, 1)


def test_nothing_settled_leaves_every_day_open() -> None:
    assert first_open_day([]) is None


def test_the_day_after_the_last_settled_period_is_open() -> None:
    assert first_open_day(["2025-02", "2024-12", "2025-01"]) == OPEN
    assert first_open_day(["2024-Q4"]) == date(2025, 1, 1)


def test_a_version_that_came_before_anything_was_settled_rules_as_written() -> None:
    version = an_agreement(effective_from="2025-01-01")
    assert prospective([version], {1: None}) == (version,)


def test_a_version_that_reaches_back_rules_from_the_first_open_day() -> None:
    first, second = an_agreement(), an_agreement(version=2, effective_from="2025-01-01")
    ruling = prospective([first, second], {1: None, 2: OPEN})
    assert [version.effective_from for version in ruling] == [date(2025, 1, 1), OPEN]
    assert ruling[1].levels == second.levels


def test_a_version_of_the_future_is_left_as_it_is() -> None:
    version = an_agreement(version=2, effective_from="2025-06-01")
    assert prospective([version], {2: OPEN}) == (version,)


def test_a_version_that_would_end_before_it_could_begin_does_not_rule() -> None:
    ended = an_agreement(version=2).model_copy(update={"effective_until": OPEN})
    assert prospective([ended], {2: OPEN}) == ()


def test_shared_caps_of_a_programme_reach_no_further_back_than_what_is_open() -> None:
    first, second, third = (
        under_caps(cap(), version=number, since=since)
        for number, since in ((1, "2024-01-01"), (2, "2025-01-01"), (3, "2025-06-01"))
    )
    opened = date(2025, 3, 1)
    ruling = prospective_programmes([first, second, third], {1: None, 2: opened, 3: opened})
    assert [(one.version, one.effective_from) for one in ruling] == [
        (1, date(2024, 1, 1)), (2, opened), (3, date(2025, 6, 1)),
    ]  # fmt: skip
    assert ruling[1].shared_caps == second.shared_caps
