"""`earnback up` in a terminal: Ctrl-C at any moment, and a second one in the same folder."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from services.cli.stack import RUNNING
from tests.cli.conftest import Shell
from tests.integration.living import wait_for

UP = (sys.executable, "-m", "services.cli.app", "up")
MANY_SECONDS = 60.0


@contextmanager
def up(home: Path) -> Iterator[subprocess.Popen[str]]:
    """The command in a process group of its own, as a terminal starts it; ended at the end."""
    clean = {name: value for name, value in os.environ.items() if "EARNBACK" not in name}
    pipe = subprocess.PIPE
    env = {**clean, "EARNBACK_HOME": str(home), "NO_COLOR": "1", "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(UP, stdout=pipe, stderr=pipe, text=True, env=env, process_group=0) as it:
        try:
            yield it
        finally:
            if it.poll() is None:
                it.kill()


def ctrl_c(it: subprocess.Popen[str]) -> tuple[int, str, str]:
    """What a terminal does: the signal goes to everything in the foreground."""
    os.killpg(it.pid, signal.SIGINT)
    out, err = it.communicate(timeout=MANY_SECONDS)
    return it.returncode, out, err


@pytest.mark.parametrize(
    "reached",
    [
        "postgres/password-for-initdb",
        "postgres/data/postmaster.pid",
        "kafka/server.properties",
        "logs/ingest-1.log",
    ],
)
def test_ctrl_c_while_it_starts_stops_it_without_a_word_of_what_broke(
    tmp_path: Path, reached: str
) -> None:
    with up(tmp_path) as it:
        _wait_for(it, tmp_path / reached)
        code, out, err = ctrl_c(it)
    assert (code, out) == (0, "Stopped.\n"), err
    assert "failed" not in err
    assert "earnback:" not in err


def test_a_start_that_was_cut_short_leaves_nothing_in_the_way_of_the_next_one(
    tmp_path: Path,
) -> None:
    with up(tmp_path) as it:
        _wait_for(it, tmp_path / "postgres/password-for-initdb")
        assert ctrl_c(it)[0] == 0
    with up(tmp_path) as it:
        _wait_for(it, tmp_path / RUNNING)
        said = Shell(tmp_path, {}).run("up")
        assert said.code == 70
        assert f"earnback is running already in {tmp_path}, kept by process {it.pid}" in said.err
        assert "\n" not in said.err.strip(), "one sentence, no log"
        assert "Traceback" not in said.err
        assert ctrl_c(it)[0] == 0
    assert not (tmp_path / RUNNING).exists()


def _wait_for(it: subprocess.Popen[str], path: Path) -> None:
    """Until it has come so far."""
    wait_for(str(path), lambda: path.exists() or it.poll() is not None)
    assert it.poll() is None, it.communicate()
    time.sleep(0.05)
