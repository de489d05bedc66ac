"""A folder is held by one process at a time, and is free once that one has ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from infra.alone import Taken, alone

_HOLDS = """
import sys, time
from pathlib import Path
from infra.alone import alone
with alone(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_second_process_is_told_which_one_is_there(tmp_path: Path) -> None:
    told = rf"new: process {os.getpid()} works here already; end it"
    with alone(tmp_path / "new"), pytest.raises(Taken, match=told), alone(tmp_path / "new"):
        pass


def test_a_folder_is_free_again_afterwards(tmp_path: Path) -> None:
    with alone(tmp_path):
        pass
    with alone(tmp_path):
        assert (tmp_path / "lock").read_text() == f"{os.getpid()}\n"


def test_a_killed_process_holds_nothing(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _HOLDS, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        try:
            assert other.stdout.readline() == "held\n"
            with pytest.raises(Taken) as taken, alone(tmp_path):
                pass
            assert taken.value.pid == str(other.pid)
        finally:
            other.send_signal(signal.SIGKILL)
    with alone(tmp_path):
        assert (tmp_path / "lock").exists()
