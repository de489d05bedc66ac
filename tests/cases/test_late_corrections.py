"""A party takes its own failing samples back: before the close it counts, later it is proposed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from schemas.evaluation import Proposal
from services.cli.files import ContractFiles, read_contracts
from services.cli.offline import catalogue_of, evaluated
from tests.cases.test_whose_word import (
    AUDIT,
    BOOKS,
    MISS,
    NOW_US,
    PROBE,
    WHOLE,
    answer,
    charge,
    contracts,
    event,
    payload_of_row,
    settled,
    total,
)

CLOSED = "02-12"
"""January is over on the 1st of February, and its lateness of ten days on the 11th."""
FAILED = "count-01-10"


def made(source: str, at: str, of: str, name: str = "fix", **more: Any) -> bytes:
    return event(source, "correction", at, {"corrects": of, "reason": "x", **more}, name)


def accepts(source: str, correction: bytes, at: str = "03-01", said: str = "accept") -> bytes:
    told = json.loads(correction)
    about = {"states": "correction", "name": "net", "of_payload": payload_of_row(correction)}
    return answer(source, at, (told["source"], told["id"]), said, **about)


def proposed(files: ContractFiles, *events: bytes) -> tuple[Proposal, ...]:
    usual = event(PROBE, "count", "01-10", MISS)
    told = [("", raw) for raw in (usual, *events)]
    catalogue = catalogue_of(files.programmes, files.agreements)
    months = {"hosting": ["2025-01", "2025-02"]}
    found, _ = evaluated(catalogue, told, NOW_US, months, "hosting")
    january, february = found["hosting"]
    assert not february.proposals
    return january.proposals


def test_the_vendors_own_failures_are_taken_back_after_the_close_only_as_a_proposal(
    tmp_path: Path,
) -> None:
    files = contracts(tmp_path, "either")
    late = made(PROBE, CLOSED, FAILED)
    assert total(settled(files, made(PROBE, "02-10", FAILED))) == 0, "before the close it counts"
    assert total(settled(files, late)) == WHOLE
    (told,) = settled(files, late).notes
    assert told == (
        "fix of urn:nimbus is only proposed to town; accepted, 2025-01 of hosting would come to "
        "0.00 EUR instead of 2000.00 EUR"
    )
    for nobody in (PROBE, AUDIT):
        alone = settled(files, late, accepts(nobody, late, "03-02"))
        assert alone.statements[0].total_minor == WHOLE, "who made it, and no party, cannot accept"
    assert total(settled(files, late, accepts(BOOKS, late))) == 0
    assert total(settled(files, late, accepts(BOOKS, late, said="reject"))) == WHOLE
    (one,) = proposed(files, late)
    assert (one.state, one.party, one.awaits) == ("open", "nimbus", ("town",))
    assert one.correction is not None
    assert (one.correction.corrects, one.correction.period) == (FAILED, "2025-01")
    (one,) = proposed(files, late, accepts(BOOKS, late))
    assert (one.state, [each.party for each in one.answers]) == ("accepted", ["town"])


@pytest.mark.parametrize(
    "moved", [{"time": "2025-02-20T12:00:00Z"}, {"data": {**MISS, "good": 10}}], ids=str
)
def test_what_puts_a_failure_elsewhere_or_makes_it_good_is_proposed_too(
    tmp_path: Path, moved: dict[str, Any]
) -> None:
    files = contracts(tmp_path, "either")
    late = made(PROBE, CLOSED, FAILED, **moved)
    assert total(settled(files, late)) == WHOLE
    assert total(settled(files, late, accepts(BOOKS, late))) == 0


def test_an_event_of_an_open_month_is_moved_into_a_closed_one_only_as_a_proposal(
    tmp_path: Path,
) -> None:
    files = contracts(tmp_path, "either")
    good = event(PROBE, "count", "03-05", {**MISS, "good": 99_990, "total": 99_990}, "good")
    late = made(PROBE, "03-06", "good", time="2025-01-11T12:00:00Z")
    assert total(settled(files, good, late)) == WHOLE
    assert total(settled(files, good, late, accepts(BOOKS, late, "03-07"))) == 0


def test_who_makes_its_own_figure_worse_is_believed(tmp_path: Path) -> None:
    files = contracts(tmp_path, "either")
    fine = event(PROBE, "count", "01-12", {**MISS, "good": 10}, "fine")
    worse = made(PROBE, CLOSED, "fine", data=MISS)
    assert not proposed(files, fine, worse)
    back = made(PROBE, "02-13", "fine", "back", data={**MISS, "good": 10})
    (one,) = proposed(files, fine, worse, back)
    assert one.event.id == "back", "what was admitted is not taken back"
    theirs = event(BOOKS, "count", "01-12", {**MISS, "good": 10}, "theirs")
    (one,) = proposed(files, theirs, made(BOOKS, CLOSED, "theirs", data=MISS))
    assert one.awaits == ("nimbus",), "the buyer has an interest too"


def test_a_third_party_corrects_what_it_has_measured(tmp_path: Path) -> None:
    files = contracts(tmp_path, "either")
    seen = event(AUDIT, "count", "01-12", MISS, "seen")
    assert not proposed(files, seen, made(AUDIT, CLOSED, "seen"))


def test_what_was_accepted_is_changed_after_the_close_by_both_only(tmp_path: Path) -> None:
    files = contracts(tmp_path, "buyer")
    theirs = charge(PROBE, "02-02", "12000", "more")
    takes = answer(BOOKS, "02-05", (PROBE, "more"), "accept", states="charge", name="fee",
                   of_payload=payload_of_row(theirs))  # fmt: skip
    late = made(PROBE, CLOSED, "more", data=json.loads(charge(PROBE, "02-02", "50"))["data"])
    assert total(settled(files, theirs, takes)) == 240_000
    assert total(settled(files, theirs, takes, late)) == 240_000
    open_one = proposed(files, theirs, takes, late)[-1]
    assert (open_one.event.id, open_one.state, open_one.awaits) == ("fix", "open", ("town",))


def test_whose_word_counts_corrects_it_after_the_close(tmp_path: Path) -> None:
    files = contracts(tmp_path, "buyer")
    own = charge(BOOKS, "02-02", "12000", "more")
    late = made(BOOKS, CLOSED, "more", data=json.loads(charge(PROBE, "02-02", "50"))["data"])
    assert total(settled(files, own)) == 240_000
    assert total(settled(files, own, late)) == 1_000


def test_a_correction_of_a_proposed_correction_is_one_of_its_own(tmp_path: Path) -> None:
    files = contracts(tmp_path, "either")
    late = made(PROBE, CLOSED, FAILED)
    back = made(PROBE, "02-13", "fix", "back")
    both = proposed(files, late, back)
    assert [(each.event.id, each.state) for each in both] == [("fix", "open"), ("back", "open")]
    takes = accepts(BOOKS, late)
    assert total(settled(files, late, takes, back)) == 0
    assert total(settled(files, late, takes, back, accepts(BOOKS, back, "03-03"))) == WHOLE


def test_what_corrects_a_charge_is_held_against_the_agreement(
    tmp_path: Path,
) -> None:
    files = contracts(tmp_path, "either")
    said = json.loads(charge(PROBE, "02-02", "50"))["data"]
    theirs = charge(PROBE, "02-02", "9000", "theirs")
    for change, why in (
        ({"agreement": "other"}, "has no agreement other"),
        ({"base": "rent"}, "has no base rent"),
        ({"currency": "USD"}, "the charge in USD"),
        ({"amount": "-3"}, "below zero"),
    ):
        late = made(PROBE, "02-05", "theirs", data={**said, **change})
        found = settled(files, theirs, late)
        (refused,) = found.set_aside
        assert why in refused.reason, change
        assert found.statements[0].total_minor == 180_000


def test_corrections_before_the_close_of_a_longer_lateness_count(tmp_path: Path) -> None:
    contracts(tmp_path, "either")
    path = tmp_path / "contracts.yaml"
    text = path.read_text(encoding="utf-8").replace("lateness_hours: 240", "lateness_hours: 2400")
    path.write_text(text, encoding="utf-8")
    assert total(settled(read_contracts([path]), made(PROBE, "03-20", FAILED))) == 0
