"""Whoever sends rubbish, or too much, has to wait, for as long as it is true; nobody else has."""

from __future__ import annotations

import pytest

from services.ingest.party_rate import (
    REFUSED_AT_ONCE,
    REFUSED_PER_SECOND,
    EventRate,
    RefusalRate,
)
from services.shell.http.problems import Problem


def test_a_party_waits_until_time_has_given_back_what_it_used() -> None:
    now = 0.0
    rate = RefusalRate(lambda: now)
    rate.took("north", REFUSED_AT_ONCE - 1)
    rate.check("north")
    rate.took("north", 1 + 10 * int(REFUSED_PER_SECOND))
    with pytest.raises(Problem) as refused:
        rate.check("north")
    assert (refused.value.status, refused.value.code) == (429, "too-many-refused")
    wait = int(refused.value.headers["Retry-After"])
    assert wait == 11
    rate.check("desk")
    now = float(wait)
    rate.check("north")
    now = 1e9
    rate.took("north", REFUSED_AT_ONCE)
    with pytest.raises(Problem):
        rate.check("north")


def test_a_party_that_sends_too_much_waits_and_goes_on_at_its_rate() -> None:
    now = 0.0
    rate = EventRate(100, lambda: now)
    rate.took("north", 200)  # two seconds of it at once
    with pytest.raises(Problem) as refused:
        rate.check("north")
    assert (refused.value.status, refused.value.code) == (429, "too-many-events")
    assert refused.value.headers["Retry-After"] == "1"
    rate.check("desk")
    now = 1.0
    assert rate.left("north") == 100
    rate.took("north", 400)
    with pytest.raises(Problem) as refused:
        rate.check("north")
    assert refused.value.headers["Retry-After"] == "4"
    now = 5.0
    rate.check("north")


def test_where_no_rate_is_set_nobody_waits() -> None:
    rate = EventRate(0)
    rate.took("north", 10**9)
    rate.check("north")
    assert rate.left("north") > 10**9
