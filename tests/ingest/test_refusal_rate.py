"""Whoever sends rubbish is told to wait, for as long as it is true, and nobody else is."""

from __future__ import annotations

import pytest

from services.ingest.refusal_rate import AT_ONCE, PER_SECOND, RefusalRate
from services.shell.http.problems import Problem


def test_a_party_waits_until_time_has_given_back_what_it_used() -> None:
    now = 0.0
    rate = RefusalRate(lambda: now)
    rate.took("north", AT_ONCE - 1)
    rate.check("north")
    rate.took("north", 1 + 10 * int(PER_SECOND))
    with pytest.raises(Problem) as refused:
        rate.check("north")
    assert (refused.value.status, refused.value.code) == (429, "too-many-refused")
    wait = int(refused.value.headers["Retry-After"])
    assert wait == 11
    rate.check("desk")
    now = float(wait)
    rate.check("north")
    now = 1e9
    rate.took("north", AT_ONCE)
    with pytest.raises(Problem):
        rate.check("north")
