"""One process at a time over a folder, however the one before it ended."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from infra.private_folder import make_private

FILE = "lock"


class Taken(RuntimeError):
    """Another process works over the folder. ``pid``: which, where it has said so."""

    def __init__(self, folder: Path, pid: str) -> None:
        super().__init__(
            f"{folder}: process {pid or 'of another user'} works here already; end it, or use "
            "another folder"
        )
        self.pid = pid


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Hold a folder, made if need be, for as long as this lasts. Raises Taken.

    The system lets go of it when the process ends, kill -9 included; a file that is left says
    nothing. Children do not inherit the hold.
    """
    make_private(folder)
    with (folder / FILE).open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise Taken(folder, file.read().strip()) from None
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield
