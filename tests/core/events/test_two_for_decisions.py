"""Which events need the agreement of another, where the programme asks for two over decisions."""

from __future__ import annotations

from typing import Any

import pytest

from services.core.events.facts import Row, payload_before_of
from services.core.events.rules import Rules, rules_of
from services.core.events.two_for_decisions import AgreedDecisions, TwoForDecisions
from tests.core.said import FINANCE, NUMBERS, PROBE, Said, agreement, judged, moment, programme

RULE = {"acts": ["decisions"], "expires_after_days": 14}
BOTH = {"charges": "buyer", "circumstances": "both", "decisions": "both", "figures": "either"}
CLAIM = {"agreement": "north-wan", "circumstance": "claim", "period": "2025-01"}
STORM = {**CLAIM, "circumstance": "storm"}
ANSWER = {
    "agreement": "north-wan",
    "states": "circumstance",
    "name": "claim",
    "period": "2025-01",
    "of_source": PROBE,
    "of_id": "c-1",
    "of_payload": "0" * 16,
    "answer": "accept",
    "reason": "So it was.",
}


def _rules(**changed: Any) -> Rules:
    claimed = agreement([{"metric": "samples"}], claim={"within_days": 30})
    return rules_of([programme(whose_word=BOTH, **changed)], [claimed], NUMBERS)


RULES = _rules(four_eyes=RULE)


def _row(kind: str, data: dict[str, Any], name: str = "e-1", source: str = PROBE) -> Row:
    found = judged(Said(source, name, kind, moment("2025-02-10 10:00"), data), RULES)
    assert isinstance(found, Row), found
    return found


def _key(row: Row) -> bytes:
    return row.identity + row.payload


@pytest.mark.parametrize(
    ("kind", "data", "source", "about"),
    [
        ("circumstance", CLAIM, PROBE, "claim"),
        ("circumstance", STORM, PROBE, None),
        ("sample", {"metric": "samples", "up": True}, PROBE, None),
        ("answer", ANSWER, FINANCE, "claim"),
        ("answer", {**ANSWER, "name": "storm"}, FINANCE, None),
        ("correction", {"corrects": "e-0", "reason": "r", "data": CLAIM}, PROBE, "claim"),
        ("correction", {"corrects": "e-0", "reason": "r", "data": STORM}, PROBE, None),
        ("correction", {"corrects": "e-0", "reason": "r"}, PROBE, None),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_decisions_need_another_and_nothing_else_does(
    kind: str, data: dict[str, Any], source: str, about: str | None
) -> None:
    row = _row(kind, data, source=source)
    found = TwoForDecisions(RULES, AgreedDecisions()).lacks_second(row)
    assert (found.name if found is not None else None) == about
    if found is not None:
        assert (found.agreement, found.period) == ("north-wan", "2025-01")
        assert found.party == ("north" if source == PROBE else "acme")
        assert TwoForDecisions(RULES, AgreedDecisions({_key(row)})).lacks_second(row) is None
        before = row.identity + payload_before_of(row, "")
        assert TwoForDecisions(RULES, AgreedDecisions({before})).lacks_second(row) is None


def test_what_is_agreed_is_one_event_as_it_stands_and_its_correction_needs_another_again() -> None:
    claim = _row("circumstance", CLAIM)
    agreed = TwoForDecisions(RULES, AgreedDecisions({_key(claim)}))
    assert agreed.lacks_second(_row("circumstance", {**CLAIM, "value": 1})) is not None
    assert agreed.lacks_second(_row("circumstance", CLAIM, "e-2")) is not None
    back = _row("correction", {"corrects": "e-1", "reason": "r"}, "e-3")
    found = agreed.lacks_second(back)
    assert found is not None
    assert (found.name, found.agreement) == ("correction of e-1", None)


@pytest.mark.parametrize("rule", [None, {**RULE, "acts": ["closes"]}])
def test_one_is_enough_where_the_programme_does_not_ask_for_two(rule: Any) -> None:
    two = TwoForDecisions(_rules(four_eyes=rule), AgreedDecisions())
    assert two.lacks_second(_row("circumstance", CLAIM)) is None
