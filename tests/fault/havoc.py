"""Kills and stops workers at moments that follow from a seed."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Literal

from infra.supervisor import Supervisor

SERVICES = ("ingest", "evaluator", "settlement")
KILLS_EACH = 2
"""Of every process: with two of each service, twelve in all."""
SETTLED = 9.0
"""Who is to be stopped was left alone for so many seconds, so that it is a member of its group."""


@dataclass(frozen=True, slots=True)
class Blow:
    """What happens to whom, seconds after the beginning. ``holds``: how long a stop lasts."""

    at: float
    target: str
    what: Literal["kill", "stop"]
    holds: float = 0.0

    def __str__(self) -> str:
        lasting = f" for {self.holds:.1f} s" if self.holds else ""
        return f"{self.at:5.1f} s {self.what} {self.target}{lasting}"


def schedule(chance: Random, seconds: float, session_timeout: float) -> list[Blow]:
    """Every process is killed twice; one of each service is stopped past its session's end."""
    stops = []
    for part, service in enumerate(chance.sample(SERVICES, len(SERVICES))):
        at = seconds * (part + chance.uniform(0.3, 0.7)) / len(SERVICES)
        holds = session_timeout + chance.uniform(1.5, 4.0)
        stops.append(Blow(at, f"{service}-{chance.choice((1, 2))}", "stop", holds))
    kills = [
        _kill(chance, f"{service}-{number}", seconds, stops)
        for service in SERVICES
        for number in (1, 2)
        for _ in range(KILLS_EACH)
    ]
    return sorted([*stops, *kills], key=lambda blow: blow.at)


def _kill(chance: Random, target: str, seconds: float, stops: Sequence[Blow]) -> Blow:
    while True:
        at = chance.uniform(0.02, 0.98) * seconds
        if not any(s.target == target and s.at - SETTLED < at < s.at + s.holds for s in stops):
            return Blow(at, target, "kill")


class Havoc:
    """Carries a schedule out, in a thread. ``struck`` lists the blows that hit a process."""

    def __init__(self, supervisor: Supervisor, blows: Sequence[Blow]) -> None:
        self._supervisor, self._blows = supervisor, blows
        self.struck: list[Blow] = []
        self.failure: BaseException | None = None
        self._waking: list[threading.Timer] = []
        self._thread = threading.Thread(target=self._run, name="havoc", daemon=True)

    def begin(self) -> None:
        self._thread.start()

    def end(self, seconds: float) -> None:
        """Wait until all is done and all who were stopped go on. Raises what went wrong."""
        self._thread.join(seconds)
        assert not self._thread.is_alive(), "the schedule was not carried out in time"
        for timer in self._waking:
            timer.join()
        if self.failure is not None:
            raise self.failure

    def _run(self) -> None:
        began = time.monotonic()
        try:
            for blow in self._blows:
                time.sleep(max(0.0, began + blow.at - time.monotonic()))
                self._strike(blow)
                self.struck.append(blow)
        except BaseException as error:  # told to the waiting thread, whatever it was
            self.failure = error

    def _strike(self, blow: Blow) -> None:
        number = signal.SIGKILL if blow.what == "kill" else signal.SIGSTOP
        pid = self._send(blow.target, number)
        if blow.what == "stop":
            timer = threading.Timer(blow.holds, _wake, [pid])
            timer.start()
            self._waking.append(timer)

    def _send(self, target: str, number: signal.Signals) -> int:
        """Signal the process that runs now; one that is between two lives is waited for."""
        until = time.monotonic() + 40
        while True:
            try:
                pid = self._supervisor.pid(target)
                os.kill(pid, number)
                return pid
            except (LookupError, ProcessLookupError):
                assert time.monotonic() < until, f"{target} was not started again"
                time.sleep(0.02)


def _wake(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGCONT)
    except ProcessLookupError:
        return
