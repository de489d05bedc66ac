"""All of earnback on one machine: the three services over a pair of servers, kept running."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from infra.alone import Taken, alone
from infra.keeper import Keeper
from infra.logins import service_logins
from infra.processes import free_port, kept_port, listens
from infra.progress import Progress, silent
from infra.servers import Servers, servers
from infra.supervisor import Supervisor
from schemas.role import Role
from services.catalogue.keys import create
from services.cli.prepare import prepare
from services.shell.broker import NONE
from services.shell.postgres import connected
from services.shell.prefix import role_beginning
from services.shell.settings import BadSettings, read_prefix, read_security

READY_SECONDS = 60.0
RUNNING = "running.json"
SERVICES = ("ingest", "evaluator", "settlement")


class Interrupted(Exception):
    """The person at the keyboard has seen enough."""


class RunsAlready(RuntimeError):
    """Another process keeps an earnback running over the same folder."""


class NotReady(RuntimeError):
    """A service did not become ready in time. The text says which, why, and where its log is."""


@dataclass(frozen=True)
class Workers:
    """How many processes of each service. Only the first of a kind has an API."""

    ingest: int = 1
    evaluator: int = 1
    settlement: int = 1


@dataclass(frozen=True)
class Addresses:
    """Where a running earnback is, and the operator's key for it."""

    kafka: str
    postgres: str
    ingest: str
    evaluator: str
    settlement: str
    key: str = ""


@dataclass(frozen=True)
class Stack:
    """A running earnback."""

    addresses: Addresses
    supervisor: Supervisor
    servers: Servers
    ingest_urls: tuple[str, ...]
    """Where each process of ingest takes events; any will do."""
    keeper: Keeper

    def key_for(self, party: str, role: Role) -> str:
        """A new API key."""
        return asyncio.run(_key(self.addresses.postgres, party, role))


def home() -> Path:
    """The folder for data, logs and addresses: EARNBACK_HOME, else ``.earnback`` here."""
    return Path(os.environ.get("EARNBACK_HOME") or ".earnback").absolute()


@contextmanager
def stack(
    folder: Path,
    *,
    workers: Workers | None = None,
    environment: Mapping[str, str] | None = None,
    progress: Progress = silent,
    asked: threading.Event | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> Iterator[Stack]:
    """Start everything, ready for work; stop it all at the end, the services first.

    Embedded servers that die are started again, and ``say`` is told. ``environment``: further
    settings of the services. ``asked``: set when it is to stop before it is ready. Raises NotReady,
    RunsAlready, Interrupted and BadSettings.
    """
    if read_security() != NONE and not os.environ.get("EARNBACK_KAFKA"):
        raise BadSettings(
            "EARNBACK_KAFKA_SECURITY is set and EARNBACK_KAFKA is not: the broker started here "
            "has no authentication; name the broker that has, or remove the setting"
        )

    def told(step: str, done: int, total: int) -> None:
        _go_on(asked)
        progress(step, done, total)

    with (
        _alone(folder),
        servers(folder, told) as pair,
        Keeper(pair.embedded, say) as keeper,
        Supervisor(folder / "logs") as supervisor,
    ):
        told("Tables and topics", 0, 1)
        prefix = read_prefix({**os.environ, **(environment or {})})
        asyncio.run(prepare(pair.kafka, pair.postgres, prefix=prefix))
        logins = asyncio.run(_logins(pair, prefix))
        told("Tables and topics", 1, 1)
        ports = {name: _port(folder / "ports" / name) for name in SERVICES}
        addresses, ingest_urls = _started(
            pair, logins, supervisor, workers or Workers(), ports, dict(environment or {})
        )
        _wait_until_ready(supervisor, addresses, told, asked)
        key = asyncio.run(_key(pair.postgres, "operator", "admin"))
        yield Stack(replace(addresses, key=key), supervisor, pair, ingest_urls, keeper)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    with ExitStack() as held:
        try:
            held.enter_context(alone(folder))
        except Taken as taken:
            raise RunsAlready(
                f"earnback is running already in {folder}, kept by process {taken.pid}: other "
                "commands find it by themselves; stop it with Ctrl-C where it runs, or set "
                "EARNBACK_HOME to another folder for one more"
            ) from None
        yield


@contextmanager
def announced(folder: Path, addresses: Addresses) -> Iterator[None]:
    """Leave the addresses where other commands find them, for as long as this lasts."""
    path = folder / RUNNING
    path.touch(mode=0o600)
    path.write_text(json.dumps(asdict(addresses), indent=1))
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def _port(file: Path) -> int:
    """A port that stays from start to start, as people keep addresses; another where it is taken.

    Raises RuntimeError where none is free.
    """
    file.parent.mkdir(exist_ok=True)
    if listens(kept_port(file)):
        file.unlink()
    return kept_port(file)


async def _logins(pair: Servers, prefix: str) -> dict[str, str]:
    """The database's address for each service: as its own login where the database is ours."""
    if pair.embedded_postgres is None:
        return dict.fromkeys(SERVICES, pair.postgres)
    return await service_logins(pair.postgres, SERVICES, role_beginning(prefix))


def _started(
    pair: Servers,
    logins: Mapping[str, str],
    supervisor: Supervisor,
    workers: Workers,
    ports: Mapping[str, int],
    further: dict[str, str],
) -> tuple[Addresses, tuple[str, ...]]:
    common = {
        **os.environ,
        "EARNBACK_KAFKA": pair.kafka,
        "EARNBACK_EVALUATOR": f"http://127.0.0.1:{ports['evaluator']}",
        "EARNBACK_INGEST": f"http://127.0.0.1:{ports['ingest']}",
    }
    ingest_urls = []
    for name, port in ports.items():
        for number in range(getattr(workers, name)):
            # Every ingest process needs a port of its own; of the workers, one has the API.
            own = port if number == 0 else (free_port() if name == "ingest" else 0)
            if name == "ingest":
                ingest_urls.append(f"http://127.0.0.1:{own}")
            supervisor.start(
                f"{name}-{number + 1}",
                [sys.executable, "-m", f"services.{name}"],
                {
                    **common,
                    "EARNBACK_POSTGRES": logins[name],
                    **further,
                    "EARNBACK_HTTP_PORT": str(own),
                },
            )
    urls = {name: f"http://127.0.0.1:{port}" for name, port in ports.items()}
    return Addresses(pair.kafka, pair.postgres, **urls), tuple(ingest_urls)


def _go_on(asked: threading.Event | None) -> None:
    if asked is not None and asked.is_set():
        raise Interrupted


def _wait_until_ready(
    supervisor: Supervisor,
    addresses: Addresses,
    progress: Progress,
    asked: threading.Event | None,
) -> None:
    waiting = {name: getattr(addresses, name) for name in SERVICES}
    until = time.monotonic() + READY_SECONDS
    total = len(waiting)
    progress("Services", 0, total)
    while waiting:
        _go_on(asked)
        for name, address in list(waiting.items()):
            why = _why_not_ready(address)
            if why is None:
                del waiting[name]
                progress("Services", total - len(waiting), total)
            elif time.monotonic() > until:
                raise NotReady(
                    f"{name} is not ready after {READY_SECONDS:.0f} s: {why}; its log is "
                    f"{supervisor.log(f'{name}-1')}"
                )
        time.sleep(0.1)


def _why_not_ready(address: str) -> str | None:
    try:
        with urllib.request.urlopen(f"{address}/readyz", timeout=5):  # noqa: S310 - our own http
            return None
    except urllib.error.HTTPError as error:
        return _detail(error.read())
    except OSError as error:
        return str(error)


def _detail(body: bytes) -> str:
    try:
        answer: Any = json.loads(body)
    except ValueError:
        return body.decode(errors="replace")[:200]
    return str(answer.get("detail") or answer)[:400]


async def _key(postgres: str, party: str, role: Role) -> str:
    async with connected(postgres, name="earnback-keys") as connection:
        return await create(connection, party=party, role=role, label="made by the command")
