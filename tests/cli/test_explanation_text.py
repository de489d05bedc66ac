"""An explanation is readable on a narrow terminal: no path, identity or time is broken."""

from __future__ import annotations

import re
from typing import Any

import pytest
from rich.console import Console

from services.cli import show
from services.cli.commands.looking import became

STEPS = (
    ("1 is in 'at least 99.5, below 99.95': gives 4", "levels[0].credits[0].rate.bands[1]"),
    ("4 % of the charge", "levels[0].credits[0].rate"),
    (
        "cap quarter: 4,500.00 cut to 4,000.00 (ceiling 7,000.00 from 2025-01 to 2025-02, "
        "3,000.00 of it given before)",
        "caps[1]",
    ),
)
EVENT = {
    "source": "urn:acme:probe:portal",
    "id": "portal-20250131T2300",
    "time": "2025-01-31T23:00:00Z",
    "metric": "portal-availability",
    "figure": 0,
}
ELSEWHERE = {**EVENT, "id": "part-1", "metric": "database"}


def explanation() -> dict[str, Any]:
    """What the API answers, for a line of one level with one figure."""
    return {
        "line": "portal-reachable/credit",
        "agreement": "cloudhaus-hosting",
        "contract_version": 1,
        "amount": {"amount": "1777.78", "currency": "EUR"},
        "steps": [{"text": text, "term": term} for text, term in STEPS],
        "results": [],
        "events": [{"source": "urn:acme:finance", "id": "cloudhaus-hosting-2025-02"}],
        "figures": [
            {
                "metric": "portal-availability",
                "period": "2025-02",
                "value": "33575/336",
                "good": "8058",
                "total": "8064",
                "window": {"start": "2025-01-31T23:00:00Z", "end": "2025-02-28T23:00:00Z"},
                "facts": 8064,
                "digest": "203fdb1522f0a17c" * 4,
                "telling": [{"source": EVENT["source"], "id": "portal-20250206T0300"}],
            }
        ],
        "facts": {"items": [EVENT, ELSEWHERE], "withheld": 0, "next": None},
    }


def printed(width: int, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    console = Console(width=width, highlight=False, color_system=None)
    monkeypatch.setattr(show, "out", console)
    with console.capture() as text:
        show.explanation(explanation())
    return text.get().splitlines()


@pytest.mark.parametrize("width", [80, 120])
def test_no_path_identity_or_time_is_broken(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = printed(width, monkeypatch)
    whole = "\n".join(lines)
    assert max(map(len, lines)) <= width
    for _, term in STEPS:
        assert re.search(rf"{re.escape(term)}$", whole, re.MULTILINE)
    assert "urn:acme:probe:portal  portal-20250131T2300  2025-01-31T23:00:00Z\n" in whole


def test_the_term_stands_beside_its_step_where_there_is_room(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    wide, narrow = printed(120, monkeypatch), printed(80, monkeypatch)
    text, term = STEPS[0]
    assert any(line.endswith(f"{text}  {term}") for line in wide)
    assert [line.strip("│ ") for line in narrow if term in line] == [term]


def test_an_event_names_its_metric_only_where_the_figures_heading_does_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lines = printed(120, monkeypatch)
    assert any("part-1" in line and line.endswith("database") for line in lines)
    assert not any("portal-20250131T2300" in line and "portal-av" in line for line in lines)


def test_the_first_column_of_a_table_stays_whole_on_a_narrow_terminal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    console = Console(width=80, highlight=False, color_system=None)
    monkeypatch.setattr(show, "out", console)
    dispute = "78c86a0e-7bb7-467a-974b-bd9913747ad5"
    with console.capture() as text:
        show.table(
            ("dispute", "agreement", "line"),
            [(dispute, "campus-network-of-the-town", "network-up/credit/of-the-first-site")],
        )
    assert dispute in text.get()
    assert "…" not in text.get(), "nothing is left out"


def test_what_is_withheld_is_told_beside_what_is_owed(monkeypatch: pytest.MonkeyPatch) -> None:
    def euro(minor: int) -> dict[str, Any]:
        return {"minor_units": minor, "currency": "EUR", "amount": f"{minor // 100}.00"}

    console = Console(width=120, highlight=False, color_system=None)
    monkeypatch.setattr(show, "out", console)
    balance = {"vendor": "north", "buyer": "town", "owes": "vendor", "owed": euro(20000)}
    nothing = {**balance, "withheld": euro(0), "due": euro(20000)}
    some = {**balance, "withheld": euro(8000), "due": euro(12000)}
    assert show.owed_between(nothing) == "north owes town 200.00 EUR"
    assert show.owed_between(some).endswith("80.00 of it is in dispute and withheld, 120.00 is due")
    with console.capture() as text:
        for one in (nothing, {"withheld": None, "due": None}, some):
            show.due(one)
    assert text.get().split("\n\n") == [
        "  in dispute and withheld  80.00 EUR; due  120.00 EUR",
        "",
    ]


def test_what_a_correction_makes_of_its_event_is_said_in_words() -> None:
    kept = {"takes_back": False, "data": None, "moved_to": None}
    assert became({**kept, "takes_back": True}) == "taken back"
    moved = {**kept, "moved_to": "2025-01-03T08:00:00Z"}
    assert became(moved) == "moved to 2025-01-03T08:00:00Z"
    assert became({**moved, "data": {"up": True}}) == '{"up": true} moved to 2025-01-03T08:00:00Z'
