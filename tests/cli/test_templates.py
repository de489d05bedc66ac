"""Every template: without fault, and a month settled end to end to a sum worked out by hand."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from schemas.agreement import Agreement
from schemas.statement import SettlementStatement
from services.cli import templates
from services.cli.files import ContractFiles
from services.cli.offline import settle_files
from services.core.contracts.check import check
from services.core.contracts.reading import Document, read_documents
from services.settlement.explain import document, results_behind, terms_behind
from tests.command import run

JUNE = "effective_from: 2025-06-01"
NOW_US = 1_767_225_600_000_000  # 2026-01-01
FINANCE = "urn:buyer:finance"


class Month:
    """What happened in June 2025, told event by event."""

    def __init__(self, template: str) -> None:
        self.documents = documents(template)
        (noun,) = (one.noun for one in self.documents if isinstance(one.noun, Agreement))
        self.agreement = noun
        self.events: list[tuple[str, bytes]] = []

    def say(self, source: str, kind: str, at: str, **data: Any) -> None:
        """One event at a moment such as ``10 14:24``, in UTC."""
        day, _, clock = at.partition(" ")
        number = len(self.events)
        event = {
            "specversion": "1.0",
            "id": f"e-{number}",
            "source": source,
            "type": f"earnback.{kind}.v1",
            "time": f"2025-06-{int(day):02d}T{clock or '12:00'}:00Z",
            "data": data,
        }
        self.events.append((f"event {number}", json.dumps(event).encode()))

    def charge(self, amount: str, base: str = "fee", subject: str | None = None) -> None:
        """What is billed for the month."""
        of = {} if subject is None else {"subject": subject}
        name = self.agreement.agreement
        self.say(FINANCE, "charge", "30", agreement=name, base=base, period="2025-06",
                 amount=amount, currency="EUR", **of)  # fmt: skip

    def stated(self, circumstance: str, source: str = FINANCE, **said: Any) -> None:
        """A circumstance of the month."""
        name = self.agreement.agreement
        self.say(source, "circumstance", "30", agreement=name, circumstance=circumstance,
                 period="2025-06", **said)  # fmt: skip

    def outage(self, source: str, metric: str, begins: str, ends: str, **more: Any) -> None:
        """An outage from one moment to another."""
        name = f"o-{metric}-{begins}".replace(" ", "-")
        self.say(source, "outage", begins, metric=metric, outage=name, phase="open", **more)
        self.say(source, "outage", ends, metric=metric, outage=name, phase="close", **more)

    def settle(self) -> SettlementStatement:
        """June's statement; every event must count and no month may wait."""
        june = {"effective_from": date(2025, 6, 1)}
        shorter = [
            Document(one.noun.model_copy(update=june), one.file, one.marks)
            for one in self.documents
        ]
        found = settle_files(
            ContractFiles(tuple(shorter), ()), self.events, date(2025, 6, 30), NOW_US
        )
        assert not found.set_aside, found.set_aside
        assert not found.waiting, found.waiting
        (statement,) = found.statements
        return statement


def documents(template: str) -> tuple[Document, ...]:
    """The documents of a template, which must be without fault."""
    found, refusals = read_documents(templates.text(template), f"{template}.yaml")
    assert not refusals, [one.text() for one in refusals]
    return found.documents


def lines(statement: SettlementStatement) -> dict[str | None, int]:
    """Minor units by level."""
    return {line.level: line.minor_units for line in statement.lines}


def cloud_uptime() -> Month:
    month = Month("cloud-uptime")
    month.charge("2000.00")
    # 144 of 43,200 minutes are a third of a percent: 99.67 %. 10 % of 2,000.00 is 200.00.
    month.outage("urn:buyer:probe", "uptime", "10 10:00", "10 12:24")
    return month


def managed_network() -> Month:
    month = Month("managed-network")
    month.charge("1000.00")
    for site in ("berlin", "hamburg"):
        month.charge("400.00", "site-fee", site)
    for metric in ("site-availability", "site-outages"):
        # Berlin: 390 of 43,200 minutes leave 99.10 %. 6.5 hours less 4 are 3 started hours.
        month.outage("urn:buyer:network-probe", metric, "10 10:00", "10 16:30", subject="berlin")
        # Hamburg: 120 minutes leave 99.72 %, within four hours.
        month.outage("urn:buyer:network-probe", metric, "12 10:00", "12 12:00", subject="hamburg")
    return month


def service_desk() -> Month:
    month = Month("service-desk")
    month.charge("20000.00")
    desk = "urn:desk-operator:tickets"
    for number in range(20):
        # 18 of 20 within four hours are 90 %. 40 % of 10 % of 20,000.00 are 800.00.
        ticket = {"metric": "urgent-in-time", "ticket": f"u-{number}", "priority": "urgent"}
        month.say(desk, "ticket", "10 08:00", state="opened", **ticket)
        solved = "10 12:01" if number < 2 else "10 12:00"
        month.say(desk, "ticket", solved, state="resolved", **ticket)
    # 1,080 minutes on the desk's clock: Tuesday 08:00 to Wednesday 17:00, Berlin.
    ticket = {"metric": "normal-in-time", "ticket": "n-1", "priority": "normal"}
    month.say(desk, "ticket", "10 06:00", state="opened", **ticket)
    month.say(desk, "ticket", "11 15:00", state="resolved", **ticket)
    # 65 % is under 70 %: 25 % of 2,000.00 are 500.00.
    month.say(desk, "count", "30", metric="solved-at-first-contact", good=65, total=100)
    return month


def call_centre(forecast: int = 9_500) -> Month:
    month = Month("call-centre")
    month.charge("30000.00")
    acd = "urn:call-centre:acd"
    # 76.5 % is 3.5 under 80: 4 points x 2 % of 30,000.00 are 2,400.00.
    month.say(acd, "count", "15", metric="answered-in-time", good=7_650, total=10_000)
    # 6.12 % abandoned: 500.00.
    month.say(acd, "count", "15", metric="abandoned", good=612, total=10_000)
    # 10,000 calls are 1.05 times 9,500, but 1.25 times 8,000.
    month.say(acd, "volume", "15", metric="offered", value=10_000, unit="count")
    month.stated("forecast", value=forecast)
    return month


def logistics() -> Month:
    month = Month("logistics")
    dock = "urn:buyer:goods-in"

    def delivery(name: str, due: str, came: str, worth: str) -> None:
        month.say(dock, "delivery", "28", metric="deliveries", delivery=name, value=worth,
                  due_at=f"2025-06-{due}:00Z", delivered_at=f"2025-06-{came}:00Z")  # fmt: skip

    # 2 days 21 hours are 3 started days: 3 x 0.5 % of 8,000.00 are 120.00.
    delivery("d-1", "10T12:00", "13T09:00", "8000.00")
    delivery("d-2", "10T12:00", "10T12:00", "500.00")
    # 18 days x 0.5 % of 1,000.00 are 90.00. Both are held to 5 % of 9,000.00, which is 450.00.
    delivery("d-3", "09T12:00", "27T12:00", "1000.00")
    return month


def sales_marketing(leads: int = 88) -> Month:
    month = Month("sales-marketing")
    month.say(
        "urn:buyer:sales", "volume", "20", metric="qualified-leads", value=leads, unit="count"
    )
    return month


def isp() -> Month:
    month = Month("isp")
    month.charge("60.00")
    probe = "urn:buyer:line-probe"
    # 30 hours are 2 started days of 60.00 / 30; 23 hours are less than a day and count nothing.
    month.outage(probe, "line-outages", "10 00:00", "11 06:00")
    month.outage(probe, "line-outages", "15 00:00", "15 23:00")
    # The mean of 40 and 70 is 55 ms: 5 % of 60.00 are 3.00.
    for day, value in (("5", 40), ("6", 70)):
        month.say(probe, "response", day, metric="latency", value=value, unit="milliseconds")
    return month


FACTS: dict[str, Callable[[], Month]] = {
    "call-centre": call_centre,
    "cloud-uptime": cloud_uptime,
    "isp": isp,
    "logistics": logistics,
    "managed-network": managed_network,
    "sales-marketing": sales_marketing,
    "service-desk": service_desk,
}
"""The month of each template that one of its tests works out by hand."""


def test_there_is_a_template_for_each_common_family() -> None:
    assert templates.names() == tuple(FACTS)


@pytest.mark.parametrize("name", templates.names())
def test_a_template_passes_the_contract_check(name: str) -> None:
    found, refusals = read_documents(templates.text(name), f"{name}.yaml")
    assert refusals == ()
    (programme,) = found.programmes
    wrong = [one.text() for document in found.documents for one in check(document, programme)]
    assert wrong == []
    assert len(found.agreements) == 1
    assert templates.about(name).endswith(".")


@pytest.mark.parametrize("name", FACTS)
def test_a_template_goes_through_the_commands(name: str, tmp_path: Path) -> None:
    month = FACTS[name]()
    handed_out = run("contract", "new", name)
    assert (handed_out.code, handed_out.err) == (0, "")
    contract, events = tmp_path / "contract.yaml", tmp_path / "events.ndjson"
    contract.write_text(handed_out.out.replace("effective_from: 2025-01-01", JUNE))
    events.write_bytes(b"\n".join(event for _, event in month.events))
    checked = run("contract", "check", str(contract))
    assert checked.code == 0
    assert checked.out.count("is in order") == 2
    found = run("settle", str(contract), str(events), "--through", "2025-06-30")
    statement = month.settle()
    assert (found.code, found.err) == (0, "")
    euros, cents = divmod(statement.total_minor, 100)
    assert f"{euros}.{cents:02}  EUR" in found.out
    assert f"{len(month.events)} events counted, 0 duplicates" in found.out
    for line in statement.lines:
        assert results_behind(statement, line, month.agreement)
        terms = terms_behind(document(month.agreement, (), "2025-06", ()), line)
        assert [one.path for one in terms if one.text is None] == []


def test_an_unknown_template_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(ValueError, match="did you mean service-desk"):
        templates.text("servicedesk")
    with pytest.raises(ValueError, match="write one of call-centre"):
        templates.text("x")


@pytest.mark.parametrize(
    ("claimed", "cents"), [(None, 0), ("2025-07-30", 20_000), ("2025-07-31", 0)]
)
def test_cloud_uptime_below_three_nines_gives_a_tenth_if_claimed_in_time(
    claimed: str | None, cents: int
) -> None:
    month = cloud_uptime()
    if claimed is not None:
        month.stated("claim", values={"on": claimed})
    assert month.settle().total_minor == cents


def test_a_network_site_pays_for_its_availability_and_its_slow_repair() -> None:
    statement = managed_network().settle()
    # 10 % of 400.00, and 3 x 2 % of 400.00.
    assert sorted(line.minor_units for line in statement.lines if line.minor_units) == [
        2_400,
        4_000,
    ]
    assert statement.total_minor == 6_400


def test_a_service_desk_loses_the_weights_of_the_levels_it_missed() -> None:
    statement = service_desk().settle()
    assert {level: cents for level, cents in lines(statement).items() if cents} == {
        "urgent": 80_000, "first-contact": 50_000,
    }  # fmt: skip
    assert statement.total_minor == 130_000


@pytest.mark.parametrize(("forecast", "cents"), [(9_500, 290_000), (8_000, 0)])
def test_a_call_centre_pays_by_the_point_unless_far_more_called_than_forecast(
    forecast: int, cents: int
) -> None:
    assert call_centre(forecast).settle().total_minor == cents


def test_late_goods_cost_half_a_percent_a_started_day_up_to_a_twentieth() -> None:
    statement = logistics().settle()
    assert statement.total_minor == 21_000
    assert [right.term for right in statement.rights] == ["very-late"]


@pytest.mark.parametrize(
    ("leads", "cents"),
    # 12 missing x 25.00; at the number owed; 10 above 120 x 10.00; held to 1,500.00 and 500.00.
    [(88, 30_000), (100, 0), (120, 0), (130, -10_000), (0, 150_000), (999, -50_000)],
)
def test_leads_missing_are_paid_for_and_those_above_earn_a_bonus(leads: int, cents: int) -> None:
    assert sales_marketing(leads).settle().total_minor == cents


def test_an_internet_line_pays_started_days_and_slow_answers() -> None:
    assert lines(isp().settle()) == {"outages": 400, "latency": 300}
