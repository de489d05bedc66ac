"""`contract simulate` over files: what changes in a metric is counted anew from the events.

Over what runs it is tested with the other commands, in `test_commands_on_a_running_stack`.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from datetime import date
from itertools import islice
from pathlib import Path

import pytest

from schemas.money import amount_text
from services.cli.demo import STORY
from services.cli.files import read_contracts, read_events
from services.cli.offline import settle_files
from services.cli.simulating import simulate_files
from services.cli.story import events as story
from services.core.contracts.interchange.carried import read_as_text
from services.shell.clock import now_us
from tests.cli.conftest import Shell
from tests.command import Said
from tests.core.altered import variants
from tests.integration import harbour

MONTHS = "2025-01..2025-03"
QUARTER_END = "2025-03-31"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Contracts in force and the quarter's events, as files."""
    found = tmp_path_factory.mktemp("files")
    (found / "contracts").mkdir()
    for path in STORY.glob("*.yaml"):
        shutil.copy(path, found / "contracts")
    rows = (json.dumps(event) for event in story.first_delivery())
    (found / "events.ndjson").write_text("\n".join(rows))
    return found


@pytest.fixture
def simulated(folder: Path, tmp_path: Path) -> Callable[..., Said]:
    """The command over the files, for an agreement and a changed text of it."""

    def run(text: str, *options: str | Path) -> Said:
        (tmp_path / "new.yaml").write_text(text)
        given = options or (
            "--contracts", folder / "contracts", "--events", folder / "events.ndjson",
        )  # fmt: skip
        shell = Shell(tmp_path / "nowhere", {})
        return shell.run("contract", "simulate", tmp_path / "new.yaml", "--against", MONTHS, *given)

    return run


def document(name: str, *changes: tuple[str, str]) -> str:
    """A file of the story with some texts in place of others, as its next version."""
    text = (STORY / name).read_text()
    for old, new in (("version: 1", "version: 2"), *changes):
        assert old in text
        text = text.replace(old, new)
    return text


def both(said: Said) -> dict[str, tuple[str, str]]:
    """Each period's total: was, would be."""
    rows = re.findall(r"(2025-\d\d) +│ total +│ +(\S+) +│ +(\S+)", said.out)
    return {period: (was, would) for period, was, would in rows}


def test_another_target_clock_is_counted_anew_from_the_files(
    simulated: Callable[..., Said], folder: Path, tmp_path: Path
) -> None:
    half = document("programme.yaml", ("limit_minutes: 480", "limit_minutes: 240"))
    desk = document("deskline.yaml")
    said = simulated(f"{half}---\n{desk}")
    # It is what settling the same events says, once by the contracts in force, once by the others.
    changed = tmp_path / "changed"
    changed.mkdir()
    (changed / "programme.yaml").write_text(half.replace("version: 2", "version: 1"))
    (changed / "desk.yaml").write_text(desk)
    was, would = settled(folder / "contracts", folder), settled(changed, folder)
    assert both(said) == {month: (was[month], would[month]) for month in was}
    assert both(said)["2025-02"] == ("-600.00", "7488.00")


def settled(contracts: Path, folder: Path) -> dict[str, str]:
    """What the service desk comes to, by period."""
    outcome = settle_files(
        read_contracts([contracts]),
        read_events([folder / "events.ndjson"]),
        date.fromisoformat(QUARTER_END),
        now_us(),
    )
    return {
        one.period: amount_text(one.total_minor, one.currency)
        for one in outcome.statements
        if one.agreement == "deskline-desk"
    }


def test_terms_that_leave_the_metrics_alone_are_simulated_without_a_word_of_counting(
    simulated: Callable[..., Said],
) -> None:
    said = simulated(document("deskline.yaml", ("percent: 0.5", "percent: 1")))
    assert both(said) == {
        "2025-01": ("166.50", "333.00"),
        "2025-02": ("-600.00", "-600.00"),
        "2025-03": ("0.00", "0.00"),
    }
    assert "counted" not in said.out


def test_a_smaller_shared_cap_is_split_as_it_would_be(tmp_path: Path) -> None:
    contracts, events = harbour.written(tmp_path)
    programme = json.loads((contracts / "0.yaml").read_text())
    programme["shared_caps"][0]["limit"]["amount"] = 500
    gate = (contracts / "3.yaml").read_text()
    file = tmp_path / "new.yaml"
    file.write_text(f"{json.dumps(programme | {'version': 2})}\n---\n{gate}")
    told = simulate_files(contracts, [events], file, "2025-04..2025-06", now_us())
    found = [(one.period, one.was, one.would_be) for one in told.simulation.periods]
    # Of 1,085.52 and 400.00 in April, and of 977.78 and 400.00 in June.
    assert found == [("2025-04", 26_927, 13_463), ("2025-05", 0, 0), ("2025-06", 29_032, 14_516)]


def test_events_that_the_new_terms_would_not_take_are_told(simulated: Callable[..., Said]) -> None:
    text = document("programme.yaml", ("    metrics: [tickets-in-time]", "    metrics: []"))
    said = simulated(f"{text}---\n{document('deskline.yaml')}")
    assert said.code == 1
    assert "the source urn:deskline:tickets may not report" in said.err
    assert both(said)["2025-01"] == ("166.50", "0.00")


def test_contracts_without_events_are_no_files_to_simulate_on(
    simulated: Callable[..., Said], folder: Path
) -> None:
    said = simulated(document("deskline.yaml"), "--contracts", folder / "contracts")
    assert said.code == 1
    assert "--contracts and --events go together" in said.err


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("agreement: deskline-desk", "agreement: night-desk", "night-desk is not applied"),
        ("settled: month", "settled: quarter", "settled is quarter, of the periods settled"),
    ],
)
def test_what_cannot_be_simulated_is_refused_with_its_reason(
    simulated: Callable[..., Said], old: str, new: str, reason: str
) -> None:
    said = simulated(document("deskline.yaml", (old, new)))
    assert said.code == 1
    assert reason in said.err


@pytest.fixture(scope="module")
def few(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A few of the events, one of each kind of nonsense among them."""
    lines = (folder / "events.ndjson").read_text().splitlines()[::400]
    found = tmp_path_factory.mktemp("few") / "events.ndjson"
    found.write_text("\n".join([*lines, "{}", "[]", "1", "null", "not json", '{"id": "x"}']))
    return found


def sentence(contracts: Path, events: Path, text: str, against: str, folder: Path) -> str | None:
    """What a simulation is refused with, in the way in which commands end with a sentence."""
    file = folder / "odd.yaml"
    file.write_text(text)
    try:
        simulate_files(contracts, [events], file, against, now_us())
    except (ValueError, OSError, RuntimeError) as refused:
        return str(refused)
    return None


ODD = (None, True, -1, "", "odd", [], {}, {"kind": "x"})


def test_an_odd_contract_is_simulated_or_refused_with_a_reason(
    folder: Path, few: Path, tmp_path: Path
) -> None:
    (own,) = read_as_text((STORY / "deskline.yaml").read_text())
    told = [
        sentence(folder / "contracts", few, json.dumps(variant), MONTHS, tmp_path)
        for variant in islice(variants(own, ODD), 3, None, 97)
    ]
    refused = [one for one in told if one is not None]
    assert refused
    assert all("this is a defect" not in one and "odd.yaml" in one for one in refused), refused


@pytest.mark.parametrize(
    "against",
    ["", "..", "..2025-03", "2025-13", "2025-03..2025-01", "2025-Q1..2025-03", "2025-01..9999-12",
     "0000-01", "1900-01", "2025-01..2025-02..2025-03", "2025-01-01..2025-01-31"],
)  # fmt: skip
def test_an_odd_period_is_refused_with_a_reason(
    folder: Path, few: Path, tmp_path: Path, against: str
) -> None:
    assert sentence(folder / "contracts", few, document("deskline.yaml"), against, tmp_path)


def test_files_that_are_no_text_are_refused_with_a_reason(
    folder: Path, few: Path, tmp_path: Path
) -> None:
    desk = document("deskline.yaml")
    (tmp_path / "c.yaml").write_bytes(b"\xff\xfe\x00{")
    (tmp_path / "e.json.gz").write_bytes(b"not gzip")
    assert sentence(tmp_path / "c.yaml", few, desk, MONTHS, tmp_path)
    assert sentence(folder / "contracts", tmp_path / "e.json.gz", desk, MONTHS, tmp_path)
    (tmp_path / "e.ndjson").write_bytes(b"\xff\xfe\x00{")
    assert sentence(folder / "contracts", tmp_path / "e.ndjson", desk, MONTHS, tmp_path) is None
