"""`contract diff` over files: agreements with what they inherit, and the frameworks themselves."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.cli.contracts import changes
from tests.core.told import HEAD, LEVEL

GROUP = (
    HEAD.replace("agreement: hosting", "agreement: group").replace(
        "type: service", "type: corporate\nframework: true"
    )
    + LEVEL
)
HOSTING = HEAD.replace("bases:\n", "inherits: {agreement: group, version: 1}\nbases:\n")
OWN = f"{HOSTING}levels: []\n"
DEARER = GROUP.replace("percent: 10", "percent: 12")
RATE = "level uptime, credit 1, rate, percent: 10 → 12"


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A folder with a framework and an agreement under it."""
    return written(tmp_path / "old", GROUP, OWN)


def written(folder: Path, group: str, own: str) -> Path:
    """A folder with a file for each."""
    folder.mkdir()
    (folder / "group.yaml").write_text(group)
    (folder / "hosting.yaml").write_text(own)
    return folder


def test_a_change_of_a_framework_is_told_of_it_and_of_who_inherits(
    old: Path, tmp_path: Path
) -> None:
    assert changes(old, written(tmp_path / "new", DEARER, OWN)) == [
        f"agreement group: {RATE}",
        f"agreement hosting: {RATE} (inherited from group version 1)",
    ]


def test_nothing_changed_is_said_of_each(old: Path) -> None:
    assert changes(old, old) == ["agreement group: no change", "agreement hosting: no change"]


def test_without_the_framework_an_agreement_is_compared_as_written_and_that_is_said(
    old: Path,
) -> None:
    both, alone = old, old / "hosting.yaml"
    assert changes(both, alone) == [
        "agreement hosting: compared as written: what it inherits is not known from hosting.yaml; "
        "give a file or folder that holds group version 1 as well",
        "agreement hosting: no change",
        "agreement group: only in old",
    ]
