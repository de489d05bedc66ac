"""Contracts put together at random from terms that read facts, with all facts that they read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hypothesis import strategies as st

from schemas.agreement import Agreement
from schemas.programme import Programme
from schemas.whose_word import SAID
from tests.core.golden.events import Events
from tests.core.golden.production import Contracts

METRICS = ("uptime", "failures", "volume", "highest", "lowest")
MONTHS = ("2025-01", "2025-02")

_PROGRAMME = Programme.model_validate(
    {
        "kind": "programme",
        "language": 2,
        "programme": "generated",
        "version": 1,
        "effective_from": "2020-01-01",
        "buyer": "buyer",
        "name": "Generated contracts",
        "time_zone": "UTC",
        "restated_for_days": 3660,
        "whose_word": dict.fromkeys(SAID, "either"),
        "vendors": [{"vendor": "vendor", "name": "The vendor"}],
        "sources": [{"source": "urn:buyer", "reports_for": "buyer", "metrics": METRICS}],
        "metrics": [
            {"metric": name, "name": name, "unit": "count", "better": "higher",
             "measure": {"kind": "declared"}}
            for name in METRICS
        ],
    }
)  # fmt: skip

_NUMBERS = st.sampled_from(
    [{}, {"if_absent": "wait"}, {"if_absent": {"counts_as": 3}}]
)  # what a term states for a number that is not there
_YES_NO = st.sampled_from([{}, {"if_absent": "wait"}, {"if_absent": "does_not_hold"}])


@st.composite
def contracts(draw: st.DrawFn) -> Contracts:
    """One agreement with one level, a credit and whatever else reads facts."""
    agreement = {
        "kind": "agreement",
        "language": 2,
        "agreement": "generated",
        "version": 1,
        "programme": "generated",
        "type": "service",
        "vendor": "vendor",
        "name": "Generated",
        "currency": "USD",
        "effective_from": "2025-01-01",
        "settled": "month",
        "lateness_hours": 0,
        "conventions": {"money_rounding": "half_up", "rounded_at": "total"},
        "bases": [
            {
                "base": "fee",
                "of_period": "same",
                "if_missing": draw(st.sampled_from(["wait", "zero"])),
                "part_of_period": draw(st.sampled_from(["full_charge", "by_days_in_use"])),
                "longer_charge": draw(st.sampled_from(["refused", "by_days", "equal_parts"])),
            }
        ],
        "levels": [_level(draw)],
        **draw(st.sampled_from(_FURTHER)),
    }
    return Contracts(_PROGRAMME, (Agreement.model_validate(agreement),), ())


def _level(draw: st.DrawFn) -> dict[str, Any]:
    quantity = draw(_quantities())
    two_way = quantity["kind"] == "against_benchmark"
    rate = {"kind": "by_direction", "vendor_owes": 2, "buyer_owes": 1} if two_way else draw(_RATES)
    return {
        "level": "level",
        "name": "A level",
        "metric": "uptime",
        "expected": {"at_least": 99},
        "judged": "exact",
        "no_data": draw(st.sampled_from(["no_result", "met", {"counts_as": 98}])),
        "defaults": {"kind": "every_miss"},
        "relief": draw(_reliefs()),
        "credits": [
            {
                "is_a": "two_way" if two_way else "service_credit",
                "due": draw(st.sampled_from([{"kind": "on_default"}, {"kind": "every_period"}])),
                "quantity": quantity,
                "rate": rate,
                "factors": draw(_factors()),
                **draw(_conditions()),
            }
        ],
    }


@st.composite
def _quantities(draw: st.DrawFn) -> dict[str, Any]:
    absence = draw(_NUMBERS)
    return draw(
        st.sampled_from(
            [
                {"kind": "one"},
                {"kind": "figure", "metric": "failures", **absence},
                {"kind": "circumstance", "circumstance": "areas", **absence},
                {"kind": "shortfall", "metric": "volume", "counted_from": 90, "step": 1,
                 "part_step": "in_proportion", **absence},
                {"kind": "excess", "metric": "failures", "counted_from": 1, "step": 1,
                 "in_percent_of_start": False, "part_step": "counts_in_full", **absence},
                {"kind": "outside_range", "highest": "highest", "lowest": "lowest",
                 "at_least": 5, "at_most": 10, **absence},
                {"kind": "against_benchmark", "benchmark": 1, "per": 10, "metric": "volume",
                 **absence},
            ]
        )
    )  # fmt: skip


_RATES = st.sampled_from(
    [
        {"kind": "amount", "amount": "12.5"},
        {"kind": "percent_of", "percent": 2, "base": "fee"},
        {"kind": "fraction_of", "fraction": "1/30", "base": "fee"},
        {"kind": "day_of", "base": "fee"},
    ]
)


@st.composite
def _factors(draw: st.DrawFn) -> list[dict[str, Any]]:
    number, yes_no = draw(_NUMBERS), draw(_YES_NO)
    table = {"bands": [{"below": 2, "gives": 1}, {"at_least": 2, "gives": 2}]}
    choices: Sequence[dict[str, Any]] = (
        {"kind": "when", "circumstance": "peak", "factor": 2, "otherwise": 1, **yes_no},
        {"kind": "by_figure", "metric": "failures", **table, **number},
        {"kind": "figure", "metric": "volume", **number},
    )
    return draw(st.lists(st.sampled_from(choices), max_size=2, unique_by=lambda one: one["kind"]))


@st.composite
def _conditions(draw: st.DrawFn) -> dict[str, Any]:
    unknown = draw(st.sampled_from(["wait", "due", "not_due"]))
    choices: Sequence[dict[str, Any]] = (
        {},
        {"when": {"holds": "failed > 1.0", "unknown": unknown,
                  "reads": [{"kind": "figure", "name": "failed", "metric": "failures"}]}},
        {"when": {"holds": "open", "unknown": unknown,
                  "reads": [{"kind": "stated", "name": "open", "circumstance": "peak"}]}},
        {"when": {"holds": "many > 1.0", "unknown": unknown,
                  "reads": [{"kind": "circumstance", "name": "many", "circumstance": "areas"}]}},
    )  # fmt: skip
    return draw(st.sampled_from(choices))


@st.composite
def _reliefs(draw: st.DrawFn) -> list[dict[str, Any]]:
    choices: Sequence[dict[str, Any]] = (
        {"kind": "circumstance", "circumstance": "force-majeure", **draw(_YES_NO)},
        {"kind": "volume", "metric": "volume", "times_normal": {"above": 1},
         "normal_from": "normal", "notice": "notice"},
    )  # fmt: skip
    return draw(st.lists(st.sampled_from(choices), max_size=2, unique_by=lambda one: one["kind"]))


_FURTHER: Sequence[Mapping[str, Any]] = (
    {},
    {"claim": {"within_days": 30}},
    {"caps": [{"cap": "all", "window": "term", "limit": {"kind": "amount", "amount": 300},
               "opening": "given-before"}]},
    {"caps": [{"cap": "month", "window": "period",
               "limit": {"kind": "percent_of", "percent": 3, "base": "fee"}}]},
    {"critical_failure": {"circumstance": "critical", "decision": "withheld",
                          "withheld_at_most": {"kind": "amount", "amount": 80}}},
)  # fmt: skip


@st.composite
def facts(draw: st.DrawFn) -> list[dict[str, Any]]:
    """All that the terms above can read, stated for each month; some of it may be left out."""
    events = Events("generated")
    for month in MONTHS:
        for metric in METRICS:
            events.figure(month, draw(st.integers(0, 120)), metric=metric, unit="count")
        events.charge("fee", month, draw(st.integers(0, 200_000)))
        for name in ("areas", "normal"):
            events.circumstance(name, month, value=draw(st.integers(1, 9)))
        for name in ("peak", "force-majeure", "notice", "critical", "claim"):
            if draw(st.booleans()):
                events.circumstance(name, month)
        events.circumstance("withheld", month, value=draw(st.integers(0, 90)))
        events.circumstance("service_in_use", month, days_in_use=20, days_in_period=30)
    given = draw(st.integers(0, 290))
    events.circumstance("given-before", MONTHS[0], charges=0, credits=given)
    return events.list
