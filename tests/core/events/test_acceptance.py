"""Which events may count, and the first reason of those that may not."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

from schemas.programme import Metric, Programme
from services.core.calendar.windows import microseconds
from services.core.events.facts import Row
from services.core.events.rejections import Rejection, RejectionCode
from services.core.events.rules import rules_of
from tests.core.said import (
    DESK,
    FINANCE,
    NUMBERS,
    PROBE,
    PROGRAMME,
    Said,
    agreement,
    judged,
    moment,
    programme,
    usual_rules,
)

AT = moment("2025-01-10 10:00")
NOW = microseconds(AT)
DAY_US = 86_400_000_000
SAMPLE = {"metric": "samples", "up": True}
COUNT = {"metric": "ratio", "good": 1, "total": 2}
RESPONSE = {"metric": "mean", "value": "1.5", "unit": "milliseconds"}
VOLUME = {"metric": "total", "value": 7, "unit": "count"}
OUTAGE = {"metric": "merged", "outage": "o1", "phase": "open"}
FIXED = OUTAGE | {"phase": "correct"}
TICKET = {"metric": "tickets", "ticket": "t1", "state": "opened"}
DELIVERY = {"metric": "deliveries", "delivery": "d1", "due_at": "2025-01-10T10:00:00Z"}
FIGURE = {"metric": "declared", "period": "2025-01", "value": "99.5", "unit": "percent"}
CORRECTION = {"corrects": "e0", "reason": "wrong"}
CHARGE = {
    "agreement": "north-wan",
    "base": "invoice",
    "period": "2025-01",
    "amount": "100.00",
    "currency": "EUR",
}
CIRCUMSTANCE = {"agreement": "north-wan", "circumstance": "claim", "period": "2025-01"}

GOOD: list[tuple[str, dict[str, Any]]] = [
    ("sample", SAMPLE),
    ("sample", SAMPLE | {"subject": "a"}),
    ("sample", SAMPLE | {"subject": None}),
    ("sample", SAMPLE | {"subject": "a" * 120}),
    ("count", COUNT),
    ("count", COUNT | {"good": 0, "total": 0}),
    ("response", RESPONSE),
    ("response", RESPONSE | {"value": Decimal("1.5")}),
    ("volume", VOLUME),
    ("outage", OUTAGE),
    ("outage", FIXED | {"started_at": "2025-01-01T00:00:00Z"}),
    ("outage", FIXED | {"void": True}),
    (
        "outage",
        FIXED | {"started_at": "2025-01-01T00:00:00Z", "ended_at": "2025-01-01T01:00:00+01:00"},
    ),
    ("ticket", TICKET | {"assigned_to": "north"}),
    ("ticket", TICKET | {"assigned_to": "acme"}),
    ("delivery", DELIVERY),
    ("figure", FIGURE),
    ("correction", CORRECTION),
    ("correction", CORRECTION | {"data": SAMPLE}),
    ("charge", CHARGE),
    ("charge", CHARGE | {"amount": "0.25"}),
    ("circumstance", CIRCUMSTANCE),
]


@pytest.mark.parametrize(("kind", "data"), GOOD)
def test_a_good_event_becomes_a_row(kind: str, data: dict[str, Any]) -> None:
    found = judged(Said(PROBE, "e1", kind, AT, data), party="north", received_us=NOW)
    assert isinstance(found, Row)
    assert (found.source, found.id, found.at_us) == (PROBE, "e1", NOW)
    assert found.metric == NUMBERS.get(("acme", data.get("metric", "")), -1)
    assert found.subject == data.get("subject")


BAD: list[tuple[str, dict[str, Any], RejectionCode, str]] = [
    ("sampel", SAMPLE, RejectionCode.UNKNOWN_TYPE, "/type"),
    ("sample", {"up": True}, RejectionCode.BAD_DATA, "/data/metric"),
    ("sample", SAMPLE | {"metric": ["samples"]}, RejectionCode.BAD_DATA, "/data/metric"),
    ("sample", SAMPLE | {"metric": "sampels"}, RejectionCode.UNKNOWN_METRIC, "/data/metric"),
    ("sample", SAMPLE | {"up": "yes"}, RejectionCode.BAD_DATA, "/data/up"),
    ("sample", SAMPLE | {"up": 1}, RejectionCode.BAD_DATA, "/data/up"),
    ("sample", SAMPLE | {"subject": "two words"}, RejectionCode.BAD_DATA, "/data/subject"),
    ("sample", SAMPLE | {"subject": "a" * 121}, RejectionCode.BAD_DATA, "/data/subject"),
    ("sample", SAMPLE | {"a/b": 1}, RejectionCode.BAD_DATA, "/data/a~1b"),
    ("sample", SAMPLE | {"a~b": 1}, RejectionCode.BAD_DATA, "/data/a~0b"),
    ("sample", SAMPLE | {"metric": "ratio"}, RejectionCode.KIND_DOES_NOT_FIT, "/type"),
    ("sample", SAMPLE | {"metric": "series"}, RejectionCode.UNKNOWN_METRIC, "/data/metric"),
    ("count", COUNT | {"good": -1}, RejectionCode.NEGATIVE_COUNT, "/data/good"),
    ("count", COUNT | {"good": 0, "total": -1}, RejectionCode.NEGATIVE_COUNT, "/data/total"),
    ("count", COUNT | {"good": 3}, RejectionCode.GOOD_EXCEEDS_TOTAL, "/data/good"),
    ("count", COUNT | {"total": 2**62}, RejectionCode.TOO_LARGE, "/data/total"),
    ("count", COUNT | {"good": 1.0}, RejectionCode.BAD_DATA, "/data/good"),
    ("count", COUNT | {"good": True}, RejectionCode.BAD_DATA, "/data/good"),
    ("count", COUNT | {"total": 0}, RejectionCode.GOOD_EXCEEDS_TOTAL, "/data/good"),
    ("count", COUNT | {"total": "2"}, RejectionCode.BAD_DATA, "/data/total"),
    ("count", COUNT | {"subject": "two words"}, RejectionCode.BAD_DATA, "/data/subject"),
    ("response", RESPONSE | {"unit": "seconds"}, RejectionCode.WRONG_UNIT, "/data/unit"),
    ("response", RESPONSE | {"unit": "parsecs"}, RejectionCode.WRONG_UNIT, "/data/unit"),
    ("response", RESPONSE | {"value": 1.5}, RejectionCode.NOT_EXACT, "/data/value"),
    ("response", RESPONSE | {"value": "NaN"}, RejectionCode.NOT_EXACT, "/data/value"),
    ("response", RESPONSE | {"value": Decimal("NaN")}, RejectionCode.NOT_EXACT, "/data/value"),
    ("response", RESPONSE | {"value": "1/3"}, RejectionCode.NOT_EXACT, "/data/value"),
    ("response", RESPONSE | {"value": "1\n"}, RejectionCode.NOT_EXACT, "/data/value"),
    ("response", RESPONSE | {"value": "1.2345"}, RejectionCode.TOO_MANY_DECIMALS, "/data/value"),
    ("response", RESPONSE | {"value": str(2**62)}, RejectionCode.TOO_LARGE, "/data/value"),
    ("response", RESPONSE | {"value": str(-(2**62))}, RejectionCode.TOO_LARGE, "/data/value"),
    ("response", {"metric": "mean", "unit": "milliseconds"}, RejectionCode.BAD_DATA, "/data/value"),
    ("outage", OUTAGE | {"void": True}, RejectionCode.TIMES_OUT_OF_ORDER, "/data/phase"),
    ("outage", FIXED, RejectionCode.TIMES_OUT_OF_ORDER, "/data"),
    (
        "outage",
        FIXED | {"started_at": "2025-01-01T00:00:00.000001Z", "ended_at": "2025-01-01T00:00:00Z"},
        RejectionCode.TIMES_OUT_OF_ORDER,
        "/data/ended_at",
    ),
    (
        "outage",
        FIXED | {"started_at": "2025-01-02T00:00:00"},
        RejectionCode.BAD_DATA,
        "/data/started_at",
    ),
    ("response", RESPONSE | {"value": "-10000.001"}, RejectionCode.OUT_OF_RANGE, "/data/value"),
    ("volume", VOLUME | {"value": -10001}, RejectionCode.OUT_OF_RANGE, "/data/value"),
    ("delivery", DELIVERY | {"value": "-0.01"}, RejectionCode.OUT_OF_RANGE, "/data/value"),
    ("ticket", TICKET | {"metric": "samples"}, RejectionCode.KIND_DOES_NOT_FIT, "/type"),
    (
        "ticket",
        TICKET | {"assigned_to": "nobody"},
        RejectionCode.UNKNOWN_VENDOR,
        "/data/assigned_to",
    ),
    ("figure", FIGURE | {"value": "-10"}, RejectionCode.OUT_OF_RANGE, "/data/value"),
    ("figure", FIGURE | {"value": "100.001"}, RejectionCode.OUT_OF_RANGE, "/data/value"),
    ("figure", FIGURE | {"value": "101.1234"}, RejectionCode.TOO_MANY_DECIMALS, "/data/value"),
    ("figure", FIGURE | {"value": 99.5}, RejectionCode.NOT_EXACT, "/data/value"),
    ("figure", FIGURE | {"unit": "points"}, RejectionCode.WRONG_UNIT, "/data/unit"),
    ("figure", FIGURE | {"period": "2025-13"}, RejectionCode.BAD_DATA, "/data/period"),
    ("correction", CORRECTION | {"data": {"up": True}}, RejectionCode.BAD_DATA, "/data/data"),
    (
        "correction",
        CORRECTION | {"data": COUNT | {"good": 3}},
        RejectionCode.GOOD_EXCEEDS_TOTAL,
        "/data/data/good",
    ),
    ("charge", CHARGE | {"agreement": "south"}, RejectionCode.UNKNOWN_AGREEMENT, "/data/agreement"),
    ("charge", CHARGE | {"currency": "USD"}, RejectionCode.WRONG_CURRENCY, "/data/currency"),
    ("charge", CHARGE | {"base": "fee"}, RejectionCode.UNKNOWN_BASE, "/data/base"),
    ("charge", CHARGE | {"amount": "-0.01"}, RejectionCode.OUT_OF_RANGE, "/data/amount"),
    ("charge", CHARGE | {"credit_note": True}, RejectionCode.OUT_OF_RANGE, "/data/amount"),
    ("charge", CHARGE | {"credit_note": False}, RejectionCode.BAD_DATA, "/data/credit_note"),
    ("charge", CHARGE | {"amount": "1.005"}, RejectionCode.TOO_MANY_DECIMALS, "/data/amount"),
    ("charge", CHARGE | {"amount": str(2**62)}, RejectionCode.TOO_LARGE, "/data/amount"),
    (
        "charge",
        CHARGE | {"amount": "46116860184273879.04"},
        RejectionCode.TOO_LARGE,
        "/data/amount",
    ),
    ("charge", CHARGE | {"amount": "a hundred"}, RejectionCode.NOT_EXACT, "/data/amount"),
    (
        "circumstance",
        CIRCUMSTANCE | {"level": "uptme"},
        RejectionCode.UNKNOWN_LEVEL,
        "/data/level",
    ),
    (
        "circumstance",
        CIRCUMSTANCE | {"values": {"A": 1}},
        RejectionCode.BAD_DATA,
        "/data/values/A/[key]",
    ),
]


@pytest.mark.parametrize(("kind", "data", "code", "field"), BAD)
def test_a_bad_event_is_told_its_field_reason_and_remedy(
    kind: str, data: dict[str, Any], code: RejectionCode, field: str
) -> None:
    found = judged(Said(PROBE, "e1", kind, AT, data), party="north", received_us=NOW)
    assert isinstance(found, Rejection)
    assert (found.code, found.field) == (code, field)
    assert found.reason
    assert found.remedy


LATER = (AT + timedelta(minutes=5, microseconds=1)).isoformat()
SOON = (AT + timedelta(minutes=5)).isoformat()


@pytest.mark.parametrize(
    ("kind", "data", "field"),
    [
        ("outage", FIXED | {"started_at": LATER}, "/data/started_at"),
        ("outage", FIXED | {"ended_at": LATER}, "/data/ended_at"),
        ("outage", FIXED | {"started_at": SOON, "ended_at": LATER}, "/data/ended_at"),
        ("delivery", DELIVERY | {"delivered_at": LATER}, "/data/delivered_at"),
        ("correction", CORRECTION | {"time": LATER}, "/data/time"),
        ("correction", CORRECTION | {"data": FIXED | {"ended_at": LATER}}, "/data/data/ended_at"),
        (
            "correction",
            CORRECTION | {"data": DELIVERY | {"delivered_at": LATER}},
            "/data/data/delivered_at",
        ),
        ("correction", CORRECTION | {"data": CORRECTION | {"time": LATER}}, "/data/data/time"),
    ],
)
def test_what_has_happened_lies_no_further_ahead_than_clocks_may_differ(
    kind: str, data: dict[str, Any], field: str
) -> None:
    said = Said(PROBE, "e1", kind, AT, data)
    found = judged(said, party="north", received_us=NOW)
    assert isinstance(found, Rejection)
    assert (found.code, found.field) == (RejectionCode.IN_THE_FUTURE, field)
    assert found.reason == (
        "the time stated here lies ahead of the event's arrival by more than clocks may differ"
    )
    assert isinstance(judged(said, party="north"), Row), "where arrival does not matter"


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("outage", FIXED | {"started_at": SOON, "ended_at": SOON}),
        ("delivery", DELIVERY | {"due_at": "2031-01-01T00:00:00Z"}),
        ("delivery", DELIVERY | {"delivered_at": SOON}),
        ("correction", CORRECTION | {"time": SOON}),
    ],
)
def test_what_is_due_may_lie_ahead_and_clocks_may_differ(kind: str, data: dict[str, Any]) -> None:
    found = judged(Said(PROBE, "e1", kind, AT, data), party="north", received_us=NOW)
    assert isinstance(found, Row)


def test_data_with_several_wrong_fields_is_told_all_of_them_but_no_more_than_ten() -> None:
    wrong = COUNT | {"good": "1", "total": -0.5}
    for kind, data, within in (
        ("count", wrong, "/data"),
        ("correction", CORRECTION | {"data": wrong}, "/data/data"),
    ):
        found = judged(Said(PROBE, "e1", kind, AT, data))
        assert isinstance(found, Rejection)
        assert [each.field for each in (found, *found.also)] == [
            f"{within}/good",
            f"{within}/total",
        ]
        assert all(each.reason and each.remedy and not each.also for each in found.also)
    many = judged(Said(PROBE, "e1", "sample", AT, SAMPLE | {f"f{n}": n for n in range(20)}))
    assert isinstance(many, Rejection)
    assert len(many.also) == 9


@pytest.mark.parametrize(
    ("unit", "low", "high"),
    [
        ("percent", 0, 100), ("milliseconds", 0, None), ("seconds", 0, None),
        ("minutes", 0, None), ("hours", 0, None), ("days", 0, None), ("count", 0, None),
        ("money", None, None), ("points", None, None),
    ],
)  # fmt: skip
@pytest.mark.parametrize("kind", ["total", "mean", "maximum", "minimum", "declared"])
def test_a_value_is_in_the_range_of_its_unit_unless_its_metric_says_another(
    unit: str, low: int | None, high: int | None, kind: str
) -> None:
    base = {"metric": "m", "name": "M", "unit": unit, "better": "lower"}
    metric = Metric.model_validate(base | {"measure": {"kind": kind}})
    assert metric.value_range == (low, high)
    stated = {"kind": kind, "at_least": "-1.5", "at_most": 500}
    metric = Metric.model_validate(base | {"measure": stated})
    assert metric.value_range == (Fraction(-3, 2), 500)


@pytest.mark.parametrize("value", [-2, "-1.5", "-1.501", 0, "9.999", 10, "10.001"])
def test_a_value_is_held_against_the_stated_range_to_the_last_decimal(value: Any) -> None:
    metric = {
        "metric": "mean", "name": "M", "unit": "points", "better": "lower",
        "measure": {"kind": "mean", "at_least": "-1.5", "at_most": "9.9999"},
    }  # fmt: skip
    sources = [{"source": PROBE, "reports_for": "north"}]
    rules = rules_of([programme(metrics=[metric], sources=sources)], None, {("acme", "mean"): 0})
    data = {"metric": "mean", "value": value, "unit": "points"}
    found = judged(Said(PROBE, "e1", "response", AT, data), rules)
    possible = Fraction(-3, 2) <= Fraction(value) <= Fraction("9.9999")
    assert isinstance(found, Row) == possible
    if isinstance(found, Rejection):
        assert found.code is RejectionCode.OUT_OF_RANGE


READING = {
    "levels": [
        {
            "metric": "samples",
            "credits": [
                {
                    "is_a": "penalty",
                    "due": {"kind": "on_default"},
                    "quantity": {"kind": "circumstance", "circumstance": "quantity"},
                    "rate": {"kind": "amount", "amount": 1},
                }
            ],
            "relief": [
                {
                    "kind": "volume",
                    "metric": "total",
                    "times_normal": {"at_least": 2},
                    "normal_from": "normal",
                }
            ],
        }
    ],
    "conversions": [
        {
            "kind": "of_period",
            "currency": "USD",
            "quoted": "own_for_foreign",
            "source": "bank",
            "rounded": "exact",
            "circumstance": "rate",
        }
    ],
    "caps": [
        {
            "cap": "all",
            "window": "term",
            "limit": {"kind": "amount", "amount": 9},
            "opening": "cap-opening",
        }
    ],
    "banks": [{"bank": "b", "usable": "same_period", "opening": "bank-opening"}],
    "critical_failure": {
        "circumstance": "crash",
        "decision": "decision",
        "withheld_at_most": {"kind": "amount", "amount": 9},
    },
    "invoicing": {
        "invoice": "invoice",
        "deducted_from": "same_period",
        "rest": {"kind": "cash", "within_days": 30},
    },
    "disputes": {
        "circumstance": "dispute",
        "working_days": 20,
        "holidays": [],
        "effect": {"at_least": 3000},
        "needs_error": True,
        "disputed_amount": "stays_due",
    },
}
NUMBERS_READ = rules_of([PROGRAMME], [agreement(**READING)], NUMBERS)
NUMBERS_STATED: dict[str, tuple[dict[str, Any], str, str]] = {
    "quantity": ({"value": -5000}, "/data/value", "a quantity"),
    "rate": ({"value": 0}, "/data/value", "a rate of exchange"),
    "normal": ({"value": "-1"}, "/data/value", "a normal volume"),
    "cap-opening": ({"values": {"charges": 10, "credits": -1}}, "/data/values/credits", "begins"),
    "bank-opening": ({"value": -1}, "/data/value", "begins with"),
    "decision": ({"value": -1}, "/data/value", "withhold"),
    "invoice": ({"values": {"charges": -1}}, "/data/values/charges", "invoiced"),
    "dispute": ({"values": {"effect": -1}}, "/data/values/effect", "effect of an error"),
    "service_in_use": (
        {"values": {"days_in_use": 32, "days_in_period": 31}}, "/data/values/days_in_use", "more",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", NUMBERS_STATED)
def test_a_number_that_a_term_reads_is_never_below_nothing(name: str) -> None:
    stated, field, words = NUMBERS_STATED[name]
    data = CIRCUMSTANCE | {"circumstance": name} | stated
    found = judged(Said(PROBE, "e1", "circumstance", AT, data), NUMBERS_READ)
    assert isinstance(found, Rejection)
    assert (found.code, found.field) == (RejectionCode.OUT_OF_RANGE, field)
    assert words in found.reason
    unread = data | {"circumstance": "unread"}
    assert isinstance(judged(Said(PROBE, "e1", "circumstance", AT, unread), NUMBERS_READ), Row)


def test_a_declared_figure_out_of_range_names_the_range() -> None:
    found = judged(Said(PROBE, "e1", "figure", AT, FIGURE | {"value": "-10"}))
    assert isinstance(found, Rejection)
    assert found.reason == "-10 is not between 0 and 100"


@pytest.mark.parametrize(("kind", "data"), [("sample", SAMPLE), ("charge", CHARGE)])
def test_a_source_speaks_only_for_its_own_party(kind: str, data: dict[str, Any]) -> None:
    found = judged(Said(PROBE, "e1", kind, AT, data), party="desk")
    assert isinstance(found, Rejection)
    assert found.code is RejectionCode.UNKNOWN_SOURCE
    unknown = judged(Said("urn:new", "e1", kind, AT, data))
    assert isinstance(unknown, Rejection)
    assert unknown.code is RejectionCode.UNKNOWN_SOURCE


def test_what_is_made_of_other_metrics_is_reported_by_nobody() -> None:
    found = judged(Said(FINANCE, "e1", "sample", AT, SAMPLE | {"metric": "series"}), party="acme")
    assert isinstance(found, Rejection)
    assert (found.code, found.field) == (RejectionCode.KIND_DOES_NOT_FIT, "/type")
    assert found.remedy == "send facts of the metrics it is made of"


def test_a_source_speaks_for_the_party_that_the_version_in_force_names() -> None:
    sources = [{"source": PROBE, "reports_for": "acme"}]
    rules = rules_of([PROGRAMME, programme(2, "2025-02-01", sources=sources)], None, NUMBERS)
    begins = moment("2025-01-31 23:00")
    for at, party in (
        (moment("2024-06-01 10:00"), "north"),
        (begins - timedelta(microseconds=1), "north"),
        (begins, "acme"),
        (begins + timedelta(microseconds=1), "acme"),
    ):
        for kind, data in (("sample", SAMPLE), ("charge", CHARGE)):
            said = Said(PROBE, "e1", kind, at, data)
            taken = [
                one for one in ("north", "acme") if isinstance(judged(said, rules, party=one), Row)
            ]
            assert taken == [party]


def test_a_day_that_its_zone_skipped_is_judged_by_the_events_own_time() -> None:
    rules = rules_of([programme(time_zone="Pacific/Apia")], None, NUMBERS)
    skipped = {"period": "2011-12-30"}
    for kind, data in (("figure", FIGURE | skipped), ("charge", CHARGE | skipped)):
        said = Said(PROBE, "e1", kind, AT, data)
        assert isinstance(judged(said, rules, latest_us=NOW), Row)
        assert isinstance(judged(said, rules, latest_us=NOW + 500 * DAY_US), Rejection)


def test_a_source_reports_only_the_metrics_it_may_and_its_own_agreements() -> None:
    for kind, data, code in (
        ("sample", SAMPLE, RejectionCode.METRIC_NOT_OF_SOURCE),
        ("charge", CHARGE, RejectionCode.UNKNOWN_AGREEMENT),
    ):
        found = judged(Said(DESK, "e1", kind, AT, data))
        assert isinstance(found, Rejection)
        assert found.code is code
    assert isinstance(judged(Said(FINANCE, "e1", "charge", AT, CHARGE)), Row)


@pytest.mark.parametrize("event_id", ["", "two words", "é", "a" * 201, "tab\t"])
@pytest.mark.parametrize(("kind", "data"), [("sample", SAMPLE), ("charge", CHARGE)])
def test_an_identity_is_printable_and_short(event_id: str, kind: str, data: dict[str, Any]) -> None:
    found = judged(Said(PROBE, event_id, kind, AT, data))
    assert isinstance(found, Rejection)
    assert found.code is RejectionCode.BAD_IDENTITY


@pytest.mark.parametrize(("kind", "data"), [("sample", SAMPLE), ("correction", CORRECTION)])
def test_an_event_may_lie_ahead_only_as_far_as_clocks_differ(
    kind: str, data: dict[str, Any]
) -> None:
    for ahead_s, good in ((300, True), (301, False)):
        event = Said(PROBE, "e1", kind, AT + timedelta(seconds=ahead_s), data)
        found = judged(event, received_us=NOW)
        assert isinstance(found, Row) == good
        if isinstance(found, Rejection):
            assert found.code is RejectionCode.IN_THE_FUTURE


@pytest.mark.parametrize(
    ("kind", "data"), [("sample", SAMPLE), ("figure", FIGURE), ("charge", CHARGE)]
)
def test_what_belongs_to_a_period_that_is_no_longer_settled_goes_to_review(
    kind: str, data: dict[str, Any]
) -> None:
    end = microseconds(moment("2025-01-31 23:00"))  # of January, in Berlin
    last = end + 400 * DAY_US
    at = AT if kind == "sample" else moment("2025-03-10 10:00")
    said, rules = Said(PROBE, "e1", kind, at, data), usual_rules()
    assert isinstance(judged(said, rules, latest_us=last), Row)
    found = judged(said, rules, latest_us=last + 1)
    assert isinstance(found, Rejection)
    assert found.code is RejectionCode.BEYOND_HORIZON
    assert found.for_review
    # The wall clock says nothing about it: what is replayed years later meets the same verdict.
    years_later = last + 20_000 * DAY_US
    assert isinstance(judged(said, rules, received_us=years_later), Row)


def test_what_is_said_of_a_period_before_its_time_is_judged_by_the_period() -> None:
    last = microseconds(moment("2025-01-31 23:00")) + 400 * DAY_US
    for at in (moment("2023-06-01 10:00"), moment("1905-06-01 10:00")):
        for kind, data in (("figure", FIGURE), ("charge", CHARGE)):
            assert isinstance(judged(Said(PROBE, "e1", kind, at, data), latest_us=last), Row)
        found = judged(Said(PROBE, "e1", "sample", at, SAMPLE), latest_us=last)
        assert isinstance(found, Rejection)
        assert found.code is RejectionCode.BEYOND_HORIZON


def test_the_version_in_force_at_the_events_time_judges_it() -> None:
    metric = {
        "metric": "mean",
        "name": "mean",
        "unit": "seconds",
        "better": "lower",
        "measure": {"kind": "mean"},
    }
    sources = [{"source": PROBE, "reports_for": "north"}]
    second = programme(2, "2025-02-01", metrics=[metric], sources=sources)
    rules = rules_of([PROGRAMME, second], None, NUMBERS)
    for at, unit, good in (
        ("2024-12-01 10:00", "milliseconds", True),
        ("2025-01-31 22:59", "milliseconds", True),
        ("2025-01-31 23:00", "milliseconds", False),
        ("2025-01-31 23:00", "seconds", True),
    ):
        event = Said(PROBE, "e1", "response", moment(at), RESPONSE | {"unit": unit})
        assert isinstance(judged(event, rules), Row) == good
    for charged in (AT, moment("2024-06-01 10:00")):
        assert isinstance(judged(Said(PROBE, "e1", "charge", charged, CHARGE), rules), Row)


def test_a_metric_that_a_later_version_adds_is_judged_by_that_version_before_it_too() -> None:
    sources = [{"source": PROBE, "reports_for": "north"}]

    def version(number: int, day: str, *units: str) -> Programme:
        metrics = [
            {"metric": "mean", "name": "mean", "unit": unit, "better": "lower",
             "measure": {"kind": "mean"}}
            for unit in units
        ] + [{"metric": "samples", "name": "samples", "unit": "percent", "better": "higher",
              "measure": {"kind": "availability_by_samples"}}]  # fmt: skip
        return programme(number, day, metrics=metrics, sources=sources)

    versions = [
        version(1, "2025-01-01"),
        version(2, "2025-02-01", "seconds"),
        version(3, "2025-03-01", "minutes"),
        version(4, "2025-04-01", "hours"),
    ]
    rules = rules_of(versions, None, NUMBERS)
    for at, unit in (
        ("2024-12-01 10:00", "seconds"),
        ("2025-01-10 10:00", "seconds"),
        ("2025-01-31 23:00", "seconds"),
        ("2025-02-28 22:59", "seconds"),
        ("2025-02-28 23:00", "minutes"),
        ("2025-03-31 21:59", "minutes"),
        ("2025-03-31 22:00", "hours"),
    ):
        for said in ("seconds", "minutes", "hours"):
            event = Said(PROBE, "e1", "response", moment(at), RESPONSE | {"unit": said})
            assert isinstance(judged(event, rules), Row) == (said == unit)


def test_two_programmes_cannot_claim_one_source() -> None:
    other = PROGRAMME.model_copy(update={"programme": "other"})
    numbers = NUMBERS | {("other", metric): number for (_, metric), number in NUMBERS.items()}
    with pytest.raises(ValueError, match="reports to one"):
        rules_of([PROGRAMME, other], None, numbers)


def test_a_charge_is_held_against_the_agreement_version_of_its_period() -> None:
    first = agreement([{"metric": "samples"}], currency="USD", effective_until="2025-03-01")
    second = agreement([{"metric": "samples"}], version=2, effective_from="2025-03-01")
    rules = rules_of([PROGRAMME], [first, second], NUMBERS)
    for period, currency, good in (
        ("2024-12", "USD", True),
        ("2025-02", "USD", True),
        ("2025-02", "EUR", False),
        ("2025-03", "EUR", True),
    ):
        data = CHARGE | {"period": period, "currency": currency}
        assert isinstance(judged(Said(PROBE, "e1", "charge", AT, data), rules), Row) == good
