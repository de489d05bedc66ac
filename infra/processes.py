"""Child processes that can't outlive the one that started them, however that one ends."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Container, Mapping, Sequence
from pathlib import Path

# The shell starts a watcher and then becomes the command, so the watcher is there before the
# command is, and no moment is left in which the parent's death would go unseen. The watcher waits
# on a pipe that only the parent can write to: a line means that the command has ended, the end of
# the pipe that the parent is gone. A second shell starts it, so that it is no child of the command.
_GUARD = """
exec 3<&0 0</dev/null
signal=$1; grace=$2; shift 2
watch() {
    trap "" INT TERM HUP QUIT
    read -r _ && exit
    kill -s "$signal" $$
    while [ "$grace" -gt 0 ] && kill -0 $$; do sleep 1; grace=$((grace - 1)); done
    kill -0 $$ && kill -s KILL $$
}
( watch 0<&3 3<&- >/dev/null 2>&1 & )
exec 3<&-
exec "$@"
"""


class Child:
    """A running command: `pid`, `returncode`, and ways to end it.

    Output goes to the file `log`, appended. The command runs in a session of its own: a Ctrl-C at
    the terminal reaches the parent alone, which then stops its children in its own order.
    """

    def __init__(
        self,
        argv: Sequence[str],
        *,
        log: Path,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        stop_signal: signal.Signals = signal.SIGTERM,
        orphan_grace_seconds: int = 0,
    ) -> None:
        """Start `argv`; if we die, it gets `stop_signal`, and SIGKILL that many seconds later."""
        log.parent.mkdir(parents=True, exist_ok=True)
        read_end, write_end = os.pipe()
        guard = (stop_signal.name.removeprefix("SIG"), orphan_grace_seconds)
        try:
            with log.open("ab") as output:
                self._process = subprocess.Popen(
                    ["/bin/sh", "-c", _GUARD, "guard", *map(str, guard), *argv],
                    stdin=read_end,  # the pipe to the watcher; the command itself reads nothing
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    env=None if env is None else dict(env),
                    cwd=cwd,
                    start_new_session=True,
                )
        except BaseException:
            os.close(write_end)
            raise
        finally:
            os.close(read_end)
        self._leash: int | None = write_end
        self._leash_lock = threading.Lock()
        self._stop_signal = stop_signal
        self.argv = tuple(argv)
        self.log = log

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """Exit code once the command has ended (negative: the signal that ended it), else None."""
        code = self._process.poll()
        if code is not None:
            self._release()
        return code

    def send(self, number: signal.Signals) -> None:
        """Send a signal, unless the command has ended."""
        if self.returncode is None:
            self._process.send_signal(number)

    def wait(self, seconds: float) -> int | None:
        """Wait at most `seconds` for the end; the exit code, or None when it still runs."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)
        return self.returncode

    def stop(self, grace_seconds: float) -> None:
        """Ask for the end, wait, and make it end when the grace is over."""
        self.send(self._stop_signal)
        self.send(signal.SIGCONT)  # a stopped process can't hear the first signal
        if self.wait(grace_seconds) is None:
            self.kill()

    def kill(self) -> None:
        """SIGKILL and wait for the end."""
        self.send(signal.SIGKILL)
        self._process.wait()
        self._release()

    def tail(self, lines: int = 20) -> str:
        """The last lines of the log, for an error message."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def _release(self) -> None:
        """Tell the watcher that its command has ended; called only once that is so."""
        with self._leash_lock:
            leash, self._leash = self._leash, None
        if leash is not None:
            with contextlib.suppress(BrokenPipeError):
                os.write(leash, b"\n")
            os.close(leash)


PORTS = range(20_000, 32_000)
"""What `free_port` chooses from."""
ORPHAN_SECONDS = 8.0
"""A server whose parent was killed is made to end sooner than that."""


def free_port(taken: Container[int] = ()) -> int:
    """A port of the loopback address that nothing listens on now, and that is not in `taken`.

    Lies below the ports that systems give to outgoing connections: one of those could be given to a
    client while its server is down, even to a client that is trying to reach that very server.
    """
    for port in random.SystemRandom().sample(PORTS, len(PORTS)):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            if port not in taken:
                return port
    raise RuntimeError(
        f"no port of 127.0.0.1 from {PORTS.start} to {PORTS.stop - 1} is free: end what holds one"
    )


def listens(port: int) -> bool:
    """Whether something accepts connections on the loopback port."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def await_let_go(port: int, holder: str, failure: Callable[[str], Exception]) -> None:
    """Wait until what was left behind has ended and nothing listens on the port any more.

    Raises `failure`, which names the likely `holder`, where it does not end.
    """
    deadline = time.monotonic() + ORPHAN_SECONDS
    while listens(port):
        if time.monotonic() > deadline:
            raise failure(
                f"port {port}: something listens there already, perhaps {holder} that still runs; "
                "stop it first"
            )
        time.sleep(0.1)


def ended(command: Sequence[str], cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a tool to its end and keep what it says."""
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        cwd=cwd,
        check=False,
        start_new_session=True,  # a Ctrl-C at the terminal is for us alone
    )


def kept_port(file: Path, taken: Container[int] = ()) -> int:
    """The port written in `file`; chosen and written there the first time, so that it stays.

    Services hold the address of what they talk to, so a server that is killed and started again
    must come back where it was.
    """
    if file.exists():
        return int(file.read_text())
    port = free_port(taken)
    file.write_text(f"{port}\n")
    return port


def until(
    what: str, ready: Callable[[], bool], child: Child, seconds: float, error: type[Exception]
) -> None:
    """Poll `ready()` until true; raise `error` with the log's tail when that can't be."""
    deadline = time.monotonic() + seconds
    while not ready():
        if child.returncode is not None:
            raise error(f"{what} ended with code {child.returncode}; its log says:\n{child.tail()}")
        if time.monotonic() > deadline:
            raise error(
                f"{what} was not ready after {seconds:.0f} s; its log says:\n{child.tail()}"
            )
        time.sleep(0.02)
