"""What a party tells of an outage, ticket or delivery after the close, in its own favour."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from schemas.evaluation import PeriodEvaluation, Proposal
from schemas.event import EVENT_TYPES, KIND_OF_TYPE
from schemas.frame import Facts
from services.cli.files import ContractFiles, read_contracts
from services.cli.offline import catalogue_of, settle_files
from services.cli.offline_events import accepted_events
from services.core.calendar.windows import microseconds
from services.core.counting.evaluation import evaluate, ready
from services.core.events.corrections import EventKey
from services.core.events.facts import Index, canonical_data, payload_of
from tests.cases.test_whose_word import AUDIT, BOOKS, CONTRACT, NOW_US, PROBE, WHOLE, answer, charge
from tests.cases.test_whose_word import event as told
from tests.core.said import moment

CLOSED = "02-12"
"""January is over on the 1st of February, and its lateness of ten days on the 11th."""
OUTAGES = (
    "{kind: outage_time, silence: up, incomplete: wait, overlap: each, part: exact,"
    " across_periods: split}"
)
BY_BEGIN = OUTAGES.replace("split", "begins")
DELIVERIES = "{kind: delivery_delay, nothing_to_count: no_data, across_periods: split}"
TICKETS = (
    "{kind: tickets_in_time, limit_minutes: 60, equal_is_in_time: true, stops_in: [waiting],"
    " across_periods: begins, open_past_limit: late, nothing_to_count: no_data,"
    " incomplete: wait, priorities: [p1]}"
)
_UNITS = {"outage_time": "minutes, better: lower", "delivery_delay": "count, better: lower"}


def contracts(tmp_path: Path, measure: str) -> ContractFiles:
    kind = measure.split("kind: ")[1].split(",")[0]
    text = CONTRACT.format(word="either", silence="", own="")
    text = text.replace("percent, better: higher", _UNITS.get(kind, "percent, better: higher"))
    text = text.replace("{kind: ratio, nothing_to_count: no_data}", measure)
    if kind in _UNITS:
        text = text.replace("at_least: 99.9", "at_most: 0.5")
    path = tmp_path / "contracts.yaml"
    path.write_text(text, encoding="utf-8")
    return read_contracts([path])


def outage(at: str, phase: str, source: str = PROBE, name: str = "", **more: Any) -> bytes:
    data = {"metric": "net", "outage": "inc-1", "phase": phase, **more}
    return told(source, "outage", at, data, name)


def delivery(at: str, source: str = PROBE, name: str = "", **more: Any) -> bytes:
    data = {"metric": "net", "delivery": "order-1", "due_at": "2025-01-05T12:00:00Z", **more}
    return told(source, "delivery", at, data, name)


def ticket(at: str, state: str, source: str = PROBE, name: str = "", **more: Any) -> bytes:
    data = {"metric": "net", "ticket": "t-1", "state": state, **more}
    return told(source, "ticket", at, data, name)


def payload(raw: bytes) -> str:
    said = json.loads(raw)
    noun = EVENT_TYPES[said["type"]].model_validate(said["data"])
    at_us = microseconds(moment(said["time"][:16].replace("T", " ")))
    metric, kind = said["data"]["metric"], KIND_OF_TYPE[said["type"]]
    return payload_of(kind, at_us, metric, None, 0, 0, canonical_data(noun)).hex()


def accepts(source: str, proposed: bytes, said: str = "accept") -> bytes:
    key = json.loads(proposed)
    about = {"states": "correction", "name": "net", "of_payload": payload(proposed)}
    return answer(source, "03-01", (key["source"], key["id"]), said, **about)


def total(files: ContractFiles, *events: bytes) -> int:
    every = [charge(BOOKS, "02-01", "10000", "bill"), *events]
    lines = [(f"line {place}", raw) for place, raw in enumerate(every)]
    found = settle_files(files, lines, date(2025, 1, 31), NOW_US)
    assert not found.set_aside, found.set_aside
    (statement,) = found.statements
    return statement.total_minor


@dataclass(frozen=True)
class ClosedJanuary:
    """Knows that these events came after the close of January."""

    late: Collection[str]

    def __call__(self, key: EventKey, period: str) -> bool:
        return key[1] in self.late and period == "2025-01"

    def may_be_late(self, facts: Facts) -> Index:
        return np.flatnonzero([each in self.late for each in facts.ids])


def january(
    files: ContractFiles, *events: bytes, after_the_close: Collection[str] = ()
) -> PeriodEvaluation:
    """``after_the_close``: ids of the events that the first evaluation had not counted."""
    catalogue = catalogue_of(files.programmes, files.agreements)
    lines = [(f"line {place}", raw) for place, raw in enumerate(events)]
    facts = accepted_events(catalogue, lines, NOW_US).facts
    known = ready(files.programmes, facts, catalogue.numbers, None, files.agreements)
    stock = known.of(files.agreements, ClosedJanuary(after_the_close))
    return evaluate(
        files.programmes, files.agreements, "2025-01", stock, catalogue.numbers, 2, "late_facts"
    )


def proposed(files: ContractFiles, *events: bytes, late: Collection[str] = ()) -> list[Proposal]:
    return list(january(files, *events, after_the_close=late).proposals)


def value(files: ContractFiles, *events: bytes, late: Collection[str] = ()) -> Fraction | None:
    return january(files, *events, after_the_close=late).figures[0].value


AN_OUTAGE = (outage("01-10", "open"), outage("01-11", "close"))
TO_THE_END = 30960
"""Minutes from the 10th at noon to the end of January."""
BACK = {"started_at": "2025-01-10T12:00:00Z", "ended_at": "2025-01-10T12:00:00Z"}


@pytest.mark.parametrize("said", [{"void": True}, BACK, {"ended_at": BACK["ended_at"]}], ids=str)
def test_the_vendors_own_outage_is_taken_back_after_the_close_only_as_a_proposal(
    tmp_path: Path, said: dict[str, Any]
) -> None:
    files = contracts(tmp_path, OUTAGES)
    early, late = (outage(at, "correct", name="fix", **said) for at in ("02-10", CLOSED))
    assert total(files, *AN_OUTAGE) == WHOLE
    assert total(files, *AN_OUTAGE, early) == 0, "before the close it counts"
    assert total(files, *AN_OUTAGE, late) == WHOLE
    assert total(files, *AN_OUTAGE, late, accepts(BOOKS, late)) == 0
    assert total(files, *AN_OUTAGE, late, accepts(BOOKS, late, "reject")) == WHOLE
    assert total(files, *AN_OUTAGE, late, accepts(AUDIT, late)) == WHOLE, "no party"
    (one,) = proposed(files, *AN_OUTAGE, late)
    assert (one.event.id, one.state, one.party, one.awaits) == ("fix", "open", "nimbus", ("town",))
    assert one.correction is not None
    assert (one.correction.corrects, one.correction.period) == ("outage-01-11", "2025-01")


def test_settling_files_tells_what_an_accepted_change_would_come_to(tmp_path: Path) -> None:
    files = contracts(tmp_path, OUTAGES)
    every = (charge(BOOKS, "02-01", "10000", "bill"), *AN_OUTAGE,
             outage(CLOSED, "correct", name="fix", void=True))  # fmt: skip
    lines = [(f"line {place}", raw) for place, raw in enumerate(every)]
    (note,) = settle_files(files, lines, date(2025, 1, 31), NOW_US).notes
    assert note == (
        "fix of urn:nimbus is only proposed to town; accepted, 2025-01 of hosting would come to "
        "0.00 EUR instead of 2000.00 EUR"
    )


def test_the_further_life_of_an_outage_counts(tmp_path: Path) -> None:
    files = contracts(tmp_path, OUTAGES)
    opened = outage("01-10", "open")
    ended = outage(CLOSED, "correct", ended_at="2025-02-12T11:00:00Z")
    for end in (outage(CLOSED, "close"), ended, outage(CLOSED, "open")):
        assert not proposed(files, opened, end)
    report = outage(CLOSED, "correct", **BACK)
    assert not proposed(files, report), "it is its own, and makes nothing better"


def test_an_end_in_a_closed_period_that_is_told_later_is_a_proposal(tmp_path: Path) -> None:
    files = contracts(tmp_path, OUTAGES)
    opened, closing = outage("01-10", "open"), outage("01-11", "close")
    late = ["outage-01-11"]
    assert value(files, opened, closing) == 1440
    assert value(files, opened, closing, late=late) == TO_THE_END
    assert value(files, opened, closing, accepts(BOOKS, closing), late=late) == 1440
    told_again = outage(CLOSED, "correct", name="end", ended_at="2025-02-01T00:00:00Z")
    assert not proposed(files, opened, told_again), "where the first open period begins"
    theirs = (outage("01-10", "open", BOOKS), outage("01-11", "close", BOOKS))
    assert value(files, *theirs, late=late) == 1440, "shorter is worse for the buyer"


def test_a_new_outage_after_the_close_counts_at_once_where_it_is_its_makers_own(
    tmp_path: Path,
) -> None:
    files = contracts(tmp_path, OUTAGES)
    report = {"started_at": "2025-01-10T12:00:00Z", "ended_at": "2025-01-11T12:00:00Z"}
    own, theirs = (outage(CLOSED, "correct", source, **report) for source in (PROBE, BOOKS))
    assert value(files, own) == 1440
    assert value(files, theirs) == 0
    (one,) = proposed(files, theirs)
    assert one.correction is not None
    assert (one.party, one.awaits, one.correction.corrects) == ("town", ("nimbus",), None)
    assert value(files, theirs, accepts(PROBE, theirs)) == 1440
    assert value(files, outage(CLOSED, "correct", AUDIT, **report)) == 1440, "a third party"
    late = ["outage-01-10", "outage-01-11"]
    assert value(files, *AN_OUTAGE, late=late) == 1440, "its end goes with what is admitted"
    pair = (outage("01-10", "open", BOOKS), outage("01-11", "close", BOOKS))
    assert value(files, *pair, late=late) == 0
    unknown = contracts(tmp_path, OUTAGES.replace("silence: up", "silence: not_observed"))
    (one,) = proposed(unknown, own)
    assert one.party == "nimbus", "a figure where there was none may be better for it"
    assert proposed(contracts(tmp_path, BY_BEGIN), own)


def test_what_goes_on_with_a_proposed_outage_waits_with_it(tmp_path: Path) -> None:
    files = contracts(tmp_path, OUTAGES)
    opened, closing = outage("01-30", "open", BOOKS), outage("02-03", "close", BOOKS)
    late = ["outage-01-30", "outage-02-03"]
    (one,) = proposed(files, opened, closing, late=late)
    assert one.event.id == "outage-01-30"
    assert value(files, opened, closing, late=late) == 0
    assert value(files, opened, closing, accepts(PROBE, opened), late=late) == 2160


def test_who_makes_its_own_outage_longer_is_believed(tmp_path: Path) -> None:
    files = contracts(tmp_path, OUTAGES)
    longer = outage(CLOSED, "correct", name="longer", ended_at="2025-01-12T12:00:00Z")
    back = outage("02-13", "correct", name="back", ended_at="2025-01-11T12:00:00Z")
    assert value(files, *AN_OUTAGE, longer) == 2880
    (one,) = proposed(files, *AN_OUTAGE, longer, back)
    assert one.event.id == "back", "what was admitted is not taken back"
    theirs = (outage("01-10", "open", BOOKS), outage("01-11", "close", BOOKS))
    more = outage(CLOSED, "correct", BOOKS, "more", ended_at="2025-01-12T12:00:00Z")
    (one,) = proposed(files, *theirs, more)
    assert one.awaits == ("nimbus",), "the buyer has an interest too"
    assert not proposed(files, *theirs, outage(CLOSED, "correct", BOOKS, "less", void=True))
    other = contracts(tmp_path, BY_BEGIN)
    assert proposed(other, *AN_OUTAGE, longer), "where it counts as a whole, none is clearly worse"


def test_a_third_party_says_anew_what_it_has_seen(tmp_path: Path) -> None:
    files = contracts(tmp_path, OUTAGES)
    seen = (outage("01-10", "open", AUDIT), outage("01-11", "close", AUDIT))
    assert not proposed(files, *seen, outage(CLOSED, "correct", AUDIT, void=True))


def test_an_outage_over_the_end_of_a_period_is_changed_where_it_counts(tmp_path: Path) -> None:
    over = (outage("01-30", "open"), outage("02-03", "close"))
    less = outage(CLOSED, "correct", name="less", ended_at="2025-02-02T12:00:00Z")
    assert not proposed(contracts(tmp_path, OUTAGES), *over, less), "February is open"
    (one,) = proposed(contracts(tmp_path, BY_BEGIN), *over, less)
    assert one.event.id == "less"


def test_an_end_that_is_dated_back_is_proposed_by_what_the_close_had_counted(
    tmp_path: Path,
) -> None:
    files = contracts(tmp_path, OUTAGES)
    back = told(PROBE, "outage", "01-10", {**json.loads(AN_OUTAGE[1])["data"]}, "back")
    assert value(files, *AN_OUTAGE, back) == 0, "it came before the close"
    assert value(files, *AN_OUTAGE, back, late=["back"]) == 1440
    (one,) = proposed(files, *AN_OUTAGE, back, late=["back"])
    assert one.event.id == "back"


def test_a_change_may_be_corrected_and_its_correction_is_one(tmp_path: Path) -> None:
    files = contracts(tmp_path, OUTAGES)
    late = outage(CLOSED, "correct", name="fix", void=True)
    gone = told(PROBE, "correction", "02-13", {"corrects": "fix", "reason": "wrong"}, "gone")
    assert not proposed(files, *AN_OUTAGE, late, gone), "it is taken back, and its period is open"


ON_TIME = {"delivered_at": "2025-01-05T11:00:00Z"}
LATE = {"delivered_at": "2025-01-20T12:00:00Z"}


@pytest.mark.parametrize(
    "said",
    [ON_TIME, {"due_at": LATE["delivered_at"]}, {"called_off_at": ON_TIME["delivered_at"]}],
    ids=str,
)
def test_a_late_delivery_is_made_another_after_the_close_only_as_a_proposal(
    tmp_path: Path, said: dict[str, Any]
) -> None:
    files = contracts(tmp_path, DELIVERIES)
    known = (delivery("01-06"), delivery("01-20", **LATE))
    late = delivery(CLOSED, name="fix", **said)
    assert total(files, *known) == WHOLE
    assert total(files, *known, late) == WHOLE
    (one,) = proposed(files, *known, late)
    assert (one.event.id, one.awaits) == ("fix", ("town",))
    assert (
        total(files, *known, delivery("02-10", name="fix", **said)) == 0 or "called_off_at" in said
    )
    assert value(files, *known, late, accepts(BOOKS, late)) in (0, None)


def test_the_further_life_of_a_delivery_counts(tmp_path: Path) -> None:
    files = contracts(tmp_path, DELIVERIES)
    known = delivery("01-06")
    assert not proposed(files, known, delivery(CLOSED, delivered_at="2025-02-12T11:00:00Z"))
    for told_late in (LATE, {"value": "4300.00"}):
        (one,) = proposed(files, known, delivery(CLOSED, **told_late))
        assert one.awaits == ("town",), "it says of January what nobody had said in time"
    called_off = {"called_off_at": "2025-01-20T12:00:00Z"}
    (one,) = proposed(files, known, delivery(CLOSED, **called_off))
    assert one.awaits == ("town",), "the vendor does not call off what it owes"
    theirs = delivery("01-06", BOOKS)
    assert not proposed(files, theirs, delivery(CLOSED, BOOKS, **called_off)), "the buyer may"


def test_a_new_delivery_or_ticket_after_the_close_is_a_proposal(tmp_path: Path) -> None:
    deliveries = contracts(tmp_path, DELIVERIES)
    for source, other in ((PROBE, "town"), (BOOKS, "nimbus")):
        (one,) = proposed(deliveries, delivery(CLOSED, source, **LATE))
        assert one.awaits == (other,)
    assert not proposed(deliveries, delivery("02-10", **LATE)), "before the close"
    tickets = contracts(tmp_path, TICKETS)
    opened = ticket("01-10", "opened", BOOKS, priority="p1", assigned_to="nimbus")
    late = ["ticket-01-10", "ticket-02-13"]
    resolved = ticket("02-13", "resolved", BOOKS)
    (one,) = proposed(tickets, opened, resolved, late=late)
    assert (one.event.id, one.awaits) == ("ticket-01-10", ("nimbus",))
    assert value(tickets, opened, resolved, late=late) is None
    assert value(tickets, opened, resolved, accepts(PROBE, opened), late=late) == 0
    assert not proposed(tickets, opened, resolved), "it came before the close"


A_TICKET = (
    ticket("01-10", "opened", priority="p1", assigned_to="nimbus"),
    ticket("01-11", "resolved"),
)


@pytest.mark.parametrize("said", [("waiting", "p4"), ("reopened", "p1")], ids=str)
def test_a_ticket_that_counts_where_it_began_is_changed_only_as_a_proposal(
    tmp_path: Path, said: tuple[str, str]
) -> None:
    files = contracts(tmp_path, TICKETS)
    late = ticket(CLOSED, said[0], name="fix", priority=said[1])
    assert value(files, *A_TICKET) == 0
    assert value(files, *A_TICKET, late) == 0
    (one,) = proposed(files, *A_TICKET, late)
    assert (one.event.id, one.awaits) == ("fix", ("town",))
    (one,) = proposed(files, *A_TICKET, late, accepts(BOOKS, late))
    assert one.state == "accepted"


def test_the_further_life_of_a_ticket_counts(tmp_path: Path) -> None:
    files = contracts(tmp_path, TICKETS)
    opened = A_TICKET[0]
    assert not proposed(files, opened, ticket(CLOSED, "waiting"), ticket("02-13", "resolved"))
    assert not proposed(files, *A_TICKET, ticket(CLOSED, "resolved")), "it was resolved already"
    lower = ticket(CLOSED, "waiting", name="lower", priority="p4")
    (one,) = proposed(files, opened, lower)
    assert one.event.id == "lower", "the priority that was stated is another's too"


def test_a_ticket_is_resolved_earlier_than_it_was_only_as_a_proposal(tmp_path: Path) -> None:
    files = contracts(tmp_path, TICKETS.replace("begins", "ends").replace(
        "open_past_limit: late", "open_past_limit: left_out"))  # fmt: skip
    for back in (ticket("01-10", "resolved", name="back", sequence=1),
                 ticket("01-10", "waiting", name="back", sequence=1)):  # fmt: skip
        assert value(files, *A_TICKET, back) == 100, "it came before the close"
        assert value(files, *A_TICKET, back, late=["back"]) == 0
        (one,) = proposed(files, *A_TICKET, back, late=["back"])
        assert one.event.id == "back"
