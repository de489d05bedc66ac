"""More of the same families: the other side of each tie, empty months, bounds that bind."""

from __future__ import annotations

from copy import deepcopy
from datetime import date
from typing import Any

import pytest

from tests.core.golden.test_golden import CASES, answers

Change = dict[str, Any]


def months(*values: str | None, start: int = 1, year: int = 2025) -> list[dict[str, str]]:
    """Months with results; None: no data."""
    found = []
    for offset, value in enumerate(values):
        index = year * 12 + start - 1 + offset
        month = {"month": f"{index // 12}-{index % 12 + 1:02}"}
        found.append(month if value is None else {**month, "measured": value})
    return found


VARIANTS: list[tuple[str, str, Change, dict[str, Any]]] = [
    ("G16", "no failure costs nothing", {"failures": 0}, {"credit_minor": 0}),
    ("G16", "two failures are exactly the cap", {"failures": 2}, {"credit_minor": 6000}),
    ("G49", "an unallocated level can also be met", {"missed": False}, {"state": "pass"}),
    ("G64", "a reported and met level is a pass", {"reported": True}, {"credit_minor": 0}),
    ("G02", "a good month between ends the run", {"months": months("98.5", "99", "98.5")},
     {"points": [1, 0, 1]}),
    ("G02", "a month without data ends the run", {"months": months("98.5", None, "96")},
     {"points": [1, 0, 3]}),
    ("G06", "the first point above the free ones", {"sites": [{"site": "1", "points": 21}]},
     {"credit_minor": 300}),
    ("G06", "points of two sites are not added",
     {"sites": [{"site": "1", "points": 20}, {"site": "2", "points": 201}]},
     {"credit_minor": 80 * 300 + 100 * 360 + 450}),
    ("G37a", "between two rows takes the lower", {"points": 14}, {"credit_pct": "2"}),
    ("G37a", "fewer than the first row is nothing", {"points": 4}, {"credit_minor": 0}),
    ("G23", "above the target is never below zero", {"measured": "99"}, {"credit_minor": 0}),
    ("G30b", "exactly one point", {"measured": "89"}, {"steps": 1, "credit_minor": 200000}),
    ("G31a", "one part of a step more", {"measured": "99.59"}, {"credit_minor": 20000}),
    ("G32a", "on the trigger: missed, nothing to pay", {"measured": "99.00"},
     {"state": "miss", "credit_minor": 0}),
    ("G32b", "on the trigger, counted from 100", {"measured": "99.00"}, {"credit_minor": 50000}),
    ("G32a", "just above the trigger", {"measured": "99.01"}, {"state": "pass"}),
    ("G59a", "never more than the fee", {"measured": "70"}, {"credit_minor": 1000000}),
    ("G28a", "on the second limit", {"measured": "99.0"}, {"credit_pct": "10"}),
    ("G28a", "on the third limit", {"measured": "95.0"}, {"credit_pct": "30"}),
    ("G29a", "just below the third limit", {"measured": "94.999"}, {"credit_minor": 100000}),
    ("G33b", "rounded down into the lower band", {"measured": "94.994"},
     {"rounded": "94.99", "credit_minor": 200000}),
    ("G36b", "just below a row", {"measured_ms": "2.499"}, {"credit_pct": "10"}),
    ("G36b", "the last row", {"measured_ms": "4"}, {"excess_pct": "100", "credit_pct": "50"}),
    ("G36b", "below the limit", {"measured_ms": "1.99"}, {"state": "pass", "credit_minor": 0}),
    ("G35a", "no outage", {"outage_minutes": []}, {"credit_minor": 0}),
    ("G35a", "two outages are added", {"outage_minutes": [60, 61]}, {"credit_pct": "15"}),
    ("G35f", "exactly on the closed end", {"outage_seconds": [2580]}, {"credit_pct": "5"}),
    ("G35f", "less than a minute", {"outage_seconds": [59]}, {"credit_minor": 0}),
    ("G55a", "exactly one day", {"interruption_hours": [24]}, {"credit_minor": 300}),
    ("G55a", "a short one that is asked for", {"interruption_hours": [20], "asked": True},
     {"credit_minor": 300}),
    ("G55a", "a short one beside a long one", {"interruption_hours": [20, 30]},
     {"credit_minor": 600}),
    ("G56a", "exactly the deductible", {"outage_minutes": [120]}, {"credit_minor": 0}),
    ("G56a", "each outage has its own deductible", {"outage_minutes": [150, 150]},
     {"credit_minor": 1000}),
    ("G57a", "cut to half of the charges", {"restored_after_minutes": [15 * 60]},
     {"credit_minor": 50000}),
    ("G57a", "an hour less a minute past the target", {"restored_after_minutes": [179]},
     {"full_hours": 0, "credit_minor": 0}),
    ("G38a", "nine failures", {"failures_in_month": 9}, {"credit_minor": 30000}),
    ("G38a", "not used", {"used": False}, {"credit_minor": 30000}),
    ("G50b", "within the grace", {"delivered": date(2025, 6, 7)}, {"credit_minor": 0}),
    ("G50b", "in time", {"delivered": date(2025, 6, 1)}, {"credit_minor": 0}),
    ("G18a", "one defect below the reject number", {"defects": 14}, {"payment_minor": 600000}),
    ("G18a", "exactly the reject number", {"defects": 15}, {"acceptable_pct": "95.2"}),
    ("G15", "readings within the ranges",
     {"readings": [{"temperature": "13", "humidity": "70"}]},
     {"penalty_minor": 0, "payment_minor": 450000}),
    ("G15", "never below zero", {"readings": [{"temperature": "40", "humidity": "65"}]},
     {"payment_minor": 0}),
    ("G26a", "on the limit", {"savings_minor": 30000000}, {"payment_minor": 5000000}),
    ("G26a", "above the limit", {"savings_minor": 30000001}, {"payment_minor": 7000000}),
    ("G27a", "an underrun up to the maximum fee", {"actual_cost_minor": 300000000},
     {"fee_minor": 53750000, "payment_minor": 353750000}),
    ("G41a", "equal to the benchmark nobody pays", {"miles": 6250}, {"amount_minor": 0}),
    ("G41a", "below the benchmark the operator pays", {"miles": 10000},
     {"payer": "operator", "payee": "network", "amount_minor": 77430}),
    ("G40", "an incident of the operator alone",
     {"incidents": [{"attributed_to": "operator", "minutes": 30}]},
     {"network_minutes": "0", "operator_minutes": "30"}),
    ("G42", "the network owes more", {"network_minutes": 300},
     {"payer": "network", "payee": "operator", "amount_minor": 774300 - 519800}),
    ("E05", "three of one event",
     {"failures": [{"level": level, "event": "X1", "credit_minor": minor} for level, minor in
                   (("availability", 100), ("resolution time", 300), ("report on time", 200))]},
     {"credit_minor": 300}),
    ("E15", "the whole service fails", {"whole_service": "fail"},
     {"released_minor": 0, "lost_minor": 1100000}),
    ("E15", "all sites pass", {"sites_passed": 11}, {"released_minor": 1100000, "lost_minor": 0}),
    ("E15", "no site passes", {"sites_passed": 0}, {"lost_minor": 550000}),
    ("G44", "the minimum itself is met", {"months": months("95", year=2024)},
     {"credit_months": []}),
    ("G44", "thirteen months apart do not meet in a window",
     {"months": months("97", "97", "97", *["99"] * 9, "97", year=2024)}, {"credit_months": []}),
    ("G47a", "a month equal to the level starts anew",
     {"months": months(*["97"] * 6, "95", *["97"] * 6, year=2024)}, {"level": "95"}),
    ("G47a", "the level rises again after twelve more",
     {"months": months(*["97"] * 12, *["98"] * 12, year=2024)},
     {"level": "97", "from_month": "2026-01"}),
    ("G51a", "a month on target between",
     {"months": [{"month": f"2025-0{number}", "orders_minor": 100000, "met": number == 2}
                 for number in range(1, 5)]},
     {"credit_minor": 0, "credit_months": []}),
    ("G51a", "the fourth month starts anew, the sixth pays again",
     {"months": [{"month": f"2025-0{number}", "orders_minor": 100000, "met": False}
                 for number in range(1, 7)]},
     {"credit_minor": 12000, "credit_months": ["2025-03", "2025-06"]}),
    ("G52a", "equal is not below", {"months": months("99", "96", "96")},
     {"may_terminate": False}),
    ("G52a", "two months are no three", {"months": months("96", "96")}, {"may_terminate": False}),
    ("E06a", "equal meets it", {"months": months("98.2", "99.0")},
     {"averaged": "98.6", "state": "pass"}),
    ("E01", "one of the six is missed", {"months": months("97", *["99.5"] * 5, "98.9")},
     {"earn_back_minor": 0}),
    ("E01", "five months are not six", {"months": months("97", *["99.5"] * 5)},
     {"earn_back_minor": 0}),
    ("E02a", "a month without data breaks the run",
     {"months": months("98", "99.5", None, "99.5")}, {"earn_back_minor": 0}),
    ("E02a", "a later run does not help",
     {"months": months("98", "98.9", "99.5", "99.5", "99.5")}, {"earn_back_minor": 0}),
    ("E03", "a balance that is larger than the next credit",
     {"months": [{"month": f"2025-{number:02}", "credit_minor": {1: 30000, 5: 10000}.get(number, 0)}
                 for number in range(1, 6)]},
     {"paid_minor": [30000, 0, 0, 0, 0], "earn_back_balance_minor": 20000}),
    ("E03", "a balance expires with the contract",
     {"months": [{"month": f"2025-{number:02}", "credit_minor": 30000 if number == 1 else 0}
                 for number in range(1, 13)]},
     {"expired_minor": 30000, "earn_back_balance_minor": 0}),
    ("E16", "the third amount stays",
     {"months": [{"month": f"2025-0{number}", "met": False, "occurrences": 1}
                 for number in range(1, 6)]},
     {"credits_minor": [2500, 5000, 10000, 10000, 10000]}),
    ("G10", "nothing is left of the ceiling", {"previous_11_months_credits_minor": 5000},
     {"headroom_minor": 0, "credit_minor": 0}),
    ("G10", "all of it is left", {"previous_11_months_credits_minor": 0}, {"credit_minor": 100}),
    ("G39a", "less is due than the deposit", {"final_month_deductions_minor": 10000},
     {"payer": "buyer", "payee": "vendor", "amount_minor": 30000}),
    ("G39a", "exactly the deposit", {"final_month_deductions_minor": 40000}, {"amount_minor": 0}),
    ("G53a", "in use for all of the period", {"days_in_use": 30}, {"credit_minor": 9000}),
    ("G54a", "exactly the amount is dropped", {"bill_minor": 1000}, {"credit_minor": 0}),
    ("G54a", "rounded to the amount is dropped", {"bill_minor": 1004}, {"credit_minor": 0}),
    ("G54a", "a cent above it is paid", {"bill_minor": 1005}, {"credit_minor": 101}),
    ("G54c", "exactly the amount stays", {"bill_minor": 1000}, {"credit_minor": 100}),
    ("G54c", "met is not raised", {"missed": False}, {"credit_minor": 0}),
    ("G60", "an ordinary month", {"critical_failure": False}, {"credit_minor": 400000}),
    ("E07", "an invoice that takes all of it",
     {"next_invoice": {"date": date(2025, 2, 28), "charges_minor": 200000}},
     {"invoice_minor": 50000, "cash_minor": 0}),
    ("G46a", "twenty are no low volume", {"tickets": 20, "late": 1},
     {"counted": 20, "state": "pass"}),
    ("G46a", "twenty with two late", {"tickets": 20, "late": 2}, {"in_time": 18, "state": "miss"}),
    ("G46a", "no late one to leave out", {"tickets": 5, "late": 0},
     {"counted": 5, "state": "pass"}),
    ("G46a", "no tickets", {"tickets": 0, "late": 0}, {"state": "no result"}),
    ("G46a", "one ticket, late", {"tickets": 1, "late": 1}, {"state": "no result"}),
    ("G61a", "three proofs are not four", {"proofs": 3}, {"state": "miss", "credit_minor": 200000}),
    ("G61a", "on the last day", {"proof_given_on": date(2025, 5, 10)}, {"state": "excused"}),
    ("G61a", "one day late", {"proof_given_on": date(2025, 5, 11)}, {"state": "miss"}),
    ("G61a", "two months after the last day of December",
     {"failed_on": date(2025, 12, 31), "proof_given_on": date(2026, 2, 28)},
     {"state": "excused"}),
    ("G62b", "one working day late", {"raised_on": date(2025, 4, 1)}, {"admitted": False}),
    ("G62b", "no error", {"settlement_error": False}, {"admitted": False}),
    ("E14b", "notice was given", {"notice": True}, {"state": "miss"}),
    ("E14b", "a month that is met stays met", {"missed": False}, {"state": "pass"}),
    ("E17", "below the minimum", {"resolved_late": 9}, {"state": "miss", "below_minimum": True}),
    ("E08a", "claimed at once", {"claimed": date(2025, 3, 31)}, {"credit_minor": 12500}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "changed", "expect"),
    [(name, changed, expect) for name, _, changed, expect in VARIANTS],
    ids=[f"{name}-{why.replace(' ', '-')}" for name, why, _, _ in VARIANTS],
)
def test_a_variant_of_a_case(name: str, changed: Change, expect: dict[str, Any]) -> None:
    facts = deepcopy(CASES[name]["given"]["facts"]) | changed
    assert answers(name, facts, expect) == expect
