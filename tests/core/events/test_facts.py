"""Rows and columns: what an event says is one thing, however it is written."""

from __future__ import annotations

from datetime import timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.event import EVENT_TYPES
from services.core.events.facts import (
    EMPTY,
    TYPE_OF_KIND,
    between,
    by_identity,
    columns,
    distinct,
    identities,
    joined,
    payload_before_of,
    payload_bytes,
    scaled,
    taken,
)
from tests.core.said import FINANCE, PROBE, Said, moment, row

AT = moment("2025-01-10 10:00")
NUMBERS = (
    "id_high",
    "id_low",
    "payload_high",
    "payload_low",
    "kind",
    "metric",
    "at_us",
    "value",
    "scale_or_total",
)


def payload(kind: str, data: dict[str, Any], at: Any = AT) -> bytes:
    return row(Said(PROBE, "e1", kind, at, data)).payload


@pytest.mark.parametrize(
    ("kind", "one", "other"),
    [
        ("response", {"value": "1.50"}, {"value": "+1.5"}),
        ("response", {"value": "2"}, {"value": 2}),
        ("response", {"value": "2.0"}, {"value": Decimal(2)}),
        ("response", {"value": 2}, {"value": 2, "subject": None}),
    ],
)
def test_one_meaning_has_one_payload(kind: str, one: dict[str, Any], other: dict[str, Any]) -> None:
    rest = {"metric": "mean", "unit": "milliseconds"}
    assert payload(kind, rest | one) == payload(kind, other | rest)


def test_the_offset_of_a_time_and_absent_fields_make_no_difference() -> None:
    data = {"metric": "deliveries", "delivery": "d1", "due_at": "2025-01-10T10:00:00Z"}
    same = data | {"due_at": "2025-01-10T11:00:00+01:00", "delivered_at": None, "value": None}
    berlin = AT.astimezone(timezone(timedelta(hours=1)))
    assert payload("delivery", data) == payload("delivery", same, berlin)


def test_another_meaning_has_another_payload() -> None:
    said = [
        payload("sample", {"metric": "samples", "up": True}),
        payload("sample", {"metric": "samples", "up": False}),
        payload("sample", {"metric": "status", "up": True}),
        payload("sample", {"metric": "samples", "up": True, "subject": "a"}),
        payload("sample", {"metric": "samples", "up": True}, AT + timedelta(microseconds=1)),
        payload("count", {"metric": "samples", "good": 1, "total": 1}),
    ]
    assert len(set(said)) == len(said)


@settings(deadline=None)
@given(st.decimals(-(10**9), 10**9, places=6))
def test_a_decimal_is_a_whole_number_and_its_places(value: Decimal) -> None:
    for written in (str(format(value, "f")), value):
        pair = scaled(written)
        assert pair is not None
        whole, places = pair
        assert Fraction(whole, 10**places) == Fraction(value)
        assert places == 0 or whole % 10 != 0


@pytest.mark.parametrize(
    "value", [1.5, True, None, "", ".5", "1.", "1e3", "NaN", "1/3", "٣", "1\n"]
)
def test_what_is_no_exact_decimal_is_none(value: object) -> None:
    assert scaled(value) is None


def test_a_decimal_number_with_an_exponent_is_the_whole_number_it_stands_for() -> None:
    assert scaled(Decimal("1E+3")) == (1000, 0)
    assert scaled(Decimal("-1.5E-2")) == (-15, 3)
    assert scaled(Decimal("Infinity")) is None


EVENTS = st.lists(
    st.tuples(st.integers(0, 9), st.booleans(), st.sampled_from([None, "a", "b"]), st.booleans()),
    max_size=30,
).map(
    lambda made: [
        row(
            Said(
                PROBE if ours else FINANCE,
                f"e{name}",
                "sample",
                AT,
                {"metric": "samples", "up": up, "subject": subject},
            )
        )
        for name, up, subject, ours in made
    ]
)


def plain(facts: Any) -> list[tuple[Any, ...]]:
    """Every fact by what it says, without positions."""
    return [
        (
            facts.sources[facts.source[place]],
            facts.ids[place],
            None if facts.subject[place] < 0 else facts.subjects[facts.subject[place]],
            int(facts.id_high[place]),
            int(facts.id_low[place]),
            int(facts.payload_high[place]),
            int(facts.payload_low[place]),
            int(facts.value[place]),
        )
        for place in range(len(facts))
    ]


@settings(deadline=None)
@given(EVENTS, st.integers(0, 30))
def test_joined_batches_say_what_all_rows_say(rows: list[Any], cut: int) -> None:
    whole = columns(rows)
    parts = joined([columns(rows[:cut]), EMPTY, columns(rows[cut:])])
    assert plain(parts) == plain(whole)
    assert plain(taken(whole, by_identity(whole))) == sorted(
        plain(whole), key=lambda each: each[3:5]
    )


@settings(deadline=None)
@given(EVENTS)
def test_the_first_fact_of_an_identity_stands_and_others_conflict_or_repeat(
    rows: list[Any],
) -> None:
    first, conflicts = distinct(columns(rows))
    standing: dict[bytes, int] = {}
    differing = []
    for place, each in enumerate(rows):
        kept = standing.setdefault(each.identity, place)
        if rows[kept].payload != each.payload:
            differing.append(place)
    assert sorted(first.tolist()) == sorted(standing.values())
    assert [rows[place].identity for place in first] == sorted(standing)
    assert conflicts.tolist() == differing


def test_identities_that_differ_in_their_second_half_alone_are_not_one() -> None:
    said = Said(PROBE, "e1", "sample", AT, {"metric": "samples", "up": True})
    same, half = row(said), b"\xff" * 8
    ends = (3, 1, 2, 1, 3)
    rows = [
        same._replace(
            id=f"e{end}", identity=half + bytes(7) + bytes([end]), payload=bytes([end] * 8)
        )
        for end in ends
    ]
    facts = columns([*rows, same._replace(identity=bytes(16)), rows[0]._replace(payload=bytes(8))])
    assert by_identity(facts).tolist() == [5, 1, 3, 2, 0, 4, 6]
    first, conflicts = distinct(facts)
    assert first.tolist() == [5, 1, 2, 0]
    assert conflicts.tolist() == [6]


def test_the_numbers_of_kinds_are_fixed_for_stored_frames() -> None:
    assert tuple(EVENT_TYPES) == TYPE_OF_KIND
    assert [name.split(".")[1] for name in TYPE_OF_KIND] == [
        "sample",
        "count",
        "response",
        "volume",
        "outage",
        "ticket",
        "delivery",
        "figure",
        "correction",
        "charge",
        "circumstance",
        "answer",
    ]


def test_identity_and_payload_are_the_same_in_every_release() -> None:
    said = row(Said(PROBE, "e1", "sample", AT, {"metric": "samples", "up": True, "subject": "a"}))
    assert said.identity.hex() == "27975f4c5052be78cc19efe81f4e4912"
    assert said.payload.hex() == "5287f1caa5751a858a8f7447aa7c68a2"
    assert payload_before_of(said, "samples").hex() == "b11193b7b8151149"


def test_the_hash_of_64_bits_of_a_release_before_stays_as_it_is_in_columns_and_evidence() -> None:
    events = [
        row(Said(PROBE, f"e{place}", "sample", AT, {"metric": "samples", "up": True}))
        for place in range(4)
    ]
    old = [each._replace(payload=payload_before_of(each, "samples")) for each in events]
    mixed = columns([events[0], old[1], old[2], events[3]])
    halves = zip(mixed.payload_high.tolist(), mixed.payload_low.tolist(), strict=True)
    told = [payload_bytes(high, low) for high, low in halves]
    assert told == [events[0].payload, old[1].payload, old[2].payload, events[3].payload]
    order = by_identity(mixed)
    rows = [[events[0], old[1], old[2], events[3]][place] for place in order.tolist()]
    assert identities(mixed, order).tobytes() == b"".join(r.identity + r.payload for r in rows)
    assert identities(columns(old), order).nbytes == 4 * 24
    assert identities(columns(events), order).nbytes == 4 * 32


def test_a_stretch_of_facts_names_only_its_own_sources_and_subjects() -> None:
    said = [
        Said(PROBE, "e1", "sample", AT, {"metric": "samples", "up": True, "subject": "z"}),
        Said(FINANCE, "e2", "count", AT, {"metric": "ratio", "good": 1, "total": 3}),
        Said(PROBE, "e3", "sample", AT, {"metric": "status", "up": False, "subject": "a"}),
        Said(PROBE, "e4", "sample", AT, {"metric": "samples", "up": True}),
    ]
    rows = [row(one) for one in said]
    facts = columns(rows)
    for start, stop in ((0, 2), (1, 3), (2, 4), (1, 1), (3, 4), (1, 4), (0, 3)):
        found, alone = between(facts, start, stop), columns(rows[start:stop])
        assert list(found.ids) == list(alone.ids)
        assert list(found.data) == list(alone.data)
        for name in NUMBERS:
            one, other = getattr(found, name), getattr(alone, name)
            assert one.tolist() == other.tolist()
            assert one.dtype == other.dtype
        for part in (found, alone):
            assert part.source.dtype == part.subject.dtype == np.int32
        assert [found.sources[each] for each in found.source] == [
            one.source for one in rows[start:stop]
        ]
        assert sorted(found.sources) == sorted({one.source for one in rows[start:stop]})
        subjects = [one.subject for one in rows[start:stop]]
        assert [found.subjects[at] if at >= 0 else None for at in found.subject] == subjects
        assert (found.subject == -1).tolist() == [one is None for one in subjects]
        assert sorted(found.subjects) == sorted({one for one in subjects if one is not None})
    assert between(facts, 0, len(facts)) is facts


def test_joined_facts_have_columns_of_the_same_types_and_no_subject_stays_minus_one() -> None:
    rows = [
        row(Said(PROBE, "e1", "sample", AT, {"metric": "samples", "up": True, "subject": "z"})),
        row(Said(PROBE, "e2", "sample", AT, {"metric": "samples", "up": True})),
    ]
    whole = columns(rows)
    for facts in (
        whole,
        joined([columns(rows[1:]), columns(rows[:1])]),
        taken(whole, np.array([1, 0])),
    ):
        assert facts.source.dtype == facts.subject.dtype == facts.metric.dtype == np.int32
        assert facts.at_us.dtype == facts.value.dtype == facts.scale_or_total.dtype == np.int64
        assert sorted(facts.subject.tolist()) == [-1, 0]


def test_no_facts_have_the_columns_of_facts() -> None:
    some = columns([row(Said(PROBE, "e1", "sample", AT, {"metric": "samples", "up": True}))])
    for name in (*NUMBERS, "source"):
        assert getattr(EMPTY, name).dtype == getattr(some, name).dtype
        assert len(getattr(EMPTY, name)) == 0
    for name in ("ids", "data", "sources", "subjects", "subject"):
        assert len(getattr(EMPTY, name)) == 0
