"""Carries out a schedule of what goes wrong, and counts what has struck."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from infra.keeper import EmbeddedServer
from infra.processes import free_port
from infra.supervisor import Supervisor
from tests.chaos.disk import Disk
from tests.chaos.schedule import Blow
from tests.commit_proxy import Fate

PATIENCE = 90.0
"""Seconds in which who was killed is started again."""
IN_COMMIT = "relay.before-commit"
"""Where the broker is killed in a commit: a relay has sent records and asks for it next."""


@dataclass
class Hands:
    """What a run lays hands on, apart from the workers.

    ``folder``: for what is left for the workers to find. ``servers``: those of this run's own, by
    name, which somebody starts again. ``disks``: theirs, as far as they have one.
    """

    folder: Path
    servers: Mapping[str, EmbeddedServer] = field(default_factory=dict)
    disks: Mapping[str, Disk] = field(default_factory=dict)
    fates: deque[Fate] = field(default_factory=deque)
    """What becomes of the next commits."""
    lost: Counter[Fate] = field(default_factory=Counter)
    """What has become of commits."""
    armed: Counter[str] = field(default_factory=Counter)
    """How often each point was armed, and killed or is to kill whoever passes."""
    missed: int = 0
    """How often nobody passed a point where a server was to be killed."""

    @property
    def points(self) -> Path:
        """The folder in which a file arms a point."""
        return self.folder / "points"

    @property
    def clock(self) -> Path:
        """How many seconds the clocks of some workers are ahead."""
        return self.folder / "clock"

    def prepare(self) -> dict[str, str]:
        """Make the folder. Gives the settings by which workers know it."""
        self.points.mkdir(parents=True)
        self.clock.write_text("0")
        places = [str(Path(__file__).parent / "clock"), str(Path(__file__).parents[2])]
        return {
            "EARNBACK_FAULTPOINT": str(self.points),
            "EARNBACK_CHAOS_CLOCK": str(self.clock),
            "PYTHONPATH": os.pathsep.join(places),
        }

    def fate(self) -> Fate:
        """What becomes of the commit that is asked for now."""
        try:
            found = self.fates.popleft()
        except IndexError:
            return Fate.DONE
        self.lost[found] += 1
        return found

    def kill_database(self) -> None:
        """Kill the database as a crash would."""
        os.kill(_pid(self.servers["database"]), signal.SIGKILL)

    def leave(self, point: str, victim: str = "") -> bool:
        """Arm a point; False where it is armed still."""
        if (self.points / point).exists():
            return False
        made = self.folder / "next"
        made.write_text(victim)
        made.rename(self.points / point)
        self.armed[point] += not victim
        return True

    def died_at(self) -> Counter[str]:
        """Point to how many processes died there. What is armed still is taken back."""
        for file in self.points.iterdir():
            if file.read_text():
                self.missed += 1
            else:
                self.armed[file.name] -= 1
            file.unlink()
        return +self.armed


class Havoc:
    """Carries a schedule out, in a thread. ``struck`` lists the blows that were dealt."""

    def __init__(
        self,
        supervisor: Supervisor,
        hands: Hands,
        blows: Sequence[Blow],
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._supervisor, self._hands, self._blows, self._say = supervisor, hands, blows, say
        self.struck: list[Blow] = []
        self.failure: BaseException | None = None
        self._later: list[threading.Timer] = []
        self._thread = threading.Thread(target=self._run, name="havoc", daemon=True)

    def begin(self) -> None:
        self._thread.start()

    def end(self, seconds: float) -> None:
        """Wait until all is done, who was stopped goes on, and every clock is right again. Raises
        what went wrong."""
        self._thread.join(seconds)
        assert not self._thread.is_alive(), "the schedule was not carried out in time"
        for timer in self._later:
            timer.join()
        self._hands.clock.write_text("0")
        self._hands.fates.clear()
        if self.failure is not None:
            raise self.failure

    def _run(self) -> None:
        began = time.monotonic()
        try:
            for blow in self._blows:
                time.sleep(max(0.0, began + blow.at - time.monotonic()))
                if self._strike(blow):
                    self.struck.append(blow)
                    self._say(str(blow))
        except BaseException as error:  # told to the waiting thread, whatever it was
            self.failure = error

    def _strike(self, blow: Blow) -> bool:
        hands = self._hands
        match blow.what:
            case "kill":
                self._send(blow.target, signal.SIGKILL)
            case "stop":
                pid = self._send(blow.target, signal.SIGSTOP)
                self._afterwards(blow.holds, lambda: _wake(pid))
            case "point":
                return hands.leave(blow.target)
            case "join":
                self._join(blow)
            case "unsent":
                hands.fates.append(Fate.UNSENT)
            case "unheard":
                hands.fates.append(Fate.UNHEARD)
            case "clock":
                hands.clock.write_text(str(int(blow.holds)))
            case "kill server":
                os.kill(_pid(hands.servers[blow.target]), signal.SIGKILL)
            case "kill server in commit":
                if blow.target == "database":
                    hands.fates.append(Fate.SERVER_LOST)
                else:
                    return hands.leave(IN_COMMIT, str(_pid(hands.servers[blow.target])))
            case "full disk":
                disk = hands.disks[blow.target]
                disk.fill()
                self._afterwards(blow.holds, disk.free)
        return True

    def _join(self, blow: Blow) -> None:
        """A third worker of a service works for a while, and leaves in good order."""
        argv, environment = self._supervisor.command(f"{blow.target}-2")
        told = dict(environment or {})
        if blow.target == "ingest":
            told["EARNBACK_HTTP_PORT"] = str(free_port())
        name = f"{blow.target}-{3 + len(self.struck)}"
        self._supervisor.start(name, argv, told)
        self._afterwards(blow.holds, lambda: self._supervisor.stop(name))

    def _afterwards(self, seconds: float, work: Callable[[], None]) -> None:
        timer = threading.Timer(seconds, work)
        timer.start()
        self._later.append(timer)

    def _send(self, target: str, number: signal.Signals) -> int:
        """Signal the process that runs now; one that is between two lives is waited for."""
        until = time.monotonic() + PATIENCE
        while True:
            try:
                pid = self._supervisor.pid(target)
                os.kill(pid, number)
                return pid
            except (LookupError, ProcessLookupError):
                assert time.monotonic() < until, f"{target} was not started again"
                time.sleep(0.02)


def _pid(server: EmbeddedServer) -> int:
    """The process of a server that runs; one that is being started again is waited for."""
    until = time.monotonic() + PATIENCE
    while True:
        try:
            if server.returncode is None:
                return int(server.pid)  # type: ignore[attr-defined]
        except RuntimeError:
            pass
        assert time.monotonic() < until, "a server was not started again"
        time.sleep(0.05)


def _wake(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGCONT)
    except ProcessLookupError:
        return
