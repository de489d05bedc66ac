"""A disk of its own for a server, which can be made full and be given room again.

A file system in memory, whose limit is lowered to what it holds: that takes root and Linux.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOM = 4 * 1024**3
LEFT = 256 * 1024
"""Bytes that a full disk still takes."""
ATTEMPTS = 20


class NoDisk(Exception):
    """This machine does not let us mount one."""


class Disk:
    """A mounted disk."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def fill(self) -> None:
        """Leave no room, but for `LEFT`. Raises NoDisk."""
        for attempt in range(ATTEMPTS):
            try:
                self._limit(shutil.disk_usage(self.path).used + LEFT)
                return
            except NoDisk:  # more was written meanwhile than is left
                if attempt == ATTEMPTS - 1:
                    raise

    def free(self) -> None:
        """Give room again."""
        self._limit(ROOM)

    def _limit(self, size: int) -> None:
        _mount("-o", f"remount,size={size}", str(self.path))


@contextmanager
def disk(path: Path) -> Iterator[Disk]:
    """A disk at a path, for as long as this lasts. Raises NoDisk."""
    path.mkdir(parents=True)
    _mount("-t", "tmpfs", "-o", f"size={ROOM},mode=0755", "tmpfs", str(path))
    try:
        yield Disk(path)
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=False, capture_output=True)


def _mount(*arguments: str) -> None:
    try:
        done = subprocess.run(["mount", *arguments], check=False, capture_output=True, text=True)
    except OSError as error:
        raise NoDisk(str(error)) from error
    if done.returncode:
        raise NoDisk(done.stderr.strip())
