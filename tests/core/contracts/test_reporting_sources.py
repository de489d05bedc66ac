"""Which metrics a source reports, and how several sources of one metric stand together."""

from __future__ import annotations

import json

from schemas.programme import Programme
from services.core.contracts.language import additions, upgraded
from services.core.contracts.reading import read_documents
from services.core.contracts.upgrading import Upgrade, upgrade_text

HEAD = """\
kind: programme
language: 2
programme: campus
version: 1
effective_from: 2020-01-01
buyer: town
name: Campus
time_zone: Europe/Berlin
restated_for_days: 90
whose_word: {charges: either, circumstances: either, decisions: either, figures: either}
vendors: [{vendor: nimbus, name: Nimbus}]
"""
SOURCES = """\
sources:
  - {source: "urn:probe", reports_for: nimbus, metrics: [up, mean]}
  - {source: "urn:town", reports_for: town, metrics: [up]}
  - {source: "urn:books", reports_for: town, metrics: []}
"""
METRICS = """\
metrics:
  - {metric: up, name: Up, unit: percent, better: higher, several_sources: added,
     measure: {kind: availability_by_samples}}
  - {metric: mean, name: Mean, unit: milliseconds, better: lower, measure: {kind: mean}}
  - {metric: chain, name: Chain, unit: percent, better: higher,
     measure: {kind: series, parts: [up]}}
"""
LANGUAGE_1 = """\
kind: programme
programme: campus
version: 1
effective_from: 2020-01-01
buyer: town
name: Campus
time_zone: Europe/Berlin
restated_for_days: 90
vendors: [{vendor: nimbus, name: Nimbus}]
sources:
  - {source: "urn:probe", reports_for: nimbus, metrics: [up]}
  - source: urn:town
    reports_for: town
    metrics: []   # nothing was said
  - {source: "urn:any", reports_for: town}
metrics:
  - {metric: up, name: Up, unit: percent, better: higher, measure: {kind: availability_by_samples}}
  - {metric: mean, name: Mean, unit: milliseconds, better: lower, measure: {kind: mean}}
  - {metric: chain, name: Chain, unit: percent, better: higher,
     measure: {kind: series, parts: [up]}}
"""


def read(text: str) -> Programme:
    """The programme of a text without fault."""
    found, refusals = read_documents(text, "c.yaml")
    assert not refusals, [one.text() for one in refusals]
    (programme,) = found.programmes
    return programme


def refused(text: str) -> str:
    """The one refusal of a text."""
    (refusal,) = read_documents(text, "c.yaml")[1]
    return refusal.text()


def test_a_source_lists_its_metrics_or_an_empty_list() -> None:
    programme = read(HEAD + SOURCES + METRICS)
    assert programme.sources_of("up") == ("urn:probe", "urn:town")
    assert programme.sources_of("mean") == ("urn:probe",)
    assert programme.sources_of("chain") == ()


def test_a_source_without_a_list_is_refused_with_the_metrics_that_there_are() -> None:
    told = refused(HEAD + SOURCES.replace(", metrics: []", "") + METRICS)
    assert told.startswith(
        "c.yaml:15:5: sources[2].metrics: 'metrics' is not stated; add metrics: a list of up, "
        "mean, chain; or [] (Metrics that it reports"
    )


def test_a_metric_of_several_sources_says_how_they_stand_together() -> None:
    silent = METRICS.replace("several_sources: added,", "")
    assert (
        "metric up is reported by several sources, urn:probe, urn:town, and does not say how they "
        "stand together; state several_sources: added (all count together) or {binding: SOURCE} "
        "with one of them (the others are compared)"
    ) in refused(HEAD + SOURCES + silent)
    one_source = SOURCES.replace("metrics: [up]}", "metrics: []}")
    assert read(HEAD + one_source + silent).metrics[0].several_sources is None
    assert "only one may report it; leave it out" in refused(HEAD + one_source + METRICS)


def test_one_binding_source_is_one_that_lists_the_metric() -> None:
    bound = METRICS.replace("several_sources: added", 'several_sources: {binding: "urn:town"}')
    assert read(HEAD + SOURCES + bound).metrics[0].binding == "urn:town"
    told = refused(HEAD + SOURCES + bound.replace("urn:town", "urn:books"))
    assert "does not report it; name one of urn:probe, urn:town" in told


def test_what_nobody_reports_needs_no_word_on_its_sources() -> None:
    listed = SOURCES.replace("[up, mean]", "[up, mean, chain]").replace("[up]", "[up, chain]")
    assert read(HEAD + listed + METRICS).metrics[2].several_sources is None


ASKED = "# decide: which of them does it report? a period waits for each source that lists one\n"


def test_an_upgrade_writes_out_that_every_metric_may_come_and_that_all_count() -> None:
    found = upgrade_text(LANGUAGE_1, "c.yaml")
    assert isinstance(found, Upgrade)
    for line in (
        '  - {source: "urn:probe", reports_for: nimbus, metrics: [up]}',
        f"    {ASKED}    metrics: [up, mean]   # nothing was said",
        f'  {ASKED}  - {{source: "urn:any", reports_for: town, metrics: [up, mean]}}',
        "measure: {kind: availability_by_samples}, several_sources: added}",
        "measure: {kind: mean}, several_sources: added}",
        "measure: {kind: series, parts: [up]}}",
    ):
        assert line + "\n" in found.text
    assert [one.split(":")[0] for one in found.decide][-4:] == [
        "sources[1].metrics",
        "sources[2].metrics",
        "metrics[0].several_sources",
        "metrics[1].several_sources",
    ]
    programme = read(found.text)
    assert programme.sources_of("mean") == ("urn:any", "urn:town")


def test_a_stored_body_is_lifted_as_the_text_is() -> None:
    found = upgrade_text(LANGUAGE_1, "c.yaml")
    assert isinstance(found, Upgrade)
    programme = read(found.text)
    body = programme.model_dump(mode="json", exclude={"language", "whose_word"})
    for source in body["sources"]:
        source["metrics"] = ["up"] if source["source"] == "urn:probe" else []
    for metric in body["metrics"]:
        metric.pop("several_sources")
    body = {name: value for name, value in body.items() if value is not None}
    assert Programme.model_validate_json(json.dumps(upgraded(body))) == programme
    as_json = upgrade_text(json.dumps(body), "c.json")
    assert isinstance(as_json, Upgrade)
    assert json.loads(as_json.text) == upgraded(body)


def test_an_empty_list_of_today_stays_empty() -> None:
    programme = read(HEAD + SOURCES + METRICS).model_dump(mode="json", exclude_none=True)
    assert "metrics" not in {one.key for one in additions(programme, anew=True)}
    assert upgraded(programme)["sources"][2]["metrics"] == []
