"""TMF623: an SLA and its violations, in and out, with what is lost on the way."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.agreement import Agreement
from schemas.statement import SettlementStatement
from services.core.contracts.interchange.tmf623 import (
    from_sla,
    from_violation,
    to_sla,
    to_violations,
)
from tests.core.interchange.filling import documents, filled
from tests.core.interchange.written_told import campus
from tests.core.told import LEVEL, evaluation, settled, terms

SLA: dict[str, Any] = {
    "id": "fast-data",
    "name": "Fast data",
    "description": "Data at high speed.",
    "version": "2",
    "validFor": {
        "startDateTime": "2025-01-01T00:00:00+01:00",
        "endDateTime": "2027-01-01T00:00:00+01:00",
    },
    "template": {"href": "https://acme.example/slaTemplate/42"},
    "relatedParty": [
        {"href": "https://acme.example/party/acme", "role": "SLAProvider"},
        {"id": "Town Hall", "role": "SLAConsumer"},
        {"id": "watcher", "role": "SLAAuditor"},
    ],
    "rule": [
        {
            "id": "downstream",
            "metric": "https://acme.example/metrics/downstream",
            "unit": "count",
            "referenceValue": "1024",
            "operator": ".ge",
            "tolerance": "0.20",
            "consequence": "https://acme.example/clause/45",
        },
        {
            "id": "delay",
            "metric": "delay",
            "unit": "ms",
            "referenceValue": "20.5",
            "operator": ".lt",
            "tolerance": "0",
        },
        {
            "id": "availability",
            "metric": "availability",
            "unit": "string",
            "referenceValue": "available",
            "operator": ".eq",
        },
    ],
}
EXACT = {**SLA, "rule": SLA["rule"][:2]}
MEAN = {"delay": {"measure": {"kind": "mean"}}, "downstream": {"measure": {"kind": "total"}}}


def january(uptime: object) -> tuple[SettlementStatement, Agreement]:
    """A month's statement."""
    agreement = terms()
    (statement,) = settled(agreement, [evaluation("2025-01", uptime)])
    return statement, agreement


def test_rules_become_metrics_and_levels_with_the_word_of_their_operator() -> None:
    programme, (agreement,) = documents(from_sla({"sla": SLA}))
    assert (programme["buyer"], agreement["vendor"]) == ("town-hall", "acme")
    assert (agreement["agreement"], agreement["version"]) == ("fast-data", 2)
    assert (agreement["effective_from"], agreement["effective_until"]) == (
        "2025-01-01", "2027-01-01",
    )  # fmt: skip
    assert {one["level"]: one["expected"] for one in agreement["levels"]} == {
        "downstream": {"at_least": "1024"},
        "delay": {"below": "20.5"},
        "availability": {"at_least_or_at_most": "available"},
    }
    assert [
        (one["metric"], one.get("unit"), one.get("better")) for one in programme["metrics"]
    ] == [
        ("downstream", "count", "higher"),
        ("delay", "milliseconds", "lower"),
        ("availability", None, None),
    ]


@pytest.mark.parametrize("said", [{"id": "ONYX"}, {"href": "https://acme.example/party/ONYX/"}])
def test_a_party_is_named_by_the_end_of_its_address(said: dict[str, str]) -> None:
    parties = [{**said, "role": "SLAProvider"}, SLA["relatedParty"][1]]
    _, (agreement,) = documents(from_sla({**SLA, "relatedParty": parties}))
    assert agreement["vendor"] == "onyx"


def test_what_has_no_place_is_reported_and_what_is_not_said_must_be_stated() -> None:
    imported = from_sla(SLA)
    assert {
        "template", "description", "relatedParty[2]", "rule[0].tolerance", "rule[0].consequence",
        "rule[2].unit",
    } <= {one.where for one in imported.lost}  # fmt: skip
    assert {
        "currency", "settled", "conventions", "time_zone", "metrics[0].measure",
        "levels[2].expected.at_least_or_at_most", "metrics[2].unit", "levels[0].no_data",
    } <= {one.path for one in imported.must_be_stated}  # fmt: skip


def test_a_consequence_is_kept_as_a_clause() -> None:
    _, (agreement,) = documents(from_sla(SLA))
    assert agreement["clauses"] == [
        {
            "clause": "downstream",
            "about": "other",
            "text": "Consequence: https://acme.example/clause/45",
        }
    ]


def test_a_version_or_date_that_does_not_fit_is_reported_or_refused() -> None:
    half = from_sla({**SLA, "version": "0.1"})
    assert "version" in {one.where for one in half.lost}
    noon = from_sla({**SLA, "validFor": {"startDateTime": "2025-01-01T12:00:00Z"}})
    assert "validFor.startDateTime" in {one.where for one in noon.lost}
    with pytest.raises(ValueError, match="startDateTime is 'soon', no moment"):
        from_sla({**SLA, "validFor": {"startDateTime": "soon"}})
    with pytest.raises(ValueError, match="the SLA has no rule"):
        from_sla({**SLA, "rule": []})


@pytest.mark.parametrize("said", ["\u00b2", "9" * 5000, "01", "1.0", "-1"])
def test_a_version_in_odd_digits_is_reported(said: str) -> None:
    found = from_sla({**SLA, "version": said})
    assert ("version", f"'{said}' is no whole number from 1") in [
        (one.where, one.what) for one in found.lost
    ]


@pytest.mark.parametrize("said", ["2025-W05-5T00:00+00:00", "20250131T000000Z", "2025-01-31"])
def test_a_moment_in_another_form_is_refused(said: str) -> None:
    with pytest.raises(ValueError, match="no moment; write 2025-02-01T00:00:00Z"):
        from_sla({**SLA, "validFor": {"startDateTime": said}})


def test_in_and_out_again_gives_the_same_parties_dates_and_rules() -> None:
    programme, (agreement,) = filled(from_sla(EXACT), **MEAN)
    berlin = programme.model_copy(update={"time_zone": "Europe/Berlin"})
    out = to_sla(agreement, berlin).document
    assert out["validFor"] == SLA["validFor"]
    assert (out["id"], out["name"], out["version"]) == ("fast-data", "Fast data", "2")
    same = ("id", "referenceValue", "operator")
    assert [[one[name] for name in same] for one in out["rule"]] == [
        [one[name] for name in same] for one in EXACT["rule"]
    ]
    assert out["rule"][0]["consequence"] == "https://acme.example/clause/45"
    again, (second,) = filled(from_sla(out), **MEAN)
    assert second.levels == tuple(
        one.model_copy(update={"name": one.level}) for one in agreement.levels
    )
    assert (second.vendor, second.clauses) == (agreement.vendor, agreement.clauses)
    assert again.buyer == programme.buyer


def test_what_a_miss_costs_is_reported_as_lost_on_the_way_out() -> None:
    exported = to_sla(terms(), campus())
    lost = {one.where for one in exported.lost}
    assert {"bases", "conventions", "levels.uptime.credits", "metrics.uptime.measure"} <= lost
    assert exported.document["rule"] == [
        {"id": "uptime", "metric": "uptime", "unit": "percent", "referenceValue": "99",
         "operator": ".ge", "tolerance": "0"}
    ]  # fmt: skip


def test_a_missed_level_becomes_a_violation_with_the_statement_as_its_consequence() -> None:
    statement, agreement = january("98.5")
    (exported,) = to_violations(statement, agreement, campus())
    document = exported.document
    assert document["date"] == "2025-02-01T00:00:00-05:00"
    assert document["violation"]["rule"] == {"id": "uptime", "metric": "uptime"}
    assert document["violation"]["actualValue"] == "98.5"
    assert document["violation"]["referenceValue"] == "99"
    assert document["violation"]["consequence"].startswith("statement hosting 2025-01: ")
    assert {"consequence", "date"} <= {one.where for one in exported.lost}


@pytest.mark.parametrize(("tie", "operator"), [("at_least", ".ge"), ("above", ".gt")])
def test_a_level_that_was_found_by_measuring_has_the_operator_of_its_ties(
    tie: str, operator: str
) -> None:
    moves = (
        f"    moves: {{kind: baseline, periods: 1, tie: {tie}, minimum: worst, rounded: exact, "
        "no_data: starts_anew}\n    judged"
    )
    level = LEVEL.replace("    expected: {at_least: 99}\n", "").replace("    judged", moves)
    agreement = terms(level=level)
    known = [evaluation("2025-01", "99.5"), evaluation("2025-02", 98)]
    _, february = settled(agreement, known)
    (exported,) = to_violations(february, agreement, campus())
    violation = exported.document["violation"]
    assert (violation["operator"], violation["referenceValue"]) == (operator, "99.5")


def test_a_level_that_was_met_is_no_violation() -> None:
    assert to_violations(*january("99"), campus()) == ()


def test_a_violation_comes_in_as_the_declared_figure_of_its_period() -> None:
    statement, agreement = january("98.5")
    (violation,) = to_violations(statement, agreement, campus())
    event = from_violation(
        {"slaViolation": violation.document}, agreement, campus(), source="urn:nimbus"
    ).document
    assert event["type"] == "earnback.figure.v1"
    assert event["data"] == {
        "metric": "uptime", "period": "2025-01", "value": "98.5", "unit": "percent",
    }  # fmt: skip
    again, _ = january(event["data"]["value"])
    assert again.total_minor == statement.total_minor == 10_000


def test_a_limit_that_was_read_as_a_binary_float_is_refused_with_its_place() -> None:
    rules = [{**SLA["rule"][1], "referenceValue": 20.5}]
    with pytest.raises(ValueError, match=r"^rule\[0\]\.referenceValue is a binary float"):
        from_sla({**SLA, "rule": rules})


def test_the_period_of_a_violation_can_be_said() -> None:
    statement, agreement = january("98.5")
    (violation,) = to_violations(statement, agreement, campus())
    event = from_violation(
        violation.document, agreement, campus(), source="urn:nimbus", period="2024-11"
    ).document
    assert event["data"]["period"] == "2024-11"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"rule": {"id": "other"}}, "has no level 'other'"),
        ({"unit": "ms"}, "violation.unit is ms, of uptime it is percent"),
        ({"actualValue": "much"}, "not an exact number"),
        ({"actualValue": None}, "not an exact number"),
        ({"actualValue": 98.5}, "actualValue is a binary float"),
    ],
)
def test_a_violation_that_does_not_fit_is_refused(change: dict[str, Any], reason: str) -> None:
    statement, agreement = january("98.5")
    (exported,) = to_violations(statement, agreement, campus())
    body = {**exported.document["violation"], **change}
    violation = {**exported.document, "violation": body}
    with pytest.raises(ValueError, match=reason):
        from_violation(violation, agreement, campus(), source="urn:nimbus")


def test_a_metric_that_is_counted_takes_no_declared_figure() -> None:
    statement, agreement = january("98.5")
    (exported,) = to_violations(statement, agreement, campus())
    counted = campus(("kind: declared", "kind: ratio, nothing_to_count: no_data"))
    with pytest.raises(ValueError, match="uptime is counted from facts"):
        from_violation(exported.document, agreement, counted, source="urn:nimbus")


def test_what_must_be_stated_is_said_of_a_file_that_is_imported() -> None:
    refusals = from_sla(SLA).must_be_stated
    assert {one.file for one in refusals} == {"imported.yaml"}


def test_a_violation_of_a_level_that_was_found_is_without_tolerance_too() -> None:
    moves = (
        "    moves: {kind: baseline, periods: 2, tie: at_least, minimum: none, rounded: exact, "
        "no_data: starts_anew}\n"
    )
    found = terms(level=LEVEL.replace("    expected: {at_least: 99}\n", moves))
    values = (("2025-01", "99.6"), ("2025-02", "99.8"), ("2025-03", "99.2"))
    *_, march = settled(found, [evaluation(month, value) for month, value in values])
    (violation,) = to_violations(march, found, campus())
    told = violation.document["violation"]
    assert (told["tolerance"], told["referenceValue"]) == ("0", "99.7")
