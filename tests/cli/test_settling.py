"""`earnback settle`: what it tells of files that are not in order."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from services.cli import offline
from services.cli.files import ContractFiles
from services.core.contracts.reading import Document
from services.core.counting.evaluation import evaluate
from tests.cli.conftest import Shell
from tests.settlement.builders import a_programme, a_shared_cap, an_agreement

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


def test_a_day_that_ends_no_period_is_refused_with_the_first_that_does(shell: Shell) -> None:
    events = EXAMPLES / "first-month.ndjson"
    said = shell.run("settle", EXAMPLES, events, "--through", "2025-01-30")
    assert (said.code, said.out) == (1, "")
    assert said.err == (
        "earnback: --through 2025-01-30: no period ends by that day; the first, 2025-01 of "
        "campus-network, ends with 2025-01-31: write that day or a later one\n"
    )


def test_periods_that_are_not_over_as_of_a_day_are_named_and_not_settled(shell: Shell) -> None:
    events = EXAMPLES / "first-month.ndjson"
    asked = ("settle", EXAMPLES, events, "--through", "2025-06-30", "--as-of")
    said = shell.run(*asked, "2025-02-27")
    assert said.code == 1
    assert "campus-network version 1  2025-01" in said.out
    assert "2025-02" not in said.out
    assert (
        "campus-network 2025-02 waits: the period is not over, nor are the 4 after it: its last "
        "day is 2025-02-28; settle it after that day, or try the contract with --as-of 2025-06-30"
    ) in said.err
    later = shell.run(*asked, "2025-06-30")
    assert "is not over" not in later.err
    assert "2025-06" in later.out
    wrong = shell.run(*asked, "June")
    assert wrong.err == (
        "earnback: --as-of June: not a valid date; use YYYY-MM-DD, such as 2025-01-31\n"
    )


def test_as_of_alone_settles_all_that_ends_by_that_day(shell: Shell) -> None:
    events = EXAMPLES / "first-month.ndjson"
    alone = shell.run("settle", EXAMPLES, events, "--as-of", "2025-01-31")
    both = shell.run("settle", EXAMPLES, events, "--through", "2025-01-31", "--as-of", "2025-01-31")
    assert (alone.code, alone.out) == (0, both.out)
    neither = shell.run("settle", EXAMPLES, events)
    assert (neither.code, neither.err) == (
        1,
        "earnback: settle: give --through DAY, the last day of the periods to settle\n",
    )


def test_as_of_a_day_everything_after_its_last_moment_lies_in_the_future(
    shell: Shell, tmp_path: Path
) -> None:
    # The programme's day ends at 23:00 UTC.
    times = {"last": "2025-01-31T22:59:59.999999Z", "next": "2025-01-31T23:00:00Z"}
    path = tmp_path / "events.ndjson"
    path.write_text(
        "".join(json.dumps({**FIRST, "id": one, "time": at}) + "\n" for one, at in times.items())
    )
    said = shell.run("settle", EXAMPLES, path, "--through", "2025-01-31", "--as-of", "2025-01-31")
    refused = [line for line in said.err.splitlines() if " refused " in line]
    assert len(refused) == 1
    assert refused[0].startswith(f"events.ndjson:2: refused {FIRST['source']} next: /time: ")


def test_events_before_an_agreement_begins_are_counted_in_a_note(
    shell: Shell, tmp_path: Path
) -> None:
    early = {**FIRST, "id": "early", "time": "2024-12-31T22:59:59Z"}
    first = {**FIRST, "id": "first", "time": "2024-12-31T23:00:00Z"}
    charges = [
        {
            "specversion": "1.0",
            "id": f"charge-{period}",
            "source": "urn:town:books",
            "type": "earnback.charge.v1",
            "time": "2025-02-01T12:00:00Z",
            "data": {
                "agreement": "campus-network",
                "base": "fee",
                "period": period,
                "amount": "1000.00",
                "currency": "EUR",
            },
        }
        for period in ("2024-12", "2025-01")
    ]
    path = tmp_path / "events.ndjson"
    path.write_text("".join(json.dumps(one) + "\n" for one in (early, first, *charges)))
    said = shell.run("settle", EXAMPLES, path, "--through", "2025-01-31")
    assert said.code == 0, said.err
    assert said.err == (
        "note: agreement campus-network begins on 2025-01-01; 1 events of its metrics and 1 "
        "charges lie before that day\n"
    )


def test_what_the_core_cannot_work_out_is_said_of_its_agreements_and_the_others_are_settled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fails(programmes: Any, versions: Any, *rest: Any) -> Any:
        if versions[-1].agreement in ("alone", "second"):
            raise ZeroDivisionError("by nothing")
        return evaluate(programmes, versions, *rest)

    monkeypatch.setattr(offline, "evaluate", fails)
    capped = a_shared_cap("100") | {
        "over": {"kind": "agreements", "agreements": ["first", "second"]}
    }
    agreements = [an_agreement(name) for name in ("alone", "first", "second", "whole")]
    documents = [
        Document(noun, "contracts.yaml", {(): (1, 1)})
        for noun in (a_programme(capped), *agreements)
    ]
    found = offline.settle_files(ContractFiles(tuple(documents), ()), [], date(2025, 1, 31), 2**51)
    assert [one.agreement for one in found.statements] == ["first", "whole"]
    defect = (
        "working it out failed (ZeroDivisionError: by nothing); this is a defect of earnback: "
        "report it with the contract and the period"
    )
    assert found.failed == (
        f"alone cannot be settled: {defect}",
        f"second cannot be settled: {defect}",
    )
