"""What a party measures or sends after the close, in its own favour, is proposed to the other."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from schemas.event import KIND_OF_TYPE
from services.cli.files import ContractFiles, read_contracts
from services.core.calendar.windows import microseconds
from services.core.events.facts import payload_of
from tests.cases.test_late_changes import january
from tests.cases.test_whose_word import AUDIT, BOOKS, CONTRACT, PROBE, answer
from tests.cases.test_whose_word import event as told

SAMPLES = "{kind: availability_by_samples}"
STATUS = "{kind: availability_by_status, before_first: not_observed}"
RATIO = "{kind: ratio, nothing_to_count: no_data}"
LIMIT = "{kind: within_limit, limit: 50, equal_is_within: true}"
MEAN = "{kind: mean}"
HIGHEST = "{kind: maximum}"
TOTAL = "{kind: total}"
BY_THE_BUYER = "several_sources: {binding: 'urn:town'}"


def contracts(
    tmp_path: Path, measure: str, several: str = "several_sources: added"
) -> ContractFiles:
    text = CONTRACT.format(word="either", silence="", own="")
    text = text.replace(RATIO, measure).replace("several_sources: added", several)
    path = tmp_path / "contracts.yaml"
    path.write_text(text, encoding="utf-8")
    return read_contracts([path])


def sample(name: str, up: bool, source: str = PROBE, at: str = "01-10", **more: Any) -> bytes:
    return told(source, "sample", at, {"metric": "net", "up": up, **more}, name)


def accepts(source: str, proposed: bytes, up: bool) -> bytes:
    said = json.loads(proposed)
    at_us = microseconds(datetime.fromisoformat(said["time"]).astimezone(UTC))
    payload = payload_of(KIND_OF_TYPE[said["type"]], at_us, "net", None, int(up), 1, "").hex()
    about = {"states": "correction", "name": "net", "of_payload": payload}
    return answer(source, "03-01", (said["source"], said["id"]), "accept", **about)


KNOWN = tuple(sample(f"in-time-{number}", number > 0) for number in range(4))
"""Three of four were good."""


def test_good_samples_of_the_vendor_after_the_close_wait_for_the_buyer(tmp_path: Path) -> None:
    files = contracts(tmp_path, SAMPLES)
    late = sample("late", True)
    assert january(files, *KNOWN, late).figures[0].value == 80, "it came before the close"
    made = january(files, *KNOWN, late, after_the_close=["late"])
    assert made.figures[0].value == 75
    (one,) = made.proposals
    assert (one.party, one.state, one.awaits) == ("nimbus", "open", ("town",))
    assert one.correction is not None
    assert (one.correction.corrects, one.correction.data) == (None, {"metric": "net", "up": True})
    yes = accepts(BOOKS, late, up=True)
    made = january(files, *KNOWN, late, yes, after_the_close=["late", "yes"])
    assert (made.figures[0].value, made.proposals[0].state) == (80, "accepted")


def test_failing_samples_of_the_vendor_after_the_close_count_at_once(tmp_path: Path) -> None:
    files = contracts(tmp_path, SAMPLES)
    made = january(files, *KNOWN, sample("late", False), after_the_close=["late"])
    assert (made.figures[0].value, made.proposals) == (60, ())


def test_of_the_buyer_it_is_the_other_way_round(tmp_path: Path) -> None:
    files = contracts(tmp_path, SAMPLES, BY_THE_BUYER)
    known = tuple(sample(f"in-time-{number}", number > 0, BOOKS) for number in range(4))
    good, bad = sample("good", True, BOOKS), sample("bad", False, BOOKS)
    made = january(files, *known, good, bad, after_the_close=["good", "bad"])
    assert made.figures[0].value == 80
    (one,) = made.proposals
    assert (one.event.id, one.party, one.awaits) == ("bad", "town", ("nimbus",))


def test_a_third_partys_late_samples_count_at_once(tmp_path: Path) -> None:
    files = contracts(tmp_path, SAMPLES)
    late = (sample("good", True, AUDIT), sample("bad", False, AUDIT))
    made = january(files, *KNOWN, *late, after_the_close=["good", "bad"])
    assert (made.figures[0].value, made.proposals) == (Fraction(400, 6), ())


@pytest.mark.parametrize(
    ("word", "late"),
    [("either", []), ("both", ["good", "worse"]), ("vendor", ["worse"]), ("buyer", ["good"])],
)
def test_whose_late_events_count_at_once_is_for_the_metric_to_say(
    tmp_path: Path, word: str, late: list[str]
) -> None:
    files = contracts(tmp_path, SAMPLES, f"several_sources: added, whose_word: {word}")
    events = (sample("good", True), sample("worse", False, BOOKS))
    made = january(files, *KNOWN, *events, after_the_close=["good", "worse"])
    assert sorted(each.event.id for each in made.proposals) == late
    assert made.figures[0].total == 6 - len(late)


def test_what_is_only_compared_is_no_proposal(tmp_path: Path) -> None:
    files = contracts(tmp_path, SAMPLES, BY_THE_BUYER)
    known = tuple(sample(f"in-time-{number}", number > 0, BOOKS) for number in range(4))
    made = january(files, *known, sample("late", True), after_the_close=["late"])
    assert (made.figures[0].value, made.proposals) == (75, ())


def test_a_failing_sample_where_there_was_no_figure_is_a_proposal(tmp_path: Path) -> None:
    """What no data costs may be more than what a bad figure does."""
    files = contracts(tmp_path, SAMPLES)
    late = sample("late", False, at="01-20")
    made = january(files, *KNOWN, late, after_the_close=["late"])
    assert made.figures[0].value == 75
    assert [each.event.id for each in made.proposals] == ["late"]


@pytest.mark.parametrize(
    ("measure", "kind", "own", "better"),
    [
        (STATUS, "sample", {"up": True}, ({"up": False}, {"up": True})),
        (RATIO, "count", {"good": 3, "total": 4}, ({"good": 1, "total": 2},
                                                   {"good": 2, "total": 2})),
        (MEAN, "response", {"value": 50}, ({"value": 10}, {"value": 90})),
    ],
    ids=["status", "ratio", "mean"],
)  # fmt: skip
def test_what_cannot_be_told_by_itself_is_a_proposal(
    tmp_path: Path, measure: str, kind: str, own: dict[str, Any], better: tuple[dict[str, Any], ...]
) -> None:
    files = contracts(tmp_path, measure)
    unit = {"unit": "percent"} if kind == "response" else {}
    say = [told(PROBE, kind, "01-10", {"metric": "net", **each, **unit}, f"e{number}")
           for number, each in enumerate((own, *better))]  # fmt: skip
    made = january(files, *say, after_the_close=["e1", "e2"])
    assert [each.event.id for each in made.proposals] == ["e1", "e2"]
    assert made.figures == january(files, say[0]).figures


@pytest.mark.parametrize(
    ("measure", "kind", "known", "worse", "better"),
    [
        (RATIO, "count", {"good": 3, "total": 4}, {"good": 0, "total": 2}, {"good": 2, "total": 2}),
        (LIMIT, "response", {"value": 90}, {"value": 99}, {"value": 10}),
        ("{kind: minimum}", "response", {"value": 90}, {"value": 10}, None),
        (HIGHEST, "response", {"value": 90}, None, {"value": 95}),
        (TOTAL, "volume", {"value": 5}, None, {"value": 1}),
    ],
    ids=["ratio", "within", "minimum", "maximum", "total"],
)  # fmt: skip
def test_what_is_worse_whatever_else_was_measured_counts_at_once(
    tmp_path: Path, measure: str, kind: str, known: Any, worse: Any, better: Any
) -> None:
    files = contracts(tmp_path, measure)
    unit = {"unit": "percent"} if kind != "count" else {}
    say = {name: told(PROBE, kind, "01-10", {"metric": "net", **data, **unit}, name)
           for name, data in (("known", known), ("worse", worse), ("better", better))
           if data is not None}  # fmt: skip
    made = january(files, *say.values(), after_the_close=["worse", "better"])
    assert [each.event.id for each in made.proposals] == [each for each in say if each == "better"]
