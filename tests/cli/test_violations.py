"""`earnback violation`: misses to TMF623 and back, from the files that people have."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from services.cli.violations import export_violations, import_violations
from tests.cli.conftest import Shell
from tests.core.interchange.written_told import PROGRAMME
from tests.core.told import HEAD, LEVEL

MONTHS = {"2025-01": "98.5", "2025-02": "99.5", "2025-03": "99.4"}
"""What was declared: missed; met; missed by the promise that is higher from March on."""


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """A shell on a machine where nothing runs."""
    return Shell(tmp_path / "nowhere", {})


@pytest.fixture
def contracts(tmp_path: Path) -> Path:
    """A folder with a programme and two versions of an agreement."""
    folder = tmp_path / "contracts"
    folder.mkdir()
    (folder / "programme.yaml").write_text(PROGRAMME)
    (folder / "first.yaml").write_text(HEAD + LEVEL)
    later = HEAD.replace("version: 1", "version: 2").replace("2025-01-01", "2025-03-01")
    (folder / "second.yaml").write_text(later + LEVEL.replace("99}", "99.5}"))
    return folder


def event(kind: str, period: str, **data: Any) -> dict[str, Any]:
    """An event about a month, told on the first day of April."""
    return {
        "specversion": "1.0",
        "id": f"{kind}-{period}",
        "source": "urn:nimbus",
        "type": f"earnback.{kind}.v1",
        "time": "2025-04-01T09:00:00-04:00",
        "data": {"period": period, **data},
    }


CHARGES = [
    event("charge", month, agreement="hosting", base="fee", currency="EUR", amount="1000.00")
    for month in MONTHS
]
FIGURES = [
    event("figure", month, metric="uptime", value=value, unit="percent")
    for month, value in MONTHS.items()
]


def settled(shell: Shell, contracts: Path, events: list[dict[str, Any]]) -> str:
    """The statements of the first quarter."""
    path = contracts.parent / "events.json"
    path.write_text(json.dumps(events))
    said = shell.run("settle", contracts, path, "--through", "2025-03-31", "--json")
    assert said.code == 0, said.err
    return said.out


def written(folder: Path, name: str, text: str) -> Path:
    """A file with a text."""
    path = folder / name
    path.write_text(text)
    return path


def test_misses_go_out_as_violations_and_come_in_as_the_figures_that_were_declared(
    shell: Shell, contracts: Path, tmp_path: Path
) -> None:
    statements = settled(shell, contracts, [*CHARGES, *FIGURES])
    path = written(tmp_path, "statements.ndjson", statements)
    out = shell.run("violation", "export", contracts, path)
    assert out.code == 0, out.err
    found = {one["id"]: one["violation"] for one in json.loads(out.out)}
    assert set(found) == {"hosting:uptime:2025-01", "hosting:uptime:2025-03"}
    assert [one["referenceValue"] for one in found.values()] == ["99", "99.5"]
    assert [one["actualValue"] for one in found.values()] == ["98.5", "99.4"]
    assert "lost: consequence: amounts stay in the statement" in out.err

    path = written(tmp_path, "violations.json", out.out)
    back = shell.run("violation", "import", contracts, path, "--source", "urn:nimbus")
    assert back.code == 0, back.err
    events = [json.loads(line) for line in back.out.splitlines()]
    assert [one["data"] for one in events] == [FIGURES[0]["data"], FIGURES[2]["data"]]
    again = settled(shell, contracts, [*CHARGES, *events, FIGURES[1]])
    assert [owed(one) for one in again.splitlines()] == [
        owed(one) for one in statements.splitlines()
    ]
    assert [owed(one)[1] for one in again.splitlines()] == [10_000, 0, 10_000]


def owed(statement: str) -> tuple[str, int]:
    """A statement's period and total."""
    found = json.loads(statement)
    return found["period"], found["total_minor"]


def test_the_period_of_a_violation_chooses_the_version_that_reads_it(
    shell: Shell, contracts: Path, tmp_path: Path
) -> None:
    violation = {
        "id": "v7",
        "date": "2025-04-02T00:00:00Z",
        "sla": {"id": "hosting"},
        "violation": {"rule": {"id": "uptime"}, "unit": "percent", "actualValue": "98"},
    }
    path = written(tmp_path, "one.json", json.dumps(violation))
    said = shell.run("violation", "import", contracts, path, "--source", "urn:nimbus")
    assert json.loads(said.out)["data"]["period"] == "2025-03"
    named = ("--source", "urn:nimbus", "--period")
    said = shell.run("violation", "import", contracts, path, *named, "2025-02")
    assert json.loads(said.out)["data"]["period"] == "2025-02"
    said = shell.run("violation", "import", contracts, path, *named, "2024-12")
    assert (said.code, said.out) == (1, "")
    assert said.err == (
        "one.json:1: hosting does not cover 2024-12; name another period with --period\n"
    )
    said = shell.run("violation", "import", contracts, path, *named, "March")
    assert said.code == 1
    assert said.err.startswith("earnback: --period: 'March' names no period; write 2025")


@pytest.mark.parametrize(
    ("command", "text", "told"),
    [
        ("export", '{"agreement": "hosting"}', "one.json:1: programme: Field required; give "),
        ("export", "{", "one.json:1: the whole: Invalid JSON"),
        ("import", '{"sla": {"id": "other"}}', "one.json:1: sla.id: no agreement 'other' in the "),
        ("import", "{}", "one.json:1: sla.id is missing; name the agreement"),
        ("import", "7", "one.json:1: no violation; give a JSON object"),
        ("import", "{", "one.json:1: not readable"),
        ("import", '{"sla": {"id": "hosting"}}', "one.json:1: violation.rule.id is missing; "),
    ],
)
def test_what_does_not_fit_is_refused_with_its_place(
    contracts: Path, tmp_path: Path, command: str, text: str, told: str
) -> None:
    path = written(tmp_path, "one.json", text)
    run = {
        "export": lambda: export_violations(contracts, [path]),
        "import": lambda: import_violations(contracts, [path], "urn:nimbus", None),
    }
    found = run[command]()
    assert found.lost == []
    assert [line[: len(told)] for line in found.refused] == [told]


def test_a_statement_is_read_by_the_version_that_settled_it(
    shell: Shell, contracts: Path, tmp_path: Path
) -> None:
    statements = settled(shell, contracts, [*CHARGES, *FIGURES])
    path = written(tmp_path, "statements.ndjson", statements)
    (contracts / "second.yaml").unlink()
    said = shell.run("violation", "export", contracts, path)
    assert said.code == 1
    assert said.err.splitlines()[0] == (
        "statements.ndjson:3: hosting version 2 is in no contract file; "
        "add the file that it was settled by"
    )
    (january,) = json.loads(said.out)
    assert january["id"] == "hosting:uptime:2025-01", "what is in order is made all the same"
