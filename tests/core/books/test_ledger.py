"""The laws of the ledger: it balances, books nothing twice, and differences meet a fresh run."""

from __future__ import annotations

from itertools import pairwise
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.ledger_entry import LedgerEntry
from schemas.statement import LevelResult, LineKind, SettlementStatement, StatementLine, Step
from services.core.books.ledger import (
    buyer_account,
    content_digest,
    differences,
    entry_event_id,
    owed,
    run_id,
    statement_event_id,
    targets,
    vendor_account,
)
from tests.core.books.summed import balances, posted_by
from tests.settlement.builders import a_line, a_statement

KINDS: tuple[LineKind, ...] = (
    "service_credit",
    "penalty",
    "earn_back",
    "bonus",
    "fee",
    "set_off",
    "deposit",
)
amounts = st.integers(min_value=-(10**12), max_value=10**12)


@st.composite
def lines(draw: st.DrawFn) -> StatementLine:
    return a_line(
        draw(st.sampled_from(["a", "b", "c", "d"])),
        draw(amounts),
        kind=draw(st.sampled_from(KINDS)),
        level=draw(st.sampled_from([None, "uptime", "repair"])),
        version=draw(st.integers(1, 3)),
    )


statements = st.builds(
    lambda many, vendor, currency, version: a_statement(
        tuple(many), vendor=vendor, currency=currency, version=version
    ),
    st.lists(lines(), max_size=4, unique_by=lambda line: line.line),
    st.sampled_from(["nimbus", "cirrus"]),
    st.sampled_from(["EUR", "JPY"]),
    st.integers(1, 3),
)


def the_run(number: int) -> UUID:
    return run_id(agreement="hosting", because_of="2025-01", revision=number)


def book(history: list[SettlementStatement]) -> list[LedgerEntry]:
    """The entries of runs 1, 2, ... each of which found the next statement."""
    entries: list[LedgerEntry] = []
    for number, statement in enumerate(history, start=1):
        entries += differences(posted_by(entries), statement, run=the_run(number))
    return entries


@given(st.lists(statements, max_size=5))
def test_the_ledger_sums_to_zero_in_every_currency(history: list[SettlementStatement]) -> None:
    held = balances(book(history))
    for currency in ("EUR", "JPY"):
        assert sum(amount for (_, code), amount in held.items() if code == currency) == 0


@given(statements)
def test_posting_a_statement_twice_books_nothing_more(statement: SettlementStatement) -> None:
    first = differences({}, statement, run=the_run(1))
    assert differences(posted_by(first), statement, run=the_run(2)) == ()


@given(st.lists(statements, min_size=1, max_size=5))
def test_a_run_and_its_differences_come_to_a_run_from_scratch(
    history: list[SettlementStatement],
) -> None:
    assert posted_by(book(history)) == posted_by(book(history[-1:]))


@given(st.lists(statements, min_size=1, max_size=5))
def test_what_is_posted_is_what_the_last_statement_says(
    history: list[SettlementStatement],
) -> None:
    due = {position: amount for position, amount in targets(history[-1]).items() if amount}
    entries = book(history)
    assert posted_by(entries) == due
    assert sum(owed(entry) for entry in entries) == history[-1].total_minor


@given(st.lists(statements, max_size=5))
def test_no_two_entries_share_an_id(history: list[SettlementStatement]) -> None:
    ids = [entry.entry_id for entry in book(history)]
    assert len(ids) == len(set(ids))


@given(statements, statements)
def test_a_replayed_run_makes_the_same_entries_bit_by_bit(
    before: SettlementStatement, after: SettlementStatement
) -> None:
    already = posted_by(differences({}, before, run=the_run(1)))
    again = dict(reversed(already.items()))
    assert differences(already, after, run=the_run(2)) == differences(again, after, run=the_run(2))


def test_identities_are_the_same_in_every_release() -> None:
    run = the_run(1)
    assert run == UUID("4b1f2972-4520-532f-be33-437ef8238de6")
    heard = statement_event_id(agreement="hosting", period="2025-01", revision=1)
    assert heard == UUID("807495fe-252e-5e41-b9cc-504de31554e8")
    (entry,) = differences({}, a_statement({"uptime": 1250}), run=run)
    assert entry.entry_id == UUID("9b4d9d31-8b5c-5c38-8c6a-0520df0d43ae")
    assert entry_event_id(run) == UUID("3ab153db-e566-5192-9e74-91702f834b7e")


def test_a_statement_says_the_same_in_other_words() -> None:
    said = a_statement({"uptime": 1250})
    result = LevelResult(
        level="uptime",
        metric="uptime",
        period="2025-01",
        figure=None,
        result=None,
        expected=None,
        standing="reported",
        defaulted=False,
    )
    worded = result.model_copy(update={"steps": (Step(rule="figure", term="t", text="said"),)})
    one, other = (said.model_copy(update={"results": (each,)}) for each in (result, worded))
    assert content_digest(one) == content_digest(other) != content_digest(said)


def test_a_service_credit_is_owed_by_the_vendor() -> None:
    (entry,) = differences({}, a_statement({"uptime": 1250}), run=the_run(1))
    assert entry.debit_account == "vendor:nimbus:owes"
    assert entry.credit_account == "buyer:town:service_credits"
    assert (entry.minor_units, entry.currency, entry.line) == (1250, "EUR", "uptime")


def test_an_earn_back_is_owed_by_the_buyer() -> None:
    statement = a_statement((a_line("back", -500, kind="earn_back"),))
    (entry,) = differences({}, statement, run=the_run(1))
    assert (entry.debit_account, entry.credit_account) == (
        "buyer:town:earn_backs",
        "vendor:nimbus:owes",
    )
    assert owed(entry) == -500


def test_a_lower_amount_books_only_the_difference_back() -> None:
    first = differences({}, a_statement({"uptime": 1250}), run=the_run(1))
    (entry,) = differences(posted_by(first), a_statement({"uptime": 1000}), run=the_run(2))
    assert owed(entry) == -250


def test_a_vanished_line_is_booked_back_in_full() -> None:
    first = differences({}, a_statement({"uptime": 1250, "repair": 70}), run=the_run(1))
    (entry,) = differences(posted_by(first), a_statement({"repair": 70}), run=the_run(2))
    assert (entry.line, owed(entry)) == ("uptime", -1250)


def test_an_entry_names_the_version_of_its_line() -> None:
    lines = (a_line("x", 1, version=1), a_line("y", 2, version=2))
    found = differences({}, a_statement(lines), run=the_run(1))
    assert [(one.line, one.version) for one in found] == [("x", 1), ("y", 2)]


def test_vanished_lines_come_last_in_one_order_also_of_a_level_and_of_none() -> None:
    gone = (a_line("x", 5), a_line("b", 7), a_line("x", 6, level="uptime"), a_line("a", 8))
    held = {position: 1 for line in gone for position in targets(a_statement((line,)))}
    due = a_statement({"z": 3, "y": 2})
    found = differences(held, due, run=the_run(1))
    assert [(one.line, one.level, owed(one)) for one in found] == [
        ("z", None, 3),
        ("y", None, 2),
        ("a", None, -1),
        ("b", None, -1),
        ("x", "uptime", -1),
        ("x", None, -1),
    ]


def test_a_line_of_nothing_books_nothing() -> None:
    assert differences({}, a_statement({"uptime": 0}), run=the_run(1)) == ()


def test_a_line_that_changes_its_kind_moves_between_accounts() -> None:
    first = differences({}, a_statement((a_line("x", 10),)), run=the_run(1))
    second = differences(
        posted_by(first), a_statement((a_line("x", 10, kind="penalty"),)), run=the_run(2)
    )
    held = balances([*first, *second])
    assert held[("buyer:town:service_credits", "EUR")] == 0
    assert held[("buyer:town:penalties", "EUR")] == -10
    assert held[("vendor:nimbus:owes", "EUR")] == 10


def test_a_statement_whose_lines_do_not_add_up_is_never_booked() -> None:
    wrong = a_statement({"uptime": 10}).model_copy(update={"total_minor": 11})
    with pytest.raises(AssertionError, match="do not add up"):
        differences({}, wrong, run=the_run(1))


def test_a_statement_with_a_line_twice_is_never_booked() -> None:
    wrong = a_statement((a_line("uptime", 10), a_line("uptime", 10)))
    with pytest.raises(AssertionError, match="stands twice"):
        differences({}, wrong, run=the_run(1))


def test_runs_and_events_are_told_apart_by_all_that_makes_them() -> None:
    ids = [
        run_id(agreement="hosting", because_of="2025-01", revision=1),
        run_id(agreement="hosting", because_of="2025-01", revision=2),
        run_id(agreement="hosting", because_of="2025-02", revision=1),
        run_id(agreement="network", because_of="2025-01", revision=1),
        run_id(agreement="network", because_of="2025-01", revision=1, caused_by="hosting"),
        run_id(agreement="network", because_of="2025-01", revision=1, caused_by="desk"),
        statement_event_id(agreement="hosting", period="2025-01", revision=1),
        statement_event_id(agreement="hosting", period="2025-01", revision=2),
        entry_event_id(run_id(agreement="hosting", because_of="2025-01", revision=1)),
    ]
    assert all(one != other for one, other in pairwise(sorted(ids)))


def test_the_substance_of_a_statement_is_not_in_the_wording_of_its_steps() -> None:
    statement = a_statement({"uptime": 10})
    line = statement.lines[0]
    reworded = line.model_copy(
        update={"steps": (line.steps[0].model_copy(update={"text": "In other words."}),)}
    )
    dearer = a_statement({"uptime": 11})
    said_anew = statement.model_copy(update={"lines": (reworded,)})
    assert content_digest(said_anew) == content_digest(statement)
    assert content_digest(dearer) != content_digest(statement)
    assert content_digest(a_statement({"uptime": 10}, facts="late")) != content_digest(statement)


def test_every_kind_of_line_has_its_own_account() -> None:
    accounts = [buyer_account("town", kind) for kind in KINDS]
    assert len(set(accounts)) == len(KINDS)
    assert vendor_account("nimbus") not in accounts
