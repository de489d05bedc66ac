"""Attributed shares, for each measure of occurrences and for every term that reads them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

import pytest

from schemas.statement import LevelResult, SettlementStatement
from services.core.contracts.check import check
from services.core.contracts.reading import read_documents
from services.core.settling.one_period import Unsettled
from tests.core.golden.production import Contracts, evaluations, settled

PROGRAMME = """\
kind: programme
language: 2
programme: estate
version: 1
effective_from: 2010-01-01
buyer: buyer
name: Estate
time_zone: UTC
restated_for_days: 3660
whose_word: {charges: either, circumstances: either, decisions: either, figures: either}
vendors: [{vendor: nimbus, name: Nimbus}]
sources:
  - {source: "urn:nimbus", reports_for: nimbus, metrics: [up, out, each, number, tickets, late]}
  - {source: "urn:buyer", reports_for: buyer, metrics: [up, out, each, number, tickets, late]}
metrics:
  - {metric: up, name: Up, unit: percent, better: higher, several_sources: added,
     measure: {kind: availability_by_outages, silence: up, incomplete: wait, across_periods: split}}
  - {metric: out, name: Out, unit: minutes, better: lower, several_sources: added,
     measure: {kind: outage_time, overlap: merged, part: exact, across_periods: split,
     silence: up, incomplete: wait}}
  - {metric: each, name: Each, unit: minutes, better: lower, several_sources: added,
     measure: {kind: outage_time, overlap: each, part: started_counts, across_periods: split,
     silence: up, incomplete: wait}}
  - {metric: number, name: Number, unit: count, better: lower, several_sources: added,
     measure: {kind: outage_count, silence: up, incomplete: wait, across_periods: begins}}
  - {metric: tickets, name: Tickets, unit: percent, better: higher, several_sources: added,
     measure: {kind: tickets_in_time,
     nothing_to_count: no_data, incomplete: wait,
     limit_minutes: 60, equal_is_in_time: true, stops_in: [], across_periods: begins,
     open_past_limit: late}}
  - {metric: late, name: Late, unit: count, better: lower, several_sources: added,
     measure: {kind: delivery_delay, nothing_to_count: no_data,
     across_periods: begins, until_delivered: waits}}
"""
AGREEMENT = """\
kind: agreement
language: 2
agreement: s
version: 1
programme: estate
type: service
vendor: nimbus
name: s
currency: USD
effective_from: 2025-04-01
settled: month
lateness_hours: 0
conventions: {money_rounding: half_up, rounded_at: total}
levels:
  - level: held
    name: Held
    metric: METRIC
    expected: {EXPECTED}
    judged: exact
    no_data: no_result
    defaults: {kind: every_miss}
    attributed:
      circumstance: cause
      shares: [{attributed_to: vendor, percent: 100}, {attributed_to: joint, percent: 30}]
      unattributed: wait
"""
CREDIT = """\
    credits:
      - is_a: service_credit
        due: {kind: every_period}
        quantity: QUANTITY
        rate: RATE
"""
RIGHT = """\
terminations:
  - {term: long, kind: occurrence, metric: out, across_periods: goes_on, region: {above: 60}}
"""
ONE = "{kind: one}"
DURATION = "{kind: duration, of: each, counted: elapsed, unit: 1, part_unit: in_proportion"
Events = Sequence[Mapping[str, Any]]


def event(number: int, kind: str, time: str, **data: Any) -> Mapping[str, Any]:
    """One CloudEvent; what the buyer states comes from the buyer."""
    source = "urn:buyer" if kind == "circumstance" else "urn:nimbus"
    return {
        "specversion": "1.0", "id": f"e{number}", "source": source,
        "type": f"earnback.{kind}.v1", "time": time, "data": data,
    }  # fmt: skip


def outage(number: int, metric: str, name: str, begins: str, ends: str, **more: Any) -> Events:
    """An outage on days of April, from one time of the day to another."""
    told = {"metric": metric, "outage": name, **more}
    return (
        event(number, "outage", f"2025-04-{begins}:00Z", phase="open", **told),
        event(number + 1, "outage", f"2025-04-{ends}:00Z", phase="close", **told),
    )


def cause(number: int, name: str | None, to: object = "vendor", **more: Any) -> Mapping[str, Any]:
    """Whom an occurrence is attributed to."""
    said = {"agreement": "s", "circumstance": "cause", "period": "2025-04", **more}
    if name is not None:
        said["subject"] = name
    return event(
        number, "circumstance", f"2025-04-30T00:00:{number:02}Z", **{"values": {"to": to}, **said}
    )


def contracts_of(
    metric: str, *changes: tuple[str, str], credit: str = "", more: str = ""
) -> Contracts:
    """The agreement about a metric, which must be in order."""
    better = "at_least: 99.5" if metric in ("up", "tickets") else "at_most: 1"
    text = AGREEMENT.replace("METRIC", metric).replace("EXPECTED", better) + credit + more
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    found, refusals = read_documents(f"{PROGRAMME}---\n{text}", "contracts.yaml")
    (programme,) = found.programmes
    for document in found.documents:
        refusals += check(document, programme, found.agreements)
    assert not refusals, [one.text() for one in refusals]
    return Contracts(programme, found.agreements, ())


def outcome(
    metric: str, events: Events, *changes: tuple[str, str], credit: str = "", more: str = ""
) -> SettlementStatement | Unsettled:
    """What April comes to."""
    contracts = contracts_of(metric, *changes, credit=credit, more=more)
    (april,) = settled(contracts, "s", evaluations(contracts, "s", events, "2025-04"))
    return april


def result(*args: Any, **more: Any) -> LevelResult:
    """The level's result in April."""
    found = outcome(*args, **more)
    assert isinstance(found, SettlementStatement), found
    return found.results[0]


def priced(*args: Any, quantity: str = ONE, rate: str = "{kind: amount, amount: 1}") -> int:
    """What April comes to in whole dollars, of a credit that is due in every period."""
    credit = CREDIT.replace("QUANTITY", quantity).replace("RATE", rate)
    found = outcome(*args, credit=credit)
    assert isinstance(found, SettlementStatement), found
    assert found.total_minor % 100 == 0
    return found.total_minor // 100


def two_that_overlap(metric: str) -> Events:
    """10:00 to 11:00 jointly caused, 10:30 to 11:30 by the vendor."""
    return [
        *outage(1, metric, "a", "03T10:00", "03T11:00"),
        *outage(3, metric, "b", "03T10:30", "03T11:30"),
        cause(5, "a", "joint"),
        cause(6, "b"),
    ]


def test_where_outages_overlap_the_highest_share_counts_once() -> None:
    assert result("out", two_that_overlap("out")).result == 30 * Fraction(3, 10) + 60
    lost = 60 * (30 * Fraction(3, 10) + 60)
    total = 30 * 86400
    assert result("up", two_that_overlap("up")).result == 100 * (total - lost) / total


def test_outages_of_different_subjects_are_not_merged() -> None:
    events = [
        *outage(1, "out", "a", "03T10:00", "03T11:00", subject="x"),
        *outage(3, "out", "b", "03T10:30", "03T11:30", subject="y"),
        cause(5, "a", "joint"),
        cause(6, "b"),
    ]
    assert result("out", events).result == 18 + 60


def test_the_share_is_taken_of_the_exact_time_and_then_counted_in_units() -> None:
    events = [*outage(1, "each", "a", "03T10:00", "03T10:05"), cause(3, "a", "joint")]
    assert result("each", events).result == 2, "30 % of 5 minutes are 1.5, two of them started"


@pytest.mark.parametrize(("second", "number"), [("vendor", 2), ("joint", 2), ("buyer", 1)])
def test_a_number_counts_each_whose_share_is_above_zero(second: str, number: int) -> None:
    events = [
        *outage(1, "number", "a", "03T10:00", "03T11:00"),
        *outage(3, "number", "b", "04T10:00", "04T11:00"),
        cause(5, "a"),
        cause(6, "b", second),
    ]
    assert result("number", events).result == number


def three_tickets() -> Events:
    """One in time and one late of the vendor, and a late one of the buyer."""
    events: list[Mapping[str, Any]] = []
    for place, (name, minutes) in enumerate([("t1", 30), ("t2", 90), ("t3", 90)]):
        told = {"metric": "tickets", "ticket": name}
        at = 10 * place
        moment = f"2025-04-0{place + 3}T1"
        events += [
            event(at, "ticket", f"{moment}0:00:00Z", state="opened", **told),
            event(at + 1, "ticket", f"{moment}{minutes // 60}:30:00Z", state="resolved", **told),
            cause(at + 2, name, "buyer" if name == "t3" else "vendor"),
        ]
    return events


def two_late_deliveries() -> Events:
    """Four days late each: one jointly caused, one by the buyer."""
    late = [
        event(place, "delivery", "2025-04-20T00:00:00Z", metric="late", delivery=name,
              due_at="2025-04-10T00:00:00Z", delivered_at="2025-04-14T00:00:00Z")
        for place, name in enumerate("ab")
    ]  # fmt: skip
    return [*late, cause(5, "a", "joint"), cause(6, "b", "buyer")]


def of_each_kind(metric: str) -> Events:
    """Occurrences of a metric, with whom they are attributed to."""
    if metric == "tickets":
        return three_tickets()
    return two_late_deliveries() if metric == "late" else two_that_overlap(metric)


def test_a_ticket_that_is_attributed_elsewhere_is_in_neither_count() -> None:
    found = result("tickets", three_tickets())
    assert (found.figure, found.result) == (Fraction(100, 3), 50)


def test_a_delivery_that_is_attributed_elsewhere_is_not_late() -> None:
    events = two_late_deliveries()
    assert result("late", events).result == 1
    each = DURATION.replace("in_proportion", "counts_in_full") + "}"
    assert priced("late", events, quantity=each) == 2, "30 % of 4 days, a part of a day in full"
    dates = each.replace("elapsed", "calendar_days")
    assert priced("late", events, quantity=dates) == 2


@pytest.mark.parametrize(
    ("quantity", "units"),
    [
        (DURATION + "}", 60 + 18),
        (DURATION + ", grace: {kind: threshold, units: 20}}", 60),
        (DURATION.replace("each", "total") + "}", 69),
        ("{kind: figure, metric: out}", 69),
        ("{kind: excess, metric: out, counted_from: 60, in_percent_of_start: false, step: 1, "
         "part_step: in_proportion}", 9),
    ],
)  # fmt: skip
def test_every_quantity_reads_what_is_attributed(quantity: str, units: int) -> None:
    assert priced("out", two_that_overlap("out"), quantity=quantity) == units


def test_factors_and_conditions_read_what_is_attributed() -> None:
    table = "factors: [{kind: by_figure, metric: out, bands: [{below: 70, gives: 3}, {at_least: 70, gives: 9}]}]"  # noqa: E501
    when = "when: {holds: 'minutes < 70.0', unknown: wait, reads: [{kind: figure, name: minutes, metric: out}]}"  # noqa: E501
    rate = f"{{kind: amount, amount: 1}}\n        {table}\n        {when}"
    assert priced("out", two_that_overlap("out"), rate=rate) == 3


@pytest.mark.parametrize(("limit", "opens"), [(59, True), (60, False), (61, False)])
def test_a_right_to_terminate_reads_what_is_attributed(limit: int, opens: bool) -> None:
    right = RIGHT.replace("60", str(limit))
    events = [
        *outage(1, "out", "a", "03T10:00", "03T12:00"),
        *outage(3, "out", "b", "04T10:00", "04T11:00"),
        cause(5, "a", "joint"),
        cause(6, "b"),
    ]
    found = outcome("out", events, more=right)
    assert isinstance(found, SettlementStatement)
    assert bool(found.rights) is opens


def test_who_says_it_is_evidence_of_the_line() -> None:
    credit = CREDIT.replace("QUANTITY", ONE).replace("RATE", "{kind: amount, amount: 1}")
    found = outcome("out", two_that_overlap("out"), credit=credit)
    assert isinstance(found, SettlementStatement)
    assert {"e5", "e6"} <= {one.id for one in found.lines[0].events}


def test_the_last_statement_stands_and_one_for_the_level_goes_before() -> None:
    outages = outage(1, "out", "a", "03T10:00", "03T11:00")
    assert result("out", [*outages, cause(4, "a", "joint"), cause(5, "a")]).result == 60
    own = [*outages, cause(4, "a", level="held"), cause(5, "a", "joint")]
    assert result("out", own).result == 60


def test_what_is_attributed_to_a_party_that_is_not_listed_is_said() -> None:
    events = [*outage(1, "out", "a", "03T10:00", "03T11:00"), cause(3, "a", "vendro")]
    found = result("out", events)
    assert found.result == 0
    assert found.steps[1].text == "attributed: 0 % of 60 (a, vendro is not listed); " \
        "where they overlap, the highest share once: 0"  # fmt: skip


def test_what_is_attributed_but_not_counted_is_said() -> None:
    events = [*outage(1, "out", "a", "03T10:00", "03T11:00"), cause(3, "a"), cause(4, "b")]
    found = result("out", events)
    assert found.result == 60
    assert found.steps[1].text == (
        "cause attributes b, which no figure of 2025-04 counts: correct the name if it should"
    )


@pytest.mark.parametrize("unattributed", ["counts_in_full", "counts_nothing"])
def test_what_is_not_over_at_the_end_of_the_period_is_told(unattributed: str) -> None:
    (opened, _) = outage(1, "up", "a", "29T00:00", "30T00:00")
    found = result("up", [opened], ("unattributed: wait", f"unattributed: {unattributed}"))
    told = [one.text for one in found.steps if one.rule == "not-over"]
    assert told == (
        ["not over at the end of 2025-04: a"] if unattributed == "counts_in_full" else []
    )
    over = result("up", outage(1, "up", "a", "29T00:00", "30T00:00"),
                  ("unattributed: wait", "unattributed: counts_in_full"))  # fmt: skip
    assert not [one for one in over.steps if one.rule == "not-over"]


def of_two_sources(*statements: Mapping[str, Any]) -> LevelResult | tuple[str, ...]:
    """60 minutes of one source and 30 of another, both named a, with who they are attributed to."""
    theirs = [
        {**one, "id": f"buyers-{one['id']}", "source": "urn:buyer"}
        for one in outage(3, "out", "a", "04T10:00", "04T10:30")
    ]
    found = outcome("out", [*outage(1, "out", "a", "03T10:00", "03T11:00"), *theirs, *statements])
    return found.reasons if isinstance(found, Unsettled) else found.results[0]


def test_a_name_that_two_sources_use_is_attributed_with_its_source() -> None:
    nimbus = cause(5, "a", values={"to": "vendor", "source": "urn:nimbus"})
    buyer = cause(6, "a", values={"to": "joint", "source": "urn:buyer"})
    found = of_two_sources(nimbus, buyer)
    assert isinstance(found, LevelResult)
    assert found.result == 60 + 30 * Fraction(3, 10)
    assert of_two_sources(nimbus) == ("a is not attributed to anybody yet",)
    said = of_two_sources(cause(5, "a"))
    assert isinstance(said, tuple)
    assert "each of these sources reports one of that name: urn:buyer, urn:nimbus" in said[0]
    said = of_two_sources(cause(5, "a", values={"to": "joint", "source": 7}))
    assert isinstance(said, tuple)
    assert "as 'source'; correct it with the source that reports a" in said[0]


def test_an_attribution_to_another_source_than_the_one_that_reports_is_said() -> None:
    events = [*outage(1, "out", "a", "03T10:00", "03T11:00"), cause(3, "a")]
    other = cause(4, "a", values={"to": "joint", "source": "urn:buyer"})
    found = result("out", [*events, other])
    assert found.result == 60
    assert "cause attributes a of urn:buyer, which no figure" in found.steps[1].text


@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        (cause(3, None), "names no occurrence"),
        (cause(3, "a", True), "states True as 'to'"),
        (cause(3, "b"), "a is not attributed to anybody yet"),
    ],
)
def test_a_period_waits_for_a_statement_that_can_be_read(
    statement: Mapping[str, Any], reason: str
) -> None:
    found = outcome("out", [*outage(1, "out", "a", "03T10:00", "03T11:00"), statement])
    assert isinstance(found, Unsettled)
    assert any(reason in one for one in found.reasons), found.reasons


@pytest.mark.parametrize(
    ("unattributed", "minutes"), [("counts_nothing", 0), ("counts_in_full", 60)]
)
def test_what_nobody_attributes_counts_as_the_term_says(unattributed: str, minutes: int) -> None:
    events = outage(1, "out", "a", "03T10:00", "03T11:00")
    change = ("unattributed: wait", f"unattributed: {unattributed}")
    assert result("out", events, change).result == minutes


def test_only_time_inside_the_window_is_taken_out_of_it() -> None:
    events = [*outage(1, "up", "a", "01T00:00", "01T12:00"), cause(3, "a")]
    early = {**events[0], "time": "2025-03-31T12:00:00Z"}
    assert result("up", [early, *events[1:]]).result == 100 * Fraction(59, 60)


def test_a_right_goes_on_with_what_is_attributed_of_an_outage_that_began_before() -> None:
    """74 hours in all, of which 30 % are 22.2; before April 26, of which they are 7.8."""
    events = [*outage(1, "out", "a", "01T00:00", "03T00:00"), cause(3, "a", "joint")]
    early = {**events[0], "time": "2025-03-30T22:00:00Z"}
    for limit, opens in ((22, True), (23, False), (7, False)):
        more = RIGHT.replace("60", str(60 * limit))
        found = outcome("out", [early, *events[1:]], more=more)
        assert isinstance(found, SettlementStatement)
        assert bool(found.rights) is opens
        assert found.results[0].result == 48 * 60 * Fraction(3, 10)


@pytest.mark.parametrize("metric", ["up", "out", "each", "number", "tickets", "late"])
def test_a_month_without_occurrences_is_as_it_was_measured(metric: str) -> None:
    found = result(metric, [])
    assert found.result == found.figure


OTHER = "{kind: duration, metric: number, of: each, counted: elapsed, unit: 1, part_unit: in_proportion}"  # noqa: E501
SECOND = """\
  - {level: second, name: Second, metric: out, expected: {at_most: 1}, judged: exact,
     no_data: no_result, defaults: {kind: every_miss}}
"""


@pytest.mark.parametrize(
    ("changes", "credit", "reason"),
    [
        ([("joint, percent: 30", "vendor, percent: 30")], "", "'vendor' is listed twice"),
        ([("percent: 100", "percent: 0"), ("percent: 30", "percent: 0")], "", "every share is 0 %"),
        ([], CREDIT.replace("QUANTITY", OTHER), "its credit reads number"),
        ([], SECOND + RIGHT, "levels held and second attribute the occurrences of out differently"),
    ],
)
def test_an_attribution_without_a_meaning_is_refused(
    changes: Sequence[tuple[str, str]], credit: str, reason: str
) -> None:
    credit = credit.replace("RATE", "{kind: amount, amount: 1}")
    with pytest.raises(AssertionError, match=reason):
        contracts_of("out", *changes, credit=credit)


def before(metric: str, events: Events) -> SettlementStatement | Unsettled:
    """What April comes to by an evaluation that does not say how its figures were counted."""
    contracts = contracts_of(metric)
    (known,) = evaluations(contracts, "s", events, "2025-04")
    figures = tuple(one.model_copy(update={"counting": None}) for one in known.figures)
    (april,) = settled(contracts, "s", [known.model_copy(update={"figures": figures})])
    return april


@pytest.mark.parametrize("metric", ["up", "number", "tickets", "late"])
def test_an_evaluation_of_an_earlier_release_comes_to_the_same(metric: str) -> None:
    events = of_each_kind(metric)
    found = before(metric, events)
    assert isinstance(found, SettlementStatement)
    assert found == outcome(metric, events)


def test_an_evaluation_that_does_not_show_how_outages_overlap_is_made_again() -> None:
    found = before("out", two_that_overlap("out"))
    assert isinstance(found, Unsettled)
    assert "have the period evaluated again" in found.reasons[0]


@pytest.mark.parametrize(
    ("stated", "standing"), [("no_result", "no_result"), ("{counts_as: 100}", "met")]
)
def test_where_every_ticket_is_attributed_elsewhere_there_was_nothing_to_count(
    stated: str, standing: str
) -> None:
    events = [
        {**one, "data": {**one["data"], "values": {"to": "buyer"}}}
        if "values" in one["data"]
        else one
        for one in three_tickets()
    ]
    contracts = contracts_of("tickets")
    (tickets,) = (one for one in contracts.programme.metrics if one.metric == "tickets")
    stated_text = PROGRAMME.replace("nothing_to_count: no_data", f"nothing_to_count: {stated}")
    assert tickets.measure.kind == "tickets_in_time"
    (programme,) = read_documents(stated_text, "p.yaml")[0].programmes
    known = evaluations(Contracts(programme, contracts.agreements, ()), "s", events, "2025-04")
    (april,) = settled(contracts, "s", known)
    assert isinstance(april, SettlementStatement)
    assert april.results[0].standing == standing
