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
from dataclasses import dataclass
from pathlib import Path

import pytest

from infra.processes import free_port
from services.cli.stack import RUNNING, Addresses
from services.cli.where import running
from tests.cli.conftest import Shell
from tests.command import Said
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


@dataclass(frozen=True)
class Whole:
    """A whole start in a folder where one was cut short before: what was seen while it ran.

    ``kept``, ``taken``: the ports written for settlement and for ingest, of which something else
    listens on the second. ``beside``: what a second ``up`` in the folder said.
    """

    home: Path
    kept: int
    taken: int
    pid: int
    where: Addresses | None
    beside: Said
    codes: tuple[int, int]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Whole:
    home = tmp_path_factory.mktemp("whole")
    with up(home) as it:
        _wait_for(it, home / "postgres/data")
        cut = ctrl_c(it)[0]
    kept = free_port()
    taken = free_port(taken=(kept,))
    (home / "ports").mkdir(exist_ok=True)
    (home / "ports/settlement").write_text(f"{kept}\n")
    (home / "ports/ingest").write_text(f"{taken}\n")
    with socket.create_server(("127.0.0.1", taken)), up(home) as it:
        _wait_for(it, home / RUNNING, whole=True)
        where, beside = running(home), Shell(home, {}).run("up")
        return Whole(home, kept, taken, it.pid, where, beside, (cut, ctrl_c(it)[0]))


def test_a_start_that_was_cut_short_leaves_nothing_in_the_way_of_the_next_one(whole: Whole) -> None:
    assert whole.codes == (0, 0)
    assert not (whole.home / RUNNING).exists()


def test_a_second_start_in_the_folder_is_refused_in_one_sentence(whole: Whole) -> None:
    said = whole.beside
    assert said.code == 70
    assert f"earnback is running already in {whole.home}, kept by process {whole.pid}" in said.err
    assert "\n" not in said.err.strip(), "one sentence, no log"
    assert "Traceback" not in said.err


def test_after_a_kill_the_next_start_waits_for_what_was_left_behind(tmp_path: Path) -> None:
    with up(tmp_path) as it:
        _wait_for(it, tmp_path / "kafka/server.properties")
        it.kill()
        it.wait()
    with up(tmp_path) as it:
        _wait_for(it, tmp_path / "logs/ingest-1.log")
        code, out, err = ctrl_c(it)
    assert (code, out) == (0, "Stopped.\n"), err


def test_addresses_stay_from_start_to_start_but_for_one_that_is_taken(whole: Whole) -> None:
    where = whole.where
    assert where is not None
    assert where.settlement == f"http://127.0.0.1:{whole.kept}"
    now = (whole.home / "ports/ingest").read_text().strip()
    assert where.ingest == f"http://127.0.0.1:{now}"
    assert not where.ingest.endswith(f":{whole.taken}")


def _wait_for(it: subprocess.Popen[str], path: Path, *, whole: bool = False) -> None:
    """Until it has come so far; ``whole``: until something is in the file."""

    def there() -> bool:
        return path.exists() and (not whole or path.stat().st_size > 0)

    wait_for(str(path), lambda: there() or it.poll() is not None, 2 * MANY_SECONDS)
    assert it.poll() is None, it.communicate()
    time.sleep(0.05)
