"""Processes of ours that are forked from one that has imported them already.

To import a service takes seconds of processor time, and these tests start it dozens of times. What
is forked is a process as any other: with its own id, session, settings and log, to be stopped and
killed. That a service starts by its command is seen where whole installations run.
"""

from __future__ import annotations

import os
import runpy
import sys
import tempfile
import threading
from collections.abc import Mapping
from multiprocessing import connection, get_context, parent_process
from pathlib import Path
from signal import SIGKILL, Signals

PATIENCE = 180.0
"""Seconds that a test waits for what nobody promises a time for. It goes on as soon as it has come;
how long that takes tells only how busy the machine is."""

_CONTEXT = get_context("forkserver")
_CONTEXT.set_forkserver_preload(
    [
        "services.evaluator.app",
        "services.ingest.service",
        "services.settlement.app",
        "services.shell.kafka",
        "services.shell.outbox",
    ]
)
# Whoever starts a process also looks which others have ended, and an end can be read only once.
_ONE_AT_A_TIME = threading.Lock()


class Forked:
    """A running module: `pid`, `returncode`, and ways to end it. Output goes to the file `log`."""

    def __init__(self, module: str, *arguments: str, log: Path, env: Mapping[str, str]) -> None:
        """Run a module as ``python -m`` does. It ends with this process, however that ends."""
        self.log = log
        log.touch()
        given = (module, arguments, str(log), dict(env))
        self._process = _CONTEXT.Process(target=_run, args=given, daemon=True)
        with _ONE_AT_A_TIME:
            self._process.start()

    @property
    def pid(self) -> int:
        return int(self._process.pid or 0)

    @property
    def returncode(self) -> int | None:
        """Exit code once it has ended (negative: the signal that ended it), else None."""
        with _ONE_AT_A_TIME:
            return self._process.exitcode

    def send(self, number: Signals) -> None:
        """Send a signal, unless it has ended."""
        if self.returncode is None:
            os.kill(self.pid, number)

    def wait(self, seconds: float = PATIENCE) -> int | None:
        """Wait at most `seconds` for the end; the exit code, or None when it still runs."""
        connection.wait([self._process.sentinel], seconds)
        return self.returncode

    def kill(self) -> None:
        """SIGKILL and wait for the end."""
        self.send(SIGKILL)
        connection.wait([self._process.sentinel])

    def tail(self, lines: int = 20) -> str:
        """The last lines of the log, for an error message."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])


def _run(module: str, arguments: tuple[str, ...], log: str, environ: dict[str, str]) -> None:
    os.setsid()
    output = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    for stream in (1, 2):
        os.dup2(output, stream)
    os.environ.clear()
    os.environ.update(environ)
    tempfile.tempdir = None
    sys.argv = [module, *arguments]
    threading.Thread(target=_end_with_parent, daemon=True).start()
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def _end_with_parent() -> None:
    parent = parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
