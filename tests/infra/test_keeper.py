"""An embedded server that ends is started again, and given up where that is in vain."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from infra import keeper
from infra.keeper import Keeper


@dataclass
class FakeServer:
    """A server whose starts fail so many times."""

    data_dir: Path = Path("/nowhere")
    vain: int = 0
    returncode: int | None = None
    starts: list[float] = field(default_factory=list)

    def start(self) -> None:
        self.starts.append(time.monotonic())
        if len(self.starts) <= self.vain:
            raise RuntimeError("no space left on device")
        self.returncode = None


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper, "WATCH_SECONDS", 0.01)
    monkeypatch.setattr(keeper, "PAUSE_SECONDS_FIRST", 0.01)


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_what_ends_is_started_again_with_a_line_for_each() -> None:
    said: list[str] = []
    server, other = FakeServer(vain=2), FakeServer()
    with Keeper({"the database": server, "the broker": other}, said.append) as kept:
        server.returncode = -9
        until(lambda: len(said) == 2)
        assert said[0] == "the database ended (signal 9): it is started again"
        assert said[1].startswith("the database runs again, after ")
        first, second, third = server.starts
        assert third - second > second - first > 0  # it waits longer each time
        assert kept.gave_up is None
    assert other.starts == []


def test_what_fails_again_and_again_is_given_up_and_the_reason_is_told() -> None:
    said: list[str] = []
    server = FakeServer(vain=99)
    with Keeper({"the broker": server}, said.append) as kept:
        server.returncode = 1
        until(lambda: kept.gave_up is not None)
        assert len(server.starts) == keeper.MOST_FAILURES
    assert said[0] == "the broker ended (exit code 1): it is started again"
    assert said[-1] == kept.gave_up
    assert "failed 6 times within 300 s" in said[-1]
    assert "no space left on device" in said[-1]
    assert "/nowhere" in said[-1]


def test_a_server_that_dies_over_and_over_is_given_up_too() -> None:
    said: list[str] = []
    server = FakeServer()
    with Keeper({"the broker": server}, said.append) as kept:
        while kept.gave_up is None and len(server.starts) < 20:
            server.returncode = -9
            time.sleep(0.02)
        assert kept.gave_up is not None
        assert "it ended again each time" in kept.gave_up
