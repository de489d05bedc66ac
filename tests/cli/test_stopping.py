"""`earnback up` in a terminal: Ctrl-C at any moment, and a second one in the same folder."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from infra.processes import free_port
from services.cli.stack import RUNNING
from services.cli.where import running
from tests.cli.conftest import Shell
from tests.integration.living import wait_for

UP = (sys.executable, "-m", "services.cli.app", "up")
MANY_SECONDS = 120.0


@contextmanager
def up(home: Path, **settings: str) -> Iterator[subprocess.Popen[str]]:
    """The command in a process group of its own, as a terminal starts it; ended at the end."""
    clean = {name: value for name, value in os.environ.items() if "EARNBACK" not in name}
    pipe = subprocess.PIPE
    env = {**clean, "EARNBACK_HOME": str(home), "NO_COLOR": "1", "PYTHONUNBUFFERED": "1"}
    env |= settings
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
        "postgres/data",
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


def test_ctrl_c_while_it_still_reads_its_own_code_stops_it_as_well(tmp_path: Path) -> None:
    with up(tmp_path / "home", PYTHONPROFILEIMPORTTIME="1") as it:
        assert it.stderr is not None
        while "infra.supervisor" not in it.stderr.readline():
            assert it.poll() is None
        code, out, err = ctrl_c(it)
    assert (code, out) == (0, "Stopped.\n"), err


def test_a_start_that_was_cut_short_leaves_nothing_in_the_way_of_the_next_one(
    tmp_path: Path,
) -> None:
    with up(tmp_path) as it:
        _wait_for(it, tmp_path / "postgres/data")
        assert ctrl_c(it)[0] == 0
    with up(tmp_path) as it:
        _wait_for(it, tmp_path / RUNNING, whole=True)
        said = Shell(tmp_path, {}).run("up")
        assert said.code == 70
        assert f"earnback is running already in {tmp_path}, kept by process {it.pid}" in said.err
        assert "\n" not in said.err.strip(), "one sentence, no log"
        assert "Traceback" not in said.err
        assert ctrl_c(it)[0] == 0
    assert not (tmp_path / RUNNING).exists()


def test_after_a_kill_the_next_start_waits_for_what_was_left_behind(tmp_path: Path) -> None:
    with up(tmp_path) as it:
        _wait_for(it, tmp_path / "kafka/server.properties")
        it.kill()
        it.wait()
    with up(tmp_path) as it:
        _wait_for(it, tmp_path / "logs/ingest-1.log")
        code, out, err = ctrl_c(it)
    assert (code, out) == (0, "Stopped.\n"), err


def test_addresses_stay_from_start_to_start_but_for_one_that_is_taken(tmp_path: Path) -> None:
    kept = free_port()
    taken = free_port(taken=(kept,))
    (tmp_path / "ports").mkdir()
    (tmp_path / "ports/settlement").write_text(f"{kept}\n")
    (tmp_path / "ports/ingest").write_text(f"{taken}\n")
    with socket.create_server(("127.0.0.1", taken)), up(tmp_path) as it:
        _wait_for(it, tmp_path / RUNNING, whole=True)
        where = running(tmp_path)
        assert ctrl_c(it)[0] == 0
    assert where is not None
    assert where.settlement == f"http://127.0.0.1:{kept}"
    assert where.ingest == f"http://127.0.0.1:{(tmp_path / 'ports/ingest').read_text().strip()}"
    assert not where.ingest.endswith(f":{taken}")


def _wait_for(it: subprocess.Popen[str], path: Path, *, whole: bool = False) -> None:
    """Until it has come so far; ``whole``: until something is in the file."""

    def there() -> bool:
        return path.exists() and (not whole or path.stat().st_size > 0)

    wait_for(str(path), lambda: there() or it.poll() is not None, 2 * MANY_SECONDS)
    assert it.poll() is None, it.communicate()
    time.sleep(0.05)
