"""The text of a statement holds all that the statement says."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import pytest
from rich.console import Console

from schemas.money import amount_text
from schemas.statement import SettlementStatement
from schemas.statement_names import FIGURES
from services.cli import show, statement_text
from services.core.exact.arithmetic import money_text, number_text
from tests.core import rules_told
from tests.core.told import evaluation, outcomes, settled, terms

CUTS = {
    "cap",
    "floor",
    "claim",
    "critical-failure",
    "single-event",
    "small-amount",
    "deferred",
    "set-off",
}
CLAIM = "claim: {within_days: 30}\n"
CAP = "caps: [{cap: top, window: period, limit: {kind: amount, amount: 40}}]\n"


def statements(page: str) -> Iterator[SettlementStatement]:
    """Every statement of an approved page of the core's rules."""
    for story in rules_told.STORIES[page]():
        for outcome in outcomes(*story):
            if isinstance(outcome, SettlementStatement):
                yield outcome


def printed(found: SettlementStatement, monkeypatch: pytest.MonkeyPatch) -> str:
    """The text as the command prints it, on a wide screen."""
    console = Console(width=4000, highlight=False, color_system=None)
    monkeypatch.setattr(show, "out", console)
    with console.capture() as text:
        show.statement(found)
    return text.get()


@pytest.mark.parametrize("page", sorted(rules_told.STORIES))
def test_all_that_a_statement_says_is_in_its_text(
    page: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for found in statements(page):
        text = printed(found, monkeypatch)
        for said in expected(found):
            assert said in text, (said, text)


def expected(found: SettlementStatement) -> Iterator[str]:
    """What must be read: amounts, what changed them, figures, rights, standings."""
    for result in found.results:
        yield result.level
        yield result.subject or ""
        yield result.standing.replace("_", " ")
        yield "nothing measured" if result.figure is None else ""
        yield from (one.text for one in result.steps if one.rule in ("relief", "condition"))
    for line in found.lines:
        yield line.line
        yield amount_text(line.minor_units, found.currency)
        yield from (one.text for one in line.steps if one.rule in CUTS)
    for name, value in found.figures.items():
        if isinstance(value, Fraction):
            money = money_text(value, found.currency)
            yield number_text(value) if name.split("/")[0] in NUMBERS else money
    for right in found.rights:
        yield right.because


NUMBERS = {name.split("/")[0] for name, one in FIGURES.items() if one.unit != "main units"}


def test_a_promise_is_told_with_the_word_that_decides_the_tie(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (found,) = settled(terms(), [evaluation("2025-01", 98)])
    assert "at least 99" in printed(found, monkeypatch)


def test_a_claim_that_may_still_come_is_told_with_its_amount_and_last_day() -> None:
    (found,) = settled(terms(CLAIM), [evaluation("2025-01", 98)])
    assert statement_text.claim_note(found) == (
        "credits of 2025-01: 0.00 now, 100.00 if claimed by 2 March 2025"
    )


def test_what_a_claim_would_bring_is_under_the_agreements_caps() -> None:
    (found,) = settled(terms(CLAIM, CAP), [evaluation("2025-01", 98)])
    assert found.figures["claimable"] == Fraction(40)


def test_a_claim_in_time_leaves_nothing_to_claim() -> None:
    claim = [("claim", {"values": {"on": "2025-02-10"}})]
    (found,) = settled(terms(CLAIM), [evaluation("2025-01", 98, circumstances=claim)])
    assert statement_text.claim_note(found) is None


def test_a_rule_that_cut_several_lines_is_told_once() -> None:
    notes = [list(statement_text.line_notes(found)) for found in statements("caps") if found.lines]
    assert all(len(set(one)) == len(one) for one in notes)
    assert any(notes)


@pytest.mark.parametrize("page", sorted(rules_told.STORIES))
def test_a_line_of_nothing_says_why(page: str) -> None:
    for found in statements(page):
        notes = " ".join(statement_text.line_notes(found))
        for line in found.lines:
            if not line.minor_units and line.steps:
                assert any(step.text in notes for step in line.steps), line


def test_a_line_is_not_called_twice() -> None:
    rows = [
        statement_text.line_row(line, found)
        for found in statements("critical_failures")
        for line in found.lines
        if line.line == "withheld"
    ]
    assert {row[0] for row in rows} == {""}


def test_days_are_written_for_people() -> None:
    assert statement_text.day("2025-04-30") == "30 April 2025"
