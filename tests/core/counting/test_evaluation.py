"""A period's evaluation: what it holds, and that it depends on nothing but the facts."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from fractions import Fraction
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.evaluation import PeriodEvaluation
from schemas.period import Window
from schemas.statement import canonical
from services.core.calendar.windows import bounds_us, window_of
from services.core.counting.evaluation import agreement_at, evaluate, needs, programme_at, ready
from services.core.counting.measures.counting import FactSpan, needed_span
from services.core.counting.occurrence_time import said_times
from services.core.counting.occurrences import NAMED_BY
from services.core.events.facts import columns, joined
from tests.core.said import (
    DESK,
    FINANCE,
    NUMBERS,
    PROBE,
    PROGRAMME,
    Said,
    agreement,
    evaluation_of,
    facts,
    figure_of,
    moment,
    programme,
    row,
)

LEVELS: list[dict[str, Any]] = [
    {"metric": "samples", "each_subject": True},
    {"metric": "series"},
    {"metric": "total", "measured": "day"},
    {"metric": "merged"},
    {"metric": "status"},
]
START = window_of("2025-01", "Europe/Berlin").start


def charge(name: str, at: str, amount: str, period: str = "2025-01", **data: Any) -> Said:
    body = {"agreement": "north-wan", "base": "invoice", "period": period, "currency": "EUR"}
    return Said(FINANCE, name, "charge", moment(at), body | {"amount": amount} | data)


def circumstance(name: str, at: str, **data: Any) -> Said:
    body = {"agreement": "north-wan", "circumstance": "claim", "period": "2025-01"}
    return Said(FINANCE, name, "circumstance", moment(at), body | data)


def _event(place: int, hour: int, kind: int) -> Said:
    at = START + timedelta(hours=hour)
    subject = {"subject": "ab"[place % 2]} if place % 3 else {}
    data: dict[str, Any]
    if kind == 0:
        data = {"metric": "samples", "up": hour % 2 == 0, **subject}
    elif kind == 1:
        data = {"metric": "ratio", "good": hour % 3, "total": 3, **subject}
    elif kind == 2:
        data = {"metric": "total", "value": f"{hour}.5", "unit": "count", **subject}
    elif kind == 3:
        phase = "open" if place % 2 else "close"
        data = {"metric": "merged", "outage": f"o{place // 2}", "phase": phase}
    else:
        data = {"metric": "status", "up": hour % 2 == 0, **subject}
    return Said(
        PROBE, f"e{place}", ("sample", "count", "volume", "outage", "sample")[kind], at, data
    )


EVENTS = st.lists(st.tuples(st.integers(-30, 31 * 24 + 30), st.integers(0, 4)), max_size=25).map(
    lambda pairs: [
        charge("i1", "2025-02-01 10:00", "100.00"),
        circumstance("c1", "2025-02-01 10:00"),
        *(_event(place, *pair) for place, pair in enumerate(pairs)),
    ]
)


@settings(max_examples=40, deadline=None)
@given(EVENTS, st.randoms(use_true_random=False), st.integers(0, 27))
def test_order_batches_and_repeats_of_facts_do_not_matter(
    events: list[Said], random: Any, cut: int
) -> None:
    plain = canonical(evaluation_of(events, LEVELS))
    mixed = [*events, *random.sample(events, len(events) // 2)]
    random.shuffle(mixed)
    batches = joined([facts(mixed[cut:]), facts(mixed[:cut])])
    assert canonical(evaluation_of(batches, LEVELS)) == plain


def test_no_order_of_a_few_facts_matters() -> None:
    events = [
        Said(PROBE, f"e{place}", "sample", START, {"metric": "status", "up": place == 2})
        for place in range(4)
    ]
    plain = evaluation_of(events, [{"metric": "status"}])
    for order in permutations(events):
        assert evaluation_of(order, [{"metric": "status"}]) == plain


@settings(max_examples=40, deadline=None)
@given(EVENTS)
def test_an_evaluation_reads_back_from_its_canonical_form(events: list[Said]) -> None:
    found = evaluation_of(events, LEVELS)
    assert PeriodEvaluation.model_validate_json(canonical(found)) == found


@settings(max_examples=40, deadline=None)
@given(EVENTS)
def test_the_days_of_a_month_add_up_to_the_month(events: list[Said]) -> None:
    by_day = evaluation_of(events, [{"metric": "total", "measured": "day"}]).figures
    assert len(by_day) == 31
    assert [each.period for each in by_day] == sorted(each.period for each in by_day)
    whole = figure_of(events, "total").value
    assert sum(each.value or 0 for each in by_day) == (whole or 0)
    by_day = evaluation_of(events, [{"metric": "merged", "measured": "day"}]).figures
    assert sum(each.value or 0 for each in by_day) == figure_of(events, "merged").value


@settings(max_examples=40, deadline=None)
@given(EVENTS)
def test_only_the_facts_that_a_window_needs_change_its_evaluation(events: list[Said]) -> None:
    """The span that is asked for is enough: what lies outside of it is not missed."""
    levels = [level | {"each_subject": False} for level in LEVELS]
    spans = {each.metric: each for each in needs([PROGRAMME], [agreement(levels)], "2025-01")}
    rows = [row(each) for each in events]
    names = {number: metric for (_, metric), number in NUMBERS.items()}

    def needed(each: Any) -> bool:
        span = spans.get(names.get(each.metric, ""))
        if span is None or span.last_before:
            return True
        return (span.since_us is None or each.at_us >= span.since_us) and (
            span.until_us is None or each.at_us < span.until_us
        )

    kept = columns([each for each in rows if needed(each)])
    assert evaluation_of(kept, levels) == evaluation_of(events, levels)


OF_OCCURRENCES = ("merged", "without-outage", "started", "outages", "tickets", "deliveries")
MOMENTS = st.integers(-70 * 24, 70 * 24).map(
    lambda hour: moment("2025-03-15 12:00") + timedelta(hours=hour)
)


def _of_occurrence(
    place: int, metric: str, name: int, at: datetime, how: int, other: datetime
) -> Said:
    data: dict[str, Any] = {"metric": metric}
    if metric == "tickets":
        state = ("opened", "waiting", "resolved", "reopened", "noted")[how]
        kind, data = "ticket", data | {"ticket": f"t{name}", "state": state, "assigned_to": "north"}
    elif metric == "deliveries":
        due = {"due_at": other.isoformat()}
        done = ({}, {}, {"delivered_at": at.isoformat()}, {"called_off_at": at.isoformat()}, {})[
            how
        ]
        kind, data = "delivery", data | {"delivery": f"d{name}", **due, **done}
    else:
        phase = ("open", "open", "close", "correct", "close")[how]
        moved = {"ended_at": at.isoformat()} if phase == "correct" else {}
        kind, data = "outage", data | {"outage": f"o{name}", "phase": phase, **moved}
    return Said(PROBE, f"e{place}", kind, at, data | ({"subject": "a"} if name % 2 else {}))


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(OF_OCCURRENCES), st.integers(0, 4), MOMENTS, st.integers(0, 4), MOMENTS
        ),
        max_size=40,
    )
)
def test_only_occurrences_that_are_in_a_window_change_its_evaluation(pairs: list[Any]) -> None:
    """Of each occurrence that is in the window at some time or not over before it, all events; of
    the others none."""
    levels = [{"metric": metric} for metric in OF_OCCURRENCES]
    rows = [row(_of_occurrence(place, *pair)) for place, pair in enumerate(pairs)]
    spans = {each.metric: each for each in needs([PROGRAMME], [agreement(levels)], "2025-03")}
    names = {number: metric for (_, metric), number in NUMBERS.items()}
    told: dict[Any, list[Any]] = {}
    for each in rows:
        data = json.loads(each.data)
        told.setdefault((each.metric, data[NAMED_BY[each.kind]]), []).append(
            (each, said_times(each.kind, each.at_us, data))
        )
    kept = []
    for (metric, _), own in told.items():
        bounds = spans[names[metric]].window_us
        assert bounds is not None
        times = [each for _, each in own]
        ended = max((each.ended_us for each in times if each.ended_us is not None), default=-1)
        again = max(
            (each.reopened_us for each in times if each.reopened_us is not None), default=-1
        )
        goes_on = ended <= again or max(each.last_us for each in times) >= bounds[0]
        if goes_on and min(each.first_us for each in times) < bounds[1]:
            kept += [each for each, _ in own]
    found = evaluation_of(columns(kept), levels, "2025-03")
    assert found == evaluation_of(columns(rows), levels, "2025-03")


def test_the_needed_span_follows_from_the_measure() -> None:
    window = window_of("2025-01", "Europe/Berlin")
    start, end = bounds_us(window)

    def span(name: str) -> FactSpan:
        metric = PROGRAMME.metric(name)
        assert metric is not None
        return needed_span(metric, Window(start=window.start, end=window.end))

    bounds = start, end
    assert span("samples") == FactSpan("samples", start, end, window_us=bounds)
    assert span("status") == FactSpan("status", start, end, last_before=True)
    assert span("tickets") == FactSpan("tickets", None, end, window_us=bounds)
    assert span("merged") == FactSpan("merged", None, None, window_us=bounds)
    assert span("declared") == FactSpan("declared", None, None)


def test_a_composite_brings_the_figures_of_its_parts() -> None:
    found = evaluation_of([_event(0, 1, 0), _event(1, 1, 1)], [{"metric": "series"}])
    assert [each.metric for each in found.figures] == ["ratio", "samples", "series"]
    found = evaluation_of([], [{"metric": "whole"}])
    assert [each.metric for each in found.figures] == [
        *("parallel", "ratio", "samples", "series", "tickets", "whole"),
    ]


def test_each_subject_with_facts_in_the_period_has_figures_of_its_own() -> None:
    events = [_event(1, 1, 0), _event(2, 2, 0), _event(4, -5, 0)]
    found = evaluation_of(events, [{"metric": "samples", "each_subject": True}])
    assert [each.subject for each in found.figures] == [None, "a", "b"]
    later = evaluation_of(events[2:], [{"metric": "samples", "each_subject": True}])
    assert [each.subject for each in later.figures] == [None]
    told = {"metric": "declared", "period": "2025-01", "value": 99, "unit": "percent"}
    declared = Said(PROBE, "f", "figure", moment("2025-02-02 10:00"), told | {"subject": "a"})
    found = evaluation_of([declared], [{"metric": "declared", "each_subject": True}])
    assert [(each.subject, each.value) for each in found.figures] == [(None, None), ("a", 99)]


def test_the_metrics_that_credits_look_at_are_counted_too() -> None:
    credit = {
        "name": "credit",
        "is_a": "service_credit",
        "due": {"kind": "on_default"},
        "quantity": {"kind": "figure", "metric": "outages"},
        "rate": {"kind": "amount", "amount": 10},
    }
    found = evaluation_of([], [{"metric": "samples", "credits": [credit]}])
    assert [each.metric for each in found.figures] == ["outages", "samples"]


def test_the_last_charge_of_a_name_stands_and_all_circumstances_are_kept_in_order() -> None:
    events = [
        charge("i2", "2025-02-03 10:00", "90.00"),
        charge("i1", "2025-02-01 10:00", "100.00"),
        charge("i3", "2025-02-02 10:00", "7.00", subject="a"),
        charge("i4", "2025-02-02 10:00", "5.00", period="2025-02"),
        circumstance("c2", "2025-02-03 10:00"),
        circumstance("c1", "2025-02-01 10:00", values={"days": "1.50", "text": "x", "yes": True}),
    ]
    found = evaluation_of(events, [{"metric": "samples"}])
    assert [each.event.id for each in found.charges] == ["i3", "i2"]
    assert [each.event.id for each in found.circumstances] == ["c1", "c2"]
    corrected = {"corrects": "i2", "reason": "wrong invoice"}
    taken_back = Said(FINANCE, "x", "correction", moment("2025-02-09 10:00"), corrected)
    found = evaluation_of([*events, taken_back], [{"metric": "samples"}])
    assert [each.event.id for each in found.charges] == ["i1", "i3"]


def test_what_is_stated_at_one_instant_is_in_order_of_identity() -> None:
    at = ("2025-02-03 10:00", "2025-02-02 10:00")
    events = [circumstance(f"c{place}", at[place % 2]) for place in range(200)]
    placed = {row(each).identity: each for each in events}
    expected = sorted(placed, key=lambda identity: (placed[identity].at, identity))
    found = evaluation_of(events, [{"metric": "samples"}])
    assert [each.event.id for each in found.circumstances] == [placed[one].id for one in expected]


def test_two_payloads_for_one_identity_stop_the_evaluation() -> None:
    one = Said(PROBE, "e", "sample", START, {"metric": "samples", "up": True})
    other = one._replace(data={"metric": "samples", "up": False})
    with pytest.raises(ValueError, match="two different things") as refused:
        evaluation_of([one, other], LEVELS)
    assert str(refused.value) == (
        "event e of source urn:north:probe says two different things; keep the one that was "
        "accepted and quarantine the other"
    )


def test_the_programme_version_in_force_at_the_window_defines_the_metric() -> None:
    stricter = {
        "metric": "within",
        "name": "within",
        "unit": "milliseconds",
        "better": "lower",
        "measure": {"kind": "within_limit", "limit": 1, "equal_is_within": True},
    }
    second = programme(2, "2025-02-01", metrics=[stricter], sources=[
        {"source": PROBE, "reports_for": "north"}])  # fmt: skip
    versions = [second, PROGRAMME]
    data = {"metric": "within", "value": 2, "unit": "milliseconds"}
    events = [
        Said(PROBE, f"e{month}", "response", moment(f"2025-0{month}-10 10:00"), data)
        for month in (1, 2)
    ]
    values = []
    for period in ("2024-12", "2025-01", "2025-02"):
        found = evaluate(
            versions,
            [agreement([{"metric": "within"}])],
            period,
            ready(versions, facts(events), NUMBERS).every,
            NUMBERS,
            1,
            "closed",
        )
        values.append(found.figures[0].value)
    assert values == [None, 100, 0]
    assert programme_at(versions, "2024-12").version == 1
    with pytest.raises(ValueError, match="metric ratio is not defined") as refused:
        evaluate(versions, [agreement([{"metric": "ratio"}])], "2025-02", facts([]), NUMBERS, 1,
                 "closed")  # fmt: skip
    assert str(refused.value) == (
        "metric ratio is not defined in version 2 of the programme acme, which is in force in "
        "2025-02; define it there or let the agreement begin later"
    )


def test_the_agreement_version_that_covers_the_period_says_what_is_needed() -> None:
    first = agreement([{"metric": "samples"}], effective_until="2025-03-01")
    second = agreement([{"metric": "ratio"}], version=2, effective_from="2025-03-01")
    assert agreement_at([first, second], "2025-02").version == 1
    found = evaluate([PROGRAMME], [first, second], "2025-03", facts([]), NUMBERS, 2, "late_facts")
    assert [each.metric for each in found.figures] == ["ratio"]
    assert (found.revision, found.reason) == (2, "late_facts")


NEXT = {"base": "invoice", "of_period": "next", "if_missing": "wait"}
FULL = {"part_of_period": "full_charge", "longer_charge": "refused"}
ENDING = {"effective_until": "2025-02-01", "bases": [NEXT | FULL]}
AFTER = [
    charge("i2", "2025-03-01 10:00", "100.00", period="2025-02"),
    charge("i3", "2025-03-01 11:00", "7.00", period="2025-03"),
    circumstance("c2", "2025-03-01 10:00", circumstance="service_in_use", period="2025-02"),
    circumstance("c3", "2025-03-01 10:00", circumstance="claim", period="2025-02"),
]


def test_a_composite_of_more_than_24_digits_is_kept_exact_and_reads_back() -> None:
    """Settlement reads what the evaluator wrote: what it could not read would never be settled."""
    at, prime = moment("2025-01-15 10:00"), 2**61 - 1
    events = [
        Said(PROBE, "s1", "sample", at, {"metric": "samples", "up": True}),
        Said(PROBE, "s2", "sample", at, {"metric": "samples", "up": False}),
        Said(PROBE, "c1", "count", at, {"metric": "ratio", "good": prime - 1, "total": prime}),
        *(
            Said(
                DESK,
                state,
                "ticket",
                at,
                {"metric": "tickets", "ticket": "t", "state": state} | more,
            )
            for state, more in (("opened", {"assigned_to": "north"}), ("resolved", {"sequence": 1}))
        ),
    ]
    made = evaluation_of(events, [{"metric": "whole"}])
    assert PeriodEvaluation.model_validate_json(canonical(made)) == made
    (value,) = [one.value for one in made.figures if one.metric == "whole"]
    good = Fraction(prime - 1, prime)
    assert value == 100 * good / 2 * (1 - (1 - good) / 2)


def carried(period: str, *versions: dict[str, Any]) -> list[str]:
    """The identities of what an evaluation carries, by the versions of North's agreement."""
    ordered = [agreement([{"metric": "total"}], **one) for one in versions]
    made = evaluate([PROGRAMME], ordered, period, facts(AFTER), NUMBERS, 1, "closed")
    return sorted(one.event.id for one in (*made.charges, *made.circumstances))


def test_the_last_period_carries_the_next_charge_where_a_base_is_that() -> None:
    assert carried("2025-01", ENDING) == ["c2", "i2"]
    assert carried("2025-01", ENDING | {"bases": []}) == []
    assert carried("2025-01", ENDING | {"effective_until": "2025-03-01"}) == []
    assert carried("2025-02", ENDING | {"effective_until": "2025-03-01"}) == [
        "c2",
        "c3",
        "i2",
        "i3",
    ]


def test_a_gap_between_versions_is_an_end_as_well() -> None:
    later = {"version": 2, "effective_from": "2025-04-01", "bases": ENDING["bases"]}
    assert carried("2025-01", ENDING, later) == ["c2", "i2"]
    assert carried("2025-01", ENDING, later | {"effective_from": "2025-02-01"}) == []


def test_the_first_period_carries_the_openings_of_the_time_before() -> None:
    cap = {"cap": "all", "window": "term", "opening": "brought"}
    cap |= {"limit": {"kind": "amount", "amount": 5}}
    said = [
        circumstance("o1", "2025-02-01 10:00", circumstance="brought", period="2024-11"),
        circumstance("o2", "2025-02-01 10:00", circumstance="other", period="2024-12"),
        circumstance("o3", "2025-02-01 10:00", circumstance="brought", period="2025-02"),
    ]
    capped = agreement([{"metric": "total"}], caps=[cap])
    held = {
        period: [
            one.event.id
            for one in evaluate(
                [PROGRAMME], [capped], period, facts(said), NUMBERS, 1, "closed"
            ).circumstances
        ]
        for period in ("2025-01", "2025-02", "2025-03")
    }
    assert held == {"2025-01": ["o1"], "2025-02": ["o3"], "2025-03": []}
