"""A party states what lowers its own debt: it is a proposal, until the other one takes it over."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest

from schemas.evaluation import Proposal
from schemas.event import EVENT_TYPES, KIND_OF_TYPE, Figure
from schemas.whose_word import SAID
from services.cli.files import ContractFiles, read_contracts
from services.cli.offline import OfflineResult, catalogue_of, evaluated, settle_files
from services.core.calendar.windows import microseconds
from services.core.events.facts import canonical_data, payload_of, scaled
from tests.core.said import moment

NOW_US = microseconds(moment("2025-06-01 00:00"))
PROBE, BOOKS, AUDIT = "urn:nimbus", "urn:town", "urn:audit"
CONTRACT = """
kind: programme
language: 2
programme: campus
version: 1
effective_from: 2025-01-01
buyer: town
name: Campus
time_zone: UTC
restated_for_days: 3660
third_parties: [{{party: auditor, name: The auditor}}]
whose_word: {{charges: {word}, circumstances: {word}, decisions: {word}, figures: either{silence}}}
vendors: [{{vendor: nimbus, name: Nimbus}}]
sources:
  - {{source: "urn:nimbus", reports_for: nimbus, metrics: [net]}}
  - {{source: "urn:town", reports_for: town, metrics: [net]}}
  - {{source: "urn:audit", reports_for: auditor, metrics: [net]}}
metrics:
  - {{metric: net, name: net, unit: percent, better: higher,
      measure: {{kind: ratio, nothing_to_count: no_data}}, several_sources: added}}
---
kind: agreement
language: 2
agreement: hosting
version: 1
programme: campus
type: service
vendor: nimbus
name: Hosting
currency: EUR
effective_from: 2025-01-01
settled: month
lateness_hours: 240
conventions: {{money_rounding: half_up, rounded_at: total}}
bases:
  - {{base: fee, of_period: same, if_missing: wait, part_of_period: full_charge,
      longer_charge: refused}}
levels:
  - level: up
    name: Up
    metric: net
    expected: {{at_least: 99.9}}
    judged: exact
    no_data: no_result
    defaults: {{kind: every_miss}}
    relief: [{{kind: circumstance, circumstance: force-majeure}}]
    credits:
      - {{is_a: service_credit, due: {{kind: on_default}}, quantity: {{kind: one}},
          rate: {{kind: percent_of, percent: 20, base: fee}}}}
{own}
"""
MISS = {"metric": "net", "good": 9, "total": 10}
WHOLE = 200_000
"""20 % of 10,000.00."""


def payload_of_row(raw: bytes) -> str:
    """What an answer to an event repeats, as the list of proposals shows it."""
    event = json.loads(raw)
    kind = KIND_OF_TYPE[event["type"]]
    noun = EVENT_TYPES[event["type"]].model_validate(event["data"])
    at_us = microseconds(datetime.fromisoformat(event["time"]))
    if isinstance(noun, Figure):
        said = scaled(str(noun.value))
        assert said is not None
        return payload_of(kind, at_us, noun.metric, None, *said, canonical_data(noun)).hex()
    return payload_of(kind, at_us, "", None, 0, 0, canonical_data(noun)).hex()


def contracts(tmp_path: Path, word: str, silence: str = "", own: str = "") -> ContractFiles:
    path = tmp_path / "contracts.yaml"
    path.write_text(CONTRACT.format(word=word, silence=silence, own=own), encoding="utf-8")
    return read_contracts([path])


def event(source: str, kind: str, at: str, data: Mapping[str, Any], name: str = "") -> bytes:
    said = {
        "specversion": "1.0", "id": name or f"{kind}-{at}", "source": source,
        "type": f"earnback.{kind}.v1", "time": f"2025-{at}T12:00:00Z", "data": data,
    }  # fmt: skip
    return json.dumps(said).encode()


def charge(source: str, at: str, amount: str, name: str = "") -> bytes:
    data = {"agreement": "hosting", "base": "fee", "period": "2025-01", "amount": amount}
    return event(source, "charge", at, {**data, "currency": "EUR"}, name)


def excuse(source: str, at: str, name: str = "excuse") -> bytes:
    data = {"agreement": "hosting", "circumstance": "force-majeure", "period": "2025-01"}
    return event(source, "circumstance", at, data, name)


def answer(source: str, at: str, of: tuple[str, str], said: str, **more: Any) -> bytes:
    data = {
        "agreement": "hosting", "states": "circumstance", "name": "force-majeure",
        "period": "2025-01", "of_source": of[0], "of_id": of[1], "answer": said, "reason": "seen",
        "of_payload": PAYLOADS.get(of[1], "0" * 16),
    }  # fmt: skip
    return event(source, "answer", at, {**data, **more}, f"{said}-{source}-{at}")


def settled(files: ContractFiles, *events: bytes) -> OfflineResult:
    usual = (event(PROBE, "count", "01-10", MISS), charge(BOOKS, "02-01", "10000", "bill"))
    told = [(f"line {place}", raw) for place, raw in enumerate((*usual, *events))]
    return settle_files(files, told, date(2025, 1, 31), NOW_US)


def total(found: OfflineResult) -> int:
    assert not found.set_aside, found.set_aside
    (statement,) = found.statements
    return statement.total_minor


def proposals(files: ContractFiles, *events: bytes) -> tuple[Proposal, ...]:
    told = [(f"line {place}", raw) for place, raw in enumerate(events)]
    catalogue = catalogue_of(files.programmes, files.agreements)
    found, _ = evaluated(catalogue, told, NOW_US, {"hosting": ["2025-01"]}, "hosting")
    return found["hosting"][0].proposals


def test_a_vendors_charge_over_the_buyers_changes_nothing(tmp_path: Path) -> None:
    theirs = charge(PROBE, "02-02", "50", "lower")
    assert total(settled(contracts(tmp_path, "either"), theirs)) == 1_000
    assert total(settled(contracts(tmp_path, "buyer"), theirs)) == WHOLE
    (open_one,) = proposals(contracts(tmp_path, "buyer"), theirs)
    assert (open_one.state, open_one.party, open_one.awaits) == ("open", "nimbus", ("town",))
    assert open_one.charge is not None
    assert open_one.charge.amount == 50


def test_force_majeure_stated_by_the_vendor_for_itself_excuses_nothing(tmp_path: Path) -> None:
    theirs = excuse(PROBE, "02-03")
    assert total(settled(contracts(tmp_path, "either"), theirs)) == 0
    assert total(settled(contracts(tmp_path, "buyer"), theirs)) == WHOLE


def test_what_was_accepted_is_not_changed_by_a_correction(tmp_path: Path) -> None:
    files = contracts(tmp_path, "buyer")
    theirs = charge(PROBE, "02-02", "9000", "lower")
    takes = answer(BOOKS, "02-05", (PROBE, "lower"), "accept", states="charge", name="fee")
    data = json.loads(charge(PROBE, "02-02", "0.05"))["data"]
    fix = event(PROBE, "correction", "02-06", {"corrects": "lower", "reason": "x", "data": data})
    assert total(settled(files, theirs, takes)) == 180_000
    assert total(settled(files, theirs, takes, fix)) == WHOLE
    (one,) = proposals(files, theirs, takes, fix)
    assert (one.state, one.answers) == ("open", ())


@pytest.mark.parametrize("word", ["buyer", "both"])
def test_it_counts_once_the_buyer_has_taken_it_over(tmp_path: Path, word: str) -> None:
    files = contracts(tmp_path, word, own="whose_word: [{states: charge, name: fee, of: buyer}]")
    theirs = excuse(PROBE, "02-03")
    takes = answer(BOOKS, "02-05", (PROBE, "excuse"), "accept")
    refuses = answer(BOOKS, "02-06", (PROBE, "excuse"), "reject")
    assert total(settled(files, theirs)) == WHOLE
    assert total(settled(files, theirs, takes)) == 0
    assert total(settled(files, takes, theirs)) == 0, "whatever order they came in"
    assert total(settled(files, theirs, takes, refuses)) == WHOLE, "the last answer stands"
    (one,) = proposals(files, theirs, takes, refuses)
    assert (one.state, [each.answer for each in one.answers]) == ("rejected", ["accept", "reject"])


def test_nobody_answers_for_itself_nor_for_another(tmp_path: Path) -> None:
    files = contracts(tmp_path, "both", own="whose_word: [{states: charge, name: fee, of: buyer}]")
    theirs = excuse(PROBE, "02-03")
    for source in (PROBE, AUDIT):
        found = settled(files, theirs, answer(source, "02-05", (PROBE, "excuse"), "accept"))
        (refused,) = found.set_aside
        assert "stated by nimbus is answered by town" in refused.reason
        assert found.statements[0].total_minor == WHOLE


def test_an_answer_to_what_is_not_proposed_so_changes_nothing(tmp_path: Path) -> None:
    files = contracts(tmp_path, "buyer")
    theirs = excuse(PROBE, "02-03")
    other = answer(BOOKS, "02-05", (PROBE, "excuse"), "accept", period="2025-02")
    absent = answer(BOOKS, "02-05", (PROBE, "nothing"), "accept")
    assert total(settled(files, theirs, other)) == WHOLE
    assert total(settled(files, theirs, absent)) == WHOLE


def test_an_accepted_charge_stands_from_its_acceptance_on(tmp_path: Path) -> None:
    files = contracts(tmp_path, "buyer")
    early = charge(PROBE, "01-31", "50", "early")
    takes = answer(BOOKS, "02-05", (PROBE, "early"), "accept", states="charge", name="fee")
    assert total(settled(files, early, takes)) == 1_000


def test_a_third_partys_word_counts_where_it_is_named(tmp_path: Path) -> None:
    own = "whose_word: [{states: circumstance, name: force-majeure, of: auditor}]"
    files = contracts(tmp_path, "buyer", own=own)
    assert total(settled(files, excuse(AUDIT, "02-03"))) == 0
    for source in (PROBE, BOOKS):
        assert total(settled(files, excuse(source, "02-03"))) == WHOLE
    takes = answer(AUDIT, "02-05", (PROBE, "excuse"), "accept")
    assert total(settled(files, excuse(PROBE, "02-03"), takes)) == 0


@pytest.mark.parametrize(("becomes", "expected"), [("accepted", 0), ("rejected", WHOLE)])
def test_silence_means_what_the_programme_says(tmp_path: Path, becomes: str, expected: int) -> None:
    silence = f", silence: {{after_days: 5, counts_as: {becomes}}}"
    files = contracts(tmp_path, "buyer", silence)
    theirs = excuse(PROBE, "02-03")
    (one,) = proposals(files, theirs)
    assert (one.state, one.by_silence, one.awaits) == (becomes, True, ())
    assert total(settled(files, theirs)) == expected
    within = answer(BOOKS, "02-08", (PROBE, "excuse"), "reject")
    too_late = answer(BOOKS, "02-09", (PROBE, "excuse"), "reject")
    assert total(settled(files, theirs, within)) == WHOLE
    assert total(settled(files, theirs, too_late)) == expected
    # It ends at the close, ten days after the month: what comes too late for it stays open.
    assert proposals(files, excuse(PROBE, "02-07"))[0].state == "open"


def figure(source: str, at: str, value: str, name: str) -> bytes:
    data = {"metric": "score", "period": "2025-01", "value": value, "unit": "percent"}
    return event(source, "figure", at, data, name)


SCORE = """
  - {metric: score, name: Score, unit: percent, better: higher, measure: {kind: declared},
     several_sources: addedWORD}
"""


@pytest.mark.parametrize(("word", "counts"), [("", 0), (", whose_word: buyer", WHOLE)])
def test_a_declared_figure_counts_by_the_word_of_its_metric(
    tmp_path: Path, word: str, counts: int
) -> None:
    text = CONTRACT.format(word="buyer", silence="", own="").replace(
        "metrics: [net]", "metrics: [net, score]"
    )
    text = text.replace("metrics:\n", "metrics:" + SCORE.replace("WORD", word))
    text = text.replace("metric: net\n    expected", "metric: score\n    expected")
    (tmp_path / "contracts.yaml").write_text(text, encoding="utf-8")
    files = read_contracts([tmp_path])
    assert not files.refusals
    bad, good = figure(BOOKS, "02-01", "90", "bad"), figure(PROBE, "02-02", "100", "good")
    takes = answer(BOOKS, "02-05", (PROBE, "good"), "accept", states="figure", name="score")
    assert total(settled(files, bad, good)) == counts
    if counts:
        (one,) = proposals(files, bad, good)
        assert (one.state, one.figure and one.figure.value) == ("open", 100)
        assert total(settled(files, good, bad, takes)) == 0, "it stands from its acceptance on"


PAYLOADS = {
    "excuse": payload_of_row(excuse(PROBE, "02-03")),
    "good": payload_of_row(figure(PROBE, "02-02", "100", "good")),
    "early": payload_of_row(charge(PROBE, "01-31", "50", "early")),
    "lower": payload_of_row(charge(PROBE, "02-02", "9000", "lower")),
}


@pytest.mark.parametrize("together", ["added", '{binding: "urn:town"}'])
def test_good_samples_beside_the_binding_source_change_nothing(
    tmp_path: Path, together: str
) -> None:
    text = CONTRACT.format(word="buyer", silence="", own="")
    text = text.replace("several_sources: added", f"several_sources: {together}")
    (tmp_path / "contracts.yaml").write_text(text, encoding="utf-8")
    files = read_contracts([tmp_path])
    assert not files.refusals
    measured = event(BOOKS, "count", "01-11", {"metric": "net", "good": 900, "total": 1000}, "own")
    beside = event(PROBE, "count", "01-12", {"metric": "net", "good": 60_000, "total": 60_000})
    catalogue = catalogue_of(files.programmes, files.agreements)
    told = [("", measured), ("", beside)]
    found, _ = evaluated(catalogue, told, NOW_US, {"hosting": ["2025-01"]}, "hosting")
    (made,) = found["hosting"][0].figures
    if together == "added":
        assert (made.good, made.total, made.compared) == (60_900, 61_000, ())
        return
    assert (made.good, made.total) == (900, 1000)
    (other,) = made.compared
    assert (other.source, other.value, other.total, other.facts) == (PROBE, 100, 60_000, 1)


def correction(at: str, of: str, **more: Any) -> bytes:
    return event(PROBE, "correction", at, {"corrects": of, "reason": "x", **more}, f"fix-{of}")


@pytest.mark.parametrize(
    ("given", "where"),
    [
        ((correction("05-20", "count-01-10"),), "/data/corrects"),
        ((correction("05-20", "fresh", time="2025-01-09T12:00:00Z"),), "/data/time"),
        ((correction("01-20", "count-01-10"),), "/time"),
    ],
    ids=["of a settled month", "into a settled month", "made in a settled month"],
)
def test_a_correction_touches_no_month_that_can_be_settled_no_more(
    tmp_path: Path, given: tuple[bytes, ...], where: str
) -> None:
    text = CONTRACT.format(word="buyer", silence="", own="").replace("days: 3660", "days: 30")
    (tmp_path / "contracts.yaml").write_text(text, encoding="utf-8")
    files = read_contracts([tmp_path])
    fresh = event(PROBE, "count", "05-19", {**MISS, "good": 10}, "fresh")
    found = settled(files, fresh, *given)
    (refused,) = found.set_aside
    assert where in refused.reason
    assert "could be settled again for 30 days after its end" in refused.reason
    assert found.statements[0].total_minor == WHOLE


def test_a_correction_in_time_counts(tmp_path: Path) -> None:
    files = contracts(tmp_path, "buyer")
    assert not settled(files, correction("02-05", "count-01-10")).statements[0].lines


def test_a_word_is_stated_for_all_that_can_be_said(tmp_path: Path) -> None:
    text = CONTRACT.format(word="buyer", silence="", own="")
    for said in SAID:
        path = tmp_path / f"{said}.yaml"
        path.write_text(text.replace(f"{said}: ", f"not-{said}: "), encoding="utf-8")
        assert any(said in refusal.text() for refusal in read_contracts([path]).refusals)


@pytest.mark.parametrize(("name", "is_read"), [("force-majeure", True), ("force-majure", False)])
def test_a_word_is_of_a_circumstance_that_some_term_reads(
    tmp_path: Path, name: str, is_read: bool
) -> None:
    own = f"whose_word: [{{states: circumstance, name: {name}, of: buyer}}]"
    refusals = contracts(tmp_path, "buyer", own=own).refusals
    found = [refusal.text() for refusal in refusals]
    assert bool(found) is not is_read
    assert is_read or f"no term of the agreement reads the circumstance {name}" in found[0]
