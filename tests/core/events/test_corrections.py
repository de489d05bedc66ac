"""What stands after corrections, in whatever order they come."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.core.counting.evaluation import ready
from services.core.events.facts import CORRECTION, Row, columns, payload_before_of
from services.core.events.rejections import RejectionCode
from tests.core.said import (
    FINANCE,
    NUMBERS,
    PROBE,
    PROGRAMME,
    Said,
    facts,
    figure_of,
    moment,
    row,
)


def sample(name: str, *, up: bool, at: str = "2025-01-10 10:00", source: str = PROBE) -> Said:
    return Said(source, name, "sample", moment(at), {"metric": "samples", "up": up})


def correction(name: str, of: str, at: str = "2025-02-01 10:00", **changed: Any) -> Said:
    data = {"corrects": of, "reason": "the probe was wrong", **changed}
    return Said(PROBE, name, "correction", moment(at), data)


UP = {"metric": "samples", "up": True}
DOWN = {"metric": "samples", "up": False}
TWO = [sample("s1", up=True), sample("s2", up=False)]


def good(events: list[Said]) -> tuple[int, int]:
    figure = figure_of(events, "samples")
    assert figure.good is not None
    assert figure.total is not None
    return int(figure.good), int(figure.total)


def test_a_correction_takes_back_or_replaces_data_or_time() -> None:
    assert good(TWO) == (1, 2)
    assert good([*TWO, correction("c1", "s2")]) == (1, 1)
    assert good([*TWO, correction("c1", "s2", data=UP)]) == (2, 2)
    assert good([*TWO, correction("c1", "s2", time="2025-02-10T10:00:00Z")]) == (1, 1)
    assert good([*TWO, correction("c1", "s2", data=UP, time="2025-01-11T10:00:00Z")]) == (2, 2)


def test_the_last_correction_by_time_and_then_id_stands() -> None:
    earlier = correction("c9", "s2", "2025-02-01 09:00", data=UP)
    later = correction("c1", "s2", "2025-02-01 10:00")
    tied = correction("c2", "s2", "2025-02-01 10:00", data=UP)
    assert good([*TWO, later, earlier]) == (1, 1)
    assert good([*TWO, tied, later, earlier]) == (2, 2)


def test_a_correction_of_what_is_not_known_yet_applies_when_it_arrives() -> None:
    waiting = [TWO[0], correction("c1", "s2", data=UP)]
    assert good(waiting) == (1, 1)
    assert good([*waiting, TWO[1]]) == (2, 2)


def told(events: list[Said]) -> list[str]:
    """What is said of corrections that change nothing."""
    return [
        f"{each.correction.id}: {each.problem.reason}"
        for each in ready([PROGRAMME], facts(events), NUMBERS).every.refused
    ]


def test_a_correction_whose_event_is_not_there_is_told_until_it_arrives() -> None:
    waiting = [TWO[0], correction("c1", "s2", data=UP)]
    missing = f"c1: it waits for its event: no event s2 of the source {PROBE} is there"
    assert told(waiting) == [missing]
    assert told([*waiting, TWO[1]]) == []
    assert told([*waiting, sample("s2", up=False, source=FINANCE)]) == [missing]
    assert told([*waiting, correction("c2", "c1")]) == [], "it is taken back"
    assert told([*waiting, correction("c2", "c9")])[1:] == [
        f"c2: it waits for its event: no event c9 of the source {PROBE} is there"
    ]


def test_a_correction_of_another_source_touches_nothing() -> None:
    theirs = sample("s2", up=False, source=FINANCE)
    assert good([TWO[0], theirs, correction("c1", "s2")]) == (1, 2)


def test_a_correction_that_is_taken_back_leaves_the_event_as_it_was() -> None:
    back = correction("c2", "c1", "2025-01-20 10:00")
    again = correction("c3", "c2", "2025-01-21 10:00")
    assert good([*TWO, correction("c1", "s2"), back]) == (1, 2)
    assert good([*TWO, correction("c1", "s2"), back, again]) == (1, 1)


def test_a_correction_that_is_moved_in_time_counts_from_there() -> None:
    up, gone = correction("c1", "s2", "2025-02-01 09:00", data=UP), correction("c2", "s2")
    assert good([*TWO, up, gone]) == (1, 1)
    for moved, left in (
        ({"time": "2025-02-01T11:00:00Z"}, (2, 2)),
        ({"time": "2025-02-01T08:00:00Z"}, (1, 1)),
        ({"time": "2025-02-01T11:00:00Z", "data": up.data | {"data": DOWN}}, (1, 2)),
        ({"data": up.data | {"data": DOWN}}, (1, 1)),
    ):
        assert good([*TWO, up, gone, correction("c3", "c1", "2025-02-02 10:00", **moved)]) == left


def test_a_fact_that_is_moved_says_what_it_would_have_said_then_and_no_correction_is_left() -> None:
    charge = Said(PROBE, "i1", "charge", moment("2025-02-01 10:00"), {
        "agreement": "north-wan", "base": "invoice", "period": "2025-01", "amount": 5,
        "currency": "EUR"})  # fmt: skip
    outage = Said(PROBE, "o1", "outage", moment("2025-01-10 10:00"), {
        "metric": "merged", "outage": "o", "phase": "open", "subject": "a"})  # fmt: skip
    for told in (charge, outage, TWO[0]):
        moved = facts([told, correction("c1", told.id, time="2025-01-20T10:00:00Z")])
        stands = ready([PROGRAMME], moved, NUMBERS).every.fact_index.facts
        then = facts([told._replace(at=moment("2025-01-20 10:00"))])
        assert list(stands.ids) == [told.id]
        assert stands.payload_high.tolist() == then.payload_high.tolist()
        assert stands.payload_low.tolist() == then.payload_low.tolist()
        assert stands.kind.tolist() == then.kind.tolist()
        assert list(stands.data) == list(then.data)


def test_a_corrected_fact_of_a_release_before_keeps_a_hash_of_64_bits() -> None:
    moved = [TWO[0], correction("c1", TWO[0].id, time="2025-01-20T10:00:00Z")]
    rows = [each if each.kind == CORRECTION else narrow(each) for each in map(row, moved)]
    stands = ready([PROGRAMME], columns(rows), NUMBERS).every.fact_index.facts
    then = columns([narrow(row(TWO[0]._replace(at=moment("2025-01-20 10:00"))))])
    assert stands.payload_high.tolist() == then.payload_high.tolist()
    assert stands.payload_low.tolist() == [0]


def narrow(told: Row) -> Row:
    """A row as a release before made it."""
    name = next((name for (_, name), number in NUMBERS.items() if number == told.metric), "")
    return told._replace(payload=payload_before_of(told, name))


def test_a_correction_may_be_given_other_data_but_not_another_event() -> None:
    instead = {"corrects": "s2", "reason": "better", "data": UP}
    assert good([*TWO, correction("c1", "s2"), correction("c2", "c1", data=instead)]) == (2, 2)
    turned = instead | {"corrects": "s1"}
    events = [*TWO, correction("c1", "s2"), correction("c2", "c1", data=turned)]
    assert good(events) == (1, 1)
    refused = ready([PROGRAMME], facts(events), NUMBERS).every.refused
    assert [each.correction.id for each in refused] == ["c2"]


def test_corrections_in_a_circle_say_nothing_and_are_told() -> None:
    events = [
        *TWO,
        correction("c1", "c2"),
        correction("c2", "c1"),
        correction("c3", "c3"),
        correction("c4", "s2"),
        correction("c5", "c1"),
    ]
    assert good(events) == (1, 1)
    refused = ready([PROGRAMME], facts(events), NUMBERS).every.refused
    assert [each.correction.id for each in refused] == ["c1", "c2", "c3"]


@pytest.mark.parametrize(
    ("data", "code"),
    [
        ({"metric": "ratio", "good": 1, "total": 2}, RejectionCode.KIND_DOES_NOT_FIT),
        (UP | {"metric": "status"}, None),
    ],
)
def test_data_that_does_not_fit_the_event_leaves_it_as_it_was(
    data: dict[str, Any], code: RejectionCode | None
) -> None:
    events = [*TWO, correction("c1", "s2", data=data)]
    refused = ready([PROGRAMME], facts(events), NUMBERS).every.refused
    assert [each.problem.code for each in refused] == ([] if code is None else [code])
    assert good(events) == ((1, 2) if code else (1, 1))


def test_evidence_shows_that_a_fact_was_corrected() -> None:
    before = figure_of([sample("s1", up=True)], "samples")
    after = figure_of([sample("s1", up=False), correction("c1", "s1", data=UP)], "samples")
    moved = figure_of(
        [sample("s1", up=True), correction("c1", "s1", time="2025-01-12T10:00:00Z")], "samples"
    )
    assert after.value == before.value == moved.value
    # It says the same again, so its hash is that of an event which said so at once.
    assert after.evidence.digest == before.evidence.digest
    assert moved.evidence.digest != before.evidence.digest


CORRECTIONS = st.lists(
    st.tuples(
        st.sampled_from(["s1", "s2", "c0", "c1", "c2", "c3"]),
        st.integers(0, 5),
        st.sampled_from([{}, {"data": UP}, {"data": DOWN}, {"time": "2025-01-15T10:00:00Z"}]),
    ),
    max_size=6,
)


@settings(max_examples=150, deadline=None)
@given(CORRECTIONS, st.randoms(use_true_random=False))
def test_the_order_of_facts_never_matters(
    made: list[tuple[str, int, dict[str, Any]]], random: Any
) -> None:
    events = [
        *TWO,
        *(
            correction(f"c{place}", of, f"2025-02-0{day + 1} 10:00", **changed)
            for place, (of, day, changed) in enumerate(made)
        ),
    ]
    figure = figure_of(events, "samples")
    random.shuffle(events)
    assert figure_of(events, "samples") == figure
