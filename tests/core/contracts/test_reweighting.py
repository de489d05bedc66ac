"""When a new version may move weight between levels, by the rule of the version before."""

from __future__ import annotations

import pytest

from schemas.agreement import Agreement
from services.core.contracts.check import check
from services.core.contracts.reading import read_documents
from tests.core.contracts.test_contract_check import programme
from tests.core.told import HEAD

RULE = "reweighting: {per_calendar_year: 1, notice_months: 3}\n"
LEVELS = """
at_risk:
  - {at_risk: month, percent: 10, base: fee}
levels:
  - level: uptime
    name: Uptime
    metric: uptime
    expected: {at_least: 99}
    judged: exact
    no_data: no_result
    defaults: {kind: every_miss}
    credits:
      - is_a: service_credit
        due: {kind: on_default}
        quantity: {kind: one}
        rate: {kind: at_risk_share, at_risk: month, SHARE}
"""


def version(
    number: int, begins: str, share: str, *, notified: str | None = None, rule: str = RULE
) -> str:
    """The text of one version, with one share."""
    head = HEAD.lstrip().replace("version: 1", f"version: {number}")
    head = head.replace("effective_from: 2025-01-01", f"effective_from: {begins}")
    notice = f"notified_on: {notified}\n" if notified else ""
    shares = share if share.startswith("shares") else f"shares: [{share}]"
    return head + rule + notice + LEVELS.replace("SHARE", shares)


def refused(*texts: str) -> list[tuple[str, str]]:
    """Path and reason of what is wrong with the last version beside the ones before it."""
    *before, last = [read_documents(text, "c.yaml")[0] for text in texts]
    others = [one for documents in before for one in documents.agreements]
    return [(one.path, one.reason) for one in check(last.documents[0], programme(), others)]


FIRST = version(1, "2025-01-01", "40")


@pytest.mark.parametrize(
    ("notified", "begins", "path"),
    [
        ("2025-04-01", "2025-07-01", None),
        ("2025-04-02", "2025-07-01", "effective_from"),
        ("2024-11-30", "2025-03-01", None),
        (None, "2025-07-01", "notified_on"),
    ],
)
def test_shares_change_only_after_the_notice_agreed(
    notified: str | None, begins: str, path: str | None
) -> None:
    found = refused(FIRST, version(2, begins, "50", notified=notified))
    assert [one for one, _ in found] == ([path] if path else [])


def test_shares_change_once_in_a_calendar_year() -> None:
    second = version(2, "2025-07-01", "50", notified="2025-01-01")
    ((path, reason),) = refused(
        FIRST, second, version(3, "2025-12-01", "60", notified="2025-01-01")
    )
    assert path == "effective_from"
    assert reason == (
        "version 2 lets shares change 1 times in a calendar year; in 2025 they change with "
        "version 2, 3"
    )
    assert not refused(FIRST, second, version(3, "2026-01-01", "60", notified="2025-01-01"))


def test_a_version_that_keeps_the_shares_needs_no_notice() -> None:
    second = version(2, "2025-07-01", "50", notified="2025-01-01")
    assert not refused(FIRST, version(2, "2025-07-01", "40"))
    assert not refused(FIRST, second, version(3, "2025-12-01", "50"))


def test_the_rule_of_the_version_before_binds_and_not_the_new_one() -> None:
    assert refused(FIRST, version(2, "2025-07-01", "50", rule=""))
    free = version(1, "2025-01-01", "40", rule="")
    assert not refused(free, version(2, "2025-07-01", "50"))


def test_a_first_share_and_a_share_taken_away_are_changes() -> None:
    none_yet = version(1, "2025-01-01", "shares: [], unallocated: true")
    assert [path for path, _ in refused(none_yet, version(2, "2025-07-01", "50"))] == [
        "notified_on"
    ]
    taken = version(2, "2025-07-01", "shares: [], unallocated: true")
    assert [path for path, _ in refused(FIRST, taken)] == ["notified_on"]


def test_a_share_that_is_not_given_yet_is_among_no_shares() -> None:
    (found,) = read_documents(version(1, "2025-01-01", "40"), "c.yaml")[0].agreements
    assert isinstance(found, Agreement)
    assert found.shares() == {("uptime", None, "month"): (40,)}
