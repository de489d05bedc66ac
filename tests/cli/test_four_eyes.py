"""Four-eyes by command, on a running installation: one asks, another agrees."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.cli.conftest import Installation, Shell
from tests.command import Said
from tests.integration.living import wait_for

RULE = "four_eyes: {acts: [decisions, closes, contracts, keys], expires_after_days: 14}\n"
EXAMPLE = Path("services/cli/example/contracts.yaml")
ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Paired:
    """A programme that asks for two, with the shells of two people of its buyer."""

    installation: Installation
    folder: Path
    ann: Shell
    ben: Shell

    def apply(self, text: str) -> Said:
        """Apply a contract as the operator, whose name is Olga."""
        path = self.folder / "contract.yaml"
        path.write_text(text)
        home = self.installation.shell
        return Shell(home.home, {"EARNBACK_PERSON": "Olga"}).run("contract", "apply", path)


def _documents() -> tuple[str, str]:
    """The example's programme and agreement under names of this test's own."""
    text = (ROOT / EXAMPLE).read_text().replace("hosting-example", "paired")
    text = text.replace("agreement: hosting", "agreement: paired-hosting")
    for name in ("town", "nimbus"):
        text = re.sub(rf"\b{name}\b", f"paired-{name}", text)
    programme, agreement = text.split("---\n")
    return programme, agreement + "claim: {within_days: 3000}\n"


@pytest.fixture(scope="module")
def paired(installation: Installation, tmp_path_factory: pytest.TempPathFactory) -> Paired:
    programme, agreement = _documents()
    folder, keys = tmp_path_factory.mktemp("paired"), []
    made = Paired(installation, folder, installation.shell, installation.shell)
    both = f"{programme}---\n{agreement}"
    assert made.apply(both).code == 0
    said = made.apply(programme.replace("version: 1", "version: 2") + RULE)
    assert said.code == 0, said.err
    for _ in range(2):
        keys.append(installation.shell.run("key", "create", "paired-town", "procurement").out)
    shells = [installation.shell_of(text.strip()) for text in keys]
    return Paired(installation, folder, *shells)


def _request_in(said: Said) -> str:
    assert said.code == 1, said.out
    found = re.search(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", said.err)
    assert found is not None, said.err
    return found[0]


def test_a_close_is_asked_for_by_one_and_ordered_by_the_agreement_of_another(
    paired: Paired,
) -> None:
    asked = _request_in(paired.ann.run("close", "paired-hosting", "2025-01"))
    assert f"{asked} " in paired.ben.run("request", "list").out
    refused = paired.ann.run("request", "agree", asked, "Yes.")
    assert refused.code == 1
    assert "the key that asked does not agree" in refused.err
    agreed = paired.ben.run("request", "agree", asked, "Yes.")
    assert f"{asked}  done" in agreed.out, agreed.err
    assert "it is carried out: /v1/closes/" in agreed.out
    assert "nothing is asked for" in paired.ben.run("request", "list").out
    assert asked in paired.ben.run("request", "list", "--all").out


def test_a_version_is_applied_when_another_than_whoever_gave_the_command_agrees(
    paired: Paired,
) -> None:
    programme, agreement = _documents()
    later = agreement.replace("version: 1", "version: 2").replace("2025-01-01", "2025-06-01")
    asked = _request_in(paired.apply(later))
    unnamed = paired.ben.run("request", "agree", asked, "Yes.")
    assert (unnamed.code, "nobody who agrees" in unnamed.err) == (1, True)
    ben = Shell(paired.ben.home, {**paired.ben.settings, "EARNBACK_PERSON": "Ben"})
    assert "/versions/2" in ben.run("request", "agree", asked, "Yes.").out
    assert "was applied before" in paired.apply(later).out
    third = programme.replace("version: 1", "version: 3") + RULE
    asked = _request_in(paired.apply(third))
    assert "give the command" in ben.run("request", "agree", asked, "Yes.").out
    assert "paired version 3 is applied" in paired.apply(third).out


def test_a_claim_is_taken_by_the_agreement_of_another_and_a_key_ends_by_two(
    paired: Paired, tmp_path: Path
) -> None:
    claim = {
        "specversion": "1.0",
        "id": "claim-1",
        "source": "urn:paired-town:ledger",
        "type": "earnback.circumstance.v1",
        "time": "2025-02-10T09:00:00Z",
        "data": {"agreement": "paired-hosting", "circumstance": "claim", "period": "2025-01"},
    }
    path = tmp_path / "claim.ndjson"
    path.write_text(json.dumps(claim) + "\n")

    def is_asked_for() -> bool:
        said = paired.ann.run("submit", path)
        return said.code == 1 and "asks for two over decisions" in said.err

    wait_for("the door to know the programme", is_asked_for)
    (row,) = json.loads(paired.ben.run("request", "list", "--json").out)
    assert row["content"]["data"]["circumstance"] == "claim"
    agreed = paired.ben.run("request", "agree", row["request_id"], "Yes.")
    assert "is taken by ingest" in agreed.out, agreed.err

    def is_done() -> bool:
        (row,) = json.loads(paired.ben.run("request", "list", "--all", "--json").out)[:1]
        return bool(row["state"] == "done")

    wait_for("the claim to be taken", is_done)
    # It counts once; a process that did not publish it itself answers that it is accepted.
    again = paired.ann.run("submit", path)
    assert "0 rejected" in again.out
    shell = Shell(paired.installation.shell.home, {"EARNBACK_PERSON": "Olga"})
    prefix = paired.ann.settings["EARNBACK_KEY"].split("_")[1]
    asked = _request_in(shell.run("key", "revoke", prefix, "lost"))
    ben = Shell(paired.ben.home, {**paired.ben.settings, "EARNBACK_PERSON": "Ben"})
    assert "give the command" in ben.run("request", "agree", asked, "Yes.").out
    assert shell.run("key", "revoke", prefix, "lost").code == 0
