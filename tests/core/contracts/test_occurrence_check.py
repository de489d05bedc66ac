"""Where occurrences over the end of a period count is stated before money depends on it."""

from __future__ import annotations

import pytest

from services.core.contracts.check import check
from services.core.contracts.language import upgraded
from services.core.contracts.reading import read_documents
from tests.core.told import CAMPUS

PROGRAMME = (
    CAMPUS
    + """\
  - {metric: m, name: M, unit: UNIT, better: BETTER, measure: MEASURE}
"""
)
AGREEMENT = """kind: agreement
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
lateness_hours: 0
conventions: {money_rounding: half_up, rounded_at: total}
levels:
  - level: only
    name: Only
    metric: m
    judged: exact
    no_data: no_result
    defaults: {kind: never}
    credits:
      - is_a: service_credit
        due: {kind: every_period}
        quantity: {kind: duration, of: each, counted: elapsed, unit: 1, part_unit: in_proportion}
        rate: {kind: amount, amount: 1}
"""
OWN = ("of: each", "of: each, across_periods: ends")
TICKETS = (
    "{kind: tickets_in_time, limit_minutes: 60, equal_is_in_time: true, stops_in: [], "
    "across_periods: ends, open_past_limit: left_out}"
)


def of(measure: str, unit: str = "minutes", better: str = "lower") -> str:
    """The programme with one measure, and what it must state beside what these tests look at."""
    more = "silence: up, incomplete: wait" if "outage" in measure else "nothing_to_count: no_data"
    more += ", incomplete: wait" if "tickets" in measure else ""
    measure = f"{measure.removesuffix('}')}, {more}}}"
    text = PROGRAMME.replace("MEASURE", measure).replace("UNIT", unit)
    return text.replace("BETTER", better)


def refused(programme: str, *agreements: str) -> list[str]:
    """What is refused of the last agreement, or of the programme."""
    documents, refusals = read_documents(programme, "p.yaml")
    if refusals:
        return [one.text().split(": ", 1)[1] for one in refusals]
    (known,) = documents.programmes
    read, refusals = read_documents("---\n".join(agreements), "a.yaml")
    assert not refusals
    found = check(read.documents[-1], known, read.agreements)
    return [one.text().split(": ", 1)[1] for one in found]


@pytest.mark.parametrize(
    "measure",
    [
        "{kind: outage_time, overlap: merged, part: exact}",
        "{kind: availability_by_outages}",
    ],
)
def test_single_outages_are_not_priced_before_it_is_said_where_they_count(measure: str) -> None:
    share = "availability" in measure
    programme = of(measure, *(("percent", "higher") if share else ()))
    assert refused(programme, AGREEMENT) == [
        "levels[0].credits[0].quantity: m does not say where an outage over the end of a period "
        "counts; state across_periods at the metric or here: begins, ends or split"
    ]
    assert refused(programme, AGREEMENT.replace(*OWN)) == []
    stated = programme.replace("}}", ", across_periods: begins}}")
    assert refused(stated, AGREEMENT) == []


@pytest.mark.parametrize(
    ("measure", "said"),
    [
        ("{kind: outage_time, overlap: each, part: exact}", "it counts each outage as a whole"),
        (
            "{kind: outage_time, overlap: merged, part: full_only}",
            "it counts each outage as a whole",
        ),
        ("{kind: outage_count}", "across_periods: 'across_periods' is not stated"),
        ("{kind: delivery_delay}", "across_periods: 'across_periods' is not stated"),
        ("{kind: delivery_delay, across_periods: begins}", "until_delivered goes with"),
        (
            "{kind: delivery_delay, across_periods: ends, until_delivered: waits}",
            "until_delivered goes with",
        ),
        (TICKETS.replace("left_out", "late"), "late_counts goes with"),
        (TICKETS.replace("left_out", "left_out, late_counts: once"), "late_counts goes with"),
        (TICKETS.replace("ends", "split"), "'split' is not a choice here"),
    ],
)
def test_a_measure_of_wholes_states_where_they_count(measure: str, said: str) -> None:
    (found,) = refused(of(measure))
    assert said in found


def test_a_term_that_counts_elsewhere_looks_at_single_occurrences_that_it_can_cut() -> None:
    tickets = of(TICKETS, "percent", "higher")
    assert refused(tickets, AGREEMENT.replace(*OWN)) == []
    (found,) = refused(tickets, AGREEMENT.replace("of: each", "of: each, across_periods: split"))
    assert found == (
        "levels[0].credits[0].quantity.across_periods: the tickets of m are not cut at the end of "
        "a period; write begins or ends"
    )
    total = AGREEMENT.replace("of: each", "of: total, across_periods: ends")
    _, (refusal,) = read_documents(total, "a.yaml")
    assert "across_periods is about single occurrences" in refusal.text()


def test_a_term_keeps_where_it_counts_in_all_versions() -> None:
    programme = of("{kind: outage_time, overlap: each, part: exact, across_periods: begins}")
    later = AGREEMENT.replace("version: 1", "version: 2").replace("2025-01-01", "2025-02-01")
    assert refused(programme, AGREEMENT, later) == []
    (found,) = refused(programme, AGREEMENT, later.replace(*OWN))
    assert found.startswith(
        "levels[0].credits[0].quantity.across_periods: in version 1 it is as the metric says, so "
        "what reaches over the change of version would count twice or not at all; keep it, "
    )


def test_the_upgrade_writes_what_language_1_did() -> None:
    measures = {
        "outage_time": {"overlap": "each", "part": "exact"},
        "outage_count": {},
        "availability_by_outages": {},
        "tickets_in_time": {"open_past_limit": "late"},
        "delivery_delay": {},
        "mean": {},
    }
    metrics = [{"measure": {"kind": kind, **more}} for kind, more in measures.items()]
    rights = [{"kind": "occurrence"}, {"kind": "mean"}]
    found = upgraded({"metrics": metrics, "terminations": rights})
    written = [
        {name: one["measure"][name] for name in ADDED if name in one["measure"]}
        for one in found["metrics"]
    ]
    assert written == [
        {"across_periods": "split"},
        {"across_periods": "begins"},
        {"across_periods": "split"},
        {"across_periods": "ends", "late_counts": "in_each_period"},
        {"across_periods": "begins", "until_delivered": "late_so_far"},
        {},
    ]
    assert [one.get("across_periods") for one in found["terminations"]] == ["goes_on", None]


ADDED = ("across_periods", "late_counts", "until_delivered")
