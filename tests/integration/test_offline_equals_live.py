"""Settling files gives the statements that the running services give, byte for byte."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from services.cli.demo import AGREEMENTS, MONTHS, STORY
from services.cli.story import events as story
from tests.integration import harbour
from tests.integration.conftest import Chain
from tests.integration.living import Living, wait_for

SETS = ("three-clouds", "web-watch", "car-desk")


@dataclass(frozen=True)
class Offline:
    """What the command printed: a statement a line, and a line for each event set aside."""

    code: int
    statements: dict[tuple[str, str], bytes]
    aside: list[str]


def settle(contracts: Path, events: Path, through: str, elsewhere: Path) -> Offline:
    """Run ``earnback settle`` in a process of its own that is told of no server."""
    elsewhere.mkdir(exist_ok=True)
    told = {name: value for name, value in os.environ.items() if "EARNBACK" not in name}
    command = [sys.executable, "-m", "services.cli.app", "settle", contracts, events]
    done = subprocess.run(
        [*command, "--through", through, "--json"],
        capture_output=True,
        check=False,
        env={**told, "EARNBACK_HOME": str(elsewhere)},
        timeout=120,
    )
    statements = {}
    for line in done.stdout.splitlines():
        read = json.loads(line)
        statements[read["agreement"], read["period"]] = line
    lines = done.stderr.decode().splitlines()
    aside = [line for line in lines if not line.startswith("note: ")]
    return Offline(done.returncode, statements, aside)


def live(running: Living, agreements: list[str]) -> dict[tuple[str, str], bytes]:
    """Every statement document that the settlement API has of some agreements."""
    return {
        (agreement, period): body
        for agreement in agreements
        for period, body in running.documents(agreement).items()
    }


@pytest.fixture(scope="module")
def told(chain: Chain, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The demo's story through the chain: corrections come after all three months are closed."""
    running = chain.living
    folder = tmp_path_factory.mktemp("story")
    contracts = folder / "contracts"
    contracts.mkdir()
    for path in STORY.glob("*.yaml"):
        shutil.copy(path, contracts)
    running.apply(contracts)
    places = [(agreement, month) for agreement in AGREEMENTS for month in MONTHS]
    first, late = list(story.first_delivery()), list(story.false_alarms())
    events = folder / "events.ndjson"
    events.write_text("".join(json.dumps(event) + "\n" for event in (*first, *late)))
    statuses = [result["status"] for result in running.submit(running.client, first)]
    running.wait_until_seen()
    running.close(places)
    closed = live(running, list(AGREEMENTS))
    running.submit(running.client, late)
    running.wait_until_seen()
    wait_for("the correction to be settled", lambda: live(running, list(AGREEMENTS)) != closed)
    running.close(places)
    return {"contracts": contracts, "events": events, "statuses": statuses, "closed": closed}


@pytest.fixture(scope="module")
def foreign(chain: Chain, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Contracts in two currencies under a shared cap, and their events, through the chain."""
    running = chain.living
    contracts, events = harbour.written(tmp_path_factory.mktemp("harbour"))
    running.apply(contracts)
    answers = running.submit(running.client, list(harbour.events()))
    assert {each["status"] for each in answers} == {"accepted"}
    running.wait_until_seen()
    running.close(
        (agreement, month) for month in harbour.MONTHS for agreement in harbour.AGREEMENTS
    )
    return contracts, events


@pytest.mark.parametrize("name", SETS)
def test_offline_statements_equal_the_live_ones_byte_for_byte(
    chain: Chain, name: str, tmp_path: Path
) -> None:
    through = chain.sets[name]
    given = through.given
    offline = settle(through.contracts, through.events, given.through, tmp_path / "none")
    agreements = sorted({agreement for agreement, _ in given.expected})
    assert offline.statements.keys() == given.expected.keys()
    assert offline.statements == live(chain.living, agreements)
    assert offline.code == (1 if given.refused else 0)
    assert len(offline.aside) == len(given.refused)
    for identity in given.refused:
        assert any(f" {identity}: " in line for line in offline.aside)


def test_offline_statements_of_the_story_equal_the_live_ones_byte_for_byte(
    chain: Chain, told: dict[str, Any], tmp_path: Path
) -> None:
    offline = settle(told["contracts"], told["events"], "2025-03-31", tmp_path / "none")
    assert offline.statements == live(chain.living, list(AGREEMENTS))
    assert len(offline.statements) == 9
    assert offline.code == 1
    (conflict,) = offline.aside
    assert "conflict urn:cloudhaus:batch night-20250101" in conflict


def test_the_late_correction_of_the_story_changed_what_was_posted(
    chain: Chain, told: dict[str, Any]
) -> None:
    now = live(chain.living, list(AGREEMENTS))
    changed = {place for place, body in told["closed"].items() if now[place] != body}
    # January counts fewer failures; February has more of the quarter's cap left. The network's
    # statement of January states another figure and owes the same.
    assert {("cloudhaus-hosting", "2025-01"), ("cloudhaus-hosting", "2025-02")} <= changed
    assert ("northnet-wan", "2025-01") in changed
    assert not {place for place in changed if place[0] == "deskline-desk"}


def test_offline_statements_in_two_currencies_under_a_shared_cap_equal_the_live_ones(
    chain: Chain, foreign: tuple[Path, Path], tmp_path: Path
) -> None:
    contracts, events = foreign
    offline = settle(contracts, events, "2025-06-30", tmp_path / "none")
    assert (offline.code, offline.aside) == (0, [])
    assert offline.statements == live(chain.living, list(harbour.AGREEMENTS))
    totals = {place: json.loads(body)["total_minor"] for place, body in offline.statements.items()}
    assert totals == harbour.EXPECTED


def test_a_converted_amount_names_its_rate_and_a_cut_one_its_cap(
    chain: Chain, foreign: tuple[Path, Path]
) -> None:
    found = live(chain.living, [harbour.CRANE])
    texts = [body.decode() for _, body in sorted(found.items())]
    assert "at 1.1373 USD for 1 EUR (ecb-usd of 2025-04-30" in texts[0]
    assert "ecb-usd of 2025-05-30" in texts[1], "the last rate before a Saturday"
    assert "0.88 EUR for 1 USD" in texts[2]
    assert ["cap harbour, shared by" in text for text in texts] == [True, False, True]


def test_offline_statements_do_not_depend_on_how_the_events_are_cut_or_ordered(
    told: dict[str, Any], tmp_path: Path
) -> None:
    lines = told["events"].read_text().splitlines()
    # What said another thing first stays first; everything else may come in any order.
    last = [line for line in lines if '"night-20250101"' in line][1:]
    rest = [line for line in lines if line not in last]
    folder = tmp_path / "events"
    folder.mkdir()
    (folder / "1.json").write_text(f"[{','.join(reversed(rest[::2]))}]")
    (folder / "2.ndjson").write_text("\n".join([*rest[1::2], *last]))
    whole = settle(told["contracts"], told["events"], "2025-03-31", tmp_path / "none")
    parts = settle(told["contracts"], folder, "2025-03-31", tmp_path / "none")
    assert parts.statements == whole.statements
    assert len(parts.aside) == len(whole.aside) == 1
