"""Earning credits back: runs, deferral, yearly means, banks and balances."""

from __future__ import annotations

import pytest

from schemas.statement import SettlementStatement
from tests.core.told import (
    HEAD,
    LEVEL,
    agreement,
    evaluation,
    months,
    outcomes,
    settled,
    terms,
    totals,
)

RUN = """
earn_backs:
  - kind: after_good_run
    earn_back: run
    periods: 2
    asks: met
    percent: 100
    barred_below_minimum: true
    no_data: is_passed_over
    given_as: amount
"""
DEFERRED = """
earn_backs:
  - {kind: deferred, earn_back: later, periods: 2, asks: met, barred_below_minimum: false,
     no_data: breaks_the_run, at_end: payable}
"""
YEARLY = """
earn_backs:
  - {kind: yearly_average, earn_back: year, percent: 100, barred_below_minimum: true,
     no_data: is_passed_over}
"""
WITH_MINIMUM = LEVEL.replace(
    "expected: {at_least: 99}", "expected: {at_least: 99}\n    minimum: {at_least: 95}"
)
ENDING = HEAD + "effective_until: 2025-04-01\n"
BANK = """
banks:
  - {bank: surplus, usable: next_period, lasts: 3}
"""
BANKING = (
    LEVEL
    + """
      - name: surplus
        is_a: banked
        bank: surplus
        due: {kind: every_period}
        quantity:
          kind: excess
          counted_from: 99
          in_percent_of_start: false
          step: 0.1
          part_step: does_not_count
        rate: {kind: amount, amount: 20}
"""
)


def test_a_credit_comes_back_in_the_last_month_of_the_run() -> None:
    assert totals(terms(RUN), 98, 99, 99, 99) == [10000, 0, -10000, 0]


def test_a_month_without_data_can_be_passed_over() -> None:
    assert totals(terms(RUN), 98, 99, None, 99) == [10000, 0, 0, -10000]


def test_a_month_without_data_can_break_the_run() -> None:
    breaks = RUN.replace("is_passed_over", "breaks_the_run")
    assert totals(terms(breaks), 98, 99, None, 99, 99) == [10000, 0, 0, 0, 0]


def test_a_month_below_the_minimum_earns_nothing_back() -> None:
    assert totals(terms(RUN, level=WITH_MINIMUM), 94, 99, 99) == [10000, 0, 0]


def test_two_failing_months_are_earned_back_each_on_its_own_line() -> None:
    known = [
        evaluation(month, value)
        for month, value in zip(months(5), (98, 98, 99, 99, 99), strict=True)
    ]
    found = settled(terms(RUN), known)
    lines = [line.line for one in found for line in one.lines if line.kind == "earn_back"]
    # The first month's run is broken by the second month; only the second is earned back.
    assert lines == ["earn-back/run/uptime/2025-02"]


def test_an_earn_back_crosses_the_year() -> None:
    known = [
        evaluation(month, value)
        for month, value in zip(months(14), [*[99] * 11, 98, 99, 99], strict=True)
    ]
    found = settled(terms(RUN), known)
    assert [one.total_minor for one in found[-3:]] == [10000, 0, -10000]


def test_a_deferred_credit_is_undone_by_good_months() -> None:
    assert totals(terms(DEFERRED), 98, 99, 99) == [0, 0, 0]


def test_a_deferred_credit_is_payable_when_the_run_breaks() -> None:
    known = [
        evaluation(month, value) for month, value in zip(months(4), (98, 99, 98, 99), strict=True)
    ]
    found = settled(terms(DEFERRED), known)
    assert [one.total_minor for one in found] == [0, 0, 10000, 0]
    assert found[2].lines[-1].line == "deferred/later/uptime/2025-01"


def test_a_deferred_credit_is_payable_when_a_month_without_data_breaks_the_run() -> None:
    assert totals(terms(DEFERRED), 98, 99, None, 99) == [0, 0, 10000, 0]
    passed_over = DEFERRED.replace("breaks_the_run", "is_passed_over")
    assert totals(terms(passed_over), 98, 99, None, 99) == [0, 0, 0, 0]


def test_a_deferred_credit_is_payable_when_the_agreement_ends() -> None:
    assert totals(agreement(ENDING + LEVEL + DEFERRED), 99, 98, 99) == [0, 0, 10000]


def test_a_deferred_credit_can_be_dropped_at_the_end() -> None:
    dropped = DEFERRED.replace("payable", "dropped")
    assert totals(agreement(ENDING + LEVEL + dropped), 99, 98, 99) == [0, 0, 0]


def test_the_statement_says_what_is_dropped_at_the_end() -> None:
    dropped = DEFERRED.replace("payable", "dropped")
    known = [evaluation(month, value) for month, value in zip(months(3), (99, 98, 98), strict=True)]
    broken, last = settled(agreement(ENDING + LEVEL + dropped), known)[1:]
    assert "dropped/later" not in broken.figures
    assert last.figures["dropped/later"] == 100, "its own; the month before is payable"
    assert last.lines[0].steps[-1].text == "100.00 is dropped: the agreement ends with this period"
    known[2] = evaluation("2025-03", 99)
    (last,) = settled(agreement(ENDING + LEVEL + dropped), known)[2:]
    assert last.figures["dropped/later"] == 100


def test_a_balance_counts_as_given_back_of_its_credit() -> None:
    balance = RUN.replace("given_as: amount", "given_as: balance\n    lasts: 1")
    both = balance + YEARLY.replace("\nearn_backs:\n", "")
    assert totals(terms(both), 98, *["99.9"] * 11) == [10000, *[0] * 11]
    part = both.replace("percent: 100", "percent: 60", 1)
    assert totals(terms(part), 98, *["99.9"] * 11) == [10000, *[0] * 10, -4000]


def test_two_balances_together_give_back_no_more_than_the_credit() -> None:
    balance = RUN.replace("given_as: amount", "given_as: balance").replace("100", "70")
    other = balance.replace("\nearn_backs:\n", "").replace("earn_back: run", "earn_back: other")
    (*_, last) = settled(
        terms(balance, other),
        [evaluation(month, value) for month, value in zip(months(3), (98, 99, 99), strict=True)],
    )
    assert (last.figures["balance/run"], last.figures["balance/other"]) == (70, 30)


def test_a_good_year_relieves_its_credits() -> None:
    found = totals(terms(YEARLY), 98, *["99.5"] * 11)
    assert found == [10000, *[0] * 10, -10000]


def test_a_year_below_the_level_relieves_nothing() -> None:
    assert totals(terms(YEARLY), 90, *["99.5"] * 11)[-1] == 0


def test_a_year_with_a_month_below_the_minimum_relieves_nothing() -> None:
    assert totals(terms(YEARLY, level=WITH_MINIMUM), 94, *["99.9"] * 11)[-1] == 0


def test_banked_surplus_is_set_off_against_a_later_credit() -> None:
    found = totals(terms(BANK, level=BANKING), "99.3", 98)
    assert found == [0, 10000 - 6000]


def test_banked_surplus_lasts_as_long_as_agreed() -> None:
    assert totals(terms(BANK, level=BANKING), "99.3", 99, 99, 98)[-1] == 4000
    assert totals(terms(BANK, level=BANKING), "99.3", 99, 99, 99, 98)[-1] == 10000


def test_a_balance_is_never_used_twice() -> None:
    found = totals(terms(BANK, level=BANKING), "99.9", 98, 98)
    assert found == [0, 0, 20000 - 18000]


@pytest.mark.parametrize("asks", ["met", "better"])
def test_a_month_equal_to_the_level_is_met_but_not_better(asks: str) -> None:
    found = totals(terms(RUN.replace("asks: met", f"asks: {asks}")), 98, "99.5", 99)
    assert found[-1] == (-10000 if asks == "met" else 0)


def test_balances_of_two_levels_from_one_month_share_one_set_off_line() -> None:
    second = LEVEL.replace("\nlevels:\n", "").replace("uptime", "latency")
    run = RUN.replace("given_as: amount", "given_as: balance")
    both = terms(second, run)
    statements = settled(
        both,
        [
            evaluation(month, value, figures={"latency": value})
            for month, value in zip(months(4), (98, 100, 100, 98), strict=True)
        ],
    )
    assert [one.total_minor for one in statements] == [20000, 0, 0, 0]
    (line,) = [one for one in statements[3].lines if one.kind == "set_off"]
    assert (line.line, line.minor_units) == ("set-off/run/2025-01", -20000)
    assert [step.value for step in line.steps] == [-100, -100]


def test_no_run_is_complete_over_a_month_that_nobody_evaluated() -> None:
    """The version of January did not look back, so March was settled without February."""
    later = HEAD.replace("version: 1", "version: 2").replace("-01-01", "-04-01")
    known = [
        evaluation(month, value)
        for month, value in (("2025-01", 98), ("2025-03", 99), ("2025-04", 99), ("2025-05", 99))
    ]
    found = outcomes([terms(), terms(RUN, head=later)], known)
    lines = [
        line.kind for one in found if isinstance(one, SettlementStatement) for line in one.lines
    ]
    assert lines == ["service_credit"]


def test_two_terms_together_give_back_no_more_than_the_credit() -> None:
    both = RUN + YEARLY.replace("\nearn_backs:\n", "")
    found = totals(terms(both), 98, *["99.9"] * 11)
    assert found == [10000, 0, -10000, *[0] * 9]
    half = both.replace("percent: 100", "percent: 60", 1)
    assert totals(terms(half), 98, *["99.9"] * 11) == [10000, 0, -6000, *[0] * 8, -4000]


def test_a_credit_that_is_put_off_uses_up_its_cap() -> None:
    cap = "caps: [{cap: all, window: term, limit: {kind: amount, amount: 150}, "
    cap += "earned_back: still_counts}]\n"
    assert totals(terms(DEFERRED, cap), 98, 98, 98, 98) == [0, 10000, 5000, 0]
    undone = totals(terms(DEFERRED, cap), 98, 99, 99, 98, 98, 98)
    assert undone == [0, 0, 0, 0, 10000, 5000]


def test_a_balance_is_not_forgotten_by_a_version_without_its_bank() -> None:
    later = HEAD.replace("version: 1", "version: 2").replace("-01-01", "-03-01")
    first, second = terms(BANK, level=BANKING), terms(head=later)
    known = [
        evaluation(month, value) for month, value in zip(months(3), ("99.3", 99, 98), strict=True)
    ]
    assert settled([first, second], known)[-1].total_minor == 4000
    known[1] = evaluation("2025-02", 98, fee=None)
    last = outcomes([first, second], known)[-1]
    assert not isinstance(last, SettlementStatement)
    assert "2025-02 is not settled yet, and terms look back at it" in last.reasons


def test_a_deposit_is_given_back_by_a_version_that_takes_none() -> None:
    end = "effective_until: 2025-04-01\n"
    later = HEAD.replace("version: 1", "version: 2").replace("-01-01", "-03-01")
    first, second = terms("deposit: {periods: 2}\n", head=HEAD + end), terms(head=later + end)
    assert totals([first, second], 98, 98, 99) == [10000, 20000, -10000]


SECOND = LEVEL.replace("\nlevels:\n", "").replace("uptime", "latency").replace("10,", "4,")
"""A second level, of which a miss is 40.00; one of the first is 100.00."""
ANY = RUN.replace("asks: met", "asks: no_credit").replace("earn_back: run", "earn_back: any")


def _item(term: str) -> str:
    """An earn-back as a further item of the list."""
    return term.replace("\nearn_backs:\n", "")


def _two(terms_of: str, uptime: list[object], latency: list[object]) -> list[int]:
    known = [
        evaluation(month, one, figures={"latency": other})
        for month, one, other in zip(months(len(uptime)), uptime, latency, strict=True)
    ]
    return [one.total_minor for one in settled(terms(SECOND, terms_of), known)]


def _part(term: str, percent: int, **changed: str) -> str:
    term = term.replace("percent: 100", f"percent: {percent}")
    for key, value in changed.items():
        term = term.replace("earn_back:", f"{key}: {value}\n    earn_back:")
    return term


@pytest.mark.parametrize(
    ("terms_of", "last"),
    [
        (ANY, -140),
        (RUN, -140),
        (ANY + _item(RUN), -140),
        (RUN + _item(ANY), -140),
        # 70.00 of both, then all of each: what is left is 70.00, of which latency takes 40.00.
        (_part(ANY, 50) + _item(_part(RUN, 100, levels="[latency]")), -110),
        (_part(RUN, 100, levels="[latency]") + _item(_part(ANY, 50)), -110),
        # 40.00 of latency come back; of the 140.00 no more than 100.00 are left.
        (_part(RUN, 100, levels="[latency]") + _item(ANY), -140),
        (_part(ANY, 75) + _item(_part(RUN, 100, levels="[uptime]")), -140),
        # Sums of one level each do not count against one another.
        (_part(ANY, 100, levels="[uptime]") + _item(_part(ANY, 50, levels="[latency]").replace(
            "earn_back: any", "earn_back: other")), -120),
        (_part(ANY, 100, levels="[uptime]") + _item(RUN), -140),
    ],
)  # fmt: skip
def test_a_sum_of_all_levels_and_those_of_single_ones_share_one_limit(
    terms_of: str, last: int
) -> None:
    found = _two(terms_of, [98, 99, 99, 99], [98, 99, 99, 99])
    assert found == [14000, 0, last * 100, 0]


def test_balances_of_all_levels_and_amounts_of_single_ones_share_one_limit() -> None:
    put_by = ANY.replace("given_as: amount", "given_as: balance")
    yearly = _item(YEARLY)
    good: list[object] = ["99.9"] * 11
    assert _two(put_by + yearly, [98, *good], [98, *good]) == [14000, *[0] * 11]
    half = _part(put_by, 50) + yearly
    assert _two(half, [98, *good], [98, *good]) == [14000, *[0] * 10, -7000]


def test_what_came_back_of_a_level_a_year_later_is_not_given_back_by_a_sum() -> None:
    """The year's mean gives 100.00 back in December; the run of fourteen months ends later."""
    late = _part(ANY, 100).replace("periods: 2", "periods: 13")
    of_uptime = _item(YEARLY.replace("earn_back: year", "earn_back: year, levels: [uptime]"))
    good: list[object] = ["99.9"] * 13
    found = _two(late + of_uptime, [98, *good], [98, *good])
    assert found == [14000, *[0] * 10, -10000, 0, -4000]
