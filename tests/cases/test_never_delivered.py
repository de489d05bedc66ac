"""Goods due on 20 January that are not there by the end of March; a right after 15 days."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.cases import settling
from tests.cases.settling import Settled, decided, settle, upgraded

FOLDER, THROUGH = "never-delivered", "2025-03-31"
SO_FAR = "across_periods: begins, until_delivered: late_so_far"
WAITS = "across_periods: begins, until_delivered: waits"
OPENED = "goods took 943/24 (about 39.291667) by the end of 2025-02-28, above 15 since 2025-02-04"


def _rights(settled: Settled) -> dict[str, list[str]]:
    return {
        one["period"]: [right["because"] for right in one["rights"]] for one in settled.statements
    }


def test_the_right_is_opened_on_the_sixteenth_day_and_once(tmp_path: Path) -> None:
    found = settle(FOLDER, THROUGH, tmp_path)
    assert found.code == 0
    assert _rights(found) == {"2025-01": [], "2025-02": [OPENED], "2025-03": []}
    # As language 1 did: the delay of January so far, 55 % of 200.00, and no price elsewhere.
    assert found.totals("v27") == {"2025-01": 11000, "2025-02": 0, "2025-03": 0}


def test_the_price_may_wait_and_the_right_does_not(tmp_path: Path) -> None:
    found = settle(FOLDER, THROUGH, tmp_path, decided(upgraded(FOLDER), (SO_FAR, WAITS)))
    assert found.code == 1
    assert "2025-01 waits: goods counts as a whole where it began and is not over yet" in found.err
    assert _rights(found) == {"2025-02": [OPENED], "2025-03": []}


def test_split_it_is_priced_in_every_month_with_its_own_days(tmp_path: Path) -> None:
    text = decided(upgraded(FOLDER), (SO_FAR, "across_periods: split"))
    found = settle(FOLDER, THROUGH, tmp_path, text)
    assert found.totals("v27") == {"2025-01": 11000, "2025-02": 11000, "2025-03": 11000}
    assert _rights(found) == {"2025-01": [], "2025-02": [OPENED], "2025-03": []}


def test_where_it_ends_nothing_is_priced_before(tmp_path: Path) -> None:
    text = decided(upgraded(FOLDER), (SO_FAR, "across_periods: ends"))
    found = settle(FOLDER, THROUGH, tmp_path, text)
    assert found.totals("v27") == {"2025-01": 0, "2025-02": 0, "2025-03": 0}


def _with(change: Mapping[str, Any], home: Path) -> Path:
    """The events of the folder, and one more that says how it went on."""
    lines = (settling.FOLDER / FOLDER / "events.ndjson").read_text(encoding="utf-8").splitlines()
    last = json.loads(lines[0])
    last |= {"id": "e3", "time": "2025-03-25T00:00:00Z", "data": last["data"] | change}
    events = home / "more.ndjson"
    events.write_text("\n".join([*lines, json.dumps(last)]) + "\n", encoding="utf-8")
    return events


def test_called_off_within_fifteen_days_it_opens_no_right(tmp_path: Path) -> None:
    more = _with({"called_off_at": "2025-02-03T00:00:00Z"}, tmp_path)
    text = decided(upgraded(FOLDER), (SO_FAR, WAITS))
    found = settle(FOLDER, THROUGH, tmp_path, text, events=more)
    assert found.code == 0
    assert _rights(found) == {"2025-01": [], "2025-02": [], "2025-03": []}
    assert found.totals("v27") == {"2025-01": 11000, "2025-02": 0, "2025-03": 0}


def test_called_off_before_it_was_due_it_is_no_delivery(tmp_path: Path) -> None:
    more = _with({"called_off_at": "2025-01-20T17:00:00Z"}, tmp_path)
    text = decided(upgraded(FOLDER), (SO_FAR, WAITS))
    found = settle(FOLDER, THROUGH, tmp_path, text, events=more)
    assert found.totals("v27") == {"2025-01": 0, "2025-02": 0, "2025-03": 0}
    assert _rights(found) == {"2025-01": [], "2025-02": [], "2025-03": []}
