"""The command `earnback` run within the tests' own process, without the start of an interpreter."""

from __future__ import annotations

import asyncio
import io
import os
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from unittest.mock import patch

from services.cli import app, show

WIDTH = 80
"""What a terminal has where nothing else is set."""


@dataclass(frozen=True)
class Said:
    """What a command answered."""

    code: int
    out: str
    err: str


def run(*arguments: str, text: str = "", settings: Mapping[str, str] | None = None) -> Said:
    """Run ``earnback`` with arguments, as the installed command does.

    ``text``: its standard input. ``settings``: its environment, beside what is set here and does
    not concern earnback. An exception that the command does not end itself is one of the test.
    """
    clean = {name: value for name, value in os.environ.items() if "EARNBACK" not in name}
    with _streams(text) as (out, err), _environment({**clean, **(settings or {})}):
        code = _ended(arguments)
        sys.stdout.flush()
        sys.stderr.flush()
        return Said(code, out.getvalue().decode(), err.getvalue().decode())


def _ended(arguments: tuple[str, ...]) -> int:
    with patch.object(sys, "argv", ["earnback", *arguments]):
        if not _in_event_loop():
            return _code()
        # A command runs its own event loop, which needs a thread without one.
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(_code).result()


def _in_event_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _code() -> int:
    try:
        app.main()
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    return 0


@contextmanager
def _streams(text: str) -> Iterator[tuple[io.BytesIO, io.BytesIO]]:
    out, err = io.BytesIO(), io.BytesIO()
    with (
        patch.object(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode()), "utf-8")),
        patch.object(sys, "stdout", io.TextIOWrapper(out, "utf-8")),
        patch.object(sys, "stderr", io.TextIOWrapper(err, "utf-8")),
    ):
        yield out, err


@contextmanager
def _environment(settings: Mapping[str, str]) -> Iterator[None]:
    """The settings as the environment; both consoles are as wide as it says."""
    with patch.dict(os.environ, settings, clear=True):
        for console in (show.out, show.err):
            console.width = int(settings.get("COLUMNS", WIDTH))
        yield
