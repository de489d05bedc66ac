"""Keeps named processes running: starts them, restarts those that die, stops all at the end.

Services end themselves rather than go on in doubt. What they hold is in Kafka and Postgres, so
starting again is always safe. One that keeps dying is started at growing intervals, never given up.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from infra.processes import Child

BACKOFF_SECONDS_FIRST = 0.2
BACKOFF_SECONDS_MAX = 10.0
STEADY_SECONDS = 30.0
"""Who has run that long is taken as healthy: the next death waits the first interval again."""
POLL_SECONDS = 0.05


@dataclass
class _Ward:
    """One process in our care, across its lives."""

    argv: tuple[str, ...]
    env: Mapping[str, str] | None
    child: Child | None = None
    started_at: float = 0.0
    backoff_seconds: float = BACKOFF_SECONDS_FIRST
    start_again_at: float | None = None
    restarts: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)


class Supervisor:
    """A set of processes and the thread that watches over them.

    Each writes to `log_dir/NAME.log`. `on_restart(name, code)` is told of every death that was not
    asked for (`code` negative: the signal). Nothing outlives this process, not even its kill -9.
    """

    def __init__(
        self,
        log_dir: Path,
        *,
        grace_seconds: float = 10.0,
        on_restart: Callable[[str, int], None] | None = None,
    ) -> None:
        self._log_dir = log_dir
        self._grace_seconds = grace_seconds
        self._on_restart = on_restart
        self._wards: dict[str, _Ward] = {}
        self._stopping = threading.Event()
        self._watch = threading.Thread(target=self._run, name="supervisor", daemon=True)

    def start(self, name: str, argv: Sequence[str], env: Mapping[str, str] | None = None) -> None:
        """Start a process and keep it running. `env` replaces the environment when given."""
        if name in self._wards:
            raise ValueError(
                f"process {name}: already in care; stop it first or choose another name"
            )
        ward = _Ward(tuple(argv), env)
        self._launch(name, ward)
        self._wards[name] = ward
        if not self._watch.is_alive():
            self._watch.start()

    def pid(self, name: str) -> int:
        """The pid of the life that is running now. `LookupError` while there is none."""
        child = self._wards[name].child
        if child is None or child.returncode is not None:
            raise LookupError(f"process {name}: between two lives; ask again in a moment")
        return child.pid

    def command(self, name: str) -> tuple[tuple[str, ...], Mapping[str, str] | None]:
        """How the process is started: what `start` was given, for another one of its kind."""
        ward = self._wards[name]
        return ward.argv, ward.env

    def restarts(self, name: str) -> int:
        """How often the process was started again."""
        return self._wards[name].restarts

    def log(self, name: str) -> Path:
        """Where the process writes."""
        return self._log_dir / f"{name}.log"

    def names(self) -> list[str]:
        """All processes in care, in the order they were started."""
        return list(self._wards)

    def stop(self, name: str | None = None) -> None:
        """End one process, or all, the last first: SIGTERM, and SIGKILL after the grace."""
        if name is None:
            self._stopping.set()
            if self._watch.is_alive():
                self._watch.join()
        leaving = [name] if name is not None else list(reversed(self._wards))
        children = [child for each in leaving if (child := self._release(each)) is not None]
        deadline = time.monotonic() + self._grace_seconds
        for child in children:
            child.send(signal.SIGTERM)
            child.send(signal.SIGCONT)
        for child in children:
            child.stop(max(0.0, deadline - time.monotonic()))

    def _release(self, name: str) -> Child | None:
        """Take a process out of care, so that its end starts nothing."""
        ward = self._wards.pop(name)
        with ward.lock:
            ward.start_again_at = None
            child, ward.child = ward.child, None
        return child

    def _run(self) -> None:
        while not self._stopping.wait(POLL_SECONDS):
            for name, ward in list(self._wards.items()):
                with ward.lock:
                    self._look_after(name, ward)

    def _look_after(self, name: str, ward: _Ward) -> None:
        now = time.monotonic()
        if ward.start_again_at is not None:
            if now >= ward.start_again_at:
                ward.start_again_at = None
                ward.restarts += 1
                self._launch(name, ward)
        elif ward.child is not None and (code := ward.child.returncode) is not None:
            if now - ward.started_at >= STEADY_SECONDS:
                ward.backoff_seconds = BACKOFF_SECONDS_FIRST
            ward.start_again_at = now + ward.backoff_seconds
            ward.backoff_seconds = min(2 * ward.backoff_seconds, BACKOFF_SECONDS_MAX)
            if self._on_restart is not None:
                self._on_restart(name, code)

    def _launch(self, name: str, ward: _Ward) -> None:
        ward.child = Child(ward.argv, log=self.log(name), env=ward.env)
        ward.started_at = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


def stop_on_signals() -> threading.Event:
    """An event that SIGTERM and SIGINT set, for the main thread to wait on and leave in order."""
    asked = threading.Event()

    def ask(number: int, frame: object) -> None:
        asked.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, ask)
    return asked
