"""A point at which a process dies, or has another one killed, once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from services.shell.faults import KILLED

PASSES = "from services.shell.faults import faultpoint; faultpoint('here'); faultpoint('there')"


def passing(armed: str) -> int:
    """How a process ends that passes two points."""
    environment = {"EARNBACK_FAULTPOINT": armed, "PYTHONPATH": str(Path(__file__).parents[2])}
    return subprocess.run([sys.executable, "-c", PASSES], env=environment, check=False).returncode


@pytest.mark.parametrize(
    ("armed", "ends"), [("", 0), ("here", KILLED), ("there:1", KILLED), ("there:2", 0)]
)
def test_a_named_point_ends_the_process(armed: str, ends: int) -> None:
    assert passing(armed) == ends


def test_a_file_in_a_folder_ends_the_first_process_alone(tmp_path: Path) -> None:
    (tmp_path / "there").touch()
    assert [passing(str(tmp_path)) for _ in range(2)] == [KILLED, 0]


def test_a_number_in_the_file_has_another_process_killed(tmp_path: Path) -> None:
    with subprocess.Popen(["sleep", "60"]) as victim:
        (tmp_path / "here").write_text(str(victim.pid))
        assert passing(str(tmp_path)) == 0
        assert victim.wait(10) == -9
