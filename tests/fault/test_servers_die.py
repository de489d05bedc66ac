"""Broker and database of `earnback up` die: they are started again, and `/readyz` says so."""

from __future__ import annotations

import os
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest

from services.cli.stack import SERVICES, Stack, stack

LOST_SECONDS = 10
BACK_SECONDS = 30
LOOKED = 5
"""Seconds for the test's own questions on a machine that has much else to do."""


@pytest.fixture(scope="module")
def said() -> list[str]:
    """The lines that `earnback up` would print."""
    return []


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, said: list[str]) -> Iterator[Stack]:
    """All of earnback with servers of its own."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("EARNBACK_KAFKA", "EARNBACK_POSTGRES"):
            patch.delenv(name, raising=False)
        with stack(tmp_path_factory.mktemp("home"), say=said.append) as started:
            yield started


def is_ready(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"{address}/readyz", timeout=LOOKED) as answer:
            return bool(answer.status == 200)
    except (urllib.error.HTTPError, OSError):
        return False


def states(running: Stack) -> list[bool]:
    return [is_ready(getattr(running.addresses, name)) for name in SERVICES]


def within(seconds: float, running: Stack, wanted: list[bool]) -> None:
    deadline = time.monotonic() + seconds + LOOKED
    while states(running) != wanted:
        assert time.monotonic() < deadline, (states(running), wanted)
        time.sleep(0.2)


@pytest.mark.parametrize("which", ["embedded_kafka", "embedded_postgres"])
def test_a_lost_server_makes_every_service_unready_until_it_is_back(
    running: Stack, which: str
) -> None:
    within(BACK_SECONDS, running, [True, True, True])
    server = getattr(running.servers, which)
    server.kill()  # as somebody does who does not want it back
    within(LOST_SECONDS, running, [False, False, False])
    server.start()
    within(BACK_SECONDS, running, [True, True, True])


def test_what_dies_is_started_again_and_told(running: Stack, said: list[str]) -> None:
    said.clear()
    for name, server in running.servers.embedded.items():
        os.kill(server.pid, signal.SIGKILL)  # type: ignore[attr-defined]
        deadline = time.monotonic() + 90
        while not (said and said[-1].startswith(f"{name} runs again")):
            assert time.monotonic() < deadline, said
            time.sleep(0.2)
        within(BACK_SECONDS, running, [True, True, True])
    assert [line.split(" after ")[0] for line in said] == [
        "the broker ended (signal 9): it is started again",
        "the broker runs again,",
        "the database ended (signal 9): it is started again",
        "the database runs again,",
    ]
