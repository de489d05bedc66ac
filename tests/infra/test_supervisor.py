"""Processes in care: restarted when they die, and gone when their keeper is."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from infra.processes import Child
from infra.supervisor import BACKOFF_SECONDS_FIRST, Supervisor
from tests.infra.waiting import alive, eventually

SLEEPER = [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(600)"]
DEAF = [
    sys.executable,
    "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
    "print('up', flush=True); time.sleep(600)",
]


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[Supervisor]:
    with Supervisor(tmp_path / "logs", grace_seconds=1.0) as running:
        yield running


def pid_or_none(supervisor: Supervisor, name: str) -> int | None:
    try:
        return supervisor.pid(name)
    except LookupError:
        return None


def test_a_killed_process_is_started_again_under_its_name(supervisor: Supervisor) -> None:
    supervisor.start("worker", SLEEPER)
    first = supervisor.pid("worker")
    os.kill(first, signal.SIGKILL)
    assert eventually(lambda: pid_or_none(supervisor, "worker") not in (None, first))
    assert supervisor.restarts("worker") == 1


def test_deaths_are_told_with_their_cause(tmp_path: Path) -> None:
    told: list[tuple[str, int]] = []
    with Supervisor(tmp_path, on_restart=lambda name, code: told.append((name, code))) as running:
        running.start("worker", SLEEPER)
        os.kill(running.pid("worker"), signal.SIGKILL)
        assert eventually(lambda: told)
    assert told == [("worker", -signal.SIGKILL)]


def test_one_that_keeps_dying_is_started_at_growing_intervals(supervisor: Supervisor) -> None:
    begun = time.monotonic()
    supervisor.start("failing", [sys.executable, "-c", "raise SystemExit(3)"])
    assert eventually(lambda: supervisor.restarts("failing") >= 3)
    # One interval, two and four.
    assert time.monotonic() - begun >= 7 * BACKOFF_SECONDS_FIRST


def test_output_of_all_lives_is_kept_in_one_file(supervisor: Supervisor) -> None:
    supervisor.start("worker", SLEEPER)
    log = supervisor.log("worker")
    assert eventually(lambda: log.read_text() == "up\n")
    os.kill(supervisor.pid("worker"), signal.SIGKILL)
    assert eventually(lambda: log.read_text() == "up\nup\n")


def test_stop_leaves_nothing_running(supervisor: Supervisor) -> None:
    for name in ("one", "two", "three"):
        supervisor.start(name, SLEEPER)
    pids = [supervisor.pid(name) for name in supervisor.names()]
    supervisor.stop()
    assert not any(alive(pid) for pid in pids)


def test_one_stopped_on_purpose_is_not_started_again(supervisor: Supervisor) -> None:
    supervisor.start("one", SLEEPER)
    supervisor.start("other", SLEEPER)
    pid = supervisor.pid("one")
    supervisor.stop("one")
    time.sleep(BACKOFF_SECONDS_FIRST * 3)
    assert not alive(pid)
    assert supervisor.names() == ["other"]


def test_one_that_ignores_the_request_is_killed_after_the_grace(supervisor: Supervisor) -> None:
    supervisor.start("deaf", DEAF)
    assert eventually(lambda: supervisor.log("deaf").read_text() == "up\n")
    pid, begun = supervisor.pid("deaf"), time.monotonic()
    supervisor.stop()
    assert not alive(pid)
    assert 1.0 <= time.monotonic() - begun < 20.0


def test_a_paused_process_is_stopped_too(supervisor: Supervisor) -> None:
    supervisor.start("paused", SLEEPER)
    pid = supervisor.pid("paused")
    os.kill(pid, signal.SIGSTOP)
    supervisor.stop()
    assert not alive(pid)


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_nothing_outlives_the_keeper(tmp_path: Path, end: signal.Signals) -> None:
    keeper_script = (
        "import sys\n"
        "from pathlib import Path\n"
        "from infra.supervisor import Supervisor, stop_on_signals\n"
        "asked = stop_on_signals()\n"
        "with Supervisor(Path(sys.argv[1]), grace_seconds=5) as supervisor:\n"
        f"    supervisor.start('worker', {SLEEPER!r})\n"
        "    print(supervisor.pid('worker'), flush=True)\n"
        "    asked.wait()\n"
    )
    keeper = subprocess.Popen(
        [sys.executable, "-c", keeper_script, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert keeper.stdout is not None
    with keeper.stdout:
        pid = int(keeper.stdout.readline())
        assert alive(pid)
        keeper.send_signal(end)
        keeper.wait(30)
    assert eventually(lambda: not alive(pid))


def test_the_watcher_leaves_with_its_command(tmp_path: Path) -> None:
    child = Child([*SLEEPER, str(tmp_path)], log=tmp_path / "log")
    assert eventually(lambda: child.tail() == "up")

    def watchers() -> list[int]:
        found = psutil.process_iter(["pid", "cmdline"])
        named = [
            each.info["pid"] for each in found if str(tmp_path) in (each.info["cmdline"] or ())
        ]
        return [pid for pid in named if pid != child.pid and alive(pid)]

    assert eventually(lambda: len(watchers()) == 1)
    child.stop(30)
    assert eventually(lambda: not watchers())


def test_a_command_that_is_not_there_says_so_in_its_log(tmp_path: Path) -> None:
    child = Child(["/no/such/program"], log=tmp_path / "log")
    assert child.wait(30) == 127
    assert "/no/such/program" in child.tail()
