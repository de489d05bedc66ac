"""Options and inputs that need nothing running: the version, standard input, summaries, ranges."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from services.cli.books import labels_of
from services.cli.files import read_contracts
from services.cli.grouped import ALONE, PlacedLine, grouped
from tests.cli.conftest import Shell
from tests.command import run
from tests.docs.pages import ROOT

EXAMPLE = ROOT / "services/cli/example"
CONTRACTS = (EXAMPLE / "contracts.yaml").read_text(encoding="utf-8")
THROUGH = ("--through", "2025-01-31")


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """A shell on a machine where nothing runs."""
    return Shell(tmp_path / "nowhere", {})


def test_the_version_is_that_of_the_project(shell: Shell) -> None:
    said = shell.run("--version")
    (stated,) = re.findall(r'^version = "(.+)"', (ROOT / "pyproject.toml").read_text(), re.M)
    assert (said.code, said.out) == (0, f"earnback {stated}\n")


def test_holidays_are_dates_that_a_contract_file_lists(shell: Shell) -> None:
    said = shell.run("holidays", "de", "2025", "2026", "--region", "BY")
    assert said.code == 0, said.err
    listed = YAML(typ="safe").load(said.out)["holidays"]
    assert [one.isoformat() for one in listed[:3]] == ["2025-01-01", "2025-01-06", "2025-04-18"]
    assert "  - 2026-05-14  # Ascension Day\n" in said.out
    for wrong in (("XX", "2025"), ("DE", "2025", "--region", "ZZ"), ("DE", "1700")):
        refused = shell.run("holidays", *wrong)
        assert refused.code == 1
        assert "or write the dates by hand" in refused.err


def test_what_is_no_number_is_named_with_its_argument(shell: Shell) -> None:
    said = shell.run("goal", "10000", "abc", "20")
    assert said.code == 1
    assert said.err.startswith("earnback: PER_DEAL 'abc': not an exact number; write an integer")


def test_contracts_are_read_from_standard_input() -> None:
    checked = run("contract", "check", "-", text=CONTRACTS)
    assert checked.code == 0
    assert "standard input: agreement hosting version 1 is in order" in checked.out
    settled = run("settle", "-", str(EXAMPLE / "events.ndjson"), *THROUGH, text=CONTRACTS)
    assert settled.code == 0
    assert "nimbus owes town" in settled.out
    faulty = run("contract", "check", "-", text=CONTRACTS.replace("EUR", "EURO"))
    assert faulty.code == 1
    assert faulty.err.startswith("standard input:")


def test_many_events_with_one_fault_are_told_as_one(shell: Shell, tmp_path: Path) -> None:
    first = json.loads((EXAMPLE / "events.ndjson").read_text().splitlines()[0])
    first["data"]["up"] = "yes"
    rows = [json.dumps({**first, "id": f"x-{number}"}) for number in range(500)]
    path = tmp_path / "many.ndjson"
    path.write_text("\n".join(rows))
    said = shell.run("settle", EXAMPLE / "contracts.yaml", path, *THROUGH)
    assert said.code == 1
    (line,) = said.err.splitlines()
    assert line.startswith("many.ndjson:1: refused urn:nimbus:probe/1 x-0: /data/up: ")
    assert line.endswith("(first of 500)")


def test_few_lines_are_printed_as_they_are() -> None:
    lines = [PlacedLine(f"f:{number}", "", "wrong; mend it") for number in range(ALONE)]
    assert list(grouped(lines)) == [f"f:{number}: wrong; mend it" for number in range(ALONE)]
    more = [*lines, PlacedLine("f:99", "who", "else; mend that")]
    assert list(grouped(more)) == [
        f"f:0: wrong; mend it (first of {ALONE})",
        "f:99: who: else; mend that",
    ]


def test_a_range_of_periods_is_every_period_from_the_first_to_the_last() -> None:
    assert labels_of("2025-01") == ("2025-01",)
    assert labels_of("2024-12..2025-02") == ("2024-12", "2025-01", "2025-02")
    assert labels_of("2025-Q4..2026-Q1") == ("2025-Q4", "2026-Q1")
    with pytest.raises(ValueError, match="comes before the first"):
        labels_of("2025-03..2025-01")
    with pytest.raises(ValueError, match="one length"):
        labels_of("2025-01..2025-Q2")


def refusals(folder: Path, text: str) -> list[str]:
    """What is wrong with a contract file."""
    (folder / "c.yaml").write_text(text, encoding="utf-8")
    return read_contracts([folder]).faults()


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("name: Hosting of the portal", "name: Hosting: the portal", "it holds a colon"),
        ("{at_least: 99.9}", "{at_least: 99,9}", "write numbers with a decimal point: 99.9"),
        ("percent: 5,", "percent: '5,5',", "write 5.5: a decimal point, not a comma"),
        ("settled: month", "settled: weekly", "write day, week, month, quarter, half_year, year, "),
        ("no_data: no_result", "no_data: none", "write miss, met, no_result or {counts_as: N}"),
        (
            "    no_data: no_result\n",
            "",
            "add no_data: one of miss, met, no_result, {counts_as: N}",
        ),
        ("rate: {kind: percent_of,", "rate: {kind: percentage,", "percent_of"),
        ("lateness_hours: 24", "lateness_hours: soon", "'soon' is not a whole number"),
        ("    judged: exact\n", "\tjudged: exact\n", "indent with spaces"),
    ],
)
def test_a_fault_names_the_usual_cause_or_the_possible_values(
    tmp_path: Path, old: str, new: str, said: str
) -> None:
    assert old in CONTRACTS
    told = refusals(tmp_path, CONTRACTS.replace(old, new))
    assert any(said in line for line in told), told


def test_a_faulty_programme_is_not_said_to_be_unknown(tmp_path: Path) -> None:
    told = refusals(tmp_path, CONTRACTS.replace("better: higher", "better: more"))
    assert len(told) == 2, told  # the fault, and that its agreement was not looked at
    assert "is not known" not in "\n".join(told)


@pytest.mark.parametrize(
    ("bands", "said", "not_said"),
    [
        (
            "[{below: 99.89, gives: 1}, {at_least: 99.9, gives: 0}]",
            "values between 99.89 and 99.9 belong to no band; let the bands meet",
            "otherwise",
        ),
        (
            "[{at_least: 98, below: 99, gives: 1}, {at_least: 99, gives: 0}]",
            "values below 98 belong to no band; say with 'otherwise' or 'domain'",
            "let the bands meet",
        ),
    ],
)
def test_a_hole_inside_a_table_and_one_outside_have_remedies_of_their_own(
    tmp_path: Path, bands: str, said: str, not_said: str
) -> None:
    rate = f"rate: {{kind: by_band, of: result, gives: percent, base: fee, bands: {bands}}}"
    told = refusals(
        tmp_path, CONTRACTS.replace("rate: {kind: percent_of, percent: 5, base: fee}", rate)
    )
    (line,) = [one for one in told if "belong to no band" in one]
    assert said in line
    assert not_said not in line
