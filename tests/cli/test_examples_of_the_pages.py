"""The commands of the pages run as they stand, beside a running installation."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from services.cli.client import RequestRefused
from tests.cli.conftest import Installation
from tests.docs.pages import ROOT, blocks, page

SHELL = f"""set -eu
earnback() {{ {sys.executable} -m services.cli.app "$@"; }}
curl() {{ command curl --fail-with-body "$@"; echo; }}
"""
"""A shell in which `earnback` is this tree's, and a refused request ends the script."""


def script(name: str) -> str:
    """All commands of a page, in order."""
    return "\n".join(blocks(page(name), "sh"))


def run(installation: Installation, commands: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if "EARNBACK" not in name}
    return subprocess.run(
        ["bash", "-c", SHELL + commands],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env={**clean, "EARNBACK_HOME": str(installation.shell.home), "PYTHONPATH": str(ROOT)},
        timeout=300,
    )


@pytest.fixture(scope="module")
def ran(installation: Installation) -> subprocess.CompletedProcess[str]:
    """The page on the settlement API, run from its first command to its last."""
    return run(installation, script("settlement-api.md"))


def answers(done: subprocess.CompletedProcess[str]) -> list[dict[str, object]]:
    """What the commands printed: a JSON document a line."""
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def test_the_settlement_pages_commands_run_as_they_stand(
    ran: subprocess.CompletedProcess[str],
) -> None:
    assert ran.returncode == 0, ran.stdout[-2000:] + ran.stderr[-2000:]
    told = answers(ran)
    assert told[0]["total"] == {"minor_units": 25000, "currency": "EUR", "amount": "250.00"}
    assert told[-1]["state"] == "upheld"
    assert "agreement hosting version 1" in ran.stderr


def test_the_example_shows_something_behind_every_command(
    ran: subprocess.CompletedProcess[str],
) -> None:
    told = answers(ran)
    explained, previewed, verdict = told[1], told[2], told[3]
    assert explained["line"] == "uptime"
    assert previewed["preview"] is True
    assert verdict["standing"] == "accepted"


def test_loading_the_example_again_changes_nothing_and_makes_new_keys(
    ran: subprocess.CompletedProcess[str], installation: Installation
) -> None:
    said = installation.shell.run("example", "load")
    assert said.code == 0, said.err
    assert "was applied before" in said.err
    assert "hosting 2025-01: unchanged" in said.err
    names = [line.split("=")[0] for line in said.out.splitlines()]
    assert names == ["export KEY", "export BUYER_KEY", "export FINANCE_KEY"]


def test_the_events_pages_commands_run_as_they_stand(installation: Installation) -> None:
    done = run(installation, script("events.md"))
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert [one["status"] for one in answers(done)] == ["accepted", "accepted"]
    assert "3 accepted, 0 duplicates, 0 rejected" in done.stdout
    assert "north owes town" in done.stdout


def test_env_prints_what_a_shell_can_read(installation: Installation) -> None:
    said = installation.shell.run("env")
    assert said.code == 0, said.err
    where = installation.living.stack.addresses
    assert f"export EARNBACK_SETTLEMENT={where.settlement}" in said.out.splitlines()
    assert f"export EARNBACK_KEY={where.key}" in said.out.splitlines()


def test_the_commands_show_what_the_api_says(
    ran: subprocess.CompletedProcess[str], installation: Installation
) -> None:
    shell = installation.shell
    preview = shell.run("preview", "hosting", "2025-03")
    assert preview.out.startswith("preview: nothing is stored")
    pending = shell.run("pending")
    assert pending.code == 0, pending.err
    assert pending.out.startswith(("agreement", "nothing is pending"))
    assert "nimbus owes town 250.00 EUR" in shell.run("balances").out
    assert "upheld" in shell.run("dispute", "list").out
    assert shell.run("quarantine").code == 0
    corrected = shell.run("corrections", "hosting", "2025-01")
    assert (corrected.code, corrected.out) == (0, "nothing was corrected\n"), corrected.err
    closed = shell.run("close", "hosting", "2025-01..2025-02")
    assert "hosting 2025-01: " in closed.out
    assert "hosting 2025-02: " in closed.out
    assert "nimbus owes town" in closed.out
    refused = shell.run("close", "hosting", "2025-03..2025-01")
    assert refused.code == 1
    assert "the last period comes before the first" in refused.err


def test_explain_lists_every_event_with_its_correction(
    ran: subprocess.CompletedProcess[str], installation: Installation
) -> None:
    said = installation.shell.run("explain", "hosting", "2025-01", "uptime", "--events")
    lines = said.out.splitlines()
    assert len(lines) == 13
    assert all("urn:nimbus:probe/1" in line for line in lines[:-1])
    assert lines[-1] == "urn:town:ledger  invoice-2025-01", "the charge that it is a share of"
    shown = installation.shell.run("explain", "hosting", "2025-01", "uptime").out
    assert "figure uptime of 2025-01" in shown


def test_the_charged_vendor_sees_the_buyers_charge_and_no_event_of_others(
    ran: subprocess.CompletedProcess[str], installation: Installation
) -> None:
    key = installation.shell.run("key", "create", "nimbus", "vendor").out.strip()
    client = installation.living.client_of(key)
    charge = client.get("/v1/events/urn%3Atown%3Aledger/invoice-2025-01")
    assert charge["accepted"]["event"]["data"]["agreement"] == "hosting"
    for source in ("urn%3Atown%3Abooks", "https%3A%2F%2Fprobe.example%2Fnet-1"):
        with pytest.raises(RequestRefused, match="not visible to you"):
            client.get(f"/v1/events/{source}/invoice-2025-01")
    client.close()


def test_arguments_in_another_order_are_answered_with_the_usage(
    installation: Installation,
) -> None:
    said = installation.shell.run("explain", "hosting", "uptime", "2025-01")
    assert said.code == 1
    assert "'uptime' names no period" in said.err
    assert "Usage: earnback explain AGREEMENT PERIOD LINE" in said.err
