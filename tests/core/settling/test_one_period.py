"""One period worked out to its end: what it stood on, what it waits for, and the order it keeps."""

from __future__ import annotations

from fractions import Fraction

import pytest

from schemas.statement import SettlementStatement
from services.core.settling.one_period import Unsettled
from tests.core.adjusting.test_shared_caps import cap, history, missed, named, programme, together
from tests.core.adjusting.test_shared_caps import totals as totals_of
from tests.core.rules_told import TWO, changed, charged, monthly
from tests.core.told import HEAD, LEVEL, agreement, evaluation, outcomes, settled, terms

IN_USE = HEAD.replace("full_charge", "by_days_in_use")
MOVES = (
    "    moves: {kind: ratchet, periods: 1, asks: better, way_to_mean: 1/2, rounded: exact, "
    "no_data: starts_anew}\n    judged"
)
TRAILING = "caps: [{cap: top, window: trailing, periods: 3, limit: {kind: amount, amount: 150}}]\n"


def test_the_digest_of_facts_is_the_same_in_every_release() -> None:
    known = evaluation("2025-01", 98, figures={("uptime", "a"): 97}, circumstances=[("x", {})])
    (statement,) = settled(terms(), [known])
    assert statement.facts_digest == (
        "2f564e3cc5d1f07b38d546d43f7b9ac17c79110d67b15756cb272ca021669e9a"
    )


@pytest.mark.parametrize("text", [LEVEL + TRAILING, changed(("    judged", MOVES), text=LEVEL)])
def test_a_month_that_looks_back_waits_for_one_that_nobody_can_read(text: str) -> None:
    unread = [("service_in_use", {"values": {"days_in_period": "many"}})]
    january, february = outcomes(
        agreement(
            IN_USE.replace("by_days_in_use", "by_days_in_use, if_absent: {counts_as: 1}") + text
        ),
        [evaluation("2025-01", 98, circumstances=unread), evaluation("2025-02", 98)],
    )
    assert isinstance(january, Unsettled)
    assert isinstance(february, Unsettled)
    assert (january.period, february.period) == ("2025-01", "2025-02")
    assert "states 'many' as 'days_in_period'" in january.reasons[0]
    assert february.reasons == ("2025-01 is not settled yet, and terms look back at it",)


def test_small_amounts_are_told_after_a_cap_that_several_agreements_share() -> None:
    drop = "small_amounts: {kind: drop, only_above: 70, compared: exact}\n"
    found = together(
        programme(cap(90)),
        history(named("hosting", drop), *missed(1000)),
        history(named("network"), *missed(500)),
    )
    assert totals_of(found) == {"hosting": [0], "network": [3000]}


def test_credits_that_a_cap_has_cut_share_its_cents_and_a_bonus_beside_them_does_not() -> None:
    beside = TWO.replace("service_credit", "bonus").replace("on_default", "every_period")
    beside = beside.replace("repair", "thanks").replace("percent: 10,", "percent: 0.1005,")
    text = HEAD.replace("rounded_at: total", "rounded_at: line") + LEVEL + TWO + beside
    top = "caps: [{cap: top, window: period, limit: {kind: amount, amount: 33.33}}]\n"
    known = evaluation("2025-01", 98, figures={"repair": 98, "thanks": 98}, fee="999.99")
    (found,) = settled(agreement(text + top), [known])
    assert [line.minor_units for line in found.lines] == [1667, 1666, -100]


def test_a_bonus_of_a_line_is_rounded_where_it_is_made() -> None:
    text = changed(
        ("rounded_at: total", "rounded_at: line"),
        ("is_a: service_credit", "is_a: bonus"),
        ("{kind: on_default}", "{kind: every_period}"),
        text=HEAD + LEVEL,
    )
    (found,) = outcomes(agreement(text), monthly(99, fee="100.055"))
    assert isinstance(found, SettlementStatement)
    assert [line.minor_units for line in found.lines] == [-1001]
    assert found.lines[0].steps[-1].text == "-10.0055 rounded half up (line): -10.01"


def test_a_charge_of_a_subject_that_is_missing_is_named_with_it() -> None:
    each = changed(("    judged", "    each_subject: true\n    judged"), text=LEVEL)
    head = HEAD.replace("{base: fee,", "{base: fee, per_subject: true,")
    known = evaluation("2025-01", 98, figures={("uptime", "north"): 98}, fee=None)
    (found,) = outcomes(agreement(head + each), [known])
    assert isinstance(found, Unsettled)
    assert found.reasons == ("the charge 'fee' of north of 2025-01 is not known yet",)


@pytest.mark.parametrize(("days", "total"), [(2, 5000), (1, 10000), (0, None), (-1, None)])
def test_a_period_of_a_day_can_be_in_use_and_one_without_days_cannot(
    days: int, total: int | None
) -> None:
    in_use = [("service_in_use", {"values": {"days_in_use": 1, "days_in_period": days}})]
    (found,) = outcomes(
        agreement(IN_USE + LEVEL), [evaluation("2025-01", 98, circumstances=in_use)]
    )
    if isinstance(found, Unsettled):
        assert total is None
        assert found.reasons == (
            f"service_in_use of 2025-01 states {days} days_in_period; state its days",
        )
    else:
        assert found.total_minor == total


@pytest.mark.parametrize(
    ("currency", "owed"), [("JPY", "-102"), ("EUR", "-102.35"), ("KWD", "-102.346")]
)
def test_what_is_payable_is_what_whole_units_of_the_currency_come_to(
    currency: str, owed: str
) -> None:
    nothing_else = "payable: {base: null, percent: 50, at_least_zero: false}\n"
    known = charged(evaluation("2025-01", 98), {None: "1023.4567"}, currency)
    (found,) = settled(terms(nothing_else, head=HEAD.replace("EUR", currency)), [known])
    assert found.figures["payable"] == Fraction(owed)
