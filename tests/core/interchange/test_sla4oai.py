"""SLA4OAI and iAgree: guarantees come in, limits of use and prices are reported as lost."""

from __future__ import annotations

import pytest

from services.core.contracts.interchange.carried import read_as_text, written_as_yaml
from services.core.contracts.interchange.sla4oai import from_sla4oai
from tests.core.interchange.filling import documents, filled, sample

IAGREE = """
{"id": "support-2025", "version": "1.0.0", "type": "agreement",
 "context": {"provider": "desk", "consumer": "town",
             "validity": {"initial": "2025-01-01", "timeZone": "Europe/Madrid"}},
 "terms": {
   "pricing": {"currency": "EUR", "billing": {"period": "monthly"}},
   "metrics": {"RESOLVED": {"description": "Tickets resolved in time"}},
   "guarantees": [{"id": "g1", "of": [{
      "objective": "RESOLVED >= '95.5'",
      "window": {"type": "static", "period": "monthly", "initial": "2025-01-01"},
      "penalties": [{"over": {"bill": {}}, "of": [
         {"value": "-5", "condition": "RESOLVED < 95"},
         {"value": "-10", "condition": "RESOLVED < 90"}], "upTo": "-10"}]}]}]}}
"""


def test_a_guarantee_becomes_a_level_with_the_word_of_its_operator() -> None:
    imported = from_sla4oai(sample("sla4oai-petstore-pro.yml"))
    programme, (agreement,) = documents(imported)
    assert (programme["buyer"], agreement["vendor"]) == ("tenant1", "isagroup")
    (level,) = agreement["levels"]
    assert (level["metric"], level["expected"]) == ("response-time-ms", {"at_most": "250"})
    assert programme["metrics"] == [
        {"metric": "response-time-ms", "name": "responseTimeMs", "better": "lower"}
    ]
    assert (agreement["currency"], agreement["effective_from"]) == ("EUR", "2015-05-16")


def test_each_plan_is_an_agreement_and_states_some_guarantees_anew() -> None:
    programme, (free, pro) = documents(from_sla4oai(sample("sla4oai-reasoner.yml")))
    assert (free["agreement"], pro["agreement"]) == ("free", "pro")
    assert {one["level"]: one["expected"] for one in free["levels"]} == {
        "uptime-percentage": {"above": "90"},
        "avg-response-time-ms-problems-post": {"below": "1000"},
    }
    assert {one["level"]: one["expected"] for one in pro["levels"]} == {
        "uptime-percentage": {"above": "95"},
        "avg-response-time-ms-problems-post": {"below": "500"},
    }
    assert [one["metric"] for one in programme["metrics"]] == [
        "uptime-percentage", "avg-response-time-ms",
    ]  # fmt: skip


def test_a_window_that_moves_is_refused_until_a_period_is_stated() -> None:
    imported = from_sla4oai(sample("sla4oai-petstore-pro.yml"))
    (refusal,) = (one for one in imported.must_be_stated if one.path == "levels[0].measured")
    assert refusal.reason == "'dynamic daily' is not a choice here"


@pytest.mark.parametrize(
    ("name", "where"),
    [
        ("sla4oai-petstore-pro.yml", "quotas"),
        ("sla4oai-petstore-pro.yml", "rates"),
        ("sla4oai-petstore-pro.yml", "pricing.cost"),
        ("sla4oai-petstore-pro.yml", "context.api"),
        ("sla4oai-petstore-pro.yml", "validity.effectiveDate"),
        ("sla4oai-reasoner.yml", "availability"),
        ("sla4oai-reasoner.yml", "pricing.currency"),
        ("sla4oai-reasoner.yml", "plans.pro.pricing.cost"),
        ("sla4oai-reasoner.yml", "plans.free.quotas"),
    ],
)
def test_what_has_no_place_is_reported(name: str, where: str) -> None:
    assert where in {one.where for one in from_sla4oai(sample(name)).lost}


@pytest.mark.parametrize("name", ["sla4oai-petstore-pro.yml", "sla4oai-reasoner.yml"])
def test_once_everything_is_stated_the_contract_is_without_fault(name: str) -> None:
    imported = from_sla4oai(sample(name))
    assert {"metrics[0].measure", "conventions", "settled"} <= {
        one.path for one in imported.must_be_stated
    }
    mean = {"unit": "milliseconds", "measure": {"kind": "mean"}}
    _, agreements = filled(imported, response_time_ms=mean, avg_response_time_ms=mean)
    assert len(agreements) in (1, 2)


def test_an_agreement_of_iagree_comes_in_with_its_penalties_to_be_stated_as_credits() -> None:
    imported = from_sla4oai(IAGREE)
    programme, (agreement,) = documents(imported)
    assert programme["time_zone"] == "Europe/Madrid"
    assert (agreement["agreement"], agreement["currency"]) == ("support-2025", "EUR")
    (level,) = agreement["levels"]
    assert (level["expected"], level["measured"]) == ({"at_least": "95.5"}, "month")
    lost = {one.where: one.what for one in imported.lost}
    assert lost["guarantees[0].of[0].penalties[0]"] == (
        "state it as a credit: bill: -5 if RESOLVED < 95; -10 if RESOLVED < 90, up to -10"
    )
    _, (whole,) = filled(imported)
    assert whole.levels[0].credits == ()


def test_an_objective_that_is_no_comparison_is_reported() -> None:
    text = IAGREE.replace("RESOLVED >= '95.5'", "RESOLVED >= LIMIT * 2")
    with pytest.raises(ValueError, match="holds no guarantee"):
        from_sla4oai(text)
    both = IAGREE.replace(
        '[{"id": "g1"',
        '[{"id": "g0", "of": [{"objective": "A > B", "period": "daily"}]}, {"id": "g1"',
    )
    assert any("'A > B' is no comparison" in one.what for one in from_sla4oai(both).lost)


def test_guarantees_that_are_none_are_reported_wherever_they_stand() -> None:
    text = sample("sla4oai-reasoner.yml")
    (document,) = read_as_text(text)
    document["plans"]["pro"]["guarantees"] = {"/all": "fast", "/problems": {"post": ["fast"]}}
    lost = {one.where: one.what for one in from_sla4oai(written_as_yaml([document])).lost}
    assert lost["plans.pro.guarantees./problems.post[0]"] == "is no mapping, as it should be"
    assert lost["plans.pro.guarantees./all"] == "holds no methods with guarantees, as it should"


def test_equality_leaves_open_which_side_is_met() -> None:
    imported = from_sla4oai(IAGREE.replace(">=", "=="))
    places = {one.path for one in imported.must_be_stated}
    assert "levels[0].expected.at_least_or_at_most" in places
    assert "metrics[0].better" in places


@pytest.mark.parametrize("text", ["", "a: 1\n---\nb: 2\n", "[1, 2]"])
def test_what_is_not_one_document_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="give one document"):
        from_sla4oai(text)


def test_a_text_may_have_so_many_characters_and_no_more() -> None:
    with pytest.raises(ValueError, match="more than 1000000 characters; split"):
        from_sla4oai("#" * 1_000_001)
    with pytest.raises(ValueError, match="not readable as YAML"):
        from_sla4oai("@" * 1_000_000)
