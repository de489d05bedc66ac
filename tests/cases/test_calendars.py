"""Periods of other lengths, and from other days than those of the calendar, through `settle`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from schemas.programme import Programme
from services.core.contracts.check import check
from services.core.contracts.reading import read_documents
from tests.cases.settling import Settled, settle

PROGRAMME = """\
kind: programme
language: 2
programme: p
version: 1
effective_from: 2024-01-01
buyer: buyer
name: P
time_zone: {zone}
restated_for_days: 400
whose_word: {{charges: either, circumstances: either, decisions: either, figures: either}}
vendors: [{{vendor: vendor, name: V}}]
sources:
  - {{source: urn:probe, reports_for: vendor, metrics: [up]}}
  - {{source: urn:buyer, reports_for: buyer, metrics: []}}
metrics:
  - metric: up
    name: It is there
    unit: percent
    better: higher
    measure: {{kind: availability_by_outages, silence: up, incomplete: wait, across_periods: split}}
---
kind: agreement
language: 2
agreement: a
version: 1
programme: p
type: service
vendor: vendor
name: A
currency: EUR
effective_from: {begins}
settled: {settled}
lateness_hours: 0
conventions: {{money_rounding: half_up, rounded_at: total{conventions}}}
bases:
  - {{base: fee, of_period: same, if_missing: zero, part_of_period: full_charge, longer_charge: {longer}}}
levels:
  - level: up
    name: Up
    metric: up
    expected: {{at_least: 99.5}}
    judged: exact
    no_data: no_result
    defaults: {{kind: every_miss}}
    credits:
      - is_a: service_credit
        due: {{kind: on_default}}
        {price}
{more}"""  # noqa: E501
HALF_POINTS = """quantity: {kind: shortfall, counted_from: 99.5, step: 0.5, \
part_step: counts_in_full}
        rate: {kind: percent_of, percent: 0.5, base: fee}"""
A_DAY = "quantity: {kind: one}\n        rate: {kind: day_of, base: fee}"


def contract(begins: str, settled: str, **said: str) -> str:
    """A contract of one level of availability; ``said``: what differs from the usual."""
    usual = {"zone": "Etc/UTC", "conventions": "", "longer": "refused", "price": HALF_POINTS,
             "more": ""}  # fmt: skip
    return PROGRAMME.format(begins=begins, settled=settled, **{**usual, **said})


def an_hour_down(*moments: str) -> list[dict[str, Any]]:
    """An outage of one hour from each moment, such as ``2025-01-07T10``."""
    found = []
    for moment in moments:
        data = {"metric": "up", "outage": f"o-{moment}"}
        until = f"{moment[:-2]}{int(moment[-2:]) + 1:02d}"
        for phase, at in (("open", moment), ("close", until)):
            found.append(_event("outage", f"{phase}-{moment}", f"{at}:00:00Z", "urn:probe",
                                {**data, "phase": phase}))  # fmt: skip
    return found


def fees(**by_period: str) -> list[dict[str, Any]]:
    """The fee of each period: the day on which it is stated, and the amount."""
    return [
        _event("charge", f"fee-{period}", f"{at}T00:00:00Z", "urn:buyer",
               {"agreement": "a", "base": "fee", "period": period, "amount": amount,
                "currency": "EUR"})
        for period, (at, amount) in ((label, said.split()) for label, said in by_period.items())
    ]  # fmt: skip


def _event(kind: str, name: str, at: str, source: str, data: Mapping[str, Any]) -> dict[str, Any]:
    return {"specversion": "1.0", "id": name, "source": source, "type": f"earnback.{kind}.v1",
            "time": at, "data": data}  # fmt: skip


def settled(home: Path, text: str, through: str, events: Sequence[Mapping[str, Any]]) -> Settled:
    facts = home / "events.ndjson"
    lines = sorted(events, key=lambda one: str(one["time"]))
    facts.write_text("".join(json.dumps(one) + "\n" for one in lines), encoding="utf-8")
    return settle("", through, home, text, events=facts)


def test_an_hour_down_in_a_week_costs_half_a_percent(tmp_path: Path) -> None:
    # 60 of 10,080 minutes: 99.404... %, less than half a point below 99.5: 0.5 % of 1,000.00.
    events = an_hour_down("2025-01-07T10")
    events += fees(**{"2025-W02": "2025-01-06 1000.00", "2025-W03": "2025-01-13 1000.00"})
    done = settled(tmp_path, contract("2025-01-06", "week"), "2025-01-19", events)
    assert (done.code, done.totals("a")) == (0, {"2025-W02": 500, "2025-W03": 0}), done.err


def test_a_week_from_sunday_in_a_zone_is_as_long_as_its_clock_makes_it(tmp_path: Path) -> None:
    text = contract("2025-03-23", "week_from_sun", zone="Europe/Berlin")
    # Saturday 22:00 to 23:00 UTC is the last hour of its week; the next one has 167 hours.
    events = an_hour_down("2025-03-29T22", "2025-03-30T12")
    events += fees(
        **{"2025-03-23_P7D": "2025-03-23 1000.00", "2025-03-30_P7D": "2025-03-30 1000.00"}
    )
    done = settled(tmp_path, text, "2025-04-05", events)
    assert done.totals("a") == {"2025-03-23_P7D": 500, "2025-03-30_P7D": 500}, done.err
    figures = [one["results"][0]["figure"] for one in done.statements]
    assert figures == ["4175/42", "16600/167"], "167 of 168 hours, 166 of 167"


def test_a_charge_by_months_is_spread_over_weeks_by_days(tmp_path: Path) -> None:
    text = contract("2025-01-27", "week", longer="by_days",
                    price="quantity: {kind: one}\n        rate: {kind: percent_of, percent: 10, "
                    "base: fee}")  # fmt: skip
    events = an_hour_down("2025-01-28T10", "2025-02-04T10")
    events += fees(**{"2025-01": "2025-01-27 310.00", "2025-02": "2025-02-01 560.00"})
    done = settled(tmp_path, text, "2025-02-09", events)
    # 5 days at 10.00 and 2 at 20.00: 90.00; then 7 at 20.00: 140.00; of each 10 %.
    assert done.totals("a") == {"2025-W05": 900, "2025-W06": 1400}, done.err
    assert done.statements[0]["figures"]["spread/fee/2025-01/2025-W05"].endswith(
        "by days, 5 of 31: 50.00 EUR for 2025-W05"
    )


@pytest.mark.parametrize(
    ("longer", "remedy"),
    [
        ("refused", "agree on longer_charge: by_days"),
        ("equal_parts", "agree on longer_charge: by_days"),
    ],
)
def test_a_charge_by_months_has_no_whole_weeks(tmp_path: Path, longer: str, remedy: str) -> None:
    text = contract("2025-01-27", "week", longer=longer)
    done = settled(tmp_path, text, "2025-02-02", fees(**{"2025-01": "2025-01-27 310.00"}))
    assert done.code == 1
    assert "state a charge for each week, such as 2025-W01" in done.err
    assert remedy in done.err


@pytest.mark.parametrize(
    ("belongs_to", "totals"),
    [("first_day", [500, 300, 0]), ("last_day", [500, 300, 500])],
)
def test_a_week_over_the_end_of_a_contract_year_counts_where_the_contract_says(
    tmp_path: Path, belongs_to: str, totals: list[int]
) -> None:
    text = contract("2025-01-06", "week", conventions=f", period_belongs_to: {belongs_to}",
                    more="caps:\n  - {cap: year, window: contract_year, limit: {kind: amount, "
                    "amount: 8.00}}\n")  # fmt: skip
    # The second contract year begins on Tuesday, 6 January 2026, inside 2026-W02.
    events = an_hour_down("2025-01-07T10", "2025-01-14T10", "2026-01-08T10")
    events += fees(**{"2025-W02": "2025-01-06 1000.00", "2025-W03": "2025-01-13 1000.00",
                      "2026-W02": "2026-01-05 1000.00"})  # fmt: skip
    found = settled(tmp_path, text, "2026-01-11", events).totals("a")
    assert [found["2025-W02"], found["2025-W03"], found["2026-W02"]] == totals
    assert len(found) == 53, "the weeks 2 to 52 of 2025 and 1 to 2 of 2026"


@pytest.mark.parametrize(
    ("month", "of", "day"),
    [("", "28", 3214), (", days_of_month: 30", "30", 3000)],
)
def test_a_days_share_of_a_month_from_the_15th(
    tmp_path: Path, month: str, of: str, day: int
) -> None:
    text = contract("2025-01-15", "month_from_15", conventions=month, price=A_DAY)
    events = an_hour_down(*(f"2025-02-{day}T{hour}" for day in (27, 28) for hour in (10, 14)))
    events += fees(**{"2025-02-15_P1M": "2025-02-15 900.00"})
    done = settled(tmp_path, text, "2025-03-14", events)
    assert done.totals("a") == {"2025-01-15_P1M": 0, "2025-02-15_P1M": day}, done.err
    (step,) = [step for step in done.statements[1]["lines"][0]["steps"] if step["rule"] == "rate"]
    assert f"900.00 (fee) / {of} days" in step["text"]


@pytest.mark.parametrize(
    ("settled_by", "measured", "begins", "label"),
    [
        ("quarter_from_02-15", "month_from_15", "2025-02-15", "2025-02-15_P3M"),
        ("four_weeks_from_2025-01-06", "week", "2025-02-03", "2025-02-03_P28D"),
        ("year_from_04-01", "quarter", "2025-04-01", "2025-04-01_P1Y"),
    ],
)
def test_a_longer_period_is_measured_in_its_parts(
    tmp_path: Path, settled_by: str, measured: str, begins: str, label: str
) -> None:
    text = contract(begins, settled_by).replace(
        "    judged: exact", f"    measured: {measured}\n    judged: exact"
    )
    done = settled(tmp_path, text, "2026-03-31", fees(**{label: f"{begins} 1000.00"}))
    first = done.statements[0]
    assert first["period"] == label, done.err
    assert len(first["results"]) == {"month_from_15": 3, "week": 4, "quarter": 4}[measured]


REFUSED = {
    "a week and a contract year": (
        contract("2025-01-06", "week", more="caps:\n  - {cap: year, window: contract_year, "
                 "limit: {kind: amount, amount: 8.00}}\n"),
        "state period_belongs_to: first_day, last_day or most_days",
    ),
    "a month from the 15th and a condition on the month": (
        contract("2025-01-15", "month_from_15", price=A_DAY + "\n        "
                 "when: {holds: 'month == 2', unknown: wait}"),
        "a month from day 15 can lie over the end of a month",
    ),
    "most days of four weeks": (
        contract("2025-01-06", "four_weeks_from_2025-01-06",
                 conventions=", period_belongs_to: most_days",
                 more="caps:\n  - {cap: year, window: contract_year, "
                 "limit: {kind: amount, amount: 8.00}}\n"),
        "write first_day or last_day",
    ),
    "a day that not every month has": (
        contract("2025-01-31", "month_from_31"), "write a day from 1 to 28"),
    "another name of a calendar month": (contract("2025-01-01", "month_from_1"), "write month"),
    "a version inside a week": (
        contract("2025-01-07", "week"), "2025-01-07 is not the first day of a week"),
    "months measured in weeks": (
        contract("2025-01-01", "month").replace("judged:", "measured: week\n    judged:"),
        "a month is not made of whole periods of a week",
    ),
    "30 days where no day's share is taken": (
        contract("2025-01-01", "month", conventions=", days_of_month: 30"),
        "no term takes a day's share of a charge",
    ),
    "30 days of a week": (
        contract("2025-01-06", "week", conventions=", days_of_month: 30", price=A_DAY),
        "charges are of a week and not of months",
    ),
    "nothing asks where a week belongs": (
        contract("2025-01-06", "week", conventions=", period_belongs_to: first_day"),
        "no term asks to which year or month a period belongs",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED)
def test_what_a_contract_leaves_open_is_refused(what: str) -> None:
    text, said = REFUSED[what]
    read, refusals = read_documents(text, "contracts.yaml")
    if not refusals:
        programme, agreement = read.documents
        assert isinstance(programme.noun, Programme)
        refusals = check(agreement, programme.noun)
    assert said in " ".join(one.text() for one in refusals)
