"""A vendor states a charge; the buyer, whose word counts, finds the proposal and answers it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cases.test_whose_word import CONTRACT
from tests.cli.conftest import Installation, Shell
from tests.integration.living import wait_for

VENDOR, BUYER = "urn:lease:nimbus", "urn:lease:town"
CHANGES = (
    ("programme: campus", "programme: leases"),
    ("agreement: hosting", "agreement: leasing"),
    ("urn:", "urn:lease:"),
)


def event(source: str, kind: str, name: str, at: str, data: dict[str, Any]) -> dict[str, Any]:
    return {
        "specversion": "1.0", "id": name, "source": source, "type": f"earnback.{kind}.v1",
        "time": f"2025-{at}T12:00:00Z", "data": data,
    }  # fmt: skip


def charge(source: str, name: str, at: str, amount: str) -> dict[str, Any]:
    data = {"agreement": "leasing", "base": "fee", "period": "2025-01", "amount": amount}
    return event(source, "charge", name, at, {**data, "currency": "EUR"})


EVENTS = [
    event(VENDOR, "count", "miss", "01-10", {"metric": "net", "good": 9, "total": 10}),
    charge(BUYER, "billed", "02-01", "10000.00"),
    charge(VENDOR, "claimed", "02-02", "5000.00"),
]


@pytest.fixture(scope="module")
def closed(installation: Installation, tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """The buyer's shell, once January is settled with a proposal open."""
    folder: Path = tmp_path_factory.mktemp("leases")
    text = CONTRACT.format(word="buyer", silence="", own="")
    for old, new in CHANGES:
        text = text.replace(old, new)
    (folder / "contracts.yaml").write_text(text)
    (folder / "events.ndjson").write_text("".join(json.dumps(each) + "\n" for each in EVENTS))
    shell = installation.shell
    said = shell.run("contract", "apply", folder / "contracts.yaml")
    assert said.code == 0, said.err
    wait_for(
        "ingest to know the sources",
        lambda: shell.run("submit", folder / "events.ndjson").code == 0,
    )
    installation.living.last |= {each["source"]: each["id"] for each in EVENTS}
    installation.living.wait_until_seen()
    done = shell.run("close", "leasing", "2025-01")
    assert "2,000.00" in done.out or "2000.00" in done.out, done.out + done.err
    key = shell.run("key", "create", "town", "procurement").out.split()[0]
    return installation.shell_of(key)


def test_a_proposal_is_listed_answered_once_and_counts_then(closed: Shell) -> None:
    listed = closed.run("proposal", "list", "leasing", "2025-01")
    assert listed.code == 0, listed.err
    row = next(line for line in listed.out.splitlines() if "claimed" in line)
    for part in (VENDOR, "nimbus", "charge fee: 5000.00 EUR", "open", "town"):
        assert part in row
    one = ("leasing", "2025-01", VENDOR, "claimed")
    shown = closed.run("proposal", "show", *one)
    assert "comes to 1000.00 EUR instead of 2000.00 EUR: -1000.00 EUR" in shown.out, shown.err
    assert "proposed" in closed.run("pending").out
    foreign = closed.run("proposal", "accept", *one, "--reason", "as agreed", "--from", VENDOR)
    assert foreign.code == 1, "the source is the vendor's"
    said = closed.run("proposal", "accept", *one, "--reason", "as agreed")
    assert said.code == 0, said.err
    wait_for(
        "the accepted charge to count",
        lambda: "1000.00" in closed.run("statements", "leasing", "2025-01").out,
    )
    found = json.loads(closed.run("proposal", "list", "leasing", "2025-01", "--json").out)
    (answered,) = found
    assert (answered["state"], len(answered["proposal"]["answers"])) == ("accepted", 1)
    audited = closed.run("audit", "--agreement", "leasing").out
    assert "answer-counted" in audited


def test_what_nobody_proposed_is_said_with_where_to_look(closed: Shell) -> None:
    said = closed.run(
        *("proposal", "reject", "leasing", "2025-01", VENDOR, "nothing"),
        *("--reason", "why not", "--from", BUYER),
    )
    assert said.code == 1
    assert "no proposal nothing" in said.err
    assert "earnback proposal list leasing 2025-01" in said.err
