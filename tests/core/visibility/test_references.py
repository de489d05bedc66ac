"""A statement, and what a period waits for, name nothing of another vendor; no amount changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.evaluation import PeriodEvaluation, WithheldThing
from schemas.programme import Programme
from schemas.statement import SettlementStatement, canonical
from services.core.contracts.check import check
from services.core.contracts.reading import read_documents
from services.core.settling.member import History
from services.core.settling.one_period import PeriodOutcome
from services.core.settling.settlement import (
    settle_together,
)
from services.core.visibility.parties import Parties, parties_of
from services.core.visibility.references import References
from tests.core.golden.production import Contracts, evaluations

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
vendors: [{vendor: nimbus, name: Nimbus}, {vendor: zq-cirrus, name: Cirrus}]
vendors_see: figures
sources:
  - {source: "urn:nimbus", reports_for: nimbus, metrics: [out, tickets, late]}
  - {source: "urn:zq-cirrus", reports_for: zq-cirrus, metrics: [out, tickets, late]}
  - {source: "urn:buyer", reports_for: buyer, metrics: [out, tickets, late]}
metrics:
  - {metric: out, name: Out, unit: minutes, better: lower, several_sources: added,
     measure: {kind: outage_time, overlap: each, part: exact, across_periods: ACROSS,
     silence: up, incomplete: wait}}
  - {metric: tickets, name: Tickets, unit: percent, better: higher, several_sources: added,
     measure: {kind: tickets_in_time,
     nothing_to_count: no_data, incomplete: wait, counts_for: everyone,
     limit_minutes: 60, equal_is_in_time: true, stops_in: [], across_periods: HELD}}
  - {metric: late, name: Late, unit: days, better: lower, several_sources: added,
     measure: {kind: delivery_delay, nothing_to_count: no_data,
     across_periods: ACROSSUNTIL}}
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
    metric: out
    expected: {at_most: 1}
    judged: exact
    no_data: no_result
    defaults: {kind: every_miss}
    ATTRIBUTED
    credits:
      - name: time
        is_a: service_credit
        due: {kind: every_period}
        quantity: {kind: duration, of: each, counted: elapsed, unit: 1, part_unit: in_proportion,
                   if_absent: nothing}
        rate: {kind: amount, amount: 1}
  - level: desk
    name: Desk
    metric: tickets
    expected: {at_least: 99}
    judged: exact
    no_data: no_result
    defaults: {kind: every_miss}
    credits:
      - name: desk
        is_a: service_credit
        due: {kind: on_default}
        quantity: {kind: one}
        rate: {kind: amount, amount: 7}
  - level: goods
    name: Goods
    metric: late
    expected: {at_most: 0}
    judged: exact
    no_data: no_result
    defaults: {kind: every_miss}
    credits:
      - name: goods
        is_a: service_credit
        due: {kind: every_period}
        quantity: {kind: duration, of: each, counted: elapsed, unit: 1, part_unit: in_proportion,
                   if_absent: nothing}
        rate: {kind: worth_of, percent: 10}
        at_most: {kind: worth_of_each, percent: 15}
terminations:
  - {term: long, kind: occurrence, metric: out, across_periods: goes_on, region: {above: 60},
     if_absent: does_not_hold}
"""
ATTRIBUTED = """\
attributed:
      circumstance: cause
      shares: [{attributed_to: vendor, percent: 100}]
      unattributed: %s"""
OWNERS = {"nimbus": "mine", "buyer": "ours", "zq-cirrus": "zq-theirs"}
"""Who reports, and how the names of what it reports begin."""
Event = Mapping[str, Any]


@cache
def contracts(across: str, unattributed: str | None) -> Contracts:
    """The contracts of a way to count over the end of a period and to attribute what is out."""
    until = ", until_delivered: waits" if across == "begins" else ""
    open_ones = "late" if across == "begins" else "late, late_counts: once"
    held = f"{'begins' if across == 'begins' else 'ends'}, open_past_limit: {open_ones}"
    programme = PROGRAMME.replace("UNTIL", until).replace("HELD", held).replace("ACROSS", across)
    term = ATTRIBUTED % unattributed if unattributed else ""
    text = f"{programme}---\n{AGREEMENT.replace('ATTRIBUTED', term)}"
    found, refusals = read_documents(text, "contracts.yaml")
    assert not refusals, [one.text() for one in refusals]
    (estate,) = found.programmes
    for document in found.documents:
        assert not check(document, estate, found.agreements)
    return Contracts(estate, found.agreements, ())


def event(owner: str, event_id: str, kind: str, at: tuple[int, int], **data: Any) -> Event:
    """One CloudEvent at a day and hour of April."""
    return {
        "specversion": "1.0", "id": event_id, "source": f"urn:{owner}",
        "type": f"earnback.{kind}.v1", "time": f"2025-04-{at[0]:02}T{at[1]:02}:00:00Z",
        "data": data,
    }  # fmt: skip


DAYS = st.integers(2, 28)
WHO = st.sampled_from(sorted(OWNERS))


@st.composite
def occurrences(draw: st.DrawFn) -> list[Event]:
    """All that is said of one outage, ticket or delivery; some of it may be missing."""
    owner, number, day = draw(WHO), draw(st.integers(0, 999)), draw(DAYS)
    kind = draw(st.sampled_from(["out", "tickets", "late"]))
    name = f"{OWNERS[owner]}-{kind}-{number}"
    ends = draw(st.booleans())
    if kind == "out":
        told = [event(owner, f"{name}-close", "outage", (day, 3), metric="out", outage=name,
                      phase="close")] if ends else []  # fmt: skip
        if not told or draw(st.integers(0, 9)):
            told.append(event(owner, f"{name}-open", "outage", (day, 1), metric="out", outage=name,
                              phase="open"))  # fmt: skip
        return told
    if kind == "tickets":
        # Whoever reports a ticket, it is of those vendors to whom it goes.
        first, then = draw(st.permutations(["nimbus", "zq-cirrus"]))
        passed = draw(st.booleans())
        its_own = passed or first == "nimbus"
        said = {"metric": "tickets", "ticket": f"{'both' if its_own else 'zq'}-{number}"}
        name = name if its_own or name.startswith("zq-") else f"zq-{name}"
        told = [event(owner, f"{name}-opened", "ticket", (day, 1), state="opened",
                      assigned_to=first, **said)]  # fmt: skip
        if passed:
            told.append(event(owner, f"{name}-passed", "ticket", (day, 2), state="assigned",
                              assigned_to=then, **said))  # fmt: skip
        if ends:
            told.append(event(owner, f"{name}-done", "ticket", (day, 5), state="resolved", **said))
        return told
    worth = {"value": "1000"} if draw(st.integers(0, 9)) else {}
    done = {"delivered_at": f"2025-04-{day + 1:02}T00:00:00Z"} if ends else {}
    return [event(owner, name, "delivery", (day, 1), metric="late", delivery=name,
                  due_at=f"2025-04-{day:02}T00:00:00Z", **worth, **done)]  # fmt: skip


def caused(number: int, name: str, to: str, **values: str) -> Event:
    """The buyer says whom an outage is attributed to."""
    return event("buyer", f"cause-{number}", "circumstance", (30, 1), agreement="s",
                 circumstance="cause", period="2025-04", subject=name,
                 values={"to": to, **values})  # fmt: skip


def come_to(
    terms: Contracts, known: Sequence[PeriodEvaluation], parties: Parties
) -> tuple[PeriodOutcome, ...]:
    alone = {"s": History(terms.agreements, known)}
    return settle_together(alone, (), parties=parties, time_zone="UTC")["s"]


def words(outcome: PeriodOutcome) -> str:
    """All that a vendor is told of its period."""
    if isinstance(outcome, SettlementStatement):
        return canonical(outcome).decode()
    return " ".join(outcome.reasons)


def distinct(told: Sequence[Sequence[Event]]) -> list[Event]:
    """Each event once."""
    return list({each["id"]: each for one in told for each in one}.values())


@given(
    st.lists(occurrences(), min_size=1, max_size=8),
    st.sampled_from(["split", "begins", "ends"]),
    st.sampled_from([None, "wait", "counts_in_full", "counts_nothing"]),
    st.lists(st.sampled_from(["vendor", "zq-cirrus"]), max_size=4),
)
@settings(max_examples=60, deadline=None)
def test_no_byte_names_another_vendors_and_no_amount_depends_on_it(
    told: list[list[Event]], across: str, unattributed: str | None, to: list[str]
) -> None:
    terms = contracts(across, unattributed)
    events = distinct(told)
    outages = sorted({each["data"]["outage"] for each in events if "outage" in each["data"]})
    if unattributed is not None:
        events += [caused(n, *one) for n, one in enumerate(zip(outages, to, strict=False))]
    known = evaluations(terms, "s", events, "2025-04")
    parties = parties_of([terms.programme])
    (outcome,) = come_to(terms, known, parties)
    (named,) = come_to(terms, known, Parties("buyer"))
    assert "zq-" not in words(outcome), words(outcome)
    assert type(outcome) is type(named)
    if isinstance(outcome, SettlementStatement) and isinstance(named, SettlementStatement):
        assert [one.minor_units for one in outcome.lines] == [
            one.minor_units for one in named.lines
        ]
        assert outcome.facts_digest == named.facts_digest
        assert come_to(terms, known, parties) == (outcome,)


def things_of(terms: Contracts, *told: Sequence[Event]) -> tuple[str, tuple[WithheldThing, ...]]:
    """What the vendor is told, and what its references stand for."""
    known = evaluations(terms, "s", distinct(told), "2025-04")
    parties = parties_of([terms.programme])
    (outcome,) = come_to(terms, known, parties)
    return words(outcome), References(known[0], "nimbus", parties).things()


def outage(owner: str, name: str, *, over: bool = True) -> list[Event]:
    said = {"metric": "out", "outage": name}
    opened = event(owner, f"{name}-open", "outage", (4, 1), phase="open", **said)
    closed = event(owner, f"{name}-close", "outage", (4, 3), phase="close", **said)
    return [opened, closed] if over else [opened]


def test_each_reference_is_found_again_by_who_sees_the_evaluation() -> None:
    terms = contracts("split", None)
    said, things = things_of(terms, outage("nimbus", "mine"), outage("zq-cirrus", "zq-1"))
    by_name = {one.occurrence or one.event: one for one in things}
    assert set(by_name) == {"zq-1", "zq-1-open", "zq-1-close"}
    assert {one.vendor for one in things} == {"zq-cirrus"}
    assert {one.source for one in things} == {"urn:zq-cirrus"}
    assert "mine: 120 units" in said
    assert f"{by_name['zq-1'].reference}: 120 units" in said
    assert f'"id":"{by_name["zq-1-open"].reference}"' in said


def test_what_a_period_waits_for_of_another_vendor_is_a_reference() -> None:
    terms = contracts("begins", None)
    said, things = things_of(terms, outage("zq-cirrus", "zq-1", over=False))
    (waited,) = [one.reference for one in things if one.occurrence == "zq-1"]
    assert said == f"{waited} counts as a whole where it began and is not over yet; report its end"


def test_a_name_that_both_use_stays_the_vendors_own() -> None:
    both = [*outage("nimbus", "inc-1"), *outage("zq-cirrus", "inc-1")]
    said, things = things_of(contracts("split", None), *([one] for one in _apart(both)))
    assert "inc-1: 120 units" in said
    assert any(f"{one.reference}: 120 units" in said for one in things if one.occurrence)


def _apart(events: Sequence[Event]) -> list[Event]:
    return [{**each, "id": f"{each['source']}-{each['id']}"} for each in events]


@pytest.mark.parametrize("stated", [{}, {"source": "urn:zq-cirrus"}])
def test_an_attribution_that_fits_two_sources_does_not_name_the_others(
    stated: dict[str, str],
) -> None:
    both = _apart([*outage("nimbus", "inc-1"), *outage("zq-cirrus", "inc-1")])
    cause = caused(1, "inc-1", "vendor", **stated)
    said, _ = things_of(contracts("split", "counts_in_full"), *([one] for one in (*both, cause)))
    assert "zq-" not in said
    assert ("a source of another vendor" in said) == (not stated)


def test_a_ticket_that_went_through_hands_is_told_of_the_vendors_own_share() -> None:
    said = {"metric": "tickets", "ticket": "t-1"}
    told = [
        event("buyer", "zq-a", "ticket", (3, 1), state="opened", assigned_to="zq-cirrus", **said),
        event("buyer", "zq-b", "ticket", (3, 4), state="assigned", assigned_to="nimbus", **said),
        event("buyer", "zq-c", "ticket", (3, 9), state="resolved", **said),
    ]
    alone = [
        event("buyer", "zq-d", "ticket", (5, 1), state="opened", assigned_to="zq-cirrus",
              metric="tickets", ticket="zq-2"),
        event("buyer", "zq-e", "ticket", (5, 9), state="resolved", metric="tickets",
              ticket="zq-2"),
    ]  # fmt: skip
    text, things = things_of(contracts("ends", None), told, alone)
    assert {one.occurrence for one in things if one.occurrence} == {"t-1", "zq-2"}
    assert {one.event for one in things if one.event} == {"zq-d", "zq-e"}
    assert "zq-e" not in text
    assert {one.vendor for one in things} == {"zq-cirrus"}


def test_of_a_programme_of_one_vendor_nothing_is_withheld() -> None:
    body = contracts("split", None).programme.model_dump()
    nimbus = {"source": "urn:nimbus", "reports_for": "nimbus"}
    one_vendor = Programme.model_validate(
        body
        | {
            "vendors": [{"vendor": "nimbus", "name": "Nimbus"}],
            "sources": [nimbus | {"metrics": ["out", "tickets", "late"]}],
            "metrics": [one | {"several_sources": None} for one in body["metrics"]],
        }
    )
    terms = Contracts(one_vendor, contracts("split", None).agreements, ())
    assert things_of(terms, outage("nimbus", "mine"))[1] == ()
