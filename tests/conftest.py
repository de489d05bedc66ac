"""Servers, databases and topics for the tests that need real ones."""

from __future__ import annotations

import asyncio
import os
import secrets
import subprocess
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest
from hypothesis import settings
from xdist.scheduler import LoadFileScheduling

from infra import processes
from infra.cluster import WantedTopics, apply_topics
from infra.migrations import migrate
from infra.topics import declared
from tests import broker_archive
from tests.ladder import USED, Rung, climb

ARCHIVE = pytest.StashKey[TemporaryDirectory[str]]()
T = TypeVar("T")

# How long an example takes says more of what else the machine does than of what is tested.
settings.register_profile("default", settings.get_profile("default"), deadline=None)


def pytest_configure(config: pytest.Config) -> None:
    """Where two processes share the tests, neither chooses a port that the other has chosen and
    not opened yet; their brokers share an archive, which is made beside the first tests."""
    archive = None
    if worker := getattr(config, "workerinput", None):
        number = int(worker["workerid"].removeprefix("gw"))
        processes.PORTS = processes.PORTS[number :: worker["workercount"]]
    elif config.getoption("dist", "no") == "loadfile" and "JAVA_TOOL_OPTIONS" not in os.environ:
        archive = Path(config.stash.setdefault(ARCHIVE, TemporaryDirectory()).name) / "broker.aot"
        making = broker_archive.make(archive)
        config.add_cleanup(lambda: _end(making))
    os.environ.setdefault("JAVA_TOOL_OPTIONS", broker_archive.options(archive))


def _end(making: subprocess.Popen[bytes]) -> None:
    making.terminate()
    making.wait()


LONG = ("chaos", "fault", "integration", "cli")
"""Folders whose modules take minutes each."""
SHORT = ("cases", "core", "docs", "house", "schemas")
"""Folders whose modules need no servers."""
SHARING = {
    "integration": (
        "attacks",
        "offline_equals_live",
        "real_data",
        "repeats",
        "two_installations",
    ),
    "cli": ("commands_on_a_running_stack", "examples_of_the_pages", "four_eyes", "proposals"),
}
"""By folder, modules that stand on one installation, which takes longer than what they test."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest modules first: at the end two processes have small ones to share."""
    items.sort(key=lambda item: _place_of({*item.path.parts}))


def _place_of(folders: set[str]) -> int:
    return 0 if folders & {*LONG} else 2 if folders & {*SHORT} else 1


class ByInstallation(LoadFileScheduling):
    """A file is tested by one process; files that share an installation are, too."""

    def _split_scope(self, nodeid: str) -> str:
        file: str = super()._split_scope(nodeid)
        for folder, names in SHARING.items():
            if file.endswith(tuple(f"{folder}/test_{name}.py" for name in names)):
                return f"the installation of {folder}"
        return file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByInstallation | None:
    return ByInstallation(config, log) if config.getvalue("dist") == "loadfile" else None


def pytest_report_header() -> str:
    forced = os.environ.get("EARNBACK_RUNG")
    return f"servers: {forced or 'best rung to be had'}, when the first test needs them"


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Where two processes share the tests, each hands on what its part stood on."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["servers"] = session.config.stash.get(USED, [])


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    told = getattr(node, "workeroutput", {}).get("servers", [])
    node.config.stash.setdefault(USED, []).extend(told)


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    if used := config.stash.get(USED, []):
        terminalreporter.section("servers")
        for said in dict.fromkeys(used):
            terminalreporter.line(said)


@pytest.fixture(scope="session")
def servers(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Rung]:
    """Kafka and Postgres for the whole session; `kafka` and `postgres` are their addresses."""
    with climb(tmp_path_factory.mktemp("servers")) as rung:
        rung.tell(request.config)
        yield rung


@pytest.fixture(scope="session")
def _template(servers: Rung) -> Iterator[str]:
    """Name of a migrated database that nobody connects to: a copy of it is a fresh database."""
    name = f"earnback_template_{secrets.token_hex(4)}"
    _run(_execute(servers.postgres, f'create database "{name}"'))
    try:
        _run(migrate(with_database(servers.postgres, name)))
        yield name
    finally:
        _run(_execute(servers.postgres, f'drop database "{name}" with (force)'))


@pytest.fixture
def database(servers: Rung, _template: str) -> Iterator[str]:
    """DSN of a fresh, migrated database that is this test's alone."""
    name = f"earnback_test_{secrets.token_hex(4)}"
    _run(_execute(servers.postgres, f'create database "{name}" template "{_template}"'))
    try:
        yield with_database(servers.postgres, name)
    finally:
        _run(_execute(servers.postgres, f'drop database "{name}" with (force)'))


@pytest.fixture
def empty_database(servers: Rung) -> Iterator[str]:
    """DSN of a database with nothing in it: `earnback prepare` makes it an installation's."""
    with a_database(servers.postgres) as dsn:
        yield dsn


@pytest.fixture(scope="session")
def topics(servers: Rung) -> tuple[str, ...]:
    """Names of the declared topics, made on the session's Kafka. Tests share their records."""
    _run(apply_topics(servers.kafka, WantedTopics("trial")))
    return tuple(name for name, topic in declared().items() if not topic.per_vendor)


@contextmanager
def a_database(server: str) -> Iterator[str]:
    """DSN of a database with nothing in it on a server, dropped at the end."""
    name = f"earnback_test_{secrets.token_hex(4)}"
    _run(_execute(server, f'create database "{name}"'))
    try:
        yield with_database(server, name)
    finally:
        _run(_execute(server, f'drop database "{name}" with (force)'))


def with_database(dsn: str, name: str) -> str:
    """The same server, another database."""
    return urlunsplit(urlsplit(dsn)._replace(path=f"/{name}"))


async def _execute(dsn: str, statement: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


def _run(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end from a fixture, beside whatever loop the test itself has."""
    results: list[T] = []
    failures: list[BaseException] = []

    def body() -> None:
        try:
            results.append(asyncio.run(work))
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=body, name="fixture")
    thread.start()
    thread.join()
    if failures:
        raise failures[0]
    return results[0]
