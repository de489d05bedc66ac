"""What a contract gets wrong beside its programme."""

from __future__ import annotations

import pytest

from schemas.programme import Programme
from services.core.contracts.check import check
from services.core.contracts.reading import Documents, Refusal, read_documents
from tests.core.told import CAMPUS, HEAD, LEVEL

PROGRAMME = (
    "\n"
    + CAMPUS
    + """\
  - {metric: uptime, name: Uptime, unit: percent, better: higher,
     measure: {kind: declared, at_least: 0, at_most: 100}}
  - {metric: delay, name: Delay, unit: minutes, better: lower, measure: {kind: mean}}
"""
)
GOOD = HEAD.lstrip() + LEVEL


def read(text: str) -> Documents:
    """The documents of a text without fault of its own."""
    documents, refusals = read_documents(text, "c.yaml")
    assert not refusals, [refusal.text() for refusal in refusals]
    return documents


def programme() -> Programme:
    """The programme of these tests."""
    (found,) = read(PROGRAMME).programmes
    return found


def found(text: str, *others: str) -> tuple[Refusal, ...]:
    """What is wrong with the first agreement of a text, beside other versions."""
    versions = [one for other in others for one in read(other).agreements]
    return check(read(text).documents[0], programme(), versions)


def only(text: str) -> Refusal:
    """The one thing that is wrong."""
    (refusal,) = found(text)
    return refusal


def test_a_good_contract_has_nothing_wrong() -> None:
    assert found(GOOD) == ()


def test_a_programme_that_is_not_known_is_named() -> None:
    (refusal,) = check(read(GOOD).documents[0], None)
    assert refusal.path == "programme"


@pytest.mark.parametrize(
    ("old", "new", "path", "reason"),
    [
        ("metric: uptime", "metric: uptme", "levels[0].metric", "no metric 'uptme'"),
        ("vendor: nimbus", "vendor: nimbo", "vendor", "no vendor 'nimbo'"),
        ("base: fee}\n", "base: fees}\n", "levels[0].credits[0].rate.base", "no base 'fees'"),
        ("{at_least: 99}", "{at_most: 99}", "levels[0].expected", "higher is better"),
        ("{at_least: 99}", "{at_least: 101}", "levels[0].expected", "no percentage"),
        ("{kind: every_miss}", "{kind: never}", "levels[0].credits[0].due", "never defaults"),
        ("    expected: {at_least: 99}\n", "", "levels[0].credits[0].due", "never missed"),
        (
            "rate: {kind: percent_of",
            "rate: {over: run, kind: percent_of",
            "levels[0].credits[0].rate.over",
            "due on a run",
        ),
        (
            "quantity: {kind: one}",
            "quantity: {kind: duration, of: each, counted: elapsed, unit: 1, "
            "part_unit: counts_in_full}",
            "levels[0].credits[0].quantity",
            "no single occurrences",
        ),
    ],
)
def test_a_term_that_cannot_hold_is_refused(old: str, new: str, path: str, reason: str) -> None:
    assert old in GOOD
    refusal = only(GOOD.replace(old, new))
    assert refusal.path == path
    assert reason in refusal.reason
    assert refusal.remedy


@pytest.mark.parametrize(
    ("more", "path", "reason"),
    [
        ("points: {kind: percent_per_point, percent: 1, base: fee}", "points", "no credit gives"),
        (
            "caps: [{cap: a, window: period, levels: [uptim], limit: {kind: amount, amount: 1}}]",
            "caps[0].levels",
            "no level 'uptim'",
        ),
        (
            "at_risk: [{at_risk: a, percent: 1, base: fee}, {at_risk: a, percent: 2, base: fee}]",
            "at_risk[1].at_risk",
            "declared twice",
        ),
        (
            "terminations: [{kind: cap_reached, term: full, cap: year}]",
            "terminations[0].cap",
            "no cap 'year'",
        ),
        (
            "categories: [{category: a, allocations_total: exactly, percent: 100}]",
            "categories[0]",
            "total 0 %",
        ),
    ],
)
def test_a_further_term_that_cannot_hold_is_refused(more: str, path: str, reason: str) -> None:
    refusals = found(GOOD + more + "\n")
    assert (path, True) in [(one.path, reason in one.reason) for one in refusals], refusals


def test_a_band_that_no_percentage_reaches_is_refused() -> None:
    banded = GOOD.replace(
        "{kind: percent_of, percent: 10, base: fee}",
        "{kind: by_band, of: result, gives: amount, "
        "bands: [{above: 100, gives: 9}, {at_most: 100, gives: 5}]}",
    )
    assert only(banded).path == "levels[0].credits[0].rate.bands[0]"


def test_a_priced_band_within_the_level_is_refused() -> None:
    banded = GOOD.replace(
        "{kind: percent_of, percent: 10, base: fee}",
        "{kind: by_band, of: result, gives: amount, "
        "bands: [{at_least: 99, gives: 9}, {below: 99, gives: 5}]}",
    )
    assert "nothing is due" in only(banded).reason


def test_a_later_version_must_begin_later() -> None:
    second = GOOD.replace("version: 1", "version: 2")
    (refusal,) = found(second, GOOD)
    assert refusal.path == "effective_from"
    assert found(second.replace("2025-01-01", "2025-02-01"), GOOD) == ()


def test_a_version_keeps_its_vendor_and_currency() -> None:
    second = GOOD.replace("version: 1", "version: 2").replace("2025-01-01", "2025-02-01")
    (refusal,) = found(second.replace("EUR", "USD"), GOOD)
    assert refusal.path == "currency"


def test_one_version_has_one_text() -> None:
    (refusal,) = found(GOOD.replace("percent: 10", "percent: 11"), GOOD)
    assert refusal.path == "version"


def test_a_refusal_stands_at_the_line_of_its_term() -> None:
    text = GOOD.replace("metric: uptime", "metric: uptme")
    refusal = only(text)
    assert "uptme" in text.splitlines()[refusal.line - 1]


HIGHEST = "single_event: {circumstance: by, keep: highest_share}\n"
POOL = "at_risk: [{at_risk: pool, percent: 10, base: fee}]\n"
SHARE = "{kind: at_risk_share, at_risk: pool, shares: [10]}"
PERCENT = "{kind: percent_of, percent: 10, base: fee}"


def _two(first: str, second: str) -> str:
    other = LEVEL.replace("\nlevels:\n", "").replace("level: uptime", "level: other")
    pool = POOL if SHARE in (first, second) else ""
    return GOOD.replace(PERCENT, first) + other.replace(PERCENT, second) + pool + HIGHEST


@pytest.mark.parametrize(("first", "second"), [(PERCENT, PERCENT), (SHARE, SHARE)])
def test_shares_of_one_kind_can_be_compared(first: str, second: str) -> None:
    assert found(_two(first, second)) == ()


def test_a_share_of_a_charge_and_one_of_an_amount_at_risk_are_not_compared() -> None:
    refusal = only(_two(PERCENT, SHARE))
    assert refusal.text().endswith(
        "the credit of other is a share of an amount at risk, another one of a charge; price all "
        "credits by shares of one kind, or write keep: largest_credit"
    )


def test_a_credit_that_is_no_share_is_refused_where_the_highest_share_is_kept() -> None:
    refusal = only(_two("{kind: amount, amount: 5}", PERCENT))
    assert "the credit of uptime is no share, so it cannot be the highest" in refusal.text()


OPENED = "caps: [{cap: all, window: term, limit: %s, opening: brought}]\n"


def test_an_opening_cannot_raise_a_ceiling_of_days() -> None:
    refusal = only(GOOD + OPENED % "{kind: days_of, days: 7, base: fee}")
    assert refusal.path == "caps[0].opening"
    assert "goes by days, and an opening states only charges and credits" in refusal.reason
    assert found(GOOD + OPENED % "{kind: percent_of, percent: 7, base: fee}") == ()
