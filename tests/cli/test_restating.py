"""What `earnback restate --dry-run` prints of what is held."""

from __future__ import annotations

from typing import Any

import pytest
from rich.console import Console

from services.cli import show


def euros(units: int) -> dict[str, Any]:
    """An amount as the API writes it."""
    return {"minor_units": units, "currency": "EUR", "amount": f"{units / 100:.2f}"}


def held(**given: Any) -> dict[str, Any]:
    """A period that today's rules would settle otherwise."""
    return {
        "agreement": "hosting",
        "period": "2025-02",
        "standing": euros(15000),
        "today": euros(10000),
        "difference": euros(-5000),
        "rules_then": 1,
        "rules_now": 2,
        "lines": [{"line": "uptime", "standing": euros(15000), "today": euros(10000)}],
        "other": ["right exit: opened, today not"],
        "waits_for": [],
        "references": [],
        **given,
    }


def printed(monkeypatch: pytest.MonkeyPatch, rows: list[dict[str, Any]]) -> list[str]:
    """The lines that are printed."""
    console = Console(width=200, record=True, file=None, highlight=False)
    monkeypatch.setattr(show, "out", console)
    show.held_restatements(rows)
    return [
        " ".join(line.replace("┃", "").replace("│", "").split())
        for line in console.export_text().splitlines()
    ]


def test_each_period_is_shown_with_the_lines_that_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = printed(monkeypatch, [held()])
    assert "hosting 2025-02 total 150.00 100.00 -50.00 EUR" in lines
    assert "uptime 150.00 100.00 -50.00 EUR" in lines
    assert "right exit: opened, today not" in lines
    assert lines[-1] == (
        "nothing of this is posted; order it with: earnback restate AGREEMENT --reason TEXT"
    )


def test_a_line_that_only_one_of_both_has_differs_by_its_whole_amount(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gone = {"line": "uptime", "standing": euros(15000), "today": None}
    new = {"line": "desk", "standing": None, "today": euros(700)}
    lines = printed(monkeypatch, [held(lines=[gone, new])])
    assert "uptime 150.00 - -150.00 EUR" in lines
    assert "desk - 7.00 7.00 EUR" in lines


def test_a_period_that_waits_says_for_what(monkeypatch: pytest.MonkeyPatch) -> None:
    waits = held(today=None, difference=None, lines=[], other=[], waits_for=["charge monthly"])
    lines = printed(monkeypatch, [waits])
    assert "hosting 2025-02 total 150.00 - - waits by rules 2: charge monthly" in lines


def test_what_a_reference_stands_for_is_told_beside_it(monkeypatch: pytest.MonkeyPatch) -> None:
    stands = {"reference": "withheld-1", "occurrence": "outage-9", "vendor": "cirrus"}
    waits = held(today=None, lines=[], other=[], waits_for=["withheld-1"], references=[stands])
    lines = printed(monkeypatch, [waits])
    assert any("rules 2: withheld-1 (withheld-1: outage-9 of cirrus)" in line for line in lines)
