"""The facts of each worked case as the events that would tell them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from schemas.period import first_day
from tests.core.golden.events import Event, Events, main_units

Facts = Mapping[str, Any]


@dataclass(frozen=True)
class Story:
    """A case told: its contract file, the events of each run, and the last period settled."""

    contract: str
    runs: Sequence[Sequence[Event]]
    through: str


Teller = Callable[[Facts], Story]
TELLERS: dict[str, Teller] = {}


def tells(*ids: str) -> Callable[[Teller], Teller]:
    """Register a teller for cases."""

    def register(teller: Teller) -> Teller:
        for one in ids:
            assert one not in TELLERS, one
            TELLERS[one] = teller
        return teller

    return register


def told(contract: str, events: Events, through: str) -> Story:
    """One run with all events."""
    return Story(contract, [events.list], through)


# --- 01 at-risk pools -----------------------------------------------------------------------------


@tells("G01")
def pool_share(facts: Facts) -> Story:
    events = Events("g01", facts["currency"])
    events.charge("invoice", facts["month"], facts["invoice_minor"])
    events.met(facts["month"], not facts["missed"])
    return told("G01", events, facts["month"])


@tells("G49")
def unallocated(facts: Facts) -> Story:
    assert facts["level_allocation_given"] is False
    events = Events("g49", facts["currency"])
    events.charge("invoice", facts["month"], facts["invoice_minor"])
    events.met(facts["month"], not facts["missed"])
    return told("G49", events, facts["month"])


@tells("G64")
def not_reported(facts: Facts) -> Story:
    events = Events("g64", facts["currency"])
    events.charge("invoice", facts["month"], facts["invoice_minor"])
    if facts["reported"]:
        events.met(facts["month"], True)
    return told("G64", events, facts["month"])


@tells("G16", "G17b")
def failures(facts: Facts) -> Story:
    events = Events("g16", facts["currency"])
    events.charge("bill", facts["month"], facts["bill_minor"])
    events.figure(facts["month"], facts["failures"], "failures", "count")
    return told("G16", events, facts["month"])


@tells("G43")
def shared_level(facts: Facts) -> Story:
    listed: list[Event] = []
    for vendor in facts["vendors"]:
        events = Events(f"g43-vendor-{vendor['vendor'].lower()}", facts["currency"])
        events.charge("invoice", facts["month"], vendor["invoice_minor"])
        listed += events.list
    events = Events("g43", facts["currency"])
    events.met(facts["month"], not facts["missed"])
    return Story("G43", [[*listed, *events.list]], facts["month"])


@tells("E12")
def key_measurement(facts: Facts) -> Story:
    events = Events("e12", facts["currency"])
    events.figure(facts["month"], facts["measured"])
    return told("E12", events, facts["month"])


@tells("E13")
def several_at_risk(facts: Facts) -> Story:
    events = Events("e13", facts["currency"])
    for group in facts["groups"]:
        events.charge(f"{group['group']}-charges", facts["month"], group["charges_minor"])
        level = "90" if group["missed"] else "100"
        events.figure(facts["month"], level, f"{group['group']}-level")
    return told("E13", events, facts["month"])


# --- 02 service points ----------------------------------------------------------------------------


@tells("G02", "G03")
def severity_bands(facts: Facts) -> Story:
    events = Events("g02", "GBP")
    return told("G02", events, _months(events, facts["months"]))


def _months(events: Events, months: Sequence[Facts]) -> str:
    """Figures for months with a result; the last month."""
    for month in months:
        if "measured" in month:
            events.figure(month["month"], month["measured"])
        elif "met" in month:
            events.met(month["month"], month["met"])
    return str(months[-1]["month"])


@tells("G06", "G07a")
def points_per_site(facts: Facts) -> Story:
    events = Events("g06", facts["currency"])
    for site in facts["sites"]:
        events.figure(facts["month"], site["points"], "points", "points", subject=site["site"])
    return told("G06", events, facts["month"])


@tells("G37a", "G37c")
def points_of_next_bill(facts: Facts) -> Story:
    events = Events("g37", facts["currency"])
    events.figure(facts["month"], facts["points"], "points", "points")
    for bill in facts["bills"]:
        events.charge("bill", bill["month"], bill["bill_minor"])
    return told("G37", events, facts["bills"][-1]["month"])


@tells("G63")
def points_in_percent(facts: Facts) -> Story:
    events = Events("g63", facts["currency"])
    events.figure(facts["month"], facts["points"], "points", "points")
    events.charge("order-payment", facts["month"], facts["order_payment_minor"])
    return told("G63", events, facts["month"])


# --- 03 shortfall, 04 tables ----------------------------------------------------------------------


def one_result(contract: str, base: str, charge: str) -> Teller:
    """A case of one month, one result and one charge."""

    def teller(facts: Facts) -> Story:
        events = Events(contract.lower(), facts["currency"])
        events.figure(facts["month"], facts["measured"])
        events.charge(base, facts["month"], facts[charge])
        return told(contract, events, facts["month"])

    return teller


tells("G23")(one_result("G23", "charges", "charges_minor"))
tells("G31a", "G31b")(one_result("G31", "charge", "monthly_charge_minor"))
tells("G32a")(one_result("G32a", "fees", "fees_minor"))
tells("G32b")(one_result("G32b", "fees", "fees_minor"))
tells("G59a")(one_result("G59", "licence-fee", "fee_minor"))
tells("G08a", "G08b", "G08c")(one_result("G08", "charge", "charge_minor"))
tells("G28a", "G28b", "G28d")(one_result("G28", "bill", "bill_minor"))
tells("G29a", "G29b", "G29c", "G29e", "G29f")(one_result("G29", "bill", "bill_minor"))
tells("G33b")(one_result("G33b", "fee", "fee_minor"))
tells("G09")(one_result("G09", "charge", "charge_minor"))


@tells("G30a", "G30b", "G30d")
def per_started_point(facts: Facts) -> Story:
    events = Events("g30", facts["currency"])
    events.figure(facts["quarter"], facts["measured"])
    return told("G30", events, facts["quarter"])


@tells("G36a", "G36b", "G36d")
def jitter(facts: Facts) -> Story:
    events = Events("g36", facts["currency"])
    events.figure(facts["month"], facts["measured_ms"], "jitter", "milliseconds")
    events.charge("charge", facts["month"], facts["monthly_charge_minor"])
    return told("G36", events, facts["month"])


# --- 09 history -----------------------------------------------------------------------------------


def by_months(contract: str) -> Teller:
    """A case of months with results and nothing else."""

    def teller(facts: Facts) -> Story:
        events = Events(contract.lower())
        return told(contract, events, _months(events, facts["months"]))

    return teller


tells("G44", "G45")(by_months("G44"))
tells("G52a")(by_months("G52"))
tells("E06a", "E06b")(by_months("E06"))


@tells("G51a")
def misses_in_a_row(facts: Facts) -> Story:
    events = Events("g51", facts["currency"])
    for month in facts["months"]:
        events.charge("affected-orders", month["month"], month["orders_minor"])
    return told("G51", events, _months(events, facts["months"]))


@tells("E16")
def escalating(facts: Facts) -> Story:
    events = Events("e16", facts["currency"])
    for month in facts["months"]:
        events.figure(month["month"], month["occurrences"], "occurrences", "count")
    return told("E16", events, _months(events, facts["months"]))


# --- 10 earn-back ---------------------------------------------------------------------------------


def _found_credit(events: Events, month: str, minor: int) -> None:
    """A credit that is given as found: an amount in main units."""
    amount = main_units(minor, events.currency)
    events.circumstance("found-credit", month, value=amount)


def earned_back(contract: str) -> Teller:
    """A credit of a failing month and the months after it."""

    def teller(facts: Facts) -> Story:
        events = Events(contract.lower(), facts["currency"])
        _found_credit(events, facts["failing_month"], facts["credit_minor"])
        return told(contract, events, _months(events, facts["months"]))

    return teller


tells("E01")(earned_back("E01"))
tells("E02a", "E02b")(earned_back("E02"))


@tells("E03")
def balance(facts: Facts) -> Story:
    events = Events("e03", facts["currency"])
    for month in facts["months"]:
        events.met(month["month"], month["credit_minor"] == 0)
        if month["credit_minor"]:
            _found_credit(events, month["month"], month["credit_minor"])
    return told("E03", events, facts["months"][-1]["month"])


# --- 11 caps and payment --------------------------------------------------------------------------


@tells("G10")
def two_caps(facts: Facts) -> Story:
    events = Events("g10", facts["currency"])
    events.figure(facts["month"], facts["measured"])
    events.charge("charge", facts["month"], facts["charge_minor"])
    events.circumstance(
        "opening-balance",
        facts["month"],
        charges=main_units(facts["previous_11_months_charges_minor"], facts["currency"]),
        credits=main_units(facts["previous_11_months_credits_minor"], facts["currency"]),
    )
    return told("G10", events, facts["month"])


@tells("G53a", "G53b")
def part_of_period(facts: Facts) -> Story:
    assert facts["period_days"] == 30
    events = Events("g53", facts["currency"])
    events.met("2025-06", not facts["missed"])
    events.charge("charge", "2025-06", facts["period_charge_minor"])
    events.circumstance(
        "service_in_use",
        "2025-06",
        days_in_use=facts["days_in_use"],
        days_in_period=facts["period_days"],
        cancelled=facts["cancelled_in_period"],
    )
    return told("G53", events, "2025-06")


def small(contract: str) -> Teller:
    """A missed level and a small bill."""

    def teller(facts: Facts) -> Story:
        events = Events(contract.lower(), facts["currency"])
        events.met(facts["month"], not facts["missed"])
        events.charge("bill", facts["month"], facts["bill_minor"])
        return told(contract, events, facts["month"])

    return teller


tells("G54a")(small("G54a"))
tells("G54c")(small("G54c"))


@tells("E08a", "E08b")
def claimed(facts: Facts) -> Story:
    events = Events("e08", facts["currency"])
    events.met(facts["month"], False)
    _found_credit(events, facts["month"], facts["credit_minor"])
    events.circumstance("claim", facts["month"], on=facts["claimed"])
    return told("E08", events, facts["month"])


@tells("G39a")
def deposit(facts: Facts) -> Story:
    events = Events("g39", facts["currency"])
    deductions = [*facts["deductions_minor"], facts["final_month_deductions_minor"]]
    for number, minor in enumerate(deductions, start=1):
        month = f"2025-{number:02}"
        events.met(month, minor == 0)
        if minor:
            _found_credit(events, month, minor)
    return told("G39", events, f"2025-{len(deductions):02}")


@tells("G60")
def critical_failure(facts: Facts) -> Story:
    events = Events("g60", facts["currency"])
    events.met(facts["month"], False)
    _found_credit(events, facts["month"], facts["ordinary_credits_minor"])
    events.circumstance("critical-failure", facts["month"], holds=facts["critical_failure"])
    return told("G60", events, facts["month"])


@tells("E07")
def next_invoice(facts: Facts) -> Story:
    events = Events("e07", facts["currency"])
    events.met("2025-01", False)
    events.met("2025-02", True)
    _found_credit(events, "2025-01", facts["credit_minor"])
    invoice = facts["next_invoice"]
    events.circumstance(
        "invoice",
        "2025-02",
        date=invoice["date"].isoformat(),
        charges=main_units(invoice["charges_minor"], facts["currency"]),
    )
    return told("E07", events, "2025-02")


tells("G47a")(by_months("G47"))
tells("G48")(by_months("G48"))


@tells("G25")
def banked(facts: Facts) -> Story:
    events = Events("g25", facts["currency"])
    for number, group in enumerate(facts["groups"], start=1):
        name = f"group-{number}"
        deduction = main_units(group["deduction_minor"], facts["currency"])
        available = main_units(group["banked_available_minor"], facts["currency"])
        events.figure("2025-01", group["events"], "failures", "count", subject=name)
        events.circumstance("deduction", "2025-01", level=name, value=deduction)
        events.circumstance(f"banked-{number}", "2025-01", value=available)
    return told("G25", events, "2025-01")


# --- 05 outage time -------------------------------------------------------------------------------


def outages(
    events: Events, month: str, seconds: Sequence[int], metric: str = "outage-minutes"
) -> None:
    """Outages of these lengths, one after the other with a day between, from the 2nd on."""
    moment = datetime.combine(first_day(month), time(6), UTC) + timedelta(days=1)
    for number, length in enumerate(seconds, start=1):
        name = f"outage-{number}"
        events.add("outage", moment, {"metric": metric, "outage": name, "phase": "open"})
        moment += timedelta(seconds=length)
        events.add("outage", moment, {"metric": metric, "outage": name, "phase": "close"})
        moment += timedelta(days=1)


@tells("G35a", "G35b", "G35e")
def whole_minutes(facts: Facts) -> Story:
    events = Events("g35", facts["currency"])
    seconds = [60 * minutes for minutes in facts["outage_minutes"]]
    outages(events, facts["month"], seconds, "outage-started-minutes")
    events.charge("charge", facts["month"], facts["monthly_charge_minor"])
    return told("G35", events, facts["month"])


@tells("G35f")
def exact_minutes(facts: Facts) -> Story:
    events = Events("g35f", facts["currency"])
    outages(events, facts["month"], facts["outage_seconds"])
    events.charge("charge", facts["month"], facts["monthly_charge_minor"])
    return told("G35f", events, facts["month"])


@tells("G55a", "G55c")
def interruptions(facts: Facts) -> Story:
    events = Events("g55", facts["currency"])
    outages(events, facts["month"], [3600 * hours for hours in facts["interruption_hours"]])
    events.charge("charge", facts["month"], facts["monthly_charge_minor"])
    if facts["asked"]:
        events.circumstance("credit-asked-for", facts["month"])
    return told("G55", events, facts["month"])


@tells("G56a", "G56b")
def beyond_deductible(facts: Facts) -> Story:
    events = Events("g56", facts["currency"])
    outages(events, facts["month"], [60 * minutes for minutes in facts["outage_minutes"]])
    events.charge("charge", facts["month"], facts["monthly_charge_minor"])
    return told("G56", events, facts["month"])


@tells("G57a")
def past_target(facts: Facts) -> Story:
    events = Events("g57", facts["currency"])
    outages(events, facts["month"], [60 * minutes for minutes in facts["restored_after_minutes"]])
    events.charge("base-fee", facts["month"], facts["base_fee_minor"])
    events.charge("charges", facts["month"], facts["charges_minor"])
    return told("G57", events, facts["month"])


@tells("G58")
def day_per_hour(facts: Facts) -> Story:
    events = Events("g58", facts["currency"])
    assert str(facts["quarter_from"]) == "2025-04-01"
    outages(events, "2025-04", [3600 * facts["fault_hours"]])
    events.charge("charge", "2025-Q2", facts["quarter_charge_minor"])
    return told("G58", events, "2025-Q2")


# --- 06 delivery and sampling ---------------------------------------------------------------------


def late_delivery(contract: str) -> Teller:
    """Goods that are delivered later than agreed."""

    def teller(facts: Facts) -> Story:
        events = Events(contract.lower(), facts["currency"])
        events.add(
            "delivery",
            facts["calculated_at"],
            {
                "metric": "late-deliveries",
                "delivery": "goods",
                "due_at": facts["agreed"].isoformat(),
                "delivered_at": facts["calculated_at"].isoformat(),
                "value": main_units(facts["goods_value_minor"], facts["currency"]),
            },
        )
        return told(contract, events, "2019-01")

    return teller


tells("G13a")(late_delivery("G13a"))
tells("G13b")(late_delivery("G13b"))


@tells("G50b")
def days_of_delay(facts: Facts) -> Story:
    events = Events("g50", facts["currency"])
    delivered = datetime.combine(facts["delivered"], time(9), UTC)
    events.add(
        "delivery",
        delivered,
        {
            "metric": "late-deliveries",
            "delivery": "order",
            "due_at": datetime.combine(facts["due"], time(17), UTC).isoformat(),
            "delivered_at": delivered.isoformat(),
        },
    )
    return told("G50", events, "2025-06")


@tells("G15")
def goods(facts: Facts) -> Story:
    events = Events("g15", facts["currency"])
    kilograms = {"metric": "kilograms", "value": str(facts["units"]), "unit": "count"}
    events.add("volume", "2025-01-10T12:00:00Z", kilograms)
    for reading in facts["readings"]:
        for name, unit in (("temperature", "count"), ("humidity", "percent")):
            for side in ("highest", "lowest"):
                data = {"metric": f"{side}-{name}", "value": reading[name], "unit": unit}
                events.add("response", "2025-01-09T12:00:00Z", data)
    events.charge("price", "2025-01", facts["units"] * 150)
    return told("G15", events, "2025-01")


def sampling(contract: str) -> Teller:
    """A sample with so many defects."""

    def teller(facts: Facts) -> Story:
        events = Events(contract.lower(), facts["currency"])
        events.figure(facts["month"], facts["defects"], "defects", "count")
        good = facts["sample"] - facts["defects"]
        counted = {"metric": "acceptable", "good": good, "total": facts["sample"]}
        events.add("count", "2025-01-20T12:00:00Z", counted)
        events.charge("maximum-price", facts["month"], facts["maximum_price_minor"])
        return told(contract, events, facts["month"])

    return teller


tells("G18a")(sampling("G18a"))
tells("G18b")(sampling("G18b"))


@tells("G38a", "G38b", "G38c")
def area(facts: Facts) -> Story:
    events = Events("g38", facts["currency"])
    month = facts["month"]
    events.figure(month, facts["deduction_periods"], "deduction-periods", "count")
    events.figure(month, facts["failures_in_month"], "failures", "count")
    events.circumstance("used", month, holds=facts["used"])
    return told("G38", events, month)


# --- 07 bonus and two-way -------------------------------------------------------------------------


@tells("G26a")
def fee_by_result(facts: Facts) -> Story:
    events = Events("g26", facts["currency"])
    savings = main_units(facts["savings_minor"], facts["currency"])
    events.figure("2025-01", savings, "savings", "money")
    return told("G26", events, "2025-01")


@tells("G27a", "G27b", "G27c")
def shared_cost(facts: Facts) -> Story:
    events = Events("g27", facts["currency"])
    events.charge("actual-cost", "2025-01", facts["actual_cost_minor"])
    return told("G27", events, "2025-01")


def _incidents(events: Events, facts: Facts) -> None:
    minutes = [incident["minutes"] for incident in facts["incidents"]]
    outages(events, facts["month"], [60 * one for one in minutes], "delay-minutes")
    for number, incident in enumerate(facts["incidents"], start=1):
        events.circumstance(
            "attribution", facts["month"], subject=f"outage-{number}", to=incident["attributed_to"]
        )


@tells("G40")
def joint_incidents(facts: Facts) -> Story:
    events = Events("g40", "GBP")
    _incidents(events, facts)
    return told("G40", events, facts["month"])


@tells("G41a")
def benchmark(facts: Facts) -> Story:
    events = Events("g41", facts["currency"])
    _incidents(events, facts)
    miles = {"metric": "miles", "value": str(facts["miles"]), "unit": "count"}
    events.add("volume", "2025-01-31T12:00:00Z", miles)
    return told("G41", events, facts["month"])


@tells("G42")
def two_directions(facts: Facts) -> Story:
    events = Events("g42", facts["currency"])
    for party in ("network", "operator"):
        minutes = facts[f"{party}_minutes"]
        events.figure(facts["month"], minutes, f"{party}-minutes", "minutes")
    return told("G42", events, facts["month"])


# --- 08 several vendors ---------------------------------------------------------------------------


@tells("G21", "G22a")
def in_series(facts: Facts) -> Story:
    events = Events("g21")
    for number, value in enumerate(facts["series"], start=1):
        events.figure("2025-01", value, f"part-{number}")
    return told("G21", events, "2025-01")


@tells("G22b")
def in_parallel(facts: Facts) -> Story:
    events = Events("g22b")
    values = [value for region in facts["parallel_of_series"] for value in region]
    for number, value in enumerate(values, start=1):
        events.figure("2025-01", value, f"part-{number}")
    return told("G22b", events, "2025-01")


@tells("E04")
def assigned(facts: Facts) -> Story:
    events = Events("e04")
    ticket = facts["ticket"]
    common = {"metric": "tickets-in-time", "ticket": "T1"}
    events.add("ticket", ticket["reported"], {**common, "state": "opened"})
    for assignment in ticket["assignments"]:
        vendor = f"vendor-{assignment['vendor'].lower()}"
        data = {**common, "state": "assigned", "assigned_to": vendor}
        events.add("ticket", assignment["at"], data)
    events.add("ticket", ticket["resolved"], {**common, "state": "resolved"})
    return told("E04", events, "2025-01")


@tells("E05")
def single_event(facts: Facts) -> Story:
    events = Events("e05", facts["currency"])
    for failure in facts["failures"]:
        level = failure["level"].replace(" ", "-")
        events.figure(facts["month"], 1, "failures", "count", subject=level)
        credit = main_units(failure["credit_minor"], facts["currency"])
        events.circumstance("found-credit", facts["month"], level=level, value=credit)
        events.circumstance("caused-by", facts["month"], level=level, event=failure["event"])
    return told("E05", events, facts["month"])


@tells("E15")
def two_steps(facts: Facts) -> Story:
    events = Events("e15", facts["currency"])
    whole = "100" if facts["whole_service"] == "pass" else "90"
    events.figure(facts["month"], whole, subject="whole-service")
    for number in range(1, 12):
        level = "100" if number <= facts["sites_passed"] else "90"
        events.figure(facts["month"], level, "site-level", subject=f"site-{number}")
    return told("E15", events, facts["month"])


# --- 12 measurement and disputes ------------------------------------------------------------------


@tells("G12")
def out_of_range(facts: Facts) -> Story:
    events = Events("g12")
    events.figure(facts["month"], facts["measured"])
    return told("G12", events, facts["month"])


@tells("G46a", "G46b")
def low_volume(facts: Facts) -> Story:
    events = Events("g46")
    good = facts["tickets"] - facts["late"]
    data = {"metric": "resolved-in-time", "good": good, "total": facts["tickets"]}
    events.add("count", "2025-01-20T12:00:00Z", data)
    return told("G46", events, facts["month"])


PROOFS = (
    "buyers-task-was-the-cause",
    "met-but-for-that",
    "reasonable-efforts",
    "without-fault",
)


@tells("G61a")
def excused(facts: Facts) -> Story:
    events = Events("g61", facts["currency"])
    month = facts["failed_on"].strftime("%Y-%m")
    events.met(month, False)
    _found_credit(events, month, facts["credit_minor"])
    events.circumstance(
        "excuse",
        month,
        on=facts["proof_given_on"],
        failed_on=facts["failed_on"].isoformat(),
        **dict.fromkeys(PROOFS[: facts["proofs"]], True),
    )
    return told("G61", events, month)


@tells("G62a", "G62b")
def dispute(facts: Facts) -> Story:
    events = Events("g62", facts["currency"])
    events.met("2025-02", True)
    events.circumstance(
        "dispute",
        "2025-02",
        on=facts["raised_on"],
        run_on=facts["run_on"].isoformat(),
        raised_on=facts["raised_on"].isoformat(),
        error=facts["settlement_error"],
        effect=main_units(facts["effect_minor"], facts["currency"]),
    )
    return told("G62", events, "2025-02")


@tells("E09")
def changed_level(facts: Facts) -> Story:
    events = Events("e09")
    for number in range(1, 6):
        events.met(f"2025-{number:02}", True)
    for month in facts["months"]:
        events.figure(month["month"], month["measured"], on=month["reported_on"])
    return told("E09", events, facts["months"][-1]["month"])


@tells("E10")
def settlement_runs(facts: Facts) -> Story:
    events = Events("e10", facts["currency"])
    events.charge("charge", facts["month"], facts["charge_minor"])
    runs = []
    for number, run in enumerate(facts["runs"]):
        events.figure(facts["month"], run["measured"], on=date(2025, 2 + number, 15))
        runs.append(list(events.list))
    return Story("E10", runs, facts["month"])


@tells("E14a", "E14b")
def volume(facts: Facts) -> Story:
    events = Events("e14")
    month = facts["month"]
    events.met(month, not facts["missed"])
    data = {"metric": "volume", "value": str(facts["volume"]), "unit": "count"}
    events.add("volume", "2025-01-20T12:00:00Z", data)
    events.circumstance("normal-volume", month, value=facts["normal_volume"])
    if facts["notice"]:
        events.circumstance("volume-notice", month)
    return told("E14", events, month)


@tells("E17")
def open_requests(facts: Facts) -> Story:
    events = Events("e17", source="urn:vendor")
    early = datetime(2025, 1, 10, 8, tzinfo=UTC)
    late_in_month = datetime(2025, 1, 31, 20, tzinfo=UTC)
    number = 0

    def request(opened: datetime, hours: int | None) -> None:
        nonlocal number
        number += 1
        common = {"metric": "requests-in-time", "ticket": f"R{number}"}
        data = {**common, "state": "assigned", "assigned_to": "vendor"}
        events.add("ticket", opened, data)
        if hours is not None:
            resolved = opened + timedelta(hours=hours)
            events.add("ticket", resolved, {**common, "state": "resolved"})

    for _ in range(facts["resolved_in_time"]):
        request(early, 3)
    for _ in range(facts["resolved_late"]):
        request(early, 30)
    for _ in range(facts["open_late"]):
        request(early, None)
    for _ in range(facts["open_in_time"]):
        request(late_in_month, None)
    return told("E17", events, facts["month"])
