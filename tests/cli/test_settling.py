"""`earnback settle`: what it tells of files that are not in order."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Shell

EXAMPLES = Path(__file__).parents[2] / "schemas/examples/events"
FIRST = json.loads((EXAMPLES / "first-month.ndjson").read_text().splitlines()[0])


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """A shell on a machine where nothing runs."""
    return Shell(tmp_path / "nowhere", {})


def test_every_wrong_field_of_an_event_is_told_on_a_line_of_its_own(
    shell: Shell, tmp_path: Path
) -> None:
    path = tmp_path / "bad.ndjson"
    path.write_text(
        json.dumps({**FIRST, "id": "two", "data": {"metric": 7, "up": "yes"}}) + "\n{\n"
    )
    said = shell.run("settle", EXAMPLES, path, "--through", "2025-01-31")
    assert said.code == 1
    lines = [line for line in said.err.splitlines() if line.startswith("bad.ndjson")]
    begun = f"bad.ndjson:1: refused {FIRST['source']} two: "
    fields = [line.removeprefix(begun).split(":")[0] for line in lines if line.startswith(begun)]
    assert len(fields) > 1
    assert {"/data/metric"} < set(fields)
    assert lines[-1].startswith("bad.ndjson:2: refused: "), "no blanks for an id that is not known"


@pytest.mark.parametrize("text", ["2025-01", "2025-02-30", "today"])
def test_what_is_no_day_is_refused_with_an_example(shell: Shell, text: str) -> None:
    said = shell.run("settle", EXAMPLES, EXAMPLES / "first-month.ndjson", "--through", text)
    assert said.code == 1
    assert said.err == (
        f"earnback: --through {text}: not a valid date; use YYYY-MM-DD, such as 2025-01-31\n"
    )
