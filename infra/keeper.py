"""Embedded servers that end without being asked are started again: same address, same data."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

WATCH_SECONDS = 0.2
PAUSE_SECONDS_FIRST = 0.5
PAUSE_SECONDS_MAX = 10.0
MOST_FAILURES = 5
WITHIN_SECONDS = 300.0
"""After so many failures, ends and vain starts, within so long, a server is given up."""


class EmbeddedServer(Protocol):
    """What is kept running."""

    data_dir: Path

    @property
    def returncode(self) -> int | None:
        """How it ended without being asked; None while it runs, or is not to run."""

    def start(self) -> object:
        """Start it and wait until it takes requests."""


class Keeper:
    """Looks after servers by name, each in a thread of its own, from enter to exit.

    ``told`` is called with a line for each end, each return, and when one is given up, which then
    stands in ``gave_up``.
    """

    def __init__(
        self, servers: Mapping[str, EmbeddedServer], told: Callable[[str], None] = lambda _: None
    ) -> None:
        self._told = told
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(target=self._keep, args=(name, server), name=name, daemon=True)
            for name, server in servers.items()
        ]
        self.gave_up: str | None = None

    def _keep(self, name: str, server: EmbeddedServer) -> None:
        failures: list[float] = []
        while not self._stopping.wait(WATCH_SECONDS):
            code = server.returncode
            if code is None:
                continue
            self._told(f"{name} ended ({_how(code)}): it is started again")
            if not self._start_again(name, server, failures):
                return

    def _start_again(self, name: str, server: EmbeddedServer, failures: list[float]) -> bool:
        """Start until it runs; whether it does. False too where all is to stop."""
        began = time.monotonic()
        last = "it ended again each time"
        while True:
            failures.append(time.monotonic())
            failures[:] = [at for at in failures if time.monotonic() - at < WITHIN_SECONDS]
            if len(failures) > MOST_FAILURES:
                self.gave_up = (
                    f"{name} failed {len(failures)} times within {WITHIN_SECONDS:.0f} s and is not "
                    f"started again ({last}); look into {server.data_dir}, correct what its log "
                    "names, then start earnback again"
                )
                self._told(self.gave_up)
                return False
            pause = PAUSE_SECONDS_FIRST * 2 ** (len(failures) - 1)
            if self._stopping.wait(min(pause, PAUSE_SECONDS_MAX)):
                return False
            try:
                server.start()
            except Exception as error:
                last = str(error)
            else:
                self._told(f"{name} runs again, after {time.monotonic() - began:.1f} s")
                return True

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join()


def _how(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"
